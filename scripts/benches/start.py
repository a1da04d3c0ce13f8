"""From start to accepting controllers, and resident memory; 10 sensors, 2 lamps."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from scripts.benches.servers import Server, bare, on_line

RUNS = 5

Row = tuple[str, str, str]


def bench_start(_say: Callable[[str], None]) -> list[Row]:
    """Medians of several starts, the real radio included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = [_start_on_line(folder / str(run)) for run in range(RUNS)]
        theirs = [_timed(bare(folder / f"bare{run}")) for run in range(RUNS)]
    seconds, mebibytes = (statistics.median(column) for column in zip(*ours, strict=True))
    bare_seconds, bare_mebibytes = (
        statistics.median(column) for column in zip(*theirs, strict=True)
    )
    return [
        ("start to HAP accept, 10 + 2", f"{seconds:.2f} s", "≤ 0.5 s"),
        ("  bare HAP-python", f"{bare_seconds:.2f} s", ""),
        ("resident memory, 10 + 2", f"{mebibytes:.0f} MiB", "≤ 60 MiB"),
        ("  bare HAP-python", f"{bare_mebibytes:.0f} MiB", ""),
    ]


def _start_on_line(folder: Path) -> tuple[float, float]:
    board, line = os.openpty()
    try:
        return _timed(on_line(folder, os.ttyname(line)))
    finally:
        os.close(board)
        os.close(line)


def _timed(server: Server) -> tuple[float, float]:
    """Seconds until it accepts, and the resident MiB a while later."""
    with server:
        time.sleep(1.5)  # the radio is imported behind the start
        return server.start_seconds, server.resident
