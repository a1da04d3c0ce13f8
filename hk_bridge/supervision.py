"""Keeps a link running: each failure is said once, and never ends anything else."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable
from typing import Final, Protocol

from hk_bridge.errors import LinkError

_LOG = logging.getLogger(__name__)

_FIRST_DELAY: Final = 1.0
_LONGEST_DELAY: Final = 20.0

#: A link that fails sooner than this has not really worked.
_STABLE_SECONDS: Final = 10.0


class Link(Protocol):
    """I/O that runs until it is cancelled, or raises LinkError when it cannot go on."""

    @property
    def name(self) -> str:
        """How a person knows it."""

    async def run(self, connected: Callable[[str], None]) -> None:
        """Run; call `connected` with how, once it works."""


async def supervise(link: Link, on_connected: Callable[[], None]) -> None:
    """Run `link` for ever, anew after each failure, ever more patiently up to 20 s.

    `on_connected` is called each time it works. The same failure again and again is
    one line in the log.
    """
    delay, said, up_since = _FIRST_DELAY, "", math.inf

    def connected(how: str) -> None:
        nonlocal said, up_since
        said, up_since = "", time.monotonic()
        _LOG.info("%s: %s", link.name, how)
        on_connected()

    while True:
        try:
            await link.run(connected)
        except LinkError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 # the boundary to drivers and daemons
            problem = f"{link.name} failed ({type(error).__name__}: {error})"
        else:
            problem = f"{link.name} has ended"
        if problem != said:
            said = problem
            _LOG.warning("%s. Trying again until it works", problem.rstrip("."))
        if time.monotonic() - up_since >= _STABLE_SECONDS:
            delay = _FIRST_DELAY
        up_since = math.inf
        await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 # jitter
        delay = min(delay * 2, _LONGEST_DELAY)
