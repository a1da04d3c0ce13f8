"""What is tested: every way in which a Bluetooth stack fails, and how that ends."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scripts.guest.world import World

MODES: Final = ("passive", "active")

#: In this mode the bridge is to find out by itself how it can listen.
AUTO: Final = "auto"

#: A fault that others mend at once, such as a restart, lasts that long (seconds).
BRIEF: Final = 1.0

#: Others last longer than it takes to see whether the log is flooded.
LONG: Final = 12.0

#: After this, what tries again and again does so as rarely as it ever will.
LONGEST: Final = 40.0

Step = Callable[["World"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `begin` brings it about, `end` takes the cause away again.

    `at_start` where it is there before the bridge is. `seconds` is how long it lasts;
    `words` is what the line has in it that tells a person (a regular expression), None
    where it is over before anything has to be said. `adapter` is what the configuration
    names, and `modes` those in which the fault is one.
    """

    title: str
    begin: Step
    end: Step
    words: str | None
    at_start: bool = False
    seconds: float = LONG
    adapter: str | None = None
    modes: tuple[str, ...] = MODES

    def is_told_by(self, line: str) -> bool:
        """Whether `line` says what is wrong."""
        return self.words is None or re.search(self.words, line) is not None


async def _stop_bus(world: World) -> None:
    await world.bus.terminate()
    await world.bluez.terminate()


async def _start_bus(world: World) -> None:
    await world.bus.start()
    await world.bluez.start()


async def _stop_bluez(world: World) -> None:
    await world.bluez.terminate()


async def _kill_bluez(world: World) -> None:
    await world.bluez.kill()


async def _start_bluez(world: World) -> None:
    await world.bluez.start()


async def _unplug(world: World) -> None:
    world.adapters[0].unplug()


async def _plug(world: World) -> None:
    world.adapters[0].plug()


async def _only_another(_world: World) -> None:
    """There is hci0 alone, as always."""


async def _plug_another(world: World) -> None:
    world.adapters[1].plug()


async def _power_off(world: World) -> None:
    await world.bluez.power("hci0", on=False)


async def _power_on(world: World) -> None:
    await world.bluez.power("hci0", on=True)


async def _deafen(world: World) -> None:
    world.adapters[0].is_deaf = True


async def _stay_deaf(_world: World) -> None:
    """Nobody does anything about it but the bridge."""


async def _start_plain(world: World) -> None:
    await world.bluez.terminate()
    await world.bluez.start(is_experimental=False)
    await world.bluez.wait_for("hci0")


async def _restart_bluez(world: World) -> None:
    await world.bluez.terminate()
    await world.bluez.start()


async def _block(world: World) -> None:
    world.rfkill(block=True)


async def _unblock(world: World) -> None:
    world.rfkill(block=False)


_SWITCHED_OFF: Final = r"switched off. Type: bluetoothctl power on"
_NO_BUS: Final = r"no D-Bus.* Install dbus"
_NO_SERVICE: Final = r"service does not run. Type: sudo systemctl enable --now bluetooth"
_NO_ADAPTER: Final = r"no Bluetooth adapter. Plug one in"

FAULTS: Final[dict[str, Fault]] = {
    "no-dbus": Fault(
        "no D-Bus socket at the start",
        _stop_bus,
        _start_bus,
        _NO_BUS,
        at_start=True,
        seconds=LONGEST,
    ),
    "no-bluetoothd": Fault(
        "no bluetoothd at the start", _stop_bluez, _start_bluez, _NO_SERVICE, at_start=True
    ),
    "no-adapter": Fault(
        "no adapter at the start", _unplug, _plug, _NO_ADAPTER, at_start=True
    ),
    "no-named-adapter": Fault(
        "another adapter than the named one",
        _only_another,
        _plug_another,
        r"adapter hci1 is not there, but hci0",
        at_start=True,
        adapter="hci1",
    ),
    "off": Fault(
        "adapter off at the start", _power_off, _power_on, _SWITCHED_OFF, at_start=True
    ),
    "off-named": Fault(
        "named adapter off at the start",
        _power_off,
        _power_on,
        _SWITCHED_OFF,
        at_start=True,
        adapter="hci0",
    ),
    "power": Fault("adapter switched off and on", _power_off, _power_on, _SWITCHED_OFF),
    "restart": Fault(
        "bluetoothd restarted", _stop_bluez, _start_bluez, None, seconds=BRIEF
    ),
    "stop": Fault("bluetoothd stopped and started", _stop_bluez, _start_bluez, _NO_SERVICE),
    "kill": Fault("bluetoothd killed", _kill_bluez, _start_bluez, _NO_SERVICE),
    "crash": Fault(
        "bluetoothd killed and restarted at once",
        _kill_bluez,
        _start_bluez,
        None,
        seconds=BRIEF,
    ),
    "replug": Fault("adapter unplugged and replugged", _unplug, _plug, _NO_ADAPTER),
    "reseat": Fault("adapter unplugged for a moment", _unplug, _plug, None, seconds=BRIEF),
    "bus": Fault(
        "D-Bus daemon stopped and started", _stop_bus, _start_bus, _NO_BUS, seconds=LONGEST
    ),
    "bus-restart": Fault(
        "D-Bus daemon restarted", _stop_bus, _start_bus, None, seconds=BRIEF
    ),
    "rfkill": Fault(
        "rfkill block and unblock", _block, _unblock, r"blocked. Type: sudo rfkill unblock"
    ),
    "deaf": Fault(
        "controller deaf until a new scan", _deafen, _stay_deaf, None, seconds=0.0
    ),
    "plain": Fault(
        "passive scan without --experimental",
        _start_plain,
        _restart_bluez,
        r"needs bluetoothd --experimental.* type: sudo",
        at_start=True,
        modes=("passive",),
    ),
}

DELIVERY: Final = "delivery"
FORMATS: Final = "formats"
FALLBACK: Final = "fallback"
SCAN: Final = "scan"

#: Every row: its name, what it is, and the modes in which it is run.
ROWS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    DELIVERY: ("every frame is delivered", MODES),
    FORMATS: ("every format is heard", MODES),
    **{name: (fault.title, fault.modes) for name, fault in FAULTS.items()},
    SCAN: ("two scans beside the bridge", MODES),
    FALLBACK: ("bluetoothd without --experimental", (AUTO,)),
}
