"""Captures of Bluetooth LE of any kind: bytes in as they come, adverts out.

Source: docs/protocols/captures.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from hk_bridge.errors import DecodeError
from hk_bridge.protocols import btsnoop, pcap, pcapng
from hk_bridge.protocols.hci import Events, Heard
from hk_bridge.protocols.hcidump import READABLE, UNREADABLE, HcidumpReader
from hk_bridge.protocols.records import Damage, Record


class _Reader(Protocol):
    """Cuts a capture into records."""

    def feed(self, chunk: bytes) -> Iterator[Record | Damage]:
        """The records that `chunk` completes. Raises DecodeError where none can follow."""

    def end(self) -> Iterator[Record | Damage]:
        """The rest. Raises DecodeError where the capture must not end here."""


_READERS: Final[Mapping[bytes, Callable[[], _Reader]]] = {
    btsnoop.MAGIC: btsnoop.BtsnoopReader,
    pcapng.MAGIC: pcapng.PcapngReader,
    **dict.fromkeys(pcap.MAGICS, pcap.PcapReader),
}

#: How packed files begin, and what unpacks them.
_PACKED: Final[Mapping[bytes, str]] = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ\0": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
    b"PK\x03\x04": "unzip",
}

_LONGEST_START: Final = max(len(start) for start in (*_READERS, *_PACKED))
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Capture:
    """The adverts of one capture, whose kind is told from its first bytes.

    Both methods raise DecodeError when everything before the place in question has been
    handed over: what they return is to be iterated to its end.
    """

    def __init__(self) -> None:
        self._start = b""
        self._reader: _Reader | None = None
        self._events = Events()
        self._first_damage: Damage | None = None
        self._damages = 0
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether it was read to its end, where parts of it may have been damaged."""
        return self._is_over

    def feed(self, chunk: bytes) -> Iterator[Heard]:
        """The adverts that `chunk` completes.

        Raises DecodeError where it is no capture, or nothing behind a place can be read.
        """
        if self._reader is None:
            self._start += chunk
            if len(self._start) < _LONGEST_START:
                return
            self._reader, chunk = _recognised(self._start)
            self._start = b""
        yield from self._adverts(self._reader.feed(chunk))

    def end(self) -> Iterator[Heard]:
        """The rest, once there is nothing more to feed.

        Raises DecodeError where the capture ends too early, and where a part of it could
        not be read; `is_over` tells the two apart.
        """
        if self._reader is None:
            if not self._start:
                raise DecodeError(f"there is nothing in it. A capture is {READABLE}")
            self._reader, rest = _recognised(self._start)
            yield from self._adverts(self._reader.feed(rest))
        yield from self._adverts(self._reader.end())
        yield from self._events.end()
        self._is_over = True
        if self._first_damage is not None:
            others = f", and {self._damages - 1} more" if self._damages > 1 else ""
            raise DecodeError(f"{self._first_damage}{others}")

    def _adverts(self, records: Iterator[Record | Damage]) -> Iterator[Heard]:
        for record in records:
            if isinstance(record, Damage):
                self._note(record)
                continue
            try:
                yield from record.unwrap(
                    self._events, record.data, record.at, record.adapter
                )
            except DecodeError as error:
                self._note(Damage(record.place, str(error)))

    def _note(self, damage: Damage) -> None:
        self._damages += 1
        self._first_damage = self._first_damage or damage


def _recognised(start: bytes) -> tuple[_Reader, bytes]:
    """What reads a capture that begins so, and what it is to be fed first."""
    for beginning, command in _PACKED.items():
        if start.startswith(beginning):
            raise DecodeError(f"it is packed; unpack it first: {command}")
    for magic, reader in _READERS.items():
        if start.startswith(magic):
            return reader(), start
    # No further, or it would hang on how much has come at once.
    if b"\0" in start[:_LONGEST_START]:
        raise DecodeError(UNREADABLE)
    return HcidumpReader(), start.removeprefix(_BYTE_ORDER_MARK)
