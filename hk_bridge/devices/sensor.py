"""A sensor: the last values, their ages, and what of them may be shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hk_bridge.devices.frame_order import Frame, FrameOrder
from hk_bridge.devices.spikes import Measurement, SpikeFilter
from hk_bridge.model import PLAUSIBLE, Quantity, Reading

#: The battery changes over months: its last value stays good.
_LASTING: Final[frozenset[Quantity]] = frozenset({"battery", "voltage", "lowBattery"})
AGEING: Final[frozenset[Quantity]] = frozenset(PLAUSIBLE) - _LASTING

NEVER: Final = float("inf")

#: Kinds of unknown objects that are counted, each by itself.
_MOST_UNKNOWN: Final = 32


@dataclass(frozen=True, slots=True)
class SensorView:
    """What may be shown of a sensor: None for what is not known or too old.

    `temperature` in °C and `humidity` in % with the offsets applied, `battery` and
    `moisture` in %, `illuminance` in lx.
    """

    temperature: float | None
    humidity: float | None
    battery: int | None
    low_battery: bool | None
    moisture: float | None = None
    illuminance: float | None = None


@dataclass(frozen=True, slots=True)
class LastValue:
    """A value with its offset, its age in seconds, and whether it may still be shown."""

    value: float
    age: float
    is_live: bool


class Sensor:
    """One sensor of the house.

    `timeout` is in seconds, `NEVER` for values that do not age. Offsets are in °C and %,
    `low_battery` in %. Without a `spike_filter` no value is held back.

    `refused` counts values that cannot be, `replays` frames that somebody may have sent
    again, `unknown` objects that nobody knows, by id.
    """

    def __init__(
        self,
        timeout: float,
        temperature_offset: float = 0.0,
        humidity_offset: float = 0.0,
        low_battery: int = 10,
        *,
        spike_filter: bool = True,
    ) -> None:
        self.refused = 0
        self.replays = 0
        self.unknown: Counter[int] = Counter()
        self._last: dict[Quantity, Measurement] = {}
        self._order = FrameOrder()
        self._spikes: SpikeFilter | None = None
        self.adjust(
            timeout,
            temperature_offset,
            humidity_offset,
            low_battery,
            spike_filter=spike_filter,
        )

    def adjust(
        self,
        timeout: float,
        temperature_offset: float,
        humidity_offset: float,
        low_battery: int,
        *,
        spike_filter: bool,
    ) -> None:
        """Go by these from now on; what has been heard still counts."""
        self.timeout = timeout
        self._offsets: dict[Quantity, float] = {
            "temperature": temperature_offset,
            "humidity": humidity_offset,
        }
        self._low_battery = low_battery
        if not spike_filter:
            self._spikes = None
        elif self._spikes is None:
            self._spikes = SpikeFilter()

    @property
    def measurements(self) -> Mapping[Quantity, Measurement]:
        """The last values as they were sent, however old."""
        return self._last

    def restore(self, quantity: Quantity, measurement: Measurement) -> None:
        """Take over a value from before a restart; its age goes on counting."""
        self._last[quantity] = measurement

    def update(self, reading: Reading, at: float) -> Mapping[Quantity, float]:
        """Take a frame that was heard `at` that time; returns what it makes current.

        The last frame again brings no new value, but refreshes the age of what it carries:
        unless it was last heard longer ago than values live, for then the counter has come
        round. A late copy does nothing, and a replay is counted. A value that cannot be is
        counted and dropped, and a jump is held back; see `SpikeFilter`.
        """
        released = self.settle(at)
        frame = self._order.judge(reading, at, self.timeout)
        if frame is Frame.NEW:
            return {**released, **self._take(reading, at)}
        if frame is Frame.REPEATED:
            self._refresh(reading.values, at)
        self.replays += frame is Frame.REPLAYED
        return released

    def settle(self, now: float) -> Mapping[Quantity, float]:
        """Let count what has been held back for long enough; returns that."""
        released = {} if self._spikes is None else self._spikes.release(now)
        self._last.update(released)
        return {quantity: measurement.value for quantity, measurement in released.items()}

    def view(self, now: float) -> SensorView:
        """What may be shown now."""
        battery = self._live("battery", now)
        return SensorView(
            self._live("temperature", now),
            self._live("humidity", now),
            None if battery is None else int(battery),
            self._is_low(battery, self._live("lowBattery", now)),
            self._live("moisture", now),
            self._live("illuminance", now),
        )

    def is_live(self, now: float) -> bool:
        """Whether there is a value that becomes too old one day, and is not yet."""
        return any(
            quantity in AGEING and now < measurement.at + self.timeout
            for quantity, measurement in self._last.items()
        )

    def last_values(self, now: float) -> dict[Quantity, LastValue]:
        """Everything that was ever heard, however old."""
        return {
            quantity: LastValue(
                self.with_offset(quantity, known.value),
                now - known.at,
                self._live(quantity, now) is not None,
            )
            for quantity, known in self._last.items()
        }

    def expires(self, now: float) -> float:
        """When what may be shown changes by itself; `NEVER` where it will not.

        That is when the next live value becomes too old, or one that is held back counts.
        """
        ends = (
            measurement.at + self.timeout
            for quantity, measurement in self._last.items()
            if quantity in AGEING
        )
        too_old = min((end for end in ends if end > now), default=NEVER)
        return (
            too_old if self._spikes is None else min(too_old, self._spikes.next_release())
        )

    def with_offset(self, quantity: Quantity, value: float) -> float:
        """`value` as it is shown."""
        offset = self._offsets.get(quantity)
        if not offset:
            return value
        low, high = PLAUSIBLE[quantity]
        return round(min(max(value + offset, low), high), 1)

    def _take(self, reading: Reading, at: float) -> Mapping[Quantity, float]:
        self.refused += len(reading.implausible)
        if reading.unknown:
            self._count_unknown(reading.unknown)
        if self._spikes is None:
            taken = reading.values
        else:
            holds, last = self._spikes.holds, self._last
            taken = {
                quantity: value
                for quantity, value in reading.values.items()
                if not holds(quantity, last.get(quantity), value, at)
            }
        for quantity, value in taken.items():
            self._last[quantity] = Measurement(value, at)
        return taken

    def _refresh(self, quantities: Iterable[Quantity], at: float) -> None:
        for quantity in quantities:
            if self._spikes is not None and self._spikes.repeated(quantity, at):
                continue
            if (known := self._last.get(quantity)) is not None:
                self._last[quantity] = Measurement(known.value, at)

    def _count_unknown(self, kinds: Iterable[int]) -> None:
        for kind in kinds:
            if kind in self.unknown or len(self.unknown) < _MOST_UNKNOWN:
                self.unknown[kind] += 1

    def _is_low(self, battery: float | None, flag: float | None) -> bool | None:
        """Whether the battery is low by its level, or by what the sensor itself says."""
        if battery is None and flag is None:
            return None
        return bool(flag) or (battery is not None and battery <= self._low_battery)

    def _live(self, quantity: Quantity, now: float) -> float | None:
        known = self._last.get(quantity)
        if known is None:
            return None
        # The same sum as in `expires`: a difference can round to the other side.
        if quantity in AGEING and not now < known.at + self.timeout:
            return None
        return self.with_offset(quantity, known.value)
