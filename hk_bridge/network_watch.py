"""The network under a running program: addresses come and go, and the bridges go along."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from hk_bridge.complaints import Complaints
from hk_bridge.errors import LinkError
from hk_bridge.homekit.network import Network

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

_LOOK_SECONDS: Final = 5.0


class NetworkWatch:
    """Looks at the interfaces every five seconds, which works on every system.

    `find` says what is there; it is called in a thread. `follow` has everything be there,
    and raises LinkError or OSError where nothing can. `lacks` says what could not be had of
    it, in a person's words: while that is something, `follow` is called at each look.

    Who changes the network in another way holds `lock` meanwhile, and sets `network`.
    """

    def __init__(
        self,
        network: Network,
        find: Callable[[], Network],
        follow: Callable[[Network], Awaitable[None]],
        lacks: Callable[[], tuple[str, ...]] = tuple,
        interval: float | None = None,
        lock: asyncio.Lock | None = None,
    ) -> None:
        self.network = network
        self.lock = lock or asyncio.Lock()
        self._find = find
        self._follow = follow
        self._lacks = lacks
        self._interval = _LOOK_SECONDS if interval is None else interval
        self._has_failed = False
        self._said: tuple[str, ...] = ()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                async with self.lock:
                    await self._look()
            except (LinkError, OSError) as error:
                self._has_failed = True
                _complaints.say(
                    "network",
                    f"the network cannot be followed: {error}. Trying again until it works",
                )

    async def _look(self) -> None:
        found = await asyncio.to_thread(self._find)
        if found != self.network:
            await self._follow(found)
            before, self.network = self.network, found
            say_change(before, found)
        elif self._has_failed or self._lacks():
            await self._follow(found)
            self._say_what_lacks()
        else:
            self._said = ()
        self._has_failed = False

    def _say_what_lacks(self) -> None:
        """Say it once, where it has not come at the second try."""
        lacks = self._lacks()
        if lacks and lacks != self._said:
            _LOG.warning("%s. Trying again until it works", "; ".join(lacks))
        self._said = lacks


def say_change(before: Network | None, now: Network) -> None:
    """Say which addresses are new, which are gone, and what is waited for.

    `before` is None at the start.
    """
    if before is not None:
        # Loopback is nothing that a person has: it stands in where there is nothing else.
        old = set() if before.loopback_only else set(before.advertised)
        new = set() if now.loopback_only else set(now.advertised)
        parts = [
            f"{verb} {', '.join(sorted(addresses))}"
            for addresses, verb in ((new - old, "new:"), (old - new, "gone:"))
            if addresses
        ]
        if parts:
            _LOG.info("network: %s", "; ".join(parts))
    was_missing = () if before is None else before.missing
    for name in now.missing:
        if name not in was_missing:
            _LOG.warning(
                "%s, from --bind or bridge.bind, is down or has no address. Waiting for it",
                name,
            )
    if now.advertised and now.loopback_only:
        was_waiting = before is not None and before.is_waiting and before.advertised
        if now.is_waiting and not was_waiting:
            _LOG.warning(
                "only this machine can find the bridge: no network is up, nothing but "
                "loopback. Waiting for one"
            )
        elif not now.is_waiting and before is None:
            _LOG.warning("only this machine can find the bridge: it is on loopback alone")
