"""Pairing over loopback: what may follow which message, and when it is answered."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any
from uuid import UUID

import pytest

from tests.e2e.door.client import (
    AUTHENTICATION,
    BUSY,
    METHOD,
    PROOF,
    PUBLIC_KEY,
    UNKNOWN,
    Client,
    ClosedError,
    Controller,
    Setup,
    Verify,
    accepted,
    request,
    state,
    tlv,
)
from tests.fakes.ports import free_port
from tests.homekit.house import LAMP, ON, Clock, House, closed_by, reused, until
from tests.homekit.visit import said

GET = request("GET", "/accessories")
M1 = (state(1), (METHOD, b"\0"))
WRONG_M3 = (state(3), (PUBLIC_KEY, b"\2" * 384), (PROOF, bytes(64)))


async def test_a_frame_that_is_not_right_closes_without_an_answer(
    door: House, caplog: pytest.LogCaptureFixture
) -> None:
    controller = door.pair()
    for frame in (b"\x05\x00" + bytes(21), b"\xff\xff", GET):
        async with await door.session(controller) as client:
            client.write(frame)
            assert await closed_by(client) == b""
            await until(lambda: not door.connections)
    assert said(caplog) == ["127.0.0.1 sent a frame that cannot be decrypted"]


async def test_plaintext_behind_the_last_message_of_pair_verify_is_never_carried_out(
    door: House, caplog: pytest.LogCaptureFixture
) -> None:
    item = b'{"characteristics":[{"aid":%d,"iid":%d,"value":false}]}' % (LAMP, ON)
    controller = door.pair()
    for behind in (request("PUT", "/characteristics", item), GET, b"G"):
        async with await door.connect() as client:
            verify = Verify(client, controller)
            accepted(await verify.m1())
            m3 = request("POST", "/pair-verify", tlv(*verify.m3_values()))
            client.write(m3 + behind)
            with pytest.raises((ClosedError, ConnectionError)):
                await client.receive()
            await until(lambda: not door.connections)
    assert door.calls == []
    assert said(caplog) == ["127.0.0.1 sent more than one message at once"]


async def test_the_network_is_told_of_a_pairing_behind_the_answer(
    door: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.driver.announce()
    async with await door.connect() as client:
        setup = Setup(client, door.driver.identity.setup_code)
        accepted(await setup.m1())
        accepted(await setup.m3())
        connection, said = door.end_of(client), []
        write, announce = connection.write, door.driver.async_update_advertisement

        def answers(data: bytes) -> None:
            said.append("answer")
            write(data)

        def announces() -> None:
            said.append("mDNS")
            announce()

        monkeypatch.setattr(connection, "write", answers)
        monkeypatch.setattr(door.driver, "async_update_advertisement", announces)
        accepted(await setup.m5(Controller()))
        assert said == ["answer", "mDNS"]
        assert not door.driver.turn.is_with(connection.handler)
        await until(lambda: door.mdns.told == ["registered", "updated"])


async def test_a_pairing_that_cannot_be_kept_is_told_to_nobody(
    door: House, request: pytest.FixtureRequest
) -> None:
    await door.driver.announce()
    async with await door.connect() as client:
        setup = Setup(client, door.driver.identity.setup_code)
        accepted(await setup.m1())
        accepted(await setup.m3())
        request.getfixturevalue("disk_is_full")
        answer = await setup.m5(Controller())
        assert (answer.status, answer.error) == (200, UNKNOWN)
        assert door.controllers == set()
        # Another attempt may begin at once.
        accepted(await setup.m1())
        assert door.mdns.told == ["registered"]


async def test_a_controller_that_is_removed_is_hung_up_on_and_told_that_it_was(
    door: House,
) -> None:
    await door.driver.announce()
    admin, guest = door.pair(), door.pair(admin=False)
    async with (
        await door.session(admin) as first,
        await door.session(guest) as second,
        await door.session(guest) as third,
        await door.connect() as stranger,
    ):
        accepted(await first.pairings(4, (1, guest.identifier)))
        assert await closed_by(second) == await closed_by(third) == b""
        assert (await first.get("/accessories")).status == 200
        assert door.mdns.told == ["registered"]
        accepted(await first.pairings(4, (1, admin.identifier)))
        assert await closed_by(first) == b""
        assert (await stranger.get("/accessories")).status == 470
        await until(lambda: door.mdns.told == ["registered", "updated"])


# -- answers that are held back -----------------------------------------------------------

#: So many wrong codes that the next one is answered after 4 seconds.
MANY = 79


async def wrong_code(door: House, client: Client, *behind: bytes) -> Any:
    """Try a wrong code; returns the bridge's end, which holds its answer back."""
    door.driver.count_attempts(MANY)
    connection = door.end_of(client)
    accepted(await client.pair_setup(*M1))
    client.write(request("POST", "/pair-setup", tlv(*WRONG_M3)) + b"".join(behind))
    await until(lambda: connection._held)
    return connection


