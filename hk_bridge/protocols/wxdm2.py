"""The level frame of WXDM2-type dual dimmers.

Source: docs/protocols/wxdm2.md. One way, no checksum, no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hk_bridge.errors import DecodeError

CHANNELS: Final = (1, 2)
FRAME_LENGTH: Final = 9

_LEAD: Final = b"\x0a"
_SYNC: Final = b"\xff\x55"
_END: Final = b"\x0a"
_CORE_LENGTH: Final = 8

#: One start bit, eight data bits, one stop bit.
_BITS_PER_BYTE: Final = 10


@dataclass(frozen=True, slots=True)
class LevelFrame:
    """``0A FF 55 id L1 L2 ramp ramp 0A``.

    `channel` (1 or 2) is the one that changes, `levels` are the last levels of both
    (0–255 each, 0 is off), `ramp` is the raw u16 of the frame: 0 is at once, 1500 what
    the maker sends for switching.
    """

    channel: int
    levels: tuple[int, int]
    ramp: int

    @classmethod
    def from_bytes(cls, data: bytes) -> LevelFrame:
        """One frame, with or without the leading 0A.

        Raises DecodeError for anything else.
        """
        core = data.removeprefix(_LEAD)
        if len(core) != _CORE_LENGTH or not core.startswith(_SYNC) or core[-1:] != _END:
            raise DecodeError(f"not a level frame: {data[:16].hex(' ')}")
        if core[2] not in CHANNELS:
            raise DecodeError(f"a level frame for channel {core[2]}, there are 1 and 2")
        return cls(core[2], (core[3], core[4]), int.from_bytes(core[5:7], "big"))

    def to_bytes(self) -> bytes:
        """The nine bytes for the wire."""
        body = bytes([self.channel, *self.levels]) + self.ramp.to_bytes(2, "big")
        return _LEAD + _SYNC + body + _END


def wire_time(length: int, baudrate: int) -> float:
    """Seconds that `length` bytes take on a line with 8N1 framing."""
    return length * _BITS_PER_BYTE / baudrate


class FrameHunter:
    """Finds level frames in a stream that may hold anything, as a board does.

    Every byte is looked at once as the possible start of a frame, so damage costs at
    most the frames that it touches. Keeps less than one frame between calls.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[LevelFrame]:
        """The frames that `data` completes, in order."""
        frames = []
        stream = self._rest + data
        start = stream.find(_SYNC)
        while 0 <= start <= len(stream) - _CORE_LENGTH:
            try:
                frames.append(LevelFrame.from_bytes(stream[start : start + _CORE_LENGTH]))
                start += _CORE_LENGTH
            except DecodeError:
                start += 1
            start = stream.find(_SYNC, start)
        self._rest = stream[start:] if start >= 0 else stream[-1:]
        return frames
