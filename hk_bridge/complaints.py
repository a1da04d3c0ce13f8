"""The same complaint is logged once a minute, with a count: a flood fills no disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from typing import Final

_INTERVAL: Final = 60.0

#: Different complaints remembered at once; past that the oldest is forgotten.
_MOST: Final = 256


class Complaints:
    """Warnings to one logger, each kind at most once in `interval` seconds."""

    def __init__(
        self,
        logger: logging.Logger,
        interval: float = _INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._interval = interval
        self._clock = clock
        self._last: dict[Hashable, tuple[float, int]] = {}

    def say(self, kind: Hashable, message: str, level: int = logging.WARNING) -> None:
        """Log `message`, unless one of its `kind` was logged a short while ago."""
        now = self._clock()
        logged, held_back = self._last.pop(kind, (None, 0))
        if logged is not None and now - logged < self._interval:
            self._last[kind] = (logged, held_back + 1)
            return
        while len(self._last) >= _MOST:
            del self._last[next(iter(self._last))]
        self._last[kind] = (now, 0)
        more = f" ({held_back} more like this since)" if held_back else ""
        self._logger.log(level, "%s%s", message, more)
