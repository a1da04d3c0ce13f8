"""Run on another host: a real controller that finds a bridge by mDNS, and stays with it.

It pairs, and for each line on stdin it reads a name from the bridge over its session:
prints the name, or "none" and why. Usage: controller.py DEVICE_ID SETUP_CODE
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from aiohomekit.characteristic_cache import CharacteristicCacheMemory
from aiohomekit.controller.ip import IpController, IpPairing
from aiohomekit.exceptions import HomeKitException
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

_SERVICE = "_hap._tcp.local."
_PATIENCE = 30.0

#: The name of the bridge itself, in its accessory information.
_NAME = (1, 5)


def say(line: str) -> None:
    """Have whoever reads stdout know at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def stay(pairing: IpPairing) -> None:
    """Read whenever stdin says so, until it ends."""
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while await stdin.readline():
        try:
            async with asyncio.timeout(_PATIENCE):
                read = await pairing.get_characteristics([_NAME])
        except (HomeKitException, OSError, TimeoutError) as error:
            say(f"none: {type(error).__name__} {error}")
        else:
            place = pairing.connection.connected_host
            say(f"read {read[_NAME]['value']} at {place}")


async def main(device_id: str, setup_code: str) -> None:
    """Find the bridge, pair, and stay."""
    async with contextlib.AsyncExitStack() as stack:
        zeroconf = AsyncZeroconf(ip_version=IPVersion.All)
        stack.push_async_callback(zeroconf.async_close)
        browser = AsyncServiceBrowser(
            zeroconf.zeroconf, _SERVICE, handlers=[lambda **_: None]
        )
        stack.push_async_callback(browser.async_cancel)
        controller = IpController(CharacteristicCacheMemory(), zeroconf)
        await controller.async_start()
        stack.push_async_callback(controller.async_stop)
        discovery = await controller.async_find(device_id, timeout=_PATIENCE)
        # By this name its discovery finds the pairing again, to tell it of new addresses.
        finish = await discovery.async_start_pairing(device_id.lower())
        pairing = await finish(setup_code)
        assert isinstance(pairing, IpPairing)
        stack.push_async_callback(pairing.close)
        say("paired")
        await stay(pairing)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
