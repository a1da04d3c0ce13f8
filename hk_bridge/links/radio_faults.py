"""What is wrong with the system's Bluetooth, in a person's words, and what to type.

Each is explained in docs/radio.md, "What the lines mean".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TO_BE_PASSIVE: Final = "sudo scripts/bluetooth-experimental install"

NO_DBUS: Final = (
    "there is no D-Bus, by which Bluetooth is reached. Install dbus and bluez, or in a "
    "container mount /run/dbus into it"
)
NO_BLUEZ: Final = (
    "the Bluetooth service does not run. Type: sudo systemctl enable --now bluetooth"
)
HANGS: Final = (
    "the Bluetooth service does not answer. Type: sudo systemctl restart bluetooth"
)
FORBIDDEN: Final = (
    "this user may not use Bluetooth. Type: sudo usermod -aG bluetooth $USER, then log in "
    "again"
)
NO_ADAPTER: Final = (
    "no Bluetooth adapter. Plug one in, or see what `bluetoothctl list` says"
)
NO_LE: Final = (
    "the Bluetooth adapter has no Bluetooth LE, by which sensors broadcast. Plug in "
    "another one"
)
IS_OFF: Final = "the Bluetooth adapter is switched off. Type: bluetoothctl power on"
NO_PASSIVE: Final = (
    "a passive scan needs bluetoothd --experimental, BlueZ 5.56 and Linux 5.10. Type: "
    f'{TO_BE_PASSIVE}; or take "mode": "passive" out of accessories.json'
)

#: What BlueZ, or the bus in its place, answers.
_REFUSALS: Final[Mapping[str, str]] = {
    "org.freedesktop.DBus.Error.ServiceUnknown": NO_BLUEZ,
    "org.freedesktop.DBus.Error.NameHasNoOwner": NO_BLUEZ,
    "org.freedesktop.DBus.Error.Spawn.ChildExited": NO_BLUEZ,
    "org.freedesktop.DBus.Error.AccessDenied": FORBIDDEN,
    "org.freedesktop.DBus.Error.NoReply": HANGS,
    "org.freedesktop.DBus.Error.Timeout": HANGS,
    "org.freedesktop.DBus.Error.TimedOut": HANGS,
    "org.bluez.Error.NotReady": IS_OFF,
}


def explain(error_name: str) -> str | None:
    """What an error of D-Bus is to a person; None where its own text has to do."""
    return _REFUSALS.get(error_name)
