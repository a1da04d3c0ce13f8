"""What a line carries next, and when: the newest levels, at the line's own pace.

Pure: time is an argument, in seconds of any clock that never goes back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from hk_bridge.protocols.wxdm2 import WXDM2, FrameProtocol, LevelFrame, wire_time

#: A frame is sent again that long after it, or after its last copy.
REPEAT_SECONDS: Final = 0.1

#: What is asked for so close together is one request: it is sent in its order.
_TOGETHER_SECONDS: Final = 0.001

_NEVER: Final = math.inf
_MOST_CHANNELS: Final = 2


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How frames go out on one line.

    `ramp` is the raw u16 of frames that switch, `slide_ramp` of those that follow a
    slider. The last frame of a burst is sent again `repeat` times, and every level each
    `refresh` seconds, 0 for never. Between two frames the line is quiet for `pause`
    seconds at least, None for as long as the protocol wants.
    """

    protocol: FrameProtocol = WXDM2
    baudrate: int = 9600
    ramp: int = 1500
    slide_ramp: int = 0
    repeat: int = 1
    refresh: float = 60.0
    pause: float | None = None

    def time_of(self, data: bytes) -> float:
        """For how long the line is taken by `data`, in seconds."""
        pause = self.protocol.pause if self.pause is None else self.pause
        return wire_time(len(data), self.baudrate) + pause


@dataclass(slots=True)
class _Channel:
    """What is to be sent of one channel: `again` more times, the next at `due`.

    `taken` is when it was last sent, `asked` when its turn began.
    """

    level: int = 0
    ramp: int = 0
    again: int = 0
    due: float = _NEVER
    taken: float = -_NEVER
    asked: float = -_NEVER


class LineSchedule:
    """The frames of one line, one after the other.

    A channel has its turn once it has something new, something to be sent again, or has
    not been sent for long; then it is sent as it is at that moment. Of those who have
    their turn, the one comes first that was not sent for longest, so that neither can keep
    the other out.
    """

    def __init__(self, settings: LineSettings) -> None:
        self._settings = settings
        self._channels = {number: _Channel() for number in settings.protocol.channels}
        self._turns: list[int] = []
        self._hello = b""
        self.free_at = -_NEVER

    @property
    def due(self) -> float:
        """When `take` has a frame, which may be in the past; infinity for never."""
        if self._hello or self._turns:
            return self.free_at
        return max(self.free_at, min(each.due for each in self._channels.values()))

    @property
    def is_settled(self) -> bool:
        """Whether all that was submitted has been taken, as often as it should be."""
        return not (
            self._hello
            or self._turns
            or any(each.again for each in self._channels.values())
        )

    def assume(self, channel: int, level: int) -> None:
        """Take `channel` for being at `level`, for the frames of the other one."""
        self._channels[channel].level = level

    def forget(self, channel: int) -> None:
        """Send nothing of `channel` by itself any more, but in the frames of the other."""
        known = self._channels[channel]
        known.again, known.due = 0, _NEVER
        if channel in self._turns:
            self._turns.remove(channel)

    def submit(self, channel: int, level: int, ramp: int, now: float) -> None:
        """Have `channel` set to `level` (0–255) with `ramp`; the newest wins."""
        wanted = self._channels[channel]
        wanted.level, wanted.ramp = level, ramp
        wanted.again, wanted.due = self._settings.repeat, _NEVER
        if channel not in self._turns:
            self._begin_turn(channel, now)

    def restart(self) -> None:
        """Begin anew on a port that was opened: nothing is left to be sent but a hello."""
        self._hello = self._settings.protocol.hello
        self._turns.clear()
        self.free_at = -_NEVER
        for each in self._channels.values():
            each.again, each.due = 0, _NEVER

    def take(self, now: float) -> bytes | None:
        """The bytes to write at once, which then take the line; None for nothing."""
        if now < self.free_at:
            return None
        if self._hello:
            data, self._hello = self._hello, b""
            self.free_at = now + self._settings.time_of(data)
            return data
        self._give_turns(now)
        if not self._turns:
            return None
        number = self._end_turn()
        channel = self._channels[number]
        levels = [each.level for each in self._channels.values()]
        first, second = (*levels, *[0] * (_MOST_CHANNELS - len(levels)))
        frame = LevelFrame(number, (first, second), channel.ramp)
        data = frame.to_bytes(self._settings.protocol)
        # From now on and not from when the line was free: so a clock of the line that is
        # a little slower than ours never leaves frames waiting in the system.
        self.free_at = now + self._settings.time_of(data)
        channel.taken = now
        self._plan(channel, now)
        return data

    def _give_turns(self, now: float) -> None:
        for number, channel in self._channels.items():
            if channel.due <= now:
                channel.again = max(channel.again - 1, 0)
                channel.due = _NEVER
                self._begin_turn(number, now)

    def _begin_turn(self, number: int, now: float) -> None:
        self._channels[number].asked = now
        self._turns.append(number)

    def _end_turn(self) -> int:
        """Whose frame it is.

        Not always that of who asked first: it may be the one that was sent just before,
        while the level of the other one grows old.
        """
        turns = {number: self._channels[number] for number in self._turns}
        asked = [channel.asked for channel in turns.values()]
        number = self._turns[0]
        if asked[-1] - asked[0] > _TOGETHER_SECONDS:
            number = min(turns, key=lambda each: turns[each].taken)
        self._turns.remove(number)
        return number

    def _plan(self, channel: _Channel, now: float) -> None:
        """When `channel`, which is sent `now`, is to be sent again."""
        if channel.again:
            channel.due = now + REPEAT_SECONDS
        elif self._settings.refresh:
            channel.due = now + self._settings.refresh
