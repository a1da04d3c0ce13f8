"""Fuzzed HTTP, of strangers and of controllers."""

from __future__ import annotations

import asyncio
from random import Random
from typing import ClassVar

from tests.e2e.door.fuzz_answers import check, every
from tests.e2e.door.fuzz_bytes import MOST_BODY_OF_STRANGER, pieces
from tests.e2e.door.fuzz_requests import (
    OF_CONTROLLER,
    OF_STRANGER,
    Right,
    Table,
    right,
    wrong,
)
from tests.e2e.door.fuzz_wire import Kind, Wire


class HttpKind(Kind):
    """Whatever a stranger may say, each time on a connection of its own."""

    paired = True
    table: ClassVar[Table] = OF_STRANGER

    most_body: ClassVar[int] = MOST_BODY_OF_STRANGER

    #: Of the frames, where there are any.
    sizes: ClassVar[tuple[int, ...]] = (1024, 1024, 1024, 1000, 100, 17)

    async def play(self, wire: Wire, rng: Random) -> None:
        case = Right(wrong(rng), ())
        if rng.random() < 0.4:
            case = right(rng, self.table, self.most_body)
        for piece in pieces(rng, case.data):
            wire.send_in_frames(piece, rng.choice(self.sizes))
            await asyncio.sleep(0)
        if not case.statuses and rng.random() < 0.1:
            wire.abort()
            return
        wire.finish()
        said = await wire.closed()
        wire.close()
        heads = b"HEAD" in case.data
        answers = every(said, heads=heads)
        verified = wire.inbound is not None
        for answer in answers:
            check(answer, verified=verified, paired=self.paired, heads=heads)
        statuses = tuple(answer.status for answer in answers)
        if case.statuses:
            assert statuses == case.statuses, f"{statuses} instead of {case.statuses}"
        # One more than there are requests, to say that what follows them is none.
        assert len(answers) <= case.data.count(b"HTTP/") + 1, answers


class UnpairedHttpKind(HttpKind):
    """The same with a bridge that nobody is paired with."""

    paired = False


class SealedHttpKind(HttpKind):
    """Whatever a controller may say after pair-verify, in frames of any size."""

    table = OF_CONTROLLER
    most_body = 256 * 1024

    async def open(self) -> Wire:
        return await Wire.verified(self.server, await self.server.home())
