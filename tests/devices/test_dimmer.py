"""Lamps: what a write makes of them, and the level on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from hk_bridge.devices.dimmer import DimmerChannel, Lamp, LevelCurve

OFF, ON = False, True
AS_IT_IS = None

percents = st.integers(1, 100)


# The rules of a lamp -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "on", "brightness", "after"),
    [
        # On alone restores the remembered brightness, off alone keeps it.
        ((OFF, 100), ON, AS_IT_IS, (ON, 100)),
        ((OFF, 30), ON, AS_IT_IS, (ON, 30)),
        ((ON, 30), ON, AS_IT_IS, (ON, 30)),
        ((ON, 30), OFF, AS_IT_IS, (OFF, 30)),
        ((OFF, 30), OFF, AS_IT_IS, (OFF, 30)),
        # A brightness alone switches on.
        ((OFF, 30), AS_IT_IS, 60, (ON, 60)),
        ((ON, 30), AS_IT_IS, 60, (ON, 60)),
        ((OFF, 30), AS_IT_IS, 1, (ON, 1)),
        ((OFF, 30), AS_IT_IS, 30, (ON, 30)),
        # Brightness 0 is off, whatever comes with it, and is not remembered.
        ((ON, 30), AS_IT_IS, 0, (OFF, 30)),
        ((OFF, 30), AS_IT_IS, 0, (OFF, 30)),
        ((ON, 30), ON, 0, (OFF, 30)),
        ((OFF, 30), ON, 0, (OFF, 30)),
        ((ON, 30), OFF, 0, (OFF, 30)),
        # Both together.
        ((OFF, 30), ON, 60, (ON, 60)),
        ((ON, 30), ON, 60, (ON, 60)),
        ((ON, 30), OFF, 60, (OFF, 60)),
        ((OFF, 30), OFF, 60, (OFF, 60)),
        # A write of neither changes nothing.
        ((ON, 30), AS_IT_IS, AS_IT_IS, (ON, 30)),
        ((OFF, 30), AS_IT_IS, AS_IT_IS, (OFF, 30)),
    ],
)
def test_a_write_makes_of_a_lamp_what_the_table_says(
    before: tuple[bool, int],
    on: bool | None,
    brightness: int | None,
    after: tuple[bool, int],
) -> None:
    assert Lamp(*before).set(on=on, brightness=brightness) == Lamp(*after)


def test_a_lamp_is_off_at_first_and_remembers_full_brightness() -> None:
    assert Lamp() == Lamp(on=False, brightness=100)
    assert Lamp().set(on=True) == Lamp(on=True, brightness=100)


def test_a_brightness_given_while_off_is_restored_later() -> None:
    lamp = Lamp().set(on=False, brightness=40)
    assert not lamp.on
    assert lamp.set(on=True) == Lamp(on=True, brightness=40)


def test_a_slider_pulled_to_zero_does_not_lose_the_brightness() -> None:
    lamp = Lamp(on=True, brightness=70).set(brightness=0)
    assert not lamp.on
    assert lamp.set(on=True) == Lamp(on=True, brightness=70)


class AnyWrites(RuleBasedStateMachine):
    """Writes in any order, against a model with a rule for each kind of write."""

    def __init__(self) -> None:
        super().__init__()
        self.channel = DimmerChannel(LevelCurve(low=20))
        self.is_on = False
        self.remembered = 100

    def write(self, *, on: bool | None = None, brightness: int | None = None) -> None:
        self.channel.accept(self.channel.lamp.set(on=on, brightness=brightness))

    @rule()
    def switch_on(self) -> None:
        self.write(on=True)
        self.is_on = True

    @rule()
    def switch_off(self) -> None:
        self.write(on=False)
        self.is_on = False

    @rule(percent=percents)
    def dim(self, percent: int) -> None:
        self.write(brightness=percent)
        self.is_on, self.remembered = True, percent

    @rule(percent=percents)
    def switch_on_and_dim(self, percent: int) -> None:
        self.write(on=True, brightness=percent)
        self.is_on, self.remembered = True, percent

    @rule(percent=percents)
    def switch_off_and_dim(self, percent: int) -> None:
        self.write(on=False, brightness=percent)
        self.is_on, self.remembered = False, percent

    @rule(on=st.none() | st.booleans())
    def dim_to_nothing(self, on: bool | None) -> None:
        self.write(on=on, brightness=0)
        self.is_on = False

    @invariant()
    def the_lamp_is_as_the_model_says(self) -> None:
        assert self.channel.lamp.on is self.is_on
        assert self.channel.lamp.brightness == self.remembered

    @invariant()
    def a_lamp_has_a_level_exactly_while_it_is_on(self) -> None:
        if self.channel.level is not None:
            assert (self.channel.level >= 20) is self.is_on
            assert (self.channel.level == 0) is not self.is_on


def test_a_lamp_keeps_its_rules_through_any_writes() -> None:
    run_state_machine_as_test(AnyWrites)


@given(st.booleans(), percents, st.none() | st.booleans(), st.none() | st.integers(0, 100))
def test_a_lamp_that_is_on_never_has_brightness_zero(
    before: bool, remembered: int, on: bool | None, brightness: int | None
) -> None:
    lamp = Lamp(before, remembered).set(on=on, brightness=brightness)
    assert 1 <= lamp.brightness <= 100


# Levels ------------------------------------------------------------------------------


def level(percent: int, low: int | None = None, high: int | None = None) -> int:
    return LevelCurve(low, high).level(Lamp(on=True, brightness=percent))


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (1, 3),
        (2, 5),
        (9, 23),
        (11, 28),
        (20, 51),
        (25, 64),
        (33, 84),
        (49, 125),
        (51, 130),
        (75, 191),
        (99, 252),
        (100, 255),
        # Halves go to the even number.
        (10, 26),
        (30, 76),
        (50, 128),
        (70, 178),
        (90, 230),
    ],
)
def test_without_limits_a_percent_is_its_part_of_255(percent: int, expected: int) -> None:
    assert level(percent) == expected


@pytest.mark.parametrize("percent", range(1, 101))
def test_every_level_is_the_nearest_to_its_percent(percent: int) -> None:
    assert level(percent) == round(percent * 255 / 100)
    assert abs(100 * level(percent) - 255 * percent) <= 50


@pytest.mark.parametrize("curve", [LevelCurve(), LevelCurve(50, 200), LevelCurve(low=30)])
def test_a_lamp_that_is_off_has_level_zero_whatever_it_remembers(curve: LevelCurve) -> None:
    assert curve.level(Lamp(on=False, brightness=60)) == 0


@pytest.mark.parametrize(
    ("low", "high", "at_1", "at_50", "at_100"),
    [
        (50, 200, 50, 124, 200),
        (16, 255, 16, 134, 255),
        (30, None, 30, 141, 255),
        (None, 200, 1, 99, 200),
        (0, None, 1, 127, 255),
        (0, 255, 1, 127, 255),
        (254, 255, 254, 254, 255),
        (None, 1, 1, 1, 1),
    ],
)
def test_limits_are_reached_at_1_and_at_100_percent(
    low: int | None, high: int | None, at_1: int, at_50: int, at_100: int
) -> None:
    assert [level(percent, low, high) for percent in (1, 50, 100)] == [at_1, at_50, at_100]


@pytest.mark.parametrize(
    ("low", "high"),
    [(None, None), (None, 1), (None, 200), (0, None), (30, None), (254, 255), (50, 200)],
)
def test_a_brighter_lamp_has_no_lower_level(low: int | None, high: int | None) -> None:
    levels = [level(percent, low, high) for percent in range(1, 101)]
    assert levels == sorted(levels)
    assert levels[0] >= 1


@given(st.none() | st.integers(0, 254), st.none() | st.integers(1, 255), percents)
def test_the_level_of_a_lamp_that_is_on_is_within_its_limits(
    low: int | None, high: int | None, percent: int
) -> None:
    if low is not None and high is not None and low >= high:
        low, high = high - 1, low + 1
    assert max(low or 0, 1) <= level(percent, low, high) <= (high or 255)


# A channel ---------------------------------------------------------------------------


def test_the_level_of_a_new_channel_is_not_known() -> None:
    channel = DimmerChannel()
    assert channel.lamp == Lamp(on=False, brightness=100)
    assert channel.level is None


@pytest.mark.parametrize(
    ("lamp", "expected"), [(Lamp(on=True, brightness=60), 153), (Lamp(brightness=60), 0)]
)
def test_a_restored_channel_has_the_level_of_its_lamp(lamp: Lamp, expected: int) -> None:
    channel = DimmerChannel(lamp=lamp)
    assert channel.lamp == lamp
    assert channel.level == expected


def test_a_channel_follows_what_was_accepted() -> None:
    channel = DimmerChannel(LevelCurve(50, 200))
    channel.accept(Lamp(on=True, brightness=100))
    assert (channel.lamp.on, channel.level) == (True, 200)
    channel.accept(Lamp(on=False, brightness=100))
    assert (channel.lamp.on, channel.level) == (False, 0)


def test_asking_for_a_level_changes_nothing() -> None:
    channel = DimmerChannel(LevelCurve(50, 200))
    assert channel.level_of(Lamp(on=True, brightness=1)) == 50
    assert channel.level_of(Lamp(on=False, brightness=1)) == 0
    assert (channel.lamp, channel.level) == (Lamp(), None)
