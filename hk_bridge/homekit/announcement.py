"""What the network is told of one bridge by mDNS, and under which name."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from hk_bridge.complaints import Complaints
from hk_bridge.errors import LinkError
from hk_bridge.homekit.network import BridgeServiceInfo
from hk_bridge.homekit.responder import Responder

if TYPE_CHECKING:
    from hk_bridge.homekit.bridge import BridgeDriver

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

#: mDNS goodbyes are a courtesy; shutting down does not wait longer for them.
_GOODBYE_SECONDS: Final = 1.0

#: How many other names are taken in an hour.
_MOST_NAMES: Final = 8
_NAMES_SECONDS: Final = 3600.0
_conflicts: Final = Complaints(_LOG, _NAMES_SECONDS)


class Announcement:
    """Keeps what is announced of `driver` true, from `begin` to `end`."""

    def __init__(self, driver: BridgeDriver, responder: Responder) -> None:
        self._driver = driver
        self._responder = responder
        self._told: BridgeServiceInfo | None = None
        self._registering: BridgeServiceInfo | None = None
        self._has_begun = False
        self._is_outdated = False
        self._telling: asyncio.Task[None] | None = None
        # Which of several of this name in the network it is, and when it became so.
        self._name = ""
        self._number = 1
        self._renamed_at: list[float] = []

    async def begin(self) -> None:
        """Tell the network, or say why that cannot be."""
        self._has_begun = True
        await self.renew()

    async def renew(self) -> None:
        """Tell what has changed, and return when that is done."""
        self.update()
        if self._telling is not None:
            # Not the task itself: it may be cancelled by `end`, and this one goes on.
            await asyncio.wait({self._telling})

    def update(self) -> None:
        """Tell what has changed, soon."""
        self._is_outdated = True
        if self._has_begun and not self.is_telling:
            self._telling = self._driver.loop.create_task(self._tell_until_true())

    @property
    def is_telling(self) -> bool:
        """Whether there is something that the network is still to be told."""
        return self._telling is not None and not self._telling.done()

    async def end(self) -> None:
        """Say goodbye; a second time does nothing."""
        self._has_begun = False
        if self._telling is not None:
            self._telling.cancel()
        # What is being registered may be so already.
        told, self._told = self._told or self._registering, None
        if told is not None:
            await self._withdraw(told)

    async def _tell_until_true(self) -> None:
        """One after the other: zeroconf takes what overlaps for two services."""
        while self._is_outdated:
            self._is_outdated = False
            try:
                await self._tell()
            except (OSError, LinkError) as error:
                reason = getattr(error, "strerror", None) or error
                _complaints.say(
                    "mdns", f"Home cannot find the bridge, mDNS fails: {reason}"
                )

    async def _tell(self) -> None:
        before, new = self._told, self._service()
        if before is not None and before.key == new.key:
            await self._responder.async_update_service(new)
        else:
            if before is not None:
                self._told = None
                await self._withdraw(before)
            new = await self._register(new)
        self._told = new

    async def _register(self, new: BridgeServiceInfo) -> BridgeServiceInfo:
        """Announce `new`, or, where that name is taken, what it is called then."""
        self._registering = new
        while not await self._responder.async_register_service(
            new, asks=self._may_rename()
        ):
            self._rename(new, is_first=True)
            self._registering = new = self._service()
        return new

    async def _withdraw(self, told: BridgeServiceInfo) -> None:
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await (await self._responder.async_unregister_service(told))

    def _service(self) -> BridgeServiceInfo:
        accessory, state = self._driver.accessory, self._driver.state
        if accessory.display_name != self._name:
            self._name, self._number = accessory.display_name, 1
        return BridgeServiceInfo(accessory, state, self._number, self._give_way)

    def _give_way(self, is_first: bool) -> None:  # noqa: FBT001 # a callback
        """Take another name: somebody else announces this one.

        Home knows the bridge by its id. Two that do the same do not meet again.
        """
        told = self._told
        if told is None or self._has_just_renamed():
            return
        if not self._may_rename():
            _conflicts.say(
                told.server,
                "somebody in the network takes every name of this bridge, which stays "
                f"{_label(told)}. Home goes by its id, and shows it as before",
            )
            return
        self._responder.drop(told)
        self._told = None
        self._rename(told, is_first=is_first)
        self.update()

    def _has_just_renamed(self) -> bool:
        """Whether it was renamed a moment ago, ever longer: somebody may play tricks."""
        if not self._renamed_at:
            return False
        passed: float = self._driver.loop.time() - self._renamed_at[-1]
        return passed < 2.0 ** len(self._renamed_at) / 2

    def _may_rename(self) -> bool:
        now = self._driver.loop.time()
        self._renamed_at = [at for at in self._renamed_at if now - at < _NAMES_SECONDS]
        return len(self._renamed_at) < _MOST_NAMES

    def _rename(self, told: BridgeServiceInfo, *, is_first: bool) -> None:
        self._renamed_at.append(self._driver.loop.time())
        self._number += 1 if is_first else 2
        _LOG.warning(
            "somebody else is called %s in the network: this bridge is announced as %s "
            "now. Home goes by its id, and shows it as before",
            _label(told),
            _label(self._service()),
        )


def _label(service: BridgeServiceInfo) -> str:
    """Its name as a person sees it."""
    return str(service.name.removesuffix(f".{service.type}"))
