"""The radio: bleak → service data of adverts.

What BlueZ needs, how it fails, and what is said then: docs/radio.md.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)

from hk_bridge.errors import LinkError
from hk_bridge.links.adapters import Adapter
from hk_bridge.links.hidden_addresses import HiddenAddresses
from hk_bridge.links.patterns import monitors
from hk_bridge.links.radio_faults import (
    FORBIDDEN,
    HANGS,
    IS_OFF,
    NO_ADAPTER,
    NO_DBUS,
    NO_LE,
    NO_PASSIVE,
    TO_BE_PASSIVE,
    explain,
)
from hk_bridge.links.scan_plan import Scan, ScanPlan, WantedMode
from hk_bridge.links.stack import Stack, system_stack
from hk_bridge.model import Advertisement, LinkState

_LOG = logging.getLogger(__name__)

#: Starting and stopping a scan takes a fraction of this.
_START_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 1.0

#: What stopping is known to raise, whatever has become of adapter, daemon and bus.
#: TimeoutError is an OSError.
_STOP_ERRORS: Final = (BleakError, OSError, EOFError, AssertionError)

_IN_PROGRESS: Final = "org.bluez.Error.InProgress"

#: What bleak says in place of the signal strength that an advert would have.
_NO_RSSI: Final = -127

_HINT: Final = f"type: {TO_BE_PASSIVE}"

_NOT_AVAILABLE: Final = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: NO_ADAPTER,
    BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE: NO_LE,
    BleakBluetoothNotAvailableReason.POWERED_OFF: IS_OFF,
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: FORBIDDEN,
}


class _Everyone:
    def __contains__(self, address: object) -> bool:
        return True


#: Contains every address: to look for sensors, or for the one that has none yet.
EVERYONE: Final[Container[str]] = _Everyone()


class RefusedError(LinkError):
    """The system has Bluetooth, and does not let it be used in this way.

    It is tried again that often before it is said, with a pause in seconds: an adapter
    that has just come may be refused what it gets a moment later.
    """

    tries = 1
    pause = 0.5


class BusyError(RefusedError):
    """The kernel still scans for a bluetoothd that has ended without a word: for 10 s."""

    tries = 15
    pause = 1.0


class BluetoothLink:
    """Listens for adverts, passively where that can be.

    `uuids` maps 128-bit UUIDs as the stack spells them to 16-bit ones; other service data
    is not passed on. `wanted`, which may be replaced at any time, is asked before
    anything else is done with an advert: an address that it does not contain costs
    nothing more. `adapter` is a name or an address. `hides_addresses` tells a system that
    names senders in its own way. `stack` opens the system's Bluetooth.
    """

    name = "Bluetooth"

    def __init__(
        self,
        wanted: Container[str],
        on_advert: Callable[[Advertisement], None],
        uuids: Mapping[str, int],
        product_ids: Iterable[int],
        *,
        mode: WantedMode = "auto",
        adapter: str | None = None,
        hides_addresses: bool = sys.platform == "darwin",
        stack: Callable[[], AbstractAsyncContextManager[Stack]] | None = None,
    ) -> None:
        self.wanted = wanted
        self.heard_at: float | None = None
        self.passed_on = 0
        self._on_advert = on_advert
        self._uuids = uuids
        self._mode = mode
        self._adapter = adapter
        self._hidden = HiddenAddresses()
        self._callback = self._heard_hidden if hides_addresses else self._heard
        self._monitors = monitors(uuids.values(), product_ids)
        self._open_stack = stack or system_stack

    async def run(self, report: Callable[[LinkState], None]) -> None:
        """Listen until cancelled; `report` is told each time that this changes.

        Raises LinkError where nothing tells of the system's Bluetooth, or it refuses.
        """
        refused: Adapter | None = None
        tries = 0
        async with self._open_stack() as stack:
            while True:
                try:
                    adapter = stack.adapter(self._adapter)
                except LinkError as error:
                    report(LinkState(is_up=False, text=str(error)))
                    await stack.changed()
                    continue
                try:
                    await self._listen(stack, adapter, report)
                except RefusedError as error:
                    refused, tries = adapter, tries + 1 if adapter == refused else 1
                    if tries > error.tries:
                        raise
                    await asyncio.sleep(error.pause)

    async def _listen(
        self, stack: Stack, adapter: Adapter, report: Callable[[LinkState], None]
    ) -> None:
        """One scan after the other, until the adapter is lost."""
        plan = ScanPlan(self._mode)
        while self._still_there(stack, adapter):
            scan = plan.next(can_be_passive=adapter.monitors)
            async with AsyncExitStack() as scanners:
                try:
                    await self._start(scan, adapter, scanners)
                except RefusedError:
                    if scan.mode == "passive" and plan.refused():
                        continue
                    raise
                report(_up(scan, adapter, self._mode))
                passed_on = self.passed_on
                heard = await self._hear(scan, stack, adapter)
            plan.ended(scan, heard=heard, heard_sensors=self.passed_on > passed_on)

    def _still_there(self, stack: Stack, adapter: Adapter) -> bool:
        try:
            return stack.adapter(self._adapter) == adapter
        except LinkError:
            return False

    async def _hear(self, scan: Scan, stack: Stack, adapter: Adapter) -> bool:
        """Return once the scan is over, or cannot hear any more; whether it heard anybody.

        The adapter is watched, because a scan that has lost it goes silent without a word,
        and so is the silence: some stacks go deaf with all in place.
        """
        begun = time.monotonic()
        while self._still_there(stack, adapter):
            heard_at = self.heard_at or begun
            last = max(heard_at, begun)
            rest = min(last + scan.silence, begun + scan.life) - time.monotonic()
            if rest <= 0:
                _LOG.debug(
                    "%s scan: over after %.0f s", scan.mode, time.monotonic() - begun
                )
                break
            try:
                async with asyncio.timeout(rest):
                    await stack.changed()
            except TimeoutError:
                pass
        return (self.heard_at or begun) > begun

    async def _start(self, scan: Scan, adapter: Adapter, scanners: AsyncExitStack) -> None:
        """Scan until `scanners` is closed. Raises LinkError where that cannot be."""
        options = BlueZScannerArgs(adapter=adapter.name) if adapter.name else {}
        try:
            async with asyncio.timeout(_START_SECONDS), AsyncExitStack() as started:
                if scan.mode == "active":
                    await _begin(BleakScanner(self._callback, bluez=options), started)
                else:
                    await self._start_passive(options, started)
                scanners.push_async_exit(started.pop_all())
        except BleakBluetoothNotAvailableError as error:
            text = _NOT_AVAILABLE.get(error.reason, str(error.args[0]))
            raise LinkError(text) from error
        except BleakDBusError as error:
            kind = BusyError if error.dbus_error == _IN_PROGRESS else RefusedError
            raise kind(_explain(error, scan)) from error
        except BleakError as error:
            raise RefusedError(_explain(error, scan)) from error
        except TimeoutError as error:
            raise LinkError(HANGS) from error
        except (OSError, EOFError) as error:
            raise LinkError(NO_DBUS) from error

    async def _start_passive(
        self, options: BlueZScannerArgs, started: AsyncExitStack
    ) -> None:
        """As many scans as it takes for all patterns; any of them hears what all match."""
        callback: AdvertisementDataCallback = self._callback
        for patterns in self._monitors:
            scanner = BleakScanner(
                callback,
                scanning_mode="passive",
                bluez={**options, "or_patterns": patterns},
            )
            await _begin(scanner, started)
            callback = _ignore

    # -- adverts ----------------------------------------------------------------------

    def _heard(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self.heard_at = time.monotonic()
        if device.address in self.wanted:
            self._pass_on(device.address, advertisement)

    def _heard_hidden(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self.heard_at = time.monotonic()
        address = self._hidden.find(device.address, advertisement.service_data)
        if address in self.wanted:
            self._pass_on(address, advertisement)

    def _pass_on(self, address: str, advertisement: AdvertisementData) -> None:
        service_data = {
            self._uuids[uuid]: data
            for uuid, data in advertisement.service_data.items()
            if uuid in self._uuids
        }
        if service_data:
            self.passed_on += 1
            rssi = None if advertisement.rssi == _NO_RSSI else advertisement.rssi
            self._on_advert(
                Advertisement(address, service_data, rssi, self.heard_at or 0.0)
            )


async def _begin(scanner: BleakScanner, scanners: AsyncExitStack) -> None:
    await scanner.start()
    scanners.push_async_callback(_stop, scanner)


async def _stop(scanner: BleakScanner) -> None:
    """Stop, whatever has become of adapter, daemon and bus in the meantime."""
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await scanner.stop()
    except _STOP_ERRORS as error:
        _LOG.debug("the scan did not stop cleanly: %r", error)


def _ignore(_device: BLEDevice, _advertisement: AdvertisementData) -> None:
    """What the further scans find comes to the first one too."""


def _up(scan: Scan, adapter: Adapter, wanted: WantedMode) -> LinkState:
    """How is listened; that it is not the better way, only where nobody asked for it."""
    where = f" on {adapter.name}" if adapter.name else ""
    how = f"{scan.mode} scan"
    if scan.mode == "active" and wanted == "auto" and adapter.name:
        how += f", which costs the sensors some battery; for a passive one {_HINT}"
    return LinkState(
        is_up=True, text=f"listening{where} ({how})", mode=scan.mode, adapter=adapter.name
    )


def _explain(error: BleakError, scan: Scan) -> str:
    """What is wrong in a person's words, and what to type."""
    if isinstance(error, BleakDBusError):
        return explain(error.dbus_error) or f"Bluetooth fails: {error}"
    is_unknown = scan.mode == "passive" and "passive" in str(error)
    return NO_PASSIVE if is_unknown else f"Bluetooth fails: {error}"
