"""BTSnoop version 1, as ``btmon -w`` and ``hcidump -w`` write it, and Android.

Source: docs/protocols/captures.md, "BTSnoop".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.records import (
    LONGEST_RECORD,
    Cutter,
    Record,
    Unwrap,
    event,
    h4,
    monitored,
    nothing,
    time_of,
)

MAGIC: Final = b"btsnoop\0"

#: Magic, version, datalink.
_FILE: Final = struct.Struct(">8sII")
_VERSION: Final = 1
#: Original length, included length, flags, dropped packets, µs since the year 0.
_RECORD: Final = struct.Struct(">IIIIq")

#: 1970-01-01 on the clock of the records.
_EPOCH: Final = 0x00DCDDB30F2F8000

#: What btmon prints first, and mixes into a capture that it writes to its stdout.
_BTMON_TEXT: Final = b"Bluetooth monitor"

#: Received, and a command or an event: what both are true of is an event.
_EVENT_FLAGS: Final = 0x3
_OPCODE: Final = 0xFFFF

#: Of datalink 2001, the upper half of the flags is the adapter; the others leave it zero.
_ADAPTER_SHIFT: Final = 16

#: Datalink → flags of a record → what is in it.
_DATALINKS: Final[Mapping[int, Callable[[int], Unwrap]]] = {
    1001: lambda flags: event if flags & _EVENT_FLAGS == _EVENT_FLAGS else nothing,
    1002: lambda _flags: h4,
    2001: lambda flags: monitored(flags & _OPCODE),
}


class BtsnoopReader:
    """Cuts a BTSnoop file into records; keeps one at most between calls."""

    def __init__(self) -> None:
        self._cutter = Cutter()
        self._kind: Callable[[int], Unwrap] | None = None
        self._count = 0

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """The records that `chunk` completes. Raises DecodeError where none can follow."""
        self._cutter.add(chunk)
        if self._kind is None:
            head = self._cutter.cut(_FILE.size)
            if head is None:
                return
            self._kind = _datalink(head)
        while (record := self._next(self._kind)) is not None:
            yield record

    def end(self) -> Iterator[Record]:
        """Nothing. Raises DecodeError where the file ends too early."""
        if self._kind is None:
            raise DecodeError("the file ends inside its head")
        if self._cutter:
            raise DecodeError(f"the file ends inside {self._place()}")
        yield from ()

    def _next(self, kind: Callable[[int], Unwrap]) -> Record | None:
        head = self._cutter.peek(_RECORD.size)
        if head is None:
            return None
        _, length, flags, _, time = _RECORD.unpack(head)
        place = self._place()
        if head.startswith(_BTMON_TEXT):
            raise DecodeError(
                f"{place}: what btmon prints is mixed in. Keep it apart with: "
                "btmon -w /dev/stderr 2>&1 >/dev/null"
            )
        if length > LONGEST_RECORD:
            raise DecodeError(f"{place}: a packet of {length} bytes cannot be")
        whole = self._cutter.cut(_RECORD.size + length)
        if whole is None:
            return None
        self._count += 1
        at = time_of((time - _EPOCH) / 1e6)
        adapter = flags >> _ADAPTER_SHIFT
        return Record(place, whole[_RECORD.size :], at, kind(flags), adapter)

    def _place(self) -> str:
        """Where the next record begins."""
        return f"record {self._count + 1} at byte {self._cutter.offset}"


def _datalink(head: bytes) -> Callable[[int], Unwrap]:
    magic, version, datalink = _FILE.unpack(head)
    if magic != MAGIC or version != _VERSION:
        raise DecodeError(f"BTSnoop of version {version} cannot be read, only 1")
    kind = _DATALINKS.get(datalink)
    if kind is None:
        known = ", ".join(str(datalink) for datalink in _DATALINKS)
        raise DecodeError(f"BTSnoop of datalink {datalink} cannot be read, only {known}")
    return kind
