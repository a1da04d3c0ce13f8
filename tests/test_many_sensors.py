"""A thousand sensors of every format: what they say arrives, and memory stays flat."""

from __future__ import annotations

import gc
import random
import struct
import sys
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import pytest

from hk_bridge.config import SensorConfig
from hk_bridge.homekit.store import Store
from hk_bridge.model import Advertisement
from hk_bridge.sensor_station import SensorStation
from tests.fakes.sensors import (
    atc1441,
    bthome,
    bthome_climate,
    mibeacon,
    mibeacon_climate,
    pvvx,
)
from tests.homekit.house import House

# It calls the same lines thousands of times: counting them would take longer than they do.
pytestmark = pytest.mark.no_cover

FE95, A181, FCD2 = 0xFE95, 0x181A, 0xFCD2
KEY: Final = bytes(range(16))
LEGACY_KEY: Final = bytes(range(12))

SENSORS: Final = 1000
MINUTES: Final = 10
#: Minutes in which somebody disturbs every frame: what is kept of that has its bounds.
WARM_MINUTES: Final = 3
SECONDS_BETWEEN: Final = 20.0
COPIES: Final = 2

#: Blocks of memory that ten minutes may hold more than the first three, for each sensor:
#: one for every 14 of its adverts. What is kept of nonsense, such as how often which
#: unknown object came, goes on growing for a while, towards its bounds.
MORE_BLOCKS: Final = 3

#: (address, number of the measurement, temperature) → UUID and service data.
Speak = Callable[[str, int, float], tuple[int, bytes]]

FORMATS: Final[list[tuple[Speak, bytes | None]]] = [
    (
        lambda a, n, t: (
            FE95,
            mibeacon(0x01AA, n % 256, a, mibeacon_climate(t, 40.0, 93), version=2),
        ),
        None,
    ),
    (
        lambda a, n, t: (
            FE95,
            mibeacon(
                0x055B,
                n % 256,
                a,
                mibeacon_climate(t, 40.0, 93),
                key=KEY,
                extended_counter=n // 256,
            ),
        ),
        KEY,
    ),
    (
        lambda a, n, t: (
            FE95,
            mibeacon(
                0x0B48,
                n % 256,
                a,
                [(0x4C01, struct.pack("<f", t)), (0x4C02, b"\x28")],
                key=LEGACY_KEY,
                version=3,
                with_mac=False,
            ),
        ),
        LEGACY_KEY,
    ),
    (lambda a, n, t: (A181, atc1441(a, t, 40, 93, counter=n % 256)), None),
    (lambda a, n, t: (A181, atc1441(a, t, 40, 93, counter=n % 256, key=KEY)), KEY),
    (lambda a, n, t: (A181, pvvx(a, t, 40, 93, counter=n % 256)), None),
    (lambda a, n, t: (A181, pvvx(a, t, 40, 93, counter=n % 256, key=KEY)), KEY),
    (lambda a, n, t: (FCD2, bthome(bthome_climate(n % 256, t, 40, 93), a)), None),
    (
        lambda a, n, t: (
            FCD2,
            bthome(bthome_climate(n % 256, t, 40, 93), a, key=KEY, counter=n),
        ),
        KEY,
    ),
]


class Sender:
    """A sensor that speaks one format, and the station that hears it."""

    def __init__(self, house: House, number: int, clock: Callable[[], float]) -> None:
        self.address = f"A4:C1:38:00:{number >> 8:02X}:{number & 255:02X}"
        self._speak, key = next(islice(cycle(FORMATS), number % len(FORMATS), None))
        config = SensorConfig(f"Room {number}", self.address, bind_key=key)
        self.station = SensorStation(config, None, clock=clock)
        house.driver.accessory.put_accessory(
            self.station.make_accessory(house.driver, 10 + number)
        )
        self._number = 0
        self.temperature = 20.0

    def frame(self, weather: random.Random) -> tuple[int, bytes]:
        self._number += 1
        # Half degrees, which every format can say.
        self.temperature = 15.0 + weather.randrange(10) / 2
        return self._speak(self.address, self._number, self.temperature)


def nonsense(frame: tuple[int, bytes], weather: random.Random) -> tuple[int, bytes]:
    """A frame that is damaged, or another one under the same address."""
    uuid, data = frame
    damaged = bytearray(data)
    damaged[weather.randrange(len(damaged))] ^= 1 << weather.randrange(8)
    kind = weather.choice((0x2001, 0x2002))
    others = [
        (uuid, bytes(damaged)),
        (uuid, data[: weather.randrange(len(data))]),
        (uuid, weather.randbytes(weather.randrange(30))),
        (
            FE95,
            mibeacon(0x1234, weather.randrange(256), "00:00:00:00:00:00", [(kind, b"")]),
        ),
    ]
    return weather.choice(others)


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.timeout(240)
async def test_ten_minutes_of_a_thousand_sensors_leave_no_trace(tmp_path: Path) -> None:
    house = House(Store.open(tmp_path / "state"))
    weather = random.Random("a thousand sensors")
    now = 1000.0
    senders = [Sender(house, number, lambda: now) for number in range(SENSORS)]
    house.driver.publish = lambda *_: None  # nobody has subscribed
    held: dict[int, int] = {}
    for minute in range(MINUTES):
        for _ in range(int(60 / SECONDS_BETWEEN)):
            now += SECONDS_BETWEEN
            for sender in senders:
                frame = sender.frame(weather)
                heard = [frame] * COPIES
                if minute < WARM_MINUTES or weather.random() < 0.1:
                    heard.append(nonsense(frame, weather))
                for uuid, data in heard:
                    sender.station.heard(
                        Advertisement(sender.address, {uuid: data}, -60, now)
                    )
        held[minute] = blocks()
    for sender in senders:
        status = sender.station.status(now)
        assert status.state == "decoding", status
        value = status.values["temperature"]
        # What is damaged may be read, where nothing seals a frame, and is then held back.
        assert value.is_live
        assert abs(value.value - sender.temperature) <= 10.0
    assert held[MINUTES - 1] - held[WARM_MINUTES - 1] < SENSORS * MORE_BLOCKS, held
