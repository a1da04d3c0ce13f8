"""What a bridge says of itself: the JSON, and the states that a sensor goes through."""

from __future__ import annotations

import json
import math
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pytest

from hk_bridge import __version__, status
from hk_bridge.config import SensorConfig
from hk_bridge.devices.kind import Kind
from hk_bridge.devices.sensor import LastValue
from hk_bridge.devices.sensor_state import SensorState
from hk_bridge.devices.spikes import Measurement
from hk_bridge.homekit.store import Store
from hk_bridge.memory import SensorMemory, to_wall_clock
from hk_bridge.model import Advertisement, LinkState
from hk_bridge.protocols.mibeacon import MiBeaconFrame
from hk_bridge.protocols.mibeacon_objects import encode_values
from hk_bridge.sensor_station import SensorStation
from hk_bridge.status import RadioStatus, SensorStatus, to_json, versions
from tests.homekit.house import House

FE95: Final = 0xFE95
ROOM: Final = "4C:64:A8:D0:AE:65"
KEY: Final = bytes(range(16))
PLAIN, ENCRYPTING = 0x01AA, 0x055B
CLIMATE: dict[str, Any] = {"temperature": 20.4, "humidity": 39.4}


# -- values to JSON -----------------------------------------------------------------------


def test_keys_are_spelled_as_in_json_and_values_are_plain() -> None:
    radio = RadioStatus.of(
        LinkState(is_up=True, text="listening", mode="passive", adapter="hci0"),
        since=12.34567,
        last_heard=0.0004,
        adverts=3,
    )
    assert to_json(radio) == {
        "isUp": True,
        "text": "listening",
        "since": 12.346,
        "mode": "passive",
        "adapter": "hci0",
        "lastHeard": 0.0,
        "adverts": 3,
    }


def test_zero_is_zero_and_nothing_is_null() -> None:
    sensor = SensorStatus(
        "Room 1",
        None,
        SensorState.NEVER_HEARD,
        None,
        None,
        rssi=0,
        last_heard=0.0,
        values={"temperature": LastValue(0.0, 0.0, is_live=True)},
    )
    assert json.loads(json.dumps(to_json(sensor))) == {
        "name": "Room 1",
        "address": None,
        "state": "never heard",
        "product": None,
        "model": None,
        "rssi": 0,
        "lastHeard": 0.0,
        "values": {"temperature": {"value": 0.0, "age": 0.0, "isLive": True}},
        "format": None,
        "lastValue": None,
        "advice": None,
        "refused": 0,
        "replays": 0,
        "unknown": {},
    }


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_json_has_no_number_for_is_null(value: float) -> None:
    assert to_json({"age": value, "ages": (value, 1.0)}) == {"age": None, "ages": [None, 1]}


def test_versions_are_those_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = versions()
    assert known["hk-bridge"] == __version__
    assert known["bleak"] == metadata.version("bleak")
    assert known.keys() == {
        "hk-bridge",
        "python",
        "HAP-python",
        "bleak",
        "pyserial",
        "zeroconf",
    }
    monkeypatch.setattr(status, "_PACKAGES", ("bleak", "no-such-package"))
    assert versions.__wrapped__().keys() == {"hk-bridge", "python", "bleak"}


# -- a sensor -----------------------------------------------------------------------------


class Heard:
    """A sensor of a house, which hears what the test says."""

    def __init__(self, house: House, remembered: SensorMemory | None = None, **how: Any):
        config = SensorConfig("Room 1", address=ROOM, **how)
        self.station = SensorStation(config, remembered)
        self.station.make_accessory(house.driver, 9)
        self.now = 1000.0
        self._counter = 0

    def hears(
        self,
        product: int = PLAIN,
        key: bytes | None = None,
        rssi: int | None = -60,
        **values: Any,
    ) -> str:
        """Let it hear a frame; returns the state."""
        self._counter += 1
        objects = encode_values(**values)
        frame = MiBeaconFrame(product, self._counter, ROOM, objects=objects)
        return self.hears_bytes(frame.to_bytes(key), rssi)

    def hears_bytes(self, data: bytes, rssi: int | None = -60) -> str:
        self.station.heard(Advertisement(ROOM, {FE95: data}, rssi, self.now))
        return str(self.json["state"])

    @property
    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = to_json(self.station.status(self.now))
        return told


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(Store.open(tmp_path / "state"))


async def test_a_sensor_that_was_never_heard(house: House) -> None:
    assert Heard(house).json == {
        "name": "Room 1",
        "address": ROOM,
        "state": "never heard",
        "product": None,
        "model": None,
        "rssi": None,
        "lastHeard": None,
        "values": {},
        "format": None,
        "lastValue": None,
        "advice": None,
        "refused": 0,
        "replays": 0,
        "unknown": {},
    }


async def test_a_sensor_that_is_heard_and_says_something(house: House) -> None:
    sensor = Heard(house, temperature_offset=-0.4)
    assert sensor.hears(**CLIMATE) == "decoding"
    sensor.now += 5
    assert sensor.json == {
        "name": "Room 1",
        "address": ROOM,
        "state": "decoding",
        "product": "0x01AA",
        "model": "LYWSDCGQ",
        "rssi": -60,
        "lastHeard": 5.0,
        "values": {
            "temperature": {"value": 20.0, "age": 5.0, "isLive": True},
            "humidity": {"value": 39.4, "age": 5.0, "isLive": True},
        },
        "format": "mibeacon",
        "lastValue": 5.0,
        "advice": None,
        "refused": 0,
        "replays": 0,
        "unknown": {},
    }


