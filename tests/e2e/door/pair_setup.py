"""Attacks on pair-setup."""

from __future__ import annotations

import asyncio
import hashlib
import time

from aiohomekit.crypto.srp import MODULUS_VALUE

from tests.e2e.conftest import until
from tests.e2e.door.client import (
    AUTHENTICATION,
    BUSY,
    ENCRYPTED,
    IDENTIFIER,
    MAX_TRIES,
    METHOD,
    PROOF,
    PUBLIC_KEY,
    SALT,
    SIGNATURE,
    UNAVAILABLE,
    Answer,
    Client,
    Controller,
    Setup,
    Value,
    accepted,
    m5_values,
    seal_m5,
    state,
    tlv,
)
from tests.e2e.door.expectations import expect, expect_error, expect_malformed
from tests.e2e.door.pair_verify import is_in_control
from tests.e2e.door.servers import CODE, Server

WRONG_CODE = "031-45-155"
WRONG_PROOF = bytes(64)

#: What nobody can be; small enough to be quick.
SOME_KEY = b"\2" * 384

M1 = ((METHOD, b"\0"), state(1))

#: 0 modulo N, in all the ways that A can be spelt.
ZEROS = {
    "nothing": b"",
    "0": b"\0",
    "0 in 384 bytes": bytes(384),
    "N": MODULUS_VALUE.to_bytes(384, "big"),
    "N in 385 bytes": MODULUS_VALUE.to_bytes(385, "big"),
    "2N": (2 * MODULUS_VALUE).to_bytes(385, "big"),
}

#: Bodies that have no State that could be read.
STATELESS = {
    "nothing": b"",
    "half a header": b"\x06",
    "truncated": b"\x06\x05\x01",
    "all ones": b"\xff" * 400,
    "no State": tlv((METHOD, b"\0")),
    "an empty State": tlv((0x06, b"")),
    "a State of two bytes": tlv((0x06, b"\1\0")),
    "JSON": b'{"state": 1}',
}

#: Messages that are out of order on a new connection, or never in order.
OUT_OF_ORDER: dict[str, tuple[Value, ...]] = {
    "M3 first": (state(3), (PUBLIC_KEY, SOME_KEY), (PROOF, WRONG_PROOF)),
    "an empty M3 first": (state(3),),
    "M5 first": (state(5), (ENCRYPTED, bytes(64))),
    "an empty M5 first": (state(5),),
    "M2": (state(2), (SALT, bytes(16)), (PUBLIC_KEY, SOME_KEY)),
    "M4": (state(4), (PROOF, WRONG_PROOF)),
    "M6": (state(6), (ENCRYPTED, bytes(64))),
    "M0": (state(0),),
    "M9": (state(9),),
    "M255": (state(255),),
}


async def zero_public_key(server: Server, public: bytes) -> None:
    """Prove a secret that is 0 whatever the code is (RFC 5054 §2.5.4), and pair."""
    attempts = server.failed_attempts
    thief = Controller()
    async with await server.connect() as client:
        setup = Setup(client, WRONG_CODE)
        accepted(await setup.m1())
        key = _hash(b"")
        proof = _proof(setup, public, key)
        m4 = await setup.m3(public, proof)
        m6 = await setup.m5(thief, key)
    assert not await is_in_control(server, thief), "in control without the code"
    expect_error(m4, 4, AUTHENTICATION)
    expect_malformed(m6, 6)
    assert server.failed_attempts == attempts + 1, "not counted"


def _proof(setup: Setup, public: bytes, key: bytes) -> bytes:
    """The client's proof for a public key as it is sent, and a session key."""
    prime, generator = MODULUS_VALUE.to_bytes(384, "big"), b"\5"
    group = zip(_hash(prime), _hash(generator), strict=True)
    return _hash(
        bytes(a ^ b for a, b in group),
        _hash(b"Pair-Setup"),
        setup.salt,
        public,
        setup.server_public.lstrip(b"\0"),
        key,
    )


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha512(b"".join(parts)).digest()


async def short_public_key(server: Server, *, padded: bool) -> None:
    """Pair as Apple's own code does, which hashes A without its leading zero byte."""
    async with await server.connect() as client:
        setup = Setup(client, CODE)
        # With this secret A begins with a zero byte; one secret in 256 does that.
        setup.srp.a = 2**64 + 123
        setup.srp.A = pow(setup.srp.g, setup.srp.a, MODULUS_VALUE)
        public = setup.srp.A.to_bytes(384, "big")
        setup.srp.A_b = bytearray(public)
        short = public.lstrip(b"\0")
        assert len(short) == 383
        accepted(await setup.m1())
        proof = _proof(setup, short, setup.srp.get_session_key_bytes())
        m4 = await setup.m3(public if padded else short, proof)
    assert m4.error is None, "the right code does not pair"


async def guessing(server: Server) -> None:
    """Try one code after the other, and then the right one."""
    async with await server.connect() as client:
        for _ in range(server.guesses):
            accepted(await client.pair_setup(*M1))
            expect_error(await _guess(client), 4, AUTHENTICATION)
        await expect_shut(client)


async def expect_shut(client: Client) -> None:
    """Assert that nobody can pair any more."""
    answer = await client.pair_setup(*M1)
    assert answer.error == MAX_TRIES, "one can go on guessing"
    expect_error(answer, 2, MAX_TRIES)
    expect_error(await _guess(client), 4, MAX_TRIES)


async def _guess(client: Client) -> Answer:
    return await client.pair_setup(state(3), (PUBLIC_KEY, SOME_KEY), (PROOF, WRONG_PROOF))


