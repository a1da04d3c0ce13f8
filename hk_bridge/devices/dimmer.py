"""A dimmer channel: on, brightness (remembered while off), and the level on the wire."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from hk_bridge.devices.push_button import Gesture

FULL: Final = 100
_LOWEST: Final = 1
_TOP_LEVEL: Final = 255

#: A brightness that follows another one so soon comes from a slider that is being moved.
SLIDE_SECONDS: Final = 0.5

#: How far a held button dims with each step, in %.
_STEP: Final = 2

Startup = Literal["restore", "off", "keep"]


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
    """Percent → level, and back.

    `low` and `high` (0–255) span 1–100 % where either is given. With a `gamma` above 1
    the lower half of the percents has the finer steps, as the eye has; 1 is a straight
    line. A lamp that is on has level 1 at least.
    """

    low: int | None = None
    high: int | None = None
    gamma: float = 1.0

    def level(self, lamp: Lamp) -> int:
        """The level (0–255) of a lamp; 0 where it is off, never 0 where it is on."""
        if not lamp.on:
            return 0
        if self.low is None and self.high is None:
            return max(round(self._share(lamp.brightness, FULL, _TOP_LEVEL)), 1)
        low = max(self.low or 0, 1)
        high = _TOP_LEVEL if self.high is None else self.high
        step, steps = lamp.brightness - _LOWEST, FULL - _LOWEST
        return round(low + self._share(step, steps, high - low))

    def _share(self, step: int, steps: int, of: int) -> float:
        """The part of `of` at one of `steps`.

        By powers of whole numbers: with a gamma of 1 halves are exact, and go to even.
        """
        power, powers = math.pow(step, self.gamma), math.pow(steps, self.gamma)
        return power * of / powers

    def percent(self, level: int, like: int = FULL) -> int:
        """The percent (1–100) whose level is next to `level` (1–255).

        Of several, the one that is next to the percent `like`.
        """

        def distance(percent: int) -> tuple[int, int]:
            there = self.level(Lamp(on=True, brightness=percent))
            return abs(there - level), abs(percent - like)

        return min(range(_LOWEST, FULL + 1), key=distance)


@dataclass(frozen=True, slots=True)
class Change:
    """What a channel is to be set to.

    One that `dims` came with a brightness, and with a `slide` goes on from one just before.
    """

    lamp: Lamp
    level: int
    slide: bool = False
    dims: bool = False


class DimmerChannel:
    """One lamp of the house: its setting, and the last level that was accepted for it.

    `remembered` is what it was when the program ended, and `startup` what becomes of
    that. `level` is None until a level has been accepted, restored or switched off: the
    board keeps what it has, and nobody knows what that is. `assumed` is what it most
    likely is. Each change is planned first, and taken over by `accept` once the link has
    accepted it; times are seconds of any clock that never goes back.
    """

    def __init__(
        self,
        curve: LevelCurve | None = None,
        remembered: Lamp | None = None,
        startup: Startup = "restore",
    ) -> None:
        self._curve = curve or LevelCurve()
        self._is_set = remembered is not None or startup == "off"
        self.lamp = remembered or Lamp()
        if startup == "off":
            self.lamp = replace(self.lamp, on=False)
        is_known = self._is_set and startup != "keep"
        self.level = self._curve.level(self.lamp) if is_known else None
        self._dimmed_at = -math.inf
        self._rises = False
        self._rises_next = not self.lamp.on

    @property
    def assumed(self) -> int:
        """The level (0–255) where it is known, else that of what `lamp` says."""
        return self._curve.level(self.lamp) if self.level is None else self.level

    @property
    def kept(self) -> Lamp | None:
        """What is to be remembered over a restart; None where it was never set."""
        return self.lamp if self._is_set else None

    def level_of(self, lamp: Lamp) -> int:
        """The level (0–255) that `lamp` would have on this channel."""
        return self._curve.level(lamp)

    def write(self, now: float, *, on: bool | None, brightness: int | None) -> Change:
        """The change that one write makes; see `Lamp.set`."""
        lamp = self.lamp.set(on=on, brightness=brightness)
        dims = brightness is not None and on is not False
        slide = dims and now - self._dimmed_at <= SLIDE_SECONDS
        return self._to(lamp, slide=slide, dims=dims)

    def press(self, gesture: Gesture) -> Change | None:
        """The change that a push-button makes; None where it is at its end already.

        A click toggles. A hold dims, each the other way than the one before it: up after
        off, down after on, and from either end the only way there is.
        """
        lamp = self.lamp
        if gesture is Gesture.CLICK:
            return self._to(replace(lamp, on=not lamp.on))
        if gesture is Gesture.HOLD:
            self._turn()
            if not lamp.on:
                return self._to(Lamp(on=True, brightness=_LOWEST))
        step = _STEP if self._rises else -_STEP
        brightness = min(max(lamp.brightness + step, _LOWEST), FULL)
        if not lamp.on or brightness == lamp.brightness:
            return None
        return self._to(Lamp(on=True, brightness=brightness), slide=True)

    def observe(self, level: int) -> Change:
        """The change that sets this very `level` (0–255), whatever the curve says."""
        if level == 0:
            return Change(replace(self.lamp, on=False), 0)
        percent = self._curve.percent(level, like=self.lamp.brightness)
        return Change(Lamp(on=True, brightness=percent), level)

    def bend(self, curve: LevelCurve) -> Change | None:
        """Have levels by another curve; returns what that makes of a known level."""
        if curve == self._curve:
            return None
        self._curve = curve
        return None if self.level is None else self._to(self.lamp)

    def accept(self, change: Change, now: float) -> None:
        """Take over a change that the link has accepted."""
        if change.lamp.on != self.lamp.on:
            self._rises_next = not change.lamp.on
        self._dimmed_at = now if change.dims else -math.inf
        self._is_set = True
        self.lamp, self.level = change.lamp, change.level

    def _turn(self) -> None:
        """Have the hold that begins go the other way, or the only way there is."""
        self._rises = self._rises_next
        if not self.lamp.on or self.lamp.brightness == _LOWEST:
            self._rises = True
        elif self.lamp.brightness == FULL:
            self._rises = False
        self._rises_next = not self._rises

    def _to(self, lamp: Lamp, *, slide: bool = False, dims: bool = False) -> Change:
        return Change(lamp, self._curve.level(lamp), slide, dims)
