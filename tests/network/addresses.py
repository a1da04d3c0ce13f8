"""Run on another host: prints all addresses that an accessory is announced with.

avahi-resolve says one of each family, whatever else there is. Usage: addresses.py NAME
"""

from __future__ import annotations

import asyncio
import sys

from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

_SERVICE = "_hap._tcp.local."
_PATIENCE_MS = 5000


async def main(name: str) -> None:
    """Ask once, with an empty cache."""
    async with AsyncZeroconf(ip_version=IPVersion.All) as zeroconf:
        info = AsyncServiceInfo(_SERVICE, f"{name}.{_SERVICE}")
        await info.async_request(zeroconf.zeroconf, _PATIENCE_MS)
        sys.stdout.write("\n".join(info.parsed_addresses()))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
