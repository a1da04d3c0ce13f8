"""When changes are told: at once where it matters, gathered where it does not."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hk_bridge.homekit.events import URGENT, EventQueue, Key

NOW = 1000.0
LAMP, SENSOR, OTHER = (2, 81), (3, 33), (3, 49)

#: Seconds: what must leave at once leaves within, and what is gathered leaves within.
AT_ONCE, GATHERED = 0.020, 0.250


@pytest.fixture
def events() -> EventQueue:
    return EventQueue()


def put(events: EventQueue, key: Key, now: float, *, urgent: bool = False) -> float:
    """For how long the change waits."""
    return events.put(key, urgent=urgent, now=now) - now


def test_on_and_brightness_are_what_a_person_waits_for() -> None:
    assert {"On", "Brightness"} == URGENT


def test_the_first_change_of_a_quiet_connection_leaves_at_once(events: EventQueue) -> None:
    assert 0 < put(events, SENSOR, NOW) <= AT_ONCE
    assert events.take(NOW + AT_ONCE) == [SENSOR]


def test_what_changes_in_one_moment_travels_together(events: EventQueue) -> None:
    due = NOW + put(events, LAMP, NOW, urgent=True)
    for key, later in ((SENSOR, 0.0), (OTHER, 0.002), (LAMP, 0.003)):
        assert NOW + later + put(events, key, NOW + later, urgent=True) == due
    assert events.take(due) == [LAMP, SENSOR, OTHER]


def test_what_follows_is_gathered_for_250_ms_after_the_last_event(
    events: EventQueue,
) -> None:
    put(events, SENSOR, NOW)
    events.take(NOW)
    assert put(events, SENSOR, NOW + 0.1) == pytest.approx(GATHERED - 0.1)
    assert put(events, OTHER, NOW + 0.2) == pytest.approx(GATHERED - 0.2)
    assert events.take(NOW + GATHERED) == [SENSOR, OTHER]
    assert put(events, SENSOR, NOW + GATHERED) == pytest.approx(GATHERED)


def test_a_change_at_the_end_of_the_gathering_waits_for_its_moment(
    events: EventQueue,
) -> None:
    put(events, SENSOR, NOW)
    events.take(NOW)
    assert 0 < put(events, SENSOR, NOW + 0.249) <= AT_ONCE
    events.take(NOW + 0.25)
    assert 0 < put(events, SENSOR, NOW + 0.75) <= AT_ONCE


def test_an_urgent_change_does_not_wait_and_takes_along_what_does(
    events: EventQueue,
) -> None:
    put(events, SENSOR, NOW)
    events.take(NOW)
    put(events, SENSOR, NOW + 0.01)
    assert 0 < put(events, LAMP, NOW + 0.02, urgent=True) <= AT_ONCE
    assert events.take(NOW + 0.04) == [SENSOR, LAMP]


def test_a_change_that_is_not_urgent_does_not_hold_up_one_that_is(
    events: EventQueue,
) -> None:
    put(events, OTHER, NOW)
    events.take(NOW)
    due = NOW + 0.01 + put(events, LAMP, NOW + 0.01, urgent=True)
    assert events.put(SENSOR, urgent=False, now=NOW + 0.012) == due


def test_many_changes_of_one_characteristic_are_told_once(events: EventQueue) -> None:
    put(events, SENSOR, NOW)
    events.take(NOW)
    for step in range(20):
        put(events, SENSOR, NOW + step / 100)
    assert events.take(NOW + GATHERED) == [SENSOR]
    assert events.take(NOW + GATHERED) == []


def test_what_is_dropped_is_not_told_and_the_rest_is(events: EventQueue) -> None:
    put(events, LAMP, NOW, urgent=True)
    put(events, SENSOR, NOW)
    events.drop(LAMP)
    events.drop(OTHER)
    assert events.take(NOW + AT_ONCE) == [SENSOR]


def test_a_connection_stays_quiet_where_all_was_dropped(events: EventQueue) -> None:
    put(events, SENSOR, NOW)
    events.drop(SENSOR)
    assert events.take(NOW + AT_ONCE) == []
    assert 0 < put(events, SENSOR, NOW + 0.03) <= AT_ONCE


class Connection(RuleBasedStateMachine):
    """Sends what waits when it is due, as a connection does, and keeps account of it."""

    def __init__(self) -> None:
        super().__init__()
        self.events = EventQueue()
        self.now = NOW
        self.due = math.inf
        #: Since when each change waits, and until when it may.
        self.waiting: dict[Key, float] = {}
        self.told = -math.inf

    @rule(
        key=st.sampled_from([LAMP, SENSOR, OTHER]),
        urgent=st.booleans(),
    )
    def change(self, key: Key, urgent: bool) -> None:
        quiet = self.now - self.told >= GATHERED
        most = AT_ONCE if urgent or quiet else GATHERED
        self.due = self.events.put(key, urgent=urgent, now=self.now)
        assert self.due > self.now
        self.waiting[key] = min(self.waiting.get(key, math.inf), self.now + most)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.waiting)))
        self.events.drop(key)
        del self.waiting[key]

    @rule(milliseconds=st.integers(1, 400))
    def time_passes(self, milliseconds: int) -> None:
        until = self.now + milliseconds / 1000
        if self.due <= until:
            self.now = self.due
            taken = self.events.take(self.now)
            assert taken == list(self.waiting)
            self.told = self.now if taken else self.told
            self.waiting.clear()
            self.due = math.inf
        self.now = until

    @invariant()
    def nothing_is_due_too_late(self) -> None:
        assert self.due <= min(self.waiting.values(), default=math.inf) + 1e-9

    def teardown(self) -> None:
        self.time_passes(400)
        assert self.events.take(self.now) == []


TestAnyOrderOfChanges = Connection.TestCase
TestAnyOrderOfChanges.settings = settings(
    deadline=None, max_examples=50, stateful_step_count=30
)
