"""What adverts take from bleak's callback on: strangers', and those of sensors."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback

from hk_bridge.bridges import Bridges
from hk_bridge.config import Config, SensorConfig
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.responder import Responder
from hk_bridge.homekit.store import Store
from hk_bridge.identities import settle
from hk_bridge.links.bluetooth import BluetoothLink
from hk_bridge.sensor_radio import SensorRadio
from hk_bridge.sensor_station import SensorStation
from scripts.benches.decode import PAYLOAD, UUID, Row
from scripts.benches.servers import LOOPBACK

NETWORK = Network.find((LOOPBACK,))
SENSORS = 10
SECONDS = 5.0
TICKS_PER_SECOND = 100
STRANGERS_PER_SECOND = 10_000
OWN_PER_SECOND = 500
REPEATS = 5
BATCH = 2_000

#: The iid of a sensor's temperature.
TEMPERATURE = 33

Advert = tuple[BLEDevice, AdvertisementData]


class House:
    """A bridge with sensors in this process; `heard` is what bleak would call."""

    def __init__(self, folder: Path, responder: Responder) -> None:
        addresses = [f"4C:65:A8:D0:AE:{number:02X}" for number in range(SENSORS)]
        sensors = tuple(SensorConfig(f"Room {a[-2:]}", a) for a in addresses)
        config = Config(sensors=sensors)
        store = Store.open(folder)
        store.put_all(settle(store.bridges, config))
        self.stations = [SensorStation(sensor, None) for sensor in sensors]
        Bridges(store, config, NETWORK, 0, responder, self.stations, lambda *_: None)
        radio = SensorRadio(config.bluetooth, self.stations, store, simulate=False)
        assert isinstance(radio._radio, BluetoothLink)  # noqa: SLF001 # what bleak calls
        self.heard: AdvertisementDataCallback = radio._radio._heard  # noqa: SLF001 # see above

    def check(self) -> None:
        """Be sure that something was measured: every value has arrived."""
        for station in self.stations:
            shown = station.accessory.get_characteristic(station.accessory.aid, TEMPERATURE)
            assert shown.value is not None
            assert station.adverts > BATCH * REPEATS // SENSORS

    def own(self) -> itertools.cycle[Advert]:
        """Adverts of the sensors, with a new frame and another value each time."""
        adverts = []
        for counter in range(256):
            for station in self.stations:
                address = station.config.address or ""
                tenths = (200 + counter % 50).to_bytes(2, "little")
                mac = bytes.fromhex(address.replace(":", ""))[::-1]
                frame = PAYLOAD[:4] + bytes([counter]) + mac + PAYLOAD[11:14] + tenths
                adverts.append(_advert(address, frame + PAYLOAD[16:]))
        return itertools.cycle(adverts)


def _advert(address: str, data: bytes) -> Advert:
    advertisement = AdvertisementData(None, {}, {UUID: data}, [], None, -60, ())
    return BLEDevice(address, None, None), advertisement


def bench_radio(say: Callable[[str], None]) -> list[Row]:
    """One advert of each kind, and a crowd."""
    return asyncio.run(_measure(say))


async def _measure(say: Callable[[str], None]) -> list[Row]:
    responder = Responder(NETWORK)
    with tempfile.TemporaryDirectory() as folder:
        try:
            house = House(Path(folder), responder)
            say("adverts of strangers and sensors")
            strangers = itertools.cycle(
                _advert(f"AA:BB:CC:{n >> 8:02X}:{n & 255:02X}:FF", PAYLOAD)
                for n in range(2_000)
            )
            stranger, own = _micros(house, strangers), _micros(house, house.own())
            say("a crowd of strangers")
            share = await _crowd(house, strangers)
            house.check()
        finally:
            await responder.async_close()
    return [
        ("a stranger's advert, from bleak's callback on", f"{stranger:.2f} µs", "≤ 0.5 µs"),
        ("a sensor's advert, to its HomeKit value", f"{own:.1f} µs", "≤ 50 µs"),
        (
            f"{STRANGERS_PER_SECOND:,} strangers and {OWN_PER_SECOND} own in a second",
            f"{share:.1%} of a core",
            "≤ 25 %",
        ),
    ]


def _micros(house: House, adverts: itertools.cycle[Advert]) -> float:
    """Median microseconds of one advert."""
    runs = []
    for _ in range(REPEATS):
        batch = list(itertools.islice(adverts, BATCH))
        begun = time.perf_counter()
        for device, advertisement in batch:
            house.heard(device, advertisement)
        runs.append((time.perf_counter() - begun) / BATCH * 1e6)
    return statistics.median(runs)


async def _crowd(house: House, strangers: itertools.cycle[Advert]) -> float:
    """The share of a core that a steady stream takes."""
    loop = asyncio.get_running_loop()
    own = house.own()
    begun, used = loop.time(), time.process_time()
    for tick in range(1, int(SECONDS * TICKS_PER_SECOND) + 1):
        crowd = itertools.islice(strangers, STRANGERS_PER_SECOND // TICKS_PER_SECOND)
        sensors = itertools.islice(own, OWN_PER_SECOND // TICKS_PER_SECOND)
        for device, advertisement in itertools.chain(crowd, sensors):
            house.heard(device, advertisement)
        await asyncio.sleep(max(begun + tick / TICKS_PER_SECOND - loop.time(), 0))
    return (time.process_time() - used) / (loop.time() - begun)
