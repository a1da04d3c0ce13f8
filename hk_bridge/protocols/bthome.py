"""BTHome frames, version 2: the service data of UUID 0xFCD2.

Source: docs/protocols/bthome.md. Objects have no length of their own: who does not know
one cannot read on behind it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from hk_bridge.errors import DecodeError
from hk_bridge.model import Quantity, Reading
from hk_bridge.protocols.cipher import MAC_LENGTH, TAG_LENGTH, mac_of, open_sealed
from hk_bridge.protocols.quantities import sift

UUID: Final = 0xFCD2

_ENCRYPTED: Final = 1 << 0
_MAC_INCLUDED: Final = 1 << 1
_VERSION_SHIFT: Final = 5
_VERSION: Final = 2

_COUNTER_LENGTH: Final = 4
_TAIL_LENGTH: Final = _COUNTER_LENGTH + TAG_LENGTH
_NONCE_UUID: Final = UUID.to_bytes(2, "little")

_PACKET_ID: Final = 0x00

_SENT_OPENLY: Final = (
    "the sensor sends openly though a bind key is given: take the bindKey out if that is "
    "meant, or switch its encryption on; the frame may be somebody else's"
)

#: Length of the data → ids of the objects that have it.
_IDS: Final[dict[int, tuple[int, ...]]] = {
    1: (
        *(0x00, 0x01, 0x09, *range(0x0F, 0x12), *range(0x15, 0x30), 0x3A),
        *(0x46, *range(0x57, 0x5A), 0x60, 0x64, 0x65),
    ),
    2: (
        *(0x02, 0x03, *range(0x06, 0x09), *range(0x0C, 0x0F), *range(0x12, 0x15)),
        *(0x3C, 0x3D, *range(0x3F, 0x42), *range(0x43, 0x46), *range(0x47, 0x4B)),
        *(0x51, 0x52, 0x56, 0x5A, *range(0x5D, 0x60), 0x61, 0xF0),
    ),
    3: (0x04, 0x05, 0x0A, 0x0B, 0x42, 0x4B, 0xF2),
    4: (0x3E, *range(0x4C, 0x51), 0x55, 0x5B, 0x5C, 0x62, 0x63, 0xF1),
}

#: Objects that say how long they are: id → the bits of the first byte that do, and the
#: bytes that follow it in any case (text, raw, and a command with its arguments).
_LENGTH_BYTES: Final = {0x53: (0xFF, 0), 0x54: (0xFF, 0), 0x3B: (0x1F, 1)}

_Numbers = Callable[[bytes, int], tuple[int, ...]]

_U8: Final[_Numbers] = struct.Struct("<B").unpack_from
_S8: Final[_Numbers] = struct.Struct("<b").unpack_from
_U16: Final[_Numbers] = struct.Struct("<H").unpack_from
_S16: Final[_Numbers] = struct.Struct("<h").unpack_from


def _u24(data: bytes, offset: int) -> tuple[int, ...]:
    """The size that `struct` lacks."""
    return (int.from_bytes(data[offset : offset + 3], "little"),)


#: Object id → quantity, what reads its number, and the fraction that makes a value of it.
#: A number that is divided comes out as it would be written: 23.97, not 23.970…02.
_SHOWN: Final[dict[int, tuple[Quantity, _Numbers, int, int]]] = {
    0x01: ("battery", _U8, 1, 1),
    0x02: ("temperature", _S16, 1, 100),
    0x03: ("humidity", _U16, 1, 100),
    0x05: ("illuminance", _u24, 1, 100),
    0x0C: ("voltage", _U16, 1, 1000),
    0x14: ("moisture", _U16, 1, 100),
    0x15: ("lowBattery", _U8, 1, 1),
    0x2E: ("humidity", _U8, 1, 1),
    0x2F: ("moisture", _U8, 1, 1),
    0x45: ("temperature", _S16, 1, 10),
    0x4A: ("voltage", _U16, 1, 10),
    0x56: ("conductivity", _U16, 1, 1),
    0x57: ("temperature", _S8, 1, 1),
    0x58: ("temperature", _S8, 35, 100),
}

#: Object id → length and how it is shown, if it is: every object is looked up but once.
_TABLE: Final = {
    kind: (length, _SHOWN.get(kind)) for length, kinds in _IDS.items() for kind in kinds
}


def decode(
    data: bytes, address: str | None = None, bind_key: bytes | None = None
) -> Reading:
    """The values in one frame (service data without the UUID).

    `address` is the advertiser's, used to decrypt where the frame has none; `bind_key`
    has 16 bytes. `counter` of the reading is the packet id, where there is one. Of several
    objects of one quantity the last counts. Behind an object whose id is in no table
    nothing can be read: the id is in `unknown`, and what stood before it counts.
    Raises DecodeError for bytes that are no frame of version 2, for an encrypted one
    without an address, and for a plain one where a bind key is given; BindKeyError for a
    wrong key.
    """
    info, mac, body = _head(data)
    count = None
    if info & _ENCRYPTED:
        count = _encryption_counter(data, body)
        if bind_key is None:
            return Reading(
                "bthome", None, None, mac, needs_key=True, encryption_counter=count
            )
        data, body = _open(data, body, mac or mac_of(address), bind_key), 0
    elif bind_key is not None:
        raise DecodeError(_SENT_OPENLY)
    said, packet_id, unknown = _objects(data, body)
    values, implausible = sift(said)
    # By place, not by name: that takes nearly a tenth off the time of all this.
    return Reading(
        "bthome", None, packet_id, mac, values, False, implausible, unknown, count
    )


def address_in(data: bytes) -> str | None:
    """The sender's address, as Bluetooth stacks spell it, where the frame has it."""
    try:
        mac = _head(data)[1]
    except DecodeError:
        return None
    return mac.hex(":").upper() or None


