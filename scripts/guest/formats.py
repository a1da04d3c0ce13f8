"""Whether a frame of every format is heard, and understood by the whole program."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from scripts.guest.delivery import listener
from scripts.guest.faults import Outcome
from scripts.guest.frames import Frame, broadcast, load
from scripts.guest.others import scan_once
from scripts.guest.world import World

#: An active scan that is begun anew misses one or two; the next round repeats them.
_TIMES: Final = 5
_ROUNDS: Final = 3

_GRACE_SECONDS: Final = 2.0

#: What makes a sensor in the eyes of `scan`.
_CLIMATE: Final = frozenset({"temperature", "humidity", "moisture"})

#: An address, and UUID and service data in hex.
Heard = tuple[str, str, str]


async def hear_formats(world: World, mode: str) -> Outcome:
    """Have each frame heard by the bridge's radio, and found by `scan`."""
    outcome = Outcome()
    frames = load()
    await world.stop_bridge()
    await _forget(world)
    heard = await _listen(world, mode, frames)
    lost = [each for each in frames if _sent(each) not in heard]
    named = ", ".join(f"{each.address} {each.uuid}" for each in lost)
    outcome.expect(holds=not lost, else_=f"not heard: {named}")
    outcome.expect(holds=bool(frames), else_="nothing was sent")

    await _forget(world)
    wanted = {
        each.address: each for each in reversed(frames) if _CLIMATE & set(each.expect)
    }
    found = {row["address"]: row for row in await _scan(world, mode, list(wanted.values()))}
    for address, frame in wanted.items():
        row = found.get(address, {})
        said = {key: row.get(key) for key in frame.expect}
        outcome.expect(holds=said == frame.expect, else_=f"scan: {address} says {said}")
    outcome.note = (
        f"{len(frames) - len(lost)} of {len(frames)} frames, {len(found)} sensors"
    )
    return outcome


async def _forget(world: World) -> None:
    """Have bluetoothd start anew: it keeps what devices have said."""
    await world.settle()
    await world.bluez.terminate()
    await world.bluez.start()
    await world.bluez.wait_for("hci0")


async def _listen(world: World, mode: str, frames: list[Frame]) -> set[Heard]:
    heard: set[Heard] = set()
    addresses = {frame.address for frame in frames}
    async with listener(world, mode, addresses, "--by-flags") as lines:
        reading = asyncio.create_task(_read(lines, heard))
        for _ in range(_ROUNDS):
            await broadcast(frames, world.adapters, _TIMES)
        await asyncio.sleep(_GRACE_SECONDS)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return heard


async def _read(lines: asyncio.StreamReader, heard: set[Heard]) -> None:
    while line := await lines.readline():
        _at, address, uuid, data = line.decode().split()
        heard.add((address, uuid, data))


def _sent(frame: Frame) -> Heard:
    return frame.address, frame.uuid, frame.service_data.hex()


async def _scan(world: World, mode: str, frames: list[Frame]) -> list[dict[str, Any]]:
    """What `hk-bridge scan` finds with the bind keys in its configuration."""
    with TemporaryDirectory() as directory:
        config = Path(directory) / "accessories.json"
        config.write_text(json.dumps(_config(mode, frames)))
        sending = asyncio.create_task(_go_on(world, frames))
        try:
            return await scan_once(config)
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending


async def _go_on(world: World, frames: list[Frame]) -> None:
    while True:
        await broadcast(frames, world.adapters, times=1)


def _config(mode: str, frames: list[Frame]) -> dict[str, Any]:
    sensors = [
        {
            "accessory": "Hygrothermograph",
            "name": f"Room {number}",
            "address": frame.address,
            **({"bindKey": key} if (key := frame.entry["bindkey"]) else {}),
        }
        for number, frame in enumerate(frames)
    ]
    return {"bluetooth": {"mode": mode}, "accessories": sensors}
