"""Reads and writes item by item, with the status that HAP has for each."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from pyhap.accessory import Bridge
from pyhap.loader import Loader

from hk_bridge.devices.dimmer import Lamp
from hk_bridge.devices.sensor import SensorView
from hk_bridge.errors import LinkError
from hk_bridge.homekit import database
from hk_bridge.homekit.accessories import HouseBridge, LampAccessory, SensorAccessory
from hk_bridge.homekit.appearance import Information
from hk_bridge.homekit.database import changes, items_of, read, write

LAMP, SENSOR = 2, 3
IDENTIFY, ON, BRIGHTNESS = 2, 81, 82
TEMPERATURE, ACTIVE, HUMIDITY = 33, 35, 49

DONE, NO_RESPONSE = 0, -70402
READ_ONLY, WRITE_ONLY, NO_EVENTS = -70404, -70405, -70406
NOT_THERE, INVALID = -70409, -70410


class House:
    """A bridge with a lamp and a sensor, and what was asked of the lamp."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool | None, int | None]] = []
        self.identified: list[str] = []
        self.published: list[tuple[int, Any]] = []
        self.lamp = Lamp(on=True, brightness=40)
        self.line_is_there = True
        driver = SimpleNamespace(loader=Loader(), publish=self._publish, names={})
        self.bridge: Bridge = HouseBridge(driver, self._about("Bridge"), lambda: None)
        self.lamp_accessory = LampAccessory(
            driver,
            self._about("Lamp"),
            LAMP,
            lambda: self.identified.append("lamp"),
            apply=self._apply,
            reachable=lambda: self.line_is_there,
        )
        self.lamp_accessory.show(self.lamp)
        sensor = SensorAccessory(
            driver,
            self._about("Sensor"),
            SENSOR,
            lambda: None,
            quantities={"temperature", "humidity"},
        )
        sensor.show(SensorView(21.5, None, None, None))
        self.bridge.add_accessory(self.lamp_accessory)
        self.bridge.add_accessory(sensor)
        self.published.clear()

    @staticmethod
    def _about(name: str) -> Information:
        return Information(name, "Maker", "Model", "Serial")

    def _apply(self, on: bool | None, brightness: int | None) -> Lamp:
        self.calls.append((on, brightness))
        if not self.line_is_there:
            raise LinkError("the line is not there")
        self.lamp = self.lamp.set(on=on, brightness=brightness)
        return self.lamp

    def _publish(self, data: dict[str, Any], _sender: None, _immediate: bool) -> None:
        self.published.append((data["iid"], data["value"]))

    def write(self, *items: tuple[int, int, Any]) -> list[int]:
        """The status of each item of one request."""
        request = [{"aid": aid, "iid": iid, "value": value} for aid, iid, value in items]
        answers = write(self.bridge, request)
        assert [(a["aid"], a["iid"]) for a in answers] == [item[:2] for item in items]
        return [answer["status"] for answer in answers]


@pytest.fixture
def house() -> House:
    return House()


def test_a_known_value_is_read_with_success(house: House) -> None:
    assert read(house.bridge, SENSOR, TEMPERATURE) == {
        "aid": SENSOR,
        "iid": TEMPERATURE,
        "status": DONE,
        "value": 21.5,
    }


@pytest.mark.parametrize(
    ("aid", "iid", "status"),
    [
        (99, ON, NOT_THERE),
        (LAMP, 999, NOT_THERE),
        (LAMP, 80, NOT_THERE),  # the service itself
        (LAMP, IDENTIFY, WRITE_ONLY),
        (SENSOR, 49, NO_RESPONSE),  # humidity, never heard
    ],
)
def test_what_cannot_be_read_says_why(
    house: House, aid: int, iid: int, status: int
) -> None:
    assert read(house.bridge, aid, iid) == {"aid": aid, "iid": iid, "status": status}


def test_a_lamp_without_its_line_answers_only_for_what_it_is(house: House) -> None:
    house.line_is_there = False
    assert read(house.bridge, LAMP, ON)["status"] == NO_RESPONSE
    assert read(house.bridge, LAMP, 5)["value"] == "Lamp"


def test_on_and_brightness_of_one_request_are_one_write(house: House) -> None:
    assert house.write((LAMP, ON, True), (LAMP, BRIGHTNESS, 70)) == [DONE, DONE]
    assert house.calls == [(True, 70)]


@pytest.mark.parametrize(
    ("iid", "value"),
    [
        (ON, 2),
        (ON, -1),
        (ON, 0.5),
        (ON, "true"),
        (ON, None),
        (ON, []),
        (BRIGHTNESS, 101),
        (BRIGHTNESS, -1),
        (BRIGHTNESS, 49.5),
        (BRIGHTNESS, "50"),
        (BRIGHTNESS, True),
        (BRIGHTNESS, None),
        (BRIGHTNESS, {}),
        (BRIGHTNESS, math.nan),
        (BRIGHTNESS, math.inf),
        pytest.param(BRIGHTNESS, 10**400, id="huge"),
    ],
)
def test_a_value_that_is_none_is_invalid_and_nothing_changes(
    house: House, iid: int, value: Any
) -> None:
    assert house.write((LAMP, iid, value)) == [INVALID]
    assert house.calls == []
    assert house.published == []
    assert read(house.bridge, LAMP, BRIGHTNESS)["value"] == 40


