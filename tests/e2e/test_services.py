"""Services that come and go under a controller that has subscribed to them."""

from __future__ import annotations

from typing import Final

from aiohomekit.controller.ip import IpController

from tests.e2e.conftest import PATIENCE, ROOM_1, Bridge, events, pair, until
from tests.fakes.sensors import mibeacon, mibeacon_climate

TEMPERATURE, ACTIVE, HUMIDITY, SOIL = 33, 35, 49, 113
ROUND, POT = 0x01AA, 0x015D
USUAL: Final = {1, 32, 48, 64}


class Sensor:
    """A sensor that is heard by a bridge."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._counter = 0

    async def says(self, temperature: float, humidity: float = 40.0) -> None:
        self._counter += 1
        objects = mibeacon_climate(temperature, humidity, 90)
        frame = mibeacon(ROUND, self._counter % 256, ROOM_1, objects, version=2)
        await self._bridge.hear(ROOM_1, frame.hex())

    async def is_said_to_be_a_pot(self, times: int) -> None:
        for number in range(times):
            frame = mibeacon(POT, number, ROOM_1, [(0x1008, b"\x12")], version=2)
            await self._bridge.hear(ROOM_1, frame.hex())


async def test_a_sensor_whose_services_were_taken_away_comes_back_by_itself(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    aid = bridge.identity.aids[f"sensor:{ROOM_1}"]
    sensor = Sensor(bridge)
    await sensor.says(20.0)
    told = events(pairing)
    iids = (TEMPERATURE, ACTIVE, HUMIDITY)
    await pairing.subscribe([(aid, iid) for iid in iids])

    async def services() -> set[int]:
        accessories = await pairing.list_accessories_and_characteristics()
        (found,) = [each for each in accessories if each["aid"] == aid]
        return {service["iid"] for service in found["services"]}

    assert await services() == USUAL
    number = bridge.identity.config_number
    # Known for one frame, it takes two to make something else of it.
    await sensor.is_said_to_be_a_pot(2)
    assert await services() == {1, 112}
    await until(lambda: bridge.identity.config_number > number)
    for tenths in range(201, 260):
        await sensor.says(tenths / 10)
    assert await services() == USUAL
    await until(lambda: told.get((aid, TEMPERATURE)) == 25.9)
    read = await pairing.get_characteristics([(aid, iid) for iid in iids])
    assert [read[aid, iid]["value"] for iid in iids] == [25.9, True, 40.0]
    assert not [record for record in bridge.log.records if record.exc_info]


async def test_a_house_full_of_new_sensors_is_news_once_a_second(
    bridge: Bridge, controller: IpController
) -> None:
    addresses = [f"A4:C1:38:00:00:{number:02X}" for number in range(100)]
    bridge.write(
        [
            {"accessory": "Hygrothermograph", "name": f"Room {each[-2:]}", "address": each}
            for each in addresses
        ]
    )
    await bridge.start()
    await pair(controller, bridge.identity)
    before = bridge.identity.config_number
    for address in addresses:
        frame = mibeacon(POT, 1, address, [(0x1008, b"\x12")], version=2)
        await bridge.hear(address, frame.hex())
    # At once for the first one, and once more for all others.
    await until(lambda: bridge.identity.config_number >= before + 2)
    assert bridge.identity.config_number <= before + PATIENCE
    number = bridge.identity.config_number
    await bridge.stop()
    await bridge.start()
    assert bridge.identity.config_number == number
