"""The bridge as Home sees it: one driver at a time, and the accessories on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from zeroconf.asyncio import AsyncZeroconf

from hk_bridge.complaints import Complaints
from hk_bridge.config import Config
from hk_bridge.errors import LinkError
from hk_bridge.homekit.accessories import (
    HouseBridge,
    Information,
    LampAccessory,
    SensorAccessory,
)
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.store import Identity, Store, parse_controller_id
from hk_bridge.identities import settle
from hk_bridge.status import BridgeStatus, ControllerStatus

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

_RETRY_SECONDS: Final = 5.0


class Device(Protocol):
    """What is shown as one accessory."""

    @property
    def identity(self) -> str:
        """What the aid hangs on."""

    def make_accessory(
        self, driver: BridgeDriver, aid: int
    ) -> SensorAccessory | LampAccessory:
        """The accessory on which it is shown from now on."""


class AccessoryServer:
    """Serves `devices` on `network` until it is closed.

    `welcome` is called with the identity each time that controllers can connect anew.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        network: Network,
        port: int,
        zeroconf: AsyncZeroconf,
        devices: Sequence[Device],
        welcome: Callable[[Identity], None],
    ) -> None:
        self._store = store
        self._config = config
        self._network = network
        self._port = port
        self._zeroconf = zeroconf
        self._devices = devices
        self._welcome = welcome
        self._resetting = asyncio.Lock()
        self._renewed = asyncio.Event()
        self._driver = self._make_driver()

    async def listen(self) -> None:
        """Accept controllers. Raises LinkError where the port cannot be had."""
        await self._driver.listen()

    async def announce(self) -> None:
        """Tell the network, anew after each reset, until cancelled."""
        while True:
            await self._listen_again()
            await self._driver.announce()
            await self._renewed.wait()
            self._renewed.clear()

    async def _listen_again(self) -> None:
        """Accept controllers where a reset could not, as soon as it can be."""
        while not self._driver.is_listening:
            await asyncio.sleep(_RETRY_SECONDS)
            try:
                await self._driver.listen()
            except LinkError as error:
                _complaints.say("listen", f"Home cannot reach the bridge: {error}")
            else:
                self._welcome(self._store.bridge())

    async def close(self) -> None:
        """Say goodbye and close all connections; a second time does nothing."""
        await self._driver.close()

    async def reset_pairings(self) -> int:
        """Forget all controllers; returns how many there were.

        Devices and links go on. Raises StoreError with nothing changed, LinkError where
        the port cannot be had again.
        """
        async with self._resetting:
            before = self._store.bridge()
            self._store.put(settle(before.without_pairings(), self._config))
            # The old driver must not save once more what it knows of pairings.
            old, self._driver = self._driver, self._make_driver()
            count = len(before.pairings)
            _LOG.warning("all controllers were forgotten (%d): pairing reset", count)
            await old.close()
            try:
                await self._driver.listen()
            except LinkError as error:
                raise LinkError(
                    f"the pairing is forgotten, but Home cannot reach the bridge: {error}. "
                    "It tries again until it works"
                ) from error
            finally:
                self._renewed.set()
        self._welcome(self._store.bridge())
        return count

    def status(self) -> BridgeStatus:
        """How Home sees it now."""
        connections = self._driver.connections()
        return BridgeStatus(
            self._config.bridge.name,
            self._port,
            self._driver.is_listening,
            tuple(self._network.advertised),
            tuple(
                ControllerStatus(
                    pairing.controller_id.decode(),
                    pairing.admin,
                    connections[parse_controller_id(pairing.controller_id)],
                )
                for pairing in self._store.bridge().pairings
            ),
        )

    def _make_driver(self) -> BridgeDriver:
        """A driver with the identity that is kept now, and with all accessories."""
        driver = BridgeDriver(self._store, self._network, self._port, self._zeroconf)
        identity, name = self._store.bridge(), self._config.bridge.name
        bridge = HouseBridge(
            driver,
            Information(name, "hk-bridge", "HomeKit bridge", identity.device_id),
            lambda: _complaints.say(
                "identify", f"{name} was asked to identify itself", logging.INFO
            ),
        )
        for device in self._devices:
            bridge.add_accessory(
                device.make_accessory(driver, identity.aids[device.identity])
            )
        driver.add_accessory(bridge)
        return driver
