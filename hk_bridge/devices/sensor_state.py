"""How it is with a sensor, by what its frames were.

Source: docs/sensors.md, "What each state means".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class SensorState(StrEnum):
    """How it is with a sensor."""

    NEVER_HEARD = "never heard"
    IDLE = "heard, idle frames only"
    NEEDS_KEY = "needs a bind key"
    WRONG_KEY = "wrong bind key"
    UNREADABLE = "cannot be read"
    DECODING = "decoding"
    SILENT = "silent"


#: From these a first frame that says more leads at once to what it says.
_UNDECIDED: Final = frozenset({SensorState.NEVER_HEARD, SensorState.IDLE})

#: Different frames in a row that cannot be read, before a sensor that could be read is
#: taken for another one: a single one may be damaged, or somebody else's.
_PATIENCE: Final = 3


class SensorCondition:
    """What the frames of one sensor have said of it, one after the other."""

    def __init__(self) -> None:
        self._said = SensorState.NEVER_HEARD
        self._heard: float | None = None
        self._against = 0

    def heard(self, what: SensorState, at: float, *, is_copy: bool = False) -> None:
        """Take note of a frame.

        `what` is `DECODING` where it has values, `IDLE` where it has none, or why it has
        not been opened. A copy of the last frame shows nothing that that one has not, and
        damage is no sign of life.
        """
        if what is not SensorState.UNREADABLE or self._said in {*_UNDECIDED, what}:
            self._heard = at
        if what is SensorState.IDLE:
            if self._said is SensorState.NEVER_HEARD:
                self._said = what
        elif what in {SensorState.DECODING, self._said} or self._said in _UNDECIDED:
            self._said, self._against = what, 0
        elif not is_copy:
            self._against += 1
            if self._against >= _PATIENCE:
                self._said, self._against, self._heard = what, 0, at

    def state(self, now: float, timeout: float, *, values_are_old: bool) -> SensorState:
        """How it is now.

        `timeout` is how many seconds of silence are too long, and `values_are_old` where
        there were values and none may be shown any more.
        """
        if self._heard is None:
            return SensorState.NEVER_HEARD
        if now >= self._heard + timeout:
            return SensorState.SILENT
        if self._said is SensorState.DECODING and values_are_old:
            return SensorState.IDLE
        return self._said

    def changes(self, now: float, timeout: float) -> float:
        """When it becomes silent unless it is heard; infinite where it is, or cannot."""
        end = float("inf") if self._heard is None else self._heard + timeout
        return end if end > now else float("inf")
