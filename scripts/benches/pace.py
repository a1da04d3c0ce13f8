"""How long answers take for somebody who asks at a steady pace."""

from __future__ import annotations

import asyncio
import math
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from scripts.benches.home import FAILURES, User

#: Somebody who waits longer than that for a lamp calls it broken.
GIVE_UP_SECONDS = 5.0

_PER_SECOND = 20
_RECONNECT_EVERY_SECONDS = 0.25


@dataclass
class Waits:
    """Milliseconds from request to answer; infinite where none came."""

    answers: list[float] = field(default_factory=list)
    reconnects: list[float] = field(default_factory=list)
    #: How often the connection was closed or refused in between.
    lost: int = 0

    @property
    def is_broken(self) -> bool:
        """Whether there was no answer within a time that anybody would wait."""
        return any(wait >= GIVE_UP_SECONDS * 1000 for wait in self.answers)


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def median(values: list[float]) -> float:
    return statistics.median_low(values)


async def ask_steadily(
    users: Sequence[User], seconds: float, waits: Waits, over: asyncio.Event
) -> None:
    """Ask 20 times per second on each connection; `over` is set at the end.

    That comes early if an answer does not come at all.
    """
    apart = 1 / _PER_SECOND / len(users)
    await asyncio.gather(
        *(
            _ask(user, seconds, index * apart, waits, over)
            for index, user in enumerate(users)
        )
    )
    over.set()


async def _ask(
    user: User, seconds: float, offset: float, waits: Waits, over: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time() + offset
    end = begin + seconds
    for turn in range(int(seconds * _PER_SECOND)):
        due = begin + turn / _PER_SECOND
        if (early := due - loop.time()) > 0:
            await asyncio.sleep(early)
            due = loop.time()  # timers are late by themselves
        if over.is_set():
            return
        # A late answer is late for all that had to wait for it; these are not asked.
        answered = loop.time() > end or await insist(user.ask, turn, waits)
        waits.answers.append((loop.time() - due) * 1000 if answered else math.inf)
        if not answered:
            over.set()


async def insist(ask: Callable[[int], Awaitable[None]], turn: int, waits: Waits) -> bool:
    """Ask until there is an answer; False where it takes too long."""
    try:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while True:
                try:
                    await ask(turn)
                except FAILURES:
                    waits.lost += 1
                    await asyncio.sleep(0.01)
                else:
                    return True
    except TimeoutError:
        return False


async def reconnect_now_and_then(
    make: Callable[[], User], waits: Waits, over: asyncio.Event
) -> None:
    """Connect and ask, four times per second, until all is `over`."""
    loop = asyncio.get_running_loop()
    while not over.is_set():
        await asyncio.sleep(_RECONNECT_EVERY_SECONDS)
        user = make()
        begin = loop.time()
        # Not counted as lost: that is about the steady connection.
        reached = await insist(user.ask, 0, Waits())
        waits.reconnects.append((loop.time() - begin) * 1000 if reached else math.inf)
        await user.close()
