"""What the tests of the protocols compare with."""

from collections.abc import Callable

import pytest
from bleak.backends.device import BLEDevice
from bthome_ble import BTHomeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak
from home_assistant_bluetooth import BluetoothServiceInfo
from xiaomi_ble import XiaomiBluetoothDeviceData

from tests.protocols.published import MIBEACON_QUANTITIES


def _ask_xiaomi_ble(frame: bytes, address: str, key: bytes | None) -> dict[str, object]:
    heard = BluetoothServiceInfo(
        name="",
        address=address,
        rssi=-60,
        manufacturer_data={},
        service_data={"0000fe95-0000-1000-8000-00805f9b34fb": frame},
        service_uuids=[],
        source="",
    )
    update = XiaomiBluetoothDeviceData(bindkey=key).update(heard)
    values = {key.key: value.native_value for key, value in update.entity_values.items()}
    return {name: values[name] for name in MIBEACON_QUANTITIES if name in values}


@pytest.fixture(scope="session")
def peer() -> Callable[[bytes, str, bytes | None], dict[str, object]]:
    """What xiaomi-ble finds in a frame: (frame, address, bind key) → values."""
    return _ask_xiaomi_ble


#: The names that bthome-ble gives to what hk_bridge shows, beside the packet id.
BTHOME_SENSORS = {
    "packet_id": "packet_id",
    "temperature": "temperature",
    "humidity": "humidity",
    "moisture": "moisture",
    "illuminance": "illuminance",
    "conductivity": "conductivity",
    "battery": "battery",
    "voltage": "voltage",
}
BTHOME_FLAGS = {"battery": "lowBattery"}


def _ask_bthome_ble(frame: bytes, address: str, key: bytes | None) -> dict[str, object]:
    heard = BluetoothServiceInfoBleak(
        name="",
        address=address,
        rssi=-60,
        manufacturer_data={},
        service_data={"0000fcd2-0000-1000-8000-00805f9b34fb": frame},
        service_uuids=[],
        source="",
        device=BLEDevice(address, None, None),
        advertisement=None,
        connectable=False,
        time=0.0,
        tx_power=None,
    )
    update = BTHomeBluetoothDeviceData(bindkey=key).update(heard)
    found: dict[str, object] = {}
    for names, values in (
        (BTHOME_SENSORS, update.entity_values),
        (BTHOME_FLAGS, update.binary_entity_values),
    ):
        for each, value in values.items():
            # Several of one kind are numbered, in the order in which they stand.
            name = each.key.rstrip("0123456789").rstrip("_")
            if name in names:
                found[names[name]] = value.native_value
    return found


@pytest.fixture(scope="session")
def bthome_peer() -> Callable[[bytes, str, bytes | None], dict[str, object]]:
    """What bthome-ble finds in a frame: (frame, address, bind key) → values.

    Of several objects of one quantity the last, and the packet id as "packet_id".
    """
    return _ask_bthome_ble
