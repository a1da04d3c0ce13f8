"""pcapng files, as Wireshark writes them.

Source: docs/protocols/captures.md, "pcapng".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.records import (
    LINK_TYPES,
    LONGEST_RECORD,
    Cutter,
    Record,
    not_bluetooth,
    nothing,
    time_of,
)

MAGIC: Final = bytes.fromhex("0a0d0d0a")

#: Type and length; behind the body, the length again.
_BLOCK_HEAD: Final = 8
_BLOCK_TAIL: Final = 4
#: Code and length.
_OPTION_HEAD: Final = 4
_SECTION_HEAD: Final = 12

_SECTION: Final = int.from_bytes(MAGIC, "big")
_INTERFACE: Final = 1
_SIMPLE_PACKET: Final = 3

#: Interface, time in two halves, captured and original length; before it became obsolete,
#: the packet block shared the first four bytes with a count of lost packets.
_PACKETS: Final[Mapping[int, str]] = {2: "HxxIIII", 6: "IIIII"}
_PACKET_LENGTH: Final = 20
_READ: Final = frozenset({_INTERFACE, _SIMPLE_PACKET, *_PACKETS})

_ORDERS: Final[Mapping[bytes, str]] = {
    bytes.fromhex("1a2b3c4d"): ">",
    bytes.fromhex("4d3c2b1a"): "<",
}

#: Options of an interface: parts of a second, and seconds to add.
_RESOLUTION: Final = 9
_TIME_OFFSET: Final = 14
_BINARY: Final = 0x80

#: No machine has so many; a file of nothing else shall not fill the memory.
_MOST_INTERFACES: Final = 4096


@dataclass(frozen=True, slots=True)
class _Interface:
    """Where packets come from; its times count `parts` of a second from `offset` on."""

    link_type: int
    snapshot: int
    parts: int
    offset: int


class PcapngReader:
    """Cuts a pcapng file into records; keeps one at most between calls.

    Packets of interfaces that are not Bluetooth are left out, and so are blocks of which
    nothing is needed.
    """

    def __init__(self) -> None:
        self._cutter = Cutter()
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self._link_types: set[int] = set()
        self._skip = 0
        self._count = 0
        self._place = ""

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """The records that `chunk` completes. Raises DecodeError where none can follow."""
        self._cutter.add(chunk)
        while True:
            skipped = min(self._skip, len(self._cutter))
            self._cutter.drop(skipped)
            self._skip -= skipped
            if self._skip:
                return
            self._place = f"block {self._count + 1} at byte {self._cutter.offset}"
            block = self._next(self._place)
            if block is None:
                return
            self._count += 1
            kind, body = block
            record = self._read(kind, body, self._place)
            if record is not None:
                yield record

    def end(self) -> Iterator[Record]:
        """Nothing. Raises DecodeError for an early end, and where nothing is Bluetooth."""
        if self._cutter or self._skip or not self._count:
            raise DecodeError(f"the file ends inside {self._place}")
        if self._link_types.isdisjoint(LINK_TYPES):
            raise not_bluetooth(self._link_types)
        yield from ()

    def _next(self, place: str) -> tuple[int, bytes] | None:
        """Type and body of the next block, the body empty where it is not needed."""
        head = self._cutter.peek(_SECTION_HEAD)
        if head is None:
            return None
        if head[:4] == MAGIC:
            if head[8:] not in _ORDERS:
                raise DecodeError(f"{place}: the byte order of a section is not known")
            self._order = _ORDERS[head[8:]]
        kind, length = self._unpack("II", head[:_BLOCK_HEAD])
        if length < _SECTION_HEAD or length % 4:
            raise DecodeError(f"{place}: a block of {length} bytes cannot be")
        if kind not in _READ:
            self._skip = length - _BLOCK_HEAD
            self._cutter.drop(_BLOCK_HEAD)
            return kind, b""
        if length > LONGEST_RECORD:
            raise DecodeError(f"{place}: a packet of {length} bytes cannot be")
        block = self._cutter.cut(length)
        if block is None:
            return None
        if block[-_BLOCK_TAIL:] != head[4:_BLOCK_HEAD]:
            raise DecodeError(f"{place}: its two lengths differ")
        return kind, block[_BLOCK_HEAD:-_BLOCK_TAIL]

    def _read(self, kind: int, body: bytes, place: str) -> Record | None:
        if kind == _SECTION:
            self._interfaces.clear()
        elif kind == _INTERFACE:
            self._add_interface(body, place)
        elif kind == _SIMPLE_PACKET:
            return self._simple_packet(body, place)
        elif kind in _PACKETS:
            return self._packet(_PACKETS[kind], body, place)
        return None

    def _add_interface(self, body: bytes, place: str) -> None:
        if len(body) < _BLOCK_HEAD or len(self._interfaces) >= _MOST_INTERFACES:
            raise DecodeError(f"{place}: an interface cannot be read")
        link_type, snapshot = self._unpack("HxxI", body[:_BLOCK_HEAD])
        parts, offset = 10**6, 0
        for code, value in self._options(body[_BLOCK_HEAD:]):
            if code == _RESOLUTION and len(value) == 1:
                base = 2 if value[0] & _BINARY else 10
                parts = base ** (value[0] & ~_BINARY)
            elif code == _TIME_OFFSET and len(value) == struct.calcsize("q"):
                (offset,) = self._unpack("q", value)
        self._link_types.add(link_type)
        self._interfaces.append(_Interface(link_type, snapshot, parts, offset))

    def _options(self, options: bytes) -> Iterator[tuple[int, bytes]]:
        start = 0
        while len(options) - start > _OPTION_HEAD:
            data = start + _OPTION_HEAD
            code, length = self._unpack("HH", options[start:data])
            yield code, options[data : data + length]
            start = data + (length + 3) // 4 * 4

    def _simple_packet(self, body: bytes, place: str) -> Record | None:
        if len(body) < _BLOCK_TAIL or not self._interfaces:
            raise DecodeError(f"{place}: a packet of no interface")
        interface = self._interfaces[0]
        (length,) = self._unpack("I", body[:4])
        if interface.snapshot:
            length = min(length, interface.snapshot)
        return self._record(0, body[4 : 4 + length], None, place)

    def _packet(self, layout: str, body: bytes, place: str) -> Record | None:
        if len(body) < _PACKET_LENGTH:
            raise DecodeError(f"{place}: a packet ends inside its head")
        number, high, low, length, _ = self._unpack(layout, body[:_PACKET_LENGTH])
        if number >= len(self._interfaces):
            raise DecodeError(f"{place}: a packet of interface {number}, which is not told")
        if _PACKET_LENGTH + length > len(body):
            raise DecodeError(f"{place}: a packet is longer than its block")
        interface = self._interfaces[number]
        at = time_of((high << 32 | low) / interface.parts + interface.offset)
        return self._record(
            number, body[_PACKET_LENGTH : _PACKET_LENGTH + length], at, place
        )

    def _record(self, number: int, data: bytes, at: float | None, place: str) -> Record:
        unwrap = LINK_TYPES.get(self._interfaces[number].link_type, nothing)
        return Record(place, data, at, unwrap, number)

    def _unpack(self, layout: str, data: bytes) -> tuple[int, ...]:
        return struct.unpack(self._order + layout, data)
