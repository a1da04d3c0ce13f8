"""What is wrong with the system's Bluetooth, in a person's words, and what to type.

Each is explained in docs/radio.md, "What the lines mean".
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SCRIPT: Final = Path(__file__).parents[2] / "scripts" / "bluetooth-experimental"

#: What to do for passive scans. An installation has no scripts, and a log is read from
#: anywhere.
TO_BE_PASSIVE: Final = (
    f"type: sudo {shlex.quote(str(_SCRIPT))} install"
    if _SCRIPT.exists()
    else 'write "Experimental = true" under [General] into /etc/bluetooth/main.conf, then '
    "type: sudo systemctl restart bluetooth"
)

NO_DBUS: Final = (
    "there is no D-Bus, by which Bluetooth is reached. Install dbus and bluez, or in a "
    "container mount /run/dbus into it"
)
NO_BLUEZ: Final = (
    "the Bluetooth service does not run. Type: sudo systemctl enable --now bluetooth"
)
NO_BLUEZ_NOR_ADAPTER: Final = (
    "the Bluetooth service does not run, and there is no Bluetooth adapter, without which "
    "it does not start. Plug one in; if that does not help, type: sudo systemctl enable "
    "--now bluetooth"
)
HANGS: Final = (
    "the Bluetooth service does not answer. Type: sudo systemctl restart bluetooth"
)
BUSY: Final = (
    "the kernel still scans for a Bluetooth service that has ended; it stops by itself "
    "within ten seconds"
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
    "a passive scan needs bluetoothd --experimental, BlueZ 5.56 and Linux 5.10. To have "
    f'it, {TO_BE_PASSIVE}; or take "mode": "passive" out of accessories.json'
)
NO_PASSIVE_HERE: Final = (
    'this system has no passive scan. Take "mode": "passive" out of accessories.json'
)

#: What bleak says of a system that has no BlueZ.
NO_RADIO: Final = "no Bluetooth adapter. Plug one in"
RADIO_IS_OFF: Final = (
    "Bluetooth is switched off. Switch it on in the settings of the system"
)
NOT_ALLOWED: Final = (
    "this program may not use Bluetooth. Allow it: System Settings, Privacy & Security, "
    "Bluetooth"
)

BUS_REFUSES: Final = (
    "D-Bus, by which Bluetooth is reached, refuses this user. In a container whose users "
    "have other numbers, set BLEAK_DBUS_AUTH_UID to the number that the user has outside"
)
BUS_HANGS: Final = (
    "D-Bus, by which Bluetooth is reached, does not answer. See: systemctl status dbus"
)
BAD_BUS_ADDRESS: Final = (
    "DBUS_SYSTEM_BUS_ADDRESS is no address, such as unix:path=/run/dbus/system_bus_socket. "
    "Type: unset DBUS_SYSTEM_BUS_ADDRESS"
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


def explain(error_name: str, text: object = "") -> str:
    """What an error of D-Bus, with the `text` that came with it, is to a person."""
    return _REFUSALS.get(error_name) or f"Bluetooth fails: [{error_name}] {text}".rstrip()
