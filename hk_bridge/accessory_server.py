"""One bridge as Home sees it: one driver at a time, and the accessories on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hk_bridge.complaints import Complaints
from hk_bridge.config import BridgeConfig
from hk_bridge.errors import LinkError, StoreError
from hk_bridge.homekit.absent import make_absent
from hk_bridge.homekit.accessories import HouseBridge, LampAccessory, SensorAccessory
from hk_bridge.homekit.appearance import Appearance, Information
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.homekit.identity import Identity, bridge_name, parse_controller_id
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.responder import Responder
from hk_bridge.homekit.store import Store
from hk_bridge.status import BridgeStatus, ControllerStatus, LeavingStatus

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

_RETRY_SECONDS: Final = 5.0
_MINUTE: Final = 60

#: Ports that a further bridge tries, one after the other.
_PORTS: Final = 20
_LAST_PORT: Final = 65535


class Device(Protocol):
    """What is shown as one accessory."""

    @property
    def identity(self) -> str:
        """What the aid hangs on."""

    @property
    def appearance(self) -> Appearance:
        """What Home is to be told of it."""

    def make_accessory(
        self, driver: BridgeDriver, aid: int
    ) -> SensorAccessory | LampAccessory:
        """The accessory on which it is shown from now on."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bridge is: on `port`, which is the one that it should have or a later one."""

    network: Network
    wanted_port: int
    port: int


