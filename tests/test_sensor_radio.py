"""Whose advert is whose, and which sensor one without an address becomes."""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path

import pytest

from hk_bridge.config import BluetoothConfig, SensorConfig
from hk_bridge.homekit.store import Store
from hk_bridge.links.replay import ReplayClock, ReplayedRadio
from hk_bridge.model import Advertisement
from hk_bridge.sensor_radio import SensorRadio
from hk_bridge.sensor_station import SensorStation
from tests.fakes.sensors import bthome, mibeacon, mibeacon_climate, pvvx
from tests.homekit.house import SENSOR, House

KEY = bytes(range(16))
MINE, OTHER = "A4:C1:38:00:00:01", "A4:C1:38:00:00:02"
CLIMATE = mibeacon_climate(20.4, 39.4, 93)
FE95, A181, FCD2 = 0xFE95, 0x181A, 0xFCD2


class Air:
    """What a sensor without an address hears of."""

    def __init__(self, house: House, store: Store, key: bytes | None) -> None:
        self.store = store
        self.station = SensorStation(SensorConfig("Room", bind_key=key), None)
        accessory = self.station.make_accessory(house.driver, SENSOR)
        house.driver.accessory.put_accessory(accessory)
        self._hear: Callable[[Advertisement], None]
        SensorRadio(
            BluetoothConfig(), [self.station], store, simulate=False, replay=self._made
        )

    def _made(
        self, wanted: Container[str], heard: Callable[[Advertisement], None]
    ) -> ReplayedRadio:
        self._hear = heard
        return ReplayedRadio(Path("none"), wanted, heard, ReplayClock())

    def has(self, address: str, uuid: int, data: bytes) -> str | None:
        """Have an advert in the air; returns the address that the sensor then has."""
        self._hear(Advertisement(address, {uuid: data}, -60, 1000.0))
        return self.station.config.address


@pytest.fixture
async def air(tmp_path: Path) -> Callable[[bytes | None], Air]:
    store = Store.open(tmp_path / "state")
    house = House(store)
    return lambda key: Air(house, store, key)


def sealed(address: str, key: bytes = KEY) -> bytes:
    return mibeacon(0x055B, 1, address, CLIMATE, key=key)


async def test_the_first_climate_sensor_is_adopted(
    air: Callable[[bytes | None], Air],
) -> None:
    here = air(None)
    assert here.has(OTHER, FE95, mibeacon(0x01AA, 1, OTHER, [(0x100A, b"\x5d")])) is None
    assert here.has(OTHER, FE95, mibeacon(0x01AA, 1, OTHER, [])) is None
    assert here.has(OTHER, FE95, sealed(OTHER)) is None
    assert here.has(OTHER, FCD2, bthome([(0x3A, b"\x01")], OTHER)) is None
    assert here.has(MINE, FE95, mibeacon(0x01AA, 1, MINE, CLIMATE)) == MINE
    assert here.has(OTHER, FE95, mibeacon(0x01AA, 2, OTHER, CLIMATE)) == MINE


@pytest.mark.parametrize(
    ("uuid", "data"),
    [
        (FE95, mibeacon(0x015D, 1, MINE, [(0x1008, b"\x12")])),
        (A181, pvvx(MINE, 20.4, 39, 93)),
        (FCD2, bthome([(0x02, b"\xf8\x07")], MINE)),
    ],
)
async def test_a_sensor_of_any_format_is_adopted(
    air: Callable[[bytes | None], Air], uuid: int, data: bytes
) -> None:
    assert air(None).has(MINE, uuid, data) == MINE


async def test_with_a_key_only_a_sensor_that_it_opens_is_adopted(
    air: Callable[[bytes | None], Air],
) -> None:
    here = air(KEY)
    # What is open to everybody may be a neighbour's.
    assert here.has(OTHER, FE95, mibeacon(0x01AA, 1, OTHER, CLIMATE)) is None
    assert here.has(OTHER, A181, pvvx(OTHER, 20.4, 39, 93)) is None
    assert here.has(OTHER, FE95, sealed(OTHER, KEY[::-1])) is None
    assert here.has(MINE, FE95, sealed(MINE)) == MINE


async def test_what_a_recording_has_is_not_adopted_for_good(
    air: Callable[[bytes | None], Air],
) -> None:
    here = air(None)
    here.has(MINE, FE95, mibeacon(0x01AA, 1, MINE, CLIMATE))
    assert here.store.bridge().adopted_address is None
