"""What the devices last were, kept over restarts: values with their age, lamps.

``devices.json`` in the state directory, and a file of its own for simulations, whose
values must never be shown as those of the real sensors. Losing it never costs a pairing,
so a file that cannot be read is set aside and said once. Until each sensor is heard again
it costs "No Response", and Home shows the services that most sensors have.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hk_bridge.devices.dimmer import FULL, Lamp
from hk_bridge.devices.kind import Kind
from hk_bridge.devices.spikes import Measurement
from hk_bridge.errors import StoreError
from hk_bridge.files import JsonFile
from hk_bridge.model import PLAUSIBLE, Quantity

_LOG = logging.getLogger(__name__)
_FORMAT: Final = 1
_LAST_ID: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class SensorMemory:
    """Last values; `Measurement.at` counts in seconds since 1970 here, -inf: unknown.

    `kind` and what it has shown that it measures `also` decide which services it has.
    """

    kind: Kind | None = None
    measurements: Mapping[Quantity, Measurement] = field(default_factory=dict)
    also: frozenset[Quantity] = frozenset()


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Everything that is kept, by the identities that aids hang on."""

    sensors: Mapping[str, SensorMemory] = field(default_factory=dict)
    lamps: Mapping[str, Lamp] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What stands in the file."""
        return {
            "format": _FORMAT,
            "sensors": {
                identity: _sensor_to_json(sensor)
                for identity, sensor in self.sensors.items()
            },
            "lamps": {
                identity: {"on": lamp.on, "brightness": lamp.brightness}
                for identity, lamp in self.lamps.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DeviceMemory:
        """The inverse; raises what `JsonFile` takes for damage."""
        if data["format"] != _FORMAT:
            raise ValueError("another format")
        return cls(
            _sensors_from_json(data["sensors"]),
            {
                identity: Lamp(bool(lamp["on"]), min(max(int(lamp["brightness"]), 1), FULL))
                for identity, lamp in data["lamps"].items()
            },
        )


def _sensor_to_json(sensor: SensorMemory) -> dict[str, Any]:
    kind = sensor.kind
    return {
        "format": None if kind is None else kind.format,
        "productId": None if kind is None else kind.product_id,
        "also": sorted(sensor.also),
        "values": {
            quantity: [measurement.value, _written(measurement.at)]
            for quantity, measurement in sensor.measurements.items()
        },
    }


def _sensors_from_json(sensors: Mapping[str, Any]) -> dict[str, SensorMemory]:
    """The inverse; what is damaged of one takes no other with it."""
    found = {}
    for identity, sensor in sensors.items():
        with contextlib.suppress(
            ValueError, TypeError, KeyError, IndexError, AttributeError
        ):
            found[identity] = _sensor_from_json(sensor)
    return found


def _sensor_from_json(sensor: Mapping[str, Any]) -> SensorMemory:
    """Earlier versions wrote no format, and knew but one."""
    product_id = sensor["productId"]
    if product_id is not None and not 0 <= (product_id := int(product_id)) <= _LAST_ID:
        raise ValueError("no product id")
    frame_format = sensor.get("format") or (None if product_id is None else "mibeacon")
    return SensorMemory(
        None if frame_format is None else Kind(str(frame_format), product_id),
        {
            quantity: Measurement(_finite(values[0]), _read(values[1]))
            for quantity, (low, high) in PLAUSIBLE.items()
            if (values := sensor["values"].get(quantity)) is not None
            and low <= _finite(values[0]) <= high
        },
        frozenset(quantity for quantity in PLAUSIBLE if quantity in sensor.get("also", ())),
    )


class Memory:
    """The file, and what was last written to it."""

    def __init__(self, directory: Path, *, simulated: bool = False) -> None:
        name = "devices-simulated.json" if simulated else "devices.json"
        self._file = JsonFile(directory / name, DeviceMemory.from_json)
        self._saved: DeviceMemory | None = None
        # At the end of the program a save may still be under way in a thread.
        self._saving = threading.Lock()

    def load(self) -> DeviceMemory:
        """What was kept; nothing where the file is new or cannot be used."""
        try:
            loaded = self._file.load()
        except StoreError as error:
            _LOG.warning("last values and lamp levels are lost: %s", error)
            with contextlib.suppress(OSError):
                self._file.set_aside()
            loaded = None
        if loaded is None:
            return DeviceMemory()
        for notice in loaded.notices:
            _LOG.warning("%s", notice)
        return loaded.value

    def save(self, memory: DeviceMemory) -> None:
        """Keep `memory`, unless that is what stands there already. Raises StoreError."""
        with self._saving:
            if memory != self._saved:
                self._file.save(memory.to_json())
                self._saved = memory


def to_wall_clock(measurement: Measurement, now: float) -> Measurement:
    """A measurement of the monotonic clock, which says `now`, in seconds since 1970."""
    return Measurement(measurement.value, time.time() - (now - measurement.at))


def from_wall_clock(measurement: Measurement, now: float) -> Measurement:
    """The inverse. One from the future has no known age, and counts as too old.

    A machine without a battery-backed clock starts in the past until it finds a time
    server.
    """
    age = time.time() - measurement.at
    return Measurement(measurement.value, now - age if age >= 0 else -math.inf)


def _written(at: float) -> float | None:
    """A time for JSON, which has no infinity."""
    return round(at, 3) if math.isfinite(at) else None


def _read(at: object) -> float:
    """The inverse."""
    return -math.inf if at is None else _finite(at)


def _finite(number: object) -> float:
    value = float(number)  # type: ignore[arg-type] # raises TypeError for what is no number
    if not math.isfinite(value):
        raise ValueError("not a number")
    return value
