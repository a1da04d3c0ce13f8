"""A capture in the place of the radio: as it was recorded, or as fast as can be."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Container
from pathlib import Path
from typing import Final

from hk_bridge.errors import DecodeError, LinkError
from hk_bridge.model import Advertisement, LinkState
from hk_bridge.protocols.captures import Capture
from hk_bridge.protocols.hci import Heard

_CHUNK: Final = 1 << 16

#: Between adverts of a capture that does not know their times, in seconds.
_PACE: Final = 0.1


class ReplayedRadio:
    """Plays the capture in `path` once, `speed` times as fast as it was recorded.

    Adverts of the addresses in `wanted`, which may be replaced at any time, are passed on
    with the time of `clock`, which is to go that much faster too. `heard_at` is when the
    last one of anybody came.
    """

    def __init__(
        self,
        path: Path,
        wanted: Container[str],
        on_advert: Callable[[Advertisement], None],
        *,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"replay of {path.name}"
        self.wanted = wanted
        self.heard_at: float | None = None
        self._path = path
        self._on_advert = on_advert
        self._speed = speed
        self._clock = clock
        self._passed_on = 0
        self._others = 0

    async def run(self, report: Callable[[LinkState], None]) -> None:
        """Play until the end of the capture, and then wait until cancelled."""
        pace = "" if self._speed == 1 else f", {self._speed:g} times as fast"
        report(LinkState(is_up=True, text=f"playing{pace}"))
        report(await self._play())
        await asyncio.Event().wait()

    async def _play(self) -> LinkState:
        """Play all that can be read; how it ended."""
        begun = asyncio.get_running_loop().time()
        first: float | None = None
        last = 0.0
        try:
            async for heard in _adverts(self._path):
                last = max(last, last + _PACE if heard.at is None else heard.at)
                first = last if first is None else first
                due = begun + (last - first) / self._speed
                # Also where it is late: the others are to run, too.
                await asyncio.sleep(max(due - asyncio.get_running_loop().time(), 0))
                self._pass_on(heard)
        except (OSError, DecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            text = f"{self._path} cannot be read to its end: {reason}. {self._count()}"
            return LinkState(is_up=False, text=text)
        return LinkState(is_up=True, text=f"over. {self._count()}")

    def _count(self) -> str:
        return (
            f"Adverts of configured sensors: {self._passed_on}, of others: {self._others}"
        )

    def _pass_on(self, heard: Heard) -> None:
        self.heard_at = self._clock()
        if heard.address not in self.wanted or not heard.service_data:
            self._others += 1
            return
        self._passed_on += 1
        self._on_advert(
            Advertisement(heard.address, heard.service_data, heard.rssi, self.heard_at)
        )


class CapturedRadio:
    """A capture in the place of the radio, as fast as it can be read, and then over.

    Adverts of the addresses in `wanted` are passed on with the times of the capture, in
    seconds since 1970; one that knows no times is taken to begin now. Of its time, only
    the first `seconds` are played.
    """

    def __init__(
        self,
        path: Path,
        wanted: Container[str],
        on_advert: Callable[[Advertisement], None],
        seconds: float | None = None,
    ) -> None:
        self.name = path.name
        self._path = path
        self._wanted = wanted
        self._on_advert = on_advert
        self._seconds = math.inf if seconds is None else seconds

    async def run(self, report: Callable[[LinkState], None]) -> None:
        """Play all of it. Raises LinkError where it cannot be read to its end."""
        report(LinkState(is_up=True, text="reading"))
        first: float | None = None
        last = time.time() - _PACE
        try:
            async for heard in _adverts(self._path):
                last = last + _PACE if heard.at is None else heard.at
                first = last if first is None else first
                if last > first + self._seconds:
                    return
                if heard.address in self._wanted and heard.service_data:
                    self._on_advert(
                        Advertisement(heard.address, heard.service_data, heard.rssi, last)
                    )
                    # Who has enough now can cancel, before more is played.
                    await asyncio.sleep(0)
        except (OSError, DecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise LinkError(f"{self._path} cannot be read to its end: {reason}") from error


def check(path: Path) -> None:
    """Look whether `path` is a capture. Raises LinkError where it is none."""
    capture = Capture()
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise LinkError(f"{path} cannot be replayed: it is no file")
        with path.open("rb") as file:
            chunk = file.read(_CHUNK)
        has_adverts = any(capture.feed(chunk))
        if not has_adverts and len(chunk) < _CHUNK:
            any(capture.end())
    except OSError as error:
        raise LinkError(f"{path} cannot be read: {error.strerror}") from error
    except DecodeError as error:
        raise LinkError(f"{path} cannot be replayed: {error}") from error


async def _adverts(path: Path) -> AsyncIterator[Heard]:
    """Everything in a file, of which never more than a piece is in memory.

    Raises OSError and DecodeError, either behind all that could be read.
    """
    capture = Capture()
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            for heard in capture.feed(chunk):
                yield heard
        for heard in capture.end():
            yield heard
