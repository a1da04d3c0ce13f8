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

from hk_bridge.devices.sensor import PLAUSIBLE

_PERCENT_STEP: Final = 0.1


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service: its first iid, and the iid offset of each characteristic."""

    iid: int
    characteristics: Mapping[str, int]
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


#: HAP-python's name of a service → what it is here.
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
        "HumiditySensor": ServiceRow(
            48,
            {
                "CurrentRelativeHumidity": 1,
                "Name": 2,
                "StatusActive": 3,
                "StatusLowBattery": 4,
            },
            # HAP-python's own step of 1 would round 39.4 % to 39 %.
            {"CurrentRelativeHumidity": {"minStep": _PERCENT_STEP}},
        ),
        "BatteryService": ServiceRow(
            64, {"BatteryLevel": 1, "ChargingState": 2, "StatusLowBattery": 3, "Name": 4}
        ),
        "Lightbulb": ServiceRow(80, {"On": 1, "Brightness": 2, "Name": 3}),
    }
)


class FixedIids(IIDManager):  # type: ignore[misc] # HAP-python has no types
    """Gives iids by the table; HAP-python's own depend on the order of adding."""

    def get_iid_for_obj(self, obj: Service | Characteristic) -> int:
        """The iid of a service or characteristic of this accessory."""
        if isinstance(obj, Service):
            return SERVICES[obj.display_name].iid
        row = SERVICES[obj.service.display_name]
        return row.iid + row.characteristics[obj.display_name]


def make_service(
    loader: Loader, name: str, *, without: frozenset[str] = frozenset()
) -> Service:
    """A service with the characteristics of the table, but for those in `without`."""
    row = SERVICES[name]
    service = loader.get_service(name)
    for characteristic in row.characteristics:
        if characteristic not in without:
            service.add_characteristic(loader.get_char(characteristic))
    for characteristic, properties in row.properties.items():
        service.configure_char(characteristic, properties=dict(properties))
    return service
