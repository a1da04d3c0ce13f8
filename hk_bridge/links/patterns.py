"""What a passive scan asks BlueZ for. Source: docs/radio.md, "Patterns"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bleak.args.bluez import OrPattern, OrPatternLike
from bleak.assigned_numbers import AdvertisementDataType

#: BlueZ counts the bytes of a monitor's patterns, 34 each, in eight bits: with an eighth
#: one bluetoothd overwrites its own memory and aborts (seen with 5.66 and 5.82).
_MOST: Final = 7


def monitors(uuids: Iterable[int], product_ids: Iterable[int]) -> list[list[OrPatternLike]]:
    """The patterns for adverts with service data of one of `uuids`, monitor by monitor.

    BlueZ 5.66 looks at the AD structure from its UUID on, 5.82 only at what follows the
    UUID: so each UUID is asked for in both readings, the second by the product ids that
    stand two bytes behind it.
    """
    wanted = [*((0, uuid) for uuid in uuids), *((2, product) for product in product_ids)]
    patterns: list[OrPatternLike] = [
        OrPattern(
            start,
            AdvertisementDataType.SERVICE_DATA_UUID16,
            number.to_bytes(2, "little"),
        )
        for start, number in wanted
    ]
    return [patterns[first : first + _MOST] for first in range(0, len(patterns), _MOST)]
