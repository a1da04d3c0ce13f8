"""What one sensor has said in a while: means of its climate, the last of all else.

Source: docs/read.md, "What it prints".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from typing import Final

from hk_bridge.devices.spikes import Measurement
from hk_bridge.model import Quantity

#: What is averaged, and what is waited for. Of all else the last value counts.
AVERAGED: Final[tuple[Quantity, ...]] = ("temperature", "humidity")


class Samples:
    """The samples of one sensor. `last` holds the last one of each quantity."""

    def __init__(self) -> None:
        self.last: dict[Quantity, Measurement] = {}
        self._counts: Counter[Quantity] = Counter()
        self._sums: dict[Quantity, float] = dict.fromkeys(AVERAGED, 0.0)

    def add(self, values: Mapping[Quantity, float], at: float) -> None:
        """Take what one frame has made current, in the units of `Quantity`."""
        for quantity, value in values.items():
            self.last[quantity] = Measurement(value, at)
            self._counts[quantity] += 1
            if quantity in self._sums:
                self._sums[quantity] += value

    def count(self, quantity: Quantity) -> int:
        """How many samples of it there are."""
        return self._counts[quantity]

    def value(self, quantity: Quantity) -> float | None:
        """The mean of what is averaged, the last value of all else; None without any."""
        last = self.last.get(quantity)
        if last is None or quantity not in self._sums:
            return None if last is None else last.value
        return self._sums[quantity] / self._counts[quantity]

    def are_enough(self, wanted: int, measured: Container[Quantity]) -> bool:
        """Whether there are `wanted` samples of each quantity that is waited for.

        Those that are not `measured` by the sensor are not. Of one that measures none of
        them, anything is enough.
        """
        return bool(self.last) and all(
            self._counts[quantity] >= wanted
            for quantity in AVERAGED
            if quantity in measured
        )
