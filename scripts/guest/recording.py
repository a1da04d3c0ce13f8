"""What runs in the guest to record captures: see scripts/guest/record.py.

python -m scripts.guest.recording DIRECTORY
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

from scripts.guest.delivery import listener
from scripts.guest.frames import broadcast, load
from scripts.guest.world import World

#: How often each frame is sent.
_TIMES: Final = 2

#: The programs need that long until they listen, and until they have written all.
_PAUSE: Final = 2.0
_END_SECONDS: Final = 10.0


async def record(results: Path) -> None:
    """Broadcast all frames while two programs write down what the adapter hears."""
    frames = load()
    logs = results / "logs"
    logs.mkdir()
    world = World(logs, sensors=0)
    async with (
        world.running(),
        listener(world, "passive", {frame.address for frame in frames}),
    ):
        recorders = [
            await _start(results / "btmon.txt", "btmon", "-w", results / "capture.btsnoop"),
            await _start(results / "hcidump.txt", "hcidump", "--raw"),
        ]
        await asyncio.sleep(_PAUSE)
        await broadcast(frames, world.adapters, _TIMES)
        await asyncio.sleep(_PAUSE)
        for recorder in recorders:
            recorder.terminate()
            async with asyncio.timeout(_END_SECONDS):
                await recorder.wait()
    lines = [json.dumps(frame.entry) + "\n" for frame in frames]
    (results / "sent.jsonl").write_text("".join(lines))


async def _start(output: Path, *command: str | Path) -> asyncio.subprocess.Process:
    """Start a program that writes to the file `output`."""
    with output.open("wb") as file:
        return await asyncio.create_subprocess_exec(*command, stdout=file, stderr=file)


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
