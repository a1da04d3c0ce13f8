"""A push button: from samples of a contact to clicks and holds.

The gestures are those of the wall buttons that the dimmers are sold for: a click toggles,
a hold dims in steps. What a lamp makes of them is not known here.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import Final

#: A contact bounces, and a long cable picks up sparks. What is shorter than this is none.
_DEBOUNCE_SECONDS: Final = 0.030

#: Who presses for longer than this holds.
_HOLD_SECONDS: Final = 0.5

#: Between the steps of a hold.
_STEP_SECONDS: Final = 0.1


class Gesture(Enum):
    """What a person does with a push button.

    `CLICK` comes when it is let go, `HOLD` when a hold begins, and `STEP` again and again
    while it goes on. The end of a hold is no gesture.
    """

    CLICK = auto()
    HOLD = auto()
    STEP = auto()


class PushButton:
    """Says which gesture a contact makes, sample after sample.

    A change counts once it has lasted for 30 ms, and then from its beginning. A contact
    that is closed from the start is a stuck button, or an adapter that was just opened:
    nothing is pressed until it was open once.
    """

    def __init__(self) -> None:
        self._pressed = True
        self._held = True
        self._due = math.inf
        self._changed_at: float | None = None

    def feed(self, at: float, pressed: bool) -> Gesture | None:  # noqa: FBT001 # a sample is its time and its level
        """The gesture that the sample `pressed`, taken `at`, completes, if any.

        `at` is in seconds of a clock that never goes back. Samples are best taken each
        10 ms. After a pause there is one gesture at most, and no burst of steps.
        """
        if pressed is self._pressed:
            self._changed_at = None
            return self._go_on(at) if pressed else None
        if self._changed_at is None:
            self._changed_at = at
        if at < self._changed_at + _DEBOUNCE_SECONDS:
            return None
        began, self._changed_at = self._changed_at, None
        self._pressed = pressed
        if not pressed:
            return None if self._held else Gesture.CLICK
        self._held = False
        self._due = began + _HOLD_SECONDS
        return self._go_on(at)

    def _go_on(self, at: float) -> Gesture | None:
        """What a contact that stays closed makes: a hold in its time, then steps."""
        if at < self._due:
            return None
        gesture = Gesture.STEP if self._held else Gesture.HOLD
        self._held = True
        self._due += _STEP_SECONDS
        if self._due <= at:
            self._due = at + _STEP_SECONDS
        return gesture
