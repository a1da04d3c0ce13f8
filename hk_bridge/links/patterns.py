"""What a passive scan asks BlueZ for. Source: docs/radio.md, "Patterns"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bleak.args.bluez import OrPattern, OrPatternLike
from bleak.assigned_numbers import AdvertisementDataType

from hk_bridge.model import parse_address

#: BlueZ counts the bytes of a monitor's patterns, 34 each, in eight bits: with an eighth
#: one bluetoothd overwrites its own memory and aborts (seen with 5.66 and 5.82).
_MOST: Final = 7

#: How a frame of BTHome begins: version 2, with and without encryption, MAC and trigger.
_BTHOME_STARTS: Final = tuple(bytes([0x40 | bits]) for bits in range(8))

#: How addresses of thermometers begin whose firmware sends 0x181A: Telink, Qingping, Lumi
#: and Tuya.
_KNOWN_MAKERS: Final = tuple(
    bytes.fromhex(maker) for maker in ("A4C138", "582D34", "54EF44", "381F8D")
)

#: More makers are not asked for one by one: an adapter has 32 monitors, for all programs.
_MOST_MAKERS: Final = 12

#: The flags of a device that can be found at any time, and has no Bluetooth but LE.
_FLAGS: Final = b"\x06"


def monitors(
    uuids: Iterable[int],
    product_ids: Iterable[int],
    addresses: Iterable[str] = (),
    *,
    by_flags: bool = False,
) -> list[list[OrPatternLike]]:
    """The patterns for adverts with service data of one of `uuids`, monitor by monitor.

    BlueZ 5.66 looks at the AD structure from its UUID on, 5.82 only at what follows the
    UUID. So each UUID is asked for, and what can stand behind it: the product id of
    MiBeacon, the first byte of BTHome, and in a plain frame of 0x181A the sender's
    address, as it is written or reversed. Of the address the maker's three bytes have to
    do; those of `addresses` are asked for beside the ones of known makers.

    In an encrypted frame of 0x181A no byte is known. `by_flags` asks for the flags that
    may stand beside it, and with that for nearly everything that is in the air.
    """
    found = [bytes.fromhex(a.replace(":", ""))[:3] for a in addresses if parse_address(a)]
    makers = list(dict.fromkeys([*_KNOWN_MAKERS, *found]))
    asked, others = makers[:_MOST_MAKERS], makers[_MOST_MAKERS:]
    # What all programs ask for comes first: BlueZ takes equal monitors for one.
    service_data = [
        *((0, uuid.to_bytes(2, "little")) for uuid in uuids),
        *((2, product.to_bytes(2, "little")) for product in product_ids),
        *((0, start) for start in _BTHOME_STARTS),
        *(
            (start, part)
            for maker in asked
            for start, part in ((0, maker), (3, maker[::-1]))
        ),
    ]
    patterns: list[OrPatternLike] = [
        OrPattern(start, AdvertisementDataType.SERVICE_DATA_UUID16, part)
        for start, part in service_data
    ]
    if by_flags or others:
        patterns.append(OrPattern(0, AdvertisementDataType.FLAGS, _FLAGS))
    return [patterns[first : first + _MOST] for first in range(0, len(patterns), _MOST)]
