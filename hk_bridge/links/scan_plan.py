"""How to scan next, and for how long: passively where that hears something.

No I/O and no clock: seconds arrive as arguments. Why each rule is there: docs/radio.md,
"Passive and active" and "Silence".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ScanMode = Literal["passive", "active"]
WantedMode = Literal["auto", "passive", "active"]

#: After a silence of that many seconds a new scan is begun; each one that hears nobody
#: either gives the next one twice the time.
FIRST_SILENCE: Final = 20.0
LONGEST_SILENCE: Final = 600.0

#: How long an active scan is tried that is there to see whether passive ones are deaf.
PROBE_SECONDS: Final = 60.0

#: After which time a passive scan is tried again, where an active one stands in for it.
STAND_IN_SECONDS: Final = 600.0

_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan: it ends after `silence` seconds without any advert, or `life` at most.

    `is_probe` marks one that is there to see whether passive scans are deaf.
    """

    mode: ScanMode
    silence: float
    life: float = _NEVER
    is_probe: bool = False


class ScanPlan:
    """Chooses the scans on one adapter, from when it is there until it is lost."""

    def __init__(self, wanted: WantedMode) -> None:
        self._wanted = wanted
        self._silence = FIRST_SILENCE
        self._passive_works = False
        self._next: Scan | None = None

    def next(self, *, can_be_passive: bool) -> Scan:
        """The scan to begin now; `can_be_passive` is what the system says of itself."""
        if self._wanted == "active":
            return Scan("active", self._silence)
        if self._wanted == "passive":
            return Scan("passive", self._silence)
        if not can_be_passive:
            return Scan("active", self._silence)
        planned, self._next = self._next, None
        return planned or Scan("passive", self._silence)

    def refused(self) -> bool:
        """A passive scan could not be begun; says whether an active one stands in."""
        if self._wanted != "auto":
            return False
        self._next = Scan("active", self._silence, STAND_IN_SECONDS)
        return True

    def ended(self, scan: Scan, *, heard: bool, heard_sensors: bool) -> None:
        """A scan has ended; it `heard` anybody, or even the sensors that are wanted."""
        # That strangers are heard actively says nothing of passive scans.
        if heard_sensors or (heard and not scan.is_probe):
            self._silence = FIRST_SILENCE
        else:
            self._silence = min(self._silence * 2, LONGEST_SILENCE)
        if scan.is_probe and heard_sensors:
            self._next = Scan("active", FIRST_SILENCE, STAND_IN_SECONDS)
        elif scan.mode == "passive":
            self._passive_works = self._passive_works or heard
            if not self._passive_works and self._wanted == "auto":
                self._next = Scan("active", PROBE_SECONDS, PROBE_SECONDS, is_probe=True)
