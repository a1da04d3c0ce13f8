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
from typing import Final, Protocol

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from hk_bridge.errors import LinkError
from hk_bridge.links.adapters import Adapter
from hk_bridge.links.fresh_data import FreshData
from hk_bridge.links.hidden_addresses import HiddenAddresses
from hk_bridge.links.patterns import monitors
from hk_bridge.links.radio_faults import TO_BE_PASSIVE
from hk_bridge.links.scan_plan import Scan, ScanMode, ScanPlan, WantedMode
from hk_bridge.links.scans import RefusedError, Scans
from hk_bridge.links.stack import Stack, system_stack
from hk_bridge.model import Advertisement, LinkState

_LOG = logging.getLogger(__name__)

#: The kernel ends an active scan after 10.24 seconds, and bluetoothd (seen with 5.82)
#: begins the next one five seconds later: nobody is heard in a third of the time. So each
#: is begun anew before that.
_PIECE_SECONDS: Final[Mapping[ScanMode, float]] = {"passive": float("inf"), "active": 8.0}

#: What bleak says in place of the signal strength that an advert would have.
_NO_RSSI: Final = -127


class OpenStack(Protocol):
    """Opens the system's Bluetooth."""

    def __call__(self, *, wake: bool) -> AbstractAsyncContextManager[Stack]:
        """Have it started, too, if it can be and is to be woken. Raises LinkError."""


Report = Callable[[LinkState], None]


