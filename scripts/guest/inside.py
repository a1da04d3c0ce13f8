"""What runs in the guest: the rows that were asked for, one after the other.

    python -m scripts.guest.inside SUITE DIRECTORY MODE/ROW...

Results and logs go to DIRECTORY; exit code 0 once all rows were run, however they went.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from scripts.guest import results
from scripts.guest.delivery import deliver
from scripts.guest.faults import FaultRow, Outcome
from scripts.guest.formats import hear_formats
from scripts.guest.others import fall_back, scan
from scripts.guest.results import Result
from scripts.guest.rows import DELIVERY, FALLBACK, FORMATS, SCAN
from scripts.guest.world import World

#: A row that takes longer than this hangs.
_MOST_SECONDS: Final = 240.0

_RUNNERS: Final[dict[str, Callable[[World, str], Awaitable[Outcome]]]] = {
    DELIVERY: deliver,
    FORMATS: hear_formats,
    FALLBACK: fall_back,
    SCAN: scan,
}


async def run_row(world: World, suite: str, mode: str, row: str) -> Result:
    """Run one row, whatever comes of it."""
    before = {log: log.stat().st_size for log in world.logs.iterdir()}
    runner = _RUNNERS.get(row)
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            if runner is not None:
                outcome = await runner(world, mode)
            else:
                outcome = await FaultRow(world, row, mode).run()
    except Exception as error:  # noqa: BLE001 # the other rows are still to be run
        outcome = Outcome([f"{type(error).__name__}: {error}"])
        # Whatever it has left behind: the next row finds nothing of it.
        await world.stop_bridge()
        await world.bluez.terminate()
    log = world.logs.parent / f"{mode}-{row}.log"
    log.write_text(_logged(world.logs, before))
    return Result(
        suite,
        mode,
        row,
        not outcome.problems,
        outcome.seconds,
        len(outcome.lines),
        "; ".join([*outcome.problems, *([outcome.note] if outcome.note else [])]),
        log.name,
    )


def _logged(logs: Path, before: dict[Path, int]) -> str:
    """All that was logged since `before`, program by program."""
    parts = []
    for log in sorted(logs.iterdir()):
        text = log.read_bytes()[before.get(log, 0) :].decode(errors="replace")
        if text:
            parts.append(f"== {log.stem}\n{text}")
    return "\n".join(parts)


async def main(suite: str, directory: Path, wanted: list[str]) -> None:
    """Run the rows `wanted`, each given as mode/row."""
    logs = directory / "logs"
    logs.mkdir(exist_ok=True)
    world = World(logs)
    async with world.running():
        for number, each in enumerate(wanted, 1):
            mode, row = each.split("/")
            print(f"{suite}: {mode} {row} ({number} of {len(wanted)})", end=" ", flush=True)
            began = time.monotonic()
            result = await run_row(world, suite, mode, row)
            results.append(result, directory)
            took = time.monotonic() - began
            held = "held" if result.held else "FAILED"
            print(f"{held}, {took:.0f} s {result.note}".rstrip(), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
