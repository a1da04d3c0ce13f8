"""A bridge with a lamp and a sensor in this process, and what it stands on."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

from hk_bridge.devices.dimmer import Lamp
from hk_bridge.devices.sensor import SensorView
from hk_bridge.errors import LinkError
from hk_bridge.homekit.accessories import HouseBridge, LampAccessory, SensorAccessory
from hk_bridge.homekit.appearance import Information
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.homekit.connection import GuardedProtocol
from hk_bridge.homekit.guard import GuardedServer
from hk_bridge.homekit.identity import Pairing
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.store import Store
from tests.e2e.door.client import Client, Controller, Verify, accepted

LOOPBACK = Network(("127.0.0.1",), ("127.0.0.1",))
LAMP, SENSOR = 2, 3
NAME, TEMPERATURE, HUMIDITY, ON, BRIGHTNESS = 5, 33, 49, 81, 82

#: Long enough for the slowest machine.
PATIENCE = 20.0


async def until(condition: Callable[[], object]) -> None:
    """Return once it holds; other clocks than the machine's may stand still meanwhile."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it has not come to that"
        await asyncio.sleep(0.001)


async def closed_by(client: Client) -> bytes:
    """What came until the bridge closed; an abort of a connection is a close too."""
    try:
        return await client.closed()
    except ConnectionError:
        return b""


class Clock:
    """The clock of the running loop, which can be put forward."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._offset, self._real = 0.0, loop.time
        loop.time = lambda: self.now  # type: ignore[method-assign] # no other way to turn it

    @property
    def now(self) -> float:
        return self._real() + self._offset

    def forward(self, seconds: float) -> None:
        """What is due by then happens once the loop runs again."""
        self._offset += seconds


class Mdns:
    """Stands for zeroconf, and takes note of what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.fails = False

    def _tell(self, what: str) -> None:
        if self.fails:
            raise OSError(errno.ENETUNREACH, "no network")
        self.told.append(what)

    async def async_register_service(self, _info: object, *, asks: bool) -> bool:
        """Nobody else has the name, whether or not it is asked."""
        self._tell("registered")
        return asks in (True, False)

    async def async_update_service(self, _info: object) -> None:
        self._tell("updated")

    async def async_unregister_service(self, _info: object) -> Awaitable[None]:
        self._tell("unregistered")
        return asyncio.sleep(0)


class House:
    """A driver with a lamp and a sensor on it; it listens once it is told to."""

    def __init__(self, store: Store, number: int = 0) -> None:
        self.store = store
        self.lamp = Lamp(on=True, brightness=40)
        self.line_is_there = True
        self.calls: list[tuple[bool | None, int | None]] = []
        self.identified = 0
        self.mdns = Mdns()
        responder: Any = self.mdns
        self.driver = BridgeDriver(store, LOOPBACK, 0, responder, number)
        about = Information("Name", "Maker", "Model", "Serial")
        bridge = HouseBridge(self.driver, about, self._identify)
        self.lamp_accessory = LampAccessory(
            self.driver,
            about,
            LAMP,
            lambda: None,
            apply=self._apply,
            reachable=lambda: self.line_is_there,
        )
        self.lamp_accessory.show(self.lamp)
        self.sensor_accessory = SensorAccessory(
            self.driver,
            about,
            SENSOR,
            lambda: None,
            quantities={"temperature", "humidity"},
        )
        bridge.add_accessory(self.lamp_accessory)
        bridge.add_accessory(self.sensor_accessory)
        self.driver.add_accessory(bridge)

    def _identify(self) -> None:
        self.identified += 1

    def _apply(self, on: bool | None, brightness: int | None) -> Lamp:
        if not self.line_is_there:
            raise LinkError("the line is not there")
        self.calls.append((on, brightness))
        self.lamp = self.lamp.set(on=on, brightness=brightness)
        return self.lamp

    def measure(self, temperature: float | None, humidity: float | None = None) -> None:
        """Have the sensor tell its values."""
        self.sensor_accessory.show(SensorView(temperature, humidity, None, None))

    @property
    def controllers(self) -> set[UUID]:
        return set(self.driver.state.paired_clients)

    def pair(self, *, admin: bool = True) -> Controller:
        """A controller that has been through pair-setup."""
        controller = Controller()
        pairing = Pairing(controller.identifier, controller.public_key, admin)
        assert self.driver.add_pairing(pairing)
        return controller

    # -- over the network -------------------------------------------------------------

    @property
    def server(self) -> GuardedServer:
        server: GuardedServer = self.driver.http_server
        return server

    @property
    def port(self) -> int:
        (listening,) = self.server._listening.values()
        port: int = listening.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> list[GuardedProtocol]:
        """All that are open, in the order of their coming."""
        return list(self.server._open)

    async def connect(self, source: str = "127.0.0.1") -> Client:
        """A connection that the bridge knows of."""
        client = await Client.connect(self.port, source)
        await until(lambda: self.connection_of(client))
        return client

    async def session(self, controller: Controller, source: str = "127.0.0.1") -> Client:
        """A connection that has been through pair-verify."""
        client = await self.connect(source)
        verify = Verify(client, controller)
        accepted(await verify.m1())
        accepted(await verify.m3())
        verify.secure()
        return client

    def connection_of(self, client: Client) -> GuardedProtocol | None:
        """The bridge's end of a connection; None where it has none any more."""
        for connection in self.connections:
            if connection.peername == client.address:
                return connection
        return None

    def end_of(self, client: Client) -> GuardedProtocol:
        connection = self.connection_of(client)
        assert connection is not None
        return connection


async def strangers(
    house: House, stack: AsyncExitStack, count: int, source: str = "127.0.0.1"
) -> list[Client]:
    return [
        await stack.enter_async_context(await house.connect(source)) for _ in range(count)
    ]


def is_connected(house: House, client: Client) -> bool:
    return house.connection_of(client) is not None


async def reused(source: tuple[str, int], target: tuple[str, int]) -> Any:
    """Streams from a port that several connections may begin at."""
    end = socket.socket()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    end.setblocking(False)
    end.bind(source)
    await asyncio.get_running_loop().sock_connect(end, target)
    return await asyncio.open_connection(sock=end)
