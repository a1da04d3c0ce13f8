"""A radio and a dimmer board in the process, for trying things without hardware.

They speak the bytes of the real ones: the radio hands over MiBeacon service data, the
board hunts frames on a pseudo-terminal that the serial link opens like any port.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import termios
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from hk_bridge.model import Advertisement, LinkState
from hk_bridge.protocols import mibeacon
from hk_bridge.protocols.mibeacon_objects import encode_values
from hk_bridge.protocols.wxdm2 import WXDM2, FrameHunter, FrameProtocol

_LOG = logging.getLogger(__name__)

#: A product that broadcasts openly, and one that encrypts.
_PLAIN_PRODUCT_ID: Final = 0x01AA
_ENCRYPTED_PRODUCT_ID: Final = 0x055B
_BROADCAST_SECONDS: Final = 1.0
_BATTERY_EVERY: Final = 10
_REPEATS: Final = 2
_RSSI: Final = -60
_READ_BYTES: Final = 4096

#: Where the radio begins, and how far it wanders: °C and %, in tenths.
_TEMPERATURES: Final = (180, 240)
_HUMIDITIES: Final = (350, 550)


class SimulatedRadio:
    """Broadcasts for every address, each second, with values that move each time.

    `sensors` maps addresses to bind keys; one with a key encrypts by it.
    """

    name = "simulated radio"

    def __init__(
        self,
        sensors: Mapping[str, bytes | None],
        on_advert: Callable[[Advertisement], None],
    ) -> None:
        self._frames = {
            address: _frames(address, bind_key, random.Random(address))  # noqa: S311 # weather, no secret
            for address, bind_key in sensors.items()
        }
        self._on_advert = on_advert

    async def run(self, report: Callable[[LinkState], None]) -> None:
        """Broadcast until cancelled."""
        report(LinkState(is_up=True, text="broadcasting"))
        while True:
            for address, frames in self._frames.items():
                for service_data in next(frames):
                    for _ in range(_REPEATS):
                        self._on_advert(
                            Advertisement(
                                address,
                                {mibeacon.UUID: service_data},
                                _RSSI,
                                time.monotonic(),
                            )
                        )
            await asyncio.sleep(_BROADCAST_SECONDS)


def _frames(
    address: str, bind_key: bytes | None, weather: random.Random
) -> Iterator[list[bytes]]:
    """The frames of each second of one sensor's life."""
    temperature, humidity = weather.randint(*_TEMPERATURES), weather.randint(*_HUMIDITIES)
    battery = weather.randint(20, 100)
    counter = weather.randrange(256)
    product_id = _ENCRYPTED_PRODUCT_ID if bind_key else _PLAIN_PRODUCT_ID
    second = 0
    while True:
        broadcasts = [encode_values(temperature / 10, humidity / 10)]
        if second % _BATTERY_EVERY == 0:
            broadcasts.append(encode_values(battery=battery))
        frames = []
        for objects in broadcasts:
            counter = (counter + 1) % 256
            frame = mibeacon.MiBeaconFrame(product_id, counter, address, objects=objects)
            frames.append(frame.to_bytes(bind_key))
        yield frames
        temperature = _step(temperature, _TEMPERATURES, weather)
        humidity = _step(humidity, _HUMIDITIES, weather)
        second += 1


def _step(value: int, bounds: tuple[int, int], weather: random.Random) -> int:
    """A neighbouring value within the bounds, never the same one."""
    low, high = bounds
    steps = [step for step in (-1, 1) if low <= value + step <= high]
    return value + weather.choice(steps)


class SimulatedBoard:
    """A dimmer board behind a pseudo-terminal; `port` is what to open."""

    def __init__(self, name: str, protocol: FrameProtocol = WXDM2) -> None:
        self.name = f"simulated dimmer {name}"
        self._protocol = protocol
        self._board, self._line = os.openpty()
        tty.setraw(self._board, termios.TCSANOW)
        os.set_blocking(self._board, False)
        self.port = os.ttyname(self._line)
        self.levels = dict.fromkeys(protocol.channels, 0)
        self._hunter = FrameHunter(protocol)

    async def run(self, report: Callable[[LinkState], None]) -> None:
        """Take frames until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._board, self._read)
        try:
            report(LinkState(is_up=True, text=f"on {self.port}"))
            await asyncio.Event().wait()
        finally:
            loop.remove_reader(self._board)
            os.close(self._board)
            os.close(self._line)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for frame in self._hunter.feed(os.read(self._board, _READ_BYTES)):
                self.levels[frame.channel] = frame.levels[frame.channel - 1]
                _LOG.info(
                    "%s: %s, lamp %d is at level %d",
                    self.name,
                    frame.to_bytes(self._protocol).hex(" ").upper(),
                    frame.channel,
                    self.levels[frame.channel],
                )
