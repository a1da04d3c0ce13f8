"""A dimmer channel: on, brightness (remembered while off), and the level on the wire."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

FULL: Final = 100
_TOP_LEVEL: Final = 255


@dataclass(frozen=True, slots=True)
class Lamp:
    """What a lamp is set to. `brightness` (1–100 %) is remembered while it is off."""

    on: bool = False
    brightness: int = FULL

    def set(self, *, on: bool | None = None, brightness: int | None = None) -> Lamp:
        """The lamp after one write, of which either part may be missing.

        A brightness of 0 is off and leaves what is remembered; a brightness alone
        switches on; an explicit off wins over a brightness, which is remembered.
        """
        if brightness == 0:
            return replace(self, on=False)
        return Lamp(
            on=on if on is not None else self.on or brightness is not None,
            brightness=brightness if brightness is not None else self.brightness,
        )


@dataclass(frozen=True, slots=True)
class LevelCurve:
    """Percent → level. `low` and `high` (0–255) span 1–100 % where either is given."""

    low: int | None = None
    high: int | None = None

    def level(self, lamp: Lamp) -> int:
        """The level (0–255) of a lamp; 0 where it is off, never 0 where it is on."""
        if not lamp.on:
            return 0
        if self.low is None and self.high is None:
            return round(lamp.brightness * _TOP_LEVEL / FULL)
        low = max(self.low or 0, 1)
        high = _TOP_LEVEL if self.high is None else self.high
        return round(low + (lamp.brightness - 1) * (high - low) / (FULL - 1))


class DimmerChannel:
    """One lamp of the house: its setting, and the last level that was accepted for it.

    `level` is None until a level has been accepted or restored: the board keeps what it
    has, and nobody knows what that is.
    """

    def __init__(self, curve: LevelCurve | None = None, lamp: Lamp | None = None) -> None:
        self._curve = curve or LevelCurve()
        self.lamp = lamp or Lamp()
        self.level = self._curve.level(lamp) if lamp else None

    def level_of(self, lamp: Lamp) -> int:
        """The level (0–255) that `lamp` would have on this channel."""
        return self._curve.level(lamp)

    def accept(self, lamp: Lamp) -> None:
        """Take over a setting that the link has accepted."""
        self.lamp = lamp
        self.level = self._curve.level(lamp)