async def hasty_guessing(server: Server) -> None:
    """Guess, and have another connection begin while the answer is held back."""
    async with await server.connect() as client, await server.connect() as other:
        accepted(await client.pair_setup(*M1))
        begin = time.monotonic()
        answer = asyncio.create_task(_guess(client))
        await until(lambda: answer.done() or server.failed_attempts > 10)
        meanwhile = await other.pair_setup(*M1)
        expect_error(await answer, 4, AUTHENTICATION)
        seconds = time.monotonic() - begin
        assert seconds > 0.5, f"the eleventh wrong code was answered after {seconds:.3f} s"
        expect_error(meanwhile, 2, BUSY)


async def second_exchange(server: Server) -> None:
    """Begin while another controller is between M2 and M3."""
    async with await server.connect() as first, await server.connect() as second:
        setup = Setup(first, CODE)
        accepted(await setup.m1())
        answer = await second.pair_setup(*M1)
        m4 = await setup.m3()
        assert m4.error is None, "the second exchange broke the first"
        accepted(m4)
        expect_error(answer, 2, BUSY)
        expect_error(await second.pair_setup(*M1), 2, BUSY)
        accepted(await setup.m5(Controller()))
        expect_error(await second.pair_setup(*M1), 2, UNAVAILABLE)


async def many_exchanges(server: Server) -> None:
    """Begin on several connections at once."""
    clients = [await server.connect() for _ in range(8)]
    answers = await asyncio.gather(*(client.pair_setup(*M1) for client in clients))
    begun = sum(answer.error is None for answer in answers)
    for client in clients:
        client.close()
    assert begun == 1, f"{begun} exchanges at once"
    for answer in answers:
        assert answer.error in {None, BUSY}, answer


async def stateless(server: Server, body: bytes, path: str = "/pair-setup") -> None:
    """Send something without a State."""
    async with await server.connect() as client:
        expect(await client.request("POST", path, body), 400)


async def out_of_order(server: Server, message: tuple[Value, ...]) -> None:
    """Send something that is not M1 on a new connection."""
    async with await server.connect() as client:
        number = dict(message)[0x06][0]
        expect_malformed(await client.pair_setup(*message), (number + 1) % 256)


async def keys_without_a_proof(server: Server) -> None:
    """Send M5 right behind M2, under the key that an empty proof would give."""
    thief = Controller()
    async with await server.connect() as client:
        setup = Setup(client, WRONG_CODE)
        accepted(await setup.m1())
        answer = await setup.m5(thief, _hash(b""))
    expect_malformed(answer, 6)
    assert not await is_in_control(server, thief)


async def keys_after_a_wrong_proof(server: Server) -> None:
    """Send M5 as if M4 had not refused."""
    async with await server.connect() as client:
        setup = Setup(client, WRONG_CODE)
        accepted(await setup.m1())
        expect_error(await setup.m3(), 4, AUTHENTICATION)
        expect_malformed(await setup.m5(Controller()), 6)


async def proof_without_its_parts(server: Server) -> None:
    """Send M3 without A or without the proof."""
    async with await server.connect() as client:
        for part in ((PUBLIC_KEY, SOME_KEY), (PROOF, WRONG_PROOF)):
            accepted(await client.pair_setup(*M1))
            expect_malformed(await client.pair_setup(state(3), part), 4)


async def bad_keys(server: Server) -> None:
    """Know the code, and send an M5 that is wrong in one way after the other."""
    controller = Controller()
    for spoil in (_truncate, _no_signature, _other_signature, _bad_id, _short_key):
        async with await server.connect() as client:
            setup = await server.proven(client)
            key = setup.srp.get_session_key_bytes()
            sealed = seal_m5(key, m5_values(key, controller))
            answer = await client.pair_setup(
                state(5), (ENCRYPTED, spoil(sealed, key, controller))
            )
        _expect_refused_keys(answer)
    assert not await is_in_control(server, controller)


def _expect_refused_keys(answer: Answer) -> None:
    """What was not to be read is malformed, what was but was not right is refused."""
    if answer.status == 400:
        expect_malformed(answer, 6)
    else:
        expect_error(answer, 6, AUTHENTICATION)


def _truncate(sealed: bytes, _key: bytes, _controller: Controller) -> bytes:
    return sealed[:-1]


def _no_signature(_sealed: bytes, key: bytes, controller: Controller) -> bytes:
    values = [v for v in m5_values(key, controller) if v[0] != SIGNATURE]
    return seal_m5(key, values)


def _other_signature(_sealed: bytes, key: bytes, controller: Controller) -> bytes:
    other = m5_values(key, Controller(identifier=controller.identifier))
    values = m5_values(key, controller)
    return seal_m5(key, [*values[:-1], other[-1]])


def _bad_id(_sealed: bytes, key: bytes, controller: Controller) -> bytes:
    return seal_m5(key, m5_values(key, Controller(b"\xff\xfe", controller.signer)))


def _short_key(_sealed: bytes, key: bytes, controller: Controller) -> bytes:
    values = [
        (IDENTIFIER, controller.identifier),
        (PUBLIC_KEY, controller.public_key[:31]),
        (SIGNATURE, bytes(64)),
    ]
    return seal_m5(key, values)


async def second_home(server: Server) -> None:
    """Pair with the right code while it is paired."""
    await server.home()
    async with await server.connect() as client:
        expect_error(await client.pair_setup(*M1), 2, UNAVAILABLE)
        expect_error(await _guess(client), 4, UNAVAILABLE)
