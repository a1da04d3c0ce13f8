"""A sensor of the house: which services it has, what it says, and what it remembers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from hk_bridge import sensor_station
from hk_bridge.complaints import Complaints
from hk_bridge.config import SensorConfig
from hk_bridge.devices.kind import Kind
from hk_bridge.devices.spikes import Measurement
from hk_bridge.homekit.store import Store
from hk_bridge.memory import SensorMemory, to_wall_clock
from hk_bridge.model import Advertisement, Quantity
from hk_bridge.sensor_station import SensorStation
from tests.fakes.sensors import (
    Object,
    atc1441,
    bthome,
    bthome_climate,
    mibeacon,
    mibeacon_climate,
    pvvx,
)
from tests.homekit.house import SENSOR, House

FE95, A181, FCD2 = 0xFE95, 0x181A, 0xFCD2
ROOM: Final = "A4:C1:38:02:83:F4"
KEY: Final = bytes(range(16))
ROUND, SQUARE, PLANT, POT, AIR = 0x01AA, 0x055B, 0x0098, 0x015D, 0x02DF
CLIMATE: Final = mibeacon_climate(20.4, 39.4, 93)

#: iid of each service that a sensor can have.
SERVICES: Final = {
    32: "temperature",
    48: "humidity",
    64: "battery",
    96: "light",
    112: "soil",
}
USUAL: Final = {"temperature", "humidity", "battery"}


class Room:
    """A sensor on a bridge, which hears what the test says."""

    def __init__(
        self, house: House, remembered: SensorMemory | None = None, **how: Any
    ) -> None:
        self.house = house
        self.now = 1000.0
        self.kept = 0
        self.station = SensorStation(
            SensorConfig("Room 1", address=ROOM, **how),
            remembered,
            clock=lambda: self.now,
            keep=self._keep,
        )
        accessory = self.station.make_accessory(house.driver, SENSOR)
        house.driver.accessory.put_accessory(accessory)
        self._counter = 0

    def _keep(self) -> None:
        self.kept += 1

    def hears(self, data: bytes, uuid: int = FE95) -> None:
        self.station.heard(Advertisement(ROOM, {uuid: data}, -60, self.now))

    def hears_mibeacon(
        self, product: int, objects: list[Object], key: bytes | None = None
    ) -> None:
        self._counter += 1
        self.hears(mibeacon(product, self._counter % 256, ROOM, objects, key=key))

    @property
    def state(self) -> str:
        return str(self.station.status(self.now).state)

    @property
    def services(self) -> set[str]:
        """Those that Home is shown, by the bridge itself."""
        shown = self.house.driver.accessory.accessories[SENSOR]
        iids = {service["iid"] for service in shown.to_HAP()["services"]}
        return {SERVICES[iid] for iid in iids & SERVICES.keys()}

    def value(self, iid: int) -> Any:
        found = self.house.driver.accessory.get_characteristic(SENSOR, iid)
        return None if found is None else found.value

    @property
    def config_number(self) -> int:
        return int(self.house.driver.state.config_version)


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(Store.open(tmp_path / "state"))


# Services ----------------------------------------------------------------------------


async def test_a_sensor_that_nobody_has_heard_is_shown_as_most_are(house: House) -> None:
    assert Room(house).services == USUAL


@pytest.mark.parametrize(
    ("product", "services"),
    [
        (ROUND, USUAL),
        (SQUARE, USUAL),
        (PLANT, {"temperature", "soil", "light"}),
        (POT, {"soil"}),
        (AIR, USUAL),
    ],
)
async def test_what_a_product_has_is_known_from_its_first_frame_whatever_is_in_it(
    house: House, product: int, services: set[str]
) -> None:
    for objects in ([], [(0x1008, b"\x12")], [(0x100A, b"\x12")], CLIMATE):
        room = Room(house)
        room.hears_mibeacon(product, objects)
        assert room.services == services


async def test_it_is_known_too_where_the_frame_cannot_be_opened(house: House) -> None:
    for key in (None, KEY[::-1]):
        room = Room(house, bind_key=key)
        room.hears_mibeacon(SQUARE, CLIMATE, KEY)
        status = room.station.status(room.now)
        assert (status.product, status.model) == ("0x055B", "LYWSD03MMC")


async def test_it_is_the_same_from_start_to_start(house: House) -> None:
    room = Room(house)
    room.hears_mibeacon(PLANT, [])
    again = Room(house, room.station.remember(room.now))
    assert again.services == {"temperature", "soil", "light"}
    number = again.config_number
    again.hears_mibeacon(PLANT, [(0x1008, b"\x12")])
    assert again.services == {"temperature", "soil", "light"}
    assert (again.config_number, again.kept) == (number, 0)


async def test_controllers_are_told_once_and_a_crash_loses_nothing(house: House) -> None:
    room = Room(house)
    number = room.config_number
    for moisture in (18, 19, 20):
        room.hears_mibeacon(PLANT, [(0x1008, bytes([moisture]))])
    assert (room.config_number, room.kept) == (number + 1, 1)


async def test_who_has_subscribed_stays_so_when_services_come_and_go(house: House) -> None:
    room = Room(house)
    client = ("192.0.2.1", 1)
    house.driver.async_subscribe_client_topic(client, f"{SENSOR}.33", True)
    told: list[tuple[int, Any]] = []
    house.driver.publish = lambda data, *_: told.append((data["iid"], data["value"]))
    room.hears_mibeacon(PLANT, [(0x1004, b"\xcc\x00")])
    assert (33, 20.4) in told
    assert client in house.driver.topics[f"{SENSOR}.33"]
    assert room.value(33) == 20.4


@pytest.mark.parametrize(
    ("frame", "uuid", "how", "model"),
    [
        (atc1441(ROOM, 20.4, 39, 93), A181, {}, "ATC1441 thermometer"),
        (pvvx(ROOM, 20.4, 39, 93), A181, {}, "pvvx thermometer"),
        (bthome(bthome_climate(1, 20.4, 39, 93), ROOM), FCD2, {}, "BTHome sensor"),
        (atc1441(ROOM, 20.5, 39, 93, key=KEY), A181, {"bind_key": KEY}, "ATC1441"),
        (pvvx(ROOM, 20.4, 39, 93, key=KEY), A181, {"bind_key": KEY}, "pvvx"),
        (
            bthome(bthome_climate(1, 20.4, 39, 93), ROOM, key=KEY),
            FCD2,
            {"bind_key": KEY},
            "BTHome",
        ),
    ],
)
async def test_every_format_reaches_home(
    house: House, frame: bytes, uuid: int, how: dict[str, Any], model: str
) -> None:
    room = Room(house, **how)
    room.hears(frame, uuid)
    assert room.state == "decoding"
    assert room.services == USUAL
    assert (room.value(33), room.value(49), room.value(65)) == (
        pytest.approx(20.45, abs=0.051),
        39,
        93,
    )
    status = room.station.status(room.now)
    assert status.product is None
    assert model in (status.model or "")


async def test_an_open_format_shows_more_once_it_has_come_and_for_good(
    house: House,
) -> None:
    room = Room(house)
    room.hears(bthome([(0x00, b"\x01"), (0x02, b"\xf8\x07")], ROOM), FCD2)
    for packet_id in (2, 2, 2, 3):
        room.hears(bthome([(0x00, bytes([packet_id])), (0x2F, b"\x12")], ROOM), FCD2)
        # Once or twice, with all their copies, could be anybody.
        assert room.services == USUAL
    room.hears(bthome([(0x00, b"\x04"), (0x2F, b"\x13")], ROOM), FCD2)
    assert room.services == USUAL | {"soil"}
    assert room.value(113) == 19
    assert Room(house, room.station.remember(room.now)).services == USUAL | {"soil"}


async def test_without_a_battery_in_home_nothing_speaks_of_one(house: House) -> None:
    room = Room(house, battery=False)
    room.hears_mibeacon(PLANT, [(0x1004, b"\xcc\x00")])
    shown = house.driver.accessory.accessories[SENSOR]
    names = {c.display_name for s in shown.services for c in s.characteristics}
    assert not any("Battery" in name for name in names)


async def test_soil_moisture_is_a_humidity_sensor_of_another_name(house: House) -> None:
    names: dict[Quantity, str] = {"moisture": "Fern", "illuminance": "Sun"}
    for given, expected in (({}, ("Soil Moisture", "Light")), (names, ("Fern", "Sun"))):
        room = Room(house, names=given)
        room.hears_mibeacon(PLANT, [(0x1008, b"\x12"), (0x1007, b"\x0e\x00\x00")])
        shown = {
            service["iid"]: service
            for service in house.driver.accessory.accessories[SENSOR].to_HAP()["services"]
        }
        assert shown[112]["type"] == "82"  # HumiditySensor
        assert shown[96]["type"] == "84"  # LightSensor
        assert (room.value(114), room.value(98)) == expected
        assert (room.value(113), room.value(97)) == (18, 14)
        assert [iid for iid, each in shown.items() if each.get("primary")] == [32]


@pytest.mark.parametrize(
    ("lux", "shown"), [(0, 0.0001), (1, 1), (100_000, 100_000), (150_000, 100_000)]
)
async def test_light_stays_within_what_homekit_can_show(
    house: House, lux: int, shown: float
) -> None:
    room = Room(house)
    room.hears_mibeacon(PLANT, [(0x1007, lux.to_bytes(3, "little"))])
    assert room.value(97) == shown
    assert room.station.status(room.now).values["illuminance"].value == lux


async def test_what_home_has_no_place_for_is_in_the_status(house: House) -> None:
    room = Room(house)
    room.hears_mibeacon(PLANT, [(0x1009, b"\x57\x02"), (0x1010, b"\x7d\x00")])
    values = room.station.status(room.now).values
    assert values["conductivity"].value == 599
    assert values["formaldehyde"].value == 1.25
    assert room.state == "decoding"


async def test_a_sensor_that_says_what_home_has_no_place_for_is_no_idle_one(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "hk_bridge")
    room = Room(house)
    room.hears_mibeacon(AIR, [(0x1010, b"\x7d\x00")])
    assert room.state == "decoding"
    assert [each for each in caplog.messages if "Room 1" in each] == ["Room 1: 1.25 mg/m³"]


# States ------------------------------------------------------------------------------

Step = Callable[[Room], None]
STEPS: Final[list[tuple[Step, str, str]]] = [
    (
        lambda room: room.hears_mibeacon(SQUARE, []),
        "heard, idle frames only",
        "LYWSD03MMC is heard and says no value. It may take an hour.",
    ),
    (
        lambda room: room.hears_mibeacon(SQUARE, CLIMATE, KEY[::-1]),
        "wrong bind key",
        'the "bindKey" in accessories.json is wrong: the bind key does not fit',
    ),
    (
        lambda room: room.hears_mibeacon(SQUARE, CLIMATE, KEY),
        "decoding",
        "20.4 °C, 39.4 %",
    ),
    (
        lambda room: setattr(room, "now", room.now + 7200.0),
        "silent",
        "Room 1 is silent for 120 minutes and shows No Response.",
    ),
    (
        lambda room: room.hears_mibeacon(SQUARE, CLIMATE, KEY),
        "decoding",
        "20.4 °C, 39.4 %",
    ),
]


async def test_each_change_of_state_is_logged_once(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "hk_bridge")
    room = Room(house, bind_key=KEY)
    logger = logging.getLogger("hk_bridge.sensor_station")
    complaints = Complaints(logger, clock=lambda: room.now)
    monkeypatch.setattr(sensor_station, "_complaints", complaints)
    assert room.state == "never heard"
    for step, state, words in STEPS:
        caplog.clear()
        room.now += 61.0
        step(room)
        for _ in range(5):
            room.station.show(room.now)
        assert room.state == state
        (said,) = [r.getMessage() for r in caplog.records if "Room 1" in r.getMessage()]
        assert words in said
        assert KEY.hex() not in caplog.text


async def test_a_sensor_without_its_key_says_so_once_however_often_it_speaks(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(house)
    for _ in range(1000):
        room.now += 61.0
        room.hears_mibeacon(SQUARE, CLIMATE, KEY)
        room.hears_mibeacon(SQUARE, [])
    assert room.state == "needs a bind key"
    (said,) = [r.getMessage() for r in caplog.records if "bindKey" in r.getMessage()]
    assert said.startswith('Room 1: LYWSD03MMC encrypts its values. Add its "bindKey"')


async def test_a_sensor_that_goes_on_without_values_is_idle_when_they_are_old(
    house: House,
) -> None:
    room = Room(house, bind_key=KEY)
    room.hears_mibeacon(SQUARE, CLIMATE, KEY)
    for _ in range(120):
        room.now += 60.0
        room.hears_mibeacon(SQUARE, [])
    assert room.state == "heard, idle frames only"
    assert room.value(33) is None


async def test_an_open_frame_of_somebody_else_does_not_pass_for_an_encrypting_sensor(
    house: House,
) -> None:
    room = Room(house, bind_key=KEY)
    room.hears(bthome(bthome_climate(1, 20.4, 39, 93), ROOM, key=KEY), FCD2)
    for number in range(2, 5):
        room.hears(bthome(bthome_climate(number, 60.0, 39, 93), ROOM), FCD2)
    assert room.value(33) == 20.4
    assert room.state == "cannot be read"
    assert "sends openly" in (room.station.status(room.now).advice or "")


def sealed(temperature: float, counter: int) -> bytes:
    objects = [(0x02, round(temperature * 100).to_bytes(2, "little"))]
    return bthome(objects, ROOM, key=KEY, counter=counter)


async def test_a_replay_is_no_value_and_no_sign_of_life(house: House) -> None:
    room = Room(house, bind_key=KEY)
    room.hears(sealed(20.4, 1000), FCD2)
    room.hears(sealed(20.6, 1001), FCD2)
    room.now += 1800.0
    room.hears(sealed(20.4, 1000), FCD2)
    room.hears(sealed(20.6, 1001), FCD2)
    assert room.value(33) == 20.6
    room.now += 1800.0
    room.station.show(room.now)
    assert room.value(33) is None
    room.hears(sealed(20.5, 1002), FCD2)
    assert (room.value(33), room.state) == (20.5, "decoding")
    assert room.station.status(room.now).replays == 1


async def test_a_frame_that_the_key_does_not_open_moves_no_counter(house: House) -> None:
    room = Room(house, bind_key=KEY)
    room.hears(sealed(20.4, 1000), FCD2)
    other = bthome([(0x02, b"\x00\x00")], ROOM, key=KEY[::-1], counter=0xFFFFFFFF)
    room.hears(other, FCD2)
    room.hears(sealed(20.6, 1001), FCD2)
    assert (room.value(33), room.state) == (20.6, "decoding")


async def test_a_sensor_becomes_silent_by_itself(house: House) -> None:
    room = Room(house)
    room.hears_mibeacon(SQUARE, CLIMATE, KEY)
    assert room.station.expires == room.now + 7200.0
    room.now = room.station.expires
    assert room.state == "silent"


async def test_without_a_time_out_a_sensor_never_becomes_silent(house: House) -> None:
    room = Room(house, timeout=0.0)
    room.hears_mibeacon(ROUND, CLIMATE)
    assert room.station.expires == float("inf")
    room.now += 1e9
    room.station.show(room.now)
    assert (room.value(33), room.state) == (20.4, "decoding")


async def test_a_sensor_that_says_only_what_cannot_be_is_not_called_idle(
    house: House,
) -> None:
    room = Room(house)
    room.hears_mibeacon(ROUND, [(0x1006, b"\xff\xff")])
    status = room.station.status(room.now)
    assert (str(status.state), status.refused) == ("cannot be read", 1)
    assert "its humidity cannot be" in (status.advice or "")


async def test_damage_is_no_sign_of_life(house: House) -> None:
    room = Room(house)
    room.hears_mibeacon(ROUND, CLIMATE)
    for _ in range(20):
        room.now += 60.0
        room.hears(b"\x50")
    assert room.state == "silent"


async def test_copies_of_one_forged_frame_change_no_services(house: House) -> None:
    room = Room(house)
    for _ in range(20):
        room.hears_mibeacon(ROUND, CLIMATE)
    forged = mibeacon(POT, 1, ROOM, [])
    for _ in range(100):
        room.hears(forged)
    assert room.services == USUAL


async def test_a_sensor_that_counts_backwards_says_what_may_be_the_matter(
    house: House,
) -> None:
    room = Room(house, bind_key=KEY)
    room.hears(sealed(20.4, 1000), FCD2)
    for counter in (500, 501):
        room.hears(sealed(20.4, counter), FCD2)
        assert room.state == "decoding"
    room.hears(sealed(20.4, 502), FCD2)
    assert room.state == "cannot be read"
    advice = room.station.status(room.now).advice or ""
    assert "restart the bridge" in advice
    # A restart is what it takes.
    again = Room(house, room.station.remember(room.now), bind_key=KEY)
    again.hears(sealed(20.4, 503), FCD2)
    assert again.state == "decoding"


async def test_values_of_before_a_restart_that_become_too_old_are_said(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    measured = to_wall_clock(Measurement(20.4, 900.0), 1000.0)
    remembered = SensorMemory(Kind("mibeacon", ROUND), {"temperature": measured})
    room = Room(house, remembered)
    assert room.value(33) == 20.4
    room.now += 900.0
    room.station.show(room.now)
    assert room.value(33) is None
    assert room.state == "never heard"
    assert "Room 1 is silent for 15 minutes and shows No Response" in caplog.text


async def test_a_value_that_is_held_back_is_shown_in_time_by_itself(house: House) -> None:
    room = Room(house)
    room.hears_mibeacon(ROUND, mibeacon_climate(20.4, 39.4, 93))
    room.now += 1.0
    room.hears_mibeacon(ROUND, mibeacon_climate(60.0, 39.4, 93))
    assert room.value(33) == 20.4
    assert room.station.expires == room.now + 60.0
    room.now = room.station.expires
    room.station.show(room.now)
    assert room.value(33) == 60.0


async def test_the_filter_can_be_turned_off(house: House) -> None:
    room = Room(house, spike_filter=False)
    for temperature in (20.4, 60.0, -12.3):
        room.hears_mibeacon(ROUND, mibeacon_climate(temperature, 39.4, 93))
        assert room.value(33) == temperature
