"""A real controller on another host stays with the bridge wherever it goes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.network.conftest import HOUSE_WIFI, NAME, VISITOR_WIFI, Home
from tests.network.programs import PATIENCE, Program

CONTROLLER = str(Path(__file__).with_name("controller.py"))


async def paired(home: Home) -> Program:
    identity = home.bridge.identities[0]
    controller = await home.visitor.start(
        sys.executable, CONTROLLER, identity.device_id, identity.setup_code
    )
    await controller.says("paired")
    await reads(controller)
    return controller


async def reads(controller: Program) -> str:
    """What it says when it has read from the bridge once."""
    said = len(controller.lines)
    await controller.hear("read")
    return await controller.says("read", NAME, after=said)


async def reads_at(controller: Program, address: str) -> None:
    """Have it read until it has reached the bridge at `address`."""
    # It gives an answer up after 30 s, and connects anew only then.
    async with asyncio.timeout(2 * PATIENCE):
        said = len(controller.lines)
        while not any(line.endswith(address) for line in controller.lines[said:]):
            before = len(controller.lines)
            await controller.hear("read")
            await controller.says("", after=before, within=2 * PATIENCE)


async def test_a_controller_stays_connected_while_other_addresses_change(
    home: Home,
) -> None:
    await home.wire()
    await home.visitor.plug(home.wifi, "wlan0", *VISITOR_WIFI)
    await home.bridge.start()
    controller = await paired(home)
    before = await reads(controller)
    await home.house.plug(home.wifi, "wlan0", *HOUSE_WIFI)
    await home.bridge.program.says("10.88.0.2")
    assert await reads(controller) == before
    said = len(home.bridge.program.lines)
    await home.house.do("ip", "link", "del", "wlan0")
    await home.bridge.program.says("10.88.0.2", after=said)
    assert await reads(controller) == before


async def test_a_controller_finds_the_bridge_again_at_its_new_address(home: Home) -> None:
    await home.wire(("10.77.0.2/24",), ("10.77.0.3/24",))
    await home.bridge.start()
    await home.visitor.give_up_soon()
    controller = await paired(home)
    await home.house.do("ip", "address", "del", "10.77.0.2/24", "dev", "eth0")
    await home.house.do("ip", "address", "add", "10.77.0.9/24", "dev", "eth0")
    await home.found("10.77.0.9")
    await reads_at(controller, "10.77.0.9")
