"""The pairing of a running bridge is reset: everything else goes on."""

from __future__ import annotations

import asyncio

import pytest
from aiohomekit.controller.ip import IpController

from hk_bridge.errors import LinkError
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.web import client
from tests.e2e.conftest import ROOM_1, Bridge, events, pair, until, until_async
from tests.e2e.test_bridge import CLIMATE, ON, TEMPERATURE, WARMER
from tests.fakes.faults import FaultyOs, failing

ROOM, CEILING = 2, 4


async def test_a_reset_bridge_is_paired_anew_and_its_devices_notice_nothing(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    before = bridge.identity
    first = await pair(controller, before)
    assert not await first.put_characteristics([(CEILING, ON, True)])
    await bridge.hear(ROOM_1, CLIMATE)
    status = await client.ask(bridge.state, "GET", "/status")
    (known,) = status["bridge"]["controllers"]
    assert (known["isAdmin"], known["connections"]) == (True, 1)

    answer = await client.ask(bridge.state, "POST", "/pairing/reset")
    assert answer == {"controllers": 1}
    # The one that was paired is hung up on, and nobody any more.
    await until(lambda: first.connection.protocol is None)
    status = await client.ask(bridge.state, "GET", "/status")
    assert status["bridge"]["controllers"] == []
    after = bridge.identity
    assert after.device_id != before.device_id
    assert after.private_key != before.private_key
    assert (after.setup_code, after.setup_id) == (before.setup_code, before.setup_id)
    assert after.aids == before.aids

    # It is found by its new id, with the code that somebody has printed.
    second = await pair(controller, after)
    values = await second.get_characteristics([(ROOM, TEMPERATURE), (CEILING, ON)])
    assert values[ROOM, TEMPERATURE]["value"] == 20.4
    assert values[CEILING, ON]["value"] == 1
    told = events(second)
    await second.subscribe([(ROOM, TEMPERATURE)])
    await bridge.hear(ROOM_1, WARMER)
    await until(lambda: told.get((ROOM, TEMPERATURE)) == 20.5)
    assert not await second.put_characteristics([(CEILING, ON, False)])
    await until(lambda: bridge.board.levels[1] == 0)
    assert bridge.log.text.count("serial port") == 1  # it has been opened once


async def test_one_reset_after_the_other(bridge: Bridge, controller: IpController) -> None:
    await bridge.start()
    asks = [client.ask(bridge.state, "POST", "/pairing/reset") for _ in range(3)]
    assert await asyncio.gather(*asks) == [{"controllers": 0}] * 3

    async def is_paired() -> bool:
        return bool(await pair(controller, bridge.identity))

    await until_async(is_paired)


async def test_a_reset_that_cannot_be_kept_changes_nothing(
    bridge: Bridge, controller: IpController, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    before = bridge.identity
    with monkeypatch.context() as full:
        faulty = FaultyOs(fsync=failing(lambda _: None))
        full.setattr("hk_bridge.files.os", faulty)
        with pytest.raises(LinkError, match="No space left on device"):
            await client.ask(bridge.state, "POST", "/pairing/reset")
    assert bridge.identity == before
    assert not await pairing.put_characteristics([(CEILING, ON, True)])


async def test_a_port_that_cannot_be_had_again_is_tried_until_it_can(
    bridge: Bridge, controller: IpController, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hk_bridge.accessory_server._RETRY_SECONDS", 0.05)
    await bridge.start()
    await pair(controller, bridge.identity)
    listen = BridgeDriver.listen
    refused = LinkError("port 1 is in use by another program")

    async def cannot(_driver: BridgeDriver, _port: int) -> None:
        raise refused

    monkeypatch.setattr(BridgeDriver, "listen", cannot)
    with pytest.raises(LinkError, match="is forgotten, but Home cannot reach HK Bridge"):
        await client.ask(bridge.state, "POST", "/pairing/reset")
    status = await client.ask(bridge.state, "GET", "/status")
    assert status["bridge"]["isListening"] is False
    await until(lambda: "Home cannot reach HK Bridge: port 1" in bridge.log.text)
    monkeypatch.setattr(BridgeDriver, "listen", listen)
    await pair(controller, bridge.identity)
    status = await client.ask(bridge.state, "GET", "/status")
    assert status["bridge"]["isListening"] is True
