"""What a search for sensors has found: each by its address, with what it last said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from hk_bridge.errors import DecodeError
from hk_bridge.model import Advertisement, Quantity, Reading
from hk_bridge.protocols import advert
from hk_bridge.protocols.products import PRODUCTS, product

#: Sensors that are listed at most beside those that are configured, and other devices
#: that are counted: somebody nearby could make up addresses without end.
MOST: Final = 500


class Key(StrEnum):
    """Whether a sensor needs a bind key."""

    NO = "no"
    YES = "yes"
    GIVEN = "given"
    DOES_NOT_FIT = "does not fit"


@dataclass(frozen=True, slots=True)
class Found:
    """A sensor that was heard.

    `configured_as` is its name in accessories.json, None for one that is not there. `at`
    is when it was heard last (monotonic), `rssi` in dBm.
    """

    address: str
    model: str
    product: str
    at: float
    rssi: int | None = None
    key: Key = Key.NO
    configured_as: str | None = None
    values: Mapping[Quantity, float] = field(default_factory=dict)

    def to_json(self, now: float) -> dict[str, Any]:
        """For `hk-bridge scan --json`."""
        return {
            "address": self.address,
            "model": self.model,
            "product": self.product,
            "rssi": self.rssi,
            "lastHeard": round(now - self.at, 3),
            "bindKey": str(self.key),
            "configuredAs": self.configured_as,
            **{str(quantity): value for quantity, value in self.values.items()},
        }


@dataclass(frozen=True, slots=True)
class Known:
    """A sensor of accessories.json."""

    name: str
    bind_key: bytes | None = field(default=None, repr=False)


class Discovery:
    """Takes adverts of everybody, and keeps those of sensors.

    `known` are the sensors that are configured, by address. `others` counts the senders of
    other things that speak the same formats.
    """

    def __init__(self, known: Mapping[str, Known]) -> None:
        self._known = known
        self._found: dict[str, Found] = {}
        self._others: set[str] = set()

    @property
    def found(self) -> list[Found]:
        """Those that are not configured first, the strongest signal first."""
        return sorted(
            self._found.values(),
            key=lambda found: (
                found.configured_as is not None,
                found.rssi is None,
                -(found.rssi or 0),
                found.address,
            ),
        )

    @property
    def others(self) -> int:
        """How many senders were heard that are no sensors."""
        return len(self._others)

    def heard(self, advertisement: Advertisement) -> None:
        """Take one advert."""
        address = advertisement.address
        known = self._known.get(address)
        bind_key = None if known is None else known.bind_key
        does_not_fit = False
        try:
            reading = advert.decode(advertisement.service_data, address, bind_key)
        except DecodeError:
            # With a key, it may be the key that is wrong.
            does_not_fit = bind_key is not None
            reading = self._without_key(advertisement) if does_not_fit else None
        if reading is None:
            return
        if not _is_sensor(reading):
            if address not in self._found and len(self._others) < MOST:
                self._others.add(address)
            return
        if known is None and address not in self._found and len(self._found) >= MOST:
            return
        model = product(reading.product_id)
        before = self._found.get(address) or Found(
            address, model.name, f"0x{reading.product_id:04X}", advertisement.at
        )
        self._others.discard(address)
        self._found[address] = replace(
            before,
            at=advertisement.at,
            rssi=before.rssi if advertisement.rssi is None else advertisement.rssi,
            key=_key(reading, before, bind_key, does_not_fit=does_not_fit),
            configured_as=None if known is None else known.name,
            values={**before.values, **reading.values},
        )

    def _without_key(self, advertisement: Advertisement) -> Reading | None:
        try:
            return advert.decode(advertisement.service_data, advertisement.address, None)
        except DecodeError:
            return None


def _is_sensor(reading: Reading) -> bool:
    """One whose values can be shown, also if they are encrypted or not there yet."""
    return reading.product_id in PRODUCTS or bool(
        reading.values.keys() & {"temperature", "humidity"}
    )


def _key(
    reading: Reading, before: Found, bind_key: bytes | None, *, does_not_fit: bool
) -> Key:
    if does_not_fit:
        return Key.DOES_NOT_FIT
    if reading.needs_key:
        return Key.YES
    if reading.values:
        return Key.NO if bind_key is None else Key.GIVEN
    # An idle frame tells nothing: what the model does counts, until it does otherwise.
    if before.values or before.key is not Key.NO:
        return before.key
    if bind_key is not None:
        return Key.GIVEN
    known = PRODUCTS.get(reading.product_id)
    return Key.YES if known is not None and known.encrypted else Key.NO
