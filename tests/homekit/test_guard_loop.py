"""What the server does with the loop: it listens, ends, and hears what has failed."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hk_bridge.errors import LinkError
from hk_bridge.homekit.store import Store
from tests.e2e.door.client import Client, Verify, accepted
from tests.homekit.house import Clock, House, closed_by, is_connected, strangers, until
from tests.homekit.visit import said


async def test_without_descriptors_strangers_are_hung_up_on_and_it_is_said_once(
    door: House,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    accept = socket.socket.accept
    failures: list[socket.socket] = []

    def fail(listening: socket.socket) -> Any:
        if len(failures) == 300:
            return accept(listening)
        failures.append(listening)
        raise OSError(errno.EMFILE, "Too many open files")

    controller = door.pair()
    async with AsyncExitStack() as stack:
        (pairing,) = await strangers(door, stack, 1)
        door.driver.turn.begin(door.end_of(pairing).handler, clock.now)
        session = await stack.enter_async_context(await door.session(controller))
        crowd = await strangers(door, stack, 5)
        monkeypatch.setattr(socket.socket, "accept", fail)
        late = await stack.enter_async_context(await Client.connect(door.port))
        for client in crowd:
            assert await closed_by(client) == b""
        assert (await session.get("/accessories")).status == 200
        assert is_connected(door, pairing)
        while len(failures) < 300:
            # asyncio tries again after a second.
            clock.forward(1)
            await asyncio.sleep(0)
        clock.forward(1)
        assert (await late.request("GET", "/nowhere")).status == 404
    (line,) = said(caplog)
    assert "nobody can connect at the moment: Too many open files" in line


async def test_what_else_fails_in_the_loop_is_passed_on(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    loop, told = asyncio.get_running_loop(), []

    def others(_: object, context: dict[str, Any]) -> None:
        told.append(context["message"])

    loop.set_exception_handler(others)
    await house.driver.listen()
    loop.call_exception_handler({"message": "other", "exception": OSError(errno.EPERM, "")})
    loop.call_exception_handler({"message": "bare"})
    full = {"message": "full", "exception": OSError(errno.ENFILE, "")}
    loop.call_exception_handler({**full, "socket": None})
    assert told == ["other", "bare"]
    await until(lambda: "nobody can connect" in caplog.text)
    await house.driver.close()
    assert loop.get_exception_handler() is others


async def test_what_else_fails_is_logged_as_ever_where_nobody_wants_to_know(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(None)
    await house.driver.listen()
    loop.call_exception_handler({"message": "something else"})
    await house.driver.close()
    assert [(r.name, r.getMessage()) for r in caplog.records] == [
        ("asyncio", "something else")
    ]
    assert loop.get_exception_handler() is None


async def test_where_nobody_is_idle_the_oldest_that_verifies_makes_room(
    door: House, caplog: pytest.LogCaptureFixture
) -> None:
    loop, controller = asyncio.get_running_loop(), door.pair()
    async with AsyncExitStack() as stack:
        clients = await strangers(door, stack, 3)
        for client in clients:
            accepted(await Verify(client, controller).m1())
        for left in (2, 1, 0, 0):
            error = OSError(errno.EMFILE, "Too many open files")
            for _ in range(100):
                loop.call_exception_handler(
                    {"message": "", "exception": error, "socket": None}
                )
            await asyncio.sleep(0)
            assert len(door.connections) == left
    assert len(said(caplog)) == 1


# -- start and stop -----------------------------------------------------------------------


async def test_a_port_that_is_taken_is_an_error(door: House, tmp_path: Path) -> None:
    other = House(Store.open(tmp_path / "other"))
    with pytest.raises(LinkError):
        await other.driver.listen(door.port)
    await other.driver.close()


async def test_the_end_hangs_up_on_everybody_also_on_those_that_are_leaving(
    door: House, clock: Clock
) -> None:
    async with AsyncExitStack() as stack:
        clients = await strangers(door, stack, 3)
        clients.append(await stack.enter_async_context(await door.session(door.pair())))
        clients[0].write(b"nonsense\r\n\r\n")
        assert (await clients[0].receive()).status == 400
        connections = door.connections
        await door.driver.close()
        assert all(connection.transport.is_closing() for connection in connections)
        for client in clients:
            assert await closed_by(client) == b""
        await until(lambda: not door.connections)
        await door.driver.close()


@pytest.mark.parametrize("first", [0, 1])
async def test_of_two_bridges_in_a_loop_either_may_end_first(
    house: House, tmp_path: Path, first: int, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    houses = [house, House(Store.open(tmp_path / "other"))]
    for each in houses:
        await each.driver.listen()
    await houses.pop(first).driver.close()
    (left,) = houses
    error = OSError(errno.EMFILE, "Too many open files")
    loop.call_exception_handler({"message": "", "exception": error, "socket": None})
    await asyncio.sleep(0)
    assert "nobody can connect" in caplog.text
    await left.driver.close()
    loop.call_exception_handler({"message": "something else"})
    assert "something else" in caplog.text
