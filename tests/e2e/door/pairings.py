"""Attacks on the list of pairings, by those who are in it and by those who were."""

from __future__ import annotations

from tests.e2e.door.client import (
    ADD,
    AUTHENTICATION,
    IDENTIFIER,
    LIST,
    MAX_PEERS,
    METHOD,
    PERMISSIONS,
    PUBLIC_KEY,
    REMOVE,
    UNKNOWN,
    Answer,
    Client,
    Controller,
    Value,
    accepted,
    state,
    tlv,
)
from tests.e2e.door.expectations import (
    expect,
    expect_closed,
    expect_error,
    expect_malformed,
    expect_status,
)
from tests.e2e.door.pair_verify import is_in_control
from tests.e2e.door.servers import Server

USER, ADMIN = b"\0", b"\1"

DONE = tlv(state(2))


async def add(client: Client, controller: Controller, permissions: bytes = USER) -> Answer:
    return await client.pairings(ADD, *_values(controller, permissions))


async def remove(client: Client, controller: Controller) -> Answer:
    return await client.pairings(REMOVE, (IDENTIFIER, controller.identifier))


def _values(controller: Controller, permissions: bytes = USER) -> list[Value]:
    return [
        (IDENTIFIER, controller.identifier),
        (PUBLIC_KEY, controller.public_key),
        (PERMISSIONS, permissions),
    ]


async def staying_after_removal(server: Server) -> None:
    """Keep a connection open while an admin removes the pairing."""
    guest = Controller()
    async with await server.session() as admin:
        expect(await add(admin, guest), 200, DONE)
        async with await server.session(guest) as one, await server.session(guest) as two:
            for client in (one, two):
                expect_status(await client.get("/accessories"), 200)
            expect(await remove(admin, guest), 200, DONE)
            for client in (one, two):
                await expect_closed(client, "the removal of its pairing")
        # Who is still paired goes on.
        expect_status(await admin.get("/accessories"), 200)


async def staying_after_the_last_removal(server: Server) -> None:
    """Keep connections open after the last admin, and with it everybody, has gone."""
    guest, home = Controller(), await server.home()
    async with await server.session() as admin, await server.session(home) as second:
        expect(await add(admin, guest), 200, DONE)
        async with await server.session(guest) as third:
            expect(await remove(admin, home), 200, DONE)
            for client in (admin, second, third):
                await expect_closed(client, "the removal of the last admin")


async def another_key(server: Server) -> None:
    """Add somebody who is known under another key."""
    guest = Controller()
    async with await server.session() as admin:
        expect(await add(admin, guest), 200, DONE)
        impostor = Controller(identifier=guest.identifier)
        answer = await add(admin, impostor)
        lower = Controller(identifier=guest.identifier.lower())
        answers = [answer, await add(admin, lower)]
        for other in (impostor, lower):
            assert not await is_in_control(server, other), "in control by another key"
        for answer in answers:
            expect_error(answer, 2, UNKNOWN)
        async with await server.session(guest) as client:
            expect_status(await client.get("/accessories"), 200)


async def without_end(server: Server) -> None:
    """Add one controller after the other."""
    guests = [Controller() for _ in range(17)]
    async with await server.session() as admin:
        answers = [await add(admin, guest) for guest in guests]
        stored = sum(answer.body == DONE for answer in answers) + 1
        assert stored == 16, f"{stored} pairings"
        for answer in answers[15:]:
            expect_error(answer, 2, MAX_PEERS)
        # One who is in the list can still be changed, and one who goes makes room.
        expect(await add(admin, guests[0], ADMIN), 200, DONE)
        expect(await remove(admin, guests[1]), 200, DONE)
        expect(await add(admin, guests[16]), 200, DONE)
    assert len(server.controllers()) == 16


async def by_a_guest(server: Server) -> None:
    """Change the list without being an admin."""
    guest, friend = Controller(), Controller()
    async with await server.session() as admin:
        expect(await add(admin, guest), 200, DONE)
    before = server.controllers()
    async with await server.session(guest) as client:
        for answer in (
            await add(client, friend),
            await add(client, guest, ADMIN),
            await remove(client, await server.home()),
            await client.pairings(LIST),
        ):
            expect_error(answer, 2, AUTHENTICATION)
    assert server.controllers() == before


async def by_a_demoted_admin(server: Server) -> None:
    """Be an admin, and go on after another one has taken that away."""
    other = Controller()
    async with await server.session() as admin:
        expect(await add(admin, other, ADMIN), 200, DONE)
        async with await server.session(other) as client:
            expect_status(await client.pairings(LIST), 200)
            expect(await add(admin, other, USER), 200, DONE)
            expect_error(await client.pairings(LIST), 2, AUTHENTICATION)


async def malformed(server: Server) -> None:
    """Ask for what cannot be read."""
    guest = Controller()
    good = dict(_values(guest))
    methods: list[tuple[Value, ...]] = [
        (state(1),),
        (state(1), (METHOD, b"")),
        (state(1), (METHOD, b"\x09")),
        (state(1), (METHOD, b"\x03\x03")),
        (state(1), (METHOD, bytes([ADD])), (IDENTIFIER, guest.identifier)),
        (state(1), (METHOD, bytes([REMOVE]))),
        (state(1), (METHOD, bytes([REMOVE])), (IDENTIFIER, b"\xff")),
    ]
    wrong: list[Value] = [
        (PUBLIC_KEY, b""),
        (PUBLIC_KEY, bytes(31)),
        (PUBLIC_KEY, bytes(33)),
        (PERMISSIONS, b""),
        (PERMISSIONS, b"\2"),
        (PERMISSIONS, b"\1\1"),
        (IDENTIFIER, b""),
        (IDENTIFIER, b"somebody"),
        (IDENTIFIER, b"\xff" * 36),
    ]
    async with await server.session() as admin:
        for message in methods:
            answer = await admin.request("POST", "/pairings", tlv(*message))
            expect_malformed(answer, 2)
        for kind, value in wrong:
            values = {**good, kind: value}
            expect_malformed(await admin.pairings(ADD, *values.items()), 2)
        stateless = await admin.request("POST", "/pairings", tlv((METHOD, bytes([LIST]))))
        expect(stateless, 400)
        accepted(await admin.pairings(LIST))
    assert guest.identifier not in server.controllers()
