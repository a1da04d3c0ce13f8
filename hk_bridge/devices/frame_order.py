"""Which frames of a sensor bring something new: copies, late ones and replays do not.

Source: docs/sensors.md, "Copies, late frames and replays".
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from hk_bridge.model import Reading

#: Two receivers may hand over the same frame some time apart.
_LATE_SECONDS: Final = 4.0

#: Formats whose counter, within that time of the last new frame, is less than so many
#: ahead, or the frame is late. In the others only a frame that was heard before is.
_AHEAD: Final = {"bthome": 64}
_COUNTERS: Final = 256

#: A sensor that begins anew counts from near zero: below this, the encryption counter may
#: fall.
_RESTARTED: Final = 100


class Frame(Enum):
    """What a frame is to its sensor.

    `NEW` brings values. `REPEATED` is the last one again, and shows that the sensor lives.
    `STALE` shows nothing: it is late, or sealed, and anybody could send it again.
    `REPLAYED` is a sealed one from before the last.
    """

    NEW = auto()
    REPEATED = auto()
    STALE = auto()
    REPLAYED = auto()


class FrameOrder:
    """Remembers the last frames of each format that one sensor speaks."""

    def __init__(self) -> None:
        self._speakers: dict[str, _Speaker] = {}

    def judge(self, reading: Reading, at: float, life: float) -> Frame:
        """What `reading` is, heard `at`; values live for `life` seconds.

        After that time a copy is none any more: the counter has come round.
        """
        speaker = self._speakers.get(reading.format)
        if speaker is None:
            self._speakers[reading.format] = _Speaker(reading, at)
            return Frame.NEW
        return speaker.judge(reading, at, life)


class _Speaker:
    """What was heard in one format: the last new frame, and those just before it."""

    def __init__(self, reading: Reading, at: float) -> None:
        self._last = reading
        self._first = self._heard = at
        self._sealed = reading.encryption_counter
        self._before: dict[int, tuple[Reading, float]] = {}

    def judge(self, reading: Reading, at: float, life: float) -> Frame:
        """What `reading` is behind all these."""
        sealed = reading.encryption_counter
        frame = (
            self._judge_open(reading, at, life)
            if sealed is None or self._sealed is None
            else self._judge_sealed(reading, sealed, self._sealed, at)
        )
        self._heard = at
        if frame is Frame.NEW:
            self._remember(at)
            self._last, self._first = reading, at
            self._sealed = self._sealed if sealed is None else sealed
        return frame

    def _judge_sealed(self, reading: Reading, sealed: int, last: int, at: float) -> Frame:
        """By the one counter that nobody else can move on."""
        if sealed > last or sealed < min(last, _RESTARTED):
            return Frame.NEW
        is_copy = sealed == last or self._was_before(reading, sealed, at)
        return Frame.STALE if is_copy else Frame.REPLAYED

    def _judge_open(self, reading: Reading, at: float, life: float) -> Frame:
        counter, last = reading.counter, self._last.counter
        if reading == self._last:
            is_copy = counter is None or at < self._heard + life
            return Frame.REPEATED if is_copy else Frame.NEW
        if counter is None or last is None:
            return Frame.NEW
        is_now = at < self._first + _LATE_SECONDS
        if counter == last:
            # A counter that stands still, or has come round, is no reason to keep an old
            # value; but two frames of one moment have no reason to differ.
            return Frame.STALE if is_now else Frame.NEW
        window = _AHEAD.get(reading.format)
        if window is None:
            is_late = self._was_before(reading, counter, at)
        else:
            is_late = is_now and (counter - last) % _COUNTERS >= window
        return Frame.STALE if is_late else Frame.NEW

    def _was_before(self, reading: Reading, counter: int, at: float) -> bool:
        """Whether it was heard a moment ago already, and has taken another way since."""
        before, until = self._before.get(counter, (None, at))
        return at < until and reading == before

    def _remember(self, at: float) -> None:
        """Keep the last frame for as long as a copy of it may be late."""
        last = self._last
        counter = (
            last.counter if last.encryption_counter is None else last.encryption_counter
        )
        if counter is None:
            return
        if self._before:
            self._before = {
                number: kept for number, kept in self._before.items() if at < kept[1]
            }
        self._before[counter] = (last, at + _LATE_SECONDS)
