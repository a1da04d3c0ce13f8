"""The front door: who may stay connected, and whose turn it is.

A subclass of HAP-python's server, which keeps everybody for 90 hours. admission.py has
the rules, connection.py what one connection may do, handler.py what is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Final

from pyhap.hap_server import HAPServer

from hk_bridge.complaints import Complaints
from hk_bridge.homekit.admission import (
    MOST_STRANGERS,
    MOST_VERIFIED,
    Visitor,
    does_nothing,
    makes_room,
)
from hk_bridge.homekit.connection import GuardedProtocol

if TYPE_CHECKING:
    from hk_bridge.homekit.bridge import BridgeDriver

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

#: Host, None for all of them, and port.
_Place = tuple[str | None, int]

_EVERYTHING: Final = frozenset({None, "0.0.0.0", "::"})  # noqa: S104 # as users write it

_SWEEP_SECONDS: Final = 5.0

#: Hosts from which controllers have come that are remembered.
_MOST_KNOWN: Final = 64

#: asyncio takes the length of the system's queue for the number of connections that it
#: accepts before others have the loop again. Who does not fit into the queue waits for a
#: second or more before it tries again.
_ACCEPTED_AT_ONCE: Final = 8
_QUEUE: Final = 1024

#: Why the system accepts no more connections.
_OUT_OF_RESOURCES: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
)


class GuardedServer(HAPServer):  # type: ignore[misc] # HAP-python has no types
    """Listens on several addresses at once, and keeps the number of connections down."""

    def __init__(self, driver: BridgeDriver) -> None:
        super().__init__((None, None), driver)
        self.loop = asyncio.get_running_loop()
        # Where it listens: host, None for all, and port.
        self._listening: dict[_Place, asyncio.Server] = {}
        # Every connection that still has a descriptor, in the order of their coming.
        self._open: dict[GuardedProtocol, None] = {}
        # Hosts from which controllers have come, the latest last.
        self._known: dict[str, None] = {}
        self._scheduled: deque[GuardedProtocol] = deque()
        self._is_making_room = False
        self._other_errors: Callable[..., object] | None = None
        self.absent: tuple[str, ...] = ()

    def begin(self) -> None:
        """Take care of connections from now on; `listen_on` lets them come."""
        self._other_errors = self.loop.get_exception_handler()
        self.loop.set_exception_handler(self._loop_failed)
        self.async_cleanup_connections()

    async def listen_on(self, hosts: Collection[str | None], port: int) -> None:
        """Listen there and nowhere else, None for all interfaces; connections stay.

        Raises OSError, and goes on listening where it did, where a place cannot be had. An
        address that is not there is no reason: one of IPv6 that has just come cannot be
        used for a moment. It is `absent`; the same call tries it again. The base knows one
        host, and does not move.
        """
        wanted: set[_Place] = {(host, port) for host in hosts}
        new, ends = wanted - self._listening.keys(), self._listening.keys() - wanted
        in_the_way = {place for place in ends if _excludes(place, new)}
        self._stop_listening(in_the_way)
        try:
            opened = await self._listen_at(new)
        except OSError:
            with contextlib.suppress(OSError):
                self._listening |= await self._listen_at(in_the_way)
            raise
        self._stop_listening(ends - in_the_way)
        self._listening |= opened
        self.absent = tuple(sorted(host for host, _ in new - opened.keys() if host))

    async def _listen_at(self, places: Collection[_Place]) -> dict[_Place, asyncio.Server]:
        """All of those that are there. Raises OSError, with none of them open."""
        opened: dict[_Place, asyncio.Server] = {}
        for host, port in sorted(places, key=str):
            try:
                opened[host, port] = await self._listen(host, port)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    continue
                for server in opened.values():
                    server.close()
                raise
        return opened

    async def _listen(self, host: str | None, port: int) -> asyncio.Server:
        server = await self.loop.create_server(
            lambda: GuardedProtocol(self.loop, self),
            host,
            port,
            backlog=_ACCEPTED_AT_ONCE,
        )
        for listening in server.sockets:
            with listening.dup() as queue:
                queue.listen(_QUEUE)
        return server

    def _stop_listening(self, places: Iterable[_Place]) -> None:
        for place in list(places):
            self._listening.pop(place).close()

    def async_stop(self) -> None:
        """Stop listening and hang up on everybody; the base closes its one socket."""
        self._connection_cleanup.cancel()
        self._stop_listening(self._listening)
        # Another server may have put its own in front; it leads here, and on.
        if self.loop.get_exception_handler() == self._loop_failed:
            self.loop.set_exception_handler(self._other_errors)
        for connection in self.all_connections():
            connection.close()
        self.connections.clear()

    def async_cleanup_connections(self) -> None:
        """Hang up, now and then, on those that have been silent for too long.

        The base looks every five minutes, and by the wall clock.
        """
        now = self.loop.time()
        for connection in self.all_connections():
            connection.check_idle(now)
        self._connection_cleanup = self.loop.call_later(
            _SWEEP_SECONDS, self.async_cleanup_connections
        )

    def all_connections(self) -> list[GuardedProtocol]:
        """Every connection that is still open, in the order of their coming."""
        return list(self._open)

    # -- who stays --------------------------------------------------------------------

    def admit(self, connection: GuardedProtocol) -> None:
        """Take in a connection; another stranger makes room where there are too many."""
        strangers = self._strangers()
        self._open[connection] = None
        if len(strangers) < MOST_STRANGERS:
            return
        leaving = makes_room(strangers, self.loop.time())
        _complaints.say(
            "full",
            f"{len(strangers)} strangers are connected, and one more comes from "
            f"{connection.host}: one makes room",
        )
        self._hang_up(leaving or connection)

    def _strangers(self) -> list[Visitor[GuardedProtocol]]:
        return [
            other.visitor(is_known=other.host in self._known)
            for other in self._open
            if not other.is_verified
        ]

    def let_in(self, connection: GuardedProtocol) -> None:
        """Take note of one that has been through pair-verify.

        Where controllers have too many connections, the longest idle of them ends.
        """
        self._known.pop(connection.host, None)
        self._known[connection.host] = None
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        verified = [
            other for other in self._open if other.is_verified and other is not connection
        ]
        if len(verified) >= MOST_VERIFIED:
            leaving = min(verified, key=lambda other: other.request_ended)
            _complaints.say(
                "many", f"controllers have more than {MOST_VERIFIED} connections open"
            )
            self._hang_up(leaving)

    def lost(self, connection: GuardedProtocol) -> None:
        """Forget a connection that has ended."""
        self._open.pop(connection, None)

    def _loop_failed(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        """Say in a line that a connection could not be accepted.

        asyncio would log that a hundred times over, with tracebacks.
        """
        error = context.get("exception")
        if (
            "socket" in context
            and isinstance(error, OSError)
            and error.errno in _OUT_OF_RESOURCES
        ):
            if not self._is_making_room:  # it is told many times in a row
                self._is_making_room = True
                loop.call_soon(self._make_room, error)
        elif self._other_errors is not None:
            self._other_errors(loop, context)
        else:
            loop.default_exception_handler(context)

    def _make_room(self, error: OSError) -> None:
        """Make what room there is; asyncio tries again in a second."""
        self._is_making_room = False
        _complaints.say(
            "resources",
            f"nobody can connect at the moment: {error.strerror}. Strangers that do "
            "nothing are hung up on; if this stays, raise the limit (ulimit -n)",
        )
        now, strangers = self.loop.time(), self._strangers()
        idle = does_nothing(strangers, now)
        last = makes_room(strangers, now)
        for connection in idle or ([last] if last is not None else []):
            self._hang_up(connection)

    def _hang_up(self, connection: GuardedProtocol) -> None:
        """End a connection at once, and stop counting it."""
        self._open.pop(connection, None)
        connection.abort()

    # -- whose turn it is -------------------------------------------------------------

    def schedule(self, connection: GuardedProtocol) -> None:
        """Let a connection go on: a controller's at once, strangers' one at a time.

        However many strangers ask however much, a controller waits for one of them.
        """
        if connection.is_verified:
            self.loop.call_soon(connection.proceed)
            return
        self._scheduled.append(connection)
        if len(self._scheduled) == 1:
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Let one stranger go on, who is still there.

        More may come and be hung up on in each turn than one: passing over those keeps
        the queue as short as the number of strangers.
        """
        while self._scheduled and self._scheduled[0].is_gone:
            self._scheduled.popleft()
        if not self._scheduled:
            return
        connection = self._scheduled.popleft()
        if self._scheduled:
            self.loop.call_soon(self._go_on)
        connection.proceed()


def _excludes(place: _Place, others: Iterable[_Place]) -> bool:
    """Whether the system gives no socket at one of `others` while there is one at `place`.

    One for all addresses and one for some of them are not had at the same port.
    """
    return any(
        place[1] == other[1] and (_is_for_all(place) or _is_for_all(other))
        for other in others
    )


def _is_for_all(place: _Place) -> bool:
    return place[0] in (None, "0.0.0.0", "::")  # noqa: S104 # only asked for