def _head(data: bytes) -> tuple[int, bytes, int]:
    """(device information, MAC as it is written or none, where the rest begins)."""
    if not data:
        raise DecodeError("a BTHome frame has at least 1 byte, this has none")
    info = data[0]
    if info >> _VERSION_SHIFT != _VERSION:
        raise DecodeError(
            f"the frame is of BTHome version {info >> _VERSION_SHIFT}, "
            f"only version {_VERSION} can be read"
        )
    if not info & _MAC_INCLUDED:
        return info, b"", 1
    if len(data) < 1 + MAC_LENGTH:
        raise DecodeError("the frame ends inside its header")
    return info, data[MAC_LENGTH:0:-1], 1 + MAC_LENGTH


def _encryption_counter(data: bytes, body: int) -> int:
    """The counter behind the ciphertext, which begins at `body`."""
    start = len(data) - _TAIL_LENGTH
    if start < body:
        raise DecodeError("the encrypted frame is too short")
    return int.from_bytes(data[start : start + _COUNTER_LENGTH], "little")


def _open(data: bytes, body: int, mac: bytes, key: bytes) -> bytes:
    """The objects in the ciphertext that begins at `body`."""
    counter = data[-_TAIL_LENGTH:-TAG_LENGTH]
    nonce = mac + _NONCE_UUID + data[:1] + counter
    return open_sealed(key, nonce, data[body:-_TAIL_LENGTH] + data[-TAG_LENGTH:])


def _objects(
    data: bytes, offset: int
) -> tuple[dict[Quantity, float], int | None, tuple[int, ...]]:
    """(values, packet id, unknown ids) of the objects from `offset` on."""
    values: dict[Quantity, float] = {}
    packet_id: int | None = None
    end = len(data)
    while offset < end:
        kind = data[offset]
        offset += 1
        known = _TABLE.get(kind)
        if known is not None:
            length, shown = known
        elif kind in _LENGTH_BYTES:
            length, shown = _own_length(kind, data[offset : offset + 1]), None
        else:
            return values, packet_id, (kind,)
        stop = offset + length
        if stop > end:
            raise DecodeError(
                f"object 0x{kind:02X} has {end - offset} bytes instead of {length}"
            )
        if shown is not None:
            quantity, numbers, factor, divisor = shown
            (number,) = numbers(data, offset)
            values[quantity] = number * factor / divisor if divisor > 1 else number
        elif kind == _PACKET_ID:
            packet_id = data[offset]
        offset = stop
    return values, packet_id, ()


def _own_length(kind: int, first: bytes) -> int:
    """Bytes of an object that says so itself in its `first`, that one included."""
    bits, more = _LENGTH_BYTES[kind]
    return 1 + (first[0] & bits if first else 0) + more
