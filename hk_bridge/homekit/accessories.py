"""Devices as accessories: values to characteristics, writes to calls.

A characteristic whose value is not known holds None: null in /accessories, −70402 where
it is read (docs/protocols/hap.md, "Unknown values"). Nothing here computes a value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
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
from hk_bridge.homekit.services import LIGHT, FixedIids, make_service
from hk_bridge.model import Quantity

_NOT_CHARGEABLE: Final = 2
_LOW_BATTERY: Final = "StatusLowBattery"


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

    def replace_accessory(self, accessory: Accessory) -> None:
        """Put `accessory` in the place of the one with the same aid.

        Who has subscribed to a characteristic that both have stays so.
        """
        self.accessories[accessory.aid] = accessory

    def setup_message(self) -> None:
        """Print nothing: the base would print the setup code wherever stdout leads."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """Where a quantity is shown, under which name unless another one is wanted.

    `bounds` are what the characteristic can show of it, and `digits` how exactly.
    """

    service: str
    characteristic: str
    name: str
    bounds: tuple[float, float] | None = None
    digits: int | None = None


#: What Home can show of what a sensor measures; the first one that there is comes first.
_SHOWN: Final[Mapping[Quantity, _Shown]] = {
    "temperature": _Shown(
        "TemperatureSensor", "CurrentTemperature", "Temperature", digits=1
    ),
    "humidity": _Shown("HumiditySensor", "CurrentRelativeHumidity", "Humidity", digits=1),
    "moisture": _Shown(
        "SoilMoisture", "CurrentRelativeHumidity", "Soil Moisture", digits=1
    ),
    "illuminance": _Shown("LightSensor", "CurrentAmbientLightLevel", "Light", LIGHT),
    "battery": _Shown("BatteryService", "BatteryLevel", "Battery"),
}

SHOWN: Final[frozenset[Quantity]] = frozenset(_SHOWN)


class SensorAccessory(_HouseAccessory):
    """A service for each of `quantities` that Home can show.

    `names` are those that are wanted, by quantity. Without a battery among the quantities
    there is no sign of a low one either.
    """

    category = CATEGORY_SENSOR

    def __init__(
        self,
        driver: AccessoryDriver,
        information: Information,
        aid: int,
        on_identify: Callable[[], None],
        *,
        quantities: Collection[Quantity],
        names: Mapping[Quantity, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(driver, information, aid, on_identify)
        without = frozenset() if "battery" in quantities else frozenset({_LOW_BATTERY})
        self._values: dict[Quantity, Characteristic] = {}
        self._active: dict[Quantity, Characteristic] = {}
        self._low_battery: list[Characteristic] = []
        for quantity, shown in _SHOWN.items():
            if quantity in quantities:
                service = make_service(driver.loader, shown.service, without=without)
                service.configure_char("Name", value=names.get(quantity, shown.name))
                self._add(quantity, shown, service)
        self._make_primary(next(iter(self._values.values()), None))
        self.show(SensorView(None, None, None, None))

    def _add(self, quantity: Quantity, shown: _Shown, service: Service) -> None:
        self.add_service(service)
        self._values[quantity] = service.get_characteristic(shown.characteristic)
        for characteristic in service.characteristics:
            if characteristic.display_name == "StatusActive":
                self._active[quantity] = characteristic
            elif characteristic.display_name == _LOW_BATTERY:
                self._low_battery.append(characteristic)
            elif characteristic.display_name == "ChargingState":
                characteristic.value = _NOT_CHARGEABLE

    def _make_primary(self, first: Characteristic | None) -> None:
        """HAP-python's own way goes by the type, of which there may be two."""
        for service in self.services:
            service.is_primary_service = first is not None and service is first.service

    def show(self, view: SensorView) -> None:
        """Set every characteristic to what may be shown; tells subscribers of changes."""
        values = {quantity: getattr(view, quantity) for quantity in self._values}
        for quantity, characteristic in self._active.items():
            _show(characteristic, values[quantity] is not None)
        for quantity, characteristic in self._values.items():
            _show(characteristic, _fitting(_SHOWN[quantity], values[quantity]))
        for characteristic in self._low_battery:
            _show(
                characteristic, None if view.low_battery is None else int(view.low_battery)
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


def _fitting(shown: _Shown, value: float | None) -> float | None:
    """What of `value` the characteristic can show."""
    if value is None:
        return None
    if shown.bounds is not None:
        low, high = shown.bounds
        value = min(max(value, low), high)
    # Adding 0 makes of -0.0 what it is.
    return value if shown.digits is None else round(value, shown.digits) + 0


def _show(characteristic: Characteristic, value: float | None) -> None:
    """Set a value and tell subscribers of it.

    HAP-python's set_value would round 39.4 to its step, and get 39.40000000000001, and
    refuse None. That a value became unknown is no event: HAP has no value to send for it.
    """
    if characteristic.value != value:
        characteristic.value = value
        if value is not None:
            characteristic.notify()
