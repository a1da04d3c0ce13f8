"""What decoding takes."""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable

from home_assistant_bluetooth import BluetoothServiceInfo
from xiaomi_ble import XiaomiBluetoothDeviceData

from hk_bridge.devices.sensor import Sensor
from hk_bridge.protocols import advert, mibeacon

ADDRESS = "4C:65:A8:D0:AE:64"
PAYLOAD = bytes.fromhex("5020aa01be64aed0a8654c0d1004cc008a01")
SERVICE_DATA = {mibeacon.UUID: PAYLOAD}
UUID = "0000fe95-0000-1000-8000-00805f9b34fb"
RUNS = 5

Row = tuple[str, str, str]


def micros(call: Callable[[], object]) -> float:
    """Median microseconds of one call."""
    timer = timeit.Timer(call)
    number, _ = timer.autorange()
    return (
        statistics.median(timer.repeat(RUNS, max(number // 4, 1)))
        / max(number // 4, 1)
        * 1e6
    )


def bench_decode(_say: Callable[[str], None]) -> list[Row]:
    """One plain FE95 advert to its values, here and in xiaomi-ble."""
    infos = [
        BluetoothServiceInfo(
            name="MJ_HT_V1",
            address=ADDRESS,
            rssi=-60,
            manufacturer_data={},
            # Another counter each time: xiaomi-ble passes over the last one.
            service_data={UUID: PAYLOAD[:4] + bytes([counter]) + PAYLOAD[5:]},
            service_uuids=[],
            source="",
        )
        for counter in range(256)
    ]
    theirs = XiaomiBluetoothDeviceData()
    turn = 0

    def update_theirs() -> None:
        nonlocal turn
        turn = (turn + 1) % 256
        theirs.update(infos[turn])

    sensor = Sensor(900.0)
    ours = micros(lambda: advert.decode(SERVICE_DATA, ADDRESS, None))
    taken = micros(
        lambda: sensor.update(mibeacon.decode(PAYLOAD, ADDRESS), 0.0),
    )
    beside = micros(update_theirs)
    return [
        ("plain FE95 advert to Reading", f"{ours:.2f} µs", "≤ 3 µs"),
        ("  the same, taken by its sensor", f"{taken:.2f} µs", ""),
        (
            "  xiaomi-ble, advert to its values",
            f"{beside:.2f} µs, {beside / ours:.1f}×",
            "",
        ),
    ]
