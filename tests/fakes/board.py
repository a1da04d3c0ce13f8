"""A dimmer board on a real pseudo-terminal, which can be slow, bad, stuck or pulled out."""

from __future__ import annotations

import contextlib
import math
import os
import select
import tempfile
import threading
import time
import tty
from collections import deque
from pathlib import Path
from typing import Final, Self

from tests.fakes.board_line import FastLine, PacedLine, until
from tests.fakes.board_model import BoardModel, Damage

#: What a line of 9600 baud brings in a second.
LINE_SPEED: Final = 960


class BoardEmulator:
    """Reads its end of the line in a thread of its own, and writes down what came.

    `port` is what a program opens, a link as udev makes them: it points to the line,
    `tty`, while the board is plugged in. `model` is the microcontroller. `speed` is how
    many bytes the line carries in a second, None for all that there are. `damage` is done
    to what it carries. `most_queued` is how many bytes at most have waited behind the one
    that was on its way; it says nothing without a speed.
    """

    def __init__(
        self,
        speed: float | None = None,
        protocol: str = "wxdm2",
        damage: Damage | None = None,
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="board")
        self._path = Path(self._directory.name) / "usb-dimmer-port0"
        self.model = BoardModel(protocol)
        self.damage = damage
        self.most_queued = 0
        self.tty = ""
        self._speed = speed
        self._master: int | None = None
        self._reader: _Reader
        self.replug()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> str:
        """What a program opens; it is there while the board is plugged in."""
        return str(self._path)

    @property
    def received(self) -> bytearray:
        """All that came, as it came."""
        return self.model.received

    @property
    def frames(self) -> list[bytes]:
        """The frames that came, with the lead-in where there was one."""
        return self.model.frames

    @property
    def arrivals(self) -> list[float]:
        """When the last byte of each frame came (seconds, monotonic)."""
        return self.model.arrivals

    @property
    def levels(self) -> dict[int, int]:
        """The level that each channel was last set to."""
        return self.model.levels

    @property
    def speed(self) -> float | None:
        """How many bytes the line carries in a second; set it while nothing is on it."""
        return self._speed

    @speed.setter
    def speed(self, speed: float | None) -> None:
        self._speed = speed
        if self._master is not None:
            self._reader.end()
            self._begin(self._master)

    @property
    def opened(self) -> bool:
        """Whether any program holds the port open."""
        if self._master is None:
            return False
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))

    def replug(self, name: str | None = None) -> None:
        """Plug it in, after pulling it out: a new line, never the one that it was last.

        It is found where the old one was, or under another name in the same folder.
        """
        self.unplug()
        if name is not None:
            self._path = self._path.with_name(name)
        self._master, self.tty = _open_line(other_than=self.tty)
        self._begin(self._master)
        self._path.symlink_to(self.tty)

    def unplug(self) -> None:
        """Pull it out: the line is gone with what it carried, and so is its name."""
        if self._master is None:
            return
        self._reader.end()
        os.close(self._master)
        self._master = None
        self._path.unlink()

    def say(self, data: bytes) -> int:
        """Send something back, which a real board never does; how much was taken."""
        assert self._master is not None
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0

    def stall(self) -> None:
        """Take nothing any more, and have the line filled up to the brim."""
        self._reader.stall()
        line = os.open(self.port, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        end = time.monotonic() + 1.0
        try:
            # The system moves what was written from one buffer to the next meanwhile.
            while time.monotonic() < end:
                with contextlib.suppress(BlockingIOError):
                    os.write(line, bytes(4096))
                    end = time.monotonic() + 0.1
        finally:
            os.close(line)

    def resume(self) -> None:
        """Take again what comes, after a stall."""
        self._reader.resume()

    def close(self) -> None:
        """End it, and leave nothing behind."""
        self.unplug()
        self._directory.cleanup()

    def _begin(self, master: int) -> None:
        self._reader = _Reader(
            self, PacedLine(master, self._speed) if self._speed else FastLine(master)
        )
        self._reader.start()


def _open_line(other_than: str) -> tuple[int, str]:
    """The master of a new pseudo-terminal, and the path of its other end."""
    master, line = os.openpty()
    try:
        if (path := os.ttyname(line)) == other_than:
            # The system gives away the same number again as soon as nobody has it.
            try:
                return _open_line(other_than)
            finally:
                os.close(master)
        tty.setraw(line)
        os.set_blocking(master, False)
        return master, path
    finally:
        os.close(line)


class _Reader(threading.Thread):
    """Hands the board what its line brings, and damages it where that is asked."""

    def __init__(self, board: BoardEmulator, line: FastLine | PacedLine) -> None:
        super().__init__(name=f"board on {board.tty}", daemon=True)
        self._board = board
        self._line = line
        self._delayed: deque[tuple[float, int]] = deque()
        self._wake, self._awake = os.pipe()
        self._reads = True
        self._ends = False

    def end(self) -> None:
        """Read no more; what was on its way is gone."""
        self._ends = True
        self._nudge()
        self.join()
        self._line.close()
        os.close(self._wake)
        os.close(self._awake)

    def stall(self) -> None:
        """Have the line take nothing more."""
        self._line.stall()
        self._reads = False
        self._nudge()

    def resume(self) -> None:
        """Have it take again what comes."""
        self._line.resume()
        self._reads = True
        self._nudge()

    def _nudge(self) -> None:
        os.write(self._awake, b"!")

    def run(self) -> None:
        """Take what comes, and what was delayed when it is due."""
        while not self._ends:
            sources = [self._wake, self._line] if self._reads else [self._wake]
            due = self._delayed[0][0] if self._delayed else math.inf
            ready, _, _ = select.select(sources, [], [], until(due))
            if self._wake in ready:
                os.read(self._wake, 64)
            elif ready:
                self._carry(self._line.read())
            self._arrive()

    def _carry(self, came: list[tuple[float, int]]) -> None:
        board = self._board
        board.most_queued = max(board.most_queued, self._line.queued)
        for at, byte in came:
            self._delayed += (
                board.damage.carry(bytes([byte]), at) if board.damage else [(at, byte)]
            )

    def _arrive(self) -> None:
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            at, byte = self._delayed.popleft()
            self._board.model.take(bytes([byte]), at)
