"""Classic pcap files.

Source: docs/protocols/captures.md, "pcap".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.records import (
    LINK_TYPES,
    LONGEST_RECORD,
    Cutter,
    Record,
    Unwrap,
    not_bluetooth,
    time_of,
)

#: First four bytes → (byte order, parts of a second).
MAGICS: Final[Mapping[bytes, tuple[str, int]]] = {
    bytes.fromhex("a1b2c3d4"): (">", 10**6),
    bytes.fromhex("d4c3b2a1"): ("<", 10**6),
    bytes.fromhex("a1b23c4d"): (">", 10**9),
    bytes.fromhex("4d3cb2a1"): ("<", 10**9),
}

#: Magic, version, zone, accuracy, snapshot length; then the link type.
_FILE_LENGTH: Final = 24
_LINK_TYPE: Final = "20xI"
#: The bits above tell of a checksum behind each packet.
_LINK_TYPE_BITS: Final = 0x03FF_FFFF
#: Seconds, parts of a second, captured length, original length.
_RECORD: Final = "IIII"
_RECORD_LENGTH: Final = 16


class PcapReader:
    """Cuts a pcap file into records; keeps one at most between calls."""

    def __init__(self) -> None:
        self._cutter = Cutter()
        self._unwrap: Unwrap | None = None
        self._record = struct.Struct(_RECORD)
        self._parts = 1
        self._count = 0

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """The records that `chunk` completes. Raises DecodeError where none can follow."""
        self._cutter.add(chunk)
        if self._unwrap is None:
            head = self._cutter.cut(_FILE_LENGTH)
            if head is None:
                return
            self._unwrap = self._begin(head)
        while (record := self._next(self._unwrap)) is not None:
            yield record

    def end(self) -> Iterator[Record]:
        """Nothing. Raises DecodeError where the file ends too early."""
        if self._unwrap is None:
            raise DecodeError("the file ends inside its head")
        if self._cutter:
            raise DecodeError(f"the file ends inside {self._place()}")
        yield from ()

    def _begin(self, head: bytes) -> Unwrap:
        if head[:4] not in MAGICS:
            raise DecodeError("the file is no pcap file")
        order, self._parts = MAGICS[head[:4]]
        self._record = struct.Struct(order + _RECORD)
        (link_type,) = struct.unpack(order + _LINK_TYPE, head)
        unwrap = LINK_TYPES.get(link_type & _LINK_TYPE_BITS)
        if unwrap is None:
            raise not_bluetooth([link_type & _LINK_TYPE_BITS])
        return unwrap

    def _next(self, unwrap: Unwrap) -> Record | None:
        head = self._cutter.peek(_RECORD_LENGTH)
        if head is None:
            return None
        seconds, parts, length, _ = self._record.unpack(head)
        place = self._place()
        if length > LONGEST_RECORD:
            raise DecodeError(f"{place}: a packet of {length} bytes cannot be")
        whole = self._cutter.cut(_RECORD_LENGTH + length)
        if whole is None:
            return None
        self._count += 1
        at = time_of(seconds + parts / self._parts)
        return Record(place, whole[_RECORD_LENGTH:], at, unwrap)

    def _place(self) -> str:
        """Where the next record begins."""
        return f"record {self._count + 1} at byte {self._cutter.offset}"
