"""The iids that Home knows: rows may be added here, never changed."""

from __future__ import annotations

from types import SimpleNamespace

from pyhap.accessory import Accessory
from pyhap.loader import Loader

from hk_bridge.devices.dimmer import Lamp
from hk_bridge.homekit.accessories import HouseBridge, LampAccessory, SensorAccessory
from hk_bridge.homekit.appearance import Information
from hk_bridge.model import Quantity

DRIVER = SimpleNamespace(loader=Loader(), publish=lambda *_: None, names={})
ABOUT = Information("Name", "Maker", "Model", "Serial")

INFORMATION = {
    ("AccessoryInformation", None): 1,
    ("AccessoryInformation", "Identify"): 2,
    ("AccessoryInformation", "Manufacturer"): 3,
    ("AccessoryInformation", "Model"): 4,
    ("AccessoryInformation", "Name"): 5,
    ("AccessoryInformation", "SerialNumber"): 6,
    ("AccessoryInformation", "FirmwareRevision"): 7,
}
CLIMATE = {
    ("TemperatureSensor", None): 32,
    ("TemperatureSensor", "CurrentTemperature"): 33,
    ("TemperatureSensor", "Name"): 34,
    ("TemperatureSensor", "StatusActive"): 35,
    ("TemperatureSensor", "ConfiguredName"): 37,
    ("HumiditySensor", None): 48,
    ("HumiditySensor", "CurrentRelativeHumidity"): 49,
    ("HumiditySensor", "Name"): 50,
    ("HumiditySensor", "StatusActive"): 51,
    ("HumiditySensor", "ConfiguredName"): 53,
}
BATTERY = {
    ("TemperatureSensor", "StatusLowBattery"): 36,
    ("HumiditySensor", "StatusLowBattery"): 52,
    ("BatteryService", None): 64,
    ("BatteryService", "BatteryLevel"): 65,
    ("BatteryService", "ChargingState"): 66,
    ("BatteryService", "StatusLowBattery"): 67,
    ("BatteryService", "Name"): 68,
}


CLIMATE_AND_BATTERY: set[Quantity] = {"temperature", "humidity", "battery"}


def sensor(*, battery: bool) -> SensorAccessory:
    return SensorAccessory(
        DRIVER,
        ABOUT,
        2,
        lambda: None,
        quantities=CLIMATE_AND_BATTERY if battery else {"temperature", "humidity"},
        names={"temperature": "Cellar temperature", "humidity": "Cellar humidity"},
    )


def lamp() -> LampAccessory:
    return LampAccessory(
        DRIVER, ABOUT, 3, lambda: None, apply=lambda *_: Lamp(), reachable=lambda: True
    )


def iids(accessory: Accessory) -> dict[tuple[str, str | None], int]:
    found: dict[tuple[str, str | None], int] = {}
    for service in accessory.services:
        found[service.display_name, None] = accessory.iid_manager.get_iid(service)
        for characteristic in service.characteristics:
            key = (service.display_name, characteristic.display_name)
            found[key] = accessory.iid_manager.get_iid(characteristic)
    return found


def values(accessory: Accessory) -> dict[int, object]:
    return {
        characteristic["iid"]: characteristic.get("value")
        for service in accessory.to_HAP()["services"]
        for characteristic in service["characteristics"]
    }


def test_the_iids_of_a_sensor() -> None:
    assert iids(sensor(battery=True)) == INFORMATION | CLIMATE | BATTERY


def test_a_sensor_without_battery_level_has_nothing_of_a_battery() -> None:
    assert iids(sensor(battery=False)) == INFORMATION | CLIMATE


def test_the_iids_of_a_plant_sensor() -> None:
    plant = SensorAccessory(
        DRIVER,
        ABOUT,
        2,
        lambda: None,
        quantities={"temperature", "moisture", "illuminance", "conductivity"},
    )
    # Two services may be of one type: their names are rows of the table.
    placed = {service["iid"] for service in plant.to_HAP()["services"]}
    assert placed == {1, 32, 96, 112}
    shown = {iid for iid in values(plant) if iid >= 96}
    assert shown == {97, 98, 99, 101, 113, 114, 115, 117}


def test_the_iids_of_a_lamp() -> None:
    assert iids(lamp()) == INFORMATION | {
        ("Lightbulb", None): 80,
        ("Lightbulb", "On"): 81,
        ("Lightbulb", "Brightness"): 82,
        ("Lightbulb", "Name"): 83,
        ("Lightbulb", "ConfiguredName"): 84,
    }


def test_the_iids_of_the_bridge() -> None:
    assert iids(HouseBridge(DRIVER, ABOUT, lambda: None)) == INFORMATION | {
        ("HAPProtocolInformation", None): 16,
        ("HAPProtocolInformation", "Version"): 17,
    }


def test_what_a_sensor_says_before_it_is_heard() -> None:
    found = values(sensor(battery=True))
    assert {iid: found[iid] for iid in (3, 4, 5, 6, 7)} == {
        3: "Maker",
        4: "Model",
        5: "Name",
        6: "Serial",
        7: "0.1.0",
    }
    assert (found[34], found[50], found[68]) == (
        "Cellar temperature",
        "Cellar humidity",
        "Battery",
    )
    assert (found[35], found[51]) == (False, False)
    assert found[66] == 2  # not chargeable
    assert [found[iid] for iid in (33, 36, 49, 52, 65, 67)] == [None] * 6
