"""The composition root: configuration → devices, accessories, links; start to finish."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hk_bridge.complaints import Complaints
from hk_bridge.config import Config, DimmerConfig
from hk_bridge.errors import DecodeError, StoreError
from hk_bridge.files import Exposed
from hk_bridge.homekit.accessories import HouseBridge, Information
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.store import Identity, StateLock, Store
from hk_bridge.house import LampStation, SensorStation
from hk_bridge.identities import settle, with_adopted_address
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.links.simulator import SimulatedBoard, SimulatedRadio
from hk_bridge.memory import DeviceMemory, Memory
from hk_bridge.model import Advertisement
from hk_bridge.protocols import advert
from hk_bridge.protocols.products import PRODUCTS, product
from hk_bridge.supervision import Link, supervise

if TYPE_CHECKING:
    from hk_bridge.links.bluetooth import BluetoothLink

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

_TICK_SECONDS: Final = 1.0
_SENSORS_SAVED_SECONDS: Final = 60.0
_LAMPS_SAVED_SECONDS: Final = 1.0

#: What an address-less sensor has in a simulation: locally administered, so nobody's.
_SIMULATED_ADDRESS: Final = "4E:64:A8:00:00:01"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the configuration."""

    state_directory: Path
    simulate: bool = False
    bind: tuple[str, ...] = ()
    port: int | None = None


def run(config: Config, options: Options, welcome: Callable[[Identity], None]) -> None:
    """Run the bridge until SIGTERM or SIGINT.

    `welcome` is called once controllers can connect. Raises StoreError for a state
    directory that cannot be used and LinkError for a port that cannot be had.
    """
    with StateLock(options.state_directory) as lock:
        _warn_of(lock.exposed)
        asyncio.run(_run_until_signal(App(config, options), welcome))


def _warn_of(exposed: Exposed) -> None:
    """Say what others could or can read: whoever has it can be the bridge."""
    if exposed.closed:
        _LOG.warning(
            "other users could read %s; it is private now. If you do not trust them, stop "
            "the bridge and run: hk-bridge pairing reset",
            ", ".join(map(str, exposed.closed)),
        )
    if exposed.still_open:
        _LOG.warning(
            "other users can read %s, and it cannot be closed to them. Choose another "
            "place with --state-dir",
            ", ".join(map(str, exposed.still_open)),
        )


