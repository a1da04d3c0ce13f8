"""HAP-python as its own examples run it: a bridge with ten sensors and two lamps.

python bare.py PORT STATE_FILE SETUP_CODE
"""

from __future__ import annotations

import asyncio
import sys

from pyhap.accessory import Accessory, Bridge
from pyhap.accessory_driver import AccessoryDriver

LOOPBACK = "127.0.0.1"


async def main(port: int, state_file: str, code: str) -> None:
    driver = AccessoryDriver(
        address=LOOPBACK,
        port=port,
        persist_file=state_file,
        pincode=code.encode(),
        loop=asyncio.get_running_loop(),
        interface_choice=[LOOPBACK],
    )
    bridge = Bridge(driver, "Bare")
    bridge.setup_message = lambda: None
    for number in range(12):
        accessory = Accessory(driver, f"Accessory {number}")
        if number < 10:
            accessory.add_preload_service("TemperatureSensor")
            accessory.add_preload_service("HumiditySensor")
        else:
            accessory.add_preload_service("Lightbulb", chars=["On", "Brightness"])
        bridge.add_accessory(accessory)
    driver.add_accessory(bridge)
    await driver.async_start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
