"""Another host has the bridge's name, and keeps it: it is the bridge that gives way."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.network.avahi import Service
from tests.network.conftest import NOT_VERIFIED, PORT, Home
from tests.network.programs import Program, until

NAMESAKE = str(Path(__file__).with_name("namesake.py"))
OTHER_ID = "11:22:33:44:55:66"
OTHER_PORT = 4711


async def claim(home: Home, name: str) -> Program:
    """Have the visitor announce an accessory of this name, whoever else has it."""
    namesake = await home.visitor.start(
        sys.executable, NAMESAKE, name, OTHER_ID, str(OTHER_PORT), "10.77.0.3"
    )
    await namesake.says("announced")
    return namesake


async def gives_way(home: Home, name: str) -> None:
    """Return once `name` is the other's alone, and the bridge has one of its own."""

    def is_settled(services: list[Service]) -> bool:
        of = {
            device_id: {
                (each.name, each.port)
                for each in services
                if each.txt.get("id") == device_id
            }
            for device_id in (home.bridge.id, OTHER_ID)
        }
        return of == {home.bridge.id: {(f"{name}-2", PORT)}, OTHER_ID: {(name, OTHER_PORT)}}

    # What was heard before is not asked for again, and may be of either.
    await home.visitor.forget()
    await until(home.visitor.browse, is_settled)
    assert await home.answers("10.77.0.2") == NOT_VERIFIED


async def test_a_name_that_another_keeps_from_before_the_start(home: Home) -> None:
    await home.wire()
    await home.bridge.start()
    name = (await home.found("10.77.0.2", "fd77::2"))[0].name
    await home.bridge.program.end()
    await claim(home, name)
    await home.bridge.start()
    await home.bridge.program.says("WARNING", f"{name}-2")
    await gives_way(home, name)


async def test_a_name_that_another_claims_while_it_runs(home: Home) -> None:
    await home.wire()
    await home.bridge.start()
    name = (await home.found("10.77.0.2", "fd77::2"))[0].name
    await claim(home, name)
    await home.bridge.program.says("WARNING", f"{name}-2")
    await gives_way(home, name)
