"""Keeps a link running: each failure is said once, and never ends anything else."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final, Protocol

from hk_bridge.errors import LinkError
from hk_bridge.model import LinkState

_LOG = logging.getLogger(__name__)

_FIRST_DELAY: Final = 1.0
_LONGEST_DELAY: Final = 15.0

#: A link that fails sooner than this has not really run.
_STABLE_SECONDS: Final = 10.0

#: What is wrong after something else was lasts longer than this, or passes by itself: a
#: daemon that starts has no adapter at first, and one that has just come has no power.
_PASSING_SECONDS: Final = 3.0

#: One that ends does so step by step: without power, without adapters, and then gone.
_ENDING_SECONDS: Final = 0.5

#: Different states that are said while a link does not settle.
_MOST_SAID: Final = 16


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
    `since` when that began (monotonic), where what is passing begins nothing. The same
    failure again and again is one line in the log. What comes and goes all the time is
    said once, and then when it has settled; and of what is wrong while something else is
    mended only what stays so.
    """

    def __init__(self, link: Link, on_up: Callable[[], None] | None = None) -> None:
        self.link = link
        self.state = LinkState(is_up=False, text="starting")
        self.since = time.monotonic()
        self._on_up = on_up
        self._said: set[LinkState] = set()
        self._last_said: tuple[bool, str] | None = None
        self._settling: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Run the link until cancelled."""
        delay = _FIRST_DELAY
        try:
            while True:
                begun = time.monotonic()
                problem = await self._run_once()
                if time.monotonic() - begun >= _STABLE_SECONDS:
                    delay = _FIRST_DELAY
                self._report(LinkState(is_up=False, text=problem))
                await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 # jitter
                delay = min(delay * 2, _LONGEST_DELAY)
        finally:
            self._stop_settling()

    async def _run_once(self) -> str:
        """Run the link until it cannot go on; says why."""
        try:
            await self.link.run(self._report)
        except LinkError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 # the boundary to drivers and daemons
            return f"{self.link.name} failed ({type(error).__name__}: {error})"
        return f"{self.link.name} has ended"

    def _report(self, state: LinkState) -> None:
        if state != self.state:
            self._say(state)
            if not state.is_passing or state.is_up != self.state.is_up:
                self.since = time.monotonic()
            self.state = state
        if state.is_up and self._on_up is not None:
            self._on_up()

    def _say(self, state: LinkState) -> None:
        self._stop_settling()
        if time.monotonic() - self.since >= _STABLE_SECONDS:
            self._said.clear()
        if state.is_passing or (state.is_up, state.text) == self._last_said:
            return
        if state in self._said or len(self._said) >= _MOST_SAID:
            self._say_later(state, _STABLE_SECONDS)
        elif state.is_up:
            self._log(state)
        elif self.state.is_up:
            self._say_later(state, _ENDING_SECONDS)
        elif self._last_said is not None:
            self._say_later(state, _PASSING_SECONDS)
        else:
            self._log(state)

    def _say_later(self, state: LinkState, seconds: float) -> None:
        """Log `state` if it is still so in a while."""
        loop = asyncio.get_running_loop()
        self._settling = loop.call_later(seconds, self._log, state)

    def _log(self, state: LinkState) -> None:
        self._said.add(state)
        self._last_said = (state.is_up, state.text)
        if state.is_up:
            _LOG.info("%s: %s", self.link.name, state.text)
        else:
            end = "" if state.text.endswith((".", "?")) else "."
            _LOG.warning("%s%s Trying again until it works", state.text, end)

    def _stop_settling(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
