"""Run on another host: announces an accessory of a certain name, and gives way to nobody.

avahi-daemon takes another name where it meets one of its own. Cheap accessories do not.
Prints "announced". Usage: namesake.py NAME ID PORT ADDRESS
"""

from __future__ import annotations

import asyncio
import sys

from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

_SERVICE = "_hap._tcp.local."


async def main(name: str, device_id: str, port: str, address: str) -> None:
    """Announce it until it is killed."""
    zeroconf = AsyncZeroconf(interfaces=[address], ip_version=IPVersion.V4Only)
    info = AsyncServiceInfo(
        _SERVICE,
        f"{name}.{_SERVICE}",
        port=int(port),
        properties={"id": device_id},
        server="namesake.local.",
        parsed_addresses=[address],
    )
    await (await zeroconf.async_register_service(info, cooperating_responders=True))
    sys.stdout.write("announced\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
