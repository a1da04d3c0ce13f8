"""Bluetooth fails and comes back under a paired bridge: nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from aiohomekit.controller.ip import IpController

from hk_bridge import supervision
from hk_bridge.links import scans
from hk_bridge.web import client
from tests.e2e.conftest import (
    PATIENCE,
    ROOM_1,
    SENSORS,
    Bridge,
    dimmer,
    events,
    pair,
    until,
)
from tests.e2e.test_bridge import ON, TEMPERATURE
from tests.fakes.bluez import FakeBluez, PrivateBus
from tests.fakes.board import BoardEmulator

FE95: Final = 0xFE95
ROOM, CEILING = 2, 3


def frame(tenths: int) -> bytes:
    """A temperature of so many tenths of a degree, in a frame of a counter of its own."""
    head = bytes.fromhex(f"5020aa01{tenths % 256:02x}65aed0a8644c041002")
    return head + tenths.to_bytes(2, "little", signed=True)


class House:
    """What fails, and comes back."""

    def __init__(self, bus: PrivateBus, bluez: FakeBluez) -> None:
        self.bus = bus
        self.bluez = bluez

    async def switch_off(self) -> None:
        self.bluez.power(on=False)

    async def switch_on(self) -> None:
        self.bluez.power(on=True)

    async def unplug(self) -> None:
        self.bluez.unplug()

    async def plug(self) -> None:
        self.bluez.plug()

    async def terminate(self) -> None:
        await self.bluez.terminate()

    async def kill(self) -> None:
        await self.bluez.kill()

    async def start(self) -> None:
        await self.bluez.start()

    async def stop_dbus(self) -> None:
        self.bus.stop()
        await self.bluez.kill()

    async def start_dbus(self) -> None:
        self.bus.start()
        await self.bluez.start()


Step = Callable[[House], Awaitable[None]]

#: What is done to the radio, what mends it, and of what the log speaks.
FAULTS: Final[list[tuple[Step, Step, str]]] = [
    (House.switch_off, House.switch_on, "is switched off"),
    (House.unplug, House.plug, "no Bluetooth adapter"),
    (House.terminate, House.start, "the Bluetooth service does not run"),
    (House.kill, House.start, "the Bluetooth service does not run"),
    (House.stop_dbus, House.start_dbus, "there is no D-Bus"),
]


@pytest.fixture
async def bridge(
    tmp_path: Path,
    board: BoardEmulator,
    bus: PrivateBus,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[Bridge]:
    """A bridge with a sensor and a dimmer, real bleak, and a bus of its own."""
    monkeypatch.setattr(supervision, "_FIRST_DELAY", 0.01)
    monkeypatch.setattr(supervision, "_LONGEST_DELAY", 0.05)
    monkeypatch.setattr(supervision, "_ENDING_SECONDS", 0.02)
    monkeypatch.setattr(scans, "_STOP_SECONDS", 0.3)
    monkeypatch.setattr(scans.RefusedError, "pause", 0.01)
    running = Bridge(tmp_path, board)
    running.log = caplog
    caplog.set_level("INFO", "hk_bridge")
    running.write([SENSORS[0], dimmer(board.port)])
    yield running
    await running.stop()


def _has_frames(board: BoardEmulator, number: int) -> bool:
    return len(board.frames) == number


async def test_neither_home_nor_the_lamps_notice_what_befalls_bluetooth(
    bridge: Bridge, bus: PrivateBus, bluez: FakeBluez, controller: IpController
) -> None:
    house = House(bus, bluez)
    bluez.plug()
    await bluez.start()
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    told = events(pairing)
    await pairing.subscribe([(ROOM, TEMPERATURE)])
    connection = pairing.connection.protocol
    assert connection is not None
    tenths = 200

    async def a_new_value_reaches_home() -> None:
        nonlocal tenths
        tenths += 1

        def is_told() -> bool:
            bluez.advertise(ROOM_1, {FE95: frame(tenths)})
            return told.get((ROOM, TEMPERATURE)) == tenths / 10

        await until(is_told)

    await a_new_value_reaches_home()

    async def radio() -> str:
        status = await client.ask(bridge.state, "GET", "/status")
        return str(status["radio"]["text"])

    for number, (breaks, mends, words) in enumerate(FAULTS, start=1):
        await breaks(house)
        async with asyncio.timeout(PATIENCE):
            while words not in await radio():
                pass
        # The last value is still good, and the lamps have nothing to do with it.
        answer = await pairing.get_characteristics([(ROOM, TEMPERATURE)])
        assert answer[ROOM, TEMPERATURE]["value"] == tenths / 10
        is_on = number % 2 == 1
        assert not await pairing.put_characteristics([(CEILING, ON, is_on)])
        await until(partial(_has_frames, bridge.board, number))
        assert bool(bridge.board.levels[1]) is is_on
        await mends(house)
        await a_new_value_reaches_home()
    assert pairing.connection.protocol is connection
    said = [message for message in bridge.log.messages if "Trying again" in message]
    assert len(said) <= len(FAULTS) + 1  # D-Bus comes without BlueZ at first
    await bluez.kill()


async def test_a_bridge_ends_in_time_while_bluetooth_hangs(
    bridge: Bridge, bluez: FakeBluez
) -> None:
    bluez.plug()
    await bluez.start()
    await bridge.start()
    await bluez.until(lambda: bluez.is_scanned)
    bluez.hang()
    async with asyncio.timeout(10.0):
        await bridge.stop()
