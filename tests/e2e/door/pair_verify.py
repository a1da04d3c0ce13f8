"""Attacks on pair-verify, and on what follows it."""

from __future__ import annotations

import contextlib
import json

from tests.e2e.door.characteristics import item, put, read
from tests.e2e.door.client import (
    AUTHENTICATION,
    ENCRYPTED,
    IDENTIFIER,
    METHOD,
    PUBLIC_KEY,
    SIGNATURE,
    Client,
    Controller,
    Value,
    Verify,
    accepted,
    request,
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
from tests.e2e.door.servers import Server

_P = 2**255 - 19

#: Keys of another length than 32, or of low order: those give a secret of 0 with
#: whatever they are multiplied.
WEAK_KEYS = {
    "0": bytes(32),
    "1": (1).to_bytes(32, "little"),
    "p-1": (_P - 1).to_bytes(32, "little"),
    "p": _P.to_bytes(32, "little"),
    "p+1": (_P + 1).to_bytes(32, "little"),
    "of order 8": bytes.fromhex(
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
    ),
    "also of order 8": bytes.fromhex(
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"
    ),
    "0 with the top bit": bytes(31) + b"\x80",
    "nothing": b"",
    "short": b"\x09" * 31,
    "long": b"\x09" * 33,
    "much too long": b"\x09" * 600,
}

#: Messages that are out of order on a new connection, or never in order.
OUT_OF_ORDER: dict[str, tuple[Value, ...]] = {
    "M3 first": (state(3), (ENCRYPTED, bytes(64))),
    "an empty M3 first": (state(3),),
    "M1 without a key": (state(1),),
    "M2": (state(2), (PUBLIC_KEY, bytes(32))),
    "M5": (state(5), (ENCRYPTED, bytes(64))),
    "M9": (state(9),),
}


async def is_in_control(server: Server, controller: Controller) -> bool:
    """Whether `controller` can do what a paired controller can."""
    async with await server.connect() as client:
        verify = Verify(client, controller)
        for step in (verify.m1, verify.m3):
            answer = await step()
            if answer.status != 200 or answer.error is not None:
                return False
        verify.secure()
        return (await client.get("/accessories")).status == 200


async def weak_key(server: Server, key: bytes) -> None:
    """Begin with a key that is of no use."""
    await server.home()
    async with await server.connect() as client:
        expect_malformed(await client.pair_verify(state(1), (PUBLIC_KEY, key)), 2)


async def out_of_order(server: Server, message: tuple[Value, ...]) -> None:
    """Send something on a new connection that is no M1."""
    await server.home()
    async with await server.connect() as client:
        number = dict(message)[0x06][0]
        expect_malformed(await client.pair_verify(*message), number + 1)


async def unpaired(server: Server) -> None:
    """Verify with a bridge that is not paired."""
    async with await server.connect() as client:
        expect_error(await Verify(client, Controller()).m1(), 2, AUTHENTICATION)
        expect_malformed(await client.pair_verify(state(3)), 4)


async def impostors(server: Server) -> None:
    """Be somebody unknown, or somebody known without their key; nobody gets in."""
    home = await server.home()
    for controller in (
        Controller(),
        Controller(identifier=home.identifier),
        Controller(signer=home.signer),
    ):
        async with await server.connect() as client:
            verify = Verify(client, controller)
            accepted(await verify.m1())
            expect_error(await verify.m3(), 4, AUTHENTICATION)
            expect_status(await client.get("/accessories"), 470)


async def bad_proofs(server: Server) -> None:
    """Be somebody known, and send an M3 that is wrong in one way after the other."""
    home = await server.home()
    identifier = (IDENTIFIER, home.identifier)
    for inner in (
        [identifier],
        [(SIGNATURE, bytes(64))],
        [identifier, (SIGNATURE, b"")],
        [(IDENTIFIER, b"\xff\xfe"), (SIGNATURE, bytes(64))],
    ):
        async with await server.connect() as client:
            verify = Verify(client, home)
            accepted(await verify.m1())
            await _expect_refused(client, (ENCRYPTED, verify.seal(inner)))
    for outer in ((ENCRYPTED, bytes(64)), (ENCRYPTED, b""), (METHOD, b"\0")):
        async with await server.connect() as client:
            accepted(await Verify(client, home).m1())
            await _expect_refused(client, outer)


async def _expect_refused(client: Client, value: Value) -> None:
    answer = await client.pair_verify(state(3), value)
    if answer.status == 400:
        expect_malformed(answer, 4)
    else:
        expect_error(answer, 4, AUTHENTICATION)
    expect_status(await client.get("/accessories"), 470)


async def replayed_proof(server: Server) -> None:
    """Send the M3 of another connection, heard on the network."""
    home = await server.home()
    async with await server.connect() as first, await server.connect() as second:
        verify = Verify(first, home)
        accepted(await verify.m1())
        message = verify.m3_values()
        accepted(await Verify(second, home).m1(verify.public))
        expect_error(await second.pair_verify(*message), 4, AUTHENTICATION)
        accepted(await first.pair_verify(*message))


async def plaintext_behind_the_proof(server: Server) -> None:
    """Put a write in plaintext into the same segment, right behind somebody's M3."""
    home, place = await server.home(), (await server.places()).brightness
    body = {"characteristics": [item(place, value=66)]}
    write = request("PUT", "/characteristics", json.dumps(body).encode())
    async with await server.session() as owner, await server.connect() as client:
        expect(await put(owner, item(place, value=40)), 204)
        verify = Verify(client, home)
        accepted(await verify.m1())
        client.write(request("POST", "/pair-verify", tlv(*verify.m3_values())) + write)
        with contextlib.suppress(ConnectionError):
            accepted(await client.receive())
        verify.secure()
        kept = await read(owner, place)
        assert kept == 40, "a write in plaintext was carried out"
        await expect_closed(client, "plaintext behind M3")


async def pairing_again(server: Server) -> None:
    """Pair and verify within an encrypted connection."""
    async with await server.session() as client:
        expect_malformed(await client.pair_setup((METHOD, b"\0"), state(1)), 2)
        verify = Verify(client, await server.home())
        expect_malformed(await verify.m1(), 2)
        expect_malformed(await client.pair_verify(state(3), (ENCRYPTED, bytes(64))), 4)
        expect_status(await client.get("/accessories"), 200)
