"""HAP-python as its own examples run it: a bridge with a lamp and a thermometer.

    python bare.py PORT DIRECTORY SETUP_CODE

The lamp cannot be set while there is a file ``broken`` in the directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from pyhap.accessory import Accessory, Bridge
from pyhap.accessory_driver import AccessoryDriver

LOOPBACK = "127.0.0.1"


def lamp(driver: AccessoryDriver, broken: Path) -> Accessory:
    def set_lamp(_values: dict[str, Any]) -> None:
        if broken.exists():
            raise OSError("no line to the lamp")

    accessory = Accessory(driver, "Lamp", aid=2)
    service = accessory.add_preload_service("Lightbulb", chars=["On", "Brightness"])
    service.setter_callback = set_lamp
    return accessory


def thermometer(driver: AccessoryDriver) -> Accessory:
    accessory = Accessory(driver, "Thermometer", aid=3)
    service = accessory.add_preload_service("TemperatureSensor")
    service.configure_char("CurrentTemperature", value=21.5)
    return accessory


async def main(port: int, directory: Path, code: str) -> None:
    loop = asyncio.get_running_loop()
    driver = AccessoryDriver(
        address=LOOPBACK,
        port=port,
        persist_file=str(directory / "accessory.state"),
        pincode=code.encode(),
        interface_choice=[LOOPBACK],
        loop=loop,
    )
    bridge = Bridge(driver, "Bare")
    bridge.add_accessory(lamp(driver, directory / "broken"))
    bridge.add_accessory(thermometer(driver))
    driver.add_accessory(bridge)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await driver.async_start()
    await ended.wait()
    # It shuts down sockets whose peer may have gone a moment before.
    with contextlib.suppress(OSError):
        await driver.async_stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="[%(module)s] %(message)s")
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
