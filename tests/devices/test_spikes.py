"""Jumps that no room makes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.devices.spikes import Measurement, SpikeFilter, is_jump
from hk_bridge.model import PLAUSIBLE, Quantity

MINUTE, HOUR = 60.0, 3600.0
LAST = Measurement(20.0, 0.0)


@pytest.mark.parametrize(
    ("quantity", "step", "seconds", "jumps"),
    [
        ("temperature", 5.0, 0.0, False),
        ("temperature", 5.1, 0.0, True),
        ("temperature", -5.1, 0.0, True),
        ("temperature", 6.0, MINUTE, False),
        ("temperature", 6.1, MINUTE, True),
        ("temperature", 15.0, 10 * MINUTE, False),
        ("temperature", 15.1, 10 * MINUTE, True),
        ("temperature", 60.0, HOUR, False),
        ("temperature", -60.0, HOUR, False),
        ("humidity", 20.0, 0.0, False),
        ("humidity", 20.1, 0.0, True),
        ("humidity", 30.0, MINUTE, False),
        ("humidity", 80.0, 10 * MINUTE, False),
        ("battery", 80.0, 0.0, False),
        ("illuminance", 100_000.0, 0.0, False),
        ("moisture", 70.0, 0.0, False),
        ("conductivity", 2000.0, 0.0, False),
        ("voltage", 1.0, 0.0, False),
    ],
)
def test_how_far_is_too_far_depends_on_the_time_since_the_last_value(
    quantity: Quantity, step: float, seconds: float, jumps: bool
) -> None:
    assert is_jump(quantity, LAST, LAST.value + step, seconds) is jumps


@given(st.sampled_from(sorted(PLAUSIBLE)), st.data())
def test_who_speaks_once_an_hour_and_a_half_is_never_held(
    quantity: Quantity, data: st.DataObject
) -> None:
    low, high = PLAUSIBLE[quantity]
    last, value = (data.draw(st.floats(low, high)) for _ in range(2))
    # From the coldest that can be to the hottest it is 125 degrees.
    assert not is_jump(quantity, Measurement(last, 0.0), value, 2.1 * HOUR)


def test_a_last_value_of_unknown_age_holds_nothing() -> None:
    assert not is_jump("temperature", Measurement(20.0, -float("inf")), 60.0, 0.0)


def test_the_first_value_of_all_is_no_jump() -> None:
    assert not SpikeFilter().holds("temperature", None, 60.0, 0.0)


def test_a_second_value_that_agrees_ends_the_wait() -> None:
    spikes = SpikeFilter()
    assert spikes.holds("temperature", LAST, 60.0, 1.0)
    assert not spikes.holds("temperature", LAST, 61.0, 2.0)
    assert spikes.release(1000.0) == {}


def test_a_second_value_that_goes_on_from_the_last_one_ends_it_too() -> None:
    spikes = SpikeFilter()
    assert spikes.holds("temperature", LAST, 60.0, 1.0)
    assert not spikes.holds("temperature", LAST, 20.1, 2.0)
    assert spikes.release(1000.0) == {}


def test_values_that_agree_with_nothing_wait_but_not_for_longer_than_a_minute() -> None:
    spikes = SpikeFilter()
    values = (60.0, -30.0, 80.0, -10.0)
    assert all(
        spikes.holds("temperature", LAST, value, 10.0 * number)
        for number, value in enumerate(values)
    )
    assert spikes.next_release() == 60.0
    assert spikes.release(59.9) == {}
    assert spikes.release(60.0) == {"temperature": Measurement(-10.0, 30.0)}
    assert spikes.next_release() == float("inf")


def test_a_value_after_the_minute_is_not_held_whatever_it_is() -> None:
    spikes = SpikeFilter()
    assert spikes.holds("temperature", LAST, 84.0, 1.0)
    assert not spikes.holds("temperature", LAST, -39.0, 61.0)


def test_quantities_wait_each_by_themselves() -> None:
    spikes = SpikeFilter()
    assert spikes.holds("temperature", LAST, 60.0, 0.0)
    assert spikes.holds("humidity", LAST, 90.0, 10.0)
    assert not spikes.holds("humidity", LAST, 21.0, 11.0)
    assert spikes.release(60.0) == {"temperature": Measurement(60.0, 0.0)}


def test_a_copy_is_told_from_one_of_a_value_that_does_not_wait() -> None:
    spikes = SpikeFilter()
    assert not spikes.repeated("temperature", 1.0)
    spikes.holds("temperature", LAST, 60.0, 1.0)
    assert spikes.repeated("temperature", 5.0)
    assert spikes.release(61.0) == {"temperature": Measurement(60.0, 5.0)}


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(-40, 85)), min_size=1, max_size=30))
def test_nothing_is_held_for_longer_than_a_minute(
    story: list[tuple[float, float]],
) -> None:
    spikes, last, now, since = SpikeFilter(), LAST, 0.0, None
    for pause, value in story:
        now += pause
        last = spikes.release(now).get("temperature", last)
        if not spikes.holds("temperature", last, value, now):
            last, since = Measurement(value, now), None
        elif since is None or now >= since + MINUTE:
            since = now
        assert since is None or spikes.next_release() <= now + MINUTE
    assert spikes.release(now + MINUTE).keys() <= {"temperature"}
    assert spikes.next_release() == float("inf")
