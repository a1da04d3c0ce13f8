"""The same attack over and over, while somebody else lives in the house."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohomekit.controller.ip import IpController, IpPairing
from aiohomekit.exceptions import BusyError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.e2e.conftest import events, pair, until
from tests.e2e.door.characteristics import item, put
from tests.e2e.door.client import (
    PATIENCE,
    PROOF,
    PUBLIC_KEY,
    Client,
    Controller,
    Verify,
    close_all,
    state,
)
from tests.e2e.door.crowds import nonsense
from tests.e2e.door.expectations import expect
from tests.e2e.door.framing import MIB, PAIR_SETUP, pour
from tests.e2e.door.pair_setup import M1, SOME_KEY, WRONG_PROOF
from tests.e2e.door.places import Place
from tests.e2e.door.servers import Attack, HkBridge, Server

#: Another host than the one that well-behaved clients are on.
ELSEWHERE = "127.0.0.2"


@dataclass
class Count:
    """How often an attack has been made."""

    made: int = 0


@asynccontextmanager
async def flood(server: Server, attack: Attack, lanes: int = 6) -> AsyncIterator[Count]:
    """Make an attack again and again in several lanes, from the first one made on."""
    count = Count()

    async def lane() -> None:
        while True:
            # To be cut off is what becomes of an attack.
            with suppress(ConnectionError):
                await attack(server)
            count.made += 1
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(lane()) for _ in range(lanes)]
    try:
        await until(lambda: count.made or any(task.done() for task in tasks))
        yield count
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if not isinstance(result, asyncio.CancelledError):
            raise AssertionError("an attack failed") from result


# -- attacks ---------------------------------------------------------------------------


async def beginning(server: Server) -> None:
    """Begin pair-setup many times."""
    async with await server.connect(ELSEWHERE) as client:
        for _ in range(20):
            await client.pair_setup(*M1)


async def guessing(server: Server) -> None:
    """Guess the setup code."""
    async with await server.connect(ELSEWHERE) as client:
        for _ in range(5):
            await client.pair_setup(*M1)
            await client.pair_setup(state(3), (PUBLIC_KEY, SOME_KEY), (PROOF, WRONG_PROOF))


async def verifying(server: Server) -> None:
    """Begin pair-verify many times."""
    async with await server.connect(ELSEWHERE) as client:
        verify = Verify(client, Controller())
        for _ in range(20):
            await verify.m1()


async def failing_to_verify(server: Server) -> None:
    """Go through pair-verify as somebody unknown."""
    async with await server.connect(ELSEWHERE) as client:
        verify = Verify(client, Controller())
        await verify.m1()
        await verify.m3()


async def idling(server: Server) -> None:
    """Come in a crowd, and say nothing."""
    await _crowd(server, b"")


async def trickling(server: Server) -> None:
    """Come in a crowd, and send a byte now and then."""
    await _crowd(server, b"G")


async def _crowd(server: Server, data: bytes) -> None:
    clients = [await server.connect(ELSEWHERE) for _ in range(30)]
    for _ in range(5):
        for client in clients:
            client.write(data)
        await asyncio.sleep(0.01)
    await close_all(clients)


async def pouring(server: Server) -> None:
    """Send a body without end."""
    async with await server.connect(ELSEWHERE) as client:
        head = PAIR_SETUP + b"Content-Length: 100000000000\r\n\r\n"
        await pour(client, head, 4 * MIB)


async def babbling(server: Server) -> None:
    """Send nonsense."""
    async with await server.connect(ELSEWHERE) as client:
        client.write(nonsense(random.Random()))
        client.finish()
        await client.closed()


async def garbling(server: Server) -> None:
    """Send garbage on an encrypted connection."""
    async with await server.session(source=ELSEWHERE) as client:
        client.write(b"\x00\x01" + os.urandom(400))
        await client.closed()


# -- the one who lives there -------------------------------------------------------------


class Inhabitant:
    """A well-behaved controller: everything that it asks for must be done."""

    def __init__(self, home: IpController, pairing: IpPairing, server: Server) -> None:
        self._home, self._data, self._server = home, pairing.pairing_data, server
        key = bytes.fromhex(self._data["iOSDeviceLTSK"])
        #: How often it was not let in at once.
        self.refused = 0
        self.controller = Controller(
            self._data["iOSPairingId"].encode(), Ed25519PrivateKey.from_private_bytes(key)
        )

    async def live(self, rounds: int) -> None:
        """Connections, one after the other, with reads, writes and events on each."""
        self._places = await self._server.places(self.controller)
        async with await self._session() as other:
            for number in range(rounds):
                self._pairing = IpPairing(self._home, self._data)
                try:
                    await self._stay(other, number)
                finally:
                    await self._pairing.close()

    async def _session(self) -> Client:
        """A second connection, tried until it is let in."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    return await self._server.session(self.controller)
                except ConnectionError:
                    self.refused += 1
                    await asyncio.sleep(0.1)

    async def _stay(self, other: Client, number: int) -> None:
        await self._pairing.list_accessories_and_characteristics()
        told = events(self._pairing)
        await self._pairing.subscribe([self._places.on])
        for percent in range(1 + number, 5 + number):
            await self._write(percent)
        # What another controller sets is told.
        for value in (True, False):
            expect(await put(other, item(self._places.on, value=value)), 204)
            await until(partial(self._is_told, told, value))

    def _is_told(self, told: dict[Place, Any], value: object) -> bool:
        return told.get(self._places.on) is value

    async def _write(self, percent: int) -> None:
        place = self._places.brightness
        assert await self._pairing.put_characteristics([(*place, percent)]) == {}
        read = await self._pairing.get_characteristics([place, self._places.temperature])
        assert read[place]["value"] == percent
        assert "value" in read[self._places.temperature]


async def pair_when_free(controller: IpController, bridge: HkBridge) -> IpPairing:
    """Pair, and try again for as long as wrong codes of others hold it up."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await pair(controller, bridge.identity)
            except BusyError:
                await asyncio.sleep(0.1)
