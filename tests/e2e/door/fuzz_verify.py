"""Fuzzed pair-verify, by the controller at home and by others."""

from __future__ import annotations

from random import Random

from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)

from tests.e2e.door.client import Answer, Controller, Verify, request
from tests.e2e.door.expectations import expect_status
from tests.e2e.door.fuzz_answers import check_refusal_of_form, expect_step
from tests.e2e.door.fuzz_bytes import (
    MOST_BODY_OF_STRANGER,
    readable,
    spoil,
    spoil_tlv,
    state_in,
)
from tests.e2e.door.fuzz_wire import Kind, Wire, seal, seeded_controller
from tests.e2e.door.tlv import (
    AUTHENTICATION,
    ENCRYPTED,
    IDENTIFIER,
    PUBLIC_KEY,
    SIGNATURE,
    UNKNOWN,
    Value,
    state,
    tlv,
)

_SOME_SECRET = X25519PrivateKey.from_private_bytes(bytes(range(32)))


class Exchange(Verify):
    """One side of pair-verify whose secret comes of the chance of a case."""

    def __init__(self, wire: Wire, controller: Controller, rng: Random) -> None:
        super().__init__(wire, controller)
        self._secret = X25519PrivateKey.from_private_bytes(rng.randbytes(32))
        self.public = self._secret.public_key().public_bytes_raw()

        #: Whether M3 is what comes next.
        self.begun = False

    def m1_or_so(self, rng: Random) -> bytes:
        """M1, or almost."""
        values = [state(1), (PUBLIC_KEY, self.public)]
        return spoil_tlv(rng, values) if rng.random() < 0.5 else tlv(*values)

    def inner(self) -> list[Value]:
        """What M3 holds inside."""
        identifier = self.controller.identifier
        signed = self.public + identifier + self.server_public
        return [
            (IDENTIFIER, identifier),
            (SIGNATURE, self.controller.signer.sign(signed)),
        ]


class VerifyKind(Kind):
    """Pair-verify with a bridge that is paired; what is right gets in, nothing else."""

    paired = True

    async def prepare(self) -> None:
        await super().prepare()
        self._home = await self.server.home()

    async def play(self, wire: Wire, rng: Random) -> None:
        someone = seeded_controller(rng)
        exchange = Exchange(wire, self._home if rng.random() < 0.7 else someone, rng)
        for _ in range(rng.randrange(1, 6)):
            if rng.random() < (0.8 if exchange.begun else 0.2):
                body, is_right = self._m3(exchange, rng)
            else:
                body, is_right = exchange.m1_or_so(rng), False
            if is_right and rng.random() < 0.2:
                await self._bring_more(wire, rng, body)
                return
            answer = await wire.ask(rng, "POST", "/pair-verify", body)
            if answer.status == 413:
                wire.close()
            if check_refusal_of_form(answer, body, MOST_BODY_OF_STRANGER):
                pass
            elif state_in(body) == 1:
                self._expect_m2(exchange, answer, body)
            else:
                await self._expect_m4(exchange, answer, body, is_right=is_right)
            if wire.is_closing:
                return
        if exchange.begun:
            # The next case is to begin at the beginning.
            wire.leave(rng)

    def _expect_m2(self, exchange: Exchange, answer: Answer, body: bytes) -> None:
        key = (readable(body) or {}).get(PUBLIC_KEY)
        exchange.begun = is_usable(key)
        if not exchange.begun:
            expect_step(answer, body, UNKNOWN, 400)
            return
        expect_step(answer, body, None if self.paired else AUTHENTICATION)
        exchange.take_m2(answer)
        if key != exchange.public:
            # There is no right M3 for a key that is somebody else's.
            exchange.client.close()

    async def _expect_m4(
        self, exchange: Exchange, answer: Answer, body: bytes, *, is_right: bool
    ) -> None:
        has_parts = state_in(body) == 3 and ENCRYPTED in (readable(body) or {})
        if is_right:
            expect_step(answer, body, None)
            await self._get_in(exchange)
        elif exchange.begun and has_parts:
            expect_step(answer, body, AUTHENTICATION)
        else:
            expect_step(answer, body, UNKNOWN, 400)
        exchange.begun = False

    def _m3(self, exchange: Exchange, rng: Random) -> tuple[bytes, bool]:
        """An M3, and whether it is to be accepted."""
        right = exchange.inner()
        inner = spoil_tlv(rng, right) if rng.random() < 0.5 else tlv(*right)
        sealed = seal(exchange.shared, b"Pair-Verify", b"PV-Msg03", inner)
        sent = spoil(rng, sealed) if rng.random() < 0.2 else sealed
        outer = [state(3), (ENCRYPTED, sent)]
        body = spoil_tlv(rng, outer) if rng.random() < 0.3 else tlv(*outer)
        found, said = readable(inner) or {}, readable(body) or {}
        is_right = (
            self.paired
            and exchange.begun
            and exchange.controller is self._home
            and all(found.get(kind) == value for kind, value in right)
            and said.get(ENCRYPTED) == sealed
            and state_in(body) == 3
        )
        return body, is_right

    async def _bring_more(self, wire: Wire, rng: Random, body: bytes) -> None:
        """Put bytes behind the last message, which would be a controller's own."""
        more = rng.choice([request("GET", "/accessories"), b"\r\n", rng.randbytes(40)])
        wire.send(request("POST", "/pair-verify", body) + more)
        said = await wire.closed()
        wire.close()
        assert said == b"", said

    async def _get_in(self, exchange: Exchange) -> None:
        exchange.secure()
        expect_status(await exchange.client.get("/accessories"), 200)
        exchange.client.close()

    async def finish(self) -> None:
        assert set(self.server.controllers()) == {self._home.identifier}


class UnpairedVerifyKind(VerifyKind):
    """The same with a bridge that nobody is paired with: nobody gets in."""

    paired = False

    async def prepare(self) -> None:
        self._home = seeded_controller(Random(0))

    async def finish(self) -> None:
        assert self.server.controllers() == {}


def is_usable(key: bytes | None) -> bool:
    """Whether a key is one of X25519 that gives a secret."""
    try:
        _SOME_SECRET.exchange(X25519PublicKey.from_public_bytes(key or b""))
    except ValueError:
        return False
    return True
