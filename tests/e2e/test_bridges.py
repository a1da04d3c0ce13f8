"""A house with more accessories than a bridge holds: further bridges, each paired once."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from aiohomekit.controller.ip import IpController

from hk_bridge.errors import LinkError
from hk_bridge.homekit.identity import Identity
from hk_bridge.homekit.store import Store
from hk_bridge.web.client import ask
from tests.e2e.conftest import (
    LOOPBACK,
    ROOM_1,
    SENSORS,
    Bridge,
    dimmer,
    pair,
    until,
    until_async,
)
from tests.e2e.door import client as raw
from tests.e2e.door.characteristics import at
from tests.e2e.test_bridge import NAME, database
from tests.fakes.ports import free_ports

Json = dict[str, Any]

CLIMATE = "5020aa01be65aed0a8644c0d1004cc008a01"


def sensor(number: int) -> Json:
    return {
        "accessory": "Hygrothermograph",
        "name": f"More {number}",
        "address": f"58:2D:34:00:00:{number:02X}",
    }


def identities(bridge: Bridge) -> tuple[Identity, ...]:
    return Store.open(bridge.state).bridges


async def start(bridge: Bridge, *more: Json, most: int = 2, **settings: Any) -> None:
    """The two sensors and two lamps, and more, with so many on a bridge."""
    if not bridge.state.exists():
        bridge.port = free_ports()
    accessories = [*SENSORS, dimmer(bridge.board.port), *more]
    bridge.write(accessories, maxAccessories=most, **settings)
    await bridge.start()


async def ports(bridge: Bridge) -> list[int]:
    status = await ask(bridge.state, "GET", "/status")
    assert status["bridge"] == status["bridges"][0]
    return [each["port"] for each in status["bridges"]]


async def names(client: raw.Client) -> list[str]:
    listed = database((await client.get("/accessories")).json["accessories"])
    return [each["value"] for (_, iid), each in listed.items() if iid == NAME]


async def test_each_bridge_is_found_and_paired_by_its_own_code(
    bridge: Bridge, controller: IpController
) -> None:
    await start(bridge)
    first, second = identities(bridge)
    for identity, expected in (
        (first, ["HK Bridge", "Room 1", "Room 2"]),
        (second, ["HK Bridge 2", "Ceiling Light", "Mirror Light"]),
    ):
        pairing = await pair(controller, identity)
        listed = database(await pairing.list_accessories_and_characteristics())
        assert [
            each["value"] for (_, iid), each in listed.items() if iid == NAME
        ] == expected
    for own in ("device_id", "private_key", "setup_code", "setup_id"):
        assert getattr(first, own) != getattr(second, own)
    assert await ports(bridge) == [bridge.port, bridge.port + 1]


async def test_the_code_of_one_bridge_does_not_open_another(bridge: Bridge) -> None:
    await start(bridge)
    first, _ = identities(bridge)
    with pytest.raises(AssertionError):
        await raw.pair(bridge.port + 1, first.setup_code)


async def test_a_value_reaches_the_bridge_that_its_sensor_is_on(bridge: Bridge) -> None:
    await start(bridge, sensor(1), most=1)
    numbers = {name: n for n, each in enumerate(identities(bridge)) for name in each.aids}
    number = numbers["sensor:58:2D:34:00:00:01"]
    code = identities(bridge)[number].setup_code
    port = bridge.port + number
    client = await raw.session(port, await raw.pair(port, code))
    await bridge.hear("58:2D:34:00:00:01", "5020aa01be010000342d580d1004cc008a01")

    async def heard() -> bool:
        answer = await client.get(at([(2, 33)]))
        return bool(answer.json["characteristics"][0].get("value") == 20.4)

    await until_async(heard)
    client.close()


async def test_a_further_bridge_opens_by_itself_while_the_first_goes_on(
    bridge: Bridge, controller: IpController
) -> None:
    await start(bridge, most=4)
    (first,) = identities(bridge)
    client = await raw.session(bridge.port, await raw.pair(bridge.port, first.setup_code))
    bridge.write([*SENSORS, dimmer(bridge.board.port), sensor(1)], maxAccessories=4)
    await until(lambda: len(identities(bridge)) == 2)
    _, second = identities(bridge)
    pairing = await pair(controller, second)
    listed = database(await pairing.list_accessories_and_characteristics())
    assert listed[2, NAME]["value"] == "More 1"
    assert await names(client) == [
        *("HK Bridge", "Room 1", "Room 2", "Ceiling Light", "Mirror Light")
    ]
    assert "HK Bridge 2 is new: add it to Home as well" in bridge.log.text
    assert second.setup_code not in bridge.log.text
    client.close()


async def test_what_is_removed_moves_nobody_and_finds_its_place_again(
    bridge: Bridge,
) -> None:
    await start(bridge, sensor(1), sensor(2), most=2, removeAfter=0)
    before = [dict(each.aids) for each in identities(bridge)]
    assert [len(each) for each in before] == [2, 2, 2]
    for accessories in (
        [SENSORS[1], sensor(2)],
        [dimmer(bridge.board.port), sensor(2)],
        [sensor(2), *SENSORS, sensor(1), dimmer(bridge.board.port)],
    ):
        bridge.write(accessories, maxAccessories=2, removeAfter=0)
        await ask(bridge.state, "POST", "/reload")
        assert [dict(each.aids) for each in identities(bridge)] == before
    await bridge.stop()
    bridge.write([sensor(2), SENSORS[0]], maxAccessories=2, removeAfter=0)
    await bridge.start()
    assert [dict(each.aids) for each in identities(bridge)] == before


async def test_a_port_that_is_taken_is_passed_over(bridge: Bridge) -> None:
    bridge.port = free_ports()
    bridge.state.mkdir()
    with socket.create_server((LOOPBACK, bridge.port + 1)):
        await start(bridge, sensor(1), sensor(2))
        first, third, fourth = await ports(bridge)
    assert first == bridge.port
    assert bridge.port + 1 < third < fourth


async def test_one_bridge_is_reset_without_the_others(bridge: Bridge) -> None:
    await start(bridge)
    controllers = [
        await raw.pair(bridge.port + number, each.setup_code)
        for number, each in enumerate(identities(bridge))
    ]
    before = identities(bridge)
    reset = await ask(bridge.state, "POST", "/pairing/reset", {"bridge": 1})
    assert reset == {"controllers": 1}
    first, second = identities(bridge)
    assert first.pairings == before[0].pairings
    assert (second.pairings, second.setup_code) == ((), before[1].setup_code)
    (await raw.session(bridge.port, controllers[0])).close()
    await raw.pair(bridge.port + 1, second.setup_code)
    assert await ask(bridge.state, "POST", "/pairing/reset") == {"controllers": 2}
    with pytest.raises(LinkError, match="there is no bridge 3"):
        await ask(bridge.state, "POST", "/pairing/reset", {"bridge": 2})


async def test_a_bridge_without_a_port_is_said_and_ends_nothing(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hk_bridge.network_watch._LOOK_SECONDS", 0.02)
    bridge.port = free_ports()
    bridge.state.mkdir()
    monkeypatch.setattr("hk_bridge.accessory_server._LAST_PORT", bridge.port)
    await start(bridge)
    assert f"there is no port behind {bridge.port} for HK Bridge 2" in bridge.log.text
    words = f"HK Bridge 2 cannot be reached at port {bridge.port + 1}"
    await until(lambda: words in bridge.log.text)
    status = await ask(bridge.state, "GET", "/status")
    assert [each["isListening"] for each in status["bridges"]] == [True, False]
    await bridge.hear(ROOM_1, CLIMATE)


async def test_bridges_keep_their_numbers_when_one_of_them_is_not_needed(
    bridge: Bridge,
) -> None:
    await start(bridge, sensor(1), most=2, removeAfter=0)
    await bridge.stop()
    second_lamp = dimmer(bridge.board.port)
    del second_lamp["channels"][0]
    bridge.write([*SENSORS, second_lamp], maxAccessories=2, removeAfter=0)
    await bridge.start()
    await until(lambda: not identities(bridge)[1].shown.keys() - {"bridge"})
    await bridge.stop()
    await bridge.start()
    status = await ask(bridge.state, "GET", "/status")
    assert [(each["number"], each["name"]) for each in status["bridges"]] == [
        (1, "HK Bridge"),
        (3, "HK Bridge 3"),
    ]
    reset = await ask(bridge.state, "POST", "/pairing/reset", {"bridge": 2})
    assert reset == {"controllers": 0}


async def test_the_time_without_an_entry_goes_on_at_the_next_start(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start(bridge)
    bridge.write([SENSORS[0]], maxAccessories=2)
    await ask(bridge.state, "POST", "/reload")
    now = time.monotonic()
    monkeypatch.setattr("hk_bridge.accessory_server.time.monotonic", lambda: now + 100)
    await bridge.stop()
    gone = [age for identity in identities(bridge) for age in identity.gone.values()]
    assert len(gone) == 3
    assert all(100 <= age < 160 for age in gone)


async def test_a_bridge_that_holds_nothing_any_more_stays_while_somebody_has_it(
    bridge: Bridge,
) -> None:
    await start(bridge, removeAfter=0)
    _, second = identities(bridge)
    await raw.pair(bridge.port + 1, second.setup_code)
    await bridge.stop()
    bridge.write(SENSORS, maxAccessories=2, removeAfter=0)
    await bridge.start()
    await until(lambda: not identities(bridge)[1].gone)
    await bridge.stop()
    await bridge.start()
    assert await ports(bridge) == [bridge.port, bridge.port + 1]
    await ask(bridge.state, "POST", "/pairing/reset", {"bridge": 1})
    await bridge.stop()
    await bridge.start()
    assert await ports(bridge) == [bridge.port]
