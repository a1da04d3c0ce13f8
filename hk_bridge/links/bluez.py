"""What BlueZ says of itself over D-Bus: whether it runs, its adapters, their power.

A scan that has lost its daemon or its adapter goes silent without a word
(docs/radio.md, "What a scan does not tell"), so this watches the things themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from dbus_fast import Message, MessageFlag, MessageType, unpack_variants
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError

from hk_bridge.errors import LinkError
from hk_bridge.links.adapters import Adapter, choose, has_hardware
from hk_bridge.links.radio_faults import (
    HANGS,
    NO_BLUEZ,
    NO_BLUEZ_NOR_ADAPTER,
    NO_DBUS,
    explain,
)
from hk_bridge.links.system_bus import connect

_LOG = logging.getLogger(__name__)

_BLUEZ: Final = "org.bluez"
_ADAPTER: Final = "org.bluez.Adapter1"
_MONITORS: Final = "org.bluez.AdvertisementMonitorManager1"
_BUS: Final = "org.freedesktop.DBus"
_OBJECTS: Final = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_ADAPTER_PATH: Final = re.compile(r"/org/bluez/(hci\d+)")

#: A match rule can name one object, or one with all its devices, of which there are many.
_MOST_ADAPTERS: Final = 16

_SIGNAL: Final = f"type='signal',sender='{_BLUEZ}'"
_RULES: Final = (
    f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg0='{_BLUEZ}'",
    f"{_SIGNAL},interface='{_PROPERTIES}',path_namespace='/org/bluez',arg0='{_ADAPTER}'",
    *(
        f"{_SIGNAL},interface='{_OBJECTS}',arg0path='/org/bluez/hci{number}'"
        for number in range(_MOST_ADAPTERS)
    ),
)

#: D-Bus itself would wait for an answer without end.
_ANSWER_SECONDS: Final = 10.0

#: Waiting longer than this for a service to be started would keep other news back.
_WAKE_SECONDS: Final = 2.0


@asynccontextmanager
async def watch(*, wake: bool) -> AsyncIterator[BlueZ]:
    """Follow BlueZ on the system bus, which starts it if it can and is to `wake` it.

    Raises LinkError where the bus is out of reach.

    It stays right while BlueZ comes and goes; a bus that is lost ends it.
    """
    bus = await connect()
    bluez = BlueZ(bus)
    lost = asyncio.create_task(bluez.follow_connection())
    try:
        await bluez.subscribe(wake=wake)
        yield bluez
    finally:
        bus.disconnect()
        await lost


class BlueZ:
    """The adapters of a BlueZ that may come and go; made by `watch`."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._objects: dict[str, dict[str, dict[str, Any]]] = {}
        self._adapters: dict[str, Adapter] = {}
        self._spell = 0
        self._owner: str | None = None
        self._held: list[Message] | None = None
        self._is_outdated = True
        self._is_lost = False
        self._changed = asyncio.Event()

    def adapter(self, wanted: str | None) -> Adapter:
        """The adapter to listen with now, see `choose`. Raises LinkError."""
        if self._is_lost:
            raise LinkError(NO_DBUS)
        if not self._owner:
            raise LinkError(NO_BLUEZ if has_hardware() else NO_BLUEZ_NOR_ADAPTER)
        return choose(self._adapters.values(), wanted)

    async def changed(self) -> None:
        """Return once something of it has changed since the last call.

        Raises LinkError once the bus is lost, and where BlueZ does not answer.
        """
        await self._changed.wait()
        if self._is_lost:
            raise LinkError(NO_DBUS)
        self._changed.clear()
        if self._is_outdated:
            await self._refresh()

    async def subscribe(self, *, wake: bool) -> None:
        """Ask for the signals, then for what there is. Raises LinkError."""
        self._bus.add_message_handler(self._take)
        for rule in _RULES:
            await self._ask(_BUS, "AddMatch", "s", [rule])
        if wake:
            # Some systems start it when it is asked for. When it stops later, somebody
            # has stopped it.
            with contextlib.suppress(LinkError):
                body = [_BLUEZ, 0]
                await self._ask(_BUS, "StartServiceByName", "su", body, _WAKE_SECONDS)
        owner = ""
        with contextlib.suppress(LinkError):
            (owner,) = await self._ask(_BUS, "GetNameOwner", "s", [_BLUEZ])
        if self._owner is None:  # nobody has come or gone since it was asked for
            self._owner = owner
        await self._refresh()

    async def follow_connection(self) -> None:
        """Return once the bus is gone, after having told."""
        try:
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call] # dbus-fast gives it none
        except (OSError, EOFError, DBusFastError) as error:
            _LOG.debug("the bus is lost: %r", error)
        finally:
            self._is_lost = True
            self._changed.set()

    async def _refresh(self) -> None:
        """Take over everything that BlueZ has. Raises LinkError.

        Several messages may be worked off before this goes on behind the answer: what
        comes meanwhile is held, and done then.
        """
        self._is_outdated = False
        self._held = []
        objects: Mapping[str, Any] = {}
        try:
            if self._owner:
                (objects,) = await self._ask(
                    _BLUEZ, "GetManagedObjects", path="/", interface=_OBJECTS
                )
        except LinkError:
            if not self._is_outdated:
                raise
        except asyncio.CancelledError:
            self._is_outdated = True
            self._changed.set()
            raise
        finally:
            held, self._held = self._held, None
        if self._is_outdated:  # it has come or gone meanwhile, which is told already
            return
        self._objects = {
            path: unpack_variants(interfaces)
            for path, interfaces in objects.items()
            if _is_adapter(path)
        }
        for message in held:
            self._take_objects(message)
        self._look()

    async def _ask(
        self,
        destination: str,
        member: str,
        signature: str = "",
        body: list[Any] | None = None,
        seconds: float | None = None,
        *,
        path: str = "/org/freedesktop/DBus",
        interface: str = _BUS,
    ) -> list[Any]:
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body or [],
            flags=MessageFlag.NO_AUTOSTART,
        )
        try:
            async with asyncio.timeout(seconds or _ANSWER_SECONDS):
                reply = await self._bus.call(message)
        except TimeoutError as error:
            raise LinkError(HANGS) from error
        except (OSError, EOFError, DBusFastError) as error:
            raise LinkError(NO_DBUS) from error
        if reply is None:  # the bus was closed while it was waited for
            raise LinkError(NO_DBUS)
        if reply.message_type is MessageType.ERROR:
            raise LinkError(explain(reply.error_name or "", *reply.body[:1]))
        answer: list[Any] = reply.body
        return answer

    # -- signals ----------------------------------------------------------------------

    def _take(self, message: Message) -> None:
        """One message of the bus, from the bus itself or from BlueZ."""
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.sender == _BUS:
            self._take_owner(message)
        elif message.sender == self._owner:
            if self._held is None:
                self._take_objects(message)
            else:
                self._held.append(message)

    def _take_owner(self, message: Message) -> None:
        match message.member, message.body:
            case "NameOwnerChanged", [str(name), _, str(owner)] if name == _BLUEZ:
                self._owner = owner
                self._objects.clear()
                self._held = None if self._held is None else []
                self._is_outdated = True
                self._look()
                self._changed.set()

    def _take_objects(self, message: Message) -> None:
        match message.member, message.body:
            case "InterfacesAdded", [str(path), dict(added)] if _is_adapter(path):
                self._objects.setdefault(path, {}).update(unpack_variants(added))
                self._look()
            case "InterfacesRemoved", [str(path), list(removed)] if _is_adapter(path):
                for interface in removed:
                    self._objects.get(path, {}).pop(interface, None)
                self._look()
            case "PropertiesChanged", [str(interface), dict(changes), list(_)]:
                properties = self._objects.get(message.path or "", {}).get(interface)
                if properties is not None:
                    properties.update(unpack_variants(changes))
                    self._look()

    def _look(self) -> None:
        """Make adapters of the objects, and tell where that changes something."""
        adapters: dict[str, Adapter] = {}
        for path, interfaces in self._objects.items():
            if (properties := interfaces.get(_ADAPTER)) is None:
                continue
            known = self._adapters.get(path)
            adapter = Adapter(
                path.rpartition("/")[2],
                str(properties.get("Address", "")),
                bool(properties.get("Powered")),
                # BlueZ before 5.48 does not say; what else it is for is the rule.
                "central" in properties.get("Roles", ["central"]),
                _MONITORS in interfaces,
                known.spell if known is not None else 0,
            )
            if known is None or (adapter.is_on and not known.is_on):
                self._spell += 1
                adapter = replace(adapter, spell=self._spell)
            adapters[path] = adapter
        if adapters != self._adapters:
            self._adapters = adapters
            self._changed.set()


def _is_adapter(path: str) -> bool:
    return _ADAPTER_PATH.fullmatch(path) is not None