async def _run_until_signal(app: App, welcome: Callable[[Identity], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await app.run(stop, welcome)


class App:
    """One running bridge with everything behind it."""

    def __init__(self, config: Config, options: Options) -> None:
        self._options = options
        self._store = Store.open(options.state_directory)
        for notice in self._store.notices:
            _LOG.warning("%s", notice)
        self._store.put(settle(self._store.bridge(), config))
        self._config = config = with_adopted_address(config, self._store.bridge())
        self._memory = Memory(options.state_directory, simulated=options.simulate)
        remembered = self._memory.load()
        self._lamp_changed = asyncio.Event()
        self._bluetooth: BluetoothLink | None = None
        self._links: list[tuple[Link, Callable[[], None]]] = []
        self._sensors = [
            SensorStation(sensor, remembered.sensors.get(sensor.identity))
            for sensor in config.sensors
        ]
        self._lamps = [
            lamp for dimmer in config.dimmers for lamp in self._board(dimmer, remembered)
        ]
        self._by_address = {
            sensor.config.address: sensor
            for sensor in self._sensors
            if sensor.config.address is not None
        }

    async def run(self, stop: asyncio.Event, welcome: Callable[[Identity], None]) -> None:
        """Run until `stop` is set; see the function of that name."""
        network = Network.find(self._options.bind or self._config.bridge.bind)
        port = self._options.port or self._config.bridge.port
        zeroconf = network.zeroconf()
        driver = BridgeDriver(self._store, network, port, zeroconf)
        try:
            self._assemble(driver)
            await driver.listen()
            self._say_what_runs(network, port)
            welcome(self._store.bridge())
            if self._sensors:
                self._links.append((self._radio(), _nothing))
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(coroutine)
                    for coroutine in (
                        driver.announce(),
                        self._age(),
                        self._keep(),
                        *(supervise(link, connected) for link, connected in self._links),
                    )
                ]
                await stop.wait()
                await asyncio.gather(*(lamp.close() for lamp in self._lamps))
                for task in tasks:
                    task.cancel()
                # While the links let go, which a daemon that hangs may delay.
                self._save(self._remembered())
                await driver.close()
        finally:
            await driver.close()
            await zeroconf.async_close()
        _LOG.info("stopped")

    # -- putting it together ----------------------------------------------------------

    def _board(self, dimmer: DimmerConfig, remembered: DeviceMemory) -> list[LampStation]:
        """The lamps of one dimmer, on a link of their own."""
        port = dimmer.port
        if self._options.simulate:
            board = SimulatedBoard(dimmer.name)
            self._links.append((board, _nothing))
            port = board.port
        link = SerialLink(port, dimmer.baudrate, dimmer.ramp)
        lamps = [
            LampStation(
                dimmer,
                channel,
                link,
                remembered.lamps.get(dimmer.identity(channel.channel)),
                self._lamp_changed.set,
            )
            for channel in dimmer.channels
        ]

        def resend() -> None:
            for lamp in lamps:
                lamp.resend()

        self._links.append((link, resend))
        return lamps

    def _radio(self) -> Link:
        configs = [sensor.config for sensor in self._sensors]
        if self._options.simulate:
            keys = {c.address or _SIMULATED_ADDRESS: c.bind_key for c in configs}
            return SimulatedRadio(keys, self._heard)
        # bleak takes its time to import, and controllers need not wait for it.
        from hk_bridge.links.bluetooth import BluetoothLink  # noqa: PLC0415 # see above

        adopts = any(config.address is None for config in configs)
        wanted = Everyone() if adopts else self._by_address
        self._bluetooth = BluetoothLink(wanted, self._heard, advert.UUIDS, PRODUCTS)
        return self._bluetooth

    def _assemble(self, driver: BridgeDriver) -> None:
        """Give every device its accessory."""
        identity, name = self._store.bridge(), self._config.bridge.name
        bridge = HouseBridge(
            driver,
            Information(name, "hk-bridge", "HomeKit bridge", identity.device_id),
            lambda: _complaints.say(
                "identify", f"{name} was asked to identify itself", logging.INFO
            ),
        )
        devices: list[SensorStation | LampStation] = [*self._sensors, *self._lamps]
        for device in devices:
            bridge.add_accessory(
                device.make_accessory(driver, identity.aids[device.identity])
            )
        driver.add_accessory(bridge)

    # -- while it runs ----------------------------------------------------------------

    def _heard(self, advertisement: Advertisement) -> None:
        """Take one advert; the radio has let only wanted addresses through."""
        station = self._by_address.get(advertisement.address) or self._adopt(advertisement)
        if station is not None:
            station.heard(advertisement)

    async def _age(self) -> None:
        """Hide what has become too old."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.monotonic()
            for sensor in self._sensors:
                if sensor.expires <= now:
                    sensor.show(now)

    async def _keep(self) -> None:
        """Save lamps a second after they change, sensors now and then."""
        while True:
            try:
                async with asyncio.timeout(_SENSORS_SAVED_SECONDS):
                    await self._lamp_changed.wait()
                await asyncio.sleep(_LAMPS_SAVED_SECONDS)
            except TimeoutError:
                pass
            self._lamp_changed.clear()
            await asyncio.to_thread(self._save, self._remembered())

    def _adopt(self, advertisement: Advertisement) -> SensorStation | None:
        """The only sensor, if it has no address yet and this is one it can be."""
        waiting = [sensor for sensor in self._sensors if sensor.config.address is None]
        if not waiting:
            return None
        (station,) = waiting
        address = advertisement.address
        try:
            reading = advert.decode(
                advertisement.service_data, address, station.config.bind_key
            )
        except DecodeError:
            return None
        # A battery is not enough: many things that are no climate sensor have one.
        if reading is None or not reading.values.keys() & {"temperature", "humidity"}:
            return None
        before = station.identity
        station.config = replace(station.config, address=address)
        try:
            if not self._options.simulate:
                self._store.put(self._store.bridge().with_adopted(before, address))
        except StoreError as error:
            station.config = replace(station.config, address=None)
            _complaints.say(
                "adopt", f"{station.config.name} cannot adopt {address}: {error}"
            )
            return None
        self._by_address[address] = station
        if self._bluetooth is not None:
            self._bluetooth.wanted = self._by_address
        _LOG.info(
            "%s is now %s, a %s, and stays it. To replace it one day and keep its place in "
            'Home, write "id": "%s" and the new "address" into accessories.json',
            station.config.name,
            address,
            product(reading.product_id).name,
            address,
        )
        return station

    def _remembered(self) -> DeviceMemory:
        now = time.monotonic()
        return DeviceMemory(
            {sensor.identity: sensor.remember(now) for sensor in self._sensors},
            {
                lamp.identity: lamp.channel.lamp
                for lamp in self._lamps
                if lamp.channel.level is not None
            },
        )

    def _save(self, memory: DeviceMemory) -> None:
        try:
            self._memory.save(memory)
        except StoreError as error:
            _complaints.say("save", f"last values and lamp levels are not kept: {error}")

    def _say_what_runs(self, network: Network, port: int) -> None:
        _LOG.info(
            "%s: sensors %d, lamps %d, port %d on %s",
            self._config.bridge.name,
            len(self._sensors),
            len(self._lamps),
            port,
            ", ".join(network.advertised),
        )
        if network.loopback_only:
            _LOG.warning("only this machine can find the bridge: it is on loopback alone")


class Everyone:
    """Contains every address: for the sensor that has none yet."""

    def __contains__(self, address: object) -> bool:
        return True


def _nothing() -> None:
    """What there is to do when a radio is up."""
