"""What a line carries next, in virtual time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.links.line_schedule import REPEAT_SECONDS, LineSchedule, LineSettings
from hk_bridge.protocols.wxdm2 import GIRIER, QS_D01, LevelFrame

#: Nine bytes of ten bits at 9600 baud.
FRAME = 0.009375

RAMP = 1500

#: Without copies and without refresh: what was submitted, and no more.
BARE = LineSettings(repeat=0, refresh=0)


def sent(
    schedule: LineSchedule, until: float, begin: float = 0.0
) -> list[tuple[float, LevelFrame]]:
    """Everything that goes out until then, each as soon as it may."""
    frames, now = [], begin
    while (now := max(now, schedule.due)) <= until:
        data = schedule.take(now)
        assert data is not None
        frames.append((now, LevelFrame.from_bytes(data)))
    return frames


def levels(frames: Iterable[tuple[float, LevelFrame]]) -> list[tuple[int, int]]:
    return [(frame.channel, frame.levels[frame.channel - 1]) for _, frame in frames]


def test_nothing_is_due_on_a_line_that_nobody_wants_anything_of() -> None:
    schedule = LineSchedule(LineSettings())
    assert schedule.due == math.inf
    assert schedule.is_settled
    assert schedule.take(1e9) is None


def test_the_first_change_of_a_quiet_line_leaves_at_once() -> None:
    schedule = LineSchedule(LineSettings())
    schedule.submit(1, 40, RAMP, 0.0)
    assert schedule.due <= 0.0
    assert schedule.take(0.0) == bytes.fromhex("0A FF 55 01 28 00 05 DC 0A")


def test_the_newest_level_wins_and_leaves_once_the_line_is_free() -> None:
    schedule = LineSchedule(BARE)
    schedule.submit(1, 10, RAMP, 0.0)
    assert schedule.take(0.0) is not None
    for level in range(11, 60):
        schedule.submit(1, level, 0, 0.0)
        assert schedule.take(FRAME * 0.99) is None
    assert schedule.due == FRAME
    assert levels(sent(schedule, 1.0)) == [(1, 59)]
    assert schedule.due == math.inf


def test_frames_go_back_to_back_and_no_faster() -> None:
    schedule = LineSchedule(BARE)
    times = []
    now = 0.0
    for level in range(1, 101):
        schedule.submit(1, level, 0, 0.0)
        now = max(now, schedule.due)
        assert schedule.take(now) is not None
        times.append(now)
    assert times == pytest.approx([FRAME * n for n in range(100)])


def test_time_that_was_lost_is_not_made_good() -> None:
    schedule = LineSchedule(BARE)
    schedule.submit(1, 1, 0, 0.0)
    schedule.take(0.0)
    schedule.submit(1, 2, 0, 0.0)
    schedule.take(0.010)
    assert schedule.free_at == pytest.approx(0.010 + FRAME)


def test_a_flood_of_one_channel_does_not_keep_the_other_one_out() -> None:
    schedule = LineSchedule(BARE)
    schedule.submit(1, 1, 0, 0.0)
    schedule.take(0.0)
    schedule.submit(1, 2, 0, 0.002)
    schedule.submit(2, 200, 0, 0.005)
    schedule.submit(1, 3, 0, 0.008)
    assert levels(sent(schedule, 1.0)) == [(2, 200), (1, 3)]


def test_what_is_asked_for_at_once_is_sent_in_its_order() -> None:
    schedule = LineSchedule(BARE)
    schedule.submit(1, 1, 0, 0.0)
    schedule.take(0.0)
    schedule.submit(1, 100, 0, 0.002)
    schedule.submit(2, 200, 0, 0.0021)
    assert levels(sent(schedule, 1.0)) == [(1, 100), (2, 200)]


def test_two_floods_take_turns() -> None:
    schedule = LineSchedule(BARE)
    channels, now = [], 0.0
    for level in range(1, 101):
        schedule.submit(1, level, 0, now)
        schedule.submit(2, level, 0, now)
        now = max(now, schedule.due)
        data = schedule.take(now)
        assert data is not None
        channels.append(LevelFrame.from_bytes(data).channel)
    assert channels == [1, 2] * 50


def test_a_frame_carries_the_last_level_of_the_other_channel() -> None:
    schedule = LineSchedule(BARE)
    schedule.assume(2, 77)
    schedule.submit(1, 10, RAMP, 0.0)
    schedule.submit(2, 20, RAMP, 0.0)
    first, second = (frame for _, frame in sent(schedule, 1.0))
    assert (first.levels, second.levels) == ((10, 20), (10, 20))
    other = LineSchedule(BARE)
    other.assume(2, 77)
    other.submit(1, 10, RAMP, 0.0)
    assert sent(other, 1.0)[0][1].levels == (10, 77)


def test_what_is_assumed_is_never_sent() -> None:
    schedule = LineSchedule(LineSettings())
    schedule.assume(1, 77)
    assert schedule.due == math.inf


# Again -------------------------------------------------------------------------------


@pytest.mark.parametrize("repeat", [0, 1, 3])
def test_the_last_frame_of_a_burst_is_sent_again(repeat: int) -> None:
    schedule = LineSchedule(LineSettings(repeat=repeat, refresh=0))
    for level in (10, 20, 30):
        schedule.submit(1, level, 0, 0.0)
    frames = sent(schedule, 10.0)
    assert [at for at, _ in frames] == pytest.approx(
        [REPEAT_SECONDS * n for n in range(repeat + 1)]
    )
    assert {frame for _, frame in frames} == {LevelFrame(1, (30, 0), 0)}
    assert schedule.is_settled


def test_a_moving_slider_has_no_copies_but_of_its_last_frame() -> None:
    schedule = LineSchedule(LineSettings(refresh=0))
    frames = []
    for step in range(20):
        at = step * 0.05
        frames += sent(schedule, at, at - 0.05)
        schedule.submit(1, step + 1, 0, 0.0)
    frames += sent(schedule, 5.0, 0.95)
    assert levels(frames) == [(1, n) for n in range(1, 21)] + [(1, 20)]


def test_a_copy_waits_for_its_turn_and_gets_it_in_a_flood_of_the_other_channel() -> None:
    schedule = LineSchedule(LineSettings(refresh=0))
    schedule.submit(2, 200, RAMP, 0.0)
    schedule.take(0.0)
    now, frames = FRAME, []
    for step in range(30):
        schedule.submit(1, step + 1, 0, now)
        now = max(now, schedule.due)
        data = schedule.take(now)
        assert data is not None
        frames.append((now, LevelFrame.from_bytes(data)))
    copies = [at for at, frame in frames if frame.channel == 2]
    assert len(copies) == 1
    assert REPEAT_SECONDS <= copies[0] <= REPEAT_SECONDS + 2 * FRAME


def test_a_copy_is_the_same_frame_with_the_same_ramp() -> None:
    schedule = LineSchedule(LineSettings(refresh=0))
    schedule.submit(1, 5, 700, 0.0)
    assert [frame.ramp for _, frame in sent(schedule, 1.0)] == [700, 700]


def test_a_change_takes_the_place_of_a_copy_that_is_due() -> None:
    schedule = LineSchedule(LineSettings(repeat=1, refresh=0))
    schedule.submit(1, 5, 0, 0.0)
    schedule.take(0.0)
    schedule.submit(1, 6, 0, 0.15)
    frames = sent(schedule, 5.0, 0.15)
    assert [at for at, _ in frames] == pytest.approx([0.15, 0.25])
    assert levels(frames) == [(1, 6), (1, 6)]


def test_every_known_level_is_sent_each_refresh() -> None:
    schedule = LineSchedule(LineSettings(repeat=0, refresh=60))
    schedule.submit(1, 5, 0, 0.0)
    assert [at for at, _ in sent(schedule, 200.0)] == pytest.approx([0, 60, 120, 180])
    schedule.submit(2, 0, 0, 0.0)
    frames = sent(schedule, 310.0, 200.0)
    assert levels(frames) == [(2, 0), (1, 5), (2, 0), (1, 5)]


def test_a_change_puts_the_refresh_off() -> None:
    schedule = LineSchedule(LineSettings(repeat=0, refresh=60))
    schedule.submit(1, 5, 0, 0.0)
    sent(schedule, 59.0)
    schedule.submit(1, 6, 0, 0.0)
    frames = sent(schedule, 130.0, 59.0)
    assert [at for at, _ in frames] == pytest.approx([59, 119])


def test_without_refresh_nothing_follows_the_copies() -> None:
    schedule = LineSchedule(LineSettings(refresh=0))
    schedule.submit(1, 5, 0, 0.0)
    assert len(sent(schedule, 1e6)) == 2
    assert schedule.due == math.inf


# A port that was opened anew ---------------------------------------------------------


def test_after_an_opening_nothing_of_before_is_left_to_be_sent() -> None:
    schedule = LineSchedule(LineSettings())
    schedule.submit(1, 5, 0, 0.0)
    schedule.take(0.0)
    schedule.submit(2, 6, 0, 0.0)
    schedule.restart()
    assert schedule.is_settled
    assert schedule.due == math.inf


def test_a_port_that_was_opened_anew_is_free_at_once() -> None:
    schedule = LineSchedule(LineSettings(baudrate=50))
    schedule.submit(1, 5, 0, 0.0)
    schedule.take(0.0)
    schedule.restart()
    schedule.submit(1, 6, 0, 0.1)
    assert schedule.take(0.1) is not None


def test_a_hello_comes_first_and_once() -> None:
    schedule = LineSchedule(LineSettings(protocol=GIRIER, repeat=0, refresh=0))
    schedule.restart()
    schedule.submit(1, 255, RAMP, 0.0)
    assert not schedule.is_settled
    assert schedule.take(0.0) == GIRIER.hello
    at = schedule.due
    assert at == pytest.approx(0.1 + 12 * 10 / 9600)
    assert schedule.take(at) == bytes.fromhex("00 00 FF 55 01 FF 00 05 DC 0A 00 00")
    assert schedule.due == math.inf


@pytest.mark.parametrize(("pause", "gap"), [(None, 0.1), (0.0, 0.0), (0.25, 0.25)])
def test_a_pause_is_quiet_between_two_frames(pause: float | None, gap: float) -> None:
    schedule = LineSchedule(LineSettings(protocol=GIRIER, repeat=0, refresh=0, pause=pause))
    schedule.submit(1, 1, 0, 0.0)
    schedule.submit(2, 2, 0, 0.0)
    data = schedule.take(0.0)
    assert data is not None
    assert schedule.due == pytest.approx(len(data) * 10 / 9600 + gap)


def test_a_board_with_one_channel_has_frames_with_one_level() -> None:
    schedule = LineSchedule(LineSettings(protocol=QS_D01))
    schedule.submit(1, 128, RAMP, 0.0)
    assert schedule.take(0.0) == bytes.fromhex("FF 55 80 05 DC 0A")
    assert schedule.due == pytest.approx(REPEAT_SECONDS)


# Whatever comes ----------------------------------------------------------------------

writes = st.lists(
    st.tuples(st.floats(0, 0.3), st.sampled_from([1, 2]), st.integers(0, 255)),
    max_size=40,
)


@given(writes, st.integers(0, 3), st.sampled_from([0.0, 0.5, 60.0]), st.floats(0, 0.05))
def test_whatever_is_submitted_the_line_ends_at_the_newest_levels_within_its_rate(
    events: list[tuple[float, int, int]], repeat: int, refresh: float, pause: float
) -> None:
    settings = LineSettings(repeat=repeat, refresh=refresh, pause=pause)
    schedule = LineSchedule(settings)
    now, wanted, frames = 0.0, {}, []
    for wait, channel, level in events:
        now += wait
        frames += sent(schedule, now, now - wait)
        schedule.submit(channel, level, 0, now)
        wanted[channel] = level
    frames += sent(schedule, now + 5.0, now)
    assert dict(levels(frames)) == wanted
    assert schedule.is_settled
    begins = [at for at, _ in frames]
    gaps = [later - earlier for earlier, later in itertools.pairwise(begins)]
    assert all(gap >= FRAME + pause - 1e-9 for gap in gaps)
    if refresh == 0:
        # Each channel ends with its copies, and has at most as many frames as writes.
        assert len(frames) <= (1 + repeat) * len(events)


def test_a_channel_that_is_forgotten_goes_out_in_the_frames_of_the_other_alone() -> None:
    schedule = LineSchedule(LineSettings(repeat=2, refresh=60))
    schedule.submit(1, 40, RAMP, 0.0)
    schedule.submit(2, 90, RAMP, 0.0)
    sent(schedule, 1.0)
    schedule.submit(2, 91, RAMP, 1.0)
    schedule.forget(2)
    frames = sent(schedule, 200.0, begin=1.0)
    assert {frame.channel for _, frame in frames} == {1}
    assert {frame.levels for _, frame in frames} == {(40, 91)}
    # It may come back.
    schedule.submit(2, 10, RAMP, 200.0)
    assert (2, 10) in levels(sent(schedule, 201.0, begin=200.0))
