"""Listens to everybody for a while, as `hk-bridge scan` does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from hk_bridge.config import Config
from hk_bridge.discovery import Discovery, Known
from hk_bridge.errors import LinkError
from hk_bridge.links.simulator import SimulatedRadio
from hk_bridge.model import LinkState
from hk_bridge.protocols import advert
from hk_bridge.protocols.products import PRODUCTS
from hk_bridge.supervision import Link

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
    # bleak takes its time to import.
    from hk_bridge.links.bluetooth import EVERYONE, BluetoothLink  # noqa: PLC0415 # see above

    radio = (config or Config()).bluetooth
    return BluetoothLink(
        EVERYONE,
        discovery.heard,
        advert.UUIDS,
        PRODUCTS,
        mode=radio.mode,
        adapter=radio.adapter,
    )


async def listen(link: Link, seconds: float, tick: Callable[[float, str], None]) -> None:
    """Have `link` listen for that many seconds, or until Ctrl-C.

    `tick` is told four times a second how many of them are over, and how is listened.
    Raises LinkError when the radio cannot be used, or not any more.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    states: list[LinkState] = []

    def report(state: LinkState) -> None:
        states.append(state)
        if not state.is_up:
            stop.set()

    task = asyncio.create_task(link.run(report))
    task.add_done_callback(lambda _task: stop.set())
    begun = loop.time()
    try:
        while (over := loop.time() - begun) < seconds and not stop.is_set():
            tick(over, states[-1].text if states else "starting")
            try:
                async with asyncio.timeout(min(_TICK_SECONDS, seconds - over)):
                    await stop.wait()
            except TimeoutError:
                continue
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(result, Exception):
        raise result
    if states and not states[-1].is_up:
        raise LinkError(states[-1].text)
