"""Good files, the file system, and what is only worth a warning."""

import json
import os
from pathlib import Path
from typing import NoReturn, TypeAlias

import pytest

from hk_bridge.config import (
    BluetoothConfig,
    BridgeConfig,
    ChannelConfig,
    Config,
    DimmerConfig,
    SensorConfig,
    load,
    parse,
)
from hk_bridge.errors import ConfigError

Keys: TypeAlias = dict[str, object]

SAMPLE = Path(__file__).parents[2] / "accessories.json"


def one(keys: Keys, accessory: str = "Hygrothermograph", **entry: object) -> str:
    return json.dumps(
        {"accessories": [{"accessory": accessory, "name": "A", **keys}], **entry}
    )


def sensor_of(keys: Keys) -> SensorConfig:
    return parse(one(keys), "f").sensors[0]


def dimmer_of(keys: Keys, **channel: object) -> DimmerConfig:
    channels = [{"channel": 1, "name": "L", **channel}]
    return parse(one({"port": "p", "channels": channels, **keys}, "Dimmer"), "f").dimmers[0]


def test_the_sample_is_read_as_it_stands() -> None:
    assert load(SAMPLE) == Config(
        BridgeConfig("HK Bridge", 51826),
        (
            SensorConfig("Room 1", "4C:64:A8:D0:AE:65"),
            SensorConfig("Room 2", "2C:34:B3:D4:A1:61"),
        ),
        (
            DimmerConfig(
                "Dual Dimmer",
                "/dev/ttyUSB0",
                (ChannelConfig(1, "Ceiling Light"), ChannelConfig(2, "Mirror Light")),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, SensorConfig("A")),
        ({"accessory": "Hygrotermograph"}, SensorConfig("A")),
        ({"address": "4c-64-a8-d0-ae-65"}, SensorConfig("A", "4C:64:A8:D0:AE:65")),
        ({"id": "kitchen"}, SensorConfig("A", id="kitchen")),
        ({"bindKey": "aB" * 12}, SensorConfig("A", bind_key=b"\xab" * 12)),
        ({"bindKey": "aB" * 16}, SensorConfig("A", bind_key=b"\xab" * 16)),
        ({"timeout": 0}, SensorConfig("A", timeout=0.0)),
        ({"timeout": 1.5}, SensorConfig("A", timeout=90.0)),
        ({"timeout": 525600}, SensorConfig("A", timeout=31536000.0)),
        ({"temperatureOffset": -20}, SensorConfig("A", temperature_offset=-20.0)),
        ({"humidityOffset": 50.0}, SensorConfig("A", humidity_offset=50.0)),
        ({"lowBattery": 0}, SensorConfig("A", low_battery=0)),
        ({"lowBattery": 5.0}, SensorConfig("A", low_battery=5)),
        ({"disableBatteryLevel": True}, SensorConfig("A", battery=False)),
        ({"temperatureName": "T"}, SensorConfig("A", names={"temperature": "T"})),
        ({"humidityName": "H"}, SensorConfig("A", names={"humidity": "H"})),
        ({"moistureName": "M"}, SensorConfig("A", names={"moisture": "M"})),
        ({"illuminanceName": "I"}, SensorConfig("A", names={"illuminance": "I"})),
        ({"spikeFilter": False}, SensorConfig("A", spike_filter=False)),
    ],
)
def test_each_key_of_a_sensor_arrives(keys: Keys, expected: object) -> None:
    found = sensor_of(keys)
    assert found == expected
    assert type(found.low_battery) is int


@pytest.mark.parametrize(
    ("keys", "channel", "expected"),
    [
        ({}, {}, DimmerConfig("A", "p", (ChannelConfig(1, "L"),))),
        ({"id": "x"}, {}, DimmerConfig("A", "p", (ChannelConfig(1, "L"),), id="x")),
        (
            {"port": "socket://h:1"},
            {},
            DimmerConfig("A", "socket://h:1", (ChannelConfig(1, "L"),)),
        ),
        (
            {"baudrate": 50},
            {},
            DimmerConfig("A", "p", (ChannelConfig(1, "L"),), baudrate=50),
        ),
        ({"ramp": 0}, {}, DimmerConfig("A", "p", (ChannelConfig(1, "L"),), ramp=0)),
        ({}, {"channel": 2.0}, DimmerConfig("A", "p", (ChannelConfig(2, "L"),))),
        (
            {},
            {"minLevel": 254, "maxLevel": 255},
            DimmerConfig("A", "p", (ChannelConfig(1, "L", 254, 255),)),
        ),
        ({}, {"maxLevel": 1}, DimmerConfig("A", "p", (ChannelConfig(1, "L", None, 1),))),
    ],
)
def test_each_key_of_a_dimmer_arrives(
    keys: Keys, channel: dict[str, object], expected: DimmerConfig
) -> None:
    assert dimmer_of(keys, **channel) == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, BridgeConfig()),
        ({"name": "Дом"}, BridgeConfig("Дом")),
        ({"port": 65535}, BridgeConfig(port=65535)),
        ({"pin": "03145154"}, BridgeConfig(pin="031-45-154")),
        ({"pin": "031-45-154"}, BridgeConfig(pin="031-45-154")),
        ({"username": "cc:22:3d:e3:ce:30"}, BridgeConfig(username="CC:22:3D:E3:CE:30")),
        ({"bind": "eth0"}, BridgeConfig(bind=("eth0",))),
        ({"bind": ["eth0", "::1"]}, BridgeConfig(bind=("eth0", "::1"))),
        ({"bind": []}, BridgeConfig()),
    ],
)
def test_each_key_of_the_bridge_arrives(keys: Keys, expected: object) -> None:
    assert parse(one({}, bridge=keys), "f").bridge == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, BluetoothConfig("auto", None)),
        ({"mode": "auto"}, BluetoothConfig()),
        ({"mode": "passive"}, BluetoothConfig("passive")),
        ({"mode": "active"}, BluetoothConfig("active")),
        ({"adapter": "hci0"}, BluetoothConfig(adapter="hci0")),
        ({"adapter": "hci12"}, BluetoothConfig(adapter="hci12")),
        ({"adapter": "00-1a-7d-da-71-13"}, BluetoothConfig(adapter="00:1A:7D:DA:71:13")),
    ],
)
def test_each_key_of_the_radio_arrives(keys: Keys, expected: object) -> None:
    assert parse(one({}, bluetooth=keys), "f").bluetooth == expected


