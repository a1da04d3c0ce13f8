"""MiBeacon frames: the service data of UUID 0xFE95.

Source: docs/protocols/mibeacon.md. The frame-control bits decide the layout; nothing is
read at a fixed offset behind the frame counter.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from hk_bridge.errors import BindKeyError, DecodeError
from hk_bridge.model import Quantity, Reading
from hk_bridge.protocols.cipher import MAC_LENGTH, WRONG_KEY, mac_of
from hk_bridge.protocols.mibeacon_cipher import decrypt, encrypt, is_tagged
from hk_bridge.protocols.mibeacon_objects import join, split, values_in
from hk_bridge.protocols.quantities import sift

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
                lambda start: (start, tuple(split(data, start))), body, capability
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
        mac = b"" if self.address is None else mac_of(self.address)
        if mac:
            control |= MAC_INCLUDED
            parts.append(mac[::-1])
        if self.capability is not None:
            control |= CAPABILITY_INCLUDED
            parts.append(bytes([self.capability]) + self.io_capability)
        if self.objects:
            control |= OBJECT_INCLUDED
        objects = join(self.objects)
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
        sender = mac or mac_of(address)
        said, unknown = _first_that_fits(
            lambda start: _open(data, start, sender, bind_key), body, capability
        )
    elif capability is None:
        said, unknown = values_in(data, body)
    else:
        said, unknown = _first_that_fits(
            lambda start: values_in(data, start), body, capability
        )
    values, implausible = sift(said)
    return Reading(
        "mibeacon", product_id, counter, mac, values, False, implausible, unknown
    )


def address_in(data: bytes) -> str | None:
    """The sender's address, as Bluetooth stacks spell it, where the frame has it."""
    try:
        mac = _layout(data)[3]
    except DecodeError:
        return None
    return mac.hex(":").upper() or None


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
        mac = data[offset : offset + MAC_LENGTH][::-1]
        offset += MAC_LENGTH
    if control & CAPABILITY_INCLUDED:
        capability = data[offset] if offset < len(data) else None
        offset += 1
    if offset > len(data):
        raise DecodeError("the frame ends inside its header")
    return control, product_id, counter, mac, capability, offset


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


def _open(
    data: bytes, start: int, mac: bytes, key: bytes
) -> tuple[dict[Quantity, float], tuple[int, ...]]:
    """What the encrypted part that begins at `start` says, as `values_in` has it."""
    plain = decrypt(data, start, mac, key)
    try:
        return values_in(plain, 0)
    except DecodeError:
        if is_tagged(data):
            raise
        raise BindKeyError(WRONG_KEY) from None
