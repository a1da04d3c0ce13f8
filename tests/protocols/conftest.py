"""What the tests of the protocols compare with."""

from collections.abc import Callable

import pytest
from home_assistant_bluetooth import BluetoothServiceInfo
from xiaomi_ble import XiaomiBluetoothDeviceData

QUANTITIES = ("temperature", "humidity", "battery")


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
    return {name: values[name] for name in QUANTITIES if name in values}


@pytest.fixture(scope="session")
def peer() -> Callable[[bytes, str, bytes | None], dict[str, object]]:
    """What xiaomi-ble finds in a frame: (frame, address, bind key) → values."""
    return _ask_xiaomi_ble
