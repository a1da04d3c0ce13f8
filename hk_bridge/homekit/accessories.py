"""Devices as accessories: values to characteristics, writes to calls.

A characteristic whose value is not known holds None: null in /accessories, −70402 where
it is read (docs/protocols/hap.md, "Unknown values"). Nothing here computes a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pyhap.accessory import Accessory, Bridge
from pyhap.accessory_driver import AccessoryDriver
from pyhap.characteristic import Characteristic
from pyhap.const import CATEGORY_LIGHTBULB, CATEGORY_SENSOR
from pyhap.service import Service

from hk_bridge import __version__
from hk_bridge.devices.dimmer import Lamp
from hk_bridge.devices.sensor import SensorView
from hk_bridge.homekit.services import FixedIids, make_service
from hk_bridge.protocols.products import Product

_NOT_CHARGEABLE: Final = 2


@dataclass(frozen=True, slots=True)
class Information:
    """What the accessory says of itself. `serial` is never empty."""

    name: str
    manufacturer: str
    model: str
    serial: str


class _HouseAccessory(Accessory):  # type: ignore[misc] # HAP-python has no types
    """What lamps, sensors and the bridge have in common."""

    def __init__(
        self,
        driver: AccessoryDriver,
        information: Information,
        aid: int,
        on_identify: Callable[[], None],
    ) -> None:
        self._information = information
        self._on_identify = on_identify
        super().__init__(driver, information.name, aid=aid, iid_manager=FixedIids())

    def add_info_service(self) -> None:
        """Add AccessoryInformation by the table; called while the base is made."""
        service = make_service(self.driver.loader, "AccessoryInformation")
        self.add_service(service)
        for characteristic, value in {
            "Name": self._information.name,
            "Manufacturer": self._information.manufacturer,
            "Model": self._information.model,
            "SerialNumber": self._information.serial,
            "FirmwareRevision": __version__,
        }.items():
            service.configure_char(characteristic, value=value)

    def write(self, service: Service, values: Mapping[str, Any]) -> None:
        """Carry out one write to the characteristics of one service, by their names.

        Raises LinkError where the device cannot be reached; then nothing has changed.
        """
        if service.display_name == "AccessoryInformation" and values.get("Identify"):
            self.identify()

    def identify(self) -> None:
        """Show which one it is. Raises LinkError where it cannot be reached."""
        self._on_identify()


class HouseBridge(_HouseAccessory, Bridge):  # type: ignore[misc] # HAP-python has no types
    """The bridge itself, aid 1."""

    def __init__(
        self,
        driver: AccessoryDriver,
        information: Information,
        on_identify: Callable[[], None],
    ) -> None:
        self._information = information
        self._on_identify = on_identify
        Bridge.__init__(self, driver, information.name, iid_manager=FixedIids())

    def setup_message(self) -> None:
        """Print nothing: the base would print the setup code wherever stdout leads."""


class SensorAccessory(_HouseAccessory):
    """Temperature and humidity, and the battery unless it is not wanted."""

    category = CATEGORY_SENSOR

    def __init__(
        self,
        driver: AccessoryDriver,
        information: Information,
        aid: int,
        on_identify: Callable[[], None],
        *,
        battery: bool,
        temperature_name: str,
        humidity_name: str,
    ) -> None:
        super().__init__(driver, information, aid, on_identify)
        without = frozenset() if battery else frozenset({"StatusLowBattery"})
        temperature = make_service(driver.loader, "TemperatureSensor", without=without)
        humidity = make_service(driver.loader, "HumiditySensor", without=without)
        services = {"temperature": temperature, "humidity": humidity}
        temperature.configure_char("Name", value=temperature_name)
        humidity.configure_char("Name", value=humidity_name)
        if battery:
            services["battery"] = make_service(driver.loader, "BatteryService")
            services["battery"].configure_char("Name", value="Battery")
            services["battery"].configure_char("ChargingState", value=_NOT_CHARGEABLE)
        self.add_service(*services.values())
        self.set_primary_service(temperature)
        self._temperature = temperature.get_characteristic("CurrentTemperature")
        self._humidity = humidity.get_characteristic("CurrentRelativeHumidity")
        self._active = {
            quantity: services[quantity].get_characteristic("StatusActive")
            for quantity in ("temperature", "humidity")
        }
        self._low_battery = [
            service.get_characteristic("StatusLowBattery")
            for service in services.values()
            if battery
        ]
        self._battery = (
            services["battery"].get_characteristic("BatteryLevel") if battery else None
        )
        self.show(SensorView(None, None, None, None))

    def show(self, view: SensorView) -> None:
        """Set every characteristic to what may be shown; tells subscribers of changes."""
        _show(self._active["temperature"], view.temperature is not None)
        _show(self._active["humidity"], view.humidity is not None)
        _show(self._temperature, view.temperature)
        _show(self._humidity, view.humidity)
        if self._battery is not None:
            _show(self._battery, view.battery)
        for characteristic in self._low_battery:
            _show(
                characteristic, None if view.low_battery is None else int(view.low_battery)
            )

    def introduce(self, product: Product, serial: str) -> None:
        """Say which product it is, once its first frame has told.

        Model and serial number have no events: that controllers read the database anew
        is up to the caller.
        """
        self.set_info_service(
            manufacturer=product.manufacturer, model=product.name, serial_number=serial
        )


class LampAccessory(_HouseAccessory):
    """One dimmer channel.

    `apply` takes one write, On and Brightness together, and returns what the lamp is
    then set to, or raises LinkError; `reachable` says whether its line is there.
    """

    category = CATEGORY_LIGHTBULB

    def __init__(
        self,
        driver: AccessoryDriver,
        information: Information,
        aid: int,
        on_identify: Callable[[], None],
        *,
        apply: Callable[[bool | None, int | None], Lamp],
        reachable: Callable[[], bool],
    ) -> None:
        super().__init__(driver, information, aid, on_identify)
        self._apply = apply
        self._reachable = reachable
        service = make_service(driver.loader, "Lightbulb")
        service.configure_char("Name", value=information.name)
        self.add_service(service)
        self.set_primary_service(service)
        self._on = service.get_characteristic("On")
        self._brightness = service.get_characteristic("Brightness")
        self._brightness.value = Lamp().brightness

    @property
    def available(self) -> bool:
        """Whether reads are answered; HAP-python asks."""
        return self._reachable()

    def write(self, service: Service, values: Mapping[str, Any]) -> None:
        """Set the lamp by one write; see the base."""
        super().write(service, values)
        if service.display_name != "Lightbulb":
            return
        lamp = self._apply(values.get("On"), values.get("Brightness"))
        self.show(lamp, values)

    def show(self, lamp: Lamp, written: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Set both characteristics; tells subscribers of changes.

        Also where the lamp made something else of what was `written`, though it is what
        it was before: whoever wrote it has to know.
        """
        for characteristic, value in (
            (self._on, lamp.on),
            (self._brightness, lamp.brightness),
        ):
            asked = written.get(characteristic.display_name, value)
            if characteristic.value != value or asked != value:
                characteristic.value = value
                characteristic.notify()


def _show(characteristic: Characteristic, value: float | None) -> None:
    """Set a value and tell subscribers of it.

    HAP-python's set_value would round 39.4 to its step, and get 39.40000000000001, and
    refuse None. That a value became unknown is no event: HAP has no value to send for it.
    """
    if characteristic.value != value:
        characteristic.value = value
        if value is not None:
            characteristic.notify()
