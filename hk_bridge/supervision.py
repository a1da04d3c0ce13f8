"""Keeps a link running: each failure is said once, and never ends anything else."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final, Protocol

from hk_bridge.complaints import Complaints
from hk_bridge.errors import LinkError
from hk_bridge.model import LinkState

_LOG = logging.getLogger(__name__)

_FIRST_DELAY: Final = 1.0
_LONGEST_DELAY: Final = 15.0

#: A link that fails sooner than this has not really run.
_STABLE_SECONDS: Final = 10.0


class Link(Protocol):
    """I/O that runs until it is cancelled, or raises LinkError when it cannot go on."""

    @property
    def name(self) -> str:
        """How a person knows it."""

    async def run(self, report: Callable[[LinkState], None]) -> None:
        """Run; call `report` each time that it begins to work, or waits for something."""


class Supervisor:
    """Runs one link for ever, anew after each failure, ever more patiently up to 15 s.

    `on_up` is called each time that the link works. `state` is what it reported last, and
    `since` when that was (monotonic). The same failure again and again is one line in the
    log, and so are the lines of one that comes and goes all the time.
    """

    def __init__(self, link: Link, on_up: Callable[[], None] | None = None) -> None:
        self.link = link
        self.state = LinkState(is_up=False, text="starting")
        self.since = time.monotonic()
        self._on_up = on_up
        self._complaints = Complaints(_LOG)
        self._spell = 0

    async def run(self) -> None:
        """Run the link until cancelled."""
        delay = _FIRST_DELAY
        while True:
            begun = time.monotonic()
            try:
                await self.link.run(self._report)
            except LinkError as error:
                problem = str(error)
            except Exception as error:  # noqa: BLE001 # the boundary to drivers and daemons
                problem = f"{self.link.name} failed ({type(error).__name__}: {error})"
            else:
                problem = f"{self.link.name} has ended"
            if time.monotonic() - begun >= _STABLE_SECONDS:
                delay = _FIRST_DELAY
            self._report(LinkState(is_up=False, text=problem))
            await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 # jitter
            delay = min(delay * 2, _LONGEST_DELAY)

    def _report(self, state: LinkState) -> None:
        if state != self.state:
            self._say(state)
            self.state, self.since = state, time.monotonic()
        if state.is_up and self._on_up is not None:
            self._on_up()

    def _say(self, state: LinkState) -> None:
        # What lasts is news when it comes again, and flapping is not.
        if self._lasted() >= _STABLE_SECONDS:
            self._spell += 1
        kind = (self._spell, state)
        if state.is_up:
            self._complaints.say(kind, f"{self.link.name}: {state.text}", logging.INFO)
        else:
            text = f"{state.text.rstrip('.')}. Trying again until it works"
            self._complaints.say(kind, text)

    def _lasted(self) -> float:
        return time.monotonic() - self.since