async def test_a_frost_in_a_dry_room_with_an_empty_battery_is_all_there(
    house: House,
) -> None:
    sensor = Heard(house)
    assert sensor.hears(temperature=0.0, humidity=0.0, rssi=0) == "decoding"
    sensor.hears(battery=0, rssi=0)
    told = sensor.json
    values = {name: value["value"] for name, value in told["values"].items()}
    assert values == {"temperature": 0, "humidity": 0, "battery": 0}
    assert {value["age"] for value in told["values"].values()} == {0.0}
    assert (told["rssi"], told["lastHeard"]) == (0, 0.0)


async def test_a_sensor_that_has_said_no_value_yet(house: House) -> None:
    sensor = Heard(house)
    assert sensor.hears() == "heard, idle frames only"
    assert sensor.json["model"] == "LYWSDCGQ"
    assert sensor.hears(**CLIMATE) == "decoding"
    assert sensor.hears() == "decoding"


async def test_a_sensor_that_needs_a_bind_key(house: House) -> None:
    sensor = Heard(house)
    assert sensor.hears(ENCRYPTING, KEY, **CLIMATE) == "needs a bind key"
    assert sensor.hears(ENCRYPTING) == "needs a bind key"
    assert sensor.json["values"] == {}
    with_key = Heard(house, bind_key=KEY)
    assert with_key.hears(ENCRYPTING, KEY, **CLIMATE) == "decoding"
    assert KEY.hex() not in json.dumps(with_key.json)


async def test_a_sensor_with_a_wrong_bind_key(house: House) -> None:
    sensor = Heard(house, bind_key=bytes(16))
    assert sensor.hears(ENCRYPTING, KEY, **CLIMATE) == "wrong bind key"
    assert sensor.hears(ENCRYPTING) == "wrong bind key"
    # What it is stands outside of what is encrypted.
    assert sensor.json["model"] == "LYWSD03MMC"
    assert KEY.hex() not in json.dumps(sensor.json)


async def test_a_sensor_that_cannot_be_read(house: House) -> None:
    damaged = Heard(house)
    assert damaged.hears_bytes(b"\x50") == "cannot be read"
    assert damaged.hears(**CLIMATE) == "decoding"


async def test_a_single_damaged_frame_is_not_how_a_sensor_is(house: House) -> None:
    sensor = Heard(house)
    sensor.hears(**CLIMATE)
    for _ in range(50):
        assert sensor.hears_bytes(b"\x50") == "decoding"
    assert [sensor.hears_bytes(damaged) for damaged in (b"\x51", b"\x52")] == [
        "decoding",
        "cannot be read",
    ]


async def test_a_status_counts_what_cannot_be_and_what_nobody_knows(house: House) -> None:
    sensor = Heard(house)
    sensor.hears(humidity=101.0)
    sensor.hears_bytes(bytes.fromhex("5020aa010265aed0a8654c 0a11015d 041002d500"))
    told = sensor.json
    assert (told["refused"], told["unknown"]) == (1, {"0x110A": 1})
    assert told["values"]["temperature"]["value"] == 21.3


async def test_each_state_in_which_no_value_comes_says_what_can_be_done(
    house: House,
) -> None:
    def advice(sensor: Heard) -> str:
        return str(sensor.json["advice"])

    sensor = Heard(house)
    sensor.hears()
    assert "battery out" in advice(sensor)
    sensor = Heard(house)
    sensor.hears(ENCRYPTING)
    assert "is not bound" in advice(sensor)
    sensor.hears(ENCRYPTING, KEY, **CLIMATE)
    assert 'Add its "bindKey"' in advice(sensor)
    sensor = Heard(house, bind_key=bytes(16))
    sensor.hears(ENCRYPTING, KEY, **CLIMATE)
    assert "does not fit" in advice(sensor)
    sensor.now += 7200
    assert "silent for 120 minutes" in advice(sensor)


async def test_a_sensor_that_is_silent_keeps_its_last_values(house: House) -> None:
    sensor = Heard(house, timeout=60)
    sensor.hears(**CLIMATE)
    sensor.hears(battery=93)
    sensor.now += 60
    sensor.station.show(sensor.now)
    told = sensor.json
    assert (told["state"], told["lastHeard"]) == ("silent", 60.0)
    assert told["values"]["temperature"] == {"value": 20.4, "age": 60.0, "isLive": False}
    assert told["values"]["battery"]["isLive"]
    assert sensor.hears(**CLIMATE) == "decoding"


async def test_a_sensor_that_was_heard_before_a_restart_alone(house: House) -> None:
    sensor = Heard(house)
    measured = to_wall_clock(Measurement(20.4, sensor.now), sensor.now)
    again = Heard(
        house, SensorMemory(Kind("mibeacon", PLAIN), {"temperature": measured}), timeout=0
    )
    told = again.json
    assert (told["state"], told["lastHeard"]) == ("never heard", None)
    assert (told["model"], told["rssi"]) == ("LYWSDCGQ", None)
    assert told["values"]["temperature"]["value"] == 20.4
