"""How long the bridge waits for those who do not go on; in a bridge with less patience."""

from __future__ import annotations

import asyncio

import pytest

from hk_bridge.homekit import admission, connection, guard, outgoing, setup_turn
from tests.e2e.conftest import Bridge, until_async
from tests.e2e.door.client import (
    BUSY,
    Client,
    Controller,
    Setup,
    accepted,
    close_all,
    pair,
    request,
    session,
)
from tests.e2e.door.expectations import expect_error, expect_status
from tests.e2e.door.framing import PAIR_SETUP
from tests.e2e.door.pair_setup import M1
from tests.fakes.ports import free_port

#: What takes half a minute, and longer, in earnest.
SHORT = 0.5


@pytest.fixture
async def hasty(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> Bridge:
    """A running bridge that waits for nobody for long."""
    for module, name in (
        (connection, "UNFINISHED_SECONDS"),
        (outgoing, "_STALLED_SECONDS"),
        (setup_turn, "_PATIENCE_SECONDS"),
    ):
        monkeypatch.setattr(module, name, SHORT)
    monkeypatch.setattr(guard, "_SWEEP_SECONDS", SHORT / 10)
    bridge.port = free_port()
    await bridge.start()
    return bridge


async def paired(bridge: Bridge) -> Controller:
    return await pair(bridge.port, bridge.identity.setup_code)


UNFINISHED = {
    "a line": b"GET /acc",
    "headers": b"GET /accessories HTTP/1.1\r\nHost: bridge\r\n",
    "a body": PAIR_SETUP + b"Content-Length: 6\r\n\r\n\x00\x01\x00",
    "chunks": PAIR_SETUP + b"Transfer-Encoding: chunked\r\n\r\n3\r\n\x00\x01\x00\r\n",
}


@pytest.mark.parametrize("data", UNFINISHED.values(), ids=UNFINISHED)
async def test_a_request_that_is_never_finished_is_cut_off(
    hasty: Bridge, data: bytes
) -> None:
    async with await Client.connect(hasty.port) as client:
        client.write(data)
        await client.closed()


async def test_a_byte_now_and_then_does_not_keep_a_request_alive(hasty: Bridge) -> None:
    async with await Client.connect(hasty.port) as client:
        client.write(PAIR_SETUP + b"X: ")

        async def cut_off() -> bool:
            client.write(b"x")
            return client.is_closing

        await until_async(cut_off)


async def test_a_frame_that_is_never_finished_is_cut_off(hasty: Bridge) -> None:
    async with await session(hasty.port, await paired(hasty)) as client:
        assert client.outbound is not None
        client.write(client.outbound.seal(request("GET", "/accessories"))[:-1])
        assert await client.closed() == b""


async def test_a_stranger_who_says_nothing_is_hung_up_on_and_a_controller_is_not(
    hasty: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_STRANGER_SECONDS", SHORT)
    async with await session(hasty.port, await paired(hasty)) as controller:
        for _ in range(3):
            async with await Client.connect(hasty.port) as stranger:
                assert await stranger.closed() == b""
        expect_status(await controller.get("/accessories"), 200)


async def test_a_stranger_may_ask_one_thing_after_the_other(hasty: Bridge) -> None:
    async with await Client.connect(hasty.port) as client:
        for _ in range(3):
            client.write(b"GET /accessories HTTP/1.1\r\n")
            client.write(b"Host: bridge\r\n\r\n")
            expect_status(await client.receive(), 470)


async def test_who_is_silent_between_m2_and_m3_loses_the_turn_to_another(
    hasty: Bridge,
) -> None:
    code = hasty.identity.setup_code
    async with (
        await Client.connect(hasty.port) as silent,
        await Client.connect(hasty.port) as other,
    ):
        slow, quick = Setup(silent, code), Setup(other, code)
        accepted(await slow.m1())
        answers = [await quick.m1()]

        async def begun() -> bool:
            answers.append(await quick.m1())
            return answers[-1].error is None

        await until_async(begun)
        for answer in answers[:-1]:
            expect_error(answer, 2, BUSY)
        expect_error(await slow.m3(), 4, BUSY)
        accepted(await quick.m3())
        accepted(await quick.m5(Controller()))


async def test_who_looks_for_the_setup_code_for_long_is_not_pushed_out_by_a_crowd(
    hasty: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_turn, "_PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(admission, "_FRESH_SECONDS", SHORT)
    async with await Client.connect(hasty.port) as client:
        setup = Setup(client, hasty.identity.setup_code)
        accepted(await setup.m1())
        await asyncio.sleep(2 * SHORT)  # what counts here is that time passes
        crowd = [await Client.connect(hasty.port) for _ in range(40)]
        accepted(await setup.m3())
        accepted(await setup.m5(Controller()))
        await close_all(crowd)


async def test_beginning_again_and_again_does_not_keep_the_turn(
    hasty: Bridge,
) -> None:
    async with (
        await Client.connect(hasty.port) as greedy,
        await Client.connect(hasty.port) as other,
    ):
        accepted(await greedy.pair_setup(*M1))

        async def begun() -> bool:
            await greedy.pair_setup(*M1)
            return (await other.pair_setup(*M1)).error is None

        await until_async(begun)


async def test_who_asks_and_reads_nothing_is_hung_up_on(hasty: Bridge) -> None:
    home = await paired(hasty)
    async with await session(hasty.port, home) as client:

        async def cut_off() -> bool:
            for _ in range(100):
                client.send(request("GET", "/accessories"))
            return client.is_closing

        await until_async(cut_off)
    async with await session(hasty.port, home) as client:
        expect_status(await client.get("/accessories"), 200)
