"""Writes that a controller has announced, and that must come in time.

Source: docs/protocols/hap.md, "Timed writes". HAP-python remembers every announcement
for as long as the connection lasts, and carries out what came too late. Time arrives as
an argument, in seconds of any clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, TypeGuard

from pyhap.const import HAP_SERVER_STATUS

#: Announced at once by one connection.
_MOST: Final = 16

_MOST_PID: Final = 2**64 - 1

#: Milliseconds; a controller asks for a few seconds.
_MOST_TTL: Final = 600_000


class TimedWrites:
    """What has been announced, by connection and pid, and when it expires."""

    def __init__(self) -> None:
        self._expires: dict[Hashable, dict[int, float]] = {}

    def prepare(self, client: Hashable, query: Any, now: float) -> int:  # noqa: ANN401 # whatever JSON there was
        """Announce a write ``{"pid": …, "ttl": milliseconds}``; returns a HAP status."""
        pid, ttl = (
            (query.get("pid"), query.get("ttl")) if isinstance(query, dict) else (0, 0)
        )
        if not (_is_within(pid, _MOST_PID) and _is_within(ttl, _MOST_TTL) and ttl):
            return int(HAP_SERVER_STATUS.INVALID_VALUE_IN_REQUEST)
        open_ones = {
            other: expires
            for other, expires in self._expires.get(client, {}).items()
            if now <= expires
        }
        open_ones[pid] = now + ttl / 1000
        if len(open_ones) > _MOST:
            return int(HAP_SERVER_STATUS.OUT_OF_RESOURCE)
        self._expires[client] = open_ones
        return int(HAP_SERVER_STATUS.SUCCESS)

    def claim(self, client: Hashable, pid: Any, now: float) -> bool:  # noqa: ANN401 # whatever JSON there was
        """Whether a write may be carried out; it may be once."""
        if not _is_within(pid, _MOST_PID):
            return False
        expires = self._expires.get(client, {}).pop(pid, None)
        return expires is not None and now <= expires

    def forget(self, client: Hashable) -> None:
        """Forget a connection that is gone."""
        self._expires.pop(client, None)


def _is_within(value: object, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
