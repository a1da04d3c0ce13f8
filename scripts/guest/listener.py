"""Listens with the bridge's own radio alone, and prints what it hears.

    python -m scripts.guest.listener passive|active [--by-flags] ADDRESS...

One line for each service data in an advert of these addresses: seconds of the monotonic
clock, address, UUID, and data in hex. And one each time that it listens: `up`, and the
mode. With --by-flags a passive scan goes by the flags of adverts too.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final, Literal, cast

from hk_bridge.links.bluetooth import BluetoothLink
from hk_bridge.model import Advertisement, LinkState
from hk_bridge.protocols import advert
from hk_bridge.protocols.products import PRODUCTS

BY_FLAGS: Final = "--by-flags"


def heard(advertisement: Advertisement) -> None:
    """Print one advert."""
    for uuid, data in advertisement.service_data.items():
        print(
            advertisement.at, advertisement.address, f"{uuid:04x}", data.hex(), flush=True
        )


def changed(state: LinkState) -> None:
    """Print that it listens, or why not."""
    if state.is_up:
        print("up", state.mode, flush=True)
    else:
        print(state.text, file=sys.stderr)


def main() -> None:
    """Listen until SIGTERM."""
    mode, *rest = sys.argv[1:]
    addresses = [each for each in rest if each != BY_FLAGS]
    link = BluetoothLink(
        frozenset(addresses),
        heard,
        advert.UUIDS,
        PRODUCTS,
        addresses=addresses,
        by_flags=BY_FLAGS in rest,
        mode=cast(Literal["passive", "active"], mode),
    )
    asyncio.run(link.run(changed))


if __name__ == "__main__":
    main()
