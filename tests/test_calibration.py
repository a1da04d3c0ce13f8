"""From keys to the two levels of a bulb."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.calibration import FIRST_LEVEL, Calibration, Key, Step

UP, DOWN, FAR_UP, FAR_DOWN = Key.UP, Key.DOWN, Key.FAR_UP, Key.FAR_DOWN
TOGGLE, TAKE, LEAVE, YES, NO = Key.TOGGLE, Key.TAKE, Key.LEAVE, Key.YES, Key.NO


def pressed(*keys: Key, low: int | None = None, high: int | None = None) -> Calibration:
    found = Calibration.begin(low, high)
    for key in keys:
        found = found.press(key)
    return found


@pytest.mark.parametrize(
    ("low", "high", "first", "second"),
    [(None, None, FIRST_LEVEL, 255), (20, 210, 20, 210), (0, None, 1, 255)],
)
def test_it_begins_with_the_levels_that_are_configured(
    low: int | None, high: int | None, first: int, second: int
) -> None:
    assert pressed(low=low, high=high).level == first
    assert pressed(TAKE, low=low, high=high).level == second


def test_keys_move_the_level_that_is_looked_for() -> None:
    found = pressed(UP, FAR_DOWN, DOWN, DOWN, FAR_UP, FAR_UP)
    assert (found.level, found.step) == (FIRST_LEVEL + 9, Step.LOW)
    found = pressed(TAKE, FAR_DOWN, UP)
    assert (found.low, found.level, found.step) == (FIRST_LEVEL, 246, Step.HIGH)


def test_neither_level_leaves_its_range() -> None:
    assert pressed(*[FAR_DOWN] * 30).level == 1
    assert pressed(*[FAR_UP] * 30).level == 254
    assert pressed(*[FAR_UP] * 30, TAKE).level == 255
    assert pressed(TAKE, FAR_UP).level == 255
    assert pressed(TAKE, *[FAR_DOWN] * 30).level == FIRST_LEVEL + 1


def test_a_high_level_below_the_low_one_is_raised() -> None:
    found = pressed(*[FAR_UP] * 10, TAKE, high=100)
    assert (found.low, found.high) == (FIRST_LEVEL + 100, FIRST_LEVEL + 101)


def test_the_lamp_goes_off_and_on_again_at_the_same_level() -> None:
    assert pressed(TOGGLE).level == 0
    assert pressed(TOGGLE, TOGGLE).level == FIRST_LEVEL
    assert pressed(TAKE, TOGGLE, TOGGLE).level == 255


@pytest.mark.parametrize("key", [UP, TAKE])
def test_what_comes_after_it_was_off_is_seen(key: Key) -> None:
    assert pressed(TOGGLE, key).level == pressed(key).level > 0
    assert pressed(TAKE, TOGGLE, TAKE).level == 255


def test_only_yes_and_no_answer_the_question() -> None:
    question = (DOWN, TAKE, DOWN, TAKE)
    assert pressed(*question, *[TAKE, UP, FAR_DOWN, TOGGLE, Key.OTHER]) == pressed(
        *question
    )
    done = pressed(*question, YES)
    assert (done.step, done.low, done.high) == (Step.DONE, FIRST_LEVEL - 1, 254)
    assert pressed(*question, NO).step is Step.LEFT


@pytest.mark.parametrize("before", [(), (TAKE,), (TAKE, TAKE)])
def test_it_can_be_left_at_any_time(before: tuple[Key, ...]) -> None:
    left = pressed(*before, LEAVE)
    assert left.step is Step.LEFT
    assert left.press(YES) == left


@given(
    st.lists(st.sampled_from(Key), max_size=60),
    st.none() | st.integers(0, 254),
    st.none() | st.integers(1, 255),
)
def test_whatever_is_pressed_the_low_level_is_below_the_high_one(
    keys: list[Key], low: int | None, high: int | None
) -> None:
    found = Calibration.begin(low, high)
    for key in keys:
        found = found.press(key)
        assert 1 <= found.low <= 254
        assert 0 <= found.level <= 255
        assert found.step is Step.LOW or found.low < found.high <= 255 or found.is_over
    if found.step is Step.DONE:
        assert found.low < found.high
