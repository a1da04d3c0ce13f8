"""Adverts as a sniffer hears them: PDUs of the advertising channels.

Source: docs/protocols/captures.md, "Link layer".
"""

from __future__ import annotations

import struct
from typing import Final

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.hci import Heard, service_data_of, spelled

#: The access address of the primary advertising channels, as it is sent.
_ADVERTISING: Final = (0x8E89BED6).to_bytes(4, "little")

_TYPE: Final = 0x0F
#: ADV_IND, ADV_NONCONN_IND, SCAN_RSP and ADV_SCAN_IND: those that carry AD structures
#: behind the address of the sender.
_TYPES_WITH_DATA: Final = frozenset({0x0, 0x2, 0x4, 0x6})

#: Access address, PDU header, length.
_HEAD: Final = struct.Struct("<4sBB")
_ADDRESS_LENGTH: Final = 6
#: Of the address and 31 bytes of data.
_LONGEST_PDU: Final = 37

#: Channel, signal, noise, access address offenses, reference access address, flags.
_RADIO: Final = struct.Struct("<xbxx4xH")
_DEWHITENED: Final = 0x0001
_SIGNAL_KNOWN: Final = 0x0002
_CRC_CHECKED: Final = 0x0400
_CRC_GOOD: Final = 0x0800
#: 0 is LE 1M, the only PHY that these PDUs are sent on.
_PHY_SHIFT: Final = 14

#: Board, two bytes that depend on the version, version, packet counter, packet id; then
#: length of the rest, flags, channel, −RSSI, event counter, time.
_NORDIC: Final = struct.Struct("<xxxBxxBBBxBxxxxxx")
_NORDIC_VERSIONS: Final = frozenset({1, 2, 3})
#: Version 1 has one id for all packets, the later ones have one for adverts.
_NORDIC_PACKETS: Final = frozenset({0x02, 0x06})
_NORDIC_LENGTH: Final = 10
_NORDIC_CRC_GOOD: Final = 0x01
_NORDIC_PHY: Final = 0x70


def advert(packet: bytes, at: float | None, rssi: int | None = None) -> Heard | None:
    """The advert in a packet that begins with its access address; None where there is none.

    The CRC behind it is not checked. Raises DecodeError for a packet that is too short.
    """
    if len(packet) < _HEAD.size:
        raise DecodeError("a link-layer packet ends inside its head")
    access_address, header, length = _HEAD.unpack_from(packet)
    if access_address != _ADVERTISING or header & _TYPE not in _TYPES_WITH_DATA:
        return None
    if not _ADDRESS_LENGTH <= length <= _LONGEST_PDU:
        raise DecodeError(f"an advertising PDU has 6 to 37 bytes, not {length}")
    pdu = packet[_HEAD.size : _HEAD.size + length]
    if len(pdu) < length:
        raise DecodeError(f"an advertising PDU ends after {len(pdu)} of {length} bytes")
    data = pdu[_ADDRESS_LENGTH:]
    return Heard(spelled(pdu[:_ADDRESS_LENGTH]), service_data_of(data), rssi, at)


def with_radio_header(packet: bytes, at: float | None) -> Heard | None:
    """The advert behind the ten bytes of link type 256; None where there is no good one.

    Raises DecodeError for a packet that is too short.
    """
    if len(packet) < _RADIO.size:
        raise DecodeError("a link-layer packet ends inside the header of the radio")
    signal, flags = _RADIO.unpack_from(packet)
    damaged = flags & _CRC_CHECKED and not flags & _CRC_GOOD
    if damaged or not flags & _DEWHITENED or flags >> _PHY_SHIFT:
        return None
    rssi = signal if flags & _SIGNAL_KNOWN else None
    return advert(packet[_RADIO.size :], at, rssi)


def with_nordic_header(packet: bytes, at: float | None) -> Heard | None:
    """The advert behind the 17 bytes of the nRF Sniffer; None where there is no good one.

    Raises DecodeError for a header of another version.
    """
    if len(packet) < _NORDIC.size:
        # What the sniffer says of itself has no packet of the radio.
        return None
    version, packet_id, length, flags, loss = _NORDIC.unpack_from(packet)
    if version not in _NORDIC_VERSIONS:
        raise DecodeError(f"the nRF Sniffer has headers of version 1 to 3, not {version}")
    is_packet = packet_id in _NORDIC_PACKETS and length == _NORDIC_LENGTH
    if not is_packet or not flags & _NORDIC_CRC_GOOD or flags & _NORDIC_PHY:
        return None
    return advert(packet[_NORDIC.size :], at, -loss)
