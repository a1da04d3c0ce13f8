"""Prints tables of what hk-bridge takes, beside what others take in the same run.

    scripts/bench                 everything; about five minutes
    scripts/bench --only decode   one part

Compare the ratios, not the machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from scripts.benches.accessories import bench_accessories
from scripts.benches.decode import bench_decode
from scripts.benches.events import bench_events
from scripts.benches.flood_table import LEGEND
from scripts.benches.floods import bench_floods
from scripts.benches.many import bench_many
from scripts.benches.radio import bench_radio
from scripts.benches.start import bench_start
from scripts.benches.wire import bench_wire

#: What fills rows of the first table. Each takes a function that shows how far it is.
PARTS: dict[str, Callable[[Callable[[str], None]], list[tuple[str, str, str]]]] = {
    "decode": bench_decode,
    "radio": bench_radio,
    "start": bench_start,
    "events": bench_events,
    "wire": bench_wire,
    "many": bench_many,
    "accessories": bench_accessories,
}
FLOODS = "floods"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--only", choices=[*PARTS, FLOODS], help="one part of it")
    chosen = parser.parse_args().only
    # As Ctrl-C does, so that no server is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console()
    if (load := os.getloadavg()[0]) > (processors := os.cpu_count() or 1) / 4:
        console.print(
            f"The machine is busy with something else (load {load:.1f}, {processors} "
            "processors): the figures will be too high."
        )
    try:
        measure(console, [chosen] if chosen else [*PARTS, FLOODS])
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def measure(console: Console, chosen: list[str]) -> None:
    """Measure the `chosen` parts, and print each table as soon as it is complete."""
    table = Table("what", "measured", "to reach", title="hk-bridge")
    for name, part in PARTS.items():
        if name in chosen:
            with console.status(f"measuring {name} …") as status:
                for row in part(lambda what: status.update(f"measuring {what} …")):
                    table.add_row(*row)
    if table.row_count:
        console.print(table)
    if FLOODS in chosen:
        with console.status("measuring floods …") as status:
            tables = bench_floods(lambda what: status.update(f"measuring {what} …"))
        console.print(*tables, LEGEND)


if __name__ == "__main__":
    main()
