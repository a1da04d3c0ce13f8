"""The wire: the newest level of each channel, as frames on a serial line.

The board answers nothing, so nothing here knows whether a frame arrived. Which levels
were accepted is known to the devices alone; they submit them anew after each opening.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import serial

from hk_bridge.devices.push_button import Gesture
from hk_bridge.errors import LinkError
from hk_bridge.links.contacts import Contacts
from hk_bridge.links.line_schedule import LineSchedule, LineSettings
from hk_bridge.links.open_port import Line, OpenPort, Task, be_prompt
from hk_bridge.links.ports import NO_ANSWER, better_name, reason, stable_name
from hk_bridge.model import LinkState

_LOG = logging.getLogger(__name__)

#: How often a line is looked at: an adapter that was pulled out says nothing.
_CHECK_SECONDS: Final = 1.0

#: Taken at each look: more than a line of 9600 baud brings in between. What waits beside
#: that grows on an RFC 2217 port alone, and not without end.
_MOST_READ: Final = 4096
_MOST_WAITING: Final = 64 * 1024

#: A port that takes longer than this for a frame hangs.
_WRITE_TIMEOUT: Final = 1.0

#: How often an RFC 2217 server has to show that it does not hang.
_ASK_SECONDS: Final = 5.0

#: How long the end of a link waits for its port to be closed: a network serial server
#: takes seconds at times, a line about as long as it takes to send what it holds.
_CLOSE_SECONDS: Final = 1.0

#: Ending the program waits no longer than this for the last frames.
_DRAIN_SECONDS: Final = 0.5


class SerialLink:
    """One dimmer board on one port.

    `port` is anything that pyserial's serial_for_url takes. `buttons` are the
    modem-status lines with a push-button, by the channel that each is for: what is done
    with one goes to `on_gesture`.
    """

    def __init__(
        self,
        port: str,
        settings: LineSettings,
        buttons: Mapping[int, str] = MappingProxyType({}),
        on_gesture: Callable[[int, Gesture], None] = lambda _channel, _gesture: None,
    ) -> None:
        self.name = f"serial port {port}"
        self._port = port
        self._settings = settings
        self._tasks: list[Task] = [self._serve]
        self._is_rfc2217 = port.lower().startswith("rfc2217://")
        if self._is_rfc2217:
            self._tasks.append(_ask)
        if buttons:
            self._tasks.append(Contacts(self.name, buttons, on_gesture).watch)
        self._schedule = LineSchedule(settings)
        # Guards the schedule, which the thread of an open port takes its frames from.
        self._changed = threading.Condition()
        self._settled = asyncio.Event()
        self._is_open = False
        self._why_closed = f"{self.name} is not open yet"
        self._port_before: OpenPort | None = None
        self._has_suggested = False

    @property
    def is_open(self) -> bool:
        """Whether levels are accepted."""
        return self._is_open

    def require_open(self) -> None:
        """Raise LinkError, with why it is closed, where levels are not accepted."""
        if not self._is_open:
            raise LinkError(self._why_closed)

    def submit(
        self, channel: int, level: int, *, slide: bool = False, ramp: int | None = None
    ) -> None:
        """Have `channel` (1 or 2) set to `level` (0–255); the newest level wins.

        Where it is part of a `slide`, with the ramp for that. Returns at once. Raises
        LinkError where the port is gone; then nothing is kept either, so that no lamp
        lights hours later.
        """
        self.require_open()
        if ramp is None:
            ramp = self._settings.slide_ramp if slide else self._settings.ramp
        self._settled.clear()
        with self._changed:
            self._schedule.submit(channel, level, ramp, time.monotonic())
            self._changed.notify()

    def assume(self, channel: int, level: int) -> None:
        """Take `channel` for being at `level`, though nothing was sent to it."""
        with self._changed:
            self._schedule.assume(channel, level)

    def forget(self, channel: int) -> None:
        """Send nothing of `channel` any more that is not submitted anew."""
        with self._changed:
            self._schedule.forget(channel)

    async def drain(self) -> bool:
        """Return once all that was submitted is on the wire, or half a second later.

        Says whether it is, or never can be as the port is closed.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._settled.wait()
                if self._is_open:
                    await asyncio.sleep(self._schedule.free_at - time.monotonic())
                return True
        return False

    async def run(self, report: Callable[[LinkState], None]) -> None:
        """Open the port and write what is submitted, until cancelled.

        Calls `report` once the port is open. Raises LinkError when it cannot be
        opened or is lost.
        """
        if self._port_before is not None and not self._port_before.is_closed:
            raise LinkError(
                f"{self.name} hangs: the system does not let go of it. If that lasts, pull "
                "its plug at the computer, or restart the server"
            )
        port = self._port_before = OpenPort(self._open, self._tasks, self._explain)
        try:
            await port.opened()
            self._is_open = True
            self._settled.set()
            report(LinkState(is_up=True, text="open"))
            await port.lost()
        except LinkError as error:
            self._why_closed = str(error)
            raise
        finally:
            self._is_open = False
            self._settled.set()
            port.stopping.set()
            with self._changed:
                self._changed.notify_all()
            await port.close(_CLOSE_SECONDS)

    # -- in the threads of the port ---------------------------------------------------

    def _explain(self, error: Exception) -> LinkError:
        explained = LinkError(f"{self.name} {reason(self._port, error)}")
        explained.__cause__ = error
        return explained

    def _open(self) -> Line:
        line: Line = serial.serial_for_url(
            self._port,
            baudrate=self._settings.baudrate,
            timeout=0,
            # That of pyserial for RFC 2217 has five seconds of its own, and takes no other.
            write_timeout=None if self._is_rfc2217 else _WRITE_TIMEOUT,
            exclusive=True,
        )
        be_prompt(line)
        self._suggest_name()
        with self._changed:
            self._schedule.restart()
        return line

    def _suggest_name(self) -> None:
        """Tell of a better name of the port, where there is one, once."""
        name = None if self._has_suggested else stable_name(self._port)
        if name is not None:
            self._has_suggested = True
            _LOG.warning("%s %s", self.name, better_name(name))

    def _serve(self, line: Line, port: OpenPort) -> None:
        try:
            self._write_frames(line, port)
        except serial.SerialTimeoutException:
            # Closing would wait half a minute for a line that takes nothing.
            line.reset_output_buffer()
            raise

    def _write_frames(self, line: Line, port: OpenPort) -> None:
        """Write each frame when its time has come."""
        check_at = time.monotonic()
        while not port.stopping.is_set():
            with self._changed:
                now = time.monotonic()
                frame = self._schedule.take(now)
                is_settled = self._schedule.is_settled
                if frame is None and now < check_at:
                    if not port.stopping.is_set():
                        self._changed.wait(min(self._schedule.due, check_at) - now)
                    continue
            if frame is not None:
                line.write(frame)
                if is_settled:
                    port.tell(self._note_settled)
            if now >= check_at:
                _check(line)
                check_at = now + _CHECK_SECONDS

    def _note_settled(self) -> None:
        with self._changed:
            if self._schedule.is_settled:
                self._settled.set()


def _check(line: Line) -> None:
    """Raise an OSError where a line is gone, and take what it has sent.

    That is of no interest, but fills a buffer. The one of an RFC 2217 port has no limit,
    and each read takes a single byte from it.
    """
    taken = 0
    while taken < _MOST_READ and (data := line.read(_MOST_READ)):
        taken += len(data)
    if line.in_waiting > _MOST_WAITING:
        raise OSError("it sends more than a dimmer's line can carry")


def _ask(line: Line, port: OpenPort) -> None:
    """Ask an RFC 2217 server now and then for what is so already, which it answers."""
    while not port.stopping.wait(_ASK_SECONDS):
        try:
            line.rts = True
        except serial.SerialException as error:
            raise LinkError(NO_ANSWER) from error
