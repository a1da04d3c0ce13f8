"""Well-behaved users of a bridge: a controller (aiohomekit's), and somebody unpaired."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, Protocol, Self

from aiohomekit.characteristic_cache import CharacteristicCacheMemory
from aiohomekit.controller.ip import IpController, IpPairing
from aiohomekit.controller.ip.discovery import IpDiscovery
from aiohomekit.exceptions import AuthenticationError, HomeKitException
from aiohomekit.model import Categories
from aiohomekit.model.characteristics import CharacteristicsTypes
from aiohomekit.model.feature_flags import FeatureFlags
from aiohomekit.model.services import ServicesTypes
from aiohomekit.model.status_flags import StatusFlags
from aiohomekit.zeroconf import HAP_TYPE_TCP, HomeKitService
from zeroconf.asyncio import AsyncZeroconf

from scripts.benches.servers import CODE, LOOPBACK


class RefusedError(Exception):
    """The lamp could not be read or set."""


#: What goes wrong when a server closes a connection, or answers something else.
FAILURES = (HomeKitException, RefusedError, OSError, asyncio.IncompleteReadError)

# It says in the log what is counted here.
logging.getLogger("aiohomekit").setLevel(logging.CRITICAL + 1)

Place = tuple[int, int]


class Home:
    """A controller that has paired, and any number of connections of it."""

    def __init__(self, controller: IpController, pairing: IpPairing) -> None:
        self._controller = controller
        self._data = pairing.pairing_data
        #: Where each lamp has its On, and its Brightness.
        self.lamps: list[tuple[Place, Place]] = []

    @classmethod
    async def pair(cls, port: int, code: str = CODE) -> Self:
        """Pair with the server on `port`, and find its lamps."""
        zeroconf = AsyncZeroconf(interfaces=[LOOPBACK])
        try:
            controller = IpController(CharacteristicCacheMemory(), zeroconf)
        finally:
            await zeroconf.async_close()  # the port is known: nobody is looked for
        pairing = await _pair(controller, port, code)
        home = cls(controller, pairing)
        await home._find_lamps(pairing)
        await pairing.close()
        return home

    async def _find_lamps(self, pairing: IpPairing) -> None:
        await pairing.list_accessories_and_characteristics()
        assert pairing.accessories is not None
        for accessory in sorted(pairing.accessories, key=lambda each: each.aid):
            for lamp in accessory.services.filter(service_type=ServicesTypes.LIGHTBULB):
                on, brightness = (
                    (accessory.aid, lamp[kind].iid)
                    for kind in (CharacteristicsTypes.ON, CharacteristicsTypes.BRIGHTNESS)
                )
                self.lamps.append((on, brightness))

    @property
    def on(self) -> Place:
        """That of the first lamp."""
        return self.lamps[0][0]

    @property
    def brightness(self) -> Place:
        """That of the first lamp."""
        return self.lamps[0][1]

    @property
    def keys(self) -> str:
        """What it keeps of the pairing, as JSON."""
        return json.dumps(self._data)

    def connection(self) -> IpPairing:
        """A connection that opens itself with the first request."""
        return IpPairing(self._controller, self._data)


async def _pair(controller: IpController, port: int, code: str) -> IpPairing:
    service = HomeKitService(
        name="bench",
        id="",
        model="",
        feature_flags=FeatureFlags(0),
        status_flags=StatusFlags(0),
        config_num=0,
        state_num=0,
        category=Categories.BRIDGE,
        protocol_version="1.1",
        type=HAP_TYPE_TCP,
        address=LOOPBACK,
        addresses=[LOOPBACK],
        port=port,
    )
    for _ in range(5):
        try:
            finish = await IpDiscovery(controller, service).async_start_pairing("home")
            pairing = await finish(code)
            assert isinstance(pairing, IpPairing)
            return pairing
        except AuthenticationError:
            # HAP-python fails one right code in a hundred.
            continue
    raise SystemExit("the bench could not pair")


class User(Protocol):
    """Somebody with one connection, who asks for something that is answered at once."""

    async def ask(self, turn: int) -> None:
        """Return once there is an answer. Raises one of FAILURES."""

    async def close(self) -> None:
        """Hang up."""


class Light:
    """A connection of a home, that reads the lamp and sets it in turn."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._pairing = home.connection()

    async def ask(self, turn: int) -> None:
        """GET or PUT the brightness."""
        place = self._home.brightness
        if turn % 2:
            change = (*place, turn % 100 + 1)
            refused: Any = await self._pairing.put_characteristics([change])
        else:
            answer = await self._pairing.get_characteristics([place])
            refused = "value" not in answer[place]
        if refused:
            raise RefusedError

    async def close(self) -> None:
        await self._pairing.close()


class Stranger:
    """Somebody who is not paired, and asks for what is not for strangers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, _turn: int) -> None:
        """Have GET /accessories refused; on a new connection where the last one failed."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(LOOPBACK, self._port)
            reader, writer = self._streams
            writer.write(b"GET /accessories HTTP/1.1\r\nHost: bridge\r\n\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            if length:
                await reader.readexactly(int(length))
            elif b"chunked" in head:
                await reader.readuntil(b"0\r\n\r\n")
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
