"""Connections that come one after the other, each with one message of any kind."""

from __future__ import annotations

from random import Random

from tests.e2e.door.client import close_all, request
from tests.e2e.door.crowds import nonsense
from tests.e2e.door.fuzz_answers import check, every
from tests.e2e.door.fuzz_bytes import spoil
from tests.e2e.door.fuzz_json import write_text
from tests.e2e.door.fuzz_requests import wrong
from tests.e2e.door.fuzz_setup import setup_message
from tests.e2e.door.fuzz_wire import Kind, Wire


def message(rng: Random) -> bytes:
    """One message, of any kind."""
    match rng.randrange(5):
        case 0:
            return request("POST", "/pair-setup", setup_message(rng))
        case 1:
            return request("POST", "/pair-verify", setup_message(rng))
        case 2:
            body = write_text(rng, [(1, 2), (2, 9)])
            path = rng.choice(["/characteristics", "/prepare", "/pairings", "/identify"])
            data = request(rng.choice(["PUT", "POST"]), path, body)
            return spoil(rng, data) if rng.random() < 0.5 else data
        case 3:
            return nonsense(rng)
        case _:
            return wrong(rng)


class CrowdKind(Kind):
    """Strangers who say one thing each; some of them stay when they have said it."""

    paired = False

    async def prepare(self) -> None:
        self._staying: list[Wire] = []

    async def play(self, wire: Wire, rng: Random) -> None:
        data = message(rng)
        wire.write(data)
        if rng.random() < 0.1:
            self._staying.append(wire)
            return
        wire.finish()
        said = await wire.closed()
        wire.close()
        heads = b"HEAD" in data
        for answer in every(said, heads=heads):
            check(answer, verified=False, paired=False, heads=heads)

    def is_used_up(self, _wire: Wire, /) -> bool:
        return True

    async def finish(self) -> None:
        await close_all(self._staying)
