"""The JSON Schema that editors use, against what `parse` says of the same files."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hk_bridge.config import json_schema, parse
from hk_bridge.errors import ConfigError

SCHEMA: dict[str, Any] = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
SAMPLE = json.loads(
    (Path(__file__).parents[2] / "accessories.json").read_text(encoding="utf-8")
)

SENSOR = {"accessory": "Hygrothermograph", "name": "Room", "address": "4C:64:A8:D0:AE:65"}
DIMMER = {
    "accessory": "Dimmer",
    "name": "Board",
    "port": "p",
    "channels": [{"channel": 1, "name": "Lamp"}],
}


def accepted(value: object) -> bool:
    try:
        parse(json.dumps(value), "f")
    except ConfigError:
        return False
    return True


def test_the_schema_is_one_itself() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_is_the_caller_s_own() -> None:
    json_schema().clear()
    assert json_schema() == SCHEMA


def test_the_schema_accepts_the_sample() -> None:
    VALIDATOR.validate(SAMPLE)


def test_every_key_has_a_description_and_no_object_takes_others() -> None:
    for part in [SCHEMA, *SCHEMA["$defs"].values()]:
        assert part["additionalProperties"] is False
        for key, value in part["properties"].items():
            assert value["description"], key


def test_the_defaults_of_the_schema_are_those_of_the_configuration() -> None:
    config = parse(json.dumps({"accessories": [SENSOR, DIMMER]}), "f")
    sensor, dimmer = SCHEMA["$defs"]["Sensor"], SCHEMA["$defs"]["Dimmer"]
    assert sensor["properties"]["lowBattery"]["default"] == config.sensors[0].low_battery
    assert sensor["properties"]["disableBatteryLevel"]["default"] is False
    assert dimmer["properties"]["baudrate"]["default"] == config.dimmers[0].baudrate
    assert dimmer["properties"]["ramp"]["default"] == config.dimmers[0].ramp
    assert SCHEMA["$defs"]["Bridge"]["properties"]["port"]["default"] == config.bridge.port
    radio = SCHEMA["$defs"]["Bluetooth"]["properties"]
    assert radio["mode"]["default"] == config.bluetooth.mode
    assert "default" not in radio["adapter"]


def test_keys_without_effect_are_marked_for_editors() -> None:
    for part, key in [("Sensor", "mqtt"), ("Bridge", "setupID")]:
        assert SCHEMA["$defs"][part]["properties"][key]["deprecated"] is True
    assert SCHEMA["properties"]["platforms"]["deprecated"] is True


def test_the_types_of_accessories_tell_the_two_kinds_apart() -> None:
    items = SCHEMA["properties"]["accessories"]["items"]
    assert items["discriminator"]["propertyName"] == "accessory"
    assert len(items["oneOf"]) == 2
    spellings = SCHEMA["$defs"]["Sensor"]["properties"]["accessory"]["enum"]
    assert spellings == ["Hygrothermograph", "Hygrotermograph"]


def sensor(**keys: object) -> dict[str, object]:
    return {"accessories": [{**SENSOR, **keys}]}


def dimmer(**keys: object) -> dict[str, object]:
    return {"accessories": [{**DIMMER, **keys}]}


def lamp(**keys: object) -> dict[str, object]:
    return dimmer(channels=[{"channel": 1, "name": "Lamp", **keys}])


def bridge(**keys: object) -> dict[str, object]:
    return {"bridge": keys, "accessories": []}


def bluetooth(**keys: object) -> dict[str, object]:
    return {"bluetooth": keys, "accessories": []}


GOOD = [
    {"accessories": []},
    {"$schema": "x", "description": "y", "accessories": [], "platforms": [], "mdns": {}},
    sensor(accessory="Hygrotermograph"),
    sensor(address="4c-64-a8-d0-ae-65"),
    sensor(name="Küche 🍳"),
    sensor(bindKey="aB" * 12),
    sensor(bindKey="00" * 16),
    sensor(timeout=0.5, temperatureOffset=-20, humidityOffset=50, lowBattery=5.0),
    sensor(mqtt={"url": "x"}, updateInterval=5, type=None),
    dimmer(id="x", baudrate=4000000, ramp=65535),
    lamp(channel=2.0, minLevel=0, maxLevel=255),
    bridge(pin="031-45-154", username="cc:22:3d:e3:ce:30", bind="eth0"),
    bridge(pin="03145154", bind=["eth0", "::1"], setupID="ABCD"),
    bluetooth(),
    bluetooth(mode="auto", adapter="hci0"),
    bluetooth(mode="passive", adapter="hci65535"),
    bluetooth(mode="active", adapter="00:1a:7D:DA:71:13"),
]
BAD = [
    [],
    {},
    {"accessories": {}},
    {"accessories": [5]},
    {"accessories": [], "extra": 1},
    sensor(accessory="Hygrometer"),
    sensor(name=""),
    sensor(name="  "),
    sensor(name="a\nb"),
    sensor(name="x" * 65),
    sensor(address="4c:64-a8:d0:ae:65"),
    sensor(address=None),
    sensor(id=""),
    sensor(id="x" * 65),
    sensor(bindKey="0" * 31),
    sensor(timeout=-1),
    sensor(timeout="5"),
    sensor(temperatureOffset=20.1),
    sensor(humidityOffset=True),
    sensor(lowBattery=101),
    sensor(lowBattery=5.5),
    sensor(disableBatteryLevel=0),
    sensor(bindkey="00" * 16),
    dimmer(port=""),
    dimmer(baudrate=49),
    dimmer(ramp=65536),
    dimmer(channels=[]),
    dimmer(bindKey="00" * 16),
    lamp(channel=3),
    lamp(minLevel=255),
    lamp(maxLevel=0),
    lamp(name=None),
    bridge(port=0),
    bridge(pin="1234567"),
    bridge(username="CC:22"),
    bridge(bind=5),
    bridge(bind=[""]),
    bluetooth(mode="Auto"),
    bluetooth(mode=None),
    bluetooth(adapter=""),
    bluetooth(adapter="hci"),
    bluetooth(adapter="hci00"),
    bluetooth(adapter="hci100000"),
    bluetooth(adapter="HCI0"),
    bluetooth(adapter="xhci0"),
    bluetooth(adapter="hci0,00:1A:7D:DA:71:13"),
    bluetooth(adapter="00:1A:7D:DA:71"),
    bluetooth(adapter=None),
    bluetooth(passive=True),
    {"accessories": [{key: DIMMER[key] for key in DIMMER if key != "name"}]},
]


@pytest.mark.parametrize("value", GOOD)
def test_schema_and_parser_accept(value: object) -> None:
    VALIDATOR.validate(value)
    assert accepted(value)


@pytest.mark.parametrize("value", BAD)
def test_schema_and_parser_refuse(value: object) -> None:
    assert not VALIDATOR.is_valid(value)
    assert not accepted(value)


scalar = st.none() | st.booleans() | st.integers(-300, 70000) | st.floats() | st.text()
sensors = st.fixed_dictionaries(
    {"name": st.text()},
    optional={
        "address": st.from_regex("(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}") | scalar,
        "id": scalar,
        "bindKey": st.from_regex("[0-9a-f]{24,32}") | scalar,
        "timeout": scalar,
        "lowBattery": scalar,
        "temperatureOffset": scalar,
        "temperatureName": scalar,
        "mqtt": scalar,
    },
)


radios = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["auto", "passive", "active", "AUTO"]) | scalar,
        "adapter": st.from_regex("(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}|hci[0-9]{1,6}")
        | scalar,
    },
)


@given(
    sensors.map(lambda keys: sensor(**keys)),
    st.dictionaries(st.just("bind"), scalar),
    radios,
)
def test_the_schema_accepts_whatever_the_parser_accepts(
    value: dict[str, object], keys: dict[str, object], radio: dict[str, object]
) -> None:
    value["bridge"] = keys
    value["bluetooth"] = radio
    if accepted(value):
        VALIDATOR.validate(value)


def test_the_reference_has_every_key() -> None:
    reference = Path(__file__).parents[2] / "docs" / "configuration.md"
    text = reference.read_text(encoding="utf-8")
    for part in [SCHEMA, *SCHEMA["$defs"].values()]:
        for key in part["properties"]:
            assert f"`{key}`" in text or f'"{key}"' in text, key
