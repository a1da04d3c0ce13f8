"""Everything in the guest: daemons, adapters, sensors, and the bridge among them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from scripts.guest.air import Air, Sensor
from scripts.guest.bridge import Bridge
from scripts.guest.emulated_adapter import EmulatedAdapter
from scripts.guest.system import BlueZ, Bus, rfkill

_STATES: Final = Path("/tmp")

#: Of two sensors the bridge knows the first.
_SENSORS: Final = 2
_PERIOD: Final = 0.5
_REPEAT: Final = 0.25

#: What goes on and off all the time is not told each time. After this it is news.
_CALM_SECONDS: Final = 11.0
_PATIENCE: Final = 60.0
_POLL_SECONDS: Final = 0.5


class World:
    """The daemons run, hci0 is plugged in and on, hci1 is not there, and sensors speak.

    `logs` is where all of them write, and `sensors` how many there are.
    """

    def __init__(self, logs: Path, sensors: int = _SENSORS) -> None:
        self.logs = logs
        self.bus = Bus(logs / "dbus-daemon.log")
        self.bluez = BlueZ(logs / "bluetoothd.log")
        self.adapters = [EmulatedAdapter(f"00:1A:7D:DA:71:{n:02X}") for n in (0x10, 0x11)]
        self.air = Air(self.adapters, [Sensor(n) for n in range(sensors)], _PERIOD, _REPEAT)
        self._bridge: Bridge | None = None
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run everything but the bridge until the end of the block."""
        try:
            async with self.air.broadcasting():
                await self.settle()
                yield
        finally:
            await self.stop_bridge()
            for adapter in self.adapters:
                adapter.unplug()
            await self.bluez.terminate()
            await self.bus.terminate()

    async def settle(self) -> None:
        """Make good whatever the last row has left, and wait until it is."""
        rfkill(block=False)
        if not self.bus.is_running:
            await self.bluez.terminate()
            await self.bus.start()
        if not self.bluez.is_running:
            await self.bluez.start()
        self.adapters[1].unplug()
        if not self.adapters[0].is_plugged:
            self.adapters[0].plug()
        if await self.bluez.is_powered("hci0") is False:
            await self.bluez.power("hci0", on=True)
        await self.bluez.wait_for("hci0")

    @staticmethod
    def rfkill(*, block: bool) -> None:
        """Block or unblock all radios."""
        rfkill(block=block)

    async def calm_bridge(self, mode: str, adapter: str | None) -> Bridge:
        """The bridge that runs with this configuration, or a new one, once all is well.

        Raises RuntimeError where it hears nothing.
        """
        bridge = self._bridge
        if (
            bridge is None
            or not bridge.is_running
            or (bridge.mode, bridge.adapter) != (mode, adapter)
        ):
            bridge = await self.new_bridge(mode, adapter)
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            radio = (await bridge.status())["radio"]
            is_calm = radio["isUp"] and radio["since"] >= _CALM_SECONDS
            if is_calm and await self.hears(bridge, time.monotonic(), _PATIENCE):
                return bridge
            await asyncio.sleep(_POLL_SECONDS)
        raise RuntimeError("the bridge hears nothing, with everything in place")

    async def new_bridge(self, mode: str, adapter: str | None) -> Bridge:
        """A new bridge with this configuration, in place of the one that runs."""
        await self.stop_bridge()
        number = next(self._numbers)
        bridge = Bridge(
            _STATES / f"bridge-{number}",
            self.logs / f"bridge-{number}.log",
            self.air.sensors[0].address,
            mode,
            adapter,
        )
        self._bridge = bridge
        await bridge.start()
        return bridge

    async def stop_bridge(self) -> None:
        """Stop the bridge, if one runs."""
        if self._bridge is not None:
            await self._bridge.stop()
            self._bridge = None

    async def hears(self, bridge: Bridge, since: float, seconds: float) -> float | None:
        """Wait until the bridge shows what its sensor first said after `since` (monotonic).

        Returns how many seconds after `since` that was, None where it is not within
        `seconds` from now.
        """

        def is_fresh(temperature: float) -> bool:
            sent = self.air.temperatures.get((bridge.sensor, temperature))
            return sent is not None and sent >= since

        heard = await bridge.shows(is_fresh, seconds)
        return None if heard is None else heard - since