class BluetoothLink:
    """Listens for adverts, passively where that can be.

    `uuids` maps 128-bit UUIDs as the stack spells them to 16-bit ones; other service data
    is not passed on. `wanted`, which may be replaced at any time, is asked before
    anything else is done with an advert: an address that it does not contain costs
    nothing more. `product_ids`, `addresses` and `by_flags` are what passive scans go by,
    see `patterns.monitors`. `adapter` is a name or an address. `hides_addresses` tells a
    system that names senders in its own way. `stack` opens the system's Bluetooth.
    """

    name = "Bluetooth"

    def __init__(
        self,
        wanted: Container[str],
        on_advert: Callable[[Advertisement], None],
        uuids: Mapping[str, int],
        product_ids: Iterable[int],
        *,
        addresses: Iterable[str] = (),
        by_flags: bool = False,
        mode: WantedMode = "auto",
        adapter: str | None = None,
        hides_addresses: bool = sys.platform == "darwin",
        stack: OpenStack = system_stack,
    ) -> None:
        self.wanted = wanted
        self.heard_at: float | None = None
        self.passed_on = 0
        self._on_advert = on_advert
        self._uuids = uuids
        self._mode = mode
        self._adapter = adapter
        self._hidden = HiddenAddresses()
        self._fresh = FreshData()
        self._scans = Scans(
            self._heard_hidden if hides_addresses else self._heard,
            monitors(uuids.values(), product_ids, addresses, by_flags=by_flags),
        )
        self._open_stack = stack
        self._was_opened = False
        self._tells_rssi = False
        self._refused: Adapter | None = None
        self._tries = 0

    async def run(self, report: Report) -> None:
        """Listen until cancelled; `report` is told each time that this changes.

        Raises LinkError where nothing tells of the system's Bluetooth, or it refuses.
        """
        was_opened, self._was_opened = self._was_opened, True
        try:
            async with self._open_stack(wake=not was_opened) as stack:
                while True:
                    await self._listen_on_any(stack, report)
        except asyncio.CancelledError:
            await self._scans.close()
            raise

    async def _listen_on_any(self, stack: Stack, report: Report) -> None:
        """Listen on the adapter that is there, or wait until something changes."""
        try:
            adapter = stack.adapter(self._adapter)
        except LinkError as error:
            report(LinkState(is_up=False, text=str(error)))
            await stack.changed()
            return
        try:
            await self._listen(stack, adapter, report)
        except RefusedError as error:
            if adapter != self._refused:
                self._refused, self._tries = adapter, 0
            self._tries += 1
            if self._tries > error.tries:
                raise
            report(LinkState(is_up=False, text=str(error), is_passing=True))
            await asyncio.sleep(error.pause)

    async def _listen(self, stack: Stack, adapter: Adapter, report: Report) -> None:
        """One scan after the other, until the adapter is lost."""
        plan = ScanPlan(self._mode)
        while self._still_there(stack, adapter):
            scan = plan.next(can_be_passive=adapter.monitors)
            begun, passed_on = time.monotonic(), self.passed_on
            try:
                await self._scan(scan, begun, stack, adapter, report)
            except RefusedError:
                if scan.mode == "passive" and plan.refused():
                    continue
                raise
            plan.ended(
                scan,
                heard=(self.heard_at or begun) > begun,
                heard_sensors=self.passed_on > passed_on,
            )

    async def _scan(
        self, scan: Scan, begun: float, stack: Stack, adapter: Adapter, report: Report
    ) -> None:
        """Scan until that is over; actively in pieces, see `_PIECE_SECONDS`."""
        is_over, is_reported = False, False
        while not is_over:
            async with AsyncExitStack() as scanners:
                await self._scans.start(scan, adapter, scanners)
                self._refused = None
                if not is_reported:
                    report(_up(scan, adapter, self._mode))
                    is_reported = True
                is_over = await self._hear(scan, begun, stack, adapter)

    def _still_there(self, stack: Stack, adapter: Adapter) -> bool:
        try:
            return stack.adapter(self._adapter) == adapter
        except LinkError:
            return False

    async def _hear(self, scan: Scan, begun: float, stack: Stack, adapter: Adapter) -> bool:
        """Return once the scan is over, or only a piece of it: whether all of it is.

        The adapter is watched, because a scan that has lost it goes silent without a word,
        and so is the silence: some stacks go deaf with all in place.
        """
        piece_ends = time.monotonic() + _PIECE_SECONDS[scan.mode]
        while self._still_there(stack, adapter):
            last = max(self.heard_at or begun, begun)
            ends = min(last + scan.silence, begun + scan.life)
            rest = min(ends, piece_ends) - time.monotonic()
            if rest <= 0:
                return ends <= piece_ends
            try:
                async with asyncio.timeout(rest):
                    await stack.changed()
            except TimeoutError:
                pass
        return True

    # -- adverts ----------------------------------------------------------------------

    def _heard(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        if advertisement.rssi != _NO_RSSI:
            self._tells_rssi = True
        elif self._tells_rssi:
            return  # the system remembers it, and has not heard it
        self.heard_at = time.monotonic()
        if device.address in self.wanted:
            self._pass_on(device.address, advertisement)

    def _heard_hidden(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self.heard_at = time.monotonic()
        address = self._hidden.find(device.address, advertisement.service_data)
        # A sensor may have been adopted by what the system shows, when that was all.
        for known in (address, device.address):
            if known in self.wanted:
                self._pass_on(known, advertisement)
                return

    def _pass_on(self, address: str, advertisement: AdvertisementData) -> None:
        service_data = {
            self._uuids[uuid]: data
            for uuid, data in advertisement.service_data.items()
            if uuid in self._uuids
        }
        fresh = self._fresh.pick(address, service_data) if service_data else service_data
        if fresh:
            self.passed_on += 1
            rssi = None if advertisement.rssi == _NO_RSSI else advertisement.rssi
            self._on_advert(Advertisement(address, fresh, rssi, self.heard_at or 0.0))


def _up(scan: Scan, adapter: Adapter, wanted: WantedMode) -> LinkState:
    """How is listened; that there is a better way, only where it is not to be had."""
    where = f" on {adapter.name}" if adapter.name else ""
    how = f"{scan.mode} scan"
    if adapter.name and not adapter.monitors and wanted == "auto":
        how += f", which costs the sensors some battery; for a passive one {TO_BE_PASSIVE}"
    return LinkState(
        is_up=True,
        text=f"listening{where} ({how})",
        mode=scan.mode,
        adapter=adapter.name,
        is_passing=scan.is_probe,
    )
