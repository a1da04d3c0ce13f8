"""What a search for sensors has found: each by its address, with what it last said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from hk_bridge.devices.sensor import NEVER
from hk_bridge.devices.sensor_state import SensorCondition, SensorState
from hk_bridge.model import Advertisement, Quantity, Reading
from hk_bridge.protocols.products import PRODUCTS, product_of
from hk_bridge.sensor_frames import OpenedFrame, is_climate, open_frame

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
    is when it was heard last (monotonic), `rssi` in dBm. `product` is the id of one, where
    its `format` has one.
    """

    address: str
    model: str
    format: str
    product: str | None
    at: float
    state: SensorState = SensorState.NEVER_HEARD
    rssi: int | None = None
    key: Key = Key.NO
    configured_as: str | None = None
    values: Mapping[Quantity, float] = field(default_factory=dict)

    def to_json(self, now: float) -> dict[str, Any]:
        """For `hk-bridge scan --json`."""
        return {
            "address": self.address,
            "model": self.model,
            "format": self.format,
            "product": self.product,
            "state": str(self.state),
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
        self._conditions: dict[str, tuple[SensorCondition, Mapping[int, bytes]]] = {}
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
        frame = open_frame(advertisement.service_data, address, bind_key)
        if frame is None or frame.reading is None:
            return
        reading = frame.reading
        if known is None and not _is_sensor(reading):
            if address not in self._found and len(self._others) < MOST:
                self._others.add(address)
            return
        if known is None and address not in self._found and len(self._found) >= MOST:
            return
        before = self._found.get(address)
        if before is None or (before.product is None and reading.product_id is not None):
            before = _found(reading, advertisement)
        self._others.discard(address)
        self._found[address] = replace(
            before,
            at=advertisement.at,
            state=self._state(frame, advertisement),
            rssi=before.rssi if advertisement.rssi is None else advertisement.rssi,
            key=_key(frame, reading, before, bind_key),
            configured_as=None if known is None else known.name,
            values={**before.values, **reading.values},
        )

    def _state(self, frame: OpenedFrame, advertisement: Advertisement) -> SensorState:
        """How it is with a sensor after this frame."""
        address, at = advertisement.address, advertisement.at
        condition, last = self._conditions.get(address, (SensorCondition(), None))
        is_copy = advertisement.service_data == last
        condition.heard(frame.state, at, is_copy=is_copy)
        self._conditions[address] = (condition, advertisement.service_data)
        return condition.state(at, NEVER, values_are_old=False)


def _found(reading: Reading, advertisement: Advertisement) -> Found:
    """A sensor that is heard for the first time, or now says what it is."""
    product_id = reading.product_id
    return Found(
        advertisement.address,
        product_of(reading.format, product_id).name,
        reading.format,
        None if product_id is None else f"0x{product_id:04X}",
        advertisement.at,
    )


def _is_sensor(reading: Reading) -> bool:
    """One whose values can be shown, also if they are encrypted or not there yet."""
    return (
        reading.product_id in PRODUCTS
        or (reading.product_id is None and reading.needs_key)
        or is_climate(reading)
    )


def _key(
    frame: OpenedFrame, reading: Reading, before: Found, bind_key: bytes | None
) -> Key:
    if frame.state is SensorState.WRONG_KEY:
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
    is_encrypting = product_of(reading.format, reading.product_id).encrypted
    return Key.YES if is_encrypting else Key.NO
