"""The text of ``hcidump --raw`` and ``hcitool cmd``, and HCI packets written down in hex.

Source: docs/protocols/captures.md, "Text".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.hci import EVENT_HEAD, H4_EVENT
from hk_bridge.protocols.records import Damage, Record, event, time_of

#: What can be read, for the errors about everything else.
READABLE: Final = (
    "a BTSnoop file (btmon -w FILE, hcidump -w FILE), a pcap or pcapng file (Wireshark, "
    "tcpdump), or the text of hcidump --raw"
)
UNREADABLE: Final = f"no capture that can be read. That would be {READABLE}"

#: A packet in text has at most 258 bytes; a longer line holds none.
_LONGEST_LINE: Final = 1 << 16
#: Text that may stand before the first packet.
_MOST_BEFORE: Final = 1 << 20

_BLANK: Final = rb"[ \t]+"
#: 2018-04-16 19:36:46.080953, 19:36:46.080953 or 1523900206.080953
_TIME: Final = (
    rb"(?:(?:(?P<date>\d{4}-\d\d-\d\d)[ \t]+)?(?P<clock>\d\d:\d\d:\d\d)(?P<part>\.\d{1,9})?"
    rb"|(?P<unix>\d{1,12}\.\d{1,9}))[ \t]+"
)
_ARROW: Final = re.compile(
    rb"[ \t]*(?:" + _TIME + rb")?(?P<arrow>[<>])" + _BLANK + rb"(?P<rest>.*)"
)
_HEX: Final = re.compile(rb"[ \t]*(?:[0-9A-Fa-f]{2}[ \t]*)+")
_EVENT_START: Final = re.compile(rb"[ \t]*04[ \t]+3e[ \t]", re.IGNORECASE)
_EVENT: Final = re.compile(
    rb"HCI Event: (?:.*\()?0x(?P<code>[0-9A-Fa-f]{2})\)? plen (?P<length>\d{1,3})"
)
#: What hcidump says of an LE event, where it explains instead of showing the bytes.
_LE_EXPLAINED: Final = b"LE "
#: A line of ``hcitool lescan``, which often writes to the same terminal.
_SCANNED: Final = re.compile(rb"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}(?: .*)?|LE Scan \.\.\.")
_HCIDUMP: Final = re.compile(rb"HCI sniffer - |device: hci\d")
_BTMON: Final = re.compile(
    rb"Bluetooth monitor ver |@ [A-Z]+ (?:Open|Command|Event)|= (?:Note|New Index): "
)
_BTMON_PACKET: Final = re.compile(rb"HCI .*\[hci\d+\]")

_EXPLAINED: Final = (
    "this is what {tool} explains, without the bytes. Record with: {command}"
)
_BTMON_TEXT: Final = _EXPLAINED.format(tool="btmon", command="btmon -w FILE")
_HCIDUMP_TEXT: Final = _EXPLAINED.format(tool="hcidump", command="hcidump --raw -t")

_LE_META: Final = 0x3E

#: With what packets begin in H4: command, ACL data, synchronous data, event, ISO data.
_H4_TYPES: Final = frozenset(range(0x01, 0x06))


@dataclass(frozen=True, slots=True)
class _Event:
    """An event of which `data` is there, of `length` bytes; no bytes where none is open."""

    line: int = 0
    at: float | None = None
    data: bytes = b""
    length: int = 0

    @property
    def missing(self) -> int:
        """How many bytes are."""
        return self.length - len(self.data)

    @property
    def has_head_only(self) -> bool:
        """Whether it is an LE event of which nothing but its head is there."""
        return self.length > EVENT_HEAD == len(self.data) and self.data[0] == _LE_META


_NONE_OPEN: Final = _Event()


class HcidumpReader:
    """Finds HCI events in text, line by line.

    Lines of other programs may stand between them; a line of hex digits alone continues
    the event before it.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._line = 0
        self._before = 0
        self._found = False
        self._has_arrows = False
        self._open = _NONE_OPEN

    def feed(self, chunk: bytes) -> Iterator[Record | Damage]:
        """The events that `chunk` completes, and what is wrong with others.

        Raises DecodeError for text of which no line can be an event.
        """
        text = self._rest + chunk
        # Half of a line's end may be a whole one: old systems have no other.
        held = b"\r" if text.endswith(b"\r") else b""
        text = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = rest + held
        for line in lines:
            yield from self._take(line)
        if len(self._rest) > _LONGEST_LINE:
            raise DecodeError(UNREADABLE)

    def end(self) -> Iterator[Record | Damage]:
        """The event of a last line without an end. Raises DecodeError where none was."""
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._take(rest)
        yield from self._close()
        if not self._found:
            raise DecodeError(UNREADABLE)

    def _take(self, line: bytes) -> Iterator[Record | Damage]:
        self._line += 1
        line = line.rstrip(b"\r \t")
        arrow = _ARROW.fullmatch(line)
        if arrow is not None:
            yield from self._close()
            yield from self._begin(arrow)
        elif _HEX.fullmatch(line):
            yield from self._take_hex(bytes.fromhex(line.decode("ascii")))
        elif _EVENT_START.match(line) and not self._has_arrows:
            yield from self._close()
            yield self._damage(_not_hex(line))
        else:
            self._pass_over(line)

    def _begin(self, arrow: re.Match[bytes]) -> Iterator[Record | Damage]:
        """Begin with what stands behind an arrow; ``<`` is what the host sent."""
        rest, at = arrow["rest"].strip(), _seconds(arrow)
        explained = _EVENT.fullmatch(rest)
        is_hex = _HEX.fullmatch(rest) is not None
        is_packet = is_hex and int(rest[:2], 16) in _H4_TYPES
        self._has_arrows = True
        self._found = self._found or is_packet or rest.startswith(b"HCI ")
        if _BTMON_PACKET.match(rest):
            raise DecodeError(f"line {self._line}: {_BTMON_TEXT}")
        if arrow["arrow"] == b"<":
            return
        if explained is not None:
            head = bytes([int(explained["code"], 16), min(int(explained["length"]), 255)])
            self._open = _Event(self._line, at, head, EVENT_HEAD + head[1])
            yield from self._complete()
        elif is_packet:
            yield from self._open_packet(bytes.fromhex(rest.decode("ascii")), at)
        elif _EVENT_START.match(rest):
            yield self._damage(_not_hex(rest))

    def _open_packet(self, packet: bytes, at: float | None) -> Iterator[Record | Damage]:
        """Begin with an H4 packet; one that is no event is passed over."""
        if packet[0] != H4_EVENT:
            return
        if len(packet) <= EVENT_HEAD:
            yield self._damage("a packet ends inside its head")
            return
        self._open = _Event(self._line, at, packet[1:], EVENT_HEAD + packet[2])
        yield from self._complete()

    def _take_hex(self, data: bytes) -> Iterator[Record | Damage]:
        """Continue the event that is open, or begin one."""
        starts = data[:2] == bytes([H4_EVENT, _LE_META]) and not self._has_arrows
        is_whole = len(data) > EVENT_HEAD and len(data) == 1 + EVENT_HEAD + data[2]
        if starts and (is_whole or len(data) > self._open.missing):
            yield from self._close()
            self._found = True
            yield from self._open_packet(data, None)
        elif self._open.missing:
            self._open = replace(self._open, data=self._open.data + data)
            yield from self._complete()

    def _complete(self) -> Iterator[Record | Damage]:
        """The open event, where nothing of it is missing."""
        whole = self._open
        if whole.missing > 0:
            return
        self._open = _NONE_OPEN
        place = f"line {whole.line}"
        yield Record(place, whole.data[: whole.length], whole.at, event)
        if whole.missing < 0:
            yield Damage(place, f"{-whole.missing} bytes more than the event has")

    def _close(self) -> Iterator[Record | Damage]:
        """What there is of an event that is open and not continued."""
        cut, self._open = self._open, _NONE_OPEN
        place = f"line {cut.line}"
        if cut.has_head_only:
            yield Damage(place, "the event ends behind its head")
        elif cut.missing:
            yield Record(place, cut.data, cut.at, event)

    def _pass_over(self, line: bytes) -> None:
        """A line of something else. Raises DecodeError where it tells what the text is."""
        text = line.strip()
        if _BTMON.match(text) and not self._found:
            raise DecodeError(f"line {self._line}: {_BTMON_TEXT}")
        if _HCIDUMP.match(text) or _SCANNED.fullmatch(text):
            self._found = True
        elif self._open.has_head_only and text.startswith(_LE_EXPLAINED):
            raise DecodeError(f"line {self._line}: {_HCIDUMP_TEXT}")
        self._before += len(line) + 1
        if self._before > _MOST_BEFORE and not self._found:
            raise DecodeError(UNREADABLE)

    def _damage(self, text: str) -> Damage:
        self._found = True
        return Damage(f"line {self._line}", text)


def _not_hex(line: bytes) -> str:
    """Which of its words is no byte."""
    words = line.decode("ascii", "replace").split()
    wrong = next((word for word in words if not _HEX.fullmatch(word.encode())), "")
    return f"{wrong[:20]!r} is no hex byte"


def _seconds(arrow: re.Match[bytes]) -> float | None:
    """The time before an arrow, which hcidump writes as the local one."""
    if arrow["unix"]:
        return time_of(float(arrow["unix"]))
    if not arrow["date"]:
        return None
    text = (arrow["date"] + b" " + arrow["clock"]).decode("ascii")
    try:
        seconds = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return time_of(seconds + float(arrow["part"] or 0))
