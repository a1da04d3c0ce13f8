"""Copies, late frames and replays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.devices.frame_order import Frame, FrameOrder
from hk_bridge.model import Reading

LIFE = 900.0
NEW, REPEATED, STALE, REPLAYED = Frame


def frame(
    counter: int | None = None,
    form: str = "mibeacon",
    encryption: int | None = None,
    temperature: float = 20.4,
) -> Reading:
    return Reading(
        form,
        None,
        counter,
        values={"temperature": temperature},
        encryption_counter=encryption,
    )


def judged(*frames: tuple[float, Reading]) -> list[Frame]:
    order = FrameOrder()
    return [order.judge(reading, at, LIFE) for at, reading in frames]


def test_the_first_frame_is_new_and_its_copies_are_not() -> None:
    assert judged((0, frame(7)), (1, frame(7)), (2, frame(7)), (3, frame(8))) == [
        NEW,
        REPEATED,
        REPEATED,
        NEW,
    ]


@pytest.mark.parametrize(
    ("last", "counter", "what"),
    [
        (0, 1, NEW),
        (0, 63, NEW),
        (0, 64, STALE),
        (0, 255, STALE),
        (255, 0, NEW),
        (255, 62, NEW),
        (255, 63, STALE),
        (8, 7, STALE),
    ],
)
def test_a_packet_id_within_64_ahead_is_new_and_any_other_one_is_late(
    last: int, counter: int, what: Frame
) -> None:
    first, second = frame(last, "bthome"), frame(counter, "bthome")
    assert judged((0, first), (3.9, second)) == [NEW, what]
    assert judged((0, first), (4.0, second)) == [NEW, NEW]


@pytest.mark.parametrize("form", ["mibeacon", "atc1441", "pvvx"])
def test_a_frame_counter_may_be_any_other_one(form: str) -> None:
    counters = (0, 1, 255, 7, 200, 8)
    assert judged(
        *((float(at), frame(each, form)) for at, each in enumerate(counters))
    ) == ([NEW] * len(counters))


def test_a_frame_that_was_heard_a_moment_ago_is_a_late_copy() -> None:
    seven, eight, nine = (frame(counter, temperature=counter) for counter in (7, 8, 9))
    story = ((0, seven), (1, eight), (2, nine), (4.9, seven), (4.9, eight), (5, nine))
    assert judged(*story) == [NEW, NEW, NEW, STALE, STALE, REPEATED]


def test_after_four_seconds_it_is_no_copy_any_more() -> None:
    assert judged((0, frame(7)), (1, frame(8)), (5.0, frame(7))) == [NEW, NEW, NEW]


def test_another_value_under_a_counter_of_a_moment_ago_is_new() -> None:
    other = frame(7, temperature=21.0)
    assert judged((0, frame(7)), (1, frame(8)), (2, other)) == [NEW, NEW, NEW]


@pytest.mark.no_cover
def test_what_is_remembered_does_not_grow() -> None:
    order = FrameOrder()
    for number in range(100_000):
        order.judge(frame(number % 256), number / 1000, LIFE)
    assert len(order._speakers["mibeacon"]._before) <= 256


def test_copies_do_not_make_a_sensor_that_begins_anew_wait() -> None:
    copies = [(float(at), frame(200, "bthome")) for at in range(1, 100)]
    assert judged((0, frame(200, "bthome")), *copies, (99.5, frame(3, "bthome")))[-1] is NEW


def test_a_counter_comes_round_once_values_of_its_frame_have_died() -> None:
    assert judged((0, frame(7)), (899, frame(7)), (1798, frame(7)), (2698, frame(7))) == [
        NEW,
        REPEATED,
        REPEATED,
        NEW,
    ]


def test_formats_count_each_by_themselves() -> None:
    assert judged(
        (0, frame(7)), (1, frame(3, "pvvx")), (2, frame(7)), (3, frame(3, "pvvx"))
    ) == [NEW, NEW, REPEATED, REPEATED]


def test_without_a_counter_what_says_the_same_is_a_copy() -> None:
    assert judged(
        (0, frame(None, "bthome")),
        (100, frame(None, "bthome")),
        (200, frame(None, "bthome", temperature=20.5)),
        (201, frame(None, "bthome")),
    ) == [NEW, REPEATED, NEW, NEW]


# Replays -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "counter", "what"),
    [
        (1000, 1001, NEW),
        (1000, 2**32 - 1, NEW),
        (1000, 1000, STALE),
        (1000, 999, REPLAYED),
        (1000, 100, REPLAYED),
        (1000, 99, NEW),
        (1000, 0, NEW),
        (50, 51, NEW),
        (50, 50, STALE),
        (50, 49, NEW),
        (0, 0, STALE),
    ],
)
def test_an_encryption_counter_must_grow_or_begin_anew(
    last: int, counter: int, what: Frame
) -> None:
    first, second = (frame(None, "bthome", each) for each in (last, counter))
    # However long ago the first one was: whoever replays can wait.
    for at in (1.0, 1e6):
        assert judged((0, first), (at, second)) == [NEW, what]


def test_a_sealed_frame_counts_once_whatever_its_packet_id() -> None:
    # A packet id may stand still; somebody may send the same frame for hours.
    first, second = (frame(7, "bthome", each) for each in (1000, 1001))
    story = [(0.0, first), (1.0, second), *((600.0 * n, second) for n in range(1, 100))]
    assert judged(*story) == [NEW, NEW, *[STALE] * 99]


def test_a_sealed_frame_that_comes_late_is_no_replay() -> None:
    frames = [frame(None, "bthome", each) for each in (1000, 1001, 1002)]
    story = (
        (0, frames[0]),
        (1, frames[1]),
        (2, frames[2]),
        (2.5, frames[0]),
        (9, frames[0]),
    )
    assert judged(*story) == [NEW, NEW, NEW, STALE, REPLAYED]


def test_an_equal_counter_with_other_values_is_new_after_four_seconds() -> None:
    frames = [
        frame(7, form, temperature=t) for form in ("mibeacon", "bthome") for t in (1, 2)
    ]
    for first, second in (frames[:2], frames[2:]):
        assert judged((0, first), (3.9, second)) == [NEW, STALE]
        assert judged((0, first), (4.0, second)) == [NEW, NEW]


def test_a_replay_does_not_move_the_counter() -> None:
    order = FrameOrder()
    said = [
        order.judge(frame(None, "bthome", counter), 0.0, LIFE)
        for counter in (1000, 500, 501, 1000, 1001)
    ]
    assert said == [NEW, REPLAYED, REPLAYED, STALE, NEW]


@given(st.lists(st.integers(100, 300), max_size=40))
def test_no_encrypted_frame_counts_twice(counters: list[int]) -> None:
    order = FrameOrder()
    new = [
        counter
        for counter in counters
        if order.judge(frame(None, "bthome", counter), 0.0, LIFE) is NEW
    ]
    assert new == sorted(set(new))


@given(
    st.lists(
        st.tuples(st.floats(0, 10), st.none() | st.integers(0, 255), st.booleans()),
        max_size=30,
    )
)
def test_any_story_has_an_end_in_which_the_sensor_is_heard(
    story: list[tuple[float, int | None, bool]],
) -> None:
    # Nothing that somebody sends shuts a sensor out for longer than four seconds.
    order, now = FrameOrder(), 0.0
    for pause, counter, repeats in story:
        now += pause
        for _ in range(1 + repeats):
            order.judge(frame(counter, "bthome"), now, LIFE)
    assert order.judge(frame(77, "bthome", temperature=21.0), now + 4.0, LIFE) in {
        NEW,
        REPEATED,
    }
