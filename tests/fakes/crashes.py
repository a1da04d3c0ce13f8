"""Saves a pairing again and again, and is killed a little later each time.

Run as a script in a directory: `start` in it is a state directory. For n = 1, 2 … it
copies that, opens the store in the copy, adds a pairing and some aids, and dies by
SIGKILL before the n-th system call of the save, or half way through the n-th write. It
ends once a save has come through. Prints the names of the copies, one a line, followed
by "done" where Store.put had returned.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hk_bridge.homekit.identity import Pairing
from hk_bridge.homekit.store import Store

STEPS: Final = ("open", "write", "fsync", "close", "replace", "rename", "unlink", "mkdir")

#: More than any save takes: an end in case none comes through.
_MOST_STEPS: Final = 200

NEW_PAIRING: Final = Pairing(
    b"0A1C6685-9FDD-4869-8F65-3A102FF2534F", b"\x22" * 32, admin=False
)
NEW_ACCESSORY: Final = "sensor:new"


def main() -> None:
    for step in range(1, _MOST_STEPS):
        if _die_in_a_copy(f"before-{step}", lambda step=step: _die_before(step)):  # type: ignore[misc] # the default binds it
            break
    for write in range(1, _MOST_STEPS):
        if _die_in_a_copy(f"half-{write}", lambda write=write: _die_within(write)):  # type: ignore[misc] # the default binds it
            break


def _die_in_a_copy(name: str, arm: Callable[[], None]) -> bool:
    """Whether the save came through, in spite of all."""
    directory = Path(name)
    shutil.copytree("start", directory)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        store = Store.open(directory)
        before = store.bridge()
        after = replace(before, pairings=(*before.pairings, NEW_PAIRING))
        say = os.write
        arm()
        store.put(after.with_aids_for([NEW_ACCESSORY]))
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


def _die_before(number: int) -> None:
    """Be killed before the system call of that number, from 1 on."""
    calls = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def _die_within(number: int) -> None:
    """Be killed when half of the write of that number, from 1 on, is written."""
    writes, write = 0, os.write

    def step(descriptor: int, data: bytes) -> int:
        nonlocal writes
        writes += 1
        if writes == number:
            write(descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(descriptor, data)

    os.write = step  # type: ignore[assignment] # its buffers are bytes here


if __name__ == "__main__":
    main()
