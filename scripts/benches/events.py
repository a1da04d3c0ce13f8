"""From a PUT of one connection until another one is told."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohomekit.controller.ip import IpPairing

from scripts.benches.home import Home, Place
from scripts.benches.pace import GIVE_UP_SECONDS, median, percentile
from scripts.benches.servers import Server, bare, simulated

Row = tuple[str, str, str]

#: Changes per characteristic: as many as fit into the seconds, though not more.
_SECONDS = 6.0
_MOST = 100

#: Between changes, so that each of them is news of its own.
_PAUSE_SECONDS = 0.02


def bench_events(say: Callable[[str], None]) -> list[Row]:
    """On and Brightness, here and in bare HAP-python."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = asyncio.run(_latencies(simulated(folder / "ours"), say))
        theirs = asyncio.run(_latencies(bare(folder / "bare"), say))
    rows = []
    for what in ours:
        rows.append((f"PUT to event of another, {what}", ours[what], "≤ 20 ms"))
        rows.append(("  bare HAP-python", theirs[what], ""))
    return rows


async def _latencies(server: Server, say: Callable[[str], None]) -> dict[str, str]:
    with server:
        home = await Home.pair(server.port)
        # Two connections of one controller: events are a matter of connections.
        writer, listener = home.connection(), home.connection()
        try:
            lamp = {home.on, home.brightness}
            await listener.subscribe(lamp)  # type: ignore[no-untyped-call] # has no types
            told: asyncio.Queue[dict[Place, Any]] = asyncio.Queue()
            listener.dispatcher_connect(told.put_nowait)
            # From off to on, a lamp says both.
            await writer.put_characteristics([(*home.on, True), (*home.brightness, 50)])
            await asyncio.sleep(1)
            results = {}
            for what, place, values in (
                ("On", home.on, (False, True)),
                ("Brightness", home.brightness, (20, 80)),
            ):
                say(f"{server.name}, {what}")
                results[what] = await _latency(writer, told, place, values)
            return results
        finally:
            await writer.close()
            await listener.close()


async def _latency(
    writer: IpPairing,
    told: asyncio.Queue[dict[Place, Any]],
    place: Place,
    values: tuple[Any, Any],
) -> str:
    loop = asyncio.get_running_loop()
    taken: list[float] = []
    end = loop.time() + _SECONDS
    while loop.time() < end and len(taken) < _MOST:
        value = values[len(taken) % 2]
        while not told.empty():
            told.get_nowait()
        begin = loop.time()
        await writer.put_characteristics([(*place, value)])
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while (await told.get()).get(place, {}).get("value") != value:
                    pass
        except TimeoutError:
            return f"none within {GIVE_UP_SECONDS:.0f} s"
        taken.append((loop.time() - begin) * 1000)
        await asyncio.sleep(_PAUSE_SECONDS)
    return f"{median(taken):.1f} ms, p99 {percentile(taken, 99):.1f} ms, n = {len(taken)}"