def test_without_a_word_of_the_radio_all_its_defaults_hold() -> None:
    assert parse(one({}), "f").bluetooth == BluetoothConfig()


def test_notes_for_people_and_editors_are_passed_over_in_silence() -> None:
    text = one({}, description="x", **{"$schema": "./schema.json"})
    assert parse(text, "f").warnings == ()


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse("\ufeff" + one({}), "f").sensors


def test_a_new_sensor_with_the_old_address_as_its_id_is_the_old_one_for_home() -> None:
    old = sensor_of({"address": "4c:64:a8:d0:ae:65"})
    new = sensor_of({"address": "2c:34:b3:d4:a1:61", "id": "4c:64:a8:d0:ae:65"})
    assert new.identity == old.identity


def test_two_sensors_may_change_places_by_their_ids() -> None:
    one_, two = "4C:64:A8:D0:AE:65", "2C:34:B3:D4:A1:61"
    entries = [
        {"accessory": "Hygrothermograph", "name": "A", "address": one_, "id": two},
        {"accessory": "Hygrothermograph", "name": "B", "address": two, "id": one_},
    ]
    assert len(parse(json.dumps({"accessories": entries}), "f").sensors) == 2


def test_what_does_not_fit_on_one_bridge_is_no_mistake() -> None:
    entries = [
        {
            "accessory": "Hygrothermograph",
            "name": f"R {n}",
            "address": f"00:00:00:00:00:{n:02X}",
        }
        for n in range(150)
    ]
    assert len(parse(json.dumps({"accessories": entries}), "f").sensors) == 150


NOT_WELCOME = (
    "Home and Siri want letters, digits, spaces and apostrophes only, with a letter or a "
    "digit at both ends"
)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Room 1", None),
        ("Mum's Room", None),
        ("Küche", None),
        ("寝室", None),
        ("Кухня 2", None),
        ("नमस्ते", None),
        ("7", None),
        ("Temperature & Humidity", ', for example "Temperature and Humidity"'),
        ("_Room-1!", ', for example "Room 1"'),
        ("Room ", ', for example "Room"'),
        ("'Room'", ', for example "Room"'),
        ("Mum’s Room", ', for example "Mum\'s Room"'),
        ("Kitchen (old)", ', for example "Kitchen old"'),
        ("Bad/WC", ', for example "Bad WC"'),
        ("!!!", ""),
        ("Küche 🍳", ', for example "Küche"'),
    ],
)
def test_names_that_home_dislikes_are_told_with_a_better_one(
    name: str, advice: str | None
) -> None:
    config = parse(one({"name": name}), "f")
    assert config.sensors[0].name == name, "such a name still runs"
    expected = [] if advice is None else [f'found "{name}", {NOT_WELCOME}{advice}']
    assert [warning.text for warning in config.warnings] == expected


NO_EFFECT = {
    "accessories[0]": {
        "type": "the kind of sensor is read from what it broadcasts",
        "updateInterval": "each value is passed on when it is heard",
        "fakeGatoEnabled": "fakegato is a part of Homebridge",
        "fakeGatoStoragePath": "fakegato is a part of Homebridge",
        "fakeGatoOptions": "fakegato is a part of Homebridge",
        "forceDiscovering": "hk-bridge always listens",
        "forceDiscoveringDelay": "hk-bridge always listens",
        "mqtt": "hk-bridge does not publish to MQTT",
        "fertilityName": "Home has no place for the conductivity of soil",
    },
    "bridge": {
        "advertiser": "hk-bridge has one way of announcing itself",
        "manufacturer": "hk-bridge names itself",
        "model": "hk-bridge names itself",
        "firmwareRevision": "the version of hk-bridge is shown",
        "setupID": "hk-bridge makes its own and keeps it",
    },
    "": {
        "platforms": "hk-bridge has no plugins",
        "plugins": "hk-bridge has no plugins",
        "disabledPlugins": "hk-bridge has no plugins",
        "ports": "there is one port, bridge.port",
        "mdns": "bridge.bind says where the bridge is announced",
    },
}


