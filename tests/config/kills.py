"""Adds an entry to a configuration file again and again, and is killed each time.

Run as a script in a directory: `start` in it holds an accessories.json. For n = 1, 2 … it
copies that, adds ENTRY to the file in the copy, and dies by SIGKILL before the n-th system
call, or half way through the n-th write, until it has come through. Prints the names of
the copies, one a line, followed by "done" where `add` had returned.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

from hk_bridge.config import add
from tests.fakes.crashes import _die_before, _die_within

ENTRY: Final = {
    "accessory": "Hygrothermograph",
    "name": "New",
    "address": "00:00:00:00:00:01",
}


def main() -> None:
    for name, die in (("before", _die_before), ("half", _die_within)):
        for number in count(1):
            if _die_in_a_copy(f"{name}-{number}", die, number):
                break


def _die_in_a_copy(name: str, die: Callable[[int], None], number: int) -> bool:
    """Whether the entry was added in spite of all."""
    directory = Path(name)
    shutil.copytree("start", directory)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        say = os.write
        die(number)
        add(directory / "accessories.json", ENTRY)
        say(writer, b"done")
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writer)
    said = os.read(reader, 16).decode()
    os.close(reader)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        sys.exit(f"{name}: not killed, but ended with {status}")
    sys.stdout.write(f"{name} {said}".strip() + "\n")
    return said == "done"


if __name__ == "__main__":
    main()
