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
from enum import IntEnum
from typing import Final, Generic, TypeVar

MOST_STRANGERS: Final = 16
MOST_VERIFIED: Final = 48

#: A request that has begun is whole by then, or is none.
UNFINISHED_SECONDS: Final = 30.0

#: Longer than a person looks for the setup code.
IDLE_STRANGER_SECONDS: Final = 600.0

#: Somebody in the middle of pair-verify goes on within a moment.
_VERIFYING_SECONDS: Final = 10.0

Connection = TypeVar("Connection")


class Stage(IntEnum):
    """What a connection is in the middle of; the last ones to make room come last."""

    LEAVING = 0
    IDLE = 1
    VERIFYING = 2
    PAIRING = 3


@dataclass(frozen=True, slots=True)
class Visitor(Generic[Connection]):
    """One connection: where it comes from, and since when nothing came of it.

    `since` is the time of its last whole request, or of its beginning: bytes that
    trickle in are not worth anything.
    """

    connection: Connection
    host: str
    stage: Stage
    since: float


def makes_room(strangers: Sequence[Visitor[Connection]], now: float) -> Connection | None:
    """The stranger that makes room for another one; None where all are to stay.

    It is one of the host that has the most; of these one that is in the middle of
    nothing; of these the oldest.
    """
    of_host = Counter(visitor.host for visitor in strangers)

    def rank(visitor: Visitor[Connection]) -> tuple[bool, int, Stage, float]:
        stage = visitor.stage
        if stage is Stage.VERIFYING and now - visitor.since > _VERIFYING_SECONDS:
            stage = Stage.IDLE
        leaving = stage is Stage.LEAVING
        return (not leaving, -of_host[visitor.host], stage, visitor.since)

    leaving = [visitor for visitor in strangers if visitor.stage is not Stage.PAIRING]
    return min(leaving, key=rank).connection if leaving else None
