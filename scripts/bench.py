"""Prints a table of what hk-bridge takes, beside what others take in the same run.

    scripts/bench                 everything
    scripts/bench --only decode   one part

Every figure is the median of several runs; compare the ratios, not the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from home_assistant_bluetooth import BluetoothServiceInfo
from rich.console import Console
from rich.table import Table
from xiaomi_ble import XiaomiBluetoothDeviceData

from hk_bridge.devices.sensor import Sensor
from hk_bridge.links.bluetooth import BluetoothLink
from hk_bridge.protocols import advert, mibeacon

ADDRESS = "4C:65:A8:D0:AE:64"
STRANGER = "AA:BB:CC:DD:EE:FF"
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


def bench_decode() -> list[Row]:
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


def bench_stranger() -> list[Row]:
    """An advert of an address that is not configured, from bleak's callback on."""
    link = BluetoothLink({ADDRESS: None}, lambda *_: None, advert.UUIDS, [])
    device = BLEDevice(STRANGER, "someone", None)
    data = AdvertisementData("someone", {}, {UUID: PAYLOAD}, [], None, -60, ())
    heard = link._heard  # noqa: SLF001 # what bleak calls
    return [
        ("a stranger's advert", f"{micros(lambda: heard(device, data)):.2f} µs", "≤ 0.3 µs")
    ]


def bench_start() -> list[Row]:
    """From start to accepting controllers, and resident memory; 10 sensors, 2 lamps."""
    with tempfile.TemporaryDirectory() as folder:
        ours = [start_bridge(Path(folder) / str(run)) for run in range(RUNS)]
        theirs = [start_bare(Path(folder) / f"bare{run}") for run in range(RUNS)]
    seconds, mebibytes = (statistics.median(column) for column in zip(*ours, strict=True))
    bare_seconds, bare_mebibytes = (
        statistics.median(column) for column in zip(*theirs, strict=True)
    )
    return [
        ("start to HAP accept, 10 + 2", f"{seconds:.2f} s", "≤ 0.5 s"),
        ("  bare HAP-python", f"{bare_seconds:.2f} s", ""),
        ("resident memory, 10 + 2", f"{mebibytes:.0f} MiB", "≤ 60 MiB"),
        ("  bare HAP-python", f"{bare_mebibytes:.0f} MiB", ""),
    ]


def start_bridge(folder: Path) -> tuple[float, float]:
    """Seconds and MiB of `hk-bridge run`, with the real radio and a pseudo-terminal."""
    folder.mkdir()
    board, line = os.openpty()
    sensors = [
        {
            "accessory": "Hygrothermograph",
            "name": f"Room {i}",
            "address": f"4C:65:A8:D0:AE:{i:02}",
        }
        for i in range(10)
    ]
    lamps = [{"channel": channel, "name": f"Lamp {channel}"} for channel in (1, 2)]
    dimmer = {
        "accessory": "Dimmer",
        "name": "Dimmer",
        "port": os.ttyname(line),
        "channels": lamps,
    }
    config = folder / "accessories.json"
    config.write_text(json.dumps({"accessories": [*sensors, dimmer]}))
    port = free_port()
    command = [sys.executable, "-m", "hk_bridge", "run", "--config", str(config)]
    command += [
        "--state-dir",
        str(folder / "state"),
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    try:
        return timed_start(command, port)
    finally:
        os.close(board)
        os.close(line)


BARE = """
import asyncio, sys
from pyhap.accessory import Accessory, Bridge
from pyhap.accessory_driver import AccessoryDriver
from zeroconf.asyncio import AsyncZeroconf

async def main():
    driver = AccessoryDriver(
        address="127.0.0.1", port=int(sys.argv[1]), persist_file=sys.argv[2],
        loop=asyncio.get_running_loop(), interface_choice=["127.0.0.1"],
    )
    bridge = Bridge(driver, "Bare")
    bridge.setup_message = lambda: None
    for number in range(12):
        accessory = Accessory(driver, f"Accessory {number}")
        names = ["Lightbulb"] if number >= 10 else ["TemperatureSensor", "HumiditySensor"]
        for name in names:
            accessory.add_preload_service(name)
        bridge.add_accessory(accessory)
    driver.add_accessory(bridge)
    await driver.async_start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


def start_bare(folder: Path) -> tuple[float, float]:
    """Seconds and MiB of a bridge of HAP-python alone, with as many accessories."""
    folder.mkdir()
    port = free_port()
    return timed_start([sys.executable, "-c", BARE, str(port), str(folder / "state")], port)


def timed_start(command: list[str], port: int) -> tuple[float, float]:
    """Seconds until `port` accepts, and the resident MiB a while later."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.perf_counter() - begin > 30:
                raise SystemExit(f"{' '.join(command[:4])} did not start")
            time.sleep(0.002)
        seconds = time.perf_counter() - begin
        time.sleep(1.5)  # the radio is imported behind the start
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = next(x for x in status.splitlines() if x.startswith("VmRSS"))
        return seconds, int(resident.split()[1]) / 1024
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


PARTS: dict[str, Callable[[], list[Row]]] = {
    "decode": bench_decode,
    "stranger": bench_stranger,
    "start": bench_start,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    chosen = parser.parse_args().only
    console = Console()
    table = Table("what", "measured", "to reach", title="hk-bridge")
    for name, part in PARTS.items():
        if chosen in (None, name):
            with console.status(f"measuring {name} …"):
                rows = part()
            for row in rows:
                table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
