"""A sensor of the house, tied to its configuration and its accessory."""

from __future__ import annotations

import logging
import time
from enum import StrEnum
from typing import Final

from hk_bridge.complaints import Complaints
from hk_bridge.config import SensorConfig
from hk_bridge.devices.sensor import AGEING, NEVER, Sensor
from hk_bridge.errors import DecodeError
from hk_bridge.homekit.accessories import Information, SensorAccessory
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.memory import SensorMemory, from_wall_clock, to_wall_clock
from hk_bridge.model import Advertisement, Reading
from hk_bridge.protocols import advert
from hk_bridge.protocols.products import PRODUCTS, Product, product
from hk_bridge.status import SensorStatus

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

#: A product that encrypts, for the time-out of a sensor that has not been heard yet.
_ENCRYPTED_TIMEOUT: Final = max(product.timeout for product in PRODUCTS.values())
_PLAIN_TIMEOUT: Final = min(product.timeout for product in PRODUCTS.values())

#: What a sensor is until its first frame says more.
_UNKNOWN: Final = Product("MiBeacon sensor", "Xiaomi")


class SensorState(StrEnum):
    """How it is with a sensor."""

    NEVER_HEARD = "never heard"
    NO_VALUE = "heard, no value yet"
    NEEDS_KEY = "needs a bind key"
    UNREADABLE = "cannot be read"
    DECODING = "decoding"
    SILENT = "silent"


class SensorStation:
    """A configured sensor: from its service data to its accessory.

    `heard_at` is when its last advert came (monotonic), `adverts` how many have.
    """

    accessory: SensorAccessory

    def __init__(self, config: SensorConfig, remembered: SensorMemory | None) -> None:
        self.config = config
        self.sensor = Sensor(
            self._timeout(None),
            config.temperature_offset,
            config.humidity_offset,
            config.low_battery,
        )
        self.expires = NEVER
        self.heard_at: float | None = None
        self.adverts = 0
        self._rssi: int | None = None
        self._state = SensorState.NEVER_HEARD
        self._live = False
        if remembered is not None:
            now = time.monotonic()
            self.sensor.product_id = remembered.product_id
            self.sensor.timeout = self._timeout(remembered.product_id)
            for quantity, measurement in remembered.measurements.items():
                self.sensor.restore(quantity, from_wall_clock(measurement, now))

    @property
    def identity(self) -> str:
        """What the aid hangs on."""
        return self.config.identity

    def make_accessory(self, driver: BridgeDriver, aid: int) -> SensorAccessory:
        """The accessory on which this sensor is shown from now on."""
        config, name = self.config, self.config.name
        self.accessory = SensorAccessory(
            driver,
            Information(name, _UNKNOWN.manufacturer, _UNKNOWN.name, self._serial),
            aid,
            lambda: _LOG.info("%s was asked to identify itself", name),
            battery=config.battery,
            temperature_name=config.temperature_name or "Temperature",
            humidity_name=config.humidity_name or "Humidity",
        )
        if self.sensor.product_id is not None:
            self.accessory.introduce(product(self.sensor.product_id), self._serial)
        self.show(time.monotonic())
        return self.accessory

    @property
    def _serial(self) -> str:
        return self.config.address or "Not heard yet"

    def heard(self, advertisement: Advertisement) -> None:
        """Take one advert of this sensor."""
        self.heard_at = advertisement.at
        self.adverts += 1
        self._rssi = advertisement.rssi
        try:
            reading = advert.decode(
                advertisement.service_data, self.config.address, self.config.bind_key
            )
        except DecodeError as error:
            self._state = SensorState.UNREADABLE
            _complaints.say(self, f"{self.config.name}: a frame cannot be read: {error}")
            return
        if reading is None:
            return
        if reading.needs_key:
            self._state = SensorState.NEEDS_KEY
            _complaints.say(
                self,
                f"{self.config.name}: {product(reading.product_id).name} encrypts its "
                'values. Add its "bindKey" to accessories.json',
            )
            return
        if reading.values:
            self._state = SensorState.DECODING
        elif self._state is SensorState.NEVER_HEARD:
            self._state = SensorState.NO_VALUE
        self.take(reading, advertisement.at)

    def take(self, reading: Reading, at: float) -> None:
        """Take a reading of this sensor."""
        if reading.product_id != self.sensor.product_id:
            self.sensor.timeout = self._timeout(reading.product_id)
            self.accessory.introduce(product(reading.product_id), self._serial)
            self.accessory.driver.config_changed()
        refused = self.sensor.refused
        self.sensor.update(reading, at)
        if self.sensor.refused != refused:
            _complaints.say(
                (self, "refused"), f"{self.config.name}: an impossible value is ignored"
            )
        self.show(at)

    def show(self, now: float) -> None:
        """Bring the accessory up to date."""
        view = self.sensor.view(now)
        self.expires = self.sensor.expires(now)
        self.accessory.show(view)
        live = view.temperature is not None or view.humidity is not None
        if live != self._live:
            self._live = live
            if live:
                _LOG.info(
                    "%s: %s", self.config.name, _summary(view.temperature, view.humidity)
                )
            else:
                _LOG.warning(
                    "%s is silent for %.0f minutes and shows No Response. Is it in range, "
                    "is its battery good?",
                    self.config.name,
                    self.sensor.timeout / 60,
                )

    def status(self, now: float) -> SensorStatus:
        """What is known of it."""
        product_id = self.sensor.product_id
        values = self.sensor.last_values(now)
        ageing = [values[quantity] for quantity in AGEING & values.keys()]
        is_silent = (
            self._state is SensorState.DECODING
            and bool(ageing)
            and not any(value.is_live for value in ageing)
        )
        return SensorStatus(
            self.config.name,
            self.config.address,
            SensorState.SILENT if is_silent else self._state,
            None if product_id is None else f"0x{product_id:04X}",
            None if product_id is None else product(product_id).name,
            self._rssi,
            None if self.heard_at is None else now - self.heard_at,
            values,
        )

    def remember(self, now: float) -> SensorMemory:
        """What to keep over a restart."""
        return SensorMemory(
            self.sensor.product_id,
            {
                quantity: to_wall_clock(measurement, now)
                for quantity, measurement in self.sensor.measurements.items()
            },
        )

    def _timeout(self, product_id: int | None) -> float:
        if self.config.timeout is not None:
            return self.config.timeout or NEVER
        if product_id in PRODUCTS:
            return PRODUCTS[product_id].timeout
        return _ENCRYPTED_TIMEOUT if self.config.bind_key else _PLAIN_TIMEOUT


def _summary(temperature: float | None, humidity: float | None) -> str:
    parts = []
    if temperature is not None:
        parts.append(f"{temperature:.1f} °C")
    if humidity is not None:
        parts.append(f"{humidity:.1f} %")
    return ", ".join(parts)
