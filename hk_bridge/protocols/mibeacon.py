"""MiBeacon frames: the service data of UUID 0xFE95.

Source: docs/protocols/mibeacon.md. The frame-control bits decide the layout; nothing is
read at a fixed offset behind the frame counter.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from hk_bridge.errors import DecodeError
from hk_bridge.model import Quantity, Reading
from hk_bridge.protocols.mibeacon_cipher import WRONG_KEY, decrypt, encrypt, is_tagged

Result = TypeVar("Result")

UUID: Final = 0xFE95

ENCRYPTED: Final = 1 << 3
MAC_INCLUDED: Final = 1 << 4
CAPABILITY_INCLUDED: Final = 1 << 5
OBJECT_INCLUDED: Final = 1 << 6
_VERSION_SHIFT: Final = 12

#: Capability bit that announces an I/O capability field. The specification gives the
#: field two bytes, what is in the field has one: the length at which the objects add up.
_IO_INCLUDED: Final = 1 << 5
_IO_LENGTHS: Final = (1, 2)

_HEADER: Final = struct.Struct("<HHB")
_OBJECT: Final = struct.Struct("<HB")
_MAC_LENGTH: Final = 6

#: Object type → layout and, for each number in it, the quantity and its divisor.
_OBJECTS: Final[dict[int, tuple[struct.Struct, tuple[tuple[Quantity, int], ...]]]] = {
    0x1004: (struct.Struct("<h"), (("temperature", 10),)),
    0x1006: (struct.Struct("<H"), (("humidity", 10),)),
    0x100A: (struct.Struct("<B"), (("battery", 1),)),
    0x100D: (struct.Struct("<hH"), (("temperature", 10), ("humidity", 10))),
}

#: Length of the bind key → version of an encrypted frame that is built here.
_VERSIONS: Final = {12: 3 << _VERSION_SHIFT, 16: 5 << _VERSION_SHIFT}
_VERSION: Final = 0xF << _VERSION_SHIFT
_EXTENDED_COUNTER: Final = bytes(3)


@dataclass(frozen=True, slots=True)
class MiBeaconFrame:
    """A plain frame with everything that can stand in one.

    `address` is upper case with colons or None, `objects` are pairs of a type and its
    data (at most 255 bytes), `control` holds the bits that no other field implies
    (version, registered, mesh …).
    """

    product_id: int
    counter: int
    address: str | None = None
    capability: int | None = None
    io_capability: bytes = b""
    objects: tuple[tuple[int, bytes], ...] = ()
    control: int = 2 << _VERSION_SHIFT

    @classmethod
    def from_bytes(cls, data: bytes) -> MiBeaconFrame:
        """The plain frame in `data` (service data without the UUID).

        Raises DecodeError for bytes that are no frame, and for an encrypted one.
        """
        control, product_id, counter, mac, capability, body = _layout(data)
        if control & ENCRYPTED:
            raise DecodeError("the frame is encrypted")
        start = body
        objects: tuple[tuple[int, bytes], ...] = ()
        if control & OBJECT_INCLUDED:
            start, objects = _first_that_fits(
                lambda start: (start, tuple(_objects(data, start))), body, capability
            )
        elif capability is not None and capability & _IO_INCLUDED:
            start = min(body + max(_IO_LENGTHS), len(data))
        return cls(
            product_id,
            counter,
            mac.hex(":").upper() or None,
            capability,
            data[body:start],
            objects,
            control & ~(MAC_INCLUDED | CAPABILITY_INCLUDED | OBJECT_INCLUDED),
        )

    def to_bytes(self, bind_key: bytes | None = None) -> bytes:
        """The service data that a sensor would send.

        With `bind_key` it is encrypted, which needs an address: by version 5 with 16
        bytes, by version 3 with 12.
        """
        control, parts = self.control, [b""]
        mac = _mac_of(self.address or "")
        if mac:
            control |= MAC_INCLUDED
            parts.append(mac[::-1])
        if self.capability is not None:
            control |= CAPABILITY_INCLUDED
            parts.append(bytes([self.capability]) + self.io_capability)
        if self.objects:
            control |= OBJECT_INCLUDED
        objects = b"".join(
            _OBJECT.pack(kind, len(data)) + data for kind, data in self.objects
        )
        key = bind_key if objects else None
        if key is not None:
            control = control & ~_VERSION | ENCRYPTED | _VERSIONS[len(key)]
        parts[0] = _HEADER.pack(control, self.product_id, self.counter)
        head = b"".join(parts)
        return (
            head + objects
            if key is None
            else encrypt(head, objects, _EXTENDED_COUNTER, mac, key)
        )


def decode(
    data: bytes, address: str | None = None, bind_key: bytes | None = None
) -> Reading:
    """The values in one frame (service data without the UUID).

    `address` is the advertiser's, used to decrypt where the frame has none; `bind_key`
    has 16 bytes (versions 4 and 5) or 12 (older). A frame without a value is a `Reading`
    without a value; an encrypted one without a key is marked `needs_key`.
    Raises DecodeError for bytes that are no frame, and for a wrong key.
    """
    control, product_id, counter, mac, capability, body = _layout(data)
    if not control & OBJECT_INCLUDED:
        return Reading("mibeacon", product_id, counter, mac)
    if control & ENCRYPTED:
        if bind_key is None:
            return Reading("mibeacon", product_id, counter, mac, needs_key=True)
        sender = mac or _mac_of(address or "")
        values = _first_that_fits(
            lambda start: _open(data, start, sender, bind_key), body, capability
        )
    elif capability is None:
        values = _values(data, body)
    else:
        values = _first_that_fits(lambda start: _values(data, start), body, capability)
    return Reading("mibeacon", product_id, counter, mac, values)


def address_in(data: bytes) -> str | None:
    """The sender's address, as Bluetooth stacks spell it, where the frame has it."""
    try:
        mac = _layout(data)[3]
    except DecodeError:
        return None
    return mac.hex(":").upper() or None


