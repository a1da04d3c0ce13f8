"""The wire: the newest level of each channel, as frames on a serial line.

The board answers nothing, so nothing here knows whether a frame arrived. Which levels
were accepted is known to the devices alone; they submit them anew after each opening.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import termios
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import serial

from hk_bridge.errors import LinkError
from hk_bridge.model import LinkState
from hk_bridge.protocols.wxdm2 import CHANNELS, LevelFrame, wire_time

_LOG = logging.getLogger(__name__)

Result = TypeVar("Result")

#: How often a quiet line is looked at: an adapter that was pulled out says nothing.
_CHECK_SECONDS: Final = 1.0

#: A port that takes longer than this for nine bytes hangs.
_WRITE_TIMEOUT: Final = 2.0

#: How long the end of a link waits for its port to be closed: a network serial server
#: takes seconds at times, a line about as long as it takes to send what it holds.
_CLOSE_SECONDS: Final = 1.0

#: Ending the program waits no longer than this for the last frames.
_DRAIN_SECONDS: Final = 0.5

#: What a person can do about an error of the system.
_HINTS: Final = {
    errno.ENOENT: "is not there. Is the adapter plugged in? See: ls -l /dev/serial/by-id",
    errno.EACCES: "may not be opened by this user. Type: sudo usermod -aG dialout $USER, "
    "then log in again",
    errno.EAGAIN: "is in use by another program",
    errno.EBUSY: "is in use by another program",
    errno.EIO: "was unplugged",
    errno.ENODEV: "was unplugged",
    errno.ENXIO: "was unplugged",
    errno.ENOTTY: "is no serial port",
}


_NO_PORT: Final = (
    "is no port: a device such as /dev/ttyUSB0 is, or a URL such as socket://host:7000 or "
    "rfc2217://host:7000"
)


class Line(Protocol):
    """What is used of a port of pyserial, real or behind a URL."""

    @property
    def in_waiting(self) -> int:
        """Bytes that have come and not been read."""

    def read(self, size: int = 1, /) -> bytes:
        """Read at most `size` bytes."""

    def write(self, data: bytes, /) -> int | None:
        """Write all of `data`."""

    def close(self) -> None:
        """Let go of the port."""


class SerialLink:
    """One dimmer board on one port.

    `port` is anything that pyserial's serial_for_url takes, `ramp` the raw u16 of the
    frames.
    """

    def __init__(self, port: str, baudrate: int, ramp: int) -> None:
        self.name = f"serial port {port}"
        self._port = port
        self._baudrate = baudrate
        self._ramp = ramp
        self._levels: dict[int, int] = {}
        self._pending: list[int] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Whether levels are accepted."""
        return self._is_open

    def submit(self, channel: int, level: int) -> None:
        """Have `channel` (1 or 2) set to `level` (0–255); the newest level wins.

        Returns at once. Raises LinkError where the port is gone; then nothing is kept
        either, so that no lamp lights hours later.
        """
        if not self._is_open:
            raise LinkError(f"{self.name} is not there")
        self._levels[channel] = level
        if channel not in self._pending:
            self._pending.append(channel)
        self._wake.set()
        self._idle.clear()

    async def drain(self) -> None:
        """Return once all that was submitted is on the wire, or it cannot be soon."""
        if self._is_open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await self._idle.wait()

    async def run(self, report: Callable[[LinkState], None]) -> None:
        """Open the port and write what is submitted, until cancelled.

        Calls `report` once the port is open. Raises LinkError when it cannot be
        opened or is lost.
        """
        opening = _in_thread(self._open)
        try:
            line = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
        try:
            self._levels.clear()
            self._pending.clear()
            self._is_open = True
            self._idle.set()
            report(LinkState(is_up=True, text="open"))
            await self._write_frames(line)
        except OSError as error:
            raise LinkError(f"{self.name} {_reason(error)}") from error
        finally:
            self._is_open = False
            self._idle.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await _in_thread(partial(_close, line))

    def _open(self) -> Line:
        is_device = "://" not in self._port
        try:
            return serial.serial_for_url(
                self._port,
                baudrate=self._baudrate,
                timeout=0,
                write_timeout=_WRITE_TIMEOUT,
                exclusive=True if is_device else None,
            )
        except Exception as error:  # pyserial's URL handlers raise KeyError, re.error …
            raise LinkError(f"{self.name} {_reason(error)}") from error

    async def _write_frames(self, line: Line) -> None:
        while True:
            try:
                async with asyncio.timeout(_CHECK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                await _in_thread(partial(_check, line))
                continue
            while self._pending:
                frame = self._frame(self._pending.pop(0)).to_bytes()
                await _in_thread(partial(line.write, frame))
                await asyncio.sleep(wire_time(len(frame), self._baudrate))
            self._wake.clear()
            self._idle.set()

    def _frame(self, channel: int) -> LevelFrame:
        first, second = (self._levels.get(number, 0) for number in CHANNELS)
        return LevelFrame(channel, (first, second), self._ramp)


def _in_thread(call: Callable[[], Result]) -> asyncio.Future[Result]:
    """The result of a call that may block, made in a thread that nobody waits for.

    A network serial server that hangs would otherwise hold up the end of the program:
    the executor of asyncio joins its threads. Whatever the call raises, the future has:
    for some URLs that is more than LinkError and OSError.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def work() -> None:
        try:
            settle = partial(_settle, future, call(), None)
        except Exception as error:  # noqa: BLE001 # it is raised where it is awaited
            settle = partial(_settle, future, None, error)
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=work, name="serial port", daemon=True).start()
    return future


def _settle(future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _check(line: Line) -> None:
    """Notice a port that is gone; what it sends is of no interest, but fills a buffer."""
    waiting = line.in_waiting
    if waiting:
        line.read(waiting)


def _close(line: Line) -> None:
    try:
        line.close()
    except OSError as error:
        _LOG.debug("the port did not close cleanly: %s", error)


def _close_unwanted(opening: asyncio.Future[Line]) -> None:
    """Close a port that was opened when nobody waited for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        _in_thread(partial(_close, opening.result()))


def _reason(error: Exception) -> str:
    """What happened, by the error of the system that pyserial has wrapped."""
    context = error.__context__
    for cause in (error, context):
        number = cause.args[0] if cause is not None and cause.args else None
        if isinstance(number, int) and number in _HINTS:
            return _HINTS[number]
    system_errors = (OSError, termios.error)
    if not isinstance(error if context is None else context, system_errors):
        return _NO_PORT
    return f"cannot be used: {error}"
