"""Sensors that do not exist, and the air by which adapters hear them.

They know the frames on their own, from docs/protocols/mibeacon.md, and share no code with
the package: a mistake there must not be repeated here.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

#: Version 2, with address and object; an LYWSDCGQ.
_CONTROL: Final = 0x2050
_PRODUCT: Final = 0x01AA
_TEMPERATURE: Final = 0x1004
_BATTERY: Final = 0x100A
_BOTH: Final = 0x100D

_FLAGS: Final = bytes.fromhex("020106")
_SERVICE_DATA: Final = bytes.fromhex("1695fe")
_NAME: Final = b"MJ_HT_V1"
_SCAN_RESPONSE: Final = bytes([len(_NAME) + 1, 0x09]) + _NAME

#: After that many frames a temperature comes again; in tenths of a degree from 0 on.
_TEMPERATURES: Final = 800


class Hears(Protocol):
    """What is in reach of the sensors."""

    def hear(self, sender: bytes, advert: bytes, scan_response: bytes) -> None:
        """Take one advert; `sender` has the six bytes as they are sent."""


class Sensor:
    """One sensor: what it says now, and the next thing after `turn`."""

    def __init__(self, number: int) -> None:
        mac = bytes([0x4C, 0x65, 0xA8, 0xD0, number >> 8, number & 0xFF])
        self.address = mac.hex(":").upper()
        self.sender = mac[::-1]
        self._turns = number
        self.turn()

    def turn(self) -> None:
        """Go on to another frame, which is like none of the last 800.

        Of ten frames one carries the temperature alone, and one the battery.
        """
        self._turns += 1
        self.temperature: float | None = self._turns % _TEMPERATURES / 10
        tenths, humidity = self._turns % _TEMPERATURES, 300 + self._turns % 400
        match self._turns % 10:
            case 4:
                body = struct.pack("<HBh", _TEMPERATURE, 2, tenths)
            case 9:
                body = struct.pack("<HBB", _BATTERY, 1, self._turns % 101)
                self.temperature = None
            case _:
                body = struct.pack("<HBhH", _BOTH, 4, tenths, humidity)
        head = struct.pack("<HHB", _CONTROL, _PRODUCT, self._turns & 0xFF)
        self.service_data = head + self.sender + body

    @property
    def advert(self) -> bytes:
        """All AD structures of what it broadcasts."""
        structure = _SERVICE_DATA + self.service_data
        return _FLAGS + bytes([len(structure)]) + structure


class Air:
    """Broadcasts what `sensors` say to all `adapters`, and writes down when.

    Every `period` seconds a sensor says something new, which it repeats every `repeat`
    seconds; with `is_frozen` nothing new. `sent` has when each frame of an address was
    first sent, `temperatures` when each temperature (°C) was, the last time that it came;
    all times are monotonic.
    """

    def __init__(
        self,
        adapters: Iterable[Hears],
        sensors: Sequence[Sensor],
        period: float,
        repeat: float,
    ) -> None:
        self.sensors = sensors
        self.is_frozen = False
        self.sent: dict[tuple[str, bytes], float] = {}
        self.temperatures: dict[tuple[str, float], float] = {}
        self._adapters = list(adapters)
        self._period = period
        self._repeat = repeat

    @asynccontextmanager
    async def broadcasting(self) -> AsyncIterator[None]:
        """Broadcast until the end of the block, the sensors one after the other."""
        count = len(self.sensors)
        tasks = [
            asyncio.create_task(self._broadcast(sensor, self._repeat * number / count))
            for number, sensor in enumerate(self.sensors)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _broadcast(self, sensor: Sensor, delay: float) -> None:
        await asyncio.sleep(delay)
        turns_at = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= turns_at and not self.is_frozen:
                turns_at = now + self._period
                sensor.turn()
                self._write_down(sensor, now)
            for adapter in self._adapters:
                adapter.hear(sensor.sender, sensor.advert, _SCAN_RESPONSE)
            await asyncio.sleep(self._repeat)

    def _write_down(self, sensor: Sensor, now: float) -> None:
        self.sent[sensor.address, sensor.service_data] = now
        if sensor.temperature is not None:
            self.temperatures[sensor.address, sensor.temperature] = now
