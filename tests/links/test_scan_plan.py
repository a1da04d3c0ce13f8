"""Which scan comes next: passive first, and never deaf for good."""

from __future__ import annotations

import pytest

from hk_bridge.links.scan_plan import (
    FIRST_SILENCE,
    LONGEST_SILENCE,
    PROBE_SECONDS,
    STAND_IN_SECONDS,
    Scan,
    ScanPlan,
    WantedMode,
)

PASSIVE = Scan("passive", FIRST_SILENCE)
PROBE = Scan("active", PROBE_SECONDS, PROBE_SECONDS, is_probe=True)


def silent(plan: ScanPlan, scan: Scan) -> None:
    plan.ended(scan, heard=False, heard_sensors=False)


def test_a_passive_scan_is_the_first() -> None:
    assert ScanPlan("auto").next(can_be_passive=True) == PASSIVE


def test_without_monitors_it_is_active_for_as_long_as_that_lasts() -> None:
    assert ScanPlan("auto").next(can_be_passive=False) == Scan("active", FIRST_SILENCE)


def test_a_refused_passive_scan_has_an_active_one_stand_in_for_a_while() -> None:
    plan = ScanPlan("auto")
    plan.next(can_be_passive=True)
    assert plan.refused()
    stand_in = plan.next(can_be_passive=True)
    assert stand_in == Scan("active", FIRST_SILENCE, STAND_IN_SECONDS)
    plan.ended(stand_in, heard=True, heard_sensors=True)
    assert plan.next(can_be_passive=True) == PASSIVE


@pytest.mark.parametrize("mode", ["passive", "active"])
@pytest.mark.parametrize("can_be_passive", [False, True])
def test_a_mode_that_was_asked_for_is_never_left(
    mode: WantedMode, can_be_passive: bool
) -> None:
    plan = ScanPlan(mode)
    for heard in (False, False, True, False, False, False):
        scan = plan.next(can_be_passive=can_be_passive)
        assert (scan.mode, scan.is_probe) == (mode, False)
        plan.ended(scan, heard=heard, heard_sensors=heard)
    assert plan.refused() is False


@pytest.mark.parametrize("mode", ["passive", "active"])
def test_each_silence_makes_the_next_scan_more_patient_up_to_a_limit(
    mode: WantedMode,
) -> None:
    plan = ScanPlan(mode)
    for wait in (20, 40, 80, 160, 320, LONGEST_SILENCE, LONGEST_SILENCE):
        scan = plan.next(can_be_passive=True)
        assert scan.silence == wait
        silent(plan, scan)
    plan.ended(plan.next(can_be_passive=True), heard=True, heard_sensors=False)
    assert plan.next(can_be_passive=True).silence == FIRST_SILENCE


def test_a_passive_scan_that_hears_nobody_is_checked_by_an_active_one() -> None:
    plan = ScanPlan("auto")
    silent(plan, plan.next(can_be_passive=True))
    assert plan.next(can_be_passive=True) == PROBE


def test_where_the_check_hears_sensors_it_goes_on_actively_for_a_while() -> None:
    plan = ScanPlan("auto")
    silent(plan, plan.next(can_be_passive=True))
    plan.ended(plan.next(can_be_passive=True), heard=True, heard_sensors=True)
    stand_in = plan.next(can_be_passive=True)
    assert stand_in == Scan("active", FIRST_SILENCE, STAND_IN_SECONDS)
    # It may be another time.
    plan.ended(stand_in, heard=True, heard_sensors=True)
    assert plan.next(can_be_passive=True) == PASSIVE


def test_strangers_who_are_heard_actively_say_nothing_of_passive_scans() -> None:
    """A slow sensor in a house full of other people's devices is left in peace."""
    plan = ScanPlan("auto")
    waits = []
    for _ in range(6):
        scan = plan.next(can_be_passive=True)
        assert scan.mode == "passive"
        waits.append(scan.silence)
        silent(plan, scan)
        probe = plan.next(can_be_passive=True)
        assert probe == PROBE
        plan.ended(probe, heard=True, heard_sensors=False)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_SILENCE


def test_a_passive_scan_that_has_ever_heard_anybody_is_not_doubted() -> None:
    plan = ScanPlan("auto")
    plan.ended(plan.next(can_be_passive=True), heard=True, heard_sensors=False)
    for _ in range(5):
        scan = plan.next(can_be_passive=True)
        assert scan.mode == "passive"
        silent(plan, scan)


def test_a_plan_for_an_active_scan_does_not_outlive_monitors_that_went() -> None:
    plan = ScanPlan("auto")
    silent(plan, plan.next(can_be_passive=True))
    assert plan.next(can_be_passive=False).is_probe is False
