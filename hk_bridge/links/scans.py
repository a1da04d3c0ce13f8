"""Scans as bleak begins and ends them, on a stack that may hang, refuse or be gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

from bleak import BleakScanner
from bleak.args.bluez import BlueZDiscoveryFilters, BlueZScannerArgs, OrPatternLike
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
from hk_bridge.links.radio_faults import (
    BUSY,
    HANGS,
    NO_DBUS,
    NO_LE,
    NO_PASSIVE,
    NO_PASSIVE_HERE,
    NO_RADIO,
    NOT_ALLOWED,
    RADIO_IS_OFF,
    explain,
)
from hk_bridge.links.scan_plan import Scan

_LOG = logging.getLogger(__name__)

#: Starting and stopping a scan takes a fraction of this.
_START_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 1.0

#: What has not come by then does not come any more.
_LATE_SECONDS: Final = 300.0

#: What stopping is known to raise, whatever has become of adapter, daemon and bus.
#: TimeoutError is an OSError.
_STOP_ERRORS: Final = (BleakError, OSError, EOFError, AssertionError)

#: Matches every name and address. Without it BlueZ 5.82, on an adapter that has LE alone,
#: keeps to itself who sends no flags in an active scan.
_EVERYBODY: Final[BlueZDiscoveryFilters] = {"Pattern": ""}

_IN_PROGRESS: Final = "org.bluez.Error.InProgress"

_NOT_AVAILABLE: Final = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: NO_RADIO,
    BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE: NO_LE,
    BleakBluetoothNotAvailableReason.POWERED_OFF: RADIO_IS_OFF,
    BleakBluetoothNotAvailableReason.DENIED_BY_USER: NOT_ALLOWED,
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: NOT_ALLOWED,
}


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


class Scans:
    """Begins scans; `callback` hears what they hear.

    `monitors` are the patterns of passive ones.
    """

    def __init__(
        self,
        callback: AdvertisementDataCallback,
        monitors: Sequence[list[OrPatternLike]],
    ) -> None:
        self._callback = callback
        self._monitors = monitors
        self._late: set[asyncio.Task[None]] = set()

    async def start(self, scan: Scan, adapter: Adapter, until: AsyncExitStack) -> None:
        """Scan until `until` is closed.

        Raises RefusedError where the system does not let it, and LinkError otherwise.
        """
        options = BlueZScannerArgs(adapter=adapter.name) if adapter.name else {}
        started: list[BleakScanner] = []
        try:
            if self._late:
                _, self._late = await asyncio.wait(self._late, timeout=_START_SECONDS)
            if self._late:
                raise TimeoutError
            for scanner in self._scanners(scan, options):
                await self._begin(scanner)
                started.append(scanner)
        except BleakBluetoothNotAvailableError as error:
            text = _NOT_AVAILABLE.get(error.reason, str(error.args[0]))
            raise LinkError(text) from error
        except BleakDBusError as error:
            if error.dbus_error == _IN_PROGRESS:
                raise BusyError(BUSY) from error
            text = explain(error.dbus_error, error.dbus_error_details or "")
            raise RefusedError(text) from error
        except BleakError as error:
            raise RefusedError(_explain(error, scan, adapter)) from error
        except TimeoutError as error:
            raise LinkError(HANGS) from error
        except (OSError, EOFError) as error:
            raise LinkError(NO_DBUS) from error
        finally:
            until.push_async_callback(self._stop, started)

    def _scanners(self, scan: Scan, options: BlueZScannerArgs) -> Iterator[BleakScanner]:
        """As many as it takes for all patterns; any of them hears what all match."""
        if scan.mode == "active":
            yield BleakScanner(self._callback, bluez={**options, "filters": _EVERYBODY})
            return
        callback: AdvertisementDataCallback = self._callback
        for patterns in self._monitors:
            yield BleakScanner(
                callback,
                scanning_mode="passive",
                bluez={**options, "or_patterns": patterns},
            )
            callback = _ignore

    async def _begin(self, scanner: BleakScanner) -> None:
        """Start a scanner.

        A start that takes too long goes on, and its scan is ended once it is there: BlueZ
        would refuse any other for ever to whoever has begun one and does not end it.
        """
        starting = asyncio.create_task(scanner.start())
        is_known = False
        try:
            is_known = not await self._are_late({starting}, _START_SECONDS)
        finally:
            # Also where this is cancelled meanwhile.
            if not is_known:
                self._late.discard(starting)
                self._late.add(asyncio.create_task(_end_late(starting, scanner)))
        if not is_known:
            raise TimeoutError
        await starting

    async def _stop(self, scanners: Iterable[BleakScanner]) -> None:
        """Stop; what takes too long goes on, or BlueZ would keep it for ever."""
        stopping = {asyncio.create_task(_end(scanner)) for scanner in scanners}
        if stopping:
            self._late |= await self._are_late(stopping, _STOP_SECONDS)

    async def _are_late(
        self, tasks: set[asyncio.Task[None]], seconds: float
    ) -> set[asyncio.Task[None]]:
        """Those of `tasks` that are not done in time; all, where this is cancelled."""
        try:
            _, late = await asyncio.wait(tasks, timeout=seconds)
        except asyncio.CancelledError:
            self._late |= tasks
            raise
        return late

    async def close(self) -> None:
        """Let go of what takes too long: only where the program ends, and all with it."""
        late, self._late = self._late, set()
        if late:
            # What has only just begun ends by itself.
            _, late = await asyncio.wait(late, timeout=_STOP_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def _end(scanner: BleakScanner) -> None:
    """Stop, whatever has become of adapter, daemon and bus in the meantime."""
    try:
        async with asyncio.timeout(_LATE_SECONDS):
            await scanner.stop()
    except _STOP_ERRORS as error:
        _LOG.debug("the scan did not stop cleanly: %r", error)


async def _end_late(starting: asyncio.Task[None], scanner: BleakScanner) -> None:
    """Wait for a start that takes its time, and stop what it has started."""
    try:
        async with asyncio.timeout(_LATE_SECONDS):
            await starting
    except _STOP_ERRORS as error:
        _LOG.debug("a late start has failed: %r", error)
    else:
        await _end(scanner)


def _ignore(_device: BLEDevice, _advertisement: AdvertisementData) -> None:
    """What the further scans find comes to the first one too."""


def _explain(error: BleakError, scan: Scan, adapter: Adapter) -> str:
    """What is wrong in a person's words, and what to type."""
    if scan.mode == "passive" and "passive" in str(error).lower():
        return NO_PASSIVE if adapter.name else NO_PASSIVE_HERE
    return f"Bluetooth fails: {error}"
