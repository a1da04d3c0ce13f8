"""A capture in the place of the radio: as it was recorded, or as fast as can be.

Source: docs/sensors.md, "Trying it with a capture".
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Container
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hk_bridge.errors import DecodeError, LinkError
from hk_bridge.model import Advertisement, LinkState
from hk_bridge.protocols.captures import Capture
from hk_bridge.protocols.hci import Heard

_LOG = logging.getLogger(__name__)

_CHUNK: Final = 1 << 16
_STDIN: Final = "-"

#: Between adverts of a capture that does not know their times, in seconds.
_PACE: Final = 0.1

#: Seconds of a recording. What is longer was a clock that has been set, or nothing that
#: anybody wants to wait for. No product has a longer time-out, and a bit more is left for
#: its sensors to fall silent.
LONGEST_PAUSE: Final = 125 * 60.0

#: Between two times that is said how far it is.
_TELL_SECONDS: Final = 1.0

_DAMAGED: Final = "but for what is damaged"
_NOT_TO_ITS_END: Final = "cannot be read to its end"


class ReplayClock:
    """The time of the sensors: `speed` times as fast as the monotonic one, until `end`."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._real = self._told = time.monotonic()

    def __call__(self) -> float:
        """Seconds, from the monotonic clock's on."""
        return self._told + (time.monotonic() - self._real) * self.speed

    def end(self) -> None:
        """Go on at the normal pace."""
        now = time.monotonic()
        self._told += (now - self._real) * self.speed
        self._real, self.speed = now, 1.0


class Position:
    """How far a recording has been played: `seconds` of it, without what is no pause.

    A pause of more than `LONGEST_PAUSE` is shortened to that. Where its clock was set back
    there is none, and its time counts from there on. Several clocks may be mixed.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last: float | None = None
        self._latest = -math.inf

    def go_on(self, at: float | None) -> float:
        """Go on to what was recorded `at`; by how much the pause before it is shortened.

        `at` is in Unix seconds, None where that is not known.
        """
        if at is None:
            self.seconds += _PACE
            return 0.0
        # Below the latest it is a clock that was set back, or another one that is slow.
        before = self._latest if at > self._latest else self._last
        pause = 0.0 if self._last is None or before is None else max(at - before, 0.0)
        self._last, self._latest = at, max(at, self._latest)
        self.seconds += min(pause, LONGEST_PAUSE)
        return max(pause - LONGEST_PAUSE, 0.0)


class ReplayedRadio:
    """Plays the capture in `path` once, as much faster than it was recorded as `clock` is.

    Adverts of the addresses in `wanted`, which may be replaced at any time, are passed on
    with the time of `clock`, which goes on at the normal pace when it is over. `heard_at`
    is when the last one of anybody came.
    """

    def __init__(
        self,
        path: Path,
        wanted: Container[str],
        on_advert: Callable[[Advertisement], None],
        clock: ReplayClock,
    ) -> None:
        self.name = f"replay of {path.name}"
        self.wanted = wanted
        self.heard_at: float | None = None
        self._path = path
        self._on_advert = on_advert
        self._clock = clock
        self._pace = "" if clock.speed == 1 else f", {clock.speed:g} times as fast"
        self._passed_on = 0
        self._others = 0
        self._has_shortened = False

    async def run(self, report: Callable[[LinkState], None]) -> None:
        """Play until the end of the capture, and then wait until cancelled."""
        report(LinkState(is_up=True, text=f"playing{self._pace}"))
        capture = Capture()
        try:
            await self._play(capture, report)
            state = LinkState(is_up=True, text=f"over. {self._count()}")
        except (OSError, DecodeError) as error:
            state = self._broken(error, capture)
        self._clock.end()
        report(state)
        await asyncio.Event().wait()

    async def _play(self, capture: Capture, report: Callable[[LinkState], None]) -> None:
        """Play all that can be read. Raises OSError and DecodeError behind it."""
        loop, position = asyncio.get_running_loop(), Position()
        begun = told = loop.time()
        async for heard in _adverts(self._path, capture):
            self._say_shortened(position.go_on(heard.at))
            due = begun + position.seconds / self._clock.speed
            # Also where it is late: the others are to run, too.
            await asyncio.sleep(max(due - loop.time(), 0))
            self._pass_on(heard)
            if loop.time() - told >= _TELL_SECONDS:
                told = loop.time()
                text = self._how_far(heard.at)
                report(LinkState(is_up=True, text=text, is_passing=True))

    def _broken(self, error: OSError | DecodeError, capture: Capture) -> LinkState:
        """How it is after something could not be read."""
        if capture.is_over:
            text = f"over, {_DAMAGED}: {error}. {self._count()}"
            return LinkState(is_up=True, text=text)
        text = f"{self._path} {_NOT_TO_ITS_END}: {_reason(error)}. {self._count()}"
        # Here, and not by who runs it, which would promise to try again.
        _LOG.warning("%s", text)
        return LinkState(is_up=False, text=text, is_passing=True)

    def _how_far(self, at: float | None) -> str:
        adverts = f"{self._passed_on + self._others:,} adverts"
        if at is None:
            return f"playing{self._pace}: {adverts}"
        then = datetime.fromtimestamp(at, UTC).astimezone()
        return f"playing{self._pace}: at {then.day} {then:%b %H:%M}, {adverts}"

    def _say_shortened(self, seconds: float) -> None:
        if not seconds or self._has_shortened:
            return
        self._has_shortened = True
        _LOG.info(
            "%s: nothing was recorded for %.1f hours, or the clock was set. Such a pause "
            "is played as %.0f minutes",
            self.name,
            (seconds + LONGEST_PAUSE) / 3600,
            LONGEST_PAUSE / 60,
        )

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
        """Play all of it.

        Raises LinkError where it cannot be read to its end, and where parts of it were
        damaged, behind all that could be read.
        """
        report(LinkState(is_up=True, text="reading"))
        first: float | None = None
        last = time.time() - _PACE
        capture = Capture()
        try:
            async for heard in _adverts(self._path, capture):
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
            how = f"was read, {_DAMAGED}" if capture.is_over else _NOT_TO_ITS_END
            raise LinkError(f"{self._path} {how}: {_reason(error)}") from error


def check(path: Path) -> None:
    """Look whether `path` is a capture. Raises LinkError where it is none."""
    capture = Capture()
    if str(path) == _STDIN and not path.exists():
        raise LinkError(
            "only a file can be replayed, not stdin. Write the capture into a file, and "
            "name that"
        )
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


async def _adverts(path: Path, capture: Capture) -> AsyncIterator[Heard]:
    """Everything in a file, which is `capture`: never more than a piece is in memory.

    Raises OSError and DecodeError, either behind all that could be read.
    """
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            for heard in capture.feed(chunk):
                yield heard
        for heard in capture.end():
            yield heard


def _reason(error: OSError | DecodeError) -> str:
    """What an error says beside the name of the file."""
    return str(error.strerror if isinstance(error, OSError) else error)
