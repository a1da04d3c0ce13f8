"""accessories.json is edited while Home looks on: nothing is interrupted or lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohomekit.controller.ip import IpController

from hk_bridge import config
from hk_bridge.bridges import Bridges
from hk_bridge.errors import ConfigError, LinkError, StoreError
from hk_bridge.homekit.store import Store
from hk_bridge.options import Options
from hk_bridge.web.client import ask
from tests.e2e.conftest import (
    LOOPBACK,
    ROOM_1,
    ROOM_2,
    SENSORS,
    Bridge,
    dimmer,
    pair,
    until,
    until_async,
)
from tests.e2e.door import client as raw
from tests.e2e.door.characteristics import at, item, put
from tests.e2e.door.client import Client, Controller
from tests.e2e.test_bridge import database
from tests.fakes.board import BoardEmulator
from tests.fakes.ports import free_port, free_ports

Json = dict[str, Any]

ROOM_1_AID, ROOM_2_AID, CEILING, MIRROR, NEW = 2, 3, 4, 5, 6
NAME, TEMPERATURE, HUMIDITY, ON, BRIGHTNESS = 5, 33, 49, 81, 82
IDENTIFY = 2
NO_RESPONSE = -70402

CELLAR = "58:2D:34:00:00:01"
#: LYWSDCGQ: 20.4 °C and 39.4 % of room 1, the same of room 2 and of the cellar.
CLIMATE = "5020aa01be65aed0a8644c0d1004cc008a01"
OF_ROOM_2 = "5020aa01be61a1d4b3342c0d1004cc008a01"
OF_CELLAR = "5020aa01be010000342d580d1004cc008a01"


class Home:
    """A paired controller with one connection, which is never opened again."""

    def __init__(self, bridge: Bridge, controller: Controller, client: Client) -> None:
        self.bridge = bridge
        self.controller = controller
        self.client = client

    async def read(self, *places: tuple[int, int]) -> list[Any]:
        """The values, or the status of those that have none."""
        answer = await self.client.get(at(places))
        return [
            each.get("value", each.get("status")) for each in answer.json["characteristics"]
        ]

    async def write(self, aid: int, iid: int, value: object) -> int:
        """The status of a write."""
        answer = await put(self.client, item((aid, iid), value=value))
        if answer.status == 204:
            return 0
        return int(answer.json["characteristics"][0]["status"])

    async def names(self) -> dict[int, str]:
        """What each accessory but the bridge is called, by its aid."""
        answer = await self.client.get("/accessories")
        return {
            each["aid"]: characteristic["value"]
            for each in answer.json["accessories"][1:]
            for service in each["services"]
            for characteristic in service["characteristics"]
            if characteristic["iid"] == NAME
        }

    @property
    def number(self) -> int:
        """c#, as it is kept."""
        return self.bridge.identity.config_number


