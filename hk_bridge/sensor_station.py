"""A sensor of the house, tied to its configuration and its accessory."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from hk_bridge.complaints import Complaints
from hk_bridge.config import SensorConfig
from hk_bridge.devices.kind import Recognition
from hk_bridge.devices.sensor import AGEING, NEVER, Sensor
from hk_bridge.devices.sensor_state import SensorCondition, SensorState
from hk_bridge.devices.spikes import Measurement
from hk_bridge.homekit.accessories import SHOWN, SensorAccessory
from hk_bridge.homekit.appearance import Appearance, Information
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.memory import SensorMemory, from_wall_clock, to_wall_clock
from hk_bridge.model import Advertisement, Quantity, Reading
from hk_bridge.protocols.products import (
    ENCRYPTED_TIMEOUT,
    PLAIN_TIMEOUT,
    PRODUCTS,
    UNKNOWN,
    Product,
    product_of,
)
from hk_bridge.sensor_frames import OpenedFrame, open_frame
from hk_bridge.sensor_words import advice, in_words
from hk_bridge.status import SensorStatus

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

#: New values of a quantity that show that a sensor of which nobody knows what it measures
#: does measure it: a single frame could be anybody's.
_TIMES: Final = 3

_WITHOUT_BATTERY: Final = SHOWN - {"battery"}

_REPLAYED: Final = OpenedFrame(
    SensorState.UNREADABLE,
    None,
    "its counter has gone back, as if somebody sent an old frame again. If its battery was "
    "changed, restart the bridge",
)


class SensorStation:
    """A configured sensor: from its service data to its accessory.

    `heard_at` is when its last advert came, by `clock`, `adverts` how many have. `keep` is
    called when something has changed that a restart must not lose.
    """

    accessory: SensorAccessory

    def __init__(
        self,
        config: SensorConfig,
        remembered: SensorMemory | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        remembered = remembered or SensorMemory()
        self.config = config
        self.identity = config.identity
        self._clock = clock
        self._keep = keep
        self._recognition = Recognition(remembered.kind)
        self._also = remembered.also
        self._times: Counter[Quantity] = Counter()
        now = clock()
        self.sensor = self._make_sensor(
            {
                quantity: from_wall_clock(measurement, now)
                for quantity, measurement in remembered.measurements.items()
            }
        )
        self._adjust()
        self.adverts = 0
        self._shown: frozenset[Quantity] = frozenset()
        self._has_accessory = False
        self._begin()

    def _begin(self) -> None:
        """Know nothing yet of what its frames are like."""
        self.expires = NEVER
        self.heard_at: float | None = None
        self._rssi: int | None = None
        self._last_data: Mapping[int, bytes] | None = None
        self._condition = SensorCondition()
        self._logged: tuple[SensorState, bool] = (SensorState.NEVER_HEARD, False)
        self._problems: dict[SensorState, str] = {}

    def _make_sensor(self, measurements: Mapping[Quantity, Measurement]) -> Sensor:
        """A sensor that nothing has been heard of but these last values."""
        sensor = Sensor(self._timeout())
        for quantity, measurement in measurements.items():
            sensor.restore(quantity, measurement)
        return sensor

    def _adjust(self) -> None:
        """Have the sensor go by the configuration."""
        config = self.config
        self.sensor.adjust(
            self._timeout(),
            config.temperature_offset,
            config.humidity_offset,
            config.low_battery,
            spike_filter=config.spike_filter,
        )

    def change(self, config: SensorConfig) -> None:
        """Be what the configuration says from now on.

        With another address or bind key it is a new sensor, in the old one's place.
        """
        before, self.config = self.config, config
        if _source(before) != _source(config):
            self._begin()
            self.sensor = self._make_sensor(self.sensor.measurements)
        self._adjust()
        if self._has_accessory:
            self.show(self._clock())

    def adopt(self, address: str, identity: str) -> None:
        """Be the sensor with this address; what it is kept under is `identity`."""
        self.config = replace(self.config, address=address)
        self.identity = identity

    @property
    def product(self) -> Product:
        """What it is, as far as its frames have told."""
        kind = self._recognition.kind
        return UNKNOWN if kind is None else product_of(kind.format, kind.product_id)

    def make_accessory(self, driver: BridgeDriver, aid: int) -> SensorAccessory:
        """The accessory on which this sensor is shown from now on."""
        self._place(driver, aid)
        self.show(self._clock())
        return self.accessory

    @property
    def appearance(self) -> Appearance:
        """What Home is to be told of it."""
        product = self.product
        information = Information(
            self.config.name,
            product.manufacturer,
            product.name,
            self.config.address or "Not heard yet",
        )
        return Appearance(information, self._to_show(), self.config.names)

    def _place(self, driver: BridgeDriver, aid: int) -> None:
        appearance, name = self.appearance, self.config.name
        self._shown, self._has_accessory = appearance.quantities or frozenset(), True
        self.accessory = SensorAccessory(
            driver,
            appearance.information,
            aid,
            lambda: _LOG.info("%s was asked to identify itself", name),
            quantities=self._shown,
            names=appearance.names,
        )

    def heard(self, advertisement: Advertisement) -> None:
        """Take one advert of this sensor."""
        at = advertisement.at
        self.heard_at = at
        self.adverts += 1
        self._rssi = advertisement.rssi
        frame = open_frame(
            advertisement.service_data, self.config.address, self.config.bind_key
        )
        if frame is None:
            return
        is_copy = advertisement.service_data == self._last_data
        self._last_data = advertisement.service_data
        is_other = (
            frame.reading is not None
            and not is_copy
            and self._recognition.heard(frame.reading)
        )
        if is_other:
            self.sensor.timeout = self._timeout()
        also = self._also
        if frame.reading is not None and frame.is_open:
            frame = frame if self._update(frame.reading, at) else _REPLAYED
        if frame.problem:
            self._problems[frame.state] = frame.problem
        self._condition.heard(frame.state, at, is_copy=is_copy)
        if is_other or (self._also != also and not self._shown >= self._to_show()):
            self._renew_accessory()
        self.show(at)

    def show(self, now: float) -> None:
        """Bring the accessory up to date."""
        sensor = self.sensor
        sensor.settle(now)
        view = sensor.view(now)
        self.expires = min(
            sensor.expires(now), self._condition.changes(now, sensor.timeout)
        )
        self.accessory.show(view)
        is_live = sensor.is_live(now)
        changed = (self._state(now, is_live=is_live), is_live)
        if changed != self._logged:
            was, self._logged = self._logged, changed
            self._log(changed, was, now)

    def status(self, now: float) -> SensorStatus:
        """What is known of it."""
        kind = self._recognition.kind
        product_id = None if kind is None else kind.product_id
        values = self.sensor.last_values(now)
        ages = [value.age for quantity, value in values.items() if quantity in AGEING]
        state = self._state(now, is_live=self.sensor.is_live(now))
        return SensorStatus(
            self.config.name,
            self.config.address,
            state,
            None if product_id is None else f"0x{product_id:04X}",
            None if kind is None else self.product.name,
            self._rssi,
            None if self.heard_at is None else now - self.heard_at,
            values,
            format=None if kind is None else kind.format,
            last_value=min(ages, default=None),
            advice=self._advice(state),
            refused=self.sensor.refused,
            replays=self.sensor.replays,
            unknown={f"0x{kind:04X}": n for kind, n in self.sensor.unknown.items()},
        )

    def remember(self, now: float) -> SensorMemory:
        """What to keep over a restart."""
        return SensorMemory(
            self._recognition.kind,
            {
                quantity: to_wall_clock(measurement, now)
                for quantity, measurement in self.sensor.measurements.items()
            },
            self._also,
        )

    def _update(self, reading: Reading, at: float) -> bool:
        """Take what a frame says; whether it may count, and is no replay."""
        refused, replays = self.sensor.refused, self.sensor.replays
        taken = self.sensor.update(reading, at)
        for quantity in taken.keys() & SHOWN - self._also:
            self._times[quantity] += 1
            if self._times[quantity] >= _TIMES:
                self._also |= {quantity}
        if self.sensor.refused != refused:
            _complaints.say(
                (self, "refused"),
                f"{self.config.name}: an impossible value is ignored "
                f"({', '.join(reading.implausible)})",
            )
        return self.sensor.replays == replays

    def _to_show(self) -> frozenset[Quantity]:
        """What Home shows: what the product has, and of an open one what has come."""
        product = self.product
        quantities = product.quantities
        if product.is_open:
            quantities |= self._also
        return quantities & SHOWN if self.config.battery else quantities & _WITHOUT_BATTERY

    def _renew_accessory(self) -> None:
        """Show what is known since, and have controllers read the database anew."""
        driver, aid = self.accessory.driver, self.accessory.aid
        self._place(driver, aid)
        # Before it shows anything: who is told of a change looks for it there.
        driver.accessory.put_accessory(self.accessory)
        driver.database_changed()
        self._keep()

    def _state(self, now: float, *, is_live: bool) -> SensorState:
        are_old = not is_live and not AGEING.isdisjoint(self.sensor.measurements)
        return self._condition.state(now, self.sensor.timeout, values_are_old=are_old)

    def _advice(self, state: SensorState) -> str | None:
        problem = self._problems.get(state, "")
        return advice(state, self.product, problem, self.sensor.timeout)

    def _log(
        self,
        changed: tuple[SensorState, bool],
        was: tuple[SensorState, bool],
        now: float,
    ) -> None:
        """Say how it is with the sensor since, once."""
        (state, is_live), (_, was_live) = changed, was
        if state is SensorState.NEVER_HEARD and was_live:
            state = SensorState.SILENT  # the values of before a restart are too old now
        level = logging.INFO if state is SensorState.IDLE else logging.WARNING
        says = self._advice(state)
        if says is None:
            if not is_live:
                return
            level, says = logging.INFO, in_words(self.sensor.last_values(now))
        joint = " " if says.startswith("is ") else ": "
        _complaints.say((self, state), f"{self.config.name}{joint}{says}", level)

    def _timeout(self) -> float:
        if self.config.timeout is not None:
            return self.config.timeout or NEVER
        kind = self._recognition.kind
        if kind is None or (
            kind.product_id is not None and kind.product_id not in PRODUCTS
        ):
            return ENCRYPTED_TIMEOUT if self.config.bind_key else PLAIN_TIMEOUT
        return self.product.timeout


def _source(config: SensorConfig) -> tuple[object, ...]:
    """Where frames come from."""
    return config.address, config.bind_key
