"""Listens for a while: to everybody, as `hk-bridge scan` does, or to certain sensors."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING

from hk_bridge.config import Config
from hk_bridge.discovery import Discovery, Known
from hk_bridge.errors import LinkError
from hk_bridge.links.simulator import SimulatedRadio
from hk_bridge.model import EVERYONE, Advertisement, LinkState
from hk_bridge.protocols import advert
from hk_bridge.protocols.products import PRODUCTS
from hk_bridge.signals import set_by_signals
from hk_bridge.supervision import Link

if TYPE_CHECKING:
    from hk_bridge.links.bluetooth import BluetoothLink

_TICK_SECONDS = 0.25

#: Sensors that a simulated search finds beside those that are configured, and whether
#: they encrypt.
_SIMULATED: dict[str, bytes | None] = {
    "4E:64:A8:00:00:02": None,
    "4E:64:A8:00:00:03": bytes(16),
}


def known_sensors(config: Config | None) -> dict[str, Known]:
    """The sensors of a configuration, by address."""
    return {
        sensor.address: Known(sensor.name, sensor.bind_key)
        for sensor in (config.sensors if config is not None else ())
        if sensor.address is not None
    }


def make_link(config: Config | None, discovery: Discovery, *, simulate: bool) -> Link:
    """The radio of the configuration, or a simulated one, that hears everybody."""
    if simulate:
        keys = {known: sensor.bind_key for known, sensor in known_sensors(config).items()}
        return SimulatedRadio({**_SIMULATED, **keys}, discovery.heard)
    return bluetooth_link(config, EVERYONE, discovery.heard)


def bluetooth_link(
    config: Config | None,
    wanted: Container[str],
    on_advert: Callable[[Advertisement], None],
    *,
    adapter: str | None = None,
) -> BluetoothLink:
    """The radio of the configuration; an `adapter` that is given beats the one there."""
    # bleak takes its time to import.
    from hk_bridge.links.bluetooth import BluetoothLink  # noqa: PLC0415 # see above

    radio = (config or Config()).bluetooth
    addresses = [*known_sensors(config), *(wanted if isinstance(wanted, Iterable) else ())]
    return BluetoothLink(
        wanted,
        on_advert,
        advert.UUIDS,
        PRODUCTS,
        addresses=addresses,
        by_flags=True,
        mode=radio.mode,
        adapter=adapter or radio.adapter,
    )


async def listen(
    link: Link,
    seconds: float | None,
    tick: Callable[[float, str], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Have `link` listen for that many seconds, or until Ctrl-C, SIGTERM, or its end.

    Without `seconds` there is no limit. Whoever sets `stop` ends it, too. `tick` is told
    four times a second how many seconds are over, and how is listened. Raises LinkError
    when the radio cannot be used, or not any more.
    """
    loop = asyncio.get_running_loop()
    stop = stop or asyncio.Event()
    limit = math.inf if seconds is None else seconds
    state: LinkState | None = None

    def report(now: LinkState) -> None:
        nonlocal state
        state = now
        if not now.is_up:
            stop.set()

    task = asyncio.create_task(link.run(report))
    task.add_done_callback(lambda _task: stop.set())
    begun = loop.time()
    try:
        with set_by_signals(stop):
            while (over := loop.time() - begun) < limit and not stop.is_set():
                tick(over, "starting" if state is None else state.text)
                try:
                    async with asyncio.timeout(min(_TICK_SECONDS, limit - over)):
                        await stop.wait()
                except TimeoutError:
                    continue
    finally:
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(result, Exception):
        raise result
    if state is not None and not state.is_up:
        raise LinkError(state.text)
