"""The system's Bluetooth as the radio sees it: with BlueZ, and without."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from hk_bridge.links.adapters import Adapter


class Stack(Protocol):
    """The system's Bluetooth, which may come and go."""

    def adapter(self, wanted: str | None) -> Adapter:
        """The adapter to listen with now, by name or address, or any.

        Two of them are equal as long as one scan can hear. Raises LinkError where there
        is none.
        """

    async def changed(self) -> None:
        """Return once something has changed. Raises LinkError where nothing tells."""


@asynccontextmanager
async def system_stack(*, wake: bool) -> AsyncIterator[Stack]:
    """What there is on this system, started if it can be and is to be woken.

    Raises LinkError where it is out of reach.
    """
    if sys.platform == "linux":
        from hk_bridge.links import bluez  # noqa: PLC0415 # there is no D-Bus elsewhere

        async with bluez.watch(wake=wake) as stack:
            yield stack
    else:
        yield Unnamed()


class Unnamed:
    """One adapter of which nobody but bleak knows whether it is there, as on macOS."""

    _ADAPTER: Final = Adapter("", "", is_on=True, has_le=True, monitors=False, spell=0)

    def adapter(self, wanted: str | None) -> Adapter:  # noqa: ARG002 # there is no choice
        """The only one."""
        return self._ADAPTER

    async def changed(self) -> None:
        """Nothing is told, so this does not return."""
        await asyncio.Event().wait()
