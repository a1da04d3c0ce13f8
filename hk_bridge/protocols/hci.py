"""From HCI events to the adverts that they report.

Source: docs/protocols/captures.md, "HCI events".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hk_bridge.errors import DecodeError

#: What stands before a packet in H4, by which events are told from commands and data.
H4_EVENT: Final = 0x04

#: Event code and length of the parameters.
EVENT_HEAD: Final = 2

_LE_META: Final = 0x3E
_REPORT: Final = 0x02
_EXTENDED_REPORT: Final = 0x0D
#: Sub-event and number of reports.
_REPORTS_HEAD: Final = 2

#: Event type, address type, address, length of the data; behind the data, the RSSI.
_LEGACY: Final = struct.Struct("<xx6sB")

#: Event type, address type, address, primary and secondary PHY, set id, transmit power,
#: RSSI, interval, type and address of the one it is directed to, length of the data.
_EXTENDED: Final = struct.Struct("<HB6sxxBxbxxx6xB")
_IS_RESPONSE: Final = 0x0008
_STATUS_SHIFT: Final = 5
_STATUS: Final = 0x3
_MORE_TO_COME: Final = 1

_RSSI_UNKNOWN: Final = 127

#: The longest data of an extended advertising set (Bluetooth Core, Vol 4, Part E, 7.8.54).
_LONGEST_DATA: Final = 1650
#: Advertisers of which a beginning is kept. Who speaks in pieces sends them within
#: milliseconds, so that there are rarely two.
_MOST_BEGUN: Final = 64

#: The type of an AD structure that is service data of a 16-bit UUID.
SERVICE_DATA_16: Final = 0x16
_UUID_LENGTH: Final = 2


@dataclass(frozen=True, slots=True)
class Heard:
    """One advert of a capture.

    `address` is upper case with colons. `service_data` maps 16-bit UUIDs to the bytes that
    follow the UUID. `rssi` is in dBm and `at` in Unix seconds, each None where the capture
    does not know it.
    """

    address: str
    service_data: Mapping[int, bytes]
    rssi: int | None
    at: float | None


def spelled(address: bytes) -> str:
    """An address that came last byte first, as Bluetooth stacks spell it."""
    return address[::-1].hex(":").upper()


def service_data_of(data: bytes) -> dict[int, bytes]:
    """The service data with 16-bit UUIDs among the AD structures in `data`.

    Where a structure goes beyond the end, what stood before it counts.
    """
    found = {}
    start = 0
    while start < len(data):
        end = start + 1 + data[start]
        # A length of zero fills the rest up.
        if end == start + 1 or end > len(data):
            break
        if data[start + 1] == SERVICE_DATA_16 and end - start - 2 >= _UUID_LENGTH:
            uuid = int.from_bytes(data[start + 2 : start + 4], "little")
            found[uuid] = data[start + 4 : end]
        start = end
    return found


#: Adapter that heard it, address, its type, advertising set, and whether it is a scan
#: response.
_Advertiser = tuple[int, bytes, int, int, int]


class Events:
    """Takes the events of one capture in their order, and gives the adverts in them.

    Data that comes in pieces is joined by advertiser and by the adapter that hears it: 1650
    bytes each at most, of 64 at most.
    """

    def __init__(self) -> None:
        self._begun: dict[_Advertiser, tuple[bytes, int, float | None]] = {}

    def take(self, event: bytes, at: float | None, adapter: int = 0) -> Iterator[Heard]:
        """The adverts of one event of one `adapter`, which begins with its event code.

        Any other event has none. Raises DecodeError where the event is shorter than it
        says, after the reports that are whole.
        """
        if len(event) < EVENT_HEAD:
            raise DecodeError("an HCI event has at least 2 bytes")
        parameters = event[EVENT_HEAD : EVENT_HEAD + event[1]]
        if event[0] != _LE_META or not parameters:
            return
        if parameters[0] == _REPORT:
            yield from _legacy_reports(parameters, at)
        elif parameters[0] == _EXTENDED_REPORT:
            yield from self._extended_reports(parameters, at, adapter)

    def end(self) -> Iterator[Heard]:
        """What was begun and never ended, as far as it was heard."""
        while self._begun:
            yield self._let_go()

    def _extended_reports(
        self, reports: bytes, at: float | None, adapter: int
    ) -> Iterator[Heard]:
        offset = _REPORTS_HEAD
        for _ in range(_number_of(reports)):
            if offset + _EXTENDED.size > len(reports):
                raise DecodeError("an extended advertising report ends inside its head")
            head = _EXTENDED.unpack_from(reports, offset)
            kind, address_type, address, set_id, rssi, length = head
            offset += _EXTENDED.size + length
            if offset > len(reports):
                raise DecodeError("an extended advertising report ends inside its data")
            advertiser = (adapter, address, address_type, set_id, kind & _IS_RESPONSE)
            before = self._begun.pop(advertiser, (b"",))[0]
            data = (before + reports[offset - length : offset])[:_LONGEST_DATA]
            if kind >> _STATUS_SHIFT & _STATUS != _MORE_TO_COME:
                yield _heard(address, data, rssi, at)
                continue
            if len(self._begun) >= _MOST_BEGUN:
                yield self._let_go()
            self._begun[advertiser] = (data, rssi, at)

    def _let_go(self) -> Heard:
        """The oldest of those that were begun, which nothing more is added to."""
        advertiser = next(iter(self._begun))
        return _heard(advertiser[1], *self._begun.pop(advertiser))


def _number_of(reports: bytes) -> int:
    if len(reports) < _REPORTS_HEAD:
        raise DecodeError("an advertising report does not say how many it holds")
    return reports[1]


def _legacy_reports(reports: bytes, at: float | None) -> Iterator[Heard]:
    offset = _REPORTS_HEAD
    for _ in range(_number_of(reports)):
        if offset + _LEGACY.size > len(reports):
            raise DecodeError("an advertising report ends inside its head")
        address, length = _LEGACY.unpack_from(reports, offset)
        data = offset + _LEGACY.size
        offset = data + length + 1
        if offset > len(reports):
            raise DecodeError("an advertising report ends inside its data")
        rssi = int.from_bytes(reports[offset - 1 : offset], "little", signed=True)
        yield _heard(address, reports[data : data + length], rssi, at)


def _heard(address: bytes, data: bytes, rssi: int, at: float | None) -> Heard:
    known = None if rssi == _RSSI_UNKNOWN else rssi
    return Heard(spelled(address), service_data_of(data), known, at)
