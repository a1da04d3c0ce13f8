"""Which services and characteristics an accessory has, and their iids.

Every service has a range of 16 iids of its own, whether or not an accessory has it, so
that a service or characteristic added in a later version moves none that Home knows.
Rows may be added, never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pyhap.characteristic import Characteristic
from pyhap.iid_manager import IIDManager
from pyhap.loader import Loader
from pyhap.service import Service

from hk_bridge.model import PLAUSIBLE

_PERCENT_STEP: Final = 0.1

#: What a light sensor can show at least and at most, in lx (HAP, 9.23).
LIGHT: Final = (0.0001, 100_000.0)

_HUMIDITY: Final = {
    "CurrentRelativeHumidity": 1,
    "Name": 2,
    "StatusActive": 3,
    "StatusLowBattery": 4,
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
            {"CurrentTemperature": 1, "Name": 2, "StatusActive": 3, "StatusLowBattery": 4},
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
        "Lightbulb": ServiceRow(80, {"On": 1, "Brightness": 2, "Name": 3}),
        "LightSensor": ServiceRow(
            96,
            {
                "CurrentAmbientLightLevel": 1,
                "Name": 2,
                "StatusActive": 3,
                "StatusLowBattery": 4,
            },
            {"CurrentAmbientLightLevel": {"minValue": LIGHT[0], "maxValue": LIGHT[1]}},
        ),
        "SoilMoisture": ServiceRow(
            112, _HUMIDITY, _HUMIDITY_PROPERTIES, type="HumiditySensor"
        ),
    }
)


class FixedIids(IIDManager):  # type: ignore[misc] # HAP-python has no types
    """Gives iids by the table; HAP-python's own depend on the order of adding."""

    def get_iid_for_obj(self, obj: Service | Characteristic) -> int:
        """The iid of a service or characteristic of this accessory."""
        if isinstance(obj, Service):
            return _row_of(obj).iid
        row = _row_of(obj.service)
        return row.iid + row.characteristics[obj.display_name]


def make_service(
    loader: Loader, name: str, *, without: frozenset[str] = frozenset()
) -> Service:
    """A service with the characteristics of the table, but for those in `without`."""
    row = SERVICES[name]
    service = loader.get_service(row.type or name)
    service.unique_id = name
    for characteristic in row.characteristics:
        if characteristic not in without:
            service.add_characteristic(loader.get_char(characteristic))
    for characteristic, properties in row.properties.items():
        service.configure_char(characteristic, properties=dict(properties))
    return service


def _row_of(service: Service) -> ServiceRow:
    return SERVICES[service.unique_id or service.display_name]
