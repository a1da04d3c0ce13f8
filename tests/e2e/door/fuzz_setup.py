"""Fuzzed pair-setup: messages that are almost right, with and without the code."""

from __future__ import annotations

from random import Random

from tests.e2e.door.client import (
    Controller,
    Setup,
    accepted,
    m5_values,
)
from tests.e2e.door.expectations import expect, expect_status
from tests.e2e.door.fuzz_answers import check_refusal_of_form, expect_step
from tests.e2e.door.fuzz_bytes import (
    MOST_BODY_OF_STRANGER,
    is_guess,
    readable,
    spoil,
    spoil_tlv,
    state_in,
)
from tests.e2e.door.fuzz_wire import Kind, Wire, seal, seeded_controller
from tests.e2e.door.servers import CODE
from tests.e2e.door.tlv import (
    AUTHENTICATION,
    BUSY,
    ENCRYPTED,
    IDENTIFIER,
    METHOD,
    PROOF,
    PUBLIC_KEY,
    REMOVE,
    SALT,
    SIGNATURE,
    UNAVAILABLE,
    UNKNOWN,
    Value,
    state,
    tlv,
)


def setup_message(rng: Random) -> bytes:
    """A message of pair-setup, almost; never an attempt at the setup code."""
    while True:
        body = spoil_tlv(rng, _setup_values(rng))
        if not is_guess(body):
            return body


def _setup_values(rng: Random) -> list[Value]:
    number = rng.choice([1, 1, 1, 3, 3, 5, 5, 2, 4, 6])
    values: dict[int, list[Value]] = {
        1: [(METHOD, b"\0")],
        2: [(SALT, rng.randbytes(16)), (PUBLIC_KEY, rng.randbytes(384))],
        3: [(PUBLIC_KEY, rng.randbytes(384)), (PROOF, rng.randbytes(64))],
        4: [(PROOF, rng.randbytes(64))],
        5: [(ENCRYPTED, rng.randbytes(rng.choice([0, 15, 16, 154])))],
        6: [(ENCRYPTED, rng.randbytes(140))],
    }
    found = values[number]
    if number == 3:
        del found[rng.randrange(2)]
    return [*found, state(number)] if rng.random() < 0.3 else [state(number), *found]


class SetupKind(Kind):
    """Pair-setup by those who do not even try a code."""

    paired = False

    async def play(self, wire: Wire, rng: Random) -> None:
        for _ in range(rng.randrange(1, 4)):
            body = setup_message(rng)
            answer = await wire.ask(rng, "POST", "/pair-setup", body)
            if check_refusal_of_form(answer, body, MOST_BODY_OF_STRANGER):
                if answer.status == 413:
                    wire.close()
                    return
            elif state_in(body) != 1:
                self._expect_out_of_order(answer.status)
                expect_step(answer, body, answer.error, answer.status)
            elif answer.error is None:
                values = answer.tlv
                expect_step(answer, body, None)
                assert (len(values[SALT]), len(values[PUBLIC_KEY])) == (16, 384), values
                assert values[PUBLIC_KEY][0], values
            else:
                expect_step(answer, body, BUSY)
        if rng.random() < 0.3:
            # Or one connection would have the turn to itself.
            wire.leave(rng)

    @staticmethod
    def _expect_out_of_order(status: int) -> None:
        assert status == 400, f"{status} to a step that is out of order"

    async def finish(self) -> None:
        assert self.server.failed_attempts == 0
        assert self.server.controllers() == {}


class LateSetupKind(Kind):
    """Pair-setup with a bridge that is paired."""

    paired = True

    async def play(self, wire: Wire, rng: Random) -> None:
        body = spoil_tlv(rng, _setup_values(rng))
        answer = await wire.ask(rng, "POST", "/pair-setup", body)
        if not check_refusal_of_form(answer, body, MOST_BODY_OF_STRANGER):
            expect_step(answer, body, UNAVAILABLE)
        elif answer.status == 413:
            wire.close()


class ProofKind(Kind):
    """Pair-setup by one who knows the code: M3 and M5 that are almost right.

    Wrong proofs are counted and answered later and later, so that a right one comes
    behind every third of them.
    """

    paired = False
    lanes = 1

    async def prepare(self) -> None:
        self._wrong = self.server.failed_attempts

    async def play(self, wire: Wire, rng: Random) -> None:
        setup = Setup(wire, CODE)
        # A secret of aiohomekit's own would be another one each time.
        setup.srp.a = int.from_bytes(rng.randbytes(32), "big")
        setup.srp.A = pow(setup.srp.g, setup.srp.a, setup.srp.n)
        setup.srp.A_b = bytearray(setup.srp.A.to_bytes(384, "big"))
        accepted(await setup.m1())
        if rng.random() < 0.5 and self._wrong < 3:
            await self._prove(wire, rng, setup)
        else:
            accepted(await setup.m3())
            self._wrong = 0
            await self._exchange_keys(wire, rng, setup)
        counted = self.server.failed_attempts
        assert counted == self._wrong, f"{counted} attempts instead of {self._wrong}"
        wire.close()

    async def _prove(self, wire: Wire, rng: Random, setup: Setup) -> None:
        public = bytes(setup.srp.get_public_key_bytes())
        proof = bytes(setup.srp.get_proof_bytes())
        body = spoil_tlv(rng, [state(3), (PUBLIC_KEY, public), (PROOF, proof)])
        answer = await wire.ask(rng, "POST", "/pair-setup", body)
        values = readable(body) or {}
        if check_refusal_of_form(answer, body, MOST_BODY_OF_STRANGER):
            return
        if not is_guess(body):
            # M1 may have come of it.
            is_m1 = state_in(body) == 1
            expect_step(answer, body, None if is_m1 else UNKNOWN, 200 if is_m1 else 400)
        elif (values[PUBLIC_KEY], values[PROOF]) == (public, proof):
            expect_step(answer, body, None)
            self._wrong = 0
        else:
            expect_step(answer, body, AUTHENTICATION)
            self._wrong += 1

    async def _exchange_keys(self, wire: Wire, rng: Random, setup: Setup) -> None:
        controller = seeded_controller(rng)
        key = setup.srp.get_session_key_bytes()
        right = m5_values(key, controller)
        inner = spoil_tlv(rng, right) if rng.random() < 0.7 else tlv(*right)
        sealed = seal(key, b"Pair-Setup", b"PS-Msg05", inner)
        if rng.random() < 0.2:
            sealed = spoil(rng, sealed)
            inner = b""
        body = tlv(state(5), (ENCRYPTED, sealed))
        answer = await wire.ask(rng, "POST", "/pair-setup", body)
        if check_refusal_of_form(answer, body, MOST_BODY_OF_STRANGER):
            return
        values = readable(inner)
        if values is not None and all(values.get(kind) == value for kind, value in right):
            expect_step(answer, body, None)
            await self._leave(controller)
        elif values is not None and not {IDENTIFIER, PUBLIC_KEY, SIGNATURE} <= set(values):
            told = answer.status, answer.error
            assert told in {(400, UNKNOWN), (200, AUTHENTICATION)}, answer
        else:
            expect_step(answer, body, AUTHENTICATION)
        assert self.server.controllers() == {}, "paired"

    async def _leave(self, controller: Controller) -> None:
        """Use the pairing that has come about, and end it."""
        async with await Wire.verified(self.server, controller) as wire:
            expect_status(await wire.get("/accessories"), 200)
            answer = await wire.pairings(REMOVE, (IDENTIFIER, controller.identifier))
            expect(answer, 200, tlv(state(2)))
