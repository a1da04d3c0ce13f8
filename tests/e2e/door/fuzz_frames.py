"""Fuzzed frames of an encrypted connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

from tests.e2e.door.client import FRAME, Frames, request
from tests.e2e.door.fuzz_answers import check, every
from tests.e2e.door.fuzz_bytes import pieces, spoil
from tests.e2e.door.fuzz_wire import Kind, Wire

_REQUESTS = (
    request("GET", "/accessories"),
    request("GET", "/characteristics?id=1.2"),
    request("PUT", "/characteristics", b'{"characteristics":[]}'),
    request("PUT", "/characteristics", b" " * 3000),
    request("GET", "/", headers=[("X", "x" * 2000)]),
)


@dataclass(frozen=True)
class Sealed:
    """What is sent: `intact` requests are answered at most, and at least `certain`.

    `is_refused` where there is a frame in it, whole, that cannot be taken.
    """

    data: bytes
    intact: int
    certain: int = 0
    is_refused: bool = False

    @property
    def is_right(self) -> bool:
        """Whether there is nothing bad in it."""
        return self.certain == self.intact > 0


def sealed(rng: Random, frames: Frames) -> Sealed:
    """Some requests, each in frames of its own, and one change or none."""
    requests = [
        seal(rng, frames, rng.choice(_REQUESTS)) for _ in range(rng.randrange(1, 4))
    ]
    at = rng.randrange(len(requests) + 1)
    count = len(requests)
    before, rest = b"".join(requests[:at]), b"".join(requests[at:])
    # Frames that are in order come to nothing where a bad one comes at the same time.
    match rng.randrange(10):
        case 0 | 1:
            return Sealed(before + rest, count, certain=count)
        case 2:
            return Sealed(before + rest[: rng.randrange(len(rest) + 1)], count, certain=at)
        case 3:
            return Sealed(before + rng.randbytes(rng.randrange(2, 2000)) + rest, at)
        case 4:
            again = rng.choice(requests[: at or 1])
            return Sealed(before + again + rest, at or 1, is_refused=at > 0)
        case 5:
            return Sealed(before + bytes(rng.randrange(1, 100)) + rest, at)
        case 6:
            length = rng.randrange(FRAME + 1, 2**16).to_bytes(2, "little")
            return Sealed(before + length + rest, at, is_refused=True)
        case 7:
            long = rng.choice(_REQUESTS[3:])
            data = before + rest + frames.seal(long, len(long))
            return Sealed(data, count, is_refused=True)
        case 8:
            last = bytearray(frames.seal(_REQUESTS[0]))
            last[rng.randrange(2, len(last))] ^= 1 << rng.randrange(8)
            return Sealed(before + rest + bytes(last), count, is_refused=True)
        case _:
            return Sealed(before + spoil(rng, rest), count)


def seal(rng: Random, frames: Frames, data: bytes) -> bytes:
    """A request in frames of any size, and some of them empty."""
    size = rng.choice([FRAME, FRAME, 1000, 100, 20])
    head = empty(frames) if rng.random() < 0.1 else b""
    return head + frames.seal(data, size)


def empty(frames: Frames) -> bytes:
    """A frame without anything in it, which is nothing bad."""
    return b"\0\0" + frames._cipher.encrypt(frames._nonce(), b"", b"\0\0")


class FramesKind(Kind):
    """Frames that are almost right, each time on a connection of its own."""

    paired = True

    async def open(self) -> Wire:
        return await Wire.verified(self.server, await self.server.home())

    async def play(self, wire: Wire, rng: Random) -> None:
        assert wire.outbound is not None
        case = sealed(rng, wire.outbound)
        for piece in pieces(rng, case.data):
            wire.write(piece)
            await asyncio.sleep(0)
        if not case.is_refused:
            wire.finish()
        answers = every(await wire.closed())
        wire.close()
        for answer in answers:
            check(answer, verified=True)
            assert answer.status in {200, 204, 207, 400, 404}, answer
        count = len(answers)
        assert case.certain <= count <= case.intact, (
            f"{count} answers to {case.certain} to {case.intact} requests"
        )
