"""The table of all rows, in plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from scripts.guest.results import Result
from scripts.guest.rows import ROWS

_HEAD: Final = ("stack", "mode", "row", "what", "result", "seconds", "lines", "note")


def table(results: Sequence[Result], names: Mapping[str, str]) -> str:
    """`results` below each other, aligned; `names` says what each suite is called."""
    rows = [_HEAD, *(_cells(result, names[result.suite]) for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(map(str.ljust, cells, widths)).rstrip()  # numbers come padded
        for cells in rows
    )


def _cells(result: Result, name: str) -> tuple[str, ...]:
    seconds = "" if result.seconds is None else f"{result.seconds:7.1f}"
    lines = "" if result.lines is None else f"{result.lines:5}"
    title, _ = ROWS[result.row]
    return (
        *(name, result.mode, result.row, title),
        *("held" if result.held else "FAILED", seconds, lines, result.note),
    )
