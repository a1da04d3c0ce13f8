"""The radio: bleak → service data of adverts.

What BlueZ needs and how it fails: docs/protocols/mibeacon.md, "Receiving", and
docs/troubleshooting.md.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Final

from bleak import BleakScanner
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)

from hk_bridge.errors import LinkError
from hk_bridge.model import Advertisement

_LOG = logging.getLogger(__name__)

#: BlueZ counts the bytes of a monitor's patterns, 34 each, in eight bits: with an eighth
#: one bluetoothd overwrites its own memory and aborts (seen with 5.66 and 5.82).
_MOST_PATTERNS: Final = 7

#: Stopping a scan takes a fraction of this.
_STOP_SECONDS: Final = 1.0

#: Some sensor is heard every few seconds in a house that has one in reach.
_SILENCE_SECONDS: Final = 120.0

_PASSIVE: Final = "listening (passive scan)"
_ACTIVE: Final = (
    "listening (active scan, which costs the sensors some battery; a passive one needs "
    "bluetoothd --experimental)"
)

_NOT_AVAILABLE: Final = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: (
        "no Bluetooth adapter. Plug one in, or see what `bluetoothctl list` says"
    ),
    BleakBluetoothNotAvailableReason.POWERED_OFF: (
        "the Bluetooth adapter is switched off. Type: bluetoothctl power on"
    ),
}
_NO_BLUEZ: Final = (
    "the Bluetooth service does not run. Type: sudo systemctl enable --now bluetooth"
)
_NO_DBUS: Final = (
    "there is no D-Bus, by which Bluetooth is reached. Install dbus and bluez, or in a "
    "container mount /run/dbus into it"
)
_NO_BLUEZ_ERRORS: Final = frozenset(
    {
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.Spawn.ChildExited",
    }
)


def patterns(
    uuids: Iterable[int], product_ids: Iterable[int]
) -> list[tuple[int, AdvertisementDataType, bytes]]:
    """What a passive scan asks BlueZ for: adverts with service data of one of `uuids`.

    BlueZ 5.66 looks at the AD structure from its UUID on, 5.82 only at what follows the
    UUID: so each UUID is asked for in both readings, the second by the product ids that
    stand two bytes behind it.
    """
    service_data = AdvertisementDataType.SERVICE_DATA_UUID16
    by_uuid = [(0, service_data, uuid.to_bytes(2, "little")) for uuid in uuids]
    by_product = [
        (2, service_data, product.to_bytes(2, "little")) for product in product_ids
    ]
    return [*by_uuid, *by_product]


class BluetoothLink:
    """Listens for adverts, passively where the system lets it.

    `uuids` maps 128-bit UUIDs as the stack spells them to 16-bit ones; other service data
    is not passed on. `wanted`, which may be replaced at any time, is asked before
    anything else is done with an advert: an address that it does not contain costs
    nothing more.
    """

    name = "Bluetooth"

    def __init__(
        self,
        wanted: Container[str],
        on_advert: Callable[[Advertisement], None],
        uuids: Mapping[str, int],
        product_ids: Iterable[int],
    ) -> None:
        self.wanted = wanted
        self._on_advert = on_advert
        self._uuids = uuids
        self._heard_at = 0.0
        self._patterns = patterns(uuids.values(), product_ids)

    async def run(self, connected: Callable[[str], None]) -> None:
        """Listen until cancelled; calls `connected` once it does, with how.

        Raises LinkError where there is nothing to listen with.
        """
        said = ""
        while True:
            async with AsyncExitStack() as scanners:
                how = await self._start(scanners)
                if how != said:
                    connected(how)
                    said = how
                await self._silence()
            _LOG.debug("nothing was heard for a while: scanning anew")

    async def _silence(self) -> None:
        """Return once nobody at all has been heard for long.

        A scan dies without a word when the Bluetooth service restarts or the adapter is
        plugged out and in; only a new one hears again, and does no harm where the air is
        quiet.
        """
        self._heard_at = time.monotonic()
        while (rest := self._rest()) > 0:  # noqa: ASYNC110 # an event per advert costs more
            await asyncio.sleep(rest)

    def _rest(self) -> float:
        return self._heard_at + _SILENCE_SECONDS - time.monotonic()

    async def _start(self, scanners: AsyncExitStack) -> str:
        """Scan, passively if that can be, until `scanners` is closed; says how."""
        try:
            try:
                await self._start_passive(scanners)
            except BleakBluetoothNotAvailableError:
                raise
            except BleakError as error:
                _LOG.debug("no passive scan: %s", error)
                await _start(BleakScanner(self._heard, scanning_mode="active"), scanners)
                return _ACTIVE
        except (BleakError, OSError) as error:
            raise LinkError(_explain(error)) from error
        return _PASSIVE

    async def _start_passive(self, scanners: AsyncExitStack) -> None:
        """As many scans as it takes for all patterns; any of them hears what all match."""
        async with AsyncExitStack() as started:
            callback: AdvertisementDataCallback = self._heard
            for first in range(0, len(self._patterns), _MOST_PATTERNS):
                chunk = self._patterns[first : first + _MOST_PATTERNS]
                scanner = BleakScanner(
                    callback, scanning_mode="passive", bluez={"or_patterns": chunk}
                )
                await _start(scanner, started)
                callback = _ignore
            scanners.push_async_exit(started.pop_all())

    def _heard(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self._heard_at = time.monotonic()
        if device.address not in self.wanted:
            return
        service_data = {
            self._uuids[uuid]: data
            for uuid, data in advertisement.service_data.items()
            if uuid in self._uuids
        }
        if service_data:
            self._on_advert(
                Advertisement(
                    device.address, service_data, advertisement.rssi, self._heard_at
                )
            )


async def _start(scanner: BleakScanner, scanners: AsyncExitStack) -> None:
    await scanner.start()
    scanners.push_async_callback(_stop, scanner)


async def _stop(scanner: BleakScanner) -> None:
    """Stop, whatever has become of adapter, daemon and bus in the meantime."""
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await scanner.stop()
    except (BleakError, OSError, EOFError) as error:
        # TimeoutError is an OSError: a service that hangs holds up nothing here.
        _LOG.debug("the scan did not stop cleanly: %s", error)


def _ignore(_device: BLEDevice, _advertisement: AdvertisementData) -> None:
    """What the further scans find comes to the first one too."""


def _explain(error: BleakError | OSError) -> str:
    """What is wrong in a person's words, and what to type."""
    if isinstance(error, BleakBluetoothNotAvailableError):
        return _NOT_AVAILABLE.get(error.reason, str(error.args[0]))
    if isinstance(error, BleakDBusError) and error.dbus_error in _NO_BLUEZ_ERRORS:
        return _NO_BLUEZ
    if isinstance(error, OSError):
        return _NO_DBUS
    return str(error)
