"""What one connection is told, and how it ends.

The half of connection.py that sends; a subclass of HAP-python's protocol, which sends
without looking whether anybody reads, and waits for that without end.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final

from pyhap.accessory import get_topic
from pyhap.hap_event import create_hap_event
from pyhap.hap_protocol import HAPServerProtocol

from hk_bridge.homekit import database
from hk_bridge.homekit.events import URGENT, EventQueue, Key
from hk_bridge.homekit.frames import Frames

if TYPE_CHECKING:
    from hk_bridge.homekit.bridge import BridgeDriver

#: How long somebody that is hung up on has for reading the last answer.
_LEAVING_SECONDS: Final = 2.0

#: One that reads nothing of what it has asked for is gone.
_STALLED_SECONDS: Final = 30.0


class OutgoingProtocol(HAPServerProtocol):  # type: ignore[misc] # HAP-python has no types
    """Sends answers and events."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connections: MutableMapping[Any, Any],
        driver: BridgeDriver,
    ) -> None:
        super().__init__(loop, connections, driver)
        self.hap_crypto: Frames | None = None
        self._event_timer: asyncio.TimerHandle | None = None
        self._events = EventQueue()
        self._is_leaving = False
        self._leaving: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    @property
    def is_verified(self) -> bool:
        """Whether a paired controller holds it, and still may."""
        return self.hap_crypto is not None and not self._is_leaving

    @property
    def is_gone(self) -> bool:
        """Whether it has been hung up on, or is about to be."""
        return bool(self.transport.is_closing())

    # -- the end ----------------------------------------------------------------------

    def close(self) -> None:
        """Hang up once what has been said is out; the base would wait without end."""
        if not self._is_leaving:
            self._begin_to_leave()
        self.transport.close()

    def abort(self) -> None:
        """Hang up at once."""
        self._withdraw()
        self.transport.abort()

    def _withdraw(self) -> None:
        """Answer nothing more, and tell of nothing more."""
        self._is_leaving = True
        if self.connections.get(self.peername) is self:
            del self.connections[self.peername]
        if self._event_timer is not None:
            self._event_timer.cancel()

    def _begin_to_leave(self) -> None:
        self._withdraw()
        self._leaving = self.loop.call_later(_LEAVING_SECONDS, self.transport.abort)

    # -- answers ----------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send; the base logs what it sends, and notes the time by the wall clock.

        It also calls writelines, which in Python 3.12 and 3.13 has releases that do not
        say when a buffer is full, and raises on a connection that is being closed.
        """
        self.last_activity = self.loop.time()
        if self.hap_crypto is None:
            self.transport.write(data)
            return
        for frames in self.hap_crypto.encrypt(data):
            self.transport.write(frames)

    def pause_writing(self) -> None:
        """Take no more of one that does not read; the base would answer it for ever."""
        self.transport.pause_reading()
        self._stalled = self.loop.call_later(_STALLED_SECONDS, self.abort)

    def resume_writing(self) -> None:
        """Tell one that reads again what it has missed."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        self._send_events()

    # -- events -----------------------------------------------------------------------

    def queue_event(self, data: dict[str, Any], immediate: bool) -> None:  # noqa: FBT001 # HAP-python's
        """Tell of a change when it is due; the base holds each back half a second."""
        aid, iid = data["aid"], data["iid"]
        found = self.accessory_driver.accessory.get_characteristic(aid, iid)
        urgent = immediate or (found is not None and found.display_name in URGENT)
        due = self._events.put((aid, iid), urgent=urgent, now=self.loop.time())
        if self._event_timer is None or due < self._event_timer.when():
            if self._event_timer is not None:
                self._event_timer.cancel()
            self._event_timer = self.loop.call_at(due, self._send_events)

    def drop_event(self, key: Key) -> None:
        """Do not tell of a value that this controller has just set itself."""
        self._events.drop(key)

    def _send_events(self) -> None:
        """Send what is due; the base sends what was true when it was queued."""
        self._event_timer = None
        if self._stalled or not self.is_verified or self.transport.is_closing():
            return
        topics = self.accessory_driver.topics
        subscribed = [
            key
            for key in self._events.take(self.loop.time())
            if self.peername in topics.get(get_topic(*key), ())
        ]
        if changes := database.changes(self.accessory_driver.accessory, subscribed):
            self.write(create_hap_event(changes))