def with_key(place: str, key: str, value: object) -> str:
    inside = {key: value}
    return {
        "accessories[0]": lambda: one(inside),
        "bridge": lambda: one({}, bridge=inside),
        "": lambda: json.dumps({**json.loads(one({})), **inside}),
    }[place]()


@pytest.mark.parametrize("value", [None, 5, "x", {"a": [1]}])
@pytest.mark.parametrize(
    ("place", "key", "why"),
    [(place, key, why) for place, keys in NO_EFFECT.items() for key, why in keys.items()],
)
def test_keys_of_homebridge_without_effect_are_warned_of_and_stop_nothing(
    place: str, key: str, why: str, value: object
) -> None:
    config = parse(with_key(place, key, value), "f")
    (warning,) = config.warnings
    assert warning.path == f"{place}.{key}".lstrip(".")
    assert warning.text == f"no effect here: {why}"


def test_an_empty_list_is_worth_a_warning() -> None:
    (warning,) = parse('{\n"accessories": []}', "f").warnings
    assert (str(warning), warning.line) == (
        "accessories: the list is empty, Home will show no accessory",
        2,
    )


def test_other_displayed_names_are_warned_of_and_that_of_a_dimmer_is_not() -> None:
    text = json.dumps(
        {
            "bridge": {"name": "B!"},
            "accessories": [
                {
                    "accessory": "Hygrothermograph",
                    "name": "R",
                    "temperatureName": "T!",
                    "humidityName": "H!",
                },
                {
                    "accessory": "Dimmer",
                    "name": "D!",
                    "port": "p",
                    "channels": [{"channel": 1, "name": "L!"}],
                },
            ],
        }
    )
    assert [warning.path for warning in parse(text, "f").warnings] == [
        "bridge.name",
        "accessories[0].temperatureName",
        "accessories[0].humidityName",
        "accessories[1].channels[0].name",
    ]


def test_warnings_are_told_beside_errors() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(one({"name": "A!", "lowBattery": -1}), "f")
    assert [each.path for each in caught.value.problems] == ["accessories[0].lowBattery"]
    assert [each.path for each in caught.value.warnings] == ["accessories[0].name"]


def failure(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.file == str(path)
    return str(caught.value)


def test_a_missing_file_says_where_it_was_sought_and_how_to_name_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert failure(Path("none.json")) == (
        f"none.json: there is no such file in {tmp_path}; name another file with "
        "--config FILE or in $HK_BRIDGE_CONFIG"
    )


def test_a_directory_says_to_name_the_file_in_it(tmp_path: Path) -> None:
    assert failure(tmp_path) == (
        f"{tmp_path}: this is a directory; name the file in it: --config "
        f"{tmp_path}/accessories.json"
    )


def test_an_unreadable_file_says_how_to_see_who_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my file.json"

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert failure(path) == (
        f"{path}: this user may not read the file; who may, says: ls -l '{path}'"
    )


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_a_name_that_no_file_can_have_is_a_configuration_error(
    tmp_path: Path, name: str
) -> None:
    assert "the file cannot be read: " in failure(tmp_path / name)


def test_a_path_through_a_file_is_a_configuration_error() -> None:
    assert "the file cannot be read: Not a directory; name" in failure(SAMPLE / "x")


def test_an_empty_file_says_what_the_smallest_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.touch()
    assert failure(path) == (
        f'{path}: the file is empty; the smallest is {{ "accessories": [] }}'
    )


@pytest.mark.parametrize(
    ("content", "line"), [(b'{\n"a": "\xff"}', 2), ("{}".encode("utf-16"), 1)]
)
def test_a_file_that_is_not_utf_8_says_from_which_line_on(
    tmp_path: Path, content: bytes, line: int
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert failure(path) == (
        f"{path}:{line}: the file is not UTF-8 text from this line on; save it again as "
        "UTF-8"
    )


def test_a_file_of_1_mib_is_read_and_a_larger_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    text = SAMPLE.read_text(encoding="utf-8")
    path.write_text(text.ljust(1024 * 1024), encoding="utf-8")
    assert load(path) == load(SAMPLE)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(" ")
    assert failure(path) == (
        f"{path}: the file is larger than 1 MiB, no accessories.json is; name another file "
        "with --config FILE or in $HK_BRIDGE_CONFIG"
    )


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs an endless file")  # noqa: PTH110
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "accessories.json")
    assert "it is a pipe" in failure(tmp_path / "accessories.json")


def test_an_endless_file_is_refused_and_not_read_to_its_end() -> None:
    assert "larger than 1 MiB" in failure(Path("/dev/zero"))
