"""Last values and lamps over a restart: with their age, and never in the way of one."""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import time
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hk_bridge import files
from hk_bridge.devices.dimmer import Lamp
from hk_bridge.devices.kind import Kind
from hk_bridge.devices.sensor import Sensor
from hk_bridge.devices.spikes import Measurement
from hk_bridge.errors import StoreError
from hk_bridge.memory import (
    DeviceMemory,
    Memory,
    SensorMemory,
    from_wall_clock,
    to_wall_clock,
)
from hk_bridge.model import PLAUSIBLE, Quantity
from tests.fakes.faults import FaultyOs, failing

MEMORY: Final = DeviceMemory(
    {
        "sensor:4C:64:A8:D0:AE:65": SensorMemory(
            Kind("mibeacon", 0x01AA),
            {
                "temperature": Measurement(-12.3, 1_700_000_000.125),
                "humidity": Measurement(0.0, 1_700_000_001.0),
                "battery": Measurement(85.0, 1_690_000_000.0),
            },
        ),
        "sensor:silent": SensorMemory(),
        "sensor:bthome": SensorMemory(
            Kind("bthome", None),
            {"moisture": Measurement(18.5, 1.0)},
            frozenset({"moisture"}),
        ),
    },
    {"lamp::1": Lamp(on=True, brightness=40), "lamp::2": Lamp(on=False, brightness=1)},
)


def remembered(directory: Path) -> DeviceMemory:
    return Memory(directory).load()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_what_was_saved_is_remembered(tmp_path: Path) -> None:
    Memory(tmp_path).save(MEMORY)
    assert remembered(tmp_path) == MEMORY


def test_nothing_is_remembered_at_the_first_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert remembered(tmp_path) == DeviceMemory()
    assert warnings(caplog) == []


def test_the_file_spells_it_like_this() -> None:
    assert MEMORY.to_json() == {
        "format": 1,
        "sensors": {
            "sensor:4C:64:A8:D0:AE:65": {
                "format": "mibeacon",
                "productId": 426,
                "also": [],
                "values": {
                    "temperature": [-12.3, 1700000000.125],
                    "humidity": [0.0, 1700000001.0],
                    "battery": [85.0, 1690000000.0],
                },
            },
            "sensor:silent": {
                "format": None,
                "productId": None,
                "also": [],
                "values": {},
            },
            "sensor:bthome": {
                "format": "bthome",
                "productId": None,
                "also": ["moisture"],
                "values": {"moisture": [18.5, 1.0]},
            },
        },
        "lamps": {
            "lamp::1": {"on": True, "brightness": 40},
            "lamp::2": {"on": False, "brightness": 1},
        },
    }


quantity: st.SearchStrategy[Quantity] = st.sampled_from(list(PLAUSIBLE))
measurement = st.builds(
    Measurement,
    st.floats(0.0, 1.0),
    st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000) | st.just(-math.inf),
)
memories = st.builds(
    DeviceMemory,
    st.dictionaries(
        st.text(),
        st.builds(
            SensorMemory,
            st.none()
            | st.builds(Kind, st.just("mibeacon"), st.integers(0, 0xFFFF))
            | st.builds(Kind, st.sampled_from(["pvvx", "bthome"]), st.none()),
            st.dictionaries(quantity, measurement),
            st.frozensets(quantity),
        ),
    ),
    st.dictionaries(st.text(), st.builds(Lamp, st.booleans(), st.integers(1, 100))),
)


@pytest.mark.no_cover
@given(memories)
def test_any_memory_survives_its_file(memory: DeviceMemory) -> None:
    text = json.dumps(memory.to_json(), allow_nan=False)
    assert DeviceMemory.from_json(json.loads(text)) == memory


@pytest.mark.parametrize(
    ("written", "brightness"),
    [(0, 1), (-5, 1), (1, 1), (100, 100), (101, 100), (10**9, 100)],
)
def test_a_brightness_out_of_range_is_brought_into_it(
    written: int, brightness: int
) -> None:
    data = {
        "format": 1,
        "sensors": {},
        "lamps": {"lamp::1": {"on": True, "brightness": written}},
    }
    assert DeviceMemory.from_json(data).lamps == {"lamp::1": Lamp(True, brightness)}


# -- ages ---------------------------------------------------------------------------------


