"""Fuzzed /pairings, by an admin and by a guest, against a model of the list."""

from __future__ import annotations

from random import Random
from uuid import UUID

from tests.e2e.door.client import Answer, Controller
from tests.e2e.door.expectations import expect
from tests.e2e.door.fuzz_answers import check_refusal_of_form, expect_step
from tests.e2e.door.fuzz_bytes import readable, spoil_tlv, state_in
from tests.e2e.door.fuzz_wire import Kind, Wire, seeded_controller
from tests.e2e.door.tlv import (
    ADD,
    AUTHENTICATION,
    IDENTIFIER,
    LIST,
    MAX_PEERS,
    METHOD,
    PERMISSIONS,
    PUBLIC_KEY,
    REMOVE,
    SEPARATOR,
    UNKNOWN,
    Value,
    state,
    tlv,
)

MOST_PAIRINGS = 16
MOST_BODY = 256 * 1024

#: Who is added and removed: more than there is room for.
OTHERS = [seeded_controller(Random(number)) for number in range(20)]


class PairingsKind(Kind):
    """Changes of the list of pairings that are almost right, one after the other."""

    paired = True
    lanes = 1

    async def prepare(self) -> None:
        await super().prepare()
        self._home = await self.server.home()
        self._guest = seeded_controller(Random(-1))
        #: Id as it was spelt, public key and rank, by id.
        self._known: dict[UUID | None, tuple[bytes, bytes, int]] = {}
        for controller, rank in ((self._home, 1), (self._guest, 0)):
            self._keep(controller.identifier, controller.public_key, rank)
        async with await Wire.verified(self.server, self._home) as wire:
            expect(await wire.pairings(ADD, *_parts(self._guest, 0)), 200, tlv(state(2)))

    def _keep(self, identifier: bytes, key: bytes, rank: int) -> None:
        found = UUID(identifier.decode())
        self._known[found] = (self._known.get(found, (identifier,))[0], key, rank)

    async def open(self) -> Wire:
        wire = await Wire.verified(self.server, self._home)
        wire.is_paired = True
        return wire

    async def play(self, wire: Wire, rng: Random) -> None:
        if rng.random() < 0.1:
            await self._play_as_guest(rng)
            return
        body = self._message(rng)
        answer = await wire.ask(rng, "POST", "/pairings", body)
        if not check_refusal_of_form(answer, body, MOST_BODY):
            self._expect_change(answer, body)
        if rng.random() < 0.1:
            await self._expect_list(wire)

    async def _play_as_guest(self, rng: Random) -> None:
        async with await Wire.verified(self.server, self._guest) as wire:
            body = self._message(rng)
            answer = await wire.ask(rng, "POST", "/pairings", body)
            if not check_refusal_of_form(answer, body, MOST_BODY):
                expect_step(answer, body, AUTHENTICATION)

    def _message(self, rng: Random) -> bytes:
        """A message, almost; never one that takes the pairing of home or of the guest."""
        while True:
            body = spoil_tlv(rng, self._values(rng))
            values = readable(body) or {}
            _, key, _ = self._known.get(_id_in(values), (b"", b"", 0))
            is_resident = key in {self._home.public_key, self._guest.public_key}
            if not is_resident or (
                values.get(METHOD) == b"\3" and values.get(PUBLIC_KEY) != key
            ):
                return body

    def _values(self, rng: Random) -> list[Value]:
        method = rng.choice([ADD, ADD, ADD, REMOVE, LIST])
        head = [(METHOD, bytes([method])), state(1)]
        other = rng.choice(OTHERS)
        if rng.random() < 0.1:
            # With a key that is not its own.
            other = Controller(self._home.identifier, other.signer)
        if method == ADD:
            return [*head, *_parts(other, rng.randrange(2))]
        return [*head, (IDENTIFIER, other.identifier)] if method == REMOVE else head

    def _expect_change(self, answer: Answer, body: bytes) -> None:
        """Assert what became of a message that has a state, and do the same."""
        values = readable(body) or {}
        method, target = values.get(METHOD), _id_in(values)
        if state_in(body) != 1 or method not in {b"\3", b"\4", b"\5"}:
            expect_step(answer, body, UNKNOWN, 400)
        elif method == b"\5":
            self._expect_listing(answer)
        elif target is None:
            expect_step(answer, body, UNKNOWN, 400)
        elif method == b"\4":
            expect_step(answer, body, None)
            self._known.pop(target, None)
        else:
            self._expect_addition(answer, body, target)

    def _expect_addition(self, answer: Answer, body: bytes, target: UUID) -> None:
        values = readable(body) or {}
        key, rank = values.get(PUBLIC_KEY, b""), values.get(PERMISSIONS)
        if len(key) != 32 or rank not in {b"\0", b"\1"}:
            expect_step(answer, body, UNKNOWN, 400)
        elif target in self._known and self._known[target][1] != key:
            expect_step(answer, body, UNKNOWN)
        elif target not in self._known and len(self._known) >= MOST_PAIRINGS:
            expect_step(answer, body, MAX_PEERS)
        else:
            expect_step(answer, body, None)
            self._keep(values[IDENTIFIER], key, rank[0])

    async def _expect_list(self, wire: Wire) -> None:
        self._expect_listing(await wire.pairings(LIST))

    def _expect_listing(self, answer: Answer) -> None:
        values = b"".join(
            tlv((IDENTIFIER, identifier), (PUBLIC_KEY, key), (PERMISSIONS, bytes([rank])))
            + tlv((SEPARATOR, b""))
            for identifier, key, rank in self._known.values()
        )
        expect(answer, 200, tlv(state(2)) + values.removesuffix(tlv((SEPARATOR, b""))))

    async def finish(self) -> None:
        """What was answered is what is on the disk; only home stays."""
        kept = {identifier: key for identifier, key, _ in self._known.values()}
        assert self.server.controllers() == kept
        self.server.restart()
        async with await Wire.verified(self.server, self._home) as wire:
            await self._expect_list(wire)
            for target, (identifier, _, _) in list(self._known.items())[1:]:
                answer = await wire.pairings(REMOVE, (IDENTIFIER, identifier))
                expect(answer, 200, tlv(state(2)))
                del self._known[target]
            await self._expect_list(wire)


def _parts(controller: Controller, rank: int) -> list[Value]:
    return [
        (IDENTIFIER, controller.identifier),
        (PUBLIC_KEY, controller.public_key),
        (PERMISSIONS, bytes([rank])),
    ]


def _id_in(values: dict[int, bytes]) -> UUID | None:
    try:
        return UUID(values[IDENTIFIER].decode("ascii"))
    except (KeyError, ValueError):
        return None
