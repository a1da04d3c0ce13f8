"""Values as the tables of the formats make them, and which of them can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hk_bridge.model import PLAUSIBLE, Quantity

_NONE: Final[tuple[Quantity, ...]] = ()


def sift(
    said: Mapping[Quantity, float],
) -> tuple[Mapping[Quantity, float], tuple[Quantity, ...]]:
    """What of a frame's values can be, and the names of those that cannot.

    NaN, which a float in a frame may be, cannot.
    """
    for quantity, value in said.items():
        low, high = PLAUSIBLE[quantity]
        if not low <= value <= high:
            break
    else:
        return said, _NONE
    good = {
        quantity: value
        for quantity, value in said.items()
        if PLAUSIBLE[quantity][0] <= value <= PLAUSIBLE[quantity][1]
    }
    return good, tuple(quantity for quantity in said if quantity not in good)
