"""What fingers do to a push button, and what bad contacts do."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.devices.push_button import Gesture, PushButton

CLICK, HOLD, STEP = Gesture.CLICK, Gesture.HOLD, Gesture.STEP

#: A time in ms and whether the contact is closed then.
Sample = tuple[int, bool]


def sampled(
    stretches: Iterable[int], each: int = 10, *, closed_first: bool = False
) -> list[Sample]:
    """Samples of a contact that is open, closed, open … for so many ms.

    One is taken `each` so many ms.
    """
    changes = [0, *itertools.accumulate(stretches)]
    return [
        (time, (number % 2 == 1) is not closed_first)
        for number, (begin, end) in enumerate(itertools.pairwise(changes))
        for time in range(-(-begin // each) * each, end, each)
    ]


def gestures(samples: Iterable[Sample]) -> list[tuple[int, Gesture]]:
    """What a new button makes of them, and when."""
    button = PushButton()
    return [
        (time, gesture)
        for time, pressed in samples
        if (gesture := button.feed(time / 1000, pressed)) is not None
    ]


def about(time: int) -> Any:
    """That time, or the sample after it: sums of tenths are not exact."""
    return pytest.approx(time + 5, abs=5)


def kinds(samples: Iterable[Sample]) -> list[Gesture]:
    return [gesture for _, gesture in gestures(samples)]


def test_a_short_press_is_a_click_when_it_is_let_go() -> None:
    assert gestures(sampled([100, 200, 100])) == [(330, CLICK)]


def test_a_press_of_half_a_second_is_a_hold_that_goes_on_each_tenth() -> None:
    assert gestures(sampled([100, 850, 500])) == [
        (600, HOLD),
        (about(700), STEP),
        (about(800), STEP),
        (about(900), STEP),
    ]


def test_a_press_just_short_of_a_hold_is_a_click() -> None:
    assert gestures(sampled([100, 500, 100])) == [(630, CLICK)]
    assert gestures(sampled([100, 501, 100])) == [(600, HOLD)]


def test_letting_go_after_a_hold_is_no_gesture_and_the_next_press_is_one_again() -> None:
    assert kinds(sampled([100, 560, 100, 90, 100, 520, 100])) == [HOLD, CLICK, HOLD]


def test_clicks_in_quick_succession_are_as_many_clicks() -> None:
    assert kinds(sampled([100, *[60, 60] * 5])) == [CLICK] * 5


@pytest.mark.parametrize(
    ("closed", "heard"), [(1, []), (29, []), (30, []), (31, [CLICK]), (60, [CLICK])]
)
def test_what_is_shorter_than_30_ms_is_no_press(closed: int, heard: list[Gesture]) -> None:
    assert kinds(sampled([100, closed, 100], each=1)) == heard


def test_sparks_one_after_the_other_do_not_add_up_to_a_press() -> None:
    assert kinds(sampled([100, *[20, 10] * 50])) == []


def test_a_contact_that_bounces_at_both_ends_is_one_click() -> None:
    bounce = [3, 2, 5, 1, 12, 4]
    assert gestures(sampled([100, *bounce, 200, *bounce, 100], each=1)) == [(384, CLICK)]


def test_a_contact_that_opens_for_a_moment_in_a_hold_goes_on_with_it() -> None:
    assert gestures(sampled([100, 300, 20, 300, 20, 60, 500])) == [
        (600, HOLD),
        (about(700), STEP),
    ]


def test_no_step_comes_while_the_contact_is_open_for_a_moment() -> None:
    assert gestures(sampled([100, 595, 20, 200, 100])) == [
        (600, HOLD),
        (about(720), STEP),
        (about(800), STEP),
        (about(900), STEP),
    ]


def test_letting_go_counts_from_its_beginning() -> None:
    assert kinds(sampled([100, 495, 500])) == [CLICK]


def test_a_button_that_is_stuck_from_the_start_does_nothing() -> None:
    assert kinds(sampled([60_000], closed_first=True)) == []


def test_a_button_that_is_pressed_at_the_start_counts_once_it_was_let_go() -> None:
    assert kinds(sampled([800, 100, 200, 100], closed_first=True)) == [CLICK]


def test_a_stuck_contact_that_opens_for_a_moment_is_still_stuck() -> None:
    assert kinds(sampled([300, 20, 900, 20, 900], closed_first=True)) == []


def test_a_press_right_after_the_first_sample_waits_for_an_open_contact() -> None:
    assert kinds(sampled([10, 900, 100, 100, 100])) == [CLICK]


@pytest.mark.parametrize("later", [1000, 60_000])
def test_after_a_pause_there_is_one_gesture_and_no_burst(later: int) -> None:
    after = [(later + time, True) for time in range(0, 300, 10)]
    assert gestures([*sampled([100, 100]), *after]) == [
        (later, HOLD),
        (about(later + 100), STEP),
        (about(later + 200), STEP),
    ]


def test_a_sample_that_is_a_little_late_does_not_put_off_the_steps_after_it() -> None:
    samples = [sample for sample in sampled([100, 1000]) if not 600 <= sample[0] < 640]
    assert gestures(samples)[:3] == [(640, HOLD), (about(700), STEP), (about(800), STEP)]


def test_steps_that_were_missed_are_made_up_for_by_one() -> None:
    samples = [sample for sample in sampled([100, 1500]) if not 650 <= sample[0] < 975]
    assert gestures(samples)[:4] == [
        (600, HOLD),
        (about(980), STEP),
        (about(1080), STEP),
        (about(1180), STEP),
    ]


def test_a_button_that_was_let_go_during_a_pause_was_clicked_and_not_held() -> None:
    samples = [*sampled([100, 100]), *((time, False) for time in range(5000, 5100, 10))]
    assert gestures(samples) == [(5030, CLICK)]


def test_a_sample_long_after_a_press_began_is_a_hold_at_once() -> None:
    assert gestures([(0, False), (30, False), (100, True), (700, True), (710, True)]) == [
        (700, HOLD)
    ]


def test_samples_of_one_moment_make_a_gesture_once() -> None:
    assert (
        gestures([(0, False), (30, False), *[(100, True)] * 9, *[(130, False)] * 9]) == []
    )
    samples = [each for each in sampled([100, 650, 100, 50, 100]) for _ in range(3)]
    assert kinds(samples) == [HOLD, STEP, CLICK]


# -- whatever the contact does ------------------------------------------------------------

PAUSES = [0, 1, 9, 10, 11, 29, 30, 31, 99, 100, 101, 499, 500, 501, 5000]


@st.composite
def any_samples(draw: st.DrawFn) -> list[Sample]:
    story = draw(st.lists(st.tuples(st.sampled_from(PAUSES), st.booleans()), max_size=80))
    times = itertools.accumulate(pause for pause, _ in story)
    return [(time, pressed) for time, (_, pressed) in zip(times, story, strict=True)]


@given(any_samples())
def test_a_step_comes_only_in_a_hold(samples: list[Sample]) -> None:
    for before, gesture in itertools.pairwise([None, *kinds(samples)]):
        assert gesture is not STEP or before in (HOLD, STEP)


@given(any_samples())
def test_there_are_no_more_gestures_than_there_is_time_for(samples: list[Sample]) -> None:
    heard = gestures(samples)
    for first, last in itertools.combinations(range(len(heard)), 2):
        if all(gesture is STEP for _, gesture in heard[first + 1 : last + 1]):
            # The first of them may be late: those behind it are not put off.
            assert last - first <= (heard[last][0] - heard[first][0]) / 100 + 1
    presses = [time for time, gesture in heard if gesture is not STEP]
    assert all(later - time >= 30 for time, later in itertools.pairwise(presses))


@dataclass(frozen=True)
class Rest:
    """A stretch in which the contact was at rest: from the sample that showed so."""

    began: float
    shown: int
    closed: bool


def rests(samples: list[Sample]) -> list[Rest]:
    """Found the long way: from each sample back over all those before it."""
    found: list[Rest] = []
    for number, (now, closed) in enumerate(samples):
        began = now / 1000
        for time, was_closed in reversed(samples[:number]):
            if was_closed is not closed:
                break
            began = time / 1000
        changes = not found or found[-1].closed is not closed
        if changes and now / 1000 >= began + 0.03:
            found.append(Rest(began, number, closed))
    return found


def expected(samples: list[Sample]) -> list[Gesture]:
    """A hold where a press was still seen after half a second, else a click at its end."""
    said = []
    found = rests(samples)
    for number, press in enumerate(found):
        if not press.closed or number == 0:
            continue  # open, or stuck at the start
        end = found[number + 1].shown if found[number + 1 :] else None
        if any(
            closed and time / 1000 >= press.began + 0.5
            for time, closed in samples[press.shown : end]
        ):
            said.append(HOLD)
        elif end is not None:
            said.append(CLICK)
    return said


@given(any_samples())
def test_each_time_that_the_contact_rests_closed_is_one_click_or_one_hold(
    samples: list[Sample],
) -> None:
    assert [kind for kind in kinds(samples) if kind is not STEP] == expected(samples)


#: For how long it bounces to the new level and back.
bounces = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=3)
presses = st.lists(
    st.tuples(st.one_of(st.integers(60, 420), st.integers(600, 1500)), bounces, bounces),
    max_size=4,
)


@given(presses, st.sampled_from([1, 3, 10]))
def test_a_contact_that_bounces_makes_what_a_clean_one_makes(
    story: list[tuple[int, list[tuple[int, int]], list[tuple[int, int]]]], each: int
) -> None:
    clean, bouncing = [100], [100]
    for closed, closing, opening in story:
        for length, bounce in ((closed, closing), (100, opening)):
            bouncing += [*itertools.chain(*bounce), length]
            clean[-1] += sum(itertools.chain(*bounce))
            clean.append(length)
    made, wanted = (kinds(sampled(contact, each)) for contact in (bouncing, clean))
    assert [kind for kind in made if kind is not STEP] == [
        kind for kind in wanted if kind is not STEP
    ]
    assert wanted.count(CLICK) + wanted.count(HOLD) == len(story)
    # A hold may begin a sample earlier, and no step comes while it bounces at its end.
    assert abs(wanted.count(STEP) - made.count(STEP)) <= wanted.count(HOLD)
