"""The level frame of WXDM2-type dual dimmers, and its relatives.

Source: docs/protocols/wxdm2.md. One way, no checksum, no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hk_bridge.errors import DecodeError

_SYNC: Final = b"\xff\x55"
_RAMP_LENGTH: Final = 2
_END: Final = b"\x0a"

#: One start bit, eight data bits, one stop bit.
_BITS_PER_BYTE: Final = 10


@dataclass(frozen=True, slots=True)
class FrameProtocol:
    """How one kind of board wants its frames.

    Between `lead` and `tail` stands the core, ``FF 55 … ramp ramp 0A``. It names the
    channel and has the levels of both where there are two `channels`, and one level
    alone where there is one. `pause` is how long the line has to be quiet between two
    frames, in seconds. `hello` goes out once after the port was opened, and is followed
    by a frame for each channel.
    """

    name: str
    channels: tuple[int, ...]
    lead: bytes
    tail: bytes = b""
    pause: float = 0.0
    hello: bytes = b""

    @property
    def core_length(self) -> int:
        """Bytes from FF 55 to 0A."""
        levels = len(self.channels)
        channel = 1 if levels > 1 else 0
        return len(_SYNC) + channel + levels + _RAMP_LENGTH + len(_END)


WXDM2: Final = FrameProtocol("wxdm2", (1, 2), lead=b"\x0a")
GIRIER: Final = FrameProtocol(
    "girier",
    (1, 2),
    lead=b"\x00\x00",
    tail=b"\x00\x00",
    pause=0.1,
    hello=bytes.fromhex("55 AA 00 FE 00 05 03 03 FF 03 FF 09"),
)
QS_D01: Final = FrameProtocol("qs-d01", (1,), lead=b"")

#: By the name that stands in accessories.json.
PROTOCOLS: Final[Mapping[str, FrameProtocol]] = MappingProxyType(
    {protocol.name: protocol for protocol in (WXDM2, GIRIER, QS_D01)}
)


@dataclass(frozen=True, slots=True)
class LevelFrame:
    """``FF 55 id L1 L2 ramp ramp 0A``, or ``FF 55 L ramp ramp 0A``.

    `channel` (1 or 2) is the one that changes, `levels` are the last levels of both
    (0–255 each, 0 is off), `ramp` is the raw u16 of the frame: 0 is at once, 1500 what
    the maker sends for switching.
    """

    channel: int
    levels: tuple[int, int]
    ramp: int

    @classmethod
    def from_bytes(cls, data: bytes, protocol: FrameProtocol = WXDM2) -> LevelFrame:
        """One frame, with or without what may stand before and behind its core.

        Raises DecodeError for anything else.
        """
        core = data.removeprefix(protocol.lead)
        if len(core) > protocol.core_length:
            core = core.removesuffix(protocol.tail)
        if (
            len(core) != protocol.core_length
            or not core.startswith(_SYNC)
            or not core.endswith(_END)
        ):
            raise DecodeError(f"not a level frame: {data[:16].hex(' ')}")
        *head, high, low = core[len(_SYNC) : -len(_END)]
        ramp = int.from_bytes((high, low), "big")
        if len(head) == 1:
            return cls(protocol.channels[0], (head[0], 0), ramp)
        channel, first, second = head
        if channel not in protocol.channels:
            raise DecodeError(f"a level frame for channel {channel}, there are 1 and 2")
        return cls(channel, (first, second), ramp)

    def to_bytes(self, protocol: FrameProtocol = WXDM2) -> bytes:
        """The bytes for the wire."""
        is_alone = len(protocol.channels) == 1
        head = self.levels[:1] if is_alone else (self.channel, *self.levels)
        core = _SYNC + bytes(head) + self.ramp.to_bytes(_RAMP_LENGTH, "big") + _END
        return protocol.lead + core + protocol.tail


def wire_time(length: int, baudrate: int) -> float:
    """Seconds that `length` bytes take on a line with 8N1 framing."""
    return length * _BITS_PER_BYTE / baudrate


class FrameHunter:
    """Finds level frames in a stream that may hold anything, as a board does.

    Every byte is looked at once as the possible start of a frame, so damage costs at
    most the frames that it touches. Keeps less than one frame between calls.
    """

    def __init__(self, protocol: FrameProtocol = WXDM2) -> None:
        self._protocol = protocol
        self._rest = b""

    def feed(self, data: bytes) -> list[LevelFrame]:
        """The frames that `data` completes, in order."""
        frames = []
        length = self._protocol.core_length
        stream = self._rest + data
        start = stream.find(_SYNC)
        while 0 <= start <= len(stream) - length:
            try:
                core = stream[start : start + length]
                frames.append(LevelFrame.from_bytes(core, self._protocol))
                start += length
            except DecodeError:
                start += 1
            start = stream.find(_SYNC, start)
        self._rest = stream[start:] if start >= 0 else stream[-1:]
        return frames
