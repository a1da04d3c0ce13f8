"""What comes out of a board's end of a pseudo-terminal: at once, or as slow as a line.

Run as a program it is a line of a certain speed: PacedLine starts it so.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Final

from tests.fakes.board_model import Uart

#: What a serial driver keeps of what it was given to send; a writer waits when it is full.
_DRIVER_BUFFER: Final = 4096

#: What a line says of each byte: when it came, which, and how many had to wait meanwhile.
_ARRIVAL: Final = struct.Struct("=dBI")

#: What a line says when it takes bytes from now on.
_BEGUN: Final = b"!"


def until(due: float) -> float | None:
    """How long it is until then (s), as select wants it."""
    return None if due == math.inf else max(0.0, due - time.monotonic())


class Terminal:
    """The board's end of a pseudo-terminal, which select can wait for.

    Of a terminal that nobody has opened, the system says all the time that it can be read.
    So this is ready only when something has changed; `more` says that not all was read.
    """

    def __init__(self, master: int) -> None:
        self._master = master
        self._changes = select.epoll()
        self._changes.register(master, select.EPOLLIN | select.EPOLLET)
        self.more = False

    def fileno(self) -> int:
        """What select looks at."""
        return self._changes.fileno()

    def read(self, enough: float = math.inf) -> bytes:
        """What is there: all, or at least that many bytes."""
        self._changes.poll(0)
        data, self.more = b"", True
        while self.more and len(data) < enough:
            try:
                data += os.read(self._master, _DRIVER_BUFFER)
            except OSError:  # nothing is left, or nobody has opened it
                self.more = False
        return data

    def unread(self) -> int:
        """How many bytes are there that were not read."""
        count = fcntl.ioctl(self._master, termios.FIONREAD, bytes(4))
        return int.from_bytes(count, sys.byteorder)

    def close(self) -> None:
        """Look at it no more; the terminal stays."""
        self._changes.close()


class FastLine:
    """Brings what is written to a terminal at once: no bytes are `queued` ever."""

    queued = 0

    def __init__(self, master: int) -> None:
        self._terminal = Terminal(master)

    def fileno(self) -> int:
        """What select looks at."""
        return self._terminal.fileno()

    def read(self) -> list[tuple[float, int]]:
        """The bytes that have come, and when each did (s, monotonic)."""
        data, now = self._terminal.read(), time.monotonic()
        return [(now, byte) for byte in data]

    def stall(self) -> None:
        """Nothing has to be done: it takes bytes only when it is read."""

    def resume(self) -> None:
        """Nothing has to be done."""

    def close(self) -> None:
        """Look at the terminal no more; it stays."""
        self._terminal.close()


class PacedLine:
    """Brings what is written to a terminal as a line of that speed does (bytes a second).

    It is a process of its own: what keeps this one busy must not slow it down.
    `queued` is how many bytes at most waited meanwhile, behind the one on its way.
    """

    def __init__(self, master: int, speed: float) -> None:
        self.queued = 0
        self._rest = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(master), str(speed)],
            cwd=Path(__file__).parents[2],
            pass_fds=[master],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._alive, self._carried = self._process.stdin, self._process.stdout
        begun = self._carried.read(len(_BEGUN))
        assert begun == _BEGUN

    def fileno(self) -> int:
        """What select looks at."""
        return self._carried.fileno()

    def read(self) -> list[tuple[float, int]]:
        """The bytes that have come, and when each did (s, monotonic)."""
        data = self._rest + self._carried.read(4096)
        whole = len(data) - len(data) % _ARRIVAL.size
        self._rest = data[whole:]
        arrivals = list(_ARRIVAL.iter_unpack(data[:whole]))
        self.queued = max((queued for _, _, queued in arrivals), default=0)
        return [(at, byte) for at, byte, _ in arrivals]

    def stall(self) -> None:
        """Take no more bytes from the terminal."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Take bytes again."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it; the terminal stays."""
        self._process.kill()
        self._process.wait()
        self._alive.close()
        self._carried.close()


def carry(master: int, speed: float) -> None:
    """Be a line: say what came of what is written to it, and when, until input ends."""
    alive, out = sys.stdin.fileno(), sys.stdout.fileno()
    # A line does not wait until a processor is free.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    terminal, uart, queued = Terminal(master), Uart(speed), 0
    os.write(out, _BEGUN)
    ready: list[object] = []
    while alive not in ready:
        if arrived := uart.take(time.monotonic()):
            os.write(out, b"".join(_ARRIVAL.pack(*each, queued) for each in arrived))
            queued = 0
        is_full = uart.waiting >= _DRIVER_BUFFER
        if not is_full and (terminal.more or terminal in ready):
            uart.put(terminal.read(_DRIVER_BUFFER), time.monotonic())
            queued = max(queued, uart.waiting + terminal.unread())
        sources = [alive] if is_full else [alive, terminal]
        ready, _, _ = select.select(sources, [], [], until(uart.due))


if __name__ == "__main__":
    carry(int(sys.argv[1]), float(sys.argv[2]))