async def test_the_answer_to_a_wrong_code_comes_later_and_what_is_behind_it_too(
    door: House, clock: Clock
) -> None:
    async with await door.connect() as client, await door.connect() as other:
        connection = await wrong_code(door, client, GET, GET)
        client.write(GET)
        held = connection._held.when() - clock.now
        assert 3 < held <= 4
        assert (await other.pair_setup(*M1)).error == BUSY
        assert (await other.request("POST", "/identify")).status == 204
        assert not client._held
        clock.forward(4)
        answer = await client.receive()
        assert (answer.status, answer.error) == (200, AUTHENTICATION)
        assert [(await client.receive()).status for _ in range(3)] == [470] * 3
        accepted(await other.pair_setup(*M1))


async def test_who_does_not_wait_for_the_answer_is_forgotten(
    door: House, clock: Clock
) -> None:
    async with await door.connect() as client, await door.connect() as other:
        connection = await wrong_code(door, client)
        client.close()
        assert (await other.pair_setup(*M1)).error == BUSY
        clock.forward(4)
        await until(lambda: len(door.connections) == 1)
        assert connection._held is None
        accepted(await other.pair_setup(*M1))


async def test_an_answer_that_is_held_back_for_one_that_is_hung_up_on_is_not_sent(
    door: House, clock: Clock
) -> None:
    async with await door.connect() as client:
        connection = await wrong_code(door, client)
        connection.close()
        assert await closed_by(client) == b""
        clock.forward(4)
        await until(lambda: not door.connections)


async def test_the_turn_ends_with_its_connection(door: House) -> None:
    async with await door.connect() as first, await door.connect() as second:
        accepted(await first.pair_setup(*M1))
        assert (await second.pair_setup(*M1)).error == BUSY
        first.abort()
        await until(lambda: len(door.connections) == 1)
        accepted(await second.pair_setup(*M1))


async def test_one_that_is_gone_takes_nothing_from_the_next_one_of_its_address(
    door: House, clock: Clock
) -> None:
    source, target = ("127.0.0.1", free_port()), ("127.0.0.1", door.port)
    client = Client(*await reused(source, target))
    await until(lambda: door.connection_of(client))
    await wrong_code(door, client)
    # Not noticed yet: nothing is read while the answer is held back.
    client._writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    client.abort()
    with contextlib.suppress(ConnectionError):
        await client._writer.wait_closed()
    async with Client(*await reused(source, target)) as successor:
        await until(lambda: len(door.connections) == 2)
        door.driver.async_subscribe_client_topic(successor.address, "2.81")
        prepare, claim = door.driver.timed_writes.prepare, door.driver.timed_writes.claim
        prepare(successor.address, {"pid": 1, "ttl": 60_000}, clock.now)
        clock.forward(4)
        await until(lambda: len(door.connections) == 1)
        assert door.driver.topics == {"2.81": {successor.address}}
        assert claim(successor.address, 1, clock.now)
        guest = await pair_on(door, successor)
        assert (await successor.get("/accessories")).status == 200
        assert list(door.server.connections.values()) == door.connections
        door.driver.unpair(UUID(guest.identifier.decode()))
        assert await closed_by(successor) == b""


async def pair_on(door: House, client: Client) -> Controller:
    """Pair and verify on one connection."""
    setup, controller = Setup(client, door.driver.identity.setup_code), Controller()
    accepted(await setup.m1())
    accepted(await setup.m3())
    accepted(await setup.m5(controller))
    verify = Verify(client, controller)
    accepted(await verify.m1())
    accepted(await verify.m3())
    verify.secure()
    return controller
