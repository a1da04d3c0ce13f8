"""Attacks by many connections at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
from collections.abc import Iterator
from functools import partial

from tests.e2e.conftest import until_async
from tests.e2e.door.client import (
    Client,
    Controller,
    Setup,
    Verify,
    accepted,
    close_all,
    request,
)
from tests.e2e.door.expectations import expect_status
from tests.e2e.door.servers import CODE, Server

MOST_STRANGERS = 16
MOST_VERIFIED = 48

#: What may be said of any number of attacks within a minute: each kind once.
MOST_LINES = 5


async def idle_crowd(server: Server, count: int = 500) -> None:
    """Connect and say nothing."""
    with open_files(count + 200):
        clients = [await server.connect() for _ in range(count)]
        await _expect_crowd(server, clients)
        await close_all(clients)


async def trickling_crowd(server: Server, count: int = 200) -> None:
    """Connect, and send a request a byte at a time."""
    with open_files(count + 200):
        clients: list[Client] = []
        for _ in range(count):
            clients.append(await server.connect())
            clients[-1].write(b"GET /")
            for client in clients:
                client.write(b"a")
        await _expect_crowd(server, clients)
        await close_all(clients)


async def _expect_crowd(server: Server, clients: list[Client]) -> None:
    """Assert that no more than sixteen stay, and that one more is let in."""
    watches = [asyncio.create_task(client.closed(1000)) for client in clients]
    try:
        async with asyncio.timeout(server.patience):
            while sum(watch.done() for watch in watches) < len(clients) - MOST_STRANGERS:
                await asyncio.wait(
                    [watch for watch in watches if not watch.done()],
                    return_when="FIRST_COMPLETED",
                )
    except TimeoutError:
        still_open = sum(not watch.done() for watch in watches)
        raise AssertionError(f"{still_open} connections kept") from None
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
    async with await server.connect() as client:
        expect_status(await client.get("/accessories"), 470)


async def crowd_against_pairing(server: Server) -> None:
    """Come in a crowd while somebody types the setup code."""
    async with await server.connect() as client:
        setup = Setup(client, CODE)
        accepted(await setup.m1())
        clients = [await server.connect("127.0.0.2") for _ in range(60)]
        clients += [await server.connect() for _ in range(60)]
        accepted(await setup.m3())
        clients += [await server.connect() for _ in range(60)]
        accepted(await setup.m5(Controller()))
        await close_all(clients)


async def crowd_against_sessions(server: Server) -> None:
    """Come in a crowd while controllers are there, and while they come."""
    sessions = [await server.session() for _ in range(3)]
    clients: list[Client] = []
    for _ in range(5):
        clients += [await server.connect() for _ in range(40)]
        sessions.append(await server.session())
    for client in sessions:
        expect_status(await client.get("/accessories"), 200)
    await close_all([*clients, *sessions])


async def crowd_of_sessions(server: Server) -> None:
    """Be a controller that opens session after session: the longest idle one goes."""
    sessions = [await server.session() for _ in range(MOST_VERIFIED)]
    expect_status(await sessions[0].get("/accessories"), 200)
    sessions.append(await server.session())
    strangers = [await server.connect() for _ in range(40)]
    assert await sessions.pop(1).closed() == b""
    for client in sessions:
        expect_status(await client.get("/accessories"), 200)
    await close_all([*strangers, *sessions])


async def crowd_in_the_middle(server: Server, hosts: int) -> None:
    """Begin pair-verify again and again, from several hosts, and never finish it."""
    home = await server.home()
    clients: list[Client] = []
    for number in range(100):
        client = await server.connect(f"127.0.0.{2 + number % hosts}")
        clients.append(client)
        with contextlib.suppress(ConnectionError):
            await Verify(client, home).m1()
    async with await server.session() as client:
        expect_status(await client.get("/accessories"), 200)
    await close_all(clients)


async def without_descriptors(server: Server, count: int = 100) -> None:
    """Use up the descriptors of the process, which has few, all at once."""
    session = await server.session()
    before = server.complaints()
    tried = [asyncio.create_task(server.connect()) for _ in range(count)]
    # What does not fit into the queue of the port is not let in.
    await asyncio.wait(tried, timeout=2)
    for task in tried:
        task.cancel()
    arrived = await asyncio.gather(*tried, return_exceptions=True)
    # Who is in is served.
    expect_status(await session.get("/accessories"), 200)
    try:
        async with asyncio.timeout(server.patience):
            await until_async(partial(_is_served, server))
    except TimeoutError:
        raise AssertionError("closed to its own controller") from None
    finally:
        crowd = [client for client in arrived if isinstance(client, Client)]
        await close_all([session, *crowd])
    log = server.log()
    assert "Traceback" not in log, "a traceback"
    assert server.complaints() - before < MOST_LINES, log


async def _is_served(server: Server) -> bool:
    """Whether the controller at home is let in."""
    try:
        async with await server.session() as client:
            return (await client.get("/accessories")).status == 200
    except ConnectionError:
        return False


async def fuzzed_crowd(server: Server, count: int, seed: int = 1) -> None:
    """Send all kinds of nonsense; it is refused, and said in few lines."""
    rng = random.Random(seed)
    before = server.complaints()
    for _ in range(count):
        with contextlib.suppress(ConnectionError):
            async with await server.connect() as client:
                client.write(nonsense(rng))
                client.finish()
                await client.closed()
    log = server.log()
    assert "Traceback" not in log, f"{log.count('Traceback')} tracebacks"
    assert server.complaints() - before < MOST_LINES, log
    async with await server.connect() as client:
        expect_status(await client.get("/accessories"), 470)


def nonsense(rng: random.Random) -> bytes:
    """A request that was almost right, or never."""
    path = rng.choice(["/pair-setup", "/pair-verify", "/pairings", "/accessories", "/%"])
    method = rng.choice(["GET", "POST", "PUT", "DELETE", "é"])
    body = bytes([6, 1, rng.randrange(8)]) + rng.randbytes(rng.randrange(60))
    data = bytearray(request(method, path, body))
    if rng.random() < 0.6:
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data) if rng.random() < 0.9 else rng.randbytes(rng.randrange(1, 400))


@contextlib.contextmanager
def open_files(count: int) -> Iterator[None]:
    """Let this process have that many descriptors open, if the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
