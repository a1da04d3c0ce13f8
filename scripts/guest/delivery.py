"""Whether every frame that was sent is heard, and how soon."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from statistics import median, quantiles
from typing import Final

from scripts.guest.air import Air, Sensor
from scripts.guest.faults import Outcome
from scripts.guest.world import World

_SENSORS: Final = 10
_PERIOD: Final = 1.0
_SECONDS: Final = 40.0

#: Each frame is sent some five times: a scan that is begun anew, as active ones are every
#: ten seconds, misses one or two.
_REPEAT: Final = 0.2

#: The last frames get that long to arrive.
_GRACE_SECONDS: Final = 3.0
_START_SECONDS: Final = 60.0

#: An address and its service data.
Frame = tuple[str, bytes]


async def deliver(world: World, mode: str) -> Outcome:
    """Count what the bridge's radio alone makes of ten busy sensors."""
    await world.stop_bridge()
    await world.settle()
    sensors = [Sensor(number) for number in range(0x100, 0x100 + _SENSORS)]
    air = Air(world.adapters, sensors, _PERIOD, _REPEAT)
    heard: dict[Frame, float] = {}
    addresses = [sensor.address for sensor in sensors]
    async with air.broadcasting(), listener(world, mode, addresses) as lines:
        reading = asyncio.create_task(_read(lines, heard))
        air.sent.clear()
        await asyncio.sleep(_SECONDS)
        air.is_frozen = True
        await asyncio.sleep(_GRACE_SECONDS)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return _count(air.sent, heard)


def _count(sent: dict[Frame, float], heard: dict[Frame, float]) -> Outcome:
    delays = [heard[frame] - at for frame, at in sent.items() if frame in heard]
    outcome = Outcome()
    outcome.note = f"{len(delays)} of {len(sent)} frames"
    if len(delays) > 1:
        most = quantiles(delays, n=20)[-1]
        outcome.note += f", median {1e3 * median(delays):.0f} ms, p95 {1e3 * most:.0f} ms"
    outcome.expect(holds=len(delays) == len(sent), else_="frames were lost")
    outcome.expect(holds=bool(sent), else_="nothing was sent")
    return outcome


@asynccontextmanager
async def listener(
    world: World, mode: str, addresses: Iterable[str], *options: str
) -> AsyncIterator[asyncio.StreamReader]:
    """A process that listens in `mode`; what it prints. Raises RuntimeError."""
    with (world.logs / f"listener-{mode}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scripts.guest.listener", mode, *options, *addresses,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_SECONDS):
            while line := await process.stdout.readline():
                if line.decode().split() == ["up", mode]:
                    break
            else:
                raise RuntimeError(f"the radio does not listen in mode {mode}")
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _read(lines: asyncio.StreamReader, heard: dict[Frame, float]) -> None:
    while line := await lines.readline():
        at, address, _uuid, data = line.decode().split()
        heard.setdefault((address, bytes.fromhex(data)), float(at))
