"""One row: a fault comes over the running bridge, and goes again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from scripts.guest.bridge import Bridge, Visit
from scripts.guest.rows import FAULTS
from scripts.guest.world import World

#: Within that time after the end of a fault values have to be fresh again.
MOST_SECONDS: Final = 30.0

#: So much longer is waited for them, to see whether they come at all.
_PATIENCE: Final = 60.0

#: Within that time the bridge has to say what is wrong.
_NOTICE_SECONDS: Final = 30.0

#: What was on its way when the fault began may still be shown for that long.
_AFTERWARDS_SECONDS: Final = 2.0

#: A line for each thing that is wrong on the way down and up again, and no more.
_MOST_LINES: Final = 3

#: Said at each start here, and meant.
_NO_FAULT: Final = "only this machine can find the bridge"

_POLL_SECONDS: Final = 0.5


@dataclass
class Outcome:
    """What was seen: `problems` is empty where the row held."""

    problems: list[str] = field(default_factory=list)
    seconds: float | None = None
    lines: list[str] = field(default_factory=list)
    note: str = ""

    def expect(self, *, holds: bool, else_: str) -> None:
        """Note as a problem what `holds` not."""
        if not holds:
            self.problems.append(else_)


class FaultRow:
    """The fault `name` in one `mode`."""

    def __init__(self, world: World, name: str, mode: str) -> None:
        self._world = world
        self._fault = FAULTS[name]
        self._mode = mode
        self._outcome = Outcome()

    async def run(self) -> Outcome:
        """Run it. Raises OSError, EOFError, RuntimeError or ValueError where it cannot."""
        world, fault = self._world, self._fault
        await world.settle()
        if fault.at_start:
            await world.stop_bridge()
            await fault.begin(world)
            bridge = await world.new_bridge(self._mode, fault.adapter)
            visit, after = await bridge.visit(), 0
        else:
            bridge = await world.calm_bridge(self._mode, fault.adapter)
            visit, after = await bridge.visit(), bridge.said()
            await fault.begin(world)
        try:
            await self._last(bridge, after, time.monotonic())
            await self._recover(bridge)
            await self._look_back(bridge, visit, after)
        finally:
            visit.close()
        return self._outcome

    async def _last(self, bridge: Bridge, after: int, began: float) -> None:
        """Wait until the fault has lasted, and the bridge has said so."""
        fault = self._fault
        if fault.words is None:
            await asyncio.sleep(fault.seconds)
            return
        while not (is_told := any(map(fault.is_told_by, bridge.warnings(after)))):
            if time.monotonic() > began + _NOTICE_SECONDS:
                break
            await asyncio.sleep(_POLL_SECONDS)
        await asyncio.sleep(max(began + fault.seconds - time.monotonic(), 0.0))
        self._outcome.expect(holds=is_told, else_=f"no line like “{fault.words}”")
        status = await bridge.status()
        radio = status["radio"]
        self._outcome.expect(
            holds=not radio["isUp"] and fault.is_told_by(radio["text"]),
            else_=f"the status says meanwhile: {_radio(status)}",
        )
        self._outcome.expect(
            holds=await self._world.hears(bridge, began + _AFTERWARDS_SECONDS, 0.1) is None,
            else_="the fault was none: frames came all the time",
        )

    async def _recover(self, bridge: Bridge) -> None:
        """Take the cause away, and wait until the bridge hears again."""
        gone = time.monotonic()
        await self._fault.end(self._world)
        seconds = await self._world.hears(bridge, gone, MOST_SECONDS + _PATIENCE)
        self._outcome.seconds = seconds
        self._outcome.expect(
            holds=seconds is not None and seconds <= MOST_SECONDS,
            else_="deaf for good" if seconds is None else f"took {seconds:.0f} s",
        )
        # Of several scans the first can hear before all of them have begun.
        while not (await bridge.status())["radio"]["isUp"]:
            if time.monotonic() > gone + MOST_SECONDS:
                break
            await asyncio.sleep(_POLL_SECONDS)

    async def _look_back(self, bridge: Bridge, visit: Visit, after: int) -> None:
        """Whether nothing else has suffered, and how much was said."""
        status = await bridge.status()
        radio, expect = status["radio"], self._outcome.expect
        expect(
            holds=radio["isUp"] and radio["mode"] == self._mode,
            else_=f"the status says afterwards: {_radio(status)}",
        )
        expect(
            holds=self._fault.adapter in (None, radio["adapter"]),
            else_=f"listens on {radio['adapter']}",
        )
        expect(holds=bridge.is_running, else_="the bridge has ended")
        expect(holds=await visit.is_answered(), else_="HomeKit's connection was lost")
        (lamp,) = status["lamps"]
        expect(holds=lamp["isReachable"], else_="the lamp was lost")
        lines = [line for line in bridge.warnings(after) if _NO_FAULT not in line]
        self._outcome.lines = lines
        repeated = [line for line, count in Counter(lines).items() if count > 1]
        expect(holds=not repeated, else_="said the same twice")
        expect(holds=len(lines) <= _MOST_LINES, else_="said too much")


def _radio(status: dict[str, Any]) -> str:
    radio = status["radio"]
    state = "up" if radio["isUp"] else "down"
    return f"{state}, {radio['mode'] or 'no mode'}, {radio['text']}"
