"""Which connections there may be, and which of them makes room for another.

Pure rules; guard.py applies them. A stranger is a connection that has not been through
pair-verify: strangers make room only for strangers, and what a paired controller holds
is never taken by one. Time arrives as an argument, in seconds of any clock that never
goes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Generic, TypeVar

MOST_STRANGERS: Final = 16
MOST_VERIFIED: Final = 48

#: A request that has begun is whole by then, or is none.
UNFINISHED_SECONDS: Final = 30.0

#: Longer than a person looks for the setup code.
IDLE_STRANGER_SECONDS: Final = 600.0

#: Somebody who means it asks for something, and goes on with pair-verify, within this.
_FRESH_SECONDS: Final = 10.0

Connection = TypeVar("Connection")


class Stage(Enum):
    """What a connection is in the middle of."""

    LEAVING = auto()
    IDLE = auto()
    VERIFYING = auto()
    PAIRING = auto()


@dataclass(frozen=True, slots=True)
class Visitor(Generic[Connection]):
    """One connection: where it comes from, and since when nothing came of it.

    `since` is the time of its last whole request, or of its beginning: bytes that
    trickle in are not worth anything. `is_known` where a controller has come from the
    same host before.
    """

    connection: Connection
    host: str
    stage: Stage
    since: float
    is_known: bool = False

    def is_worthless(self, now: float) -> bool:
        """Whether nothing can be expected of it any more."""
        is_stale = now - self.since > _FRESH_SECONDS
        return self.stage is Stage.LEAVING or (is_stale and self.stage is not Stage.PAIRING)


def makes_room(strangers: Sequence[Visitor[Connection]], now: float) -> Connection | None:
    """The one of these that makes room for a new one; None where all are to stay.

    It is one of which nothing can be expected, or else one of a host from which no
    controller has come so far, or else one of the largest group: of the host that has the
    most, in the stage that most are in. Whatever a crowd does, it is the crowd that pays.
    Of these it is the oldest. One that is being paired stays.
    """
    of_host = Counter(visitor.host for visitor in strangers)
    of_stage = Counter(visitor.stage for visitor in strangers)

    def rank(visitor: Visitor[Connection]) -> tuple[bool, bool, int, int, float]:
        return (
            not visitor.is_worthless(now),
            visitor.is_known,
            -of_host[visitor.host],
            -of_stage[visitor.stage],
            visitor.since,
        )

    leaving = [visitor for visitor in strangers if visitor.stage is not Stage.PAIRING]
    return min(leaving, key=rank).connection if leaving else None


def does_nothing(strangers: Sequence[Visitor[Connection]], now: float) -> list[Connection]:
    """Those of these that are in the middle of nothing; all go where room is short."""
    return [
        visitor.connection
        for visitor in strangers
        if visitor.stage is Stage.IDLE or visitor.is_worthless(now)
    ]