class AccessoryServer:
    """Serves those of `devices` that have their aids on the bridge `number` of the store.

    The first bridge has `port`, the others those behind it that are free. `welcome` is
    called with the identity each time that controllers can connect anew. `changing` is
    held by whoever changes anything of it.
    """

    def __init__(
        self,
        store: Store,
        number: int,
        config: BridgeConfig,
        network: Network,
        port: int,
        responder: Responder,
        devices: Collection[Device],
        welcome: Callable[[str, Identity], None],
        changing: asyncio.Lock,
    ) -> None:
        self._store = store
        self._changing = changing
        self._number = number
        self._config = config
        self._network = network
        self._port = port + number
        self._responder = responder
        self._devices = devices
        self._welcome = welcome
        self._renewed = asyncio.Event()
        # Of those whose entry is gone: the monotonic time from which that counts.
        self._gone: dict[str, float] = {}
        self._driver = self._make_driver()

    @property
    def name(self) -> str:
        """What it is called in Home."""
        return bridge_name(self._config.name, self._number + 1)

    @property
    def identity(self) -> Identity:
        """What is kept of it."""
        return self._store.bridge(self._number)

    # -- from start to end ------------------------------------------------------------

    async def listen(self) -> None:
        """Accept controllers. Raises LinkError where no port can be had."""
        await self._listen(self._driver)

    async def _listen(self, driver: BridgeDriver) -> None:
        ports = range(self._port, min(self._port + _PORTS, _LAST_PORT + 1))
        # The first is where a firewall, and the person who set it, expect it.
        for port in ports if self._number else ports[:1]:
            try:
                await driver.listen(port)
            except LinkError:
                if not self._number or port == ports[-1]:
                    raise
            else:
                return
        if not ports:
            raise LinkError(self._no_port())

    def _no_port(self) -> str:
        return (
            f"there is no port behind {_LAST_PORT} for {self.name}. Choose a lower one "
            "with --port or bridge.port"
        )

    async def announce(self) -> None:
        """Tell the network, anew after each reset, until cancelled."""
        while True:
            await self._listen_again()
            await self._driver.announce()
            await self._renewed.wait()
            self._renewed.clear()

    async def _listen_again(self) -> None:
        """Accept controllers where that could not be, as soon as it can be."""
        while not self._driver.is_listening:
            await asyncio.sleep(_RETRY_SECONDS)
            async with self._changing:
                await self._try_to_listen()

    async def _try_to_listen(self) -> None:
        if self._driver.is_listening:
            return  # a reset has done it meanwhile
        try:
            await self.listen()
        except LinkError as error:
            _complaints.say(
                ("listen", self._number), f"Home cannot reach {self.name}: {error}"
            )
        else:
            self.welcome()

    async def close(self) -> None:
        """Say goodbye and close all connections; a second time does nothing."""
        self._keep_ages()
        await self._driver.close()

    def _keep_ages(self) -> None:
        """Have the time of those whose entry is gone go on at the next start."""
        identity, now = self.identity, time.monotonic()
        gone = {
            accessory: round(now - self._gone[accessory], 1)
            if accessory in self._gone
            else age
            for accessory, age in identity.gone.items()
        }
        with contextlib.suppress(StoreError):  # then it begins anew
            self._store.put(replace(identity, gone=gone), self._number)

    def welcome(self) -> None:
        """Say that controllers can connect."""
        self._welcome(self.name, self.identity)

    # -- changes ----------------------------------------------------------------------

    async def renew(self) -> None:
        """Be what the store holds now, for controllers who have to connect anew.

        Devices and links go on. Raises LinkError where the port cannot be had again.
        """
        # The old driver must not save once more what it knows of pairings.
        old, self._driver = self._driver, self._make_driver()
        await old.close()
        try:
            await self.listen()
        except LinkError as error:
            raise LinkError(
                f"Home cannot reach {self.name}: {error}. It tries again until it works"
            ) from error
        finally:
            self._renewed.set()
        self.welcome()

    async def move(self, network: Network, port: int) -> None:
        """Be on this network, and on this port, with all connections that can go on.

        Raises LinkError where the port cannot be had; then nothing has changed.
        """
        port += self._number
        if port > _LAST_PORT:
            raise LinkError(self._no_port())
        # It may be on a later one than it should: it stays there.
        await self._driver.move(network, port if port != self._port else None)
        self._network, self._port = network, port

    @property
    def place(self) -> Place:
        """Where it is now."""
        return Place(self._network, self._port, self._driver.state.port)

    async def return_to(self, place: Place) -> None:
        """Be where it was. Raises LinkError where that cannot be had any more."""
        await self._driver.move(place.network, place.port)
        self._network, self._port = place.network, place.wanted_port

    def lacks(self, network: Network, port: int) -> tuple[str, ...]:
        """The addresses of `network` at which it cannot be reached, or the port."""
        if self._port != port + self._number or not self._driver.is_listening:
            return (f"port {port + self._number}",)
        if self._network == network:
            return self._driver.absent
        before = self._network.advertised
        return tuple(a for a in network.advertised if a not in before) or before

    async def change(self, config: BridgeConfig, devices: Collection[Device]) -> None:
        """Be what the store holds now, and show `devices`, with this configuration.

        Those that have no entry any more stay for a while as what does not respond.
        Controllers are told once, and those who are connected stay so. Raises LinkError
        where a bridge with another device id, which nobody is paired with, has no port.
        """
        has_new_name = config.name != self._config.name
        self._config = config
        before, self._devices = self._devices, devices
        by_identity = _by_identity(devices)
        bridge, identity = self._driver.accessory, self.identity
        if identity.device_id != self._driver.state.mac:
            await self.renew()
            return
        self._driver.take_setup_code()
        if has_new_name:
            bridge.rename(self._information(identity))
        wanted = self._to_show(identity)
        for aid in bridge.accessories.keys() - {aid for _, aid in wanted}:
            bridge.remove_accessory(aid)  # no controller has ever been told of it
        for accessory, aid in wanted:
            device = by_identity.get(accessory)
            shown = bridge.accessories.get(aid)
            if device is None:
                if accessory not in self._gone:
                    self._take_leave(self._driver, accessory, aid).tell()
            elif (
                shown is None
                or device not in before
                or shown.appearance != device.appearance
            ):
                self._gone.pop(accessory, None)
                bridge.put_accessory(device.make_accessory(self._driver, aid))
        self._driver.database_changed(at_once=True)

    def expire(self) -> None:
        """Let go of those whose entry is gone for longer than they may stay."""
        now, after = time.monotonic(), self._config.remove_after
        due = [each for each, since in self._gone.items() if now - since >= after]
        if not due:
            return
        identity, bridge = self.identity, self._driver.accessory
        kept = {name: at for name, at in identity.gone.items() if name not in due}
        try:
            self._store.put(replace(identity, gone=kept), self._number)
        except StoreError as error:
            _complaints.say(("gone", self._number), f"Home keeps what is gone: {error}")
            return
        for accessory in due:
            del self._gone[accessory]
            bridge.remove_accessory(identity.aids[accessory])
            name = identity.shown[accessory].information.name
            _LOG.warning("%s has no entry any more, and is gone from Home now", name)
        self._driver.database_changed(at_once=True)

    # -- what is on it ----------------------------------------------------------------

    def status(self) -> BridgeStatus:
        """How Home sees it now."""
        connections, identity = self._driver.connections(), self.identity
        now = time.monotonic()
        return BridgeStatus(
            self.name,
            self._driver.state.port,
            self._driver.is_listening,
            tuple(self._network.advertised),
            tuple(
                ControllerStatus(
                    pairing.controller_id.decode(),
                    pairing.admin,
                    connections[parse_controller_id(pairing.controller_id)],
                )
                for pairing in identity.pairings
            ),
            len(self._driver.accessory.accessories),
            tuple(
                LeavingStatus(
                    identity.shown[accessory].information.name,
                    max(0.0, since + self._config.remove_after - now),
                )
                for accessory, since in self._gone.items()
            ),
            self._number + 1,
        )

    def _make_driver(self) -> BridgeDriver:
        """A driver with the identity that is kept now, and with all accessories."""
        driver = BridgeDriver(
            self._store, self._network, self._port, self._responder, self._number
        )
        identity = self.identity
        bridge = HouseBridge(
            driver,
            self._information(identity),
            lambda: _complaints.say(
                ("identify", self._number),
                f"{self.name} was asked to identify itself",
                logging.INFO,
            ),
        )
        driver.add_accessory(bridge)
        self._gone.clear()
        devices = _by_identity(self._devices)
        for accessory, aid in self._to_show(identity):
            device = devices.get(accessory)
            if device is None:
                self._take_leave(driver, accessory, aid)
            else:
                bridge.add_accessory(device.make_accessory(driver, aid))
        return driver

    def _information(self, identity: Identity) -> Information:
        return Information(self.name, "hk-bridge", "HomeKit bridge", identity.device_id)

    def _to_show(self, identity: Identity) -> list[tuple[str, int]]:
        """The accessories, in an order that no change of the others changes."""
        aids = identity.aids
        shown = aids.keys() & (_by_identity(self._devices).keys() | identity.gone.keys())
        return sorted(
            ((accessory, aids[accessory]) for accessory in shown), key=lambda each: each[1]
        )

    def _take_leave(
        self, driver: BridgeDriver, accessory: str, aid: int
    ) -> SensorAccessory | LampAccessory:
        """Show as what does not respond what has no entry any more."""
        identity = self.identity
        appearance = identity.shown[accessory]
        age = identity.gone[accessory]
        self._gone[accessory] = time.monotonic() - age
        left = max(0.0, self._config.remove_after - age)
        _LOG.warning(
            "%s has no entry in accessories.json any more: Home shows No Response, and "
            "forgets it with its room and automations in %s. To keep it, put the entry "
            "back",
            appearance.information.name,
            f"{left / _MINUTE:.0f} min" if left >= _MINUTE else f"{left:.0f} s",
        )
        absent = make_absent(driver, aid, appearance)
        driver.accessory.put_accessory(absent)
        return absent


def _by_identity(devices: Collection[Device]) -> dict[str, Device]:
    """Made when needed: a sensor that adopts an address gets another identity."""
    return {device.identity: device for device in devices}
