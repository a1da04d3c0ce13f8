"""Addresses where the system keeps them to itself: from inside the frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hk_bridge.protocols import advert

#: Senders that are kept in mind; past that the oldest is forgotten.
_MOST: Final = 1000


class HiddenAddresses:
    """Knows senders, which macOS names by a UUID of its own, by the MAC in their frames.

    A sensor does not put its MAC into each frame, so it is kept in mind.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def find(self, shown: str, service_data: Mapping[str, bytes]) -> str:
        """The address of the sender that is `shown`, upper case with colons.

        It is `shown` itself as long as no frame has told. `service_data` goes by the
        128-bit UUIDs.
        """
        for uuid, data in service_data.items():
            number = advert.UUIDS.get(uuid)
            address = None if number is None else advert.address_in(number, data)
            if address is not None:
                self._known.pop(shown, None)
                while len(self._known) >= _MOST:
                    del self._known[next(iter(self._known))]
                self._known[shown] = address
                return address
        return self._known.get(shown, shown)
