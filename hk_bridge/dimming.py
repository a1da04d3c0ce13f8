"""Sets one lamp: by way of the bridge that has its port, and else on the port itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from hk_bridge.config import ChannelConfig, Config, DimmerConfig
from hk_bridge.devices.dimmer import Lamp, LevelCurve
from hk_bridge.dimmer_board import line_settings
from hk_bridge.errors import LinkError
from hk_bridge.links.line_schedule import LineSchedule, LineSettings
from hk_bridge.links.ports import is_same
from hk_bridge.links.serial_device import BRIDGE, UNSEEN
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.protocols.wxdm2 import FrameProtocol
from hk_bridge.web import client
from hk_bridge.web.actions import LampRequest

#: Up to 100 % and down again, and how long that takes.
SWEEP: Final = (*range(101), *range(99, -1, -1))
SWEEP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Output:
    """One channel (1 or 2) of the dimmer on a port, and how it wants its frames."""

    port: str
    channel: int
    settings: LineSettings
    curve: LevelCurve

    @classmethod
    def of(
        cls,
        config: Config | None,
        port: str,
        channel: int,
        protocol: FrameProtocol | None = None,
        baudrate: int | None = None,
    ) -> Output:
        """As the dimmer on that very port is configured, where it is.

        What is given beside port and channel beats what is configured.
        """
        dimmers = () if config is None else config.dimmers
        here = (dimmer for dimmer in dimmers if is_same(dimmer.port, port))
        dimmer = next(here, DimmerConfig(port, port, ()))
        settings = line_settings(dimmer)
        lamps = (lamp for lamp in dimmer.channels if lamp.channel == channel)
        lamp = next(lamps, ChannelConfig(channel, ""))
        return cls(
            port,
            channel,
            replace(
                settings,
                protocol=protocol or settings.protocol,
                baudrate=baudrate or settings.baudrate,
            ),
            LevelCurve(lamp.min_level, lamp.max_level, lamp.gamma),
        )

    def level(self, percent: int) -> int:
        """The level (0–255) of so many percent (0–100)."""
        return self.curve.level(Lamp().set(brightness=percent))

    def frames(self, percents: Iterable[int], ramp: int) -> list[bytes]:
        """What would be written for `percents`, a frame each; equal neighbours once."""
        schedule = LineSchedule(self.settings)
        frames: list[bytes] = []
        for percent in percents:
            now = max(schedule.free_at, 0.0)
            schedule.submit(self.channel, self.level(percent), ramp, now)
            frame = schedule.take(now)
            if frame is not None and frame not in frames[-1:]:
                frames.append(frame)
        return frames


class ReachedLamp(Protocol):
    """A lamp that can be set. Each method raises LinkError when it cannot be reached.

    `how` is by which way, and `is_by_bridge` whether that is a bridge. Ramps are the raw
    u16 of a frame, None for the usual one of the dimmer.
    """

    how: str
    is_by_bridge: bool

    async def set_percent(self, percent: int, ramp: int | None = None) -> int:
        """Set it to so many percent (0–100); returns the level (0–255) of that."""

    async def set_level(self, level: int, ramp: int | None = None) -> None:
        """Set it to this very level (0–255)."""

    async def put_back(self) -> bool:
        """Set it to what it was when it was reached; False where nobody knows that."""


@contextlib.asynccontextmanager
async def reached(
    output: Output, directory: Path, *, simulate: bool = False
) -> AsyncIterator[ReachedLamp]:
    """The lamp on `output`, for as long as it is entered.

    A bridge that runs with this state directory and has a dimmer on the port sets it. If
    none does, the port itself is opened, which no other program may have open. With
    `simulate`, it is a simulated dimmer of a bridge or none at all. Leaving it takes until
    all is on the wire. Raises LinkError where the lamp cannot be reached, or not any more.
    """
    lamps = await _lamps_of_bridge(directory, output.port, simulate=simulate)
    if lamps:
        here = (lamp for lamp in lamps if lamp.get("channel") == output.channel)
        # A path may mean something else in the directory where the bridge was started.
        yield _BridgedLamp(directory, lamps[0]["port"], output.channel, next(here, {}))
        return
    if simulate:
        raise LinkError(f"the simulated bridge has no dimmer on {output.port}")
    link, opened = SerialLink(output.port, output.settings), asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(link.run(lambda _state: opened.set()))
            await opened.wait()
            lamp = _DirectLamp(output, link, running)
            yield lamp
            await lamp.drain()
            running.cancel()
    except BaseExceptionGroup as errors:
        # What became of the port is the first one.
        raise _with_hint(errors.exceptions[0]) from None


async def sweep(
    lamp: ReachedLamp,
    ramp: int,
    tick: Callable[[int, int, int], None],
    stop: asyncio.Event,
) -> bool:
    """Take a lamp through `SWEEP`, until `stop` is set; then put it back.

    Where nobody knows what it was, it is switched off, as the end of the sweep does; says
    whether it is known. `tick` is told how many steps are done, and percent and level.
    """
    loop = asyncio.get_running_loop()
    begun, step = loop.time(), SWEEP_SECONDS / len(SWEEP)
    for number, percent in enumerate(SWEEP):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(begun + number * step):
                await stop.wait()
        if stop.is_set():
            break
        tick(number, percent, await lamp.set_percent(percent, ramp))
    is_known = await lamp.put_back()
    if not is_known:
        await lamp.set_level(0)
    return is_known


# -- by way of a bridge -------------------------------------------------------------------


async def _lamps_of_bridge(
    directory: Path, port: str, *, simulate: bool
) -> list[Mapping[str, Any]]:
    """The lamps on a port that a running bridge has, as its status says.

    Only those whose board is simulated with `simulate`, and only the others without it.
    """
    if not simulate and not client.runs(directory):
        return []
    status = await client.ask(directory, "GET", "/status")
    links = {link.get("name") for link in status.get("links", ())}
    return [
        lamp
        for lamp in status.get("lamps", ())
        if is_same(lamp.get("port", ""), port)
        and (f"simulated dimmer {lamp.get('dimmer')}" in links) is simulate
    ]


class _BridgedLamp:
    """A lamp of a running bridge; `before` is the status of it, empty without one."""

    how = "by way of the running bridge"
    is_by_bridge = True

    def __init__(
        self, directory: Path, port: str, channel: int, before: Mapping[str, Any]
    ) -> None:
        self._directory = directory
        self._port = port
        self._channel = channel
        self._before = before

    async def set_percent(self, percent: int, ramp: int | None = None) -> int:
        return await self._ask(percent=percent, ramp=ramp)

    async def set_level(self, level: int, ramp: int | None = None) -> None:
        await self._ask(level=level, ramp=ramp)

    async def put_back(self) -> bool:
        # What Home shows, and remembers of a lamp that is off.
        percent, is_on = self._before["brightness"], self._before["isOn"]
        level = self._before.get("level")
        now = await self._ask(percent=percent, on=is_on)
        if level is not None and now != level:
            await self._ask(level=level)
        return True

    async def _ask(
        self,
        percent: int | None = None,
        level: int | None = None,
        ramp: int | None = None,
        *,
        on: bool | None = None,
    ) -> int:
        wanted = LampRequest(self._port, self._channel, percent, level, ramp, on)
        request = wanted.to_json()
        answer = await client.ask(self._directory, "POST", "/lamps", request)
        return int(answer["level"])


# -- on the port itself -------------------------------------------------------------------


class _DirectLamp:
    """A lamp on a port that is open for it; the level of the other one is not known.

    `running` is the task that runs the link.
    """

    how = "written to the port directly"
    is_by_bridge = False

    def __init__(
        self, output: Output, link: SerialLink, running: asyncio.Task[None]
    ) -> None:
        self._output = output
        self._link = link
        self._running = running

    async def set_percent(self, percent: int, ramp: int | None = None) -> int:
        level = self._output.level(percent)
        await self.set_level(level, ramp)
        return level

    async def set_level(self, level: int, ramp: int | None = None) -> None:
        await self._raise_if_lost()
        self._link.submit(self._output.channel, level, ramp=ramp)

    async def put_back(self) -> bool:
        return False

    async def drain(self) -> None:
        """Return once all is on the wire."""
        while not await self._link.drain():
            # Many copies of a frame are wanted.
            pass
        await self._raise_if_lost()

    async def _raise_if_lost(self) -> None:
        """Raise why it is closed, where it is."""
        if not self._link.is_open:
            await self._running


def _with_hint(error: BaseException) -> BaseException:
    """With what else can be done where a bridge has the port."""
    if not isinstance(error, LinkError) or not any(
        who in str(error) for who in (BRIDGE, UNSEEN)
    ):
        return error
    return LinkError(
        f"{error}. Or have the bridge do it, if one has the port: --state-dir DIR, with "
        "its state directory"
    )
