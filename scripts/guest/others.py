"""The rows that are no faults of the stack: the fallback, and scans beside the bridge."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

from scripts.guest.bridge import Bridge
from scripts.guest.faults import MOST_SECONDS, Outcome
from scripts.guest.rows import AUTO
from scripts.guest.world import World

_PATIENCE: Final = 60.0
_POLL_SECONDS: Final = 0.5

#: How the bridge says what it costs, and what to type.
_HINT: Final = re.compile(r"battery; for a passive one.* type: sudo")

_SCANS: Final = 2
_SCAN_SECONDS: Final = "15"
_SCAN_LIMIT: Final = 90.0


async def fall_back(world: World, _mode: str) -> Outcome:
    """A bluetoothd that scans actively only, and later one that does both."""
    outcome = Outcome()
    await world.stop_bridge()
    await world.settle()
    await world.bluez.terminate()
    await world.bluez.start(is_experimental=False)
    await world.bluez.wait_for("hci0")
    bridge = await world.new_bridge(AUTO, None)
    heard = await world.hears(bridge, time.monotonic(), _PATIENCE)
    outcome.expect(holds=heard is not None, else_="no frames without --experimental")
    radio = (await bridge.status())["radio"]
    outcome.expect(holds=radio["mode"] == "active", else_=f"mode is {radio['mode']}")
    hints = _HINT.findall(bridge.lines(0))
    outcome.expect(holds=len(hints) == 1, else_=f"how to be passive: {len(hints)} lines")
    after = bridge.said()

    await world.bluez.terminate()
    gone = time.monotonic()
    await world.bluez.start()
    while (radio := (await bridge.status())["radio"])["mode"] != "passive":
        if time.monotonic() - gone > MOST_SECONDS + _PATIENCE:
            break
        await asyncio.sleep(_POLL_SECONDS)
    outcome.expect(holds=radio["mode"] == "passive", else_="stays active for good")
    if await world.hears(bridge, time.monotonic(), _PATIENCE) is not None:
        outcome.seconds = time.monotonic() - gone
    outcome.expect(
        holds=outcome.seconds is not None and outcome.seconds <= MOST_SECONDS,
        else_="did not become passive in time",
    )
    outcome.lines = bridge.warnings(after)
    return outcome


async def scan(world: World, mode: str) -> Outcome:
    """Two scans at once find both sensors, and the bridge goes on hearing its own."""
    outcome = Outcome()
    await world.settle()
    bridge = await world.calm_bridge(mode, None)
    after, other = bridge.said(), world.air.sensors[1].address
    began = time.monotonic()
    scans = [asyncio.create_task(_scan(bridge)) for _ in range(_SCANS)]
    deaf = 0.0
    while not all(scan.done() for scan in scans):
        heard = await world.hears(bridge, time.monotonic(), _PATIENCE)
        deaf = max(deaf, _PATIENCE if heard is None else heard)
    expected = {bridge.sensor: Bridge.SENSOR_NAME, other: None}
    for found in await asyncio.gather(*scans):
        outcome.expect(holds=found == expected, else_=f"a scan found {found}")
    outcome.expect(holds=deaf <= MOST_SECONDS, else_="the bridge was deaf meanwhile")
    outcome.note = f"{time.monotonic() - began:.0f} s; longest silence {deaf:.1f} s"
    outcome.lines = bridge.warnings(after)
    outcome.expect(holds=not outcome.lines, else_="the bridge complained")
    return outcome


async def _scan(bridge: Bridge) -> dict[str, str | None]:
    """What one scan finds: addresses, and what they are called in the configuration."""
    rows = await scan_once(bridge.config)
    return {row["address"]: row["configuredAs"] for row in rows}


async def scan_once(config: Path) -> list[dict[str, Any]]:
    """What `hk-bridge scan` finds with this configuration.

    Raises RuntimeError with what it says where it fails.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hk_bridge", "scan", "--json", "--seconds", _SCAN_SECONDS,
        "--config", config, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_SCAN_LIMIT):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"scan: exit code {process.returncode}: {errors.decode()}")
    return [json.loads(line) for line in output.decode().splitlines()]
