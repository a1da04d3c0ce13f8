"""What Home and Siri call things: by default, as the user wants it, and as Home says."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

import pytest
from pyhap.const import CATEGORY_BRIDGE, CATEGORY_LIGHTBULB, CATEGORY_SENSOR
from pyhap.loader import Loader

from hk_bridge.devices.dimmer import Lamp
from hk_bridge.errors import LinkError
from hk_bridge.homekit.accessories import HouseBridge, LampAccessory, SensorAccessory
from hk_bridge.homekit.appearance import Information
from hk_bridge.homekit.database import read, write
from hk_bridge.model import Quantity

SENSOR, LAMP = 2, 3
TEMPERATURE_NAME, HUMIDITY_NAME, LAMP_NAME = (SENSOR, 37), (SENSOR, 53), (LAMP, 84)
INVALID, NO_RESPONSE = -70410, -70402
CLIMATE: Final[set[Quantity]] = {"temperature", "humidity", "battery"}


class Driver(SimpleNamespace):
    """What accessories know of a driver: it keeps names, or cannot."""

    def __init__(self, names: Mapping[str, str] = {}) -> None:  # not changed
        super().__init__(loader=Loader(), names=dict(names), told=[], is_full=False)

    def publish(self, data: dict[str, Any], *_: object) -> None:
        self.told.append((data["aid"], data["iid"], data["value"]))

    def keep_name(self, topic: str, name: str) -> None:
        if self.is_full:
            raise LinkError("the name cannot be kept: no space left")
        self.names[topic] = name


class House:
    def __init__(
        self,
        name: str = "Room",
        names: Mapping[Quantity, str] = {},  # not changed
        driver: Driver | None = None,
    ) -> None:
        self.driver = driver or Driver()
        self.has_line = False
        self.applied: list[object] = []
        about = Information(name, "Maker", "Model", "Serial")
        self.bridge = HouseBridge(self.driver, about, lambda: None)
        self.sensor = SensorAccessory(
            self.driver, about, SENSOR, lambda: None, quantities=CLIMATE, names=names
        )
        self.lamp = LampAccessory(
            self.driver,
            Information("Mirror Light", "Maker", "Model", "Serial"),
            LAMP,
            lambda: None,
            apply=self._apply,
            reachable=lambda: self.has_line,
        )
        for accessory in (self.sensor, self.lamp):
            self.bridge.put_accessory(accessory)

    def _apply(self, *values: object) -> Lamp:
        self.applied.append(values)
        return Lamp()

    def read(self, place: tuple[int, int]) -> object:
        return read(self.bridge, *place).get("value")

    def write(self, place: tuple[int, int], value: object) -> int:
        aid, iid = place
        (answer,) = write(self.bridge, [{"aid": aid, "iid": iid, "value": value}])
        return int(answer["status"])


def test_a_part_of_a_sensor_is_called_by_the_room_and_what_it_measures() -> None:
    house = House("Bedroom")
    assert house.read(TEMPERATURE_NAME) == "Bedroom Temperature"
    assert house.read(HUMIDITY_NAME) == "Bedroom Humidity"
    assert house.read(LAMP_NAME) == "Mirror Light"


def test_a_name_of_the_file_is_taken_as_it_is() -> None:
    house = House("Schlafzimmer", {"humidity": "Luftfeuchte Schlafzimmer"})
    assert house.read(HUMIDITY_NAME) == "Luftfeuchte Schlafzimmer"
    assert house.read(TEMPERATURE_NAME) == "Schlafzimmer Temperature"


@pytest.mark.parametrize("name", ["Küche", "寝室", "غرفة", "Bad 🛁", "e\u0301tage"])
def test_names_of_every_script_arrive_whole(name: str) -> None:
    house = House(name)
    assert house.read((SENSOR, 5)) == name
    assert house.read(TEMPERATURE_NAME) == f"{name} Temperature"


def test_a_long_name_leaves_room_for_what_is_measured() -> None:
    name = House("Schlafzimmer " * 4 + "im Osten").read(TEMPERATURE_NAME)
    assert isinstance(name, str)
    assert len(name) <= 64
    assert name.endswith(" Temperature")


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        ("e\u0301", ""),  # an accent of its own
        ("👍🏽", ""),
        ("👩\u200d🔬", ""),
        ("x", "x"),
    ],
)
def test_a_long_name_is_not_cut_in_the_middle_of_what_looks_like_one_character(
    last: str, kept: str
) -> None:
    most = 64 - len(" Temperature")
    house = House("a" * (most - 1) + last + "b")
    assert house.read(TEMPERATURE_NAME) == f"{'a' * (most - 1)}{kept} Temperature"


def test_a_name_of_nothing_but_accents_is_cut_all_the_same() -> None:
    name = House("\u0301" * 64).read(TEMPERATURE_NAME)
    assert isinstance(name, str)
    assert len(name) <= 64


def test_a_name_given_in_home_is_kept_and_told_to_the_others() -> None:
    house = House()
    assert house.write(TEMPERATURE_NAME, "Wärme") == 0
    assert house.read(TEMPERATURE_NAME) == "Wärme"
    assert house.driver.told == [(*TEMPERATURE_NAME, "Wärme")]
    # It outlives the accessory, as one is made anew when more is known of a sensor.
    again = House(driver=house.driver)
    assert again.read(TEMPERATURE_NAME) == "Wärme"
    assert again.read(HUMIDITY_NAME) == "Room Humidity"


@pytest.mark.parametrize(
    "wrong", ["", " ", "a\nb", "a\x00b", "x" * 65, 5, True, None, [], {"a": 1}]
)
def test_what_is_no_name_is_refused(wrong: object) -> None:
    house = House()
    assert house.write(TEMPERATURE_NAME, wrong) == INVALID
    assert house.read(TEMPERATURE_NAME) == "Room Temperature"
    assert house.driver.names == {}


def test_a_name_that_cannot_be_kept_is_not_taken() -> None:
    house = House()
    house.driver.is_full = True
    assert house.write(LAMP_NAME, "Spiegel") == NO_RESPONSE
    assert house.read(LAMP_NAME) == "Mirror Light"
    assert house.driver.told == []


def test_a_lamp_without_a_line_can_be_named_and_is_not_set_by_that() -> None:
    house = House()
    assert house.write(LAMP_NAME, "Spiegel") == 0
    assert house.read(LAMP_NAME) == "Spiegel"
    house.has_line = True
    assert house.write(LAMP_NAME, "Spiegel 2") == 0
    assert house.applied == []


def test_a_name_and_a_level_of_one_request_succeed_and_fail_each_for_itself() -> None:
    house = House()
    (aid, iid), on = LAMP_NAME, 81
    items: list[dict[str, object]] = [
        {"aid": aid, "iid": iid, "value": "Spiegel"},
        {"aid": aid, "iid": on, "value": True},
    ]

    def refuse(*_: object) -> Lamp:
        raise LinkError("the line is not there")

    house.lamp._apply = refuse
    assert [each["status"] for each in write(house.bridge, items)] == [0, NO_RESPONSE]
    assert house.read(LAMP_NAME) == "Spiegel"
    house.lamp._apply, house.driver.is_full = house._apply, True
    assert [each["status"] for each in write(house.bridge, items)] == [NO_RESPONSE, 0]
    assert house.applied == [(True, None)]


def test_the_primary_service_is_what_a_person_asks_for() -> None:
    house = House()
    primary = {
        accessory.aid: [s.unique_id for s in accessory.services if s.is_primary_service]
        for accessory in (house.sensor, house.lamp)
    }
    assert primary == {SENSOR: ["TemperatureSensor"], LAMP: ["Lightbulb"]}


def test_each_is_of_its_category() -> None:
    house = House()
    assert house.bridge.category == CATEGORY_BRIDGE
    assert house.sensor.category == CATEGORY_SENSOR
    assert house.lamp.category == CATEGORY_LIGHTBULB
