"""One connection: how much may come of it, and in what time.

A subclass of HAP-python's protocol, which takes anything of any size for as long as it
likes to come. outgoing.py has how it is told and how it ends, handler.py what is
answered, guard.py who may stay connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

import h11
from cryptography.exceptions import InvalidTag
from pyhap.hap_protocol import HIGH_WRITE_BUFFER_SIZE, IDLE_CONNECTION_TIMEOUT_SECONDS

from hk_bridge.complaints import Complaints
from hk_bridge.homekit.admission import (
    IDLE_STRANGER_SECONDS,
    UNFINISHED_SECONDS,
    Stage,
    Visitor,
)
from hk_bridge.homekit.frames import FrameError, Frames
from hk_bridge.homekit.handler import GuardedHandler, Response, origin
from hk_bridge.homekit.outgoing import OutgoingProtocol
from hk_bridge.homekit.requests import (
    OF_CONTROLLERS,
    Request,
    RequestReader,
    TooLargeError,
    is_too_large,
)

if TYPE_CHECKING:
    from hk_bridge.homekit.guard import GuardedServer

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

#: Bytes that are read and forgotten after the last answer: closing at once would reset
#: the connection, and the answer might never be seen.
_MOST_FORGOTTEN: Final = 1024 * 1024

_TOO_LARGE: Final = (413, "Content Too Large")
_BAD_REQUEST: Final = (400, "Bad Request")


class GuardedProtocol(OutgoingProtocol):
    """One connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: GuardedServer) -> None:
        super().__init__(loop, server.connections, server.accessory_handler)
        self._server = server
        self._reader = RequestReader()
        self.conn = self._reader.http
        self._is_admitted = False
        self._is_scheduled = False
        self._forgotten = 0
        self._held: asyncio.TimerHandle | None = None
        self.request_ended = 0.0
        self._unfinished_since: float | None = None

    # -- coming and going -------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin a connection.

        The base makes an unguarded handler, and lets a second connection from the same
        port of the other side, to another address here, take the place of the first.
        """
        self.transport = transport
        peername = transport.get_extra_info("peername")
        earlier = self.connections.get(peername)
        if peername is None or (earlier is not None and earlier.local != self.local):
            self._is_leaving = True
            transport.abort()
            return
        # Room for the largest answer: iOS hangs up where one comes in parts.
        transport.set_write_buffer_limits(high=HIGH_WRITE_BUFFER_SIZE)
        self.peername = peername
        self.connections[peername] = self
        self.handler = GuardedHandler(self.accessory_driver, peername)
        self.last_activity = self.request_ended = self.loop.time()
        self._is_admitted = True
        self._server.admit(self)

    def eof_received(self) -> None:
        """Hang up soon: asyncio would wait until all that was asked for has been read."""
        if not self._is_leaving:
            self._begin_to_leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection.

        The base leaves timers behind, and takes what is kept by address from another
        connection that has come from there since.
        """
        del exc
        if not self._is_admitted:
            return
        self._server.lost(self)
        self.accessory_driver.turn.end(self.handler)
        if self.connections.get(self.peername, self) is self:
            self.accessory_driver.connection_lost(self.peername)
            self.accessory_driver.timed_writes.forget(self.peername)
        self.close()
        for timer in (self._held, self._stalled, self._leaving):
            if timer is not None:
                timer.cancel()

    @property
    def local(self) -> tuple[str, int]:
        """Address and port of this side."""
        local: tuple[str, int] = self.transport.get_extra_info("sockname")
        return local

    @property
    def host(self) -> str:
        """The address of the other side."""
        host: str = self.peername[0]
        return host

    def visitor(self, *, is_known: bool) -> Visitor[GuardedProtocol]:
        """What admission.py needs to know of a stranger; see there."""
        if self._is_leaving:
            stage = Stage.LEAVING
        elif self.accessory_driver.turn.is_with(self.handler):
            stage = Stage.PAIRING
        else:
            stage = Stage.VERIFYING if self.handler.is_verifying else Stage.IDLE
        return Visitor(self, self.host, stage, self.request_ended, is_known)

    def check_idle(self, now: float) -> None:
        """Hang up on one that has been silent, or half-way through, for too long.

        The base does so after 90 hours by the wall clock, which may leap.
        """
        verified = self.is_verified
        patience = IDLE_CONNECTION_TIMEOUT_SECONDS if verified else IDLE_STRANGER_SECONDS
        if (
            self._unfinished_since is not None
            and now - self._unfinished_since > UNFINISHED_SECONDS
        ) or now - self.last_activity > patience:
            self.close()

    def _refuse_size(self) -> None:
        _complaints.say("size", f"{self.host} sent far too large a request")
        self._refuse(_TOO_LARGE)

    def _refuse(self, status: tuple[int, str]) -> None:
        """Say why, and hang up; what is still on its way is read and forgotten."""
        self.write(
            b"HTTP/1.1 %d %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            % (status[0], status[1].encode())
        )
        self._begin_to_leave()
        with contextlib.suppress(OSError):  # the other side may have hung up itself
            self.transport.write_eof()
        self.transport.resume_reading()

    # -- what comes in ----------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what has come.

        The base works off all of it at once, while everybody else waits.
        """
        self.last_activity = self.loop.time()
        if self._is_leaving:
            self._forgotten += len(data)
            if self._forgotten > _MOST_FORGOTTEN:
                self.transport.abort()
            return
        try:
            self._reader.put(self._decrypted(data))
        except (InvalidTag, FrameError):
            # Nobody who lost count of the frames can be told anything.
            _complaints.say("frame", f"{self.host} sent a frame that cannot be decrypted")
            self.close()
            return
        if self.is_verified and not self._is_scheduled:
            self.proceed()
        else:
            self._schedule()

    def _decrypted(self, data: bytes) -> bytes:
        if self.hap_crypto is None:
            return data
        self.hap_crypto.receive_data(data)
        plain: bytes = self.hap_crypto.decrypt()
        return plain

    def _schedule(self) -> None:
        """Go on later, and let nothing come before that."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self.transport.pause_reading()
            self._server.schedule(self)

    def proceed(self) -> None:
        """Take a few steps with what has come; the rest is for later."""
        self._is_scheduled = False
        if not self._is_leaving and not self._held and not self._stalled:
            self._take_request()
            self._note_unfinished()
            self._read_on()

    def _take_request(self) -> None:
        """Answer the next request, if it is whole."""
        try:
            request = self._reader.take()
            if request is not None:
                self._answer(request)
        except TooLargeError:
            self._refuse_size()
        except h11.ProtocolError as error:
            if is_too_large(error):
                self._refuse_size()
            else:
                self._refuse(_BAD_REQUEST)
        except Exception as error:  # noqa: BLE001 # the boundary to the network
            _complaints.say(
                ("connection", type(error)),
                f"{self.host} was hung up on ({origin(error)})",
            )
            self.abort()

    def _read_on(self) -> None:
        """Let more come, unless there is enough to do with what has."""
        if self._is_leaving:
            return
        if not self._reader.needs_more:
            self._schedule()
        else:
            self.transport.resume_reading()

    def _note_unfinished(self) -> None:
        in_part = self.hap_crypto is not None and self.hap_crypto.has_part
        if not self._reader.has_part and not in_part:
            self._unfinished_since = None
        elif self._unfinished_since is None:
            self._unfinished_since = self.loop.time()

    # -- what goes out ----------------------------------------------------------------

    def _answer(self, request: Request) -> None:
        self._unfinished_since = None
        self.request_ended = self.loop.time()
        response = self.handler.dispatch(request.head, request.body)
        if request.head.method == b"HEAD":
            response.body = b""
        if response.delay:
            self.transport.pause_reading()
            self._held = self.loop.call_later(response.delay, self._let_go, response)
        else:
            self._say(response)

    def _let_go(self, response: Response) -> None:
        """Say what was held back, and go on."""
        self._held = None
        if not self._is_leaving:
            self._say(response)
            self._schedule()

    def _say(self, response: Response) -> None:
        if response.shared_key is not None and self._reader.has_part:
            # Bytes in the clear that somebody has put behind the last message of
            # pair-verify would count as the controller's own.
            _complaints.say("behind", f"{self.host} sent more than one message at once")
            self.abort()
            return
        self.send_response(response)
        if response.shared_key is not None:
            self.hap_crypto = Frames(response.shared_key)
            self._reader.limits = OF_CONTROLLERS
            self._server.let_in(self)
        if response.pairing_changed:
            # Only behind the answer: whoever sees it paired before gives up pairing.
            self.accessory_driver.async_update_advertisement()
        if self.conn.our_state is h11.MUST_CLOSE:
            self.close()

    def resume_writing(self) -> None:
        """Go on with one that reads again."""
        super().resume_writing()
        if not self._is_leaving:
            self._schedule()
