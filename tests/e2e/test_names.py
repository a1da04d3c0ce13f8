"""What things are called, as a real controller reads, changes and is told it."""

from __future__ import annotations

from typing import Any, Final

from aiohomekit.controller.ip import IpController, IpPairing

from hk_bridge.web.client import ask
from tests.e2e.conftest import (
    PATIENCE,
    ROOM_1,
    ROOM_2,
    Bridge,
    dimmer,
    events,
    pair,
    until,
)
from tests.e2e.test_bridge import database

ROOM_1_AID, ROOM_2_AID, CEILING, MIRROR = 2, 3, 4, 5
NAME, TEMPERATURE_NAME, HUMIDITY_NAME, LAMP_NAME = 5, 37, 53, 84
NOTHING_NEW: Final[dict[Any, Any]] = {}
INVALID: Final = -70410


def sensor(name: str, address: str, **more: str) -> dict[str, Any]:
    return {"accessory": "Hygrothermograph", "name": name, "address": address, **more}


async def names(pairing: IpPairing, *places: tuple[int, int]) -> list[Any]:
    """As /accessories has them, and /characteristics too."""
    listed = database(await pairing.list_accessories_and_characteristics())
    read = await pairing.get_characteristics(places)
    found = [listed[place]["value"] for place in places]
    assert found == [read[place]["value"] for place in places]
    return found


async def test_names_of_every_script_reach_the_controller(
    bridge: Bridge, controller: IpController
) -> None:
    two = [{"channel": 1, "name": "مصباح"}, {"channel": 2, "name": "Lampe 💡 e\u0301tage"}]
    bridge.write(
        [
            sensor("Küche", ROOM_1, humidityName="Luftfeuchte Küche"),
            sensor("寝室", ROOM_2),
            dimmer(bridge.board.port, channels=two),
        ],
        name="Zuhause 🏠",
    )
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    found = await controller.async_find(bridge.identity.device_id, timeout=PATIENCE)
    assert found.description.name.startswith("Zuhause 🏠 ")
    parts = TEMPERATURE_NAME, HUMIDITY_NAME
    assert await names(pairing, *((ROOM_1_AID, iid) for iid in (NAME, *parts))) == [
        "Küche",
        "Küche Temperature",
        "Luftfeuchte Küche",
    ]
    assert await names(pairing, *((ROOM_2_AID, iid) for iid in (NAME, *parts))) == [
        "寝室",
        "寝室 Temperature",
        "寝室 Humidity",
    ]
    lamps = await names(pairing, (CEILING, LAMP_NAME), (MIRROR, LAMP_NAME))
    assert lamps == ["مصباح", "Lampe 💡 e\u0301tage"]


async def test_a_name_given_in_home_reaches_the_others_and_outlives_a_restart(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    other = IpPairing(controller, pairing.pairing_data)
    told = events(other)
    temperature, mirror = (ROOM_1_AID, TEMPERATURE_NAME), (MIRROR, LAMP_NAME)
    try:
        await other.subscribe([temperature, mirror])
        number = bridge.identity.config_number
        renamed = [(*temperature, "Wärme 🔥"), (*mirror, "Spiegel")]
        assert await pairing.put_characteristics(renamed) == NOTHING_NEW
        await until(lambda: told == {temperature: "Wärme 🔥", mirror: "Spiegel"})
    finally:
        await other.close()
    await bridge.stop()
    await bridge.start()
    found = await names(pairing, temperature, mirror, (ROOM_1_AID, HUMIDITY_NAME))
    assert found == ["Wärme 🔥", "Spiegel", "Room 1 Humidity"]
    # What it is called is a value: nobody has to read the database anew for it.
    assert bridge.identity.config_number == number


async def test_what_is_no_name_is_refused_and_the_old_one_stays(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    place = (MIRROR, LAMP_NAME)
    for wrong in ("", "x" * 65, "a\nb", 7):
        refused = await pairing.put_characteristics([(*place, wrong)])
        assert refused[place]["status"] == INVALID
    assert await names(pairing, place) == ["Mirror Light"]
    assert bridge.identity.names == {}


async def test_a_name_in_the_file_counts_again_once_it_is_changed_there(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    first, second = (ROOM_1_AID, TEMPERATURE_NAME), (ROOM_2_AID, TEMPERATURE_NAME)
    await pairing.put_characteristics([(*first, "Warm"), (*second, "Cold")])
    bridge.write([sensor("Attic", ROOM_1), sensor("Room 2", ROOM_2)])
    await ask(bridge.state, "POST", "/reload")
    assert await names(pairing, first, second) == ["Attic Temperature", "Cold"]
