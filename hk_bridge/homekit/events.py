"""When a change is told to a controller: at once, or gathered with others.

Source: docs/protocols/hap.md, "Events". Holds no values: what is sent is what is true at
the moment of sending, so that no old value can follow a newer one. Time arrives as an
argument, in seconds of any clock that never goes back.
"""

from __future__ import annotations

import math
from typing import Final

#: aid and iid of a characteristic.
Key = tuple[int, int]

#: What a person waits for with a finger on the screen.
URGENT: Final = frozenset({"On", "Brightness"})

#: What changes within one moment travels together.
_MOMENT_SECONDS: Final = 0.005

#: The specification would have a second; Homebridge has lived with this for years.
_GATHERING_SECONDS: Final = 0.25


class EventQueue:
    """The changes that one connection has yet to be told."""

    def __init__(self) -> None:
        self._waiting: dict[Key, None] = {}
        self._due = math.inf
        self._quiet_from = -math.inf

    def put(self, key: Key, *, urgent: bool, now: float) -> float:
        """Take note of a change; returns the time at which all that waits is due."""
        self._waiting[key] = None
        due = now + _MOMENT_SECONDS
        self._due = min(self._due, due if urgent else max(due, self._quiet_from))
        return self._due

    def drop(self, key: Key) -> None:
        """Forget a change: the controller has set this value itself."""
        self._waiting.pop(key, None)

    def take(self, now: float) -> list[Key]:
        """All that waits, in the order in which it came; it is told now."""
        taken = list(self._waiting)
        self._waiting.clear()
        self._due = math.inf
        if taken:
            self._quiet_from = now + _GATHERING_SECONDS
        return taken
