"""How it is with a sensor: every way from each state to each other one."""

import pytest

from hk_bridge.devices.sensor_state import SensorCondition, SensorState

NEVER, IDLE, NEEDS, WRONG, UNREADABLE, DECODING, SILENT = SensorState
TIMEOUT = 900.0
CLOSED = (NEEDS, WRONG, UNREADABLE)


def after(*heard: SensorState) -> SensorCondition:
    condition = SensorCondition()
    for at, what in enumerate(heard):
        condition.heard(what, float(at))
    return condition


def state_after(*heard: SensorState) -> SensorState:
    return after(*heard).state(float(len(heard)), TIMEOUT, values_are_old=False)


def test_the_words_are_those_of_the_documentation() -> None:
    assert [str(state) for state in SensorState] == [
        "never heard",
        "heard, idle frames only",
        "needs a bind key",
        "wrong bind key",
        "cannot be read",
        "decoding",
        "silent",
    ]


@pytest.mark.parametrize("what", [IDLE, DECODING, *CLOSED])
def test_the_first_frame_tells_how_it_is(what: SensorState) -> None:
    assert state_after() is NEVER
    assert state_after(what) is what


@pytest.mark.parametrize("what", [DECODING, *CLOSED])
def test_after_idle_frames_the_first_one_that_says_more_tells(what: SensorState) -> None:
    assert state_after(IDLE, IDLE, what) is what


@pytest.mark.parametrize("state", [DECODING, *CLOSED])
def test_an_idle_frame_changes_nothing_that_is_known(state: SensorState) -> None:
    assert state_after(state, IDLE, IDLE, IDLE, IDLE) is state


@pytest.mark.parametrize("state", [IDLE, *CLOSED])
def test_a_value_is_believed_at_once(state: SensorState) -> None:
    assert state_after(state, DECODING) is DECODING


@pytest.mark.parametrize("state", [DECODING, *CLOSED])
@pytest.mark.parametrize("other", CLOSED)
def test_what_cannot_be_opened_is_believed_the_third_time(
    state: SensorState, other: SensorState
) -> None:
    if state is not other:
        assert state_after(state, other, other) is state
        assert state_after(state, other, IDLE, other, other) is other


def test_a_frame_that_can_be_opened_in_between_begins_the_count_anew() -> None:
    assert state_after(DECODING, *[WRONG, WRONG, DECODING] * 10) is DECODING


def test_copies_of_one_frame_count_as_one() -> None:
    condition = after(DECODING, WRONG)
    for at in range(2, 50):
        condition.heard(WRONG, float(at), is_copy=True)
    assert condition.state(50.0, TIMEOUT, values_are_old=False) is DECODING


@pytest.mark.parametrize("heard", [IDLE, DECODING, *CLOSED])
def test_whatever_it_was_without_a_frame_it_becomes_silent(heard: SensorState) -> None:
    condition = after(heard)
    assert condition.changes(0.0, TIMEOUT) == TIMEOUT
    assert condition.state(899.9, TIMEOUT, values_are_old=False) is heard
    assert condition.state(900.0, TIMEOUT, values_are_old=True) is SILENT
    assert condition.changes(900.0, TIMEOUT) == float("inf")


@pytest.mark.parametrize("heard", [IDLE, DECODING, *CLOSED])
def test_a_silent_sensor_that_is_heard_again_is_what_it_was(heard: SensorState) -> None:
    condition = after(heard)
    condition.heard(heard, 5000.0)
    assert condition.state(5001.0, TIMEOUT, values_are_old=False) is heard


def test_a_sensor_that_was_never_heard_does_not_become_silent() -> None:
    condition = SensorCondition()
    assert condition.state(1e9, TIMEOUT, values_are_old=True) is NEVER
    assert condition.changes(0.0, TIMEOUT) == float("inf")


def test_without_a_time_out_nothing_becomes_silent() -> None:
    condition = after(DECODING)
    assert condition.state(1e9, float("inf"), values_are_old=False) is DECODING
    assert condition.changes(0.0, float("inf")) == float("inf")


def test_a_sensor_that_goes_on_without_values_is_idle_once_they_are_too_old() -> None:
    condition = after(DECODING, IDLE)
    assert condition.state(2.0, TIMEOUT, values_are_old=True) is IDLE
    assert condition.state(2.0, TIMEOUT, values_are_old=False) is DECODING
