"""A port from its opening to its closing, in threads that nobody has to wait for.

A network serial server that hangs would otherwise hold up the event loop, or the end of
the program: the executor of asyncio joins its threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

_LOG = logging.getLogger(__name__)

#: A server that has not acknowledged for so long what was sent is gone.
_NETWORK_SECONDS: Final = 3.0


class Line(Protocol):
    """What is used of a port of pyserial, real or behind a URL."""

    rts: bool

    @property
    def in_waiting(self) -> int:
        """Bytes that have come and were not read."""

    def read(self, size: int = 1, /) -> bytes:
        """Read at most `size` bytes."""

    def write(self, data: bytes, /) -> int | None:
        """Write all of `data`."""

    def reset_output_buffer(self) -> None:
        """Forget what was written and has not left yet."""

    def close(self) -> None:
        """Let go of the port."""


Task = Callable[[Line, "OpenPort"], None]


class OpenPort:
    """A line that `open_line` opens, and each of `tasks` in a thread of its own.

    A task takes the line and this object, and ends soon after `stopping` is set. Where it
    raises something, that is the end of the port, whatever it is: for some URLs pyserial
    raises KeyError, re.error and others. `explain` makes of that what is raised here.
    """

    def __init__(
        self,
        open_line: Callable[[], Line],
        tasks: Sequence[Task],
        explain: Callable[[Exception], Exception],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._open_line = open_line
        self._tasks = tasks
        self._explain = explain
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._closed = asyncio.Event()
        self.stopping = threading.Event()
        threading.Thread(target=self._run, name="serial port", daemon=True).start()

    @property
    def is_closed(self) -> bool:
        """Whether nothing is left of it, in the system neither."""
        return self._closed.is_set()

    async def opened(self) -> None:
        """Return once the port is open; raises why it could not be opened."""
        await self._opened

    async def lost(self) -> None:
        """Never return; raises why the port was lost."""
        await self._lost

    async def close(self, seconds: float) -> None:
        """Have everything end, and return once it has, or after so many seconds."""
        self.stopping.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    def tell(self, call: Callable[..., object], *args: Any) -> None:  # noqa: ANN401 # whatever it takes
        """Have the loop make a call; for the threads."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(call, *args)

    # -- in threads -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            line = self._open_line()
        except Exception as error:  # noqa: BLE001 # raised where it is awaited
            self.tell(_settle, self._opened, self._explain(error))
        else:
            self.tell(_settle, self._opened, None)
            self._work(line)
        self.tell(self._closed.set)

    def _work(self, line: Line) -> None:
        first, *others = (partial(self._attempt, task, line) for task in self._tasks)
        threads = [
            threading.Thread(target=task, name="serial port", daemon=True)
            for task in others
        ]
        for thread in threads:
            thread.start()
        first()
        for thread in threads:
            thread.join()
        try:
            line.close()
        except Exception as error:  # noqa: BLE001 # nobody can do anything about it
            _LOG.debug("the port did not close cleanly: %s", error)

    def _attempt(self, task: Task, line: Line) -> None:
        try:
            task(line, self)
        except Exception as error:  # noqa: BLE001 # raised where it is awaited
            if not self.stopping.is_set():
                self.tell(_settle, self._lost, self._explain(error))


def be_prompt(line: Line) -> None:
    """Have what is written to a network serial server leave at once, or fail soon."""
    # pyserial has no public way to the socket of a port.
    connection = getattr(line, "_socket", None)
    if isinstance(connection, socket.socket):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            milliseconds = int(_NETWORK_SECONDS * 1000)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
        # So that asyncio does not complain of an error that nobody asks for.
        future.exception()
