"""The answer to GET /accessories is what HAP-python would make, whatever has happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import orjson
from hypothesis import given
from hypothesis import strategies as st
from pyhap.loader import Loader
from pyhap.util import to_hap_json

from hk_bridge.devices.dimmer import Lamp
from hk_bridge.devices.sensor import SensorView
from hk_bridge.homekit.accessories import HouseBridge, LampAccessory, SensorAccessory
from hk_bridge.homekit.appearance import Information
from hk_bridge.model import Quantity

DRIVER: Final = SimpleNamespace(
    loader=Loader(), publish=lambda *_: None, names={}, keep_name=lambda *_: None
)

QUANTITIES: Final[list[frozenset[Quantity]]] = [
    frozenset({"temperature", "humidity", "battery"}),
    frozenset({"temperature"}),
    frozenset({"moisture", "illuminance"}),
]


def about(name: str) -> Information:
    return Information(name, "Maker", "Model", "Serial")


def nothing(*_: object) -> None: ...


class House:
    """A bridge with a lamp and some sensors, without a network."""

    def __init__(self) -> None:
        self.lamp_is = Lamp()
        self.bridge = HouseBridge(DRIVER, about("Bridge"), nothing)
        self.put_sensor(3, 0, "Room")
        self.put_sensor(4, 1, "Küche 🛏")
        self.lamp = LampAccessory(
            DRIVER,
            about("Mirror"),
            2,
            nothing,
            apply=lambda on, brightness: self.lamp_is.set(on=on, brightness=brightness),
            reachable=lambda: True,
        )
        self.bridge.put_accessory(self.lamp)

    def put_sensor(self, aid: int, kind: int, name: str) -> None:
        self.bridge.put_accessory(
            SensorAccessory(DRIVER, about(name), aid, nothing, quantities=QUANTITIES[kind])
        )


def as_hap_python_has_it(bridge: HouseBridge) -> bytes:
    made = {"accessories": bridge.to_HAP()}
    encoded: bytes = to_hap_json(made)
    return encoded


NUMBER: Final = st.one_of(st.none(), st.floats(-40, 85), st.integers(0, 100))
VIEW: Final = st.builds(
    SensorView,
    NUMBER,
    NUMBER,
    st.one_of(st.none(), st.integers(0, 100)),
    st.one_of(st.none(), st.booleans()),
    NUMBER,
    NUMBER,
)
STEP: Final = st.one_of(
    st.tuples(st.just("show"), st.integers(3, 4), VIEW),
    st.tuples(st.just("lamp"), st.booleans(), st.integers(1, 100)),
    st.tuples(st.just("renew"), st.integers(3, 5), st.integers(0, 2)),
    st.tuples(st.just("name"), st.integers(2, 4), st.text(min_size=1, max_size=9)),
    st.tuples(st.just("rename"), st.just(1), st.text(min_size=1, max_size=9)),
    st.tuples(st.just("remove"), st.integers(3, 4), st.none()),
)


def do(house: House, what: str, first: Any, second: Any) -> None:
    accessory = house.bridge.accessories.get(first)
    if what == "show" and isinstance(accessory, SensorAccessory):
        accessory.show(second)
    elif what == "lamp":
        service = house.lamp.get_service("Lightbulb")
        house.lamp.write(service, {"On": first, "Brightness": second})
    elif what == "renew":
        house.put_sensor(first, second, f"Room {second}")
    elif what == "name" and accessory is not None:
        accessory.write(accessory.services[1], {"ConfiguredName": second})
    elif what == "rename":
        house.bridge.rename(about(second))
    elif what == "remove" and accessory is not None:
        house.bridge.remove_accessory(first)


# Half characters cannot be sent, and do not come: a controller's JSON cannot have them.
@given(st.lists(STEP, max_size=12))
def test_it_is_never_old_and_byte_for_byte_the_same(
    steps: list[tuple[str, Any, Any]],
) -> None:
    house = House()
    assert house.bridge.encode() == as_hap_python_has_it(house.bridge)
    for step in steps:
        do(house, *step)
        assert house.bridge.encode() == as_hap_python_has_it(house.bridge)


def test_what_is_not_known_is_null() -> None:
    house = House()
    found = {
        (accessory["aid"], characteristic["iid"]): characteristic
        for accessory in json.loads(house.bridge.encode())["accessories"]
        for service in accessory["services"]
        for characteristic in service["characteristics"]
    }
    assert found[3, 33]["value"] is None
    # What cannot be read has no value at all.
    assert "value" not in found[3, 2]


def test_equal_accessories_share_what_stands_between_their_values() -> None:
    house = House()
    house.put_sensor(5, 0, "Other")
    first, second = (house.bridge.accessories[aid].encoded for aid in (3, 5))
    assert first._kind is second._kind
    assert first.encode() != second.encode()


def test_what_is_the_same_for_all_accessories_is_there_once() -> None:
    house = House()
    house.put_sensor(5, 0, "Other")
    services = [house.bridge.accessories[aid].services for aid in (3, 5)]
    for first, second in zip(*services, strict=True):
        assert first is not second
        for one, other in zip(first.characteristics, second.characteristics, strict=True):
            assert one is not other
            assert one.properties is other.properties


def test_each_characteristic_says_when_it_has_become_another_one() -> None:
    house = House()
    for accessory in (house.bridge, *house.bridge.accessories.values()):
        for service in accessory.services:
            for characteristic in service.characteristics:
                before = accessory.encoded.encode()
                assert accessory.encoded.encode() is before
                characteristic.value = "another one"
                assert accessory.encoded.encode() is not before


def test_the_hash_of_the_database_is_the_same_in_every_process() -> None:
    # The order of keys is not: HAP-python takes it from a set.
    program = (
        "from tests.homekit.test_encoding import House\n"
        "print(House().bridge.database_hash())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {f"{House().bridge.database_hash()}\n".encode()}


def test_the_hash_of_the_database_depends_on_what_there_is_and_on_no_value() -> None:
    house = House()
    before = house.bridge.database_hash()
    house.bridge.accessories[3].show(SensorView(20.0, 40.0, 90, None))
    house.bridge.rename(about("Other"))
    assert house.bridge.database_hash() == before
    house.put_sensor(3, 1, "Room")
    changed = house.bridge.database_hash()
    assert changed != before
    house.bridge.remove_accessory(4)
    assert house.bridge.database_hash() not in (before, changed)


def test_nothing_is_kept_that_hap_python_would_keep_of_each_characteristic() -> None:
    house = House()
    house.bridge.encode()
    for accessory in (house.bridge, *house.bridge.accessories.values()):
        for service in accessory.services:
            for characteristic in service.characteristics:
                assert characteristic._to_hap_cache is None
                assert characteristic._to_hap_cache_with_value is None


def test_a_text_with_the_mark_of_a_gap_in_it_does_no_harm() -> None:
    house = House()
    house.bridge.rename(about("a\x00b"))
    assert house.bridge.encode() == orjson.dumps({"accessories": house.bridge.to_HAP()})
