"""One connection over loopback: how much it may say, and for how long."""

from __future__ import annotations

import socket

import pytest

from hk_bridge.homekit.requests import OF_CONTROLLERS
from tests.e2e.door.client import (
    PUBLIC_KEY,
    accepted,
    request,
    state,
    tlv,
)
from tests.homekit.house import Clock, House, closed_by, until
from tests.homekit.visit import said

GET = request("GET", "/accessories")
M1 = request("POST", "/pair-setup", tlv(state(1)))

#: Longer than the bridge looks between two times for connections that idle.
SWEEP = 6.0


# -- requests -----------------------------------------------------------------------------


async def test_pipelined_requests_are_answered_in_their_order(door: House) -> None:
    async with await door.connect() as client:
        client.write(GET + request("GET", "/nowhere") + GET + request("PUT", "/identify"))
        statuses = [(await client.receive()).status for _ in range(4)]
        assert statuses == [470, 404, 470, 405]


async def test_a_controller_is_answered_in_frames(door: House) -> None:
    async with await door.session(door.pair()) as client:
        client.send(GET + GET)
        for _ in range(2):
            answer = await client.receive()
            assert answer.status == 200
            assert [a["aid"] for a in answer.json["accessories"]] == [1, 2, 3]


async def test_bytes_may_come_one_at_a_time(door: House) -> None:
    async with await door.connect() as client:
        for byte in request("POST", "/identify"):
            client.write(bytes([byte]))
            await client.drain()
        assert (await client.receive()).status == 204
        assert door.identified == 1


async def test_many_tiny_chunks_are_worked_off(door: House) -> None:
    async with await door.connect() as client:
        head = b"POST /pair-setup HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n"
        message = tlv(state(1), (0x13, bytes(600)))
        chunks = b"".join(b"1\r\n%b\r\n" % bytes([byte]) for byte in message)
        client.write(head + chunks + b"0\r\n\r\n")
        answer = await client.receive()
        accepted(answer)
        assert PUBLIC_KEY in answer.tlv


@pytest.mark.parametrize("path", ["/accessories", "/identify", "/nowhere"])
async def test_an_answer_to_head_has_no_body(door: House, path: str) -> None:
    async with await door.connect() as client:
        client.write(request("HEAD", path) + request("GET", "/nowhere"))
        head = await client._until(b"\r\n\r\n")
        assert head.split()[1] in {b"470", b"405", b"404"}
        assert (await client.receive()).status == 404


@pytest.mark.parametrize("version", ["1.1\r\nConnection: close", "1.0"])
async def test_who_asks_for_it_is_closed_after_the_answer(
    door: House, version: str
) -> None:
    async with await door.connect() as client:
        client.write(f"GET /nowhere HTTP/{version}\r\nHost: b\r\n\r\n".encode() + M1)
        assert (await client.receive()).status == 404
        assert await closed_by(client) == b""
        await until(lambda: not door.connections)


async def test_one_that_does_not_read_holds_up_only_itself(door: House) -> None:
    controller = door.pair()
    async with await door.session(controller) as lazy, await door.session(controller) as c:
        connection, count = door.end_of(lazy), 600
        assert connection.transport is not None
        for end in (connection.transport, lazy._writer):
            buffer = end.get_extra_info("socket")
            buffer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**17)
            buffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**17)
        lazy.send(GET * count)
        await until(lambda: connection._stalled)
        assert (await c.get("/accessories")).status == 200
        for _ in range(count):
            assert (await lazy.receive()).status == 200
        assert connection._stalled is None


# -- what is too much ---------------------------------------------------------------------

TOO_LARGE = {
    "body": request("POST", "/pair-setup", bytes(4097)),
    "headers": GET[:-2] + b"X: " + b"x" * 10_000 + b"\r\n\r\n",
    "headers without an end": GET[:-2] + b"X: " + b"x" * 10_000,
    "declared": b"POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 100000000000\r\n\r\n",
}


