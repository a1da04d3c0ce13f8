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

from hk_bridge.devices.dimmer import Change, DimmerChannel, Lamp, LevelCurve, Startup
from hk_bridge.devices.push_button import Gesture

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
        self.channel.accept(self.channel.write(0.0, on=on, brightness=brightness), 0.0)

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


@pytest.mark.no_cover
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


@pytest.mark.parametrize("gamma", [0.2, 0.5, 1.0, 1.8, 2.2, 5.0])
@pytest.mark.parametrize(("low", "high"), [(None, None), (16, 255), (None, 200), (50, 51)])
def test_with_any_gamma_1_is_visible_100_is_the_top_and_nothing_falls(
    low: int | None, high: int | None, gamma: float
) -> None:
    curve = LevelCurve(low, high, gamma)
    levels = [curve.level(Lamp(on=True, brightness=percent)) for percent in range(1, 101)]
    assert levels == sorted(levels)
    assert levels[0] >= max(low or 0, 1)
    if low is not None:
        assert levels[0] == low
    assert levels[-1] == (high or 255)


def test_a_gamma_gives_the_lower_percents_the_finer_steps() -> None:
    curve = LevelCurve(gamma=2.2)
    levels = [curve.level(Lamp(on=True, brightness=p)) for p in (1, 10, 25, 50, 75, 100)]
    assert levels == [1, 2, 12, 55, 135, 255]
    curve = LevelCurve(20, 200, gamma=2.0)
    levels = [curve.level(Lamp(on=True, brightness=p)) for p in (1, 34, 67, 100)]
    assert levels == [20, 40, 100, 200]


curves = st.builds(
    LevelCurve,
    st.none() | st.integers(0, 100),
    st.none() | st.integers(101, 255),
    st.floats(0.2, 5),
)


@given(curves, percents)
def test_a_level_maps_back_to_the_percent_that_made_it(
    curve: LevelCurve, percent: int
) -> None:
    level = curve.level(Lamp(on=True, brightness=percent))
    # Several may have made it: then it is the one that the lamp had.
    assert curve.percent(level, like=percent) == percent
    back = curve.percent(level)
    assert curve.level(Lamp(on=True, brightness=back)) == level


@given(curves, st.integers(1, 255))
def test_a_level_off_the_curve_is_the_nearest_percent(
    curve: LevelCurve, level: int
) -> None:
    nearest = curve.level(Lamp(on=True, brightness=curve.percent(level)))
    there = {curve.level(Lamp(on=True, brightness=p)) for p in range(1, 101)}
    assert abs(nearest - level) == min(abs(each - level) for each in there)


# A channel ---------------------------------------------------------------------------


def set_to(channel: DimmerChannel, *, on: bool | None = None, to: int | None = None) -> int:
    """The level that a write leads to."""
    change = channel.write(0.0, on=on, brightness=to)
    channel.accept(change, 0.0)
    return change.level


def test_the_level_of_a_new_channel_is_not_known() -> None:
    channel = DimmerChannel()
    assert channel.lamp == Lamp(on=False, brightness=100)
    assert channel.level is None
    assert channel.kept is None


@pytest.mark.parametrize(
    ("startup", "lamp", "level", "assumed"),
    [
        ("restore", Lamp(on=True, brightness=60), 153, 153),
        ("restore", Lamp(brightness=60), 0, 0),
        ("off", Lamp(on=True, brightness=60), 0, 0),
        ("keep", Lamp(on=True, brightness=60), None, 153),
        ("keep", Lamp(brightness=60), None, 0),
    ],
)
def test_what_was_remembered_becomes_what_startup_says(
    startup: Startup, lamp: Lamp, level: int | None, assumed: int
) -> None:
    channel = DimmerChannel(remembered=lamp, startup=startup)
    assert channel.lamp == Lamp(lamp.on and startup != "off", lamp.brightness)
    assert (channel.level, channel.assumed) == (level, assumed)
    assert channel.kept == channel.lamp