@pytest.fixture
async def home(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    """A house with two sensors that have spoken and two lamps, in the Home app."""
    monkeypatch.setattr("hk_bridge.homekit.bridge._CHANGES_SECONDS", 0.02)
    await bridge.start()
    controller = await raw.pair(bridge.port, bridge.identity.setup_code)
    client = await raw.session(bridge.port, controller)
    home = Home(bridge, controller, client)
    await bridge.hear(ROOM_1, CLIMATE)
    await bridge.hear(ROOM_2, OF_ROOM_2)
    await until_async(lambda: _is(home.read((ROOM_1_AID, TEMPERATURE)), [20.4]))
    await until_async(lambda: _is(home.read((CEILING, BRIGHTNESS)), [100]))
    rooms = [f"sensor:{ROOM_1}", f"sensor:{ROOM_2}"]
    shown = lambda: bridge.identity.shown  # noqa: E731 # short
    await until(lambda: {shown()[r].information.model for r in rooms} == {"LYWSDCGQ"})
    yield home
    client.close()


async def _is(read: Any, expected: object) -> bool:
    return bool(await read == expected)


async def reload(bridge: Bridge) -> Json:
    """What the command of that name does."""
    return await ask(bridge.state, "POST", "/reload")


def cellar(**more: object) -> Json:
    return {"accessory": "Hygrothermograph", "name": "Cellar", "address": CELLAR, **more}


# -- what is added and changed ------------------------------------------------------------


async def test_a_sensor_that_is_written_into_the_file_is_soon_in_home(
    home: Home, bridge: Bridge
) -> None:
    number = home.number
    bridge.write([*SENSORS, cellar(), dimmer(bridge.board.port)])
    # Nobody asks for it: the file is watched.
    await until(lambda: home.number == number + 1)
    assert (await home.names())[NEW] == "Cellar"
    await bridge.hear(CELLAR, OF_CELLAR)
    await until_async(
        lambda: _is(home.read((NEW, TEMPERATURE), (ROOM_1_AID, TEMPERATURE)), [20.4, 20.4])
    )
    assert "added Cellar" in bridge.log.text


async def test_the_controller_learns_of_each_change_by_mdns(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await bridge.hear(ROOM_1, CLIMATE)
    await pairing.list_accessories_and_characteristics()
    device_id = bridge.identity.device_id.lower()
    told = lambda: controller.discoveries[device_id].description.config_num  # noqa: E731 # short
    connection = pairing.connection.transport
    for accessories in (
        [*SENSORS, cellar(), dimmer(bridge.board.port)],
        [*SENSORS, cellar(name="Basement"), dimmer(bridge.board.port)],
    ):
        number = bridge.identity.config_number
        bridge.write(accessories)
        assert await reload(bridge)
        # A change within a second of another one is told at its end.
        expected = number + 1
        await until(lambda: bridge.identity.config_number == expected)  # noqa: B023 # at once
        await until(lambda: told() == expected)  # noqa: B023 # at once
    listed = await pairing.list_accessories_and_characteristics()
    assert database(listed)[NEW, NAME]["value"] == "Basement"
    assert pairing.connection.transport is connection


async def test_a_new_name_port_or_offset_changes_no_aid_and_no_session(
    home: Home, bridge: Bridge
) -> None:
    aids = dict(bridge.identity.aids)
    with BoardEmulator() as other:
        bedroom = {**SENSORS[0], "name": "Bedroom", "temperatureOffset": 1.5}
        bridge.write([bedroom, SENSORS[1], dimmer(other.port)], name="House")
        changes = await reload(bridge)
        assert set(changes["changed"]) == {
            "bridge",
            "Bedroom",
            "Ceiling Light",
            "Mirror Light",
        }
        assert bridge.identity.aids == aids
        assert await home.names() == {
            ROOM_1_AID: "Bedroom",
            ROOM_2_AID: "Room 2",
            CEILING: "Ceiling Light",
            MIRROR: "Mirror Light",
        }
        assert await home.read((1, NAME), (ROOM_1_AID, TEMPERATURE)) == ["House", 21.9]
        await until_async(lambda: _is(home.read((CEILING, ON)), [False]))
        assert await home.write(CEILING, BRIGHTNESS, 40) == 0
        await until(lambda: [frame.hex(" ") for frame in other.frames][-1:])
        assert other.frames[-1].hex(" ") == "0a ff 55 01 66 00 05 dc 0a"


async def test_what_is_no_business_of_home_raises_no_number(
    home: Home, bridge: Bridge
) -> None:
    number = home.number
    bridge.write(
        [{**SENSORS[0], "temperatureOffset": -1}, SENSORS[1], dimmer(bridge.board.port)]
    )
    assert (await reload(bridge))["changed"] == ["Room 1"]
    assert await home.read((ROOM_1_AID, TEMPERATURE)) == [19.4]
    assert home.number == number


async def test_a_lamp_is_not_switched_by_an_edit_of_its_dimmer(
    home: Home, bridge: Bridge
) -> None:
    assert await home.write(CEILING, BRIGHTNESS, 40) == 0
    await until(lambda: len(bridge.board.frames) == 1)
    # "off" is for the start of the program.
    renamed = dimmer(bridge.board.port, startup="off")
    renamed["channels"] = [{"channel": 1, "name": "Lamp"}, renamed["channels"][1]]
    bridge.write([*SENSORS, renamed])
    await reload(bridge)
    assert await home.read((CEILING, BRIGHTNESS), (CEILING, ON)) == [40, True]
    assert len(bridge.board.frames) == 1
    # Another curve is seen at once.
    renamed["channels"][0]["maxLevel"] = 100
    bridge.write([*SENSORS, renamed])
    await reload(bridge)
    await until(lambda: len(bridge.board.frames) == 2)
    assert bridge.board.frames[-1][4] == 40
    assert await home.read((CEILING, BRIGHTNESS)) == [40]


async def test_the_bridge_moves_to_another_port_with_its_sessions(bridge: Bridge) -> None:
    ports = free_port(), free_port()
    options = Options(bridge.state, bind=(LOOPBACK,), config=bridge.file)
    bridge.write(SENSORS, port=ports[0])
    await bridge.start(options)
    controller = await raw.pair(ports[0], bridge.identity.setup_code)
    old = await raw.session(ports[0], controller)
    bridge.write(SENSORS, port=ports[1])
    await reload(bridge)
    new = await raw.session(ports[1], controller)
    for client in (old, new):
        assert len(await Home(bridge, controller, client).names()) == 2
        client.close()
    with pytest.raises(ConnectionRefusedError):
        await raw.session(ports[0], controller)
    # One that is taken is refused, with everything as it was.
    with socket.create_server((LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        bridge.write([SENSORS[0]], port=taken)
        with pytest.raises(LinkError, match=f"port {taken} is in use"):
            await reload(bridge)
    assert (await ask(bridge.state, "GET", "/status"))["bridge"]["port"] == ports[1]
    assert bridge.identity.gone == {}


# -- what is refused ----------------------------------------------------------------------


async def test_a_file_with_mistakes_is_refused_as_a_whole(
    home: Home, bridge: Bridge
) -> None:
    number, names = home.number, await home.names()
    bridge.write([{**SENSORS[0], "name": "Bedroom"}, cellar(bindKey="secret?"), {}])
    with pytest.raises(ConfigError) as told:
        config.load(bridge.file)
    answer = await reload(bridge)
    assert answer["problems"] == str(told.value).splitlines()
    assert len(answer["problems"]) == 2
    # The watch says the same, once.
    await until(lambda: "the configuration from before stays in force" in bridge.log.text)
    for problem in answer["problems"]:
        assert problem in bridge.log.text
    assert (home.number, await home.names()) == (number, names)
    await bridge.hear(ROOM_1, CLIMATE.replace("be65", "bf65").replace("cc00", "cd00"))
    await until_async(lambda: _is(home.read((ROOM_1_AID, TEMPERATURE)), [20.5]))

    bridge.file.unlink()
    assert "there is no such file" in (await reload(bridge))["problems"][0]
    bridge.write([*SENSORS, cellar(), dimmer(bridge.board.port)])
    assert (await reload(bridge))["added"] == ["Cellar"]


async def test_another_device_id_is_refused_while_somebody_is_paired(
    home: Home, bridge: Bridge
) -> None:
    bridge.write([cellar()], username="CC:22:3D:E3:CE:30")
    with pytest.raises(LinkError, match="pairing reset"):
        await reload(bridge)
    assert len(await home.names()) == 4


async def test_another_setup_code_leaves_those_who_are_paired_alone(
    home: Home, bridge: Bridge
) -> None:
    bridge.write([*SENSORS, dimmer(bridge.board.port)], pin="031-45-154")
    await reload(bridge)
    assert bridge.identity.setup_code == "031-45-154"
    assert len(await home.names()) == 4
    await ask(bridge.state, "POST", "/pairing/reset")
    controller = await raw.pair(bridge.port, "031-45-154")
    (await raw.session(bridge.port, controller)).close()


async def test_a_sensor_with_another_address_is_told_how_to_keep_its_place(
    home: Home, bridge: Bridge
) -> None:
    swapped = {**SENSORS[0], "address": CELLAR}
    bridge.write([swapped, SENSORS[1], dimmer(bridge.board.port)])
    changes = await reload(bridge)
    assert (changes["added"], changes["gone"]) == (["Room 1"], ["Room 1"])
    (advice,) = changes["warnings"]
    assert advice.endswith(f'give its entry "id": "{ROOM_1}"')
    assert advice in bridge.log.text
    number = home.number
    bridge.write([{**swapped, "id": ROOM_1}, SENSORS[1], dimmer(bridge.board.port)])
    await reload(bridge)
    await bridge.hear(CELLAR, OF_CELLAR)
    await until_async(lambda: _is(home.read((ROOM_1_AID, TEMPERATURE)), [20.4]))
    assert home.number > number


async def test_with_a_full_disk_nothing_has_changed(
    home: Home, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("no space left")

    file = {"accessories": [*SENSORS, cellar(), dimmer(bridge.board.port)]}
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_save", fail)
        bridge.write(file["accessories"], name="House")
        with pytest.raises(LinkError, match="no space left"):
            await reload(bridge)
        assert len(await home.names()) == 4
    assert (await reload(bridge))["added"] == ["Cellar"]


async def test_a_port_that_leaves_no_room_for_the_others_leaves_them_where_they_are(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = free_ports(), free_port()
    options = Options(bridge.state, bind=(LOOPBACK,), config=bridge.file)
    bridge.write(SENSORS, port=first, maxAccessories=1)
    await bridge.start(options)
    monkeypatch.setattr("hk_bridge.accessory_server._LAST_PORT", last)
    bridge.write(SENSORS, port=last, maxAccessories=1)
    await reload(bridge)
    after = [each["port"] for each in (await status_of(bridge))["bridges"]]
    assert after == [last, first + 1]


async def test_the_program_that_ends_finishes_no_reload(
    home: Home, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()
    change = Bridges.change

    async def slowly(*arguments: Any) -> None:
        begun.set()
        await goes_on.wait()
        await change(*arguments)

    monkeypatch.setattr(Bridges, "change", slowly)
    bridge.write([SENSORS[0], cellar()])
    await begun.wait()
    ending = asyncio.create_task(bridge.stop())
    await asyncio.sleep(0)
    goes_on.set()
    await ending
    assert "Traceback" not in bridge.log.text
    assert not [record for record in bridge.log.records if record.exc_info]


async def test_a_lamp_that_blinks_when_its_entry_goes_is_put_back(
    home: Home, bridge: Bridge
) -> None:
    assert await home.write(CEILING, BRIGHTNESS, 40) == 0
    await until(lambda: len(bridge.board.frames) == 1)
    assert await home.write(CEILING, IDENTIFY, True) == 0  # a value
    await until(lambda: len(bridge.board.frames) == 2)
    bridge.write(SENSORS)
    await reload(bridge)
    await until(lambda: bridge.board.frames[-1][4] == 102)


async def status_of(bridge: Bridge) -> Json:
    return await ask(bridge.state, "GET", "/status")


# -- what is gone -------------------------------------------------------------------------


async def test_an_entry_that_is_gone_for_a_while_changes_nothing(
    home: Home, bridge: Bridge
) -> None:
    number, before = home.number, await home.names()
    assert await home.write(CEILING, BRIGHTNESS, 40) == 0
    bridge.write([SENSORS[1]])
    changes = await reload(bridge)
    assert set(changes["gone"]) == {"Room 1", "Ceiling Light", "Mirror Light"}
    gone = (ROOM_1_AID, TEMPERATURE), (ROOM_1_AID, HUMIDITY), (CEILING, ON)
    assert await home.read(*gone) == [NO_RESPONSE] * 3
    assert await home.write(CEILING, ON, False) == NO_RESPONSE  # a value
    assert await home.read((ROOM_2_AID, TEMPERATURE)) == [20.4]
    for name in changes["gone"]:
        assert f"{name} has no entry in accessories.json any more" in bridge.log.text
    assert "in 10 min" in bridge.log.text
    (leaving, *_) = (await ask(bridge.state, "GET", "/status"))["bridge"]["leaving"]
    assert 0 < leaving["seconds"] <= 600

    bridge.write([*SENSORS, dimmer(bridge.board.port)])
    assert set((await reload(bridge))["added"]) == set(changes["gone"])
    await until_async(lambda: _is(home.read(*gone), [20.4, 39.4, True]))
    assert await home.read((CEILING, BRIGHTNESS)) == [40]
    assert (home.number, await home.names()) == (number, before)


async def test_an_entry_that_stays_away_is_gone_from_home_after_a_while(
    home: Home, bridge: Bridge
) -> None:
    number, aids = home.number, bridge.identity.aids
    bridge.write([SENSORS[0], dimmer(bridge.board.port)], removeAfter=0.005)
    await reload(bridge)
    await until(lambda: home.number == number + 1)
    assert ROOM_2_AID not in await home.names()
    assert await home.read((ROOM_2_AID, TEMPERATURE)) == [-70409]
    assert bridge.identity.gone == {}
    assert "Room 2 has no entry any more, and is gone from Home now" in bridge.log.text
    # Its aid stays its own.
    bridge.write([*SENSORS, dimmer(bridge.board.port)])
    await reload(bridge)
    await until_async(lambda: _is(home.read((ROOM_2_AID, TEMPERATURE)), [20.4]))
    assert bridge.identity.aids == aids


async def test_an_entry_that_vanished_while_nothing_ran_stays_for_a_while_as_well(
    home: Home, bridge: Bridge
) -> None:
    number, names = home.number, await home.names()
    await bridge.stop()
    bridge.write([SENSORS[1]])
    await bridge.start()
    client = await raw.session(bridge.port, home.controller)
    again = Home(bridge, home.controller, client)
    assert (again.number, await again.names()) == (number, names)
    assert await again.read((ROOM_1_AID, TEMPERATURE)) == [NO_RESPONSE]
    client.close()
