"""Bluetooth adapters: which one to listen with, and why one cannot be used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hk_bridge.errors import LinkError
from hk_bridge.links.radio_faults import NO_ADAPTER, NO_LE

_HARDWARE: Final = Path("/sys/class/bluetooth")
_RFKILL: Final = Path("/sys/class/rfkill")


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter as BlueZ has it now.

    `name` is such as hci0, `address` upper case with colons. `monitors` tells whether it
    can scan passively. `spell` is another number each time that it came, was switched on,
    or got another daemon: what was begun in an earlier spell hears nothing.
    """

    name: str
    address: str
    is_on: bool
    has_le: bool
    monitors: bool
    spell: int


def has_hardware() -> bool:
    """Whether the kernel knows any adapter; systemd starts BlueZ only where it does."""
    try:
        return any(_HARDWARE.iterdir())
    except OSError:
        return False


def choose(
    adapters: Iterable[Adapter], wanted: str | None = None, rfkill: Path | None = None
) -> Adapter:
    """The adapter to listen with: the one with the name or address `wanted`, else any.

    Raises LinkError, with what to type, where there is none, or it is off.
    """
    there = sorted(adapters, key=lambda adapter: (len(adapter.name), adapter.name))
    candidates = [each for each in there if wanted in (None, each.name, each.address)]
    if not there:
        raise LinkError(NO_ADAPTER)
    if not candidates:
        names = ", ".join(f"{adapter.name} ({adapter.address})" for adapter in there)
        raise LinkError(
            f"the Bluetooth adapter {wanted} is not there, but {names}. Plug it in, or "
            'change "adapter" under "bluetooth" in accessories.json'
        )
    with_le = [adapter for adapter in candidates if adapter.has_le]
    if not with_le:
        raise LinkError(NO_LE)
    for adapter in with_le:
        if adapter.is_on:
            return adapter
    raise LinkError(_why_off(with_le[0], only=len(there) == 1, rfkill=rfkill or _RFKILL))


def _why_off(adapter: Adapter, *, only: bool, rfkill: Path) -> str:
    block = _block(adapter.name, rfkill)
    if block == "hard":
        return (
            f"the Bluetooth adapter {adapter.name} is blocked by a switch or a key of the "
            "computer. What blocks it, says: rfkill list bluetooth"
        )
    if block == "soft":
        return (
            f"the Bluetooth adapter {adapter.name} is blocked. Type: sudo rfkill unblock "
            "bluetooth"
        )
    power_on = (
        "bluetoothctl power on"
        if only
        else f"printf 'select {adapter.address}\\npower on\\n' | bluetoothctl"
    )
    return f"the Bluetooth adapter {adapter.name} is switched off. Type: {power_on}"


def _block(name: str, rfkill: Path) -> str | None:
    """How rfkill blocks the adapter: "hard", "soft", or not at all."""
    with contextlib.suppress(OSError):
        for switch in rfkill.iterdir():
            with contextlib.suppress(OSError):
                if (switch / "name").read_text().strip() == name:
                    for kind in ("hard", "soft"):
                        if (switch / kind).read_text().strip() == "1":
                            return kind
    return None
