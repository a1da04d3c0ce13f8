"""A dimmer board on a real pseudo-terminal, which can be slow, stuck or pulled out.

It knows the frames on its own, from docs/protocols/wxdm2.md, and shares no code with the
package: a mistake there must not be repeated here.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import tempfile
import threading
import time
import tty
from pathlib import Path
from typing import Final

#: FF 55, a channel, two levels, two bytes of ramp, 0A; 0A in front where it is there.
FRAME: Final = re.compile(rb"\x0a?\xff\x55[\x01\x02].{4}\x0a", re.DOTALL)
LONGEST_FRAME: Final = 9

#: What a line of 9600 baud brings in a second.
LINE_SPEED: Final = 960

_POLL_SECONDS: Final = 0.002


class BoardEmulator:
    """Reads its end of the line in a thread of its own, and writes down what came.

    `port` is what a program opens, a link as udev makes them: it points to the line
    while the board is plugged in. `frames` are those that were found in `received`, with
    the 0A in front, `arrivals` when each came (seconds, monotonic). `speed` is how many
    bytes it takes in a second, None for all that there are.
    """

    def __init__(self, speed: int | None = None) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="board")
        self._path = Path(self._directory.name) / "usb-dimmer-port0"
        self.port = str(self._path)
        self.speed = speed
        self.received = bytearray()
        self.frames: list[bytes] = []
        self.arrivals: list[float] = []
        self._rest = b""
        self._master: int | None = None
        self.replug()

    @property
    def levels(self) -> dict[int, int]:
        """The level that each channel was last set to."""
        return {frame[-6]: frame[-6 + frame[-6]] for frame in self.frames}

    @property
    def opened(self) -> bool:
        """Whether any program holds the port open."""
        if self._master is None:
            return False
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))

    def replug(self) -> None:
        """Plug it in: a new line, to be found where the old one was."""
        self._master, line = os.openpty()
        tty.setraw(line)
        os.set_blocking(self._master, False)
        self._path.symlink_to(os.ttyname(line))
        os.close(line)
        self._running = True
        self._drains = threading.Event()
        self._drains.set()
        self._thread = threading.Thread(target=self._read, args=(self._master,))
        self._thread.start()

    def unplug(self) -> None:
        """Pull it out: the line is gone, and so is its name."""
        if self._master is None:
            return
        self._running = False
        self._drains.set()
        self._thread.join()
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
        self._drains.clear()
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

    def close(self) -> None:
        """End it, and leave nothing behind."""
        self.unplug()
        self._directory.cleanup()

    def _read(self, master: int) -> None:
        while self._drains.wait() and self._running:
            ready, _, _ = select.select([master], [], [], _POLL_SECONDS)
            try:
                data = (
                    os.read(master, LONGEST_FRAME if self.speed else 4096) if ready else b""
                )
            except OSError:  # nobody has opened the port
                time.sleep(_POLL_SECONDS)
                continue
            self._take(data)
            if self.speed:
                time.sleep(len(data) / self.speed)

    def _take(self, data: bytes) -> None:
        self.received += data
        stream, end = self._rest + data, 0
        for match in FRAME.finditer(stream):
            self.arrivals.append(time.monotonic())
            self.frames.append(match[0])
            end = match.end()
        self._rest = stream[end:][-LONGEST_FRAME + 1 :]