def test_a_new_lamp_is_switched_off_only_where_startup_says_so() -> None:
    assert DimmerChannel(startup="restore").level is None
    assert DimmerChannel(startup="keep").level is None
    assert DimmerChannel(startup="off").level == 0


def test_a_channel_follows_what_was_accepted() -> None:
    channel = DimmerChannel(LevelCurve(50, 200))
    assert set_to(channel, on=True) == 200
    assert (channel.lamp.on, channel.level) == (True, 200)
    assert set_to(channel, on=False) == 0
    assert (channel.lamp.on, channel.level) == (False, 0)
    assert channel.kept == Lamp(on=False, brightness=100)


def test_a_change_that_is_not_accepted_changes_nothing() -> None:
    channel = DimmerChannel(LevelCurve(50, 200))
    assert channel.write(0.0, on=True, brightness=1).level == 50
    assert channel.press(Gesture.CLICK) is not None
    assert channel.observe(77).level == 77
    assert (channel.lamp, channel.level) == (Lamp(), None)


def test_a_level_from_elsewhere_is_kept_and_shown_as_a_percent() -> None:
    channel = DimmerChannel(LevelCurve(50, 200))
    for level, lamp in (
        (124, Lamp(on=True, brightness=50)),
        (0, Lamp(on=False, brightness=50)),
        (7, Lamp(on=True, brightness=1)),
        (255, Lamp(on=True, brightness=100)),
    ):
        channel.accept(channel.observe(level), 0.0)
        assert (channel.lamp, channel.level) == (lamp, level)


# A moving slider ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("writes", "slides"),
    [
        # A lone change fades; what follows it soon is a slider, its last one too.
        ([(0.0, None, 50)], [False]),
        ([(0.0, None, 50), (0.05, None, 60), (0.5, None, 61)], [False, True, True]),
        ([(0.0, None, 50), (0.6, None, 60)], [False, False]),
        # Some controllers say "on" with each step.
        ([(0.0, True, 50), (0.1, True, 60)], [False, True]),
        # Down to nothing and up again without letting go.
        ([(0.0, None, 9), (0.1, None, 0), (0.2, None, 9)], [False, True, True]),
        # Switching is no slide, and ends one.
        ([(0.0, None, 50), (0.1, False, None)], [False, False]),
        ([(0.0, None, 50), (0.1, False, 40)], [False, False]),
        ([(0.0, None, 50), (0.1, True, None), (0.2, None, 60)], [False, False, False]),
    ],
)
def test_a_brightness_soon_after_another_one_is_a_slide(
    writes: list[tuple[float, bool | None, int | None]], slides: list[bool]
) -> None:
    channel = DimmerChannel(remembered=Lamp(on=True, brightness=30))
    found = []
    for at, on, brightness in writes:
        change = channel.write(at, on=on, brightness=brightness)
        channel.accept(change, at)
        found.append(change.slide)
    assert found == slides


# A push-button -----------------------------------------------------------------------


def pressed(channel: DimmerChannel, *gestures: Gesture) -> list[Change | None]:
    """The changes of some gestures, each of them accepted."""
    changes = []
    for gesture in gestures:
        change = channel.press(gesture)
        if change is not None:
            channel.accept(change, 0.0)
        changes.append(change)
    return changes


def held(channel: DimmerChannel, steps: int) -> list[int]:
    """The brightness after each step of one hold."""
    gestures = [Gesture.HOLD, *[Gesture.STEP] * (steps - 1)]
    changes = pressed(channel, *gestures)
    return [change.lamp.brightness for change in changes if change is not None]


def test_a_click_toggles_and_keeps_the_brightness() -> None:
    channel = DimmerChannel(remembered=Lamp(on=True, brightness=40))
    pressed(channel, Gesture.CLICK)
    assert (channel.lamp, channel.level) == (Lamp(on=False, brightness=40), 0)
    pressed(channel, Gesture.CLICK)
    assert (channel.lamp, channel.level) == (Lamp(on=True, brightness=40), 102)


