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
        self._encryption_counter: int | None = None
        self._speakers: dict[str, _Speaker] = {}

    def judge(self, reading: Reading, at: float, life: float) -> Frame:
        """What `reading` is, heard `at`; values live for `life` seconds.

        After that time an equal counter is no copy: it has come round.
        """
        sealed, last = reading.encryption_counter, self._encryption_counter
        if (
            sealed is not None
            and last is not None
            and min(last, _RESTARTED) <= sealed <= last
        ):
            return Frame.STALE if sealed == last else Frame.REPLAYED
        speaker = self._speakers.get(reading.format)
        if speaker is None:
            self._speakers[reading.format] = _Speaker(reading, at)
            frame = Frame.NEW
        else:
            frame = speaker.judge(reading, at, life)
        if frame is Frame.NEW and sealed is not None:
            self._encryption_counter = sealed
        return frame


class _Speaker:
    """What was heard in one format: the last new frame, and those just before it."""

    def __init__(self, reading: Reading, at: float) -> None:
        self._last = reading
        self._first = self._heard = at
        self._before: dict[int, tuple[Reading, float]] = {}

    def judge(self, reading: Reading, at: float, life: float) -> Frame:
        """What `reading` is behind all these."""
        is_recent, self._heard = at < self._heard + life, at
        counter, last = reading.counter, self._last.counter
        if counter is None or last is None:
            is_copy = reading == self._last
        else:
            is_copy = counter == last and is_recent
            if not is_copy and self._is_late(reading, counter, last, at):
                return Frame.STALE
        if is_copy:
            return Frame.REPEATED
        self._remember(at)
        self._last, self._first = reading, at
        return Frame.NEW

    def _is_late(self, reading: Reading, counter: int, last: int, at: float) -> bool:
        """Whether it is older than the last one, and has taken another way."""
        window = _AHEAD.get(reading.format)
        if window is not None:
            is_behind = (counter - last) % _COUNTERS >= window
            return is_behind and at < self._first + _LATE_SECONDS
        before, until = self._before.get(counter, (None, at))
        return at < until and reading == before

    def _remember(self, at: float) -> None:
        """Keep the last frame for as long as a copy of it may be late."""
        if self._last.counter is None:
            return
        if self._before:
            self._before = {
                counter: kept for counter, kept in self._before.items() if at < kept[1]
            }
        self._before[self._last.counter] = (self._last, at + _LATE_SECONDS)
