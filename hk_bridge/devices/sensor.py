"""A climate sensor: the last values, their ages, and what of them may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hk_bridge.model import Quantity, Reading

#: What a room can have, in °C, % and %. A value outside is damage, not weather.
PLAUSIBLE: Final[Mapping[Quantity, tuple[float, float]]] = {
    "temperature": (-40.0, 85.0),
    "humidity": (0.0, 100.0),
    "battery": (0.0, 100.0),
}

#: The battery changes over months: its last value stays good.
AGEING: Final[frozenset[Quantity]] = frozenset({"temperature", "humidity"})

NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value as it was sent, and when it was last heard (seconds, monotonic)."""

    value: float
    at: float


@dataclass(frozen=True, slots=True)
class SensorView:
    """What may be shown of a sensor: None for what is not known or too old.

    `temperature` in °C and `humidity` in % with the offsets applied, `battery` in %.
    """

    temperature: float | None
    humidity: float | None
    battery: int | None
    low_battery: bool | None


@dataclass(frozen=True, slots=True)
class LastValue:
    """A value with its offset, its age in seconds, and whether it may still be shown."""

    value: float
    age: float
    is_live: bool


class Sensor:
    """One sensor of the house.

    `timeout` is in seconds, `NEVER` for values that do not age. Offsets are in °C and %,
    `low_battery` in %.
    """

    def __init__(
        self,
        timeout: float,
        temperature_offset: float = 0.0,
        humidity_offset: float = 0.0,
        low_battery: int = 10,
    ) -> None:
        self.timeout = timeout
        self.product_id: int | None = None
        self.refused = 0
        self._offsets: dict[Quantity, float] = {
            "temperature": temperature_offset,
            "humidity": humidity_offset,
        }
        self._low_battery = low_battery
        self._last: dict[Quantity, Measurement] = {}
        self._counter: int | None = None
        self._heard = -NEVER

    @property
    def measurements(self) -> Mapping[Quantity, Measurement]:
        """The last values as they were sent, however old."""
        return self._last

    def restore(self, quantity: Quantity, measurement: Measurement) -> None:
        """Take over a value from before a restart; its age goes on counting."""
        self._last[quantity] = measurement

    def update(self, reading: Reading, at: float) -> None:
        """Take a frame that was heard `at` that time.

        The frame of the last counter again brings no new value, but refreshes the age of
        what it carries: unless it was last heard longer ago than values live, for then
        the counter has come round. A value that is not plausible is counted and dropped.
        """
        self.product_id = reading.product_id
        repeated = (
            reading.counter is not None
            and reading.counter == self._counter
            and self._is_recent(self._heard, at)
        )
        self._counter, self._heard = reading.counter, at
        for quantity, value in reading.values.items():
            low, high = PLAUSIBLE[quantity]
            if not low <= value <= high:
                self.refused += not repeated
            elif not repeated:
                self._last[quantity] = Measurement(value, at)
            elif (known := self._last.get(quantity)) is not None:
                self._last[quantity] = Measurement(known.value, at)

    def view(self, now: float) -> SensorView:
        """What may be shown now."""
        battery = self._live("battery", now)
        return SensorView(
            self._live("temperature", now),
            self._live("humidity", now),
            None if battery is None else int(battery),
            None if battery is None else battery <= self._low_battery,
        )

    def last_values(self, now: float) -> dict[Quantity, LastValue]:
        """Everything that was ever heard, however old."""
        return {
            quantity: LastValue(
                self._with_offset(quantity, known.value),
                now - known.at,
                self._live(quantity, now) is not None,
            )
            for quantity, known in self._last.items()
        }

    def expires(self, now: float) -> float:
        """When the next live value becomes too old; `NEVER` where none will."""
        ends = (
            measurement.at + self.timeout
            for quantity, measurement in self._last.items()
            if quantity in AGEING
        )
        return min((end for end in ends if end > now), default=NEVER)

    def _live(self, quantity: Quantity, now: float) -> float | None:
        known = self._last.get(quantity)
        if known is None:
            return None
        if quantity in AGEING and not self._is_recent(known.at, now):
            return None
        return self._with_offset(quantity, known.value)

    def _with_offset(self, quantity: Quantity, value: float) -> float:
        offset = self._offsets.get(quantity)
        if not offset:
            return value
        low, high = PLAUSIBLE[quantity]
        return round(min(max(value + offset, low), high), 1)

    def _is_recent(self, at: float, now: float) -> bool:
        """The same sum as in `expires`: a difference can round to the other side."""
        return now < at + self.timeout