def encode_values(
    temperature: float | None = None,
    humidity: float | None = None,
    battery: int | None = None,
) -> tuple[tuple[int, bytes], ...]:
    """The objects that carry these values: °C, % and %, as `MiBeaconFrame` takes them.

    Temperature and humidity together go into the one object that holds both.
    """
    given: dict[Quantity, float | None] = {
        "temperature": temperature,
        "humidity": humidity,
        "battery": battery,
    }
    open_quantities = {name for name, value in given.items() if value is not None}
    objects = []
    for kind, (layout, quantities) in sorted(
        _OBJECTS.items(), key=lambda row: -len(row[1][1])
    ):
        names = {name for name, _ in quantities}
        if names <= open_quantities:
            open_quantities -= names
            numbers = [round((given[name] or 0) * divisor) for name, divisor in quantities]
            objects.append((kind, layout.pack(*numbers)))
    return tuple(objects)


def _layout(data: bytes) -> tuple[int, int, int, bytes, int | None, int]:
    """(control, product id, counter, MAC, capability, where the rest begins)."""
    try:
        control, product_id, counter = _HEADER.unpack_from(data)
    except struct.error:
        raise DecodeError(
            f"a MiBeacon frame has at least {_HEADER.size} bytes, this has {len(data)}"
        ) from None
    offset, mac, capability = _HEADER.size, b"", None
    if control & MAC_INCLUDED:
        mac = data[offset : offset + _MAC_LENGTH][::-1]
        offset += _MAC_LENGTH
    if control & CAPABILITY_INCLUDED:
        capability = data[offset] if offset < len(data) else None
        offset += 1
    if offset > len(data):
        raise DecodeError("the frame ends inside its header")
    return control, product_id, counter, mac, capability, offset


def _objects(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """The objects from `offset` to the end, which must coincide with the last one's."""
    end = len(data)
    while offset < end:
        try:
            kind, length = _OBJECT.unpack_from(data, offset)
        except struct.error:
            raise DecodeError("the frame ends inside the head of an object") from None
        offset += _OBJECT.size
        yield kind, data[offset : offset + length]
        offset += length
    if offset > end:
        raise DecodeError("the frame ends inside an object")


def _values(data: bytes, offset: int) -> dict[Quantity, float]:
    """What the known ones of the objects from `offset` on say, by quantity.

    Walks the objects itself: every advert of every sensor comes through here, and half
    of the time of `_objects` goes into handing them over.
    """
    values: dict[Quantity, float] = {}
    end = len(data)
    while offset < end:
        try:
            kind, length = _OBJECT.unpack_from(data, offset)
        except struct.error:
            raise DecodeError("the frame ends inside the head of an object") from None
        offset += _OBJECT.size
        known = _OBJECTS.get(kind)
        if known is not None:
            layout, quantities = known
            if length != layout.size or offset + length > end:
                raise DecodeError(
                    f"object 0x{kind:04X} has {min(length, end - offset)} bytes "
                    f"instead of {layout.size}"
                )
            for (quantity, divisor), number in zip(
                quantities, layout.unpack_from(data, offset), strict=True
            ):
                values[quantity] = number / divisor if divisor > 1 else number
        offset += length
    if offset > end:
        raise DecodeError("the frame ends inside an object")
    return values


def _first_that_fits(
    read: Callable[[int], Result], body: int, capability: int | None
) -> Result:
    """What `read` makes of the rest of the frame, from where that can begin."""
    if capability is None or not capability & _IO_INCLUDED:
        return read(body)
    *guesses, last = _IO_LENGTHS
    for length in guesses:
        try:
            return read(body + length)
        except DecodeError:
            continue
    return read(body + last)


def _open(data: bytes, start: int, mac: bytes, key: bytes) -> dict[Quantity, float]:
    """The values in the encrypted part that begins at `start`."""
    plain = decrypt(data, start, mac, key)
    try:
        return _values(plain, 0)
    except DecodeError:
        if is_tagged(data):
            raise
        raise DecodeError(WRONG_KEY) from None


def _mac_of(address: str) -> bytes:
    """The bytes of an address as it is written; none for what macOS shows instead."""
    try:
        return bytes.fromhex(address.replace(":", ""))
    except ValueError:
        return b""
