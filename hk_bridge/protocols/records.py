"""What captures consist of: records, each with a packet in the wrapping of its link type.

Source: docs/protocols/captures.md, "Link types".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hk_bridge.errors import DecodeError
from hk_bridge.protocols import link_layer
from hk_bridge.protocols.hci import H4_EVENT, Events, Heard

#: Bytes of the longest record. An HCI packet has 64 KiB and a few at most; what claims
#: more is damage, and is not waited for.
LONGEST_RECORD: Final = 1 << 17

#: The year 3000, in Unix seconds.
_END_OF_TIME: Final = 32_503_680_000.0

_DIRECTION_LENGTH: Final = 4
#: Adapter and opcode.
_MONITOR: Final = struct.Struct(">HH")
_MONITOR_EVENT: Final = 3

#: (the events of the capture, what is in the record, its time, adapter) → its adverts.
Unwrap = Callable[[Events, bytes, float | None, int], Iterable[Heard]]


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    `place` tells a person where it is, `at` is in Unix seconds or None. `adapter` is any
    number that tells those apart of which one capture holds several.
    """

    place: str
    data: bytes
    at: float | None
    unwrap: Unwrap
    adapter: int = 0


@dataclass(frozen=True, slots=True)
class Damage:
    """A place that cannot be read, and behind which reading goes on."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class Cutter:
    """Holds what of a stream has not been cut off yet, and knows where that begins."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.offset = 0

    def __len__(self) -> int:
        return len(self._held)

    def add(self, chunk: bytes) -> None:
        """Put `chunk` behind what is held."""
        self._held += chunk

    def peek(self, length: int) -> bytes | None:
        """The first `length` bytes; None where there are not so many yet."""
        return bytes(self._held[:length]) if len(self._held) >= length else None

    def cut(self, length: int) -> bytes | None:
        """The same, and they are no longer held."""
        piece = self.peek(length)
        if piece is not None:
            self.drop(length)
        return piece

    def drop(self, length: int) -> None:
        """Forget the first `length` bytes, which are held."""
        del self._held[:length]
        self.offset += length


def time_of(seconds: float) -> float | None:
    """Unix seconds, where that can be a date: without a clock it cannot."""
    return seconds if 0 <= seconds < _END_OF_TIME else None


def nothing(
    _events: Events, _data: bytes, _at: float | None, _adapter: int
) -> Iterable[Heard]:
    """A packet of a kind that holds no adverts."""
    return ()


def event(events: Events, data: bytes, at: float | None, adapter: int) -> Iterable[Heard]:
    """An HCI event, beginning with its code."""
    return events.take(data, at, adapter)


def h4(events: Events, data: bytes, at: float | None, adapter: int) -> Iterable[Heard]:
    """An HCI packet behind a byte that tells which kind it is."""
    return events.take(data[1:], at, adapter) if data[:1] == bytes([H4_EVENT]) else ()


def _h4_with_direction(
    events: Events, data: bytes, at: float | None, adapter: int
) -> Iterable[Heard]:
    if len(data) < _DIRECTION_LENGTH:
        raise DecodeError("a packet ends inside its direction")
    return h4(events, data[_DIRECTION_LENGTH:], at, adapter)


def _monitor(
    events: Events, data: bytes, at: float | None, adapter: int
) -> Iterable[Heard]:
    if len(data) < _MONITOR.size:
        raise DecodeError("a packet of the Linux monitor ends inside its head")
    index, opcode = _MONITOR.unpack_from(data)
    # Of one interface it tells several adapters apart, of several interfaces both do.
    adapter = adapter << 16 | index
    return monitored(opcode)(events, data[_MONITOR.size :], at, adapter)


def _sniffed(read: Callable[[bytes, float | None], Heard | None]) -> Unwrap:
    def unwrap(
        _events: Events, data: bytes, at: float | None, _adapter: int
    ) -> Iterable[Heard]:
        heard = read(data, at)
        return () if heard is None else (heard,)

    return unwrap


def monitored(opcode: int) -> Unwrap:
    """What a packet of the Linux monitor with that opcode is."""
    return event if opcode == _MONITOR_EVENT else nothing


#: Link types of pcap and pcapng that can hold adverts.
LINK_TYPES: Final[Mapping[int, Unwrap]] = {
    187: h4,
    201: _h4_with_direction,
    251: _sniffed(link_layer.advert),
    254: _monitor,
    256: _sniffed(link_layer.with_radio_header),
    272: _sniffed(link_layer.with_nordic_header),
}


def not_bluetooth(link_types: Iterable[int]) -> DecodeError:
    """The error of a file that has none of these."""
    found = " and ".join(str(link_type) for link_type in sorted(set(link_types)))
    known = ", ".join(str(link_type) for link_type in LINK_TYPES)
    return DecodeError(
        f"packets of link type {found or 'none'} hold no Bluetooth LE adverts; those of "
        f"{known} do"
    )
