"""Which service data of an advert is new, where the stack hands over old one with it.

BlueZ keeps what a device has ever sent under any UUID, and bleak passes all of it on with
each advert. A sensor that speaks in several formats by turns, or has another firmware now,
would be read from what it once said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Senders that are kept in mind; past that the oldest is forgotten.
_MOST: Final = 1000

_NOTHING: Final[Mapping[int, bytes]] = {}

ServiceData = Mapping[int, bytes]


class FreshData:
    """Knows what each sender has sent last, and under which UUIDs."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[ServiceData, ServiceData]] = {}

    def pick(self, address: str, service_data: ServiceData) -> ServiceData:
        """What of `service_data` the sender has sent now.

        That is what has changed, or, where nothing has, what did so last. Of a sender that
        is heard for the first time, and with more than one UUID, nothing is known to be
        new.
        """
        before = self._known.pop(address, None)
        if len(service_data) == 1:
            fresh = service_data
        elif before is None:
            fresh = _NOTHING
        else:
            known, last = before
            fresh = {u: data for u, data in service_data.items() if known.get(u) != data}
            fresh = fresh or last
        while len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[address] = (service_data, fresh)
        return fresh
