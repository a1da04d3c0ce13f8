"""What is shown of floods."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.table import Table

from scripts.benches.pace import GIVE_UP_SECONDS, Waits, median, percentile

_COLUMNS = ("p50", "p99", "max", "reconnect", "MiB", "log")
LEGEND = (
    "p50, p99, max: ms until somebody who asks 20 times per second on each of five "
    "connections had an answer. reconnect: median and longest, from connecting to the "
    "first answer, pair-verify included. MiB: the most that came on top. log: lines."
)


@dataclass
class Result:
    """What one flood, or none, did to one server."""

    waits: Waits = field(default_factory=Waits)
    done: str = ""
    #: MiB on top of what it held before, at the highest; None where it was another process.
    memory: float | None = 0.0
    log_lines: int = 0
    remark: str = ""


#: By the title of the flood.
Results = dict[str, Result]


def flood_table(title: str, servers: dict[str, Results]) -> Table:
    """A section for each flood, with a row for each of the `servers`."""
    table = Table(title=title, box=SIMPLE_HEAD)
    table.add_column("flood", no_wrap=True)
    for heading in _COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for flood in next(iter(servers.values())):
        table.add_row(flood, style="bold")
        for name, results in servers.items():
            table.add_row(*_cells(name, results[flood]))
    return table


def _cells(name: str, result: Result) -> list[str]:
    waits = result.waits
    remarks = [name, result.done, result.remark]
    if waits.lost:
        remarks.append(f"closed or refused {waits.lost:,}×")
    figures = [""] * 3
    if waits.is_broken:
        remarks.append(f"no answer within {GIVE_UP_SECONDS:.0f} s")
    elif waits.answers:
        figures = [_number(percentile(waits.answers, x)) for x in (50, 99, 100)]
    reconnects = [f(waits.reconnects) for f in (median, max) if waits.reconnects]
    reconnect = ", ".join(_number(wait) for wait in reconnects)
    # What happened stands below the name: the columns beside it stay where they are.
    what = "  " + "\n    ".join(filter(None, remarks))
    return [what, *figures, reconnect, _memory(result.memory), _count(result.log_lines)]


def _memory(mebibytes: float | None) -> str:
    if mebibytes is None:
        return ""
    return f"+{mebibytes:.0f}" if mebibytes >= 0.5 else "0"


def _number(milliseconds: float) -> str:
    if milliseconds == math.inf:
        return "never"
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f}s"
    return f"{milliseconds:.1f}" if milliseconds < 10 else f"{milliseconds:.0f}"


def _count(lines: int) -> str:
    return str(lines) if lines < 1000 else f"{lines / 1000:.0f}k"
