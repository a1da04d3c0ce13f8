"""An accessory as the bytes of its JSON in GET /accessories.

HAP-python makes dictionaries of every service at each request, which leads the cost of it.
Here everything but the values is encoded once, and shared by all accessories that have
the same services; and the whole, until one of its characteristics says that it has become
another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pyhap.accessory import Accessory
from pyhap.characteristic import PROP_PERMISSIONS, Characteristic
from pyhap.const import HAP_PERMISSION_READ, HAP_REPR_AID, HAP_REPR_VALUE

#: Stands for a value; no name of a service or characteristic has such a character.
_GAP: Final = "\x00"
_GAP_JSON: Final = orjson.dumps(_GAP)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What accessories with the same services have in common.

    `between` is what stands before, between and behind their aid and values. The `digest`
    is the same in every process, where the order of keys need not be.
    """

    between: tuple[bytes, ...]
    digest: bytes


#: A handful, by their JSON with gaps.
_known: dict[bytes, _Kind] = {}


class EncodedAccessory:
    """Keeps what `accessory` is in JSON; its services stay what they are now."""

    __slots__ = ("_accessory", "_bytes", "_characteristics", "_kind")

    def __init__(self, accessory: Accessory) -> None:
        self._accessory = accessory
        self._characteristics: tuple[Characteristic, ...] = tuple(_readable(accessory))
        self._kind = _kind_of(accessory)
        self._bytes: bytes | None = None

    @property
    def digest(self) -> bytes:
        """Another one where the JSON is another one but for aid and values; 32 bytes."""
        return self._kind.digest

    def forget(self) -> None:
        """Know that a value is another one."""
        self._bytes = None

    def encode(self) -> bytes:
        """The JSON of now; null for a value that is not known."""
        if self._bytes is None:
            values = (each.value for each in self._characteristics)
            first, *between = self._kind.between
            parts = [first]
            for value, after in zip((self._accessory.aid, *values), between, strict=True):
                parts += (orjson.dumps(value), after)
            self._bytes = b"".join(parts)
        return self._bytes


def _readable(accessory: Accessory) -> Iterator[Characteristic]:
    for service in accessory.services:
        for characteristic in service.characteristics:
            if HAP_PERMISSION_READ in characteristic.properties[PROP_PERMISSIONS]:
                yield characteristic


def _kind_of(accessory: Accessory) -> _Kind:
    made = _with_gaps(accessory)
    encoded = orjson.dumps(made)
    if encoded not in _known:
        in_order = orjson.dumps(made, option=orjson.OPT_SORT_KEYS)
        _known[encoded] = _Kind(
            tuple(encoded.split(_GAP_JSON)), hashlib.sha256(in_order).digest()
        )
    return _known[encoded]


def _with_gaps(accessory: Accessory) -> dict[str, Any]:
    """The dictionary that HAP-python makes, with a gap for the aid and for each value."""
    # That of the bridge would be a list of all accessories.
    made: dict[str, Any] = Accessory.to_HAP(accessory, include_value=False)
    readable = {id(each) for each in _readable(accessory)}
    for service, described in zip(accessory.services, made["services"], strict=True):
        characteristics = described["characteristics"]
        for index, characteristic in enumerate(service.characteristics):
            if id(characteristic) in readable:
                characteristics[index] = {**characteristics[index], HAP_REPR_VALUE: _GAP}
            # HAP-python would keep one dictionary for each characteristic.
            characteristic._to_hap_cache = None  # noqa: SLF001 # there is no other way to it
    return {**made, HAP_REPR_AID: _GAP}
