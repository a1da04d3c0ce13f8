"""Who may stay connected, and whose turn it is, over loopback."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from hk_bridge.homekit.network import Network
from tests.e2e.door.client import Client, Verify, accepted, state
from tests.fakes.ports import free_port
from tests.homekit.house import (
    Clock,
    House,
    closed_by,
    is_connected,
    reused,
    strangers,
    until,
)
from tests.homekit.visit import said

STRANGERS, VERIFIED = 16, 48
M1 = state(1)


# -- who stays ----------------------------------------------------------------------------


async def test_the_oldest_of_seventeen_strangers_makes_room(
    door: House, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        clients = await strangers(door, stack, STRANGERS)
        assert [is_connected(door, client) for client in clients] == [True] * STRANGERS
        assert said(caplog) == []
        more = await strangers(door, stack, 3)
        assert await closed_by(clients[0]) == b""
        assert [is_connected(door, client) for client in clients[:4]] == [False] * 3 + [
            True
        ]
        assert len(door.connections) == STRANGERS
        assert (await more[0].request("POST", "/identify")).status == 204
        (line,) = said(caplog)
        assert "16 strangers are connected, and one more comes from 127.0.0.1" in line


async def test_the_host_with_the_most_makes_room(door: House) -> None:
    async with AsyncExitStack() as stack:
        (first,) = await strangers(door, stack, 1, "127.0.0.2")
        crowd = await strangers(door, stack, STRANGERS + 5)
        assert is_connected(door, first)
        assert not is_connected(door, crowd[0])


async def test_whoever_said_something_stays_longer(door: House) -> None:
    async with AsyncExitStack() as stack:
        clients = await strangers(door, stack, STRANGERS)
        # Bytes are nothing; a request is.
        clients[1].write(b"GET")
        await until(lambda: door.end_of(clients[1])._unfinished_since)
        assert (await clients[0].get("/nowhere")).status == 404
        await strangers(door, stack, 1)
        assert [is_connected(door, client) for client in clients[:2]] == [True, False]


async def test_one_that_pairs_is_not_pushed_out_however_slow_it_is(
    door: House, clock: Clock
) -> None:
    async with AsyncExitStack() as stack:
        (slow,) = await strangers(door, stack, 1)
        accepted(await slow.pair_setup(M1))
        clock.forward(60)
        await strangers(door, stack, 2 * STRANGERS)
        accepted(await slow.pair_setup(M1))


async def test_one_that_is_about_to_verify_stays_for_a_moment(
    door: House, clock: Clock
) -> None:
    controller = door.pair()
    async with AsyncExitStack() as stack:
        clients = await strangers(door, stack, 2)
        verifies = [Verify(client, controller) for client in clients]
        for verify in verifies:
            accepted(await verify.m1())
        await strangers(door, stack, STRANGERS)
        accepted(await verifies[0].m3())
        clock.forward(10.1)
        await strangers(door, stack, STRANGERS)
        assert [is_connected(door, client) for client in clients] == [True, False]


async def test_a_controller_is_no_stranger(door: House) -> None:
    controller = door.pair()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(await door.session(controller))
        await strangers(door, stack, STRANGERS + 1)
        assert len(door.connections) == STRANGERS + 1
        assert (await session.get("/accessories")).status == 200
        another = await stack.enter_async_context(await door.session(controller))
        assert (await another.get("/accessories")).status == 200


async def test_one_that_is_leaving_makes_room_first(door: House) -> None:
    async with AsyncExitStack() as stack:
        clients = await strangers(door, stack, STRANGERS)
        clients[-1].write(b"nonsense\r\n\r\n")
        assert (await clients[-1].receive()).status == 400
        await strangers(door, stack, 1)
        assert not is_connected(door, clients[-1])
        assert is_connected(door, clients[0])


async def test_a_crowd_that_verifies_does_not_keep_a_controller_out(door: House) -> None:
    controller = door.pair()
    async with AsyncExitStack() as stack:
        for number in range(STRANGERS):
            (client,) = await strangers(door, stack, 1, f"127.0.0.{number + 2}")
            accepted(await Verify(client, controller).m1())
        session = await stack.enter_async_context(await door.session(controller))
        assert (await session.get("/accessories")).status == 200
        assert len(door.connections) == STRANGERS


async def test_where_all_pair_the_newest_has_to_go(
    door: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        clients = await strangers(door, stack, STRANGERS)
        monkeypatch.setattr(door.driver.turn, "is_with", lambda _: True)
        late = await stack.enter_async_context(await Client.connect(door.port))
        assert await closed_by(late) == b""
        assert all(is_connected(door, client) for client in clients)


async def test_of_too_many_controllers_the_longest_idle_makes_room(
    door: House, caplog: pytest.LogCaptureFixture
) -> None:
    controller = door.pair()
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(await door.session(controller))
            for _ in range(VERIFIED)
        ]
        assert (await sessions[0].get("/accessories")).status == 200
        assert len(door.connections) == VERIFIED
        assert said(caplog) == []
        await stack.enter_async_context(await door.session(controller))
        assert await closed_by(sessions[1]) == b""
        assert len(door.connections) == VERIFIED
        assert (await sessions[0].get("/accessories")).status == 200
        assert said(caplog) == ["controllers have more than 48 connections open"]


# -- whose turn it is ---------------------------------------------------------------------


class Connection:
    """Takes note of its turns."""

    is_gone = False

    def __init__(self, name: str, turns: list[str], *, is_verified: bool = False) -> None:
        self.name, self.is_verified = name, is_verified
        self._turns = turns

    def proceed(self) -> None:
        self._turns.append(self.name)


async def test_however_many_strangers_wait_a_controller_waits_for_one_of_them(
    door: House,
) -> None:
    server: Any = door.server
    turns: list[str] = []
    for number in range(10):
        server.schedule(Connection(f"stranger {number}", turns))
    server.schedule(Connection("controller", turns, is_verified=True))
    await until(lambda: len(turns) == 11)
    assert turns.index("controller") <= 1
    turns.remove("controller")
    assert turns == [f"stranger {number}" for number in range(10)]


async def test_a_controller_that_comes_later_waits_for_one_stranger_too(
    door: House,
) -> None:
    server: Any = door.server
    turns: list[str] = []
    for number in range(100):
        server.schedule(Connection(f"stranger {number}", turns))
    await until(lambda: len(turns) >= 10)
    before = len(turns)
    server.schedule(Connection("controller", turns, is_verified=True))
    await until(lambda: "controller" in turns)
    assert turns.index("controller") <= before + 1


async def test_a_stranger_that_goes_on_and_on_waits_for_the_others(door: House) -> None:
    server: Any = door.server
    turns: list[str] = []

    class Greedy(Connection):
        def proceed(self) -> None:
            super().proceed()
            if len(turns) < 20:
                server.schedule(self)

    server.schedule(Greedy("greedy", turns))
    for number in range(3):
        server.schedule(Connection(f"{number}", turns))
    await until(lambda: len(turns) >= 20)
    assert turns[:6] == ["greedy", "0", "1", "2", "greedy", "greedy"]


async def test_a_crowd_from_everywhere_does_not_push_out_who_comes_from_a_known_host(
    door: House,
) -> None:
    controller = door.pair()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(await door.session(controller, "127.0.1.1"))
        (slow,) = await strangers(door, stack, 1, "127.0.1.1")
        for number in range(40):
            (one,) = await strangers(door, stack, 1, f"127.0.0.{2 + number}")
            accepted(await Verify(one, controller).m1())
        assert is_connected(door, slow)


async def test_a_crowd_that_is_hung_up_on_leaves_no_queue_behind(door: House) -> None:
    class Gone:
        """Was scheduled, and is not there any more."""

        is_verified, is_gone = False, True

        def proceed(self) -> None:
            raise AssertionError("not to be waited for")

    async with await door.connect() as client:
        gone: Any = Gone()
        for _ in range(10_000):
            door.server.schedule(gone)
        assert (await client.get("/accessories")).status == 470
        assert not door.server._scheduled


async def test_one_port_cannot_hold_two_connections_to_two_addresses(
    house: House,
) -> None:
    hosts, port = ("127.0.0.1", "127.0.0.2"), free_port()
    await house.driver.listen(port)
    await house.driver.move(Network(hosts, hosts))
    source = ("127.0.0.1", free_port())
    streams = [await reused(source, (host, port)) for host in hosts]
    clients = [Client(*each) for each in streams]
    assert await closed_by(clients[1]) == b""
    assert (await clients[0].request("POST", "/identify")).status == 204
    assert len(house.server.connections) == 1
    clients[0].close()
    await house.driver.close()
