"""Jumps that no room makes: held back until they are confirmed.

Source: docs/sensors.md, "Jumps".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hk_bridge.model import Quantity

#: What nobody has confirmed or refuted by then counts all the same.
HELD_SECONDS: Final = 60.0

#: How far a value may be from the last one: at once, and for each minute since then. Who
#: speaks once an hour is never held back.
_ALLOWED: Final[Mapping[Quantity, tuple[float, float]]] = {
    "temperature": (5.0, 1.0),
    "humidity": (20.0, 10.0),
}
_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value as it was sent, and when it was last heard (seconds, monotonic)."""

    value: float
    at: float


def is_jump(quantity: Quantity, last: Measurement, value: float, at: float) -> bool:
    """Whether a room cannot have come from `last` to `value` in the time between."""
    allowed = _ALLOWED.get(quantity)
    if allowed is None:
        return False
    at_once, per_minute = allowed
    minutes = max(at - last.at, 0.0) / _MINUTE
    return abs(value - last.value) > at_once + per_minute * minutes


@dataclass(frozen=True, slots=True)
class Held:
    """A jump that waits, and since when one of its quantity does."""

    measurement: Measurement
    since: float

    @property
    def until(self) -> float:
        """When it counts all the same."""
        return self.since + HELD_SECONDS


class SpikeFilter:
    """Holds the jumps of one sensor."""

    def __init__(self) -> None:
        self._held: dict[Quantity, Held] = {}

    def holds(
        self, quantity: Quantity, last: Measurement | None, value: float, at: float
    ) -> bool:
        """Whether a new value is to wait; one that does not ends the wait of another.

        It does not where it follows from the last value, or confirms the one that waits.
        """
        held = self._held.pop(quantity, None)
        if last is None or not is_jump(quantity, last, value, at):
            return False
        if held is not None and (
            at >= held.until or not is_jump(quantity, held.measurement, value, at)
        ):
            return False
        self._held[quantity] = Held(
            Measurement(value, at), at if held is None else held.since
        )
        return True

    def repeated(self, quantity: Quantity, at: float) -> bool:
        """Whether the frame that was heard again is one of which the value waits."""
        held = self._held.get(quantity)
        if held is None:
            return False
        self._held[quantity] = Held(Measurement(held.measurement.value, at), held.since)
        return True

    def release(self, now: float) -> Mapping[Quantity, Measurement]:
        """What has waited long enough."""
        if not self._held:
            return {}
        over = {
            quantity: held.measurement
            for quantity, held in self._held.items()
            if now >= held.until
        }
        for quantity in over:
            del self._held[quantity]
        return over

    def next_release(self) -> float:
        """When something has waited long enough; infinite where nothing waits."""
        return min((held.until for held in self._held.values()), default=float("inf"))
