"""Devices as accessories: values to characteristics, writes to calls.

A characteristic whose value is not known holds None: null in /accessories, −70402 where
it is read (docs/protocols/hap.md, "Unknown values"). Nothing here computes a value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from pyhap.accessory import Accessory, Bridge, get_topic
from pyhap.accessory_driver import AccessoryDriver
from pyhap.characteristic import Characteristic
from pyhap.const import CATEGORY_LIGHTBULB, CATEGORY_SENSOR, HAP_PROTOCOL_VERSION
from pyhap.service import Service

from hk_bridge import __version__
from hk_bridge.devices.dimmer import Lamp
from hk_bridge.devices.sensor import SensorView
from hk_bridge.homekit import shown
from hk_bridge.homekit.appearance import Appearance, Information
from hk_bridge.homekit.encoding import EncodedAccessory
from hk_bridge.homekit.services import FixedIids, make_service
from hk_bridge.homekit.shown import Shown
from hk_bridge.model import Quantity

_NOT_CHARGEABLE: Final = 2
_LOW_BATTERY: Final = "StatusLowBattery"
_CONFIGURED_NAME: Final = "ConfiguredName"


class _HouseAccessory(Accessory):  # type: ignore[misc] # HAP-python has no types
    """What lamps, sensors and the bridge have in common."""

    #: What Home is told of it; equal ones are equal accessories.
    appearance: Appearance
    _encoded: EncodedAccessory | None = None

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

    @property
    def encoded(self) -> EncodedAccessory:
        """What it is in GET /accessories."""
        if self._encoded is None:
            self._encoded = EncodedAccessory(self)
        return self._encoded

    def characteristic_changed(self) -> None:
        """Forget what it was in GET /accessories; each characteristic calls this."""
        if self._encoded is not None:
            self._encoded.forget()

    def name_service(self, service: Service, name: str) -> None:
        """Call a service `name`, unless somebody has named it in Home.

        Home shows and speaks this name, where it once took that of `Name`.
        """
        configured, topic = self._name_of(service)
        configured.value = self.driver.names.get(topic, name)

    def _name_of(self, service: Service) -> tuple[Characteristic, str]:
        """The characteristic that names a service, and what its value is kept under."""
        configured = service.get_characteristic(_CONFIGURED_NAME)
        return configured, get_topic(self.aid, self.iid_manager.get_iid(configured))

    def write(self, service: Service, values: Mapping[str, Any]) -> None:
        """Carry out one write to the characteristics of one service, by their names.

        Raises LinkError where the device cannot be reached, or a name cannot be kept; then
        nothing has changed.
        """
        if service.display_name == "AccessoryInformation" and values.get("Identify"):
            self.identify()
        if (name := values.get(_CONFIGURED_NAME)) is not None:
            configured, topic = self._name_of(service)
            self.driver.keep_name(topic, name)
            _show(configured, name)

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
        self.appearance = Appearance(information)
        Bridge.__init__(self, driver, information.name, iid_manager=FixedIids())

    def add_protocol_version_service(self) -> None:
        """Add HAPProtocolInformation by the table; called while the base is made."""
        service = make_service(self.driver.loader, "HAPProtocolInformation")
        service.configure_char("Version", value=HAP_PROTOCOL_VERSION)
        self.add_service(service)

    def encode(self) -> bytes:
        """The answer to GET /accessories."""
        # In one go: of a full house it is a third of a megabyte.
        pieces = [b'{"accessories":[', self.encoded.encode()]
        for accessory in self.accessories.values():
            pieces += (b",", accessory.encoded.encode())
        return b"".join((*pieces, b"]}"))

    def database_hash(self) -> str:
        """What is another one for another database, whatever the values are."""
        digest = hashlib.sha256()
        for aid, accessory in {self.aid: self, **self.accessories}.items():
            digest.update(b"%d:%s" % (aid, accessory.encoded.digest))
        return digest.hexdigest()

    def put_accessory(self, accessory: Accessory) -> None:
        """Add `accessory`, or put it in the place of the one with the same aid.

        Who has subscribed to a characteristic that both have stays so. The order is that
        of the aids, as after a restart: it is a part of what the database is.
        """
        accessories = self.accessories | {accessory.aid: accessory}
        self.accessories: dict[int, Accessory] = dict(sorted(accessories.items()))

    def remove_accessory(self, aid: int) -> None:
        """Have no accessory with this aid any more."""
        del self.accessories[aid]

    def rename(self, information: Information) -> None:
        """Have another name."""
        self._information = information
        self.appearance = Appearance(information)
        self.display_name = information.name
        service = self.get_service("AccessoryInformation")
        service.get_characteristic("Name").value = information.name

    def setup_message(self) -> None:
        """Print nothing: the base would print the setup code wherever stdout leads."""


#: What Home can show of what a sensor measures.
SHOWN: Final[frozenset[Quantity]] = frozenset(shown.TABLE)


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
        self.appearance = Appearance(information, frozenset(quantities), dict(names))
        without = frozenset() if "battery" in quantities else frozenset({_LOW_BATTERY})
        self._values: dict[Quantity, Characteristic] = {}
        self._active: dict[Quantity, Characteristic] = {}
        self._low_battery: list[Characteristic] = []
        for quantity, row in shown.TABLE.items():
            if quantity in quantities:
                service = make_service(driver.loader, row.service, without=without)
                service.configure_char("Name", value=names.get(quantity, row.name))
                self._add(quantity, row, service)
                if quantity != "battery":
                    given = names.get(quantity)
                    self.name_service(service, given or row.name_at(information.name))
        if self._values:
            next(iter(self._values.values())).service.is_primary_service = True
        self.show(SensorView(None, None, None, None))

    def _add(self, quantity: Quantity, row: Shown, service: Service) -> None:
        self.add_service(service)
        self._values[quantity] = service.get_characteristic(row.characteristic)
        for characteristic in service.characteristics:
            if characteristic.display_name == "StatusActive":
                self._active[quantity] = characteristic
            elif characteristic.display_name == _LOW_BATTERY:
                self._low_battery.append(characteristic)
            elif characteristic.display_name == "ChargingState":
                characteristic.value = _NOT_CHARGEABLE

    def tell(self) -> None:
        """Tell subscribers that nothing is measured: it was, a moment ago."""
        for characteristic in self._active.values():
            characteristic.notify()

    def show(self, view: SensorView) -> None:
        """Set every characteristic to what may be shown; tells subscribers of changes."""
        values = {quantity: getattr(view, quantity) for quantity in self._values}
        for quantity, characteristic in self._active.items():
            _show(characteristic, values[quantity] is not None)
        for quantity, characteristic in self._values.items():
            _show(characteristic, shown.TABLE[quantity].fitting(values[quantity]))
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
        self.appearance = Appearance(information)
        self._apply = apply
        self._reachable = reachable
        service = make_service(driver.loader, "Lightbulb")
        service.configure_char("Name", value=information.name)
        self.add_service(service)
        self.name_service(service, information.name)
        service.is_primary_service = True
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
        on, brightness = values.get("On"), values.get("Brightness")
        if on is None and brightness is None:
            return
        lamp = self._apply(on, brightness)
        self.show(lamp, values)

    def forget(self) -> None:
        """Know no more how it is set."""
        self._on.value = self._brightness.value = None

    def tell(self) -> None:
        """That a lamp cannot be reached is nothing that HAP could tell."""

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


def _show(characteristic: Characteristic, value: float | str | None) -> None:
    """Set a value and tell subscribers of it.

    HAP-python's set_value would round 39.4 to its step, and get 39.40000000000001, and
    refuse None. That a value became unknown is no event: HAP has no value to send for it.
    """
    if characteristic.value != value:
        characteristic.value = value
        if value is not None:
            characteristic.notify()
