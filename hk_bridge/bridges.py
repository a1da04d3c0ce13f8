"""All bridges of the process: as many as the accessories need, each paired by itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from hk_bridge.accessory_server import AccessoryServer, Device, Place
from hk_bridge.complaints import Complaints
from hk_bridge.config import Config
from hk_bridge.errors import LinkError
from hk_bridge.homekit.identity import THE_BRIDGE, Identity
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.responder import Responder
from hk_bridge.homekit.store import Store
from hk_bridge.identities import homes, settle
from hk_bridge.status import BridgeStatus

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

_TICK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where all bridges are, by their numbers."""

    network: Network
    port: int
    servers: Mapping[int, Place]


class Bridges:
    """Serves `devices` on the bridges on which the store has them.

    `welcome` is called with name and identity of each bridge that controllers can connect
    to anew.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        network: Network,
        port: int,
        responder: Responder,
        devices: Collection[Device],
        welcome: Callable[[str, Identity], None],
    ) -> None:
        self._store = store
        self._config = config
        self._network = network
        self._port = port
        self._responder = responder
        self._devices = devices
        self._welcome = welcome
        #: Held by whoever changes what there is, or where.
        self.changing = asyncio.Lock()
        self._announcing: asyncio.TaskGroup | None = None
        self._servers: dict[int, AccessoryServer] = {}
        for number in self._needed():
            self._servers[number] = self._server(number)

    # -- from start to end ------------------------------------------------------------

    async def listen(self) -> None:
        """Accept controllers. Raises LinkError where the first bridge has no port."""
        for number, server in self._servers.items():
            await self._open(number, server)

    async def run(self) -> None:
        """Announce the bridges, and let go of what has no entry, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._announcing = group
            for server in self._servers.values():
                group.create_task(server.announce())
            while True:
                await asyncio.sleep(_TICK_SECONDS)
                for server in self._servers.values():
                    server.expire()

    async def close(self) -> None:
        """Say goodbye and close all connections; a second time does nothing."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    def welcome(self) -> None:
        """Say of each bridge how it can be paired."""
        for server in self._servers.values():
            server.welcome()

    # -- changes ----------------------------------------------------------------------

    @property
    def port(self) -> int:
        """That of the first bridge."""
        return self._port

    async def move(self, network: Network, port: int) -> None:
        """Be on this network, and on these ports, with all connections that can go on.

        Raises LinkError where the first bridge cannot; then all are where they were. What
        else could not be had, `lacks` says.
        """
        before = self.places()
        # Each goes to a port that the next one may still have.
        servers = sorted(self._servers.items(), reverse=port > self._port)
        for number, server in servers:
            try:
                await server.move(network, port)
            except LinkError:
                if number == 0:
                    await self.return_to(before)
                    raise
        self._network, self._port = network, port
        try:
            # What it announces in new places has the new addresses already.
            await self._responder.follow(network)
        except LinkError as error:
            _complaints.say("mdns", f"Home cannot find the bridge: {error}")

    def places(self) -> Places:
        """Where all of them are."""
        servers = {number: server.place for number, server in self._servers.items()}
        return Places(self._network, self._port, servers)

    async def return_to(self, places: Places) -> None:
        """Be where they were, as far as that can be had."""
        ways = sorted(places.servers.items(), reverse=places.port > self._port)
        for number, place in ways:
            with contextlib.suppress(LinkError):
                await self._servers[number].return_to(place)
        if self._network != places.network:
            with contextlib.suppress(LinkError):
                await self._responder.follow(places.network)
        self._network, self._port = places.network, places.port

    def lacks(self) -> tuple[str, ...]:
        """What cannot be had of the network at the moment, in a person's words."""
        lacks = [
            f"{server.name} cannot be reached at {', '.join(missing)}"
            for server in self._servers.values()
            if (missing := server.lacks(self._network, self._port))
        ]
        if absent := self._responder.absent:
            lacks.append(f"mDNS cannot be spoken from {', '.join(absent)}")
        return tuple(lacks)

    async def change(self, config: Config, devices: Collection[Device]) -> None:
        """Show `devices` from now on, with what the store has made of this configuration.

        Nothing that can go on is interrupted.
        """
        self._config, self._devices = config, devices
        for number in self._needed():
            server = self._servers.get(number)
            if server is not None:
                await server.change(config.bridge, self._on(number))
                continue
            server = self._server(number)
            # In the order of their numbers, in which they are listed.
            self._servers = dict(sorted({**self._servers, number: server}.items()))
            await self._open(number, server)
            if self._announcing is not None:
                self._announcing.create_task(server.announce())
            _LOG.warning("%s is new: add it to Home as well", server.name)
            server.welcome()

    async def reset_pairings(self, number: int | None = None) -> int:
        """Forget all controllers of one bridge, or of all; returns how many there were.

        Devices and links go on. Raises StoreError with nothing changed, LinkError where
        there is no such bridge or a port cannot be had again.
        """
        async with self.changing:
            numbers = [*self._servers] if number is None else [number]
            if number is not None and number not in self._servers:
                raise LinkError(f"there is no bridge {number + 1}")
            before = self._store.bridges
            self._store.put_all(
                settle(
                    tuple(
                        each.without_pairings() if index in numbers else each
                        for index, each in enumerate(before)
                    ),
                    self._config,
                )
            )
            count = sum(len(before[each].pairings) for each in numbers)
            _LOG.warning("all controllers were forgotten (%d): pairing reset", count)
            failures = []
            for each in numbers:
                try:
                    await self._servers[each].renew()
                except LinkError as error:
                    failures.append(str(error))
            if failures:
                raise LinkError(f"the pairing is forgotten, but {failures[0]}")
        return count

    # -- what there is ----------------------------------------------------------------

    def status(self) -> tuple[BridgeStatus, ...]:
        """How Home sees each of them now."""
        return tuple(server.status() for server in self._servers.values())

    def _needed(self) -> list[int]:
        """Those that show something, or that somebody has in Home; always the first."""
        by_bridge = homes(self._store.bridges)
        used = {by_bridge[device.identity] for device in self._devices}
        return [
            number
            for number, identity in enumerate(self._store.bridges)
            if number == 0
            or number in used
            or identity.pairings
            or identity.shown.keys() - {THE_BRIDGE}
        ]

    def _on(self, number: int) -> list[Device]:
        """The devices on one bridge."""
        aids = self._store.bridge(number).aids
        return [each for each in self._devices if each.identity in aids]

    def _server(self, number: int) -> AccessoryServer:
        return AccessoryServer(
            self._store,
            number,
            self._config.bridge,
            self._network,
            self._port,
            self._responder,
            self._on(number),
            self._welcome,
            self.changing,
        )

    async def _open(self, number: int, server: AccessoryServer) -> None:
        """Have a bridge accept controllers; all but the first may do so later."""
        try:
            await server.listen()
        except LinkError as error:
            if number == 0:
                raise
            _complaints.say(("listen", number), f"Home cannot reach {server.name}: {error}")
