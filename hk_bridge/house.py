"""The devices of the house, each tied to its configuration and its accessory."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final

from hk_bridge.complaints import Complaints
from hk_bridge.config import ChannelConfig, DimmerConfig, SensorConfig
from hk_bridge.devices.dimmer import DimmerChannel, Lamp, LevelCurve
from hk_bridge.devices.sensor import NEVER, Sensor
from hk_bridge.errors import DecodeError, LinkError
from hk_bridge.homekit.accessories import Information, LampAccessory, SensorAccessory
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.memory import SensorMemory, from_wall_clock, to_wall_clock
from hk_bridge.model import Advertisement, Reading
from hk_bridge.protocols import advert
from hk_bridge.protocols.products import PRODUCTS, Product, product

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

#: A product that encrypts, for the time-out of a sensor that has not been heard yet.
_ENCRYPTED_TIMEOUT: Final = max(product.timeout for product in PRODUCTS.values())
_PLAIN_TIMEOUT: Final = min(product.timeout for product in PRODUCTS.values())

#: What a sensor is until its first frame says more.
_UNKNOWN: Final = Product("MiBeacon sensor", "Xiaomi")

_BLINKS: Final = 3
_BLINK_SECONDS: Final = 0.5


class SensorStation:
    """A configured sensor: from its service data to its accessory."""

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
        try:
            reading = advert.decode(
                advertisement.service_data, self.config.address, self.config.bind_key
            )
        except DecodeError as error:
            _complaints.say(self, f"{self.config.name}: a frame cannot be read: {error}")
            return
        if reading is None:
            return
        if reading.needs_key:
            _complaints.say(
                self,
                f"{self.config.name}: {product(reading.product_id).name} encrypts its "
                'values. Add its "bindKey" to accessories.json',
            )
            return
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


class LampStation:
    """A dimmer channel: from its accessory to the link.

    `on_change` is called after each write that was accepted.
    """

    accessory: LampAccessory

    def __init__(
        self,
        dimmer: DimmerConfig,
        config: ChannelConfig,
        link: SerialLink,
        remembered: Lamp | None,
        on_change: Callable[[], None],
    ) -> None:
        self.config = config
        self._dimmer = dimmer
        self.identity = dimmer.identity(config.channel)
        self.link = link
        self.channel = DimmerChannel(
            LevelCurve(config.min_level, config.max_level), remembered
        )
        self._on_change = on_change
        self._blinking: asyncio.Task[None] | None = None

    def make_accessory(self, driver: BridgeDriver, aid: int) -> LampAccessory:
        """The accessory on which this lamp is shown from now on."""
        number = self.config.channel
        serial = f"{self._dimmer.id or 'WXDM2'}-{number}"
        self.accessory = LampAccessory(
            driver,
            Information(self.config.name, "WXDM2", f"Dimmer channel {number}", serial),
            aid,
            self.identify,
            apply=self.apply,
            reachable=lambda: self.link.is_open,
        )
        self.accessory.show(self.channel.lamp)
        return self.accessory

    def apply(self, on: bool | None, brightness: int | None) -> Lamp:  # noqa: FBT001 # HomeKit's own pair
        """Carry out one write. Raises LinkError, with nothing changed, without a port."""
        lamp = self.channel.lamp.set(on=on, brightness=brightness)
        level = self.channel.level_of(lamp)
        if (
            level != self.channel.level
            or self._blinking is not None
            or not self.link.is_open
        ):
            self._stop_blinking()
            self.link.submit(self.config.channel, level)
        self.channel.accept(lamp)
        self._on_change()
        return lamp

    def resend(self) -> None:
        """Send the last accepted level again, after the port has come back."""
        if self.channel.level is not None:
            self.link.submit(self.config.channel, self.channel.level)

    def identify(self) -> None:
        """Blink, and then put the lamp back. Raises LinkError without a port."""
        if not self.link.is_open:
            raise LinkError(f"{self.link.name} is not there")
        self._stop_blinking()
        self._blinking = asyncio.get_running_loop().create_task(self._blink())

    async def close(self) -> None:
        """End what is under way, with the lamp as it should be, on the wire."""
        task = self._blinking
        self._stop_blinking()
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await task
            with contextlib.suppress(LinkError):
                self.link.submit(self.config.channel, self.channel.level or 0)
        await self.link.drain()

    def _stop_blinking(self) -> None:
        if self._blinking is not None:
            self._blinking.cancel()
            self._blinking = None

    async def _blink(self) -> None:
        own = self.channel.level or 0
        other = 0 if own else self.channel.level_of(Lamp(on=True))
        with contextlib.suppress(LinkError):
            for level in (other, own) * _BLINKS:
                self.link.submit(self.config.channel, level)
                await asyncio.sleep(_BLINK_SECONDS)
        self._blinking = None


def _summary(temperature: float | None, humidity: float | None) -> str:
    parts = []
    if temperature is not None:
        parts.append(f"{temperature:.1f} °C")
    if humidity is not None:
        parts.append(f"{humidity:.1f} %")
    return ", ".join(parts)
