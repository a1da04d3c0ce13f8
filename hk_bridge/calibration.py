"""Finds the lowest and the highest level of a bulb with a person at the keyboard.

Pure: keys go in, and what comes out are the level that the lamp is to have and what to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

#: Where to begin without a minLevel: most bulbs light there, and few of them well.
FIRST_LEVEL: Final = 64

_LOWEST, _HIGHEST = 1, 255


class Key(Enum):
    """What a key means; `OTHER` nothing."""

    UP = auto()
    DOWN = auto()
    FAR_UP = auto()
    FAR_DOWN = auto()
    TOGGLE = auto()
    TAKE = auto()
    LEAVE = auto()
    YES = auto()
    NO = auto()
    OTHER = auto()


class Step(Enum):
    """How far it is: two levels are looked for, then a question is asked."""

    LOW = auto()
    HIGH = auto()
    CONFIRM = auto()
    DONE = auto()
    LEFT = auto()


#: By how many levels keys move.
_MOVES: Final[Mapping[Key, int]] = {
    Key.UP: 1,
    Key.DOWN: -1,
    Key.FAR_UP: 10,
    Key.FAR_DOWN: -10,
}

#: The keys that answer the question, or end it all.
_ANSWERS: Final[Mapping[Key, Step]] = {
    Key.YES: Step.DONE,
    Key.NO: Step.LEFT,
    Key.LEAVE: Step.LEFT,
}


@dataclass(frozen=True, slots=True)
class Calibration:
    """Two levels that are looked for: `low` (1–254), and `high`, which is above it.

    In the step LOW, it is `low` that is looked at, later `high`. The lamp can be switched
    off for a while to see it start again.
    """

    low: int
    high: int
    step: Step = Step.LOW
    is_on: bool = True

    @classmethod
    def begin(cls, low: int | None, high: int | None) -> Calibration:
        """From the levels that are configured, None for one that is not."""
        first = FIRST_LEVEL if low is None else low
        last = _HIGHEST if high is None else high
        return cls(min(max(first, _LOWEST), _HIGHEST - 1), last)

    @property
    def is_over(self) -> bool:
        """Whether no key changes anything any more."""
        return self.step in (Step.DONE, Step.LEFT)

    @property
    def wanted(self) -> int:
        """The level (1–255) that is looked at."""
        return self.low if self.step is Step.LOW else self.high

    @property
    def level(self) -> int:
        """What the lamp is to be set to (0–255)."""
        return self.wanted if self.is_on else 0

    def press(self, key: Key) -> Calibration:
        """What it is after `key`."""
        if self.is_over:
            return self
        if key is Key.LEAVE or self.step is Step.CONFIRM:
            return replace(self, step=_ANSWERS.get(key, self.step))
        if key is Key.TOGGLE:
            return replace(self, is_on=not self.is_on)
        if key is Key.TAKE:
            return self._taken()
        return self._moved(_MOVES[key]) if key in _MOVES else self

    def _taken(self) -> Calibration:
        if self.step is Step.LOW:
            high = max(self.high, self.low + 1)
            return replace(self, high=high, step=Step.HIGH, is_on=True)
        return replace(self, step=Step.CONFIRM, is_on=True)

    def _moved(self, by: int) -> Calibration:
        if self.step is Step.LOW:
            low = min(max(self.low + by, _LOWEST), _HIGHEST - 1)
            return replace(self, low=low, is_on=True)
        high = min(max(self.high + by, self.low + 1), _HIGHEST)
        return replace(self, high=high, is_on=True)
