"""accessories.json while the program runs: when it has changed, and what it says then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

_LOG = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5

#: A file that is written all the time is read in between.
_MOST_LOOKS: Final = 3

#: What tells one state of a file from another; empty for a file that is not there.
_Signature = tuple[int, ...]

_NEVER_SEEN: Final[_Signature] = (-1,)


class ConfigWatch:
    """Calls `on_change` each time that the file at `path` has become another one.

    It is looked at twice in a second, which works on every file system and with every
    editor, and read once it has stood still in between: some editors write in steps.
    """

    def __init__(self, path: Path, on_change: Callable[[], Awaitable[None]]) -> None:
        self._path = path
        self._on_change = on_change
        self._asked = asyncio.Event()

    def look(self) -> None:
        """Have the file read now, whether or not it seems to have changed."""
        self._asked.set()

    async def run(self) -> None:
        """Watch until cancelled; soon after the beginning, the file is read once."""
        before = _NEVER_SEEN
        while True:
            if not await self._is_asked():
                now = await self._signature()
                if now == before:
                    continue
                before = await self._settled(now)
            self._asked.clear()
            await self._on_change()

    async def _is_asked(self) -> bool:
        """Whether somebody asks before it is time to look again."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await self._asked.wait()
        except TimeoutError:
            return False

    async def _settled(self, signature: _Signature) -> _Signature:
        """The signature of the file once nobody writes it any more."""
        for _ in range(_MOST_LOOKS):
            await asyncio.sleep(_LOOK_SECONDS)
            before, signature = signature, await self._signature()
            if signature == before:
                break
        return signature

    async def _signature(self) -> _Signature:
        return await asyncio.to_thread(_signature, self._path)


def _signature(path: Path) -> _Signature:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ()
    return (
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
