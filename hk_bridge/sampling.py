"""Takes samples of certain sensors until there are enough, as `hk-bridge read` does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from hk_bridge.config import SensorConfig
from hk_bridge.devices.kind import Recognition
from hk_bridge.devices.samples import AVERAGED, Samples
from hk_bridge.devices.sensor import NEVER, Sensor
from hk_bridge.devices.sensor_state import SensorCondition, SensorState
from hk_bridge.model import PLAUSIBLE, Advertisement, Quantity
from hk_bridge.protocols.hci import SERVICE_DATA_16
from hk_bridge.protocols.products import UNKNOWN, Product, product_of
from hk_bridge.sensor_frames import open_frame
from hk_bridge.sensor_words import advice

#: Quantity, letter and form of each line, and the unit that is shown on the way.
_LINES: Final[tuple[tuple[Quantity, str, str, str], ...]] = (
    ("temperature", "T", "z.1f", "°C"),
    ("humidity", "H", "z.1f", "%"),
    ("battery", "B", ".0f", "%"),
)

_NOT_HEARD: Final = (
    "was not heard. Is the address right, is it in range, is its battery good? "
    "hk-bridge scan shows who is heard here"
)


class SampledSensor:
    """A sensor that is listened to, and what it has said since.

    Its values are what the bridge would take, too: no copy, late frame, replay or jump.
    """

    def __init__(self, config: SensorConfig, address: str) -> None:
        self.address = address
        self.name = config.name
        self.samples = Samples()
        self.bind_key = config.bind_key
        self._sensor = Sensor(
            UNKNOWN.timeout,
            config.temperature_offset,
            config.humidity_offset,
            spike_filter=config.spike_filter,
        )
        self._recognition = Recognition()
        self._condition = SensorCondition()
        self._problem = ""
        self._rssi: int | None = None
        self._last_data: Mapping[int, bytes] | None = None

    @property
    def product(self) -> Product:
        """What it is, as far as its frames have told."""
        kind = self._recognition.kind
        return UNKNOWN if kind is None else product_of(kind.format, kind.product_id)

    @property
    def state(self) -> SensorState:
        """How it is with it."""
        return self._condition.state(0.0, NEVER, values_are_old=False)

    def heard(self, advertisement: Advertisement) -> None:
        """Take one advert of this sensor."""
        data, at = advertisement.service_data, advertisement.at
        frame = open_frame(data, self.address, self.bind_key)
        if frame is None:
            return
        if advertisement.rssi is not None:
            self._rssi = advertisement.rssi
        is_copy, self._last_data = data == self._last_data, data
        self._condition.heard(frame.state, at, is_copy=is_copy)
        self._problem = frame.problem or self._problem
        if frame.reading is None:
            return
        # What it is can only be learnt from frames that say something new.
        if not is_copy and self._recognition.heard(frame.reading):
            self._sensor.timeout = self.product.timeout
        if frame.is_open:
            self.samples.add(self._sensor.update(frame.reading, at), at)

    def value(self, quantity: Quantity) -> float | None:
        """What `Samples.value` is, with the offset of this sensor."""
        value = self.samples.value(quantity)
        return None if value is None else self._sensor.with_offset(quantity, value)

    def has_enough(self, wanted: int) -> bool:
        """Whether there are `wanted` samples of all that its product has."""
        return self.samples.are_enough(wanted, self.product.quantities)

    def lines(self, to_unix: Callable[[float], float]) -> list[str]:
        """``T 4C:64:A8:D0:AE:65 1700000000 21.3`` and so on, for those that have come."""
        lines = []
        for quantity, letter, form, _ in _LINES:
            value = self.value(quantity)
            if value is not None:
                at = int(to_unix(self.samples.last[quantity].at))
                lines.append(f"{letter} {self.address} {at} {value:{form}}")
        return lines

    def to_json(self, to_unix: Callable[[float], float]) -> dict[str, Any]:
        """For `hk-bridge read --json`."""
        kind = self._recognition.kind
        last = max((sample.at for sample in self.samples.last.values()), default=None)
        return {
            "address": self.address,
            **({"name": self.name} if self.name else {}),
            "model": None if kind is None else self.product.name,
            "format": None if kind is None else kind.format,
            "time": None if last is None else round(to_unix(last), 3),
            **self._values(),
            "samples": {str(each): self.samples.count(each) for each in AVERAGED},
            "rssi": self._rssi,
            "state": str(self.state),
        }

    def progress(self, wanted: int) -> list[str]:
        """Temperature, humidity and battery up to now, the first two of how many."""
        cells = []
        for quantity, _, form, unit in _LINES:
            value = self.value(quantity)
            cell = "–" if value is None else f"{value:{form}} {unit}"
            if value is not None and quantity in AVERAGED:
                cell += f", {self.samples.count(quantity)} of {wanted}"
            cells.append(cell)
        return cells

    def why_nothing(self) -> str:
        """Why it has said nothing, and what can be done about it."""
        says = advice(self.state, self.product, self._problem, self._sensor.timeout)
        who = f"{self.name} ({self.address})" if self.name else self.address
        return f"{who} {_NOT_HEARD}" if says is None else f"{who}: {says}"

    def _values(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for quantity in PLAUSIBLE:
            value = self.value(quantity)
            if value is not None:
                # Adding 0.0 makes of -0.0 what it is.
                is_mean = quantity in AVERAGED
                values[str(quantity)] = round(value, 1) + 0.0 if is_mean else value
        return values


def in_hex(advertisement: Advertisement) -> list[str]:
    """The AD structure of each service data: length, type, UUID and data as it was sent."""
    return [
        f"{advertisement.address} - {len(data) + 3:02X} {SERVICE_DATA_16:02X} "
        + (uuid.to_bytes(2, "little") + data).hex(" ").upper()
        for uuid, data in advertisement.service_data.items()
    ]


class Sampling:
    """Takes adverts until each of `sensors` has `wanted` samples; then `enough` is set.

    What comes after that changes nothing any more. `on_advert` is told of each advert that
    is taken.
    """

    def __init__(
        self,
        sensors: Iterable[SampledSensor],
        wanted: int,
        on_advert: Callable[[Advertisement], None] = lambda _advertisement: None,
    ) -> None:
        self.sensors = {sensor.address: sensor for sensor in sensors}
        self.wanted = wanted
        self.enough = asyncio.Event()
        self._on_advert = on_advert

    def heard(self, advertisement: Advertisement) -> None:
        """Take one advert of one of the sensors."""
        if self.enough.is_set():
            return
        self.sensors[advertisement.address].heard(advertisement)
        self._on_advert(advertisement)
        if all(sensor.has_enough(self.wanted) for sensor in self.sensors.values()):
            self.enough.set()
