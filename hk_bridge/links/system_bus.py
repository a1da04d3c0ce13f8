"""The system's D-Bus, and why it is out of reach."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Final

from dbus_fast import AuthError, BusType, InvalidAddressError
from dbus_fast.aio import MessageBus
from dbus_fast.auth import AuthExternal
from dbus_fast.errors import DBusFastError

from hk_bridge.errors import LinkError
from hk_bridge.links.radio_faults import BAD_BUS_ADDRESS, BUS_HANGS, BUS_REFUSES, NO_DBUS

_CONNECT_SECONDS: Final = 10.0

#: bleak has this variable for containers whose users have other numbers.
_USER_VARIABLE: Final = "BLEAK_DBUS_AUTH_UID"

#: What connecting to the bus raises, where it is not that there is none.
_BUS_ERRORS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (TimeoutError, BUS_HANGS),
    (PermissionError, BUS_REFUSES),
    (ConnectionResetError, BUS_REFUSES),
    (AuthError, BUS_REFUSES),
    (InvalidAddressError, BAD_BUS_ADDRESS),
)
_NO_BUS: Final = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR})


async def connect() -> MessageBus:
    """A connection to the system bus. Raises LinkError."""
    try:
        auth = AuthExternal(uid=int(os.environ.get(_USER_VARIABLE, "")))
    except ValueError:
        auth = None
    try:
        bus = MessageBus(bus_type=BusType.SYSTEM, auth=auth)
        async with asyncio.timeout(_CONNECT_SECONDS):
            await bus.connect()
    except (OSError, EOFError, DBusFastError) as error:
        raise LinkError(_why_no_bus(error)) from error
    return bus


def _why_no_bus(error: Exception) -> str:
    for kind, words in _BUS_ERRORS:
        if isinstance(error, kind):
            return words
    if isinstance(error, OSError) and error.errno not in _NO_BUS:
        return f"D-Bus, by which Bluetooth is reached, cannot be used: {error.strerror}"
    return NO_DBUS
