"""Listens with the bridge's own radio alone, and prints what it hears.

    python -m scripts.guest.listener passive|active ADDRESS...

One line for each advert of these addresses: seconds of the monotonic clock, address,
service data in hex. And one each time that it listens: `up`, and the mode.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Literal, cast

from hk_bridge.links.bluetooth import BluetoothLink
from hk_bridge.model import Advertisement, LinkState
from hk_bridge.protocols import advert, mibeacon
from hk_bridge.protocols.products import PRODUCTS


def heard(advertisement: Advertisement) -> None:
    """Print one advert."""
    data = advertisement.service_data[mibeacon.UUID]
    print(advertisement.at, advertisement.address, data.hex(), flush=True)


def changed(state: LinkState) -> None:
    """Print that it listens, or why not."""
    if state.is_up:
        print("up", state.mode, flush=True)
    else:
        print(state.text, file=sys.stderr)


def main() -> None:
    """Listen until SIGTERM."""
    mode, *addresses = sys.argv[1:]
    link = BluetoothLink(
        frozenset(addresses),
        heard,
        advert.UUIDS,
        PRODUCTS,
        mode=cast(Literal["passive", "active"], mode),
    )
    asyncio.run(link.run(changed))


if __name__ == "__main__":
    main()
