"""The outcome of one row, on its way from the guest to the table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Result:
    """How a row went.

    `held` where all was as it has to be. `seconds` is from the end of the fault to the
    next fresh value, `lines` how many warnings the bridge logged, `note` what else is to
    be known, `log` the file that tells more, among the results.
    """

    suite: str
    mode: str
    row: str
    held: bool
    seconds: float | None = None
    lines: int | None = None
    note: str = ""
    log: str = ""


_FILE: Final = "results.jsonl"


def append(result: Result, directory: Path) -> None:
    """Add `result` to those in `directory`."""
    with (directory / _FILE).open("a") as lines:
        lines.write(json.dumps(asdict(result)) + "\n")


def load(directory: Path) -> list[Result]:
    """All results in `directory`, which may be none."""
    file = directory / _FILE
    if not file.exists():
        return []
    return [Result(**json.loads(line)) for line in file.read_text().splitlines()]
