"""A Bluetooth adapter that is plugged into the kernel by /dev/vhci, and hears the `Air`.

bumble answers what the kernel and bluetoothd ask of a controller. What a scan reports is
made here: bumble knows neither passive scans nor the filter of duplicates.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import struct
from typing import Final

from bumble import hci  # type: ignore[import-not-found] # it is in the guest alone
from bumble.controller import Controller  # type: ignore[import-not-found] # as above

_VHCI: Final = "/dev/vhci"
_LONGEST_PACKET: Final = 4096

#: The first byte of what vhci itself says and is told; others are packets of H4.
_VENDOR: Final = 0xFF
_CREATE: Final = bytes([_VENDOR, 0])

#: Commands by their first bytes (Bluetooth Core, Vol 4, Part E, 7.3.2 and 7.8.11).
_RESET: Final = bytes.fromhex("01030c")
_SET_SCAN_ENABLE: Final = bytes.fromhex("010c20")

#: An LE Advertising Report with one report in it (Vol 4, Part E, 7.7.65.2).
_REPORT: Final = struct.Struct("<BBBBBBB6sB")
_REPORT_LENGTH: Final = 12
_PUBLIC: Final = 0
_ADV_IND: Final = 0
_SCAN_RSP: Final = 4
_ACTIVE: Final = 1
_RSSI: Final = (-70, -50)


class EmulatedAdapter:
    """An LE adapter with a public `address` that can be plugged in and pulled out.

    Where it is told to filter duplicates, it does so by address and data. While `is_deaf`
    it says nothing of what it hears, as some do until a new scan is begun.
    """

    def __init__(self, address: str) -> None:
        self.is_deaf = False
        self._address = address
        self._vhci: int | None = None
        self._controller: Controller | None = None
        self._reported: set[tuple[bytes, bytes]] = set()

    @property
    def is_plugged(self) -> bool:
        """Whether the kernel has it."""
        return self._vhci is not None

    def plug(self) -> None:
        """Give the kernel a new adapter, with nothing left of what was before."""
        controller = Controller(
            "adapter",
            public_address=hci.Address(self._address, hci.Address.PUBLIC_DEVICE_ADDRESS),
        )
        # Without what bumble offers beside, the kernel scans by the commands used here.
        controller.le_features = hci.LeFeatureMask.LE_ENCRYPTION
        controller.host = self
        self._controller = controller
        self._vhci = os.open(_VHCI, os.O_RDWR | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._vhci, self._from_kernel)
        os.write(self._vhci, _CREATE)

    def unplug(self) -> None:
        """Take it away from the kernel."""
        if self._vhci is not None:
            asyncio.get_running_loop().remove_reader(self._vhci)
            os.close(self._vhci)
            self._vhci = None

    def hear(self, sender: bytes, advert: bytes, scan_response: bytes) -> None:
        """Take one advert from the air; `sender` has the six bytes as they are sent."""
        controller = self._controller
        if self._vhci is None or controller is None or not controller.le_scan_enable:
            return
        if self.is_deaf:
            return
        if controller.filter_duplicates:
            if (sender, advert) in self._reported:
                return
            self._reported.add((sender, advert))
        self._report(_ADV_IND, sender, advert)
        if controller.le_scan_type == _ACTIVE:
            self._report(_SCAN_RSP, sender, scan_response)

    def on_packet(self, packet: bytes) -> None:
        """Hand a packet to the kernel, which refuses it while the adapter is off."""
        if self._vhci is not None:
            with contextlib.suppress(OSError):
                os.write(self._vhci, packet)

    def _from_kernel(self) -> None:
        if self._vhci is None or self._controller is None:
            return
        try:
            packet = os.read(self._vhci, _LONGEST_PACKET)
        except BlockingIOError:
            return
        if packet[0] == _VENDOR:
            return
        if packet.startswith(_RESET):
            self._controller.le_scan_enable = False
        elif packet.startswith(_SET_SCAN_ENABLE):
            self._reported.clear()
            self.is_deaf = False
        self._controller.on_packet(packet)

    def _report(self, kind: int, sender: bytes, data: bytes) -> None:
        head = _REPORT.pack(
            hci.HCI_EVENT_PACKET,
            hci.HCI_LE_META_EVENT,
            _REPORT_LENGTH + len(data),
            hci.HCI_LE_ADVERTISING_REPORT_EVENT,
            1,
            kind,
            _PUBLIC,
            sender,
            len(data),
        )
        self.on_packet(head + data + struct.pack("b", random.randint(*_RSSI)))