@pytest.mark.parametrize(
    ("iid", "value", "call"),
    [
        (ON, 0, (False, None)),
        (ON, 1, (True, None)),
        (ON, False, (False, None)),
        (BRIGHTNESS, 50.0, (None, 50)),
        (BRIGHTNESS, 0, (None, 0)),
        (BRIGHTNESS, 100, (None, 100)),
    ],
)
def test_what_controllers_send_for_a_value_is_taken(
    house: House, iid: int, value: Any, call: tuple[bool | None, int | None]
) -> None:
    assert house.write((LAMP, iid, value)) == [DONE]
    assert house.calls == [call]
    # 1 == True, and so the types are looked at, too.
    assert [type(part) for part in house.calls[0]] == [type(part) for part in call]


def test_one_item_that_fails_takes_no_other_with_it(house: House) -> None:
    statuses = house.write(
        (SENSOR, TEMPERATURE, 20.0), (99, 1, 1), (LAMP, BRIGHTNESS, 500), (LAMP, ON, False)
    )
    assert statuses == [READ_ONLY, NOT_THERE, INVALID, DONE]
    assert house.calls == [(False, None)]


def test_a_write_that_fails_keeps_the_old_value_and_tells_nobody(house: House) -> None:
    house.line_is_there = False
    assert house.write((LAMP, ON, False), (LAMP, BRIGHTNESS, 70)) == [NO_RESPONSE] * 2
    house.line_is_there = True
    assert read(house.bridge, LAMP, ON)["value"] is True
    assert read(house.bridge, LAMP, BRIGHTNESS)["value"] == 40
    assert house.published == []


def test_what_changes_is_published_and_what_became_of_a_write_too(house: House) -> None:
    house.write((LAMP, BRIGHTNESS, 70))
    assert house.published == [(BRIGHTNESS, 70)]
    house.published.clear()
    house.write((LAMP, BRIGHTNESS, 0))
    # The lamp is off, and its brightness is not what was written.
    assert house.published == [(ON, False), (BRIGHTNESS, 70)]


def test_identify_is_passed_on(house: House) -> None:
    assert house.write((LAMP, IDENTIFY, True)) == [DONE]
    assert house.identified == ["lamp"]
    assert house.write((LAMP, IDENTIFY, False)) == [DONE]
    assert house.identified == ["lamp"]


def test_an_event_tells_what_is_true_now_in_the_order_of_the_changes(house: House) -> None:
    assert changes(
        house.bridge, [(LAMP, BRIGHTNESS), (SENSOR, TEMPERATURE), (LAMP, ON)]
    ) == [
        {"aid": LAMP, "iid": BRIGHTNESS, "value": 40},
        {"aid": SENSOR, "iid": TEMPERATURE, "value": 21.5},
        {"aid": LAMP, "iid": ON, "value": True},
    ]
    house.write((LAMP, BRIGHTNESS, 70))
    assert changes(house.bridge, [(LAMP, BRIGHTNESS)])[0]["value"] == 70


def test_an_event_leaves_out_what_is_unknown_or_not_there(house: House) -> None:
    gone = [(99, 1), (LAMP, 999), (LAMP, 80), (SENSOR, HUMIDITY)]
    assert changes(house.bridge, gone) == []
    told = changes(house.bridge, [*gone, (SENSOR, ACTIVE), *gone])
    assert told == [{"aid": SENSOR, "iid": ACTIVE, "value": True}]


def test_a_lamp_that_is_off_is_told_and_is_not_unknown(house: House) -> None:
    house.write((LAMP, ON, False))
    assert changes(house.bridge, [(LAMP, ON)]) == [{"aid": LAMP, "iid": ON, "value": False}]


@pytest.mark.parametrize(
    ("item", "status"),
    [
        ({"aid": LAMP, "iid": ON, "ev": True}, DONE),
        ({"aid": LAMP, "iid": 5, "ev": True}, NO_EVENTS),
        ({"aid": LAMP, "iid": ON, "ev": 1}, INVALID),
        ({"aid": LAMP, "iid": ON, "ev": None}, INVALID),
        ({"aid": LAMP, "iid": ON, "ev": True, "value": 7}, INVALID),
        ({"aid": SENSOR, "iid": TEMPERATURE, "ev": True, "value": 7}, READ_ONLY),
        ({"aid": LAMP, "iid": ON}, DONE),
    ],
)
def test_events_are_asked_for_with_or_without_a_value(
    house: House, item: dict[str, Any], status: int
) -> None:
    assert write(house.bridge, [item])[0]["status"] == status
    assert house.calls == []


ITEM = {"aid": LAMP, "iid": ON, "value": False}


@pytest.mark.parametrize("wrong", [None, True, 2.0, "2", [2], {}])
@pytest.mark.parametrize("name", ["aid", "iid"])
def test_a_place_is_two_whole_numbers(name: str, wrong: object) -> None:
    missing = {key: value for key, value in ITEM.items() if key != name}
    for item in ({**ITEM, name: wrong}, missing):
        with pytest.raises(ValueError, match="without aid and iid"):
            items_of({"characteristics": [ITEM, item]})
    assert items_of({"characteristics": [ITEM, ITEM]}) == [ITEM, ITEM]
    assert items_of({"characteristics": []}) == []


@pytest.mark.parametrize(
    "query",
    [
        None,
        7,
        [],
        [ITEM],
        {},
        {"characteristics": None},
        {"characteristics": ITEM},
        {"characteristics": "81"},
        {"characteristics": [ITEM, None]},
        {"characteristics": [ITEM, [ITEM]]},
        {"characteristics": ["aid", "iid"]},
    ],
    ids=str,
)
def test_a_write_that_is_none_has_no_items(query: object) -> None:
    with pytest.raises(ValueError, match=r"no list|that is none"):
        items_of(query)


def test_a_whole_number_is_taken_for_one_with_a_fraction() -> None:
    properties = {"Format": "float", "minValue": -40, "maxValue": 85}
    value = database._native(properties, 21)
    assert (value, type(value)) == (21.0, float)
