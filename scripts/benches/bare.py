"""HAP-python as its own examples run it: a bridge with some sensors and lamps.

python bare.py PORT STATE_FILE SETUP_CODE SENSORS LAMPS [SERIAL_PORT]

With a serial port, the first two lamps are those of a dimmer there.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tty
from functools import partial

from pyhap.accessory import Accessory, Bridge
from pyhap.accessory_driver import AccessoryDriver

LOOPBACK = "127.0.0.1"


class Board:
    """Two lamps behind a port, which each write goes to at once."""

    def __init__(self, port: str) -> None:
        self._line = os.open(port, os.O_WRONLY | os.O_NOCTTY)
        tty.setraw(self._line)
        self._levels = {1: 0, 2: 0}

    def dim(self, channel: int, percent: int) -> None:
        self._levels[channel] = round(percent * 255 / 100)
        frame = (0x0A, 0xFF, 0x55, channel, *self._levels.values(), 0, 0, 0x0A)
        os.write(self._line, bytes(frame))


async def main(
    port: int, state_file: str, code: str, sensors: int, lamps: int, *lines: str
) -> None:
    driver = AccessoryDriver(
        address=LOOPBACK,
        port=port,
        persist_file=state_file,
        pincode=code.encode(),
        loop=asyncio.get_running_loop(),
        interface_choice=[LOOPBACK],
    )
    boards = [Board(line) for line in lines]
    bridge = Bridge(driver, "Bare")
    bridge.setup_message = lambda: None
    for number in range(sensors + lamps):
        accessory = Accessory(driver, f"Accessory {number}")
        if number < sensors:
            accessory.add_preload_service("TemperatureSensor")
            accessory.add_preload_service("HumiditySensor")
        else:
            lamp = accessory.add_preload_service("Lightbulb", chars=["On", "Brightness"])
            for board in boards:
                dim = partial(board.dim, number - sensors + 1)
                lamp.configure_char("Brightness", setter_callback=dim)
        bridge.add_accessory(accessory)
    driver.add_accessory(bridge)
    await driver.async_start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    own_port, own_file, own_code, own_sensors, own_lamps, *own_lines = sys.argv[1:]
    asyncio.run(
        main(
            int(own_port), own_file, own_code, int(own_sensors), int(own_lamps), *own_lines
        )
    )