class Clock:
    """The wall clock, set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(1_700_000_000.0)
    monkeypatch.setattr(time, "time", clock)
    return clock


def test_an_age_goes_on_over_a_restart(wall: Clock) -> None:
    # Heard 60 s before the end, which comes at 5000 s of the monotonic clock.
    kept = to_wall_clock(Measurement(20.4, at=4940.0), now=5000.0)
    assert kept == Measurement(20.4, 1_699_999_940.0)
    # Restarted 30 s later, after a boot: the monotonic clock began anew.
    wall.now += 30
    assert from_wall_clock(kept, now=12.0) == Measurement(20.4, -78.0)


def test_a_value_of_this_moment_is_not_from_the_future(wall: Clock) -> None:
    kept = to_wall_clock(Measurement(20.4, at=5000.0), now=5000.0)
    assert from_wall_clock(kept, now=7.0) == Measurement(20.4, 7.0)


def test_a_clock_that_went_back_makes_a_value_too_old_to_be_shown(wall: Clock) -> None:
    kept = to_wall_clock(Measurement(20.4, at=4999.0), now=5000.0)
    battery = to_wall_clock(Measurement(85, at=4999.0), now=5000.0)
    wall.now -= 3600
    restored = from_wall_clock(kept, now=5.0)
    assert restored == Measurement(20.4, -math.inf)
    sensor = Sensor(timeout=900.0)
    sensor.restore("temperature", restored)
    sensor.restore("battery", from_wall_clock(battery, now=5.0))
    view = sensor.view(now=5.0)
    assert view.temperature is None
    assert view.battery == 85


def test_a_value_of_unknown_age_does_not_spoil_the_file(
    wall: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = Measurement(20.4, -math.inf)
    kept = DeviceMemory(
        {
            "sensor:x": SensorMemory(
                Kind("mibeacon", 0x01AA),
                {
                    "temperature": to_wall_clock(unknown, now=5.0),
                    "battery": to_wall_clock(Measurement(85.0, -math.inf), now=5.0),
                },
            )
        },
        {"lamp::1": Lamp(on=True, brightness=40)},
    )
    Memory(tmp_path).save(kept)
    found = remembered(tmp_path)
    assert found == kept
    assert from_wall_clock(found.sensors["sensor:x"].measurements["temperature"], 9.0) == (
        unknown
    )
    assert warnings(caplog) == []


# -- damage -------------------------------------------------------------------------------


def test_a_damaged_file_is_replaced_by_its_copy_set_aside_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Memory(tmp_path).save(MEMORY)
    file = tmp_path / "devices.json"
    file.write_bytes(b"{")
    memory = Memory(tmp_path)
    assert memory.load() == MEMORY
    assert warnings(caplog) == [
        f"{file} is damaged (no JSON at line 1)",
        f"its copy {file}.bak is used",
    ]
    memory.save(DeviceMemory())
    assert [path.read_bytes() for path in tmp_path.glob("devices.json.damaged-*")] == [b"{"]
    assert remembered(tmp_path) == DeviceMemory()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"format": 2}'])
def test_where_all_is_damaged_it_begins_anew_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file = tmp_path / "devices.json"
    file.write_bytes(content)
    (tmp_path / "devices.json.bak").write_bytes(content)
    memory = Memory(tmp_path)
    assert memory.load() == DeviceMemory()
    (said,) = warnings(caplog)
    assert said.startswith(f"last values and lamp levels are lost: {file} is damaged (")
    assert [path.read_bytes() for path in tmp_path.glob("*.damaged-*")] == [content]
    assert not file.exists()
    memory.save(MEMORY)
    assert remembered(tmp_path) == MEMORY
    assert len(warnings(caplog)) == 1


def test_a_folder_in_the_file_s_place_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "devices.json").mkdir()
    memory = Memory(tmp_path)
    assert memory.load() == DeviceMemory()
    assert len(warnings(caplog)) == 1
    memory.save(MEMORY)
    assert remembered(tmp_path) == MEMORY


KEYS: Final = [
    "format",
    "sensors",
    "lamps",
    "productId",
    "values",
    "temperature",
    "on",
    "brightness",
]
document = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.integers(10**400, 10**401),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner)
    ),
    max_leaves=10,
)
likely = st.fixed_dictionaries(
    {
        "format": st.just(1),
        "sensors": st.dictionaries(
            st.text(),
            st.fixed_dictionaries(
                {
                    "format": document,
                    "productId": document,
                    "also": document,
                    "values": st.dictionaries(quantity, st.lists(document) | document),
                }
            ),
        ),
        "lamps": st.dictionaries(
            st.text(), st.fixed_dictionaries({"on": document, "brightness": document})
        ),
    }
)


@pytest.mark.no_cover
@given(document | likely)
@settings(deadline=None)
def test_any_content_is_survived(
    tmp_path_factory: pytest.TempPathFactory, content: Any
) -> None:
    directory = tmp_path_factory.mktemp("state")
    (directory / "devices.json").write_text(json.dumps(content))
    found = remembered(directory)
    text = json.dumps(found.to_json(), allow_nan=False)
    assert DeviceMemory.from_json(json.loads(text)) == found


# -- saving -------------------------------------------------------------------------------


def test_a_memory_that_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.save(MEMORY)
    inode = (tmp_path / "devices.json").stat().st_ino
    memory.save(DeviceMemory(dict(MEMORY.sensors), dict(MEMORY.lamps)))
    assert (tmp_path / "devices.json").stat().st_ino == inode
    memory.save(DeviceMemory())
    assert remembered(tmp_path) == DeviceMemory()


def test_a_save_that_failed_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(files, "os", FaultyOs(fsync=failing(os.fsync)))
        with pytest.raises(StoreError, match="No space left on device"):
            memory.save(MEMORY)
    memory.save(MEMORY)
    assert remembered(tmp_path) == MEMORY


def test_a_save_waits_for_the_one_under_way_in_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, go_on, threads = threading.Event(), threading.Event(), set[int]()

    def slow(descriptor: int) -> None:
        threads.add(threading.get_ident())
        under_way.set()
        assert go_on.wait(20)
        os.fsync(descriptor)

    monkeypatch.setattr(files, "os", FaultyOs(fsync=slow))
    memory = Memory(tmp_path)
    first = threading.Thread(target=memory.save, args=(MEMORY,))
    second = threading.Thread(target=memory.save, args=(DeviceMemory(),))
    first.start()
    assert under_way.wait(20)
    second.start()
    second.join(0.2)
    assert second.is_alive()
    assert threads == {first.ident}
    go_on.set()
    first.join(20)
    second.join(20)
    assert remembered(tmp_path) == DeviceMemory()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "devices.json",
        "devices.json.bak",
    ]


def test_values_that_no_room_has_are_not_taken_back() -> None:
    values = {"temperature": [1e300, 0.0], "humidity": [-1, 0.0], "battery": [93, 0.0]}
    data = {
        "format": 1,
        "sensors": {"sensor:a": {"productId": None, "values": values}},
        "lamps": {},
    }
    found = DeviceMemory.from_json(data).sensors["sensor:a"].measurements
    assert found == {"battery": Measurement(93.0, 0.0)}


def test_a_file_of_an_earlier_version_is_understood() -> None:
    # It knew MiBeacon alone.
    def kept(product_id: int | None) -> SensorMemory:
        values = {"temperature": [-12.3, 1700000000.125]}
        sensor = {"productId": product_id, "values": values}
        data = {"format": 1, "sensors": {"sensor:a": sensor}, "lamps": {}}
        return DeviceMemory.from_json(data).sensors["sensor:a"]

    measured: dict[Quantity, Measurement]
    measured = {"temperature": Measurement(-12.3, 1700000000.125)}
    assert kept(426) == SensorMemory(Kind("mibeacon", 426), measured)
    assert kept(None) == SensorMemory(None, measured)


def test_what_is_damaged_of_one_sensor_takes_no_other_with_it() -> None:
    good = {"format": "mibeacon", "productId": 0x0098, "values": {}}
    damaged: list[Any] = [
        None,
        [],
        {"productId": 1},
        {**good, "productId": -1},
        {**good, "productId": 0x10000},
        {**good, "productId": "x"},
        {**good, "values": {"temperature": ["warm", 1]}},
        {**good, "values": {"temperature": []}},
        {**good, "also": 5},
    ]
    sensors = {str(number): each for number, each in enumerate(damaged)} | {"good": good}
    data = {"format": 1, "sensors": sensors, "lamps": {}}
    found = DeviceMemory.from_json(data).sensors
    assert found == {"good": SensorMemory(Kind("mibeacon", 0x0098))}
