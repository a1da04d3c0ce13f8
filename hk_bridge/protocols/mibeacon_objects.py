"""The objects of MiBeacon frames: which there are, and what their data means.

Source: docs/protocols/mibeacon.md, "Objects". All numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hk_bridge.errors import DecodeError
from hk_bridge.model import Quantity

Number = float | bytes

_HEAD: Final = struct.Struct("<HB")

#: More of a float32 is noise: 23.8 comes out of one as 23.799999237060547.
_FLOAT_DIGITS: Final = 2


@dataclass(frozen=True, slots=True)
class _Scale:
    """The two ways between a number, as struct has it, and a value."""

    read: Callable[[Any], float]
    write: Callable[[float], Number]


_WHOLE: Final = _Scale(int, round)
_TENTHS: Final = _Scale(lambda number: number / 10, lambda value: round(value * 10))
_HUNDREDTHS: Final = _Scale(lambda number: number / 100, lambda value: round(value * 100))
_FLOAT: Final = _Scale(lambda number: round(number, _FLOAT_DIGITS), float)
_FLAG: Final = _Scale(lambda number: int(number != 0), lambda value: int(value != 0))
#: struct has no integer of three bytes.
_UINT24: Final = _Scale(
    lambda raw: int.from_bytes(raw, "little"),
    lambda value: round(value).to_bytes(3, "little"),
)

_Numbers = tuple[tuple[Quantity, _Scale], ...]

_TEMPERATURE: Final[_Numbers] = (("temperature", _TENTHS),)
_HUMIDITY: Final[_Numbers] = (("humidity", _TENTHS),)
_BATTERY: Final[_Numbers] = (("battery", _WHOLE),)
_TEMPERATURE_FLOAT: Final[_Numbers] = (("temperature", _FLOAT),)
_HUMIDITY_WHOLE: Final[_Numbers] = (("humidity", _WHOLE),)
_HUMIDITY_FLOAT: Final[_Numbers] = (("humidity", _FLOAT),)
_LOW_BATTERY: Final[_Numbers] = (("lowBattery", _FLAG),)

_BYTE: Final = struct.Struct("<B")
_UNSIGNED: Final = struct.Struct("<H")
_SIGNED: Final = struct.Struct("<h")
_FLOAT32: Final = struct.Struct("<f")

#: Object type → its layout and, for each number in it, the quantity and its scale.
_OBJECTS: Final[Mapping[int, tuple[struct.Struct, _Numbers]]] = {
    0x1004: (_SIGNED, _TEMPERATURE),
    0x1006: (_UNSIGNED, _HUMIDITY),
    0x1007: (struct.Struct("<3s"), (("illuminance", _UINT24),)),
    0x1008: (_BYTE, (("moisture", _WHOLE),)),
    0x1009: (_UNSIGNED, (("conductivity", _WHOLE),)),
    0x100A: (_BYTE, _BATTERY),
    0x100D: (struct.Struct("<hH"), _TEMPERATURE + _HUMIDITY),
    0x1010: (_UNSIGNED, (("formaldehyde", _HUNDREDTHS),)),
    0x4801: (_FLOAT32, _TEMPERATURE_FLOAT),
    0x4802: (_BYTE, _HUMIDITY_WHOLE),
    0x4803: (_BYTE, _BATTERY),
    0x4808: (_FLOAT32, _HUMIDITY_FLOAT),
    0x4A01: (_BYTE, _LOW_BATTERY),
    0x4C01: (_FLOAT32, _TEMPERATURE_FLOAT),
    0x4C02: (_BYTE, _HUMIDITY_WHOLE),
    0x4C03: (_BYTE, _BATTERY),
    0x4C08: (_FLOAT32, _HUMIDITY_FLOAT),
    0x4E01: (_BYTE, _LOW_BATTERY),
    0x5003: (_BYTE, _BATTERY),
}

_Put = Callable[[bytes, int, dict[Quantity, float]], None]


def _one(layout: struct.Struct, numbers: _Numbers) -> _Put:
    """What puts the only number of an object among the values."""
    unpack, ((quantity, scale),) = layout.unpack_from, numbers
    read = scale.read

    def put(data: bytes, offset: int, values: dict[Quantity, float]) -> None:
        (number,) = unpack(data, offset)
        values[quantity] = read(number)

    return put


def _two(layout: struct.Struct, numbers: _Numbers) -> _Put:
    """The same of two; a loop over them would take twice as long."""
    unpack, ((quantity, scale), (other, other_scale)) = layout.unpack_from, numbers
    read, read_other = scale.read, other_scale.read

    def put(data: bytes, offset: int, values: dict[Quantity, float]) -> None:
        number, other_number = unpack(data, offset)
        values[quantity] = read(number)
        values[other] = read_other(other_number)

    return put


#: The same for decoding: object type → its length, and what puts it among the values.
_READERS: Final[Mapping[int, tuple[int, _Put]]] = {
    kind: (layout.size, {1: _one, 2: _two}[len(numbers)](layout, numbers))
    for kind, (layout, numbers) in _OBJECTS.items()
}


def split(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """The objects from `offset` to the end, as pairs of a type and its data.

    Raises DecodeError where the end is not that of an object.
    """
    end = len(data)
    while offset < end:
        try:
            kind, length = _HEAD.unpack_from(data, offset)
        except struct.error:
            raise DecodeError("the frame ends inside the head of an object") from None
        offset += _HEAD.size
        yield kind, data[offset : offset + length]
        offset += length
    if offset > end:
        raise DecodeError("the frame ends inside an object")


def join(objects: tuple[tuple[int, bytes], ...]) -> bytes:
    """The inverse of `split`."""
    return b"".join(_HEAD.pack(kind, len(data)) + data for kind, data in objects)


def values_in(data: bytes, offset: int) -> tuple[dict[Quantity, float], tuple[int, ...]]:
    """What the objects from `offset` to the end say, and the types that are in no table.

    Of several that say the same quantity, the last counts. Raises DecodeError for objects
    that do not add up. Walks the objects itself: every advert of every sensor comes
    through here, and half of the time of `split` goes into handing them over.
    """
    values: dict[Quantity, float] = {}
    unknown: tuple[int, ...] = ()
    end = len(data)
    while offset < end:
        try:
            kind, length = _HEAD.unpack_from(data, offset)
        except struct.error:
            raise DecodeError("the frame ends inside the head of an object") from None
        offset += _HEAD.size
        known = _READERS.get(kind)
        if known is None:
            unknown = (*unknown, kind)
        else:
            size, put = known
            if length != size or offset + length > end:
                raise DecodeError(
                    f"object 0x{kind:04X} has {min(length, end - offset)} bytes "
                    f"instead of {size}"
                )
            put(data, offset, values)
        offset += length
    if offset > end:
        raise DecodeError("the frame ends inside an object")
    return values, unknown


def encode_values(
    temperature: float | None = None,
    humidity: float | None = None,
    battery: int | None = None,
) -> tuple[tuple[int, bytes], ...]:
    """The objects 0x10xx that carry these values: °C, % and %.

    Temperature and humidity together go into the one object that holds both.
    """
    given: Mapping[Quantity, float | None] = {
        "temperature": temperature,
        "humidity": humidity,
        "battery": battery,
    }
    left = {name for name, value in given.items() if value is not None}
    objects = []
    by_size = sorted(_OBJECTS.items(), key=lambda row: (-len(row[1][1]), row[0]))
    for kind, (layout, numbers) in by_size:
        names = {name for name, _ in numbers}
        if names <= left:
            left -= names
            data = layout.pack(*(scale.write(given[name] or 0) for name, scale in numbers))
            objects.append((kind, data))
    return tuple(objects)