def test_each_hold_goes_the_other_way() -> None:
    channel = DimmerChannel(remembered=Lamp(on=True, brightness=50))
    assert held(channel, 3) == [48, 46, 44]
    assert held(channel, 3) == [46, 48, 50]
    assert held(channel, 2) == [48, 46]


def test_after_off_the_next_hold_brightens_from_the_lowest() -> None:
    channel = DimmerChannel(remembered=Lamp(on=True, brightness=50))
    held(channel, 2)
    pressed(channel, Gesture.CLICK)
    assert held(channel, 4) == [1, 3, 5, 7]
    assert channel.lamp.on
    assert held(channel, 2) == [5, 3]


def test_after_on_the_next_hold_darkens_whoever_switched_on() -> None:
    channel = DimmerChannel(remembered=Lamp(on=False, brightness=50))
    pressed(channel, Gesture.CLICK)
    assert held(channel, 2) == [48, 46]
    set_to(channel, on=False)
    set_to(channel, on=True)
    assert held(channel, 1) == [44]


def test_a_hold_ends_at_either_end_and_never_switches_off() -> None:
    channel = DimmerChannel(remembered=Lamp(on=True, brightness=4))
    assert held(channel, 5) == [2, 1]
    assert channel.lamp.on
    channel = DimmerChannel(remembered=Lamp(on=True, brightness=97))
    held(channel, 1)
    assert held(channel, 5) == [97, 99, 100]


def test_from_either_end_a_hold_goes_the_only_way_there_is() -> None:
    channel = DimmerChannel(remembered=Lamp(on=True, brightness=1))
    assert held(channel, 2) == [3, 5]
    channel = DimmerChannel(remembered=Lamp(on=True, brightness=100))
    assert held(channel, 1) == [98]
    set_to(channel, to=100)
    assert held(channel, 1) == [98]


def test_the_steps_of_a_hold_are_a_slide_and_a_click_is_none() -> None:
    channel = DimmerChannel(remembered=Lamp(on=False, brightness=50))
    changes = pressed(channel, Gesture.CLICK, Gesture.HOLD, Gesture.STEP)
    assert [change.slide for change in changes if change] == [False, True, True]


def test_switching_in_between_does_not_turn_a_hold_round() -> None:
    channel = DimmerChannel(remembered=Lamp(on=True, brightness=50))
    held(channel, 2)
    held(channel, 1)
    set_to(channel, on=False)
    set_to(channel, on=True)
    assert [
        change.lamp.brightness for change in pressed(channel, Gesture.STEP) if change
    ] == [50]


def test_a_lamp_that_is_switched_off_while_a_button_is_held_stays_off() -> None:
    channel = DimmerChannel(remembered=Lamp(on=True, brightness=50))
    held(channel, 2)
    set_to(channel, on=False)
    assert pressed(channel, Gesture.STEP) == [None]
    assert not channel.lamp.on


@given(
    st.lists(
        st.sampled_from([*Gesture])
        | st.tuples(st.none() | st.booleans(), st.none() | st.integers(0, 100)),
        max_size=60,
    )
)
def test_whatever_is_done_a_lamp_that_is_on_has_its_level(
    deeds: list[Gesture | tuple[bool | None, int | None]],
) -> None:
    channel = DimmerChannel(LevelCurve(20, 200, 1.8))
    for deed in deeds:
        change = (
            channel.press(deed)
            if isinstance(deed, Gesture)
            else channel.write(0.0, on=deed[0], brightness=deed[1])
        )
        if change is not None:
            assert change.level == channel.level_of(change.lamp)
            assert 1 <= change.lamp.brightness <= 100
            channel.accept(change, 0.0)
            assert channel.kept == change.lamp