@pytest.mark.parametrize("data", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_what_is_too_large_is_413_and_closed(
    door: House, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        async with await door.connect() as client:
            client.write(data)
            answer = await client.receive()
            assert (answer.status, answer.body) == (413, b"")
            assert answer.headers["connection"] == "close"
            assert await closed_by(client) == b""
    assert said(caplog) == ["127.0.0.1 sent far too large a request"]


async def test_a_controller_may_send_more_but_not_without_end(door: House) -> None:
    async with await door.session(door.pair()) as client:
        answer = await client.put("/characteristics", b" " * OF_CONTROLLERS.body)
        assert answer.status == 400
        client.send(request("PUT", "/characteristics", bytes(OF_CONTROLLERS.body + 1)))
        assert (await client.receive()).status == 413
        assert await closed_by(client) == b""


async def test_what_is_no_http_is_400_and_closed(
    door: House, caplog: pytest.LogCaptureFixture
) -> None:
    async with await door.connect() as client:
        client.write(b"\x16\x03\x01\r\n\r\n" + GET)
        answer = await client.receive()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert await closed_by(client) == b""
    assert said(caplog) == []


async def test_what_comes_behind_the_last_answer_is_read_and_forgotten(
    door: House,
) -> None:
    async with await door.connect() as client:
        connection = door.end_of(client)
        client.write(TOO_LARGE["declared"] + M1)
        assert (await client.receive()).status == 413
        client.write(bytes(100_000) + M1)
        await client.drain()
        await until(lambda: connection._forgotten > 100_000)
        assert not connection.handler._pair_setup.begun
        assert not connection.is_verified
    await until(lambda: not door.connections)


async def test_one_that_does_not_hang_up_after_that_is_cut_off(
    door: House, clock: Clock
) -> None:
    async with await door.connect() as client:
        client.write(TOO_LARGE["declared"])
        assert (await client.receive()).status == 413
        assert len(door.connections) == 1
        clock.forward(2.1)
        await until(lambda: not door.connections)


async def swept(door: House, clock: Clock) -> None:
    """Return once the bridge has looked for those that idle."""
    cleanup = door.server._connection_cleanup
    await until(lambda: door.server._connection_cleanup is not cleanup)
    assert clock.now < door.server._connection_cleanup.when()


# -- time ---------------------------------------------------------------------------------


async def test_a_stranger_that_says_nothing_is_hung_up_on_and_a_controller_is_not(
    door: House, clock: Clock
) -> None:
    async with await door.connect() as silent, await door.session(door.pair()) as session:
        clock.forward(590)
        await swept(door, clock)
        assert len(door.connections) == 2
        clock.forward(11 + SWEEP)
        assert await closed_by(silent) == b""
        clock.forward(89 * 3600)
        assert (await session.get("/accessories")).status == 200
        clock.forward(90 * 3600 + SWEEP)
        assert await closed_by(session) == b""


async def test_a_stranger_that_says_something_now_and_then_may_stay(
    door: House, clock: Clock
) -> None:
    async with await door.connect() as client:
        for _ in range(3):
            clock.forward(500)
            assert (await client.request("GET", "/nowhere")).status == 404


@pytest.mark.parametrize(
    "part", [GET[:10], request("POST", "/pair-setup", bytes(20))[:-5], GET + GET[:5]]
)
async def test_a_request_that_is_not_whole_after_30_seconds_is_cut_off(
    door: House, clock: Clock, part: bytes
) -> None:
    async with await door.connect() as client:
        connection = door.end_of(client)
        client.write(part)
        await until(lambda: connection._unfinished_since is not None)
        clock.forward(29)
        await swept(door, clock)
        client.write(b"x")
        # Bytes that trickle in gain no time.
        await until(lambda: connection.last_activity > clock.now - 1)
        assert door.connections == [connection]
        clock.forward(1 + SWEEP)
        await swept(door, clock)
        await until(lambda: not door.connections)
        assert clock.now - connection.request_ended < 45


async def test_a_frame_that_is_not_whole_after_30_seconds_is_cut_off(
    door: House, clock: Clock
) -> None:
    async with await door.session(door.pair()) as client:
        connection = door.end_of(client)
        assert client.outbound is not None
        client.write(client.outbound.seal(GET)[:-1])
        await until(lambda: connection._unfinished_since is not None)
        clock.forward(30 + SWEEP)
        await swept(door, clock)
        await until(lambda: not door.connections)


@pytest.mark.parametrize("behind", [b"", GET[:5]])
async def test_a_request_that_became_whole_leaves_the_next_one_all_the_time(
    door: House, clock: Clock, behind: bytes
) -> None:
    async with await door.connect() as client:
        connection = door.end_of(client)
        client.write(GET[:5])
        await until(lambda: connection._unfinished_since is not None)
        for _ in range(3):
            clock.forward(20)
            await swept(door, clock)
            client.write(GET[5:] + behind)
            assert (await client.receive()).status == 470
            if not behind:
                await until(lambda: connection._unfinished_since is None)
                clock.forward(100)
                await swept(door, clock)
                client.write(GET[:5])
            await until(lambda: connection._unfinished_since is not None)
