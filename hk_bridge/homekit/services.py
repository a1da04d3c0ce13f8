"""Which services and characteristics an accessory has, and their iids.

Every service has a range of 16 iids of its own, whether or not an accessory has it, so
that a service or characteristic added in a later version moves none that Home knows.
Rows may be added, never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from pyhap.accessory import HAP_PROTOCOL_INFORMATION_SERVICE_UUID
from pyhap.characteristic import Characteristic
from pyhap.iid_manager import IIDManager
from pyhap.loader import Loader
from pyhap.service import Service
from pyhap.util import hap_type_to_uuid

from hk_bridge.model import PLAUSIBLE

_PERCENT_STEP: Final = 0.1

#: What a light sensor can show at least and at most, in lx (HAP, 9.23).
LIGHT: Final = (0.0001, 100_000.0)

_HUMIDITY: Final = {
    "CurrentRelativeHumidity": 1,
    "Name": 2,
    "StatusActive": 3,
    "StatusLowBattery": 4,
    "ConfiguredName": 5,
}
# HAP-python's own step of 1 would round 39.4 % to 39 %.
_HUMIDITY_PROPERTIES: Final = {"CurrentRelativeHumidity": {"minStep": _PERCENT_STEP}}


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service: its first iid, and the iid offset of each characteristic.

    `type` is HAP-python's name of it, where an accessory may have two of a type and so the
    row has another name.
    """

    iid: int
    characteristics: Mapping[str, int]
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    type: str | None = None


#: Name of a service, mostly HAP-python's → what it is here.
SERVICES: Final[Mapping[str, ServiceRow]] = MappingProxyType(
    {
        "AccessoryInformation": ServiceRow(
            1,
            {
                "Identify": 1,
                "Manufacturer": 2,
                "Model": 3,
                "Name": 4,
                "SerialNumber": 5,
                "FirmwareRevision": 6,
            },
        ),
        "HAPProtocolInformation": ServiceRow(16, {"Version": 1}),
        "TemperatureSensor": ServiceRow(
            32,
            {
                "CurrentTemperature": 1,
                "Name": 2,
                "StatusActive": 3,
                "StatusLowBattery": 4,
                "ConfiguredName": 5,
            },
            {
                "CurrentTemperature": {
                    "minValue": PLAUSIBLE["temperature"][0],
                    "maxValue": PLAUSIBLE["temperature"][1],
                    "minStep": 0.1,
                }
            },
        ),
        "HumiditySensor": ServiceRow(48, _HUMIDITY, _HUMIDITY_PROPERTIES),
        "BatteryService": ServiceRow(
            64, {"BatteryLevel": 1, "ChargingState": 2, "StatusLowBattery": 3, "Name": 4}
        ),
        "Lightbulb": ServiceRow(
            80, {"On": 1, "Brightness": 2, "Name": 3, "ConfiguredName": 4}
        ),
        "LightSensor": ServiceRow(
            96,
            {
                "CurrentAmbientLightLevel": 1,
                "Name": 2,
                "StatusActive": 3,
                "StatusLowBattery": 4,
                "ConfiguredName": 5,
            },
            {"CurrentAmbientLightLevel": {"minValue": LIGHT[0], "maxValue": LIGHT[1]}},
        ),
        "SoilMoisture": ServiceRow(
            112, _HUMIDITY, _HUMIDITY_PROPERTIES, type="HumiditySensor"
        ),
    }
)


#: The type of a service that HAP-python's table lacks.
_UNLISTED: Final = {"HAPProtocolInformation": HAP_PROTOCOL_INFORMATION_SERVICE_UUID}


class HouseCharacteristic(Characteristic):  # type: ignore[misc] # HAP-python has no types
    """Tells its accessory when it has become another one.

    All ways to that, such as a new value, go through this method of the base.
    """

    __slots__ = ()

    def _clear_cache(self) -> None:
        super()._clear_cache()
        if self.broker is not None:
            self.broker.characteristic_changed()


class FixedIids(IIDManager):  # type: ignore[misc] # HAP-python has no types
    """Gives iids by the table; HAP-python's own depend on the order of adding."""

    def assign(self, obj: Service | Characteristic) -> None:
        """Take a service or characteristic in; the base also keeps what the table says."""
        self.objs[self.get_iid(obj)] = obj

    def get_iid(self, obj: Service | Characteristic) -> int:
        """The iid of a service or characteristic of this accessory."""
        if isinstance(obj, Service):
            return _row_of(obj).iid
        row = _row_of(obj.service)
        return row.iid + row.characteristics[obj.display_name]


def make_service(
    loader: Loader, name: str, *, without: frozenset[str] = frozenset()
) -> Service:
    """A service with the characteristics of the table, but for those in `without`."""
    type_id, patterns = _patterns(loader, name)
    service = Service(type_id, SERVICES[name].type or name, unique_id=name)
    service.add_characteristic(
        *(copy(each) for each in patterns if each.display_name not in without)
    )
    return service


@cache
def _patterns(loader: Loader, name: str) -> tuple[UUID, tuple[HouseCharacteristic, ...]]:
    """The type of a service, and its characteristics, to be copied.

    What a copy has in common with the pattern is nearly all of it. HAP-python's own way
    makes anew what is the same for a thousand sensors.
    """
    row = SERVICES[name]
    listed = loader.serv_types.get(row.type or name)
    required = () if listed is None else listed["RequiredCharacteristics"]
    return (
        _UNLISTED[name] if listed is None else hap_type_to_uuid(listed["UUID"]),
        tuple(
            HouseCharacteristic.from_dict(
                each,
                loader.char_types[each] | row.properties.get(each, {}),
                from_loader=True,
            )
            # Required ones come first, as in HAP-python.
            for each in dict.fromkeys((*required, *row.characteristics))
        ),
    )


def _row_of(service: Service) -> ServiceRow:
    return SERVICES[service.unique_id or service.display_name]
