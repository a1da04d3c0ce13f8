"""A serial line of 9600 baud, in a process of its own: a pseudo-terminal.

    python -m scripts.benches.line

Prints the path of its port, takes what is written there until stdin is closed, and prints
the frames as JSON. Like a UART behind the buffer of a system it takes bytes at once, and
has each of them leave 1/960 s after the one before it, or after it came. When that is
follows from the clock alone, so no time is lost that a real line would not lose.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import tty
from dataclasses import astuple, dataclass
from typing import Self

from hk_bridge.protocols.wxdm2 import FrameHunter, wire_time

BAUDRATE = 9600

_MOST = 4096
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class WireFrame:
    """A frame for a channel. Seconds of CLOCK_MONOTONIC, which all processes share.

    It `came` when it was found in the port; its first byte `begun` and its last one `left`
    as the line had time for them.
    """

    channel: int
    level: int
    came: float
    begun: float
    left: float


class Line:
    """Such a process; runs within a `with`."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.benches.line"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = self._process.stdout.readline().strip()
        if not self.port:
            self.__exit__()
            raise SystemExit("the line did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> list[WireFrame]:
        """End it; all the frames that came, in order."""
        said, _ = self._process.communicate(timeout=_PATIENCE_SECONDS)
        return [WireFrame(*frame) for frame in json.loads(said)]


class _Uart:
    def __init__(self) -> None:
        self.frames: list[WireFrame] = []
        self._hunter = FrameHunter()
        self._free_at = 0.0
        self._byte_seconds = wire_time(1, BAUDRATE)
        #: When the bytes leave of which a frame may still be made.
        self._left: list[float] = []

    def take(self, data: bytes, now: float) -> None:
        for byte in data:
            self._free_at = max(self._free_at, now) + self._byte_seconds
            self._left.append(self._free_at)
            for frame in self._hunter.feed(bytes([byte])):
                level = frame.levels[frame.channel - 1]
                begun = self._left[0] - self._byte_seconds
                self.frames.append(
                    WireFrame(frame.channel, level, now, begun, self._free_at)
                )
                self._left.clear()


def main() -> None:
    board, port = os.openpty()
    # Held open here, so that the line goes on while nobody else has it.
    tty.setraw(port)
    print(os.ttyname(port), flush=True)
    # Ctrl-C is for the bench, which ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A UART waits for no processor. Users other than root may not have that.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    uart = _Uart()
    while True:
        ready, _, _ = select.select([board, sys.stdin], [], [])
        now = time.monotonic()
        if board in ready:
            uart.take(os.read(board, _MOST), now)
        elif not sys.stdin.readline():
            print(json.dumps([astuple(frame) for frame in uart.frames]))
            return


if __name__ == "__main__":
    main()
