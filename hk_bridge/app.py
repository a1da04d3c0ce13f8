"""The composition root: configuration → devices, accessories, links; start to finish."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hk_bridge.accessory_server import AccessoryServer
from hk_bridge.complaints import Complaints
from hk_bridge.config import Config, DimmerConfig
from hk_bridge.dimmer_board import DimmerBoard
from hk_bridge.errors import LinkError, StoreError
from hk_bridge.files import Exposed
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.store import Identity, StateLock, Store
from hk_bridge.identities import settle, with_adopted_address
from hk_bridge.links.ports import is_same
from hk_bridge.links.replay import ReplayClock, ReplayedRadio
from hk_bridge.links.simulator import SimulatedBoard
from hk_bridge.memory import DeviceMemory, Memory
from hk_bridge.protocols.wxdm2 import PROTOCOLS
from hk_bridge.sensor_radio import MakeReplay, SensorRadio
from hk_bridge.sensor_station import SensorStation
from hk_bridge.signals import ENDS
from hk_bridge.status import LinkStatus, Status, to_json, versions
from hk_bridge.supervision import Supervisor
from hk_bridge.web.actions import Actions, LampRequest
from hk_bridge.web.server import ControlServer

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

_TICK_SECONDS: Final = 1.0
_VALUES_SAVED_SECONDS: Final = 60.0
_CHANGES_SAVED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the configuration.

    `replay` is a capture in the place of the radio, and `speed` how many times as fast as
    when it was recorded.
    """

    state_directory: Path
    simulate: bool = False
    bind: tuple[str, ...] = ()
    port: int | None = None
    replay: Path | None = None
    speed: float = 1.0

    @property
    def is_real(self) -> bool:
        """Whether what sensors say is to be kept as what they said."""
        return not self.simulate and self.replay is None


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
    for number in ENDS:
        loop.add_signal_handler(number, stop.set)
    await app.run(stop, welcome)


class App:
    """One running bridge with everything behind it."""

    def __init__(self, config: Config, options: Options) -> None:
        self._options = options
        self._started = time.monotonic()
        # The time of the sensors, which runs as fast as a capture is replayed.
        self._clock = ReplayClock(options.speed)
        self._store = Store.open(options.state_directory)
        for notice in self._store.notices:
            _LOG.warning("%s", notice)
        self._store.put(settle(self._store.bridge(), config))
        self._config = config = with_adopted_address(config, self._store.bridge())
        self._memory = Memory(options.state_directory, simulated=not options.is_real)
        remembered = self._memory.load()
        self._changed = asyncio.Event()
        self._links: list[Supervisor] = []
        self._radio: SensorRadio | None = None
        self._sensors = [
            SensorStation(
                sensor,
                remembered.sensors.get(sensor.identity),
                clock=self._clock,
                keep=self._changed.set,
            )
            for sensor in config.sensors
        ]
        self._boards = [self._board(dimmer, remembered) for dimmer in config.dimmers]
        self._lamps = [lamp for board in self._boards for lamp in board.lamps]

    async def run(self, stop: asyncio.Event, welcome: Callable[[Identity], None]) -> None:
        """Run until `stop` is set; see the function of that name."""
        network = Network.find(self._options.bind or self._config.bridge.bind)
        port = self._options.port or self._config.bridge.port
        zeroconf = network.zeroconf()
        server = AccessoryServer(
            self._store,
            self._config,
            network,
            port,
            zeroconf,
            [*self._sensors, *self._lamps],
            welcome,
        )
        control = ControlServer(self._options.state_directory)
        try:
            control.listen()
            await server.listen()
            self._say_what_runs(network, port)
            welcome(self._store.bridge())
            runs = [link.run for link in self._links]
            if self._sensors:
                self._radio = SensorRadio(
                    self._config.bluetooth,
                    self._sensors,
                    self._store,
                    simulate=self._options.simulate,
                    replay=self._replay(),
                )
                runs.append(self._radio.run)
            actions = Actions(
                lambda: to_json(self._status(server)),
                server.reset_pairings,
                self._set_lamp,
            )
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(coroutine)
                    for coroutine in (
                        server.announce(),
                        self._age(),
                        self._keep(),
                        control.run(actions),
                        *(run() for run in runs),
                    )
                ]
                await stop.wait()
                await asyncio.gather(*(lamp.close() for lamp in self._lamps))
                for task in tasks:
                    task.cancel()
                # While the links let go, which a daemon that hangs may delay.
                self._save(self._remembered())
                await server.close()
        finally:
            control.close()
            await server.close()
            await zeroconf.async_close()
        _LOG.info("stopped")

    # -- putting it together ----------------------------------------------------------

    def _board(self, dimmer: DimmerConfig, remembered: DeviceMemory) -> DimmerBoard:
        """A dimmer, on a link of its own."""
        port = dimmer.port
        if self._options.simulate:
            simulated = SimulatedBoard(dimmer.name, PROTOCOLS[dimmer.protocol])
            self._links.append(Supervisor(simulated))
            port = simulated.port
        board = DimmerBoard(dimmer, port, remembered.lamps, self._changed.set)
        self._links.append(Supervisor(board.link, board.resend))
        return board

    def _replay(self) -> MakeReplay | None:
        """What plays the capture that was asked for; None where none was."""
        path = self._options.replay
        if path is None:
            return None
        return lambda wanted, heard: ReplayedRadio(path, wanted, heard, self._clock)

    # -- while it runs ----------------------------------------------------------------

    async def _age(self) -> None:
        """Hide what has become too old."""
        while True:
            await asyncio.sleep(_TICK_SECONDS / max(self._clock.speed, 1.0))
            now = self._clock()
            for sensor in self._sensors:
                if sensor.expires <= now:
                    sensor.show(now)

    async def _keep(self) -> None:
        """Save a second after something that must not be lost, values now and then."""
        while True:
            try:
                async with asyncio.timeout(_VALUES_SAVED_SECONDS):
                    await self._changed.wait()
                await asyncio.sleep(_CHANGES_SAVED_SECONDS)
            except TimeoutError:
                pass
            self._changed.clear()
            await asyncio.to_thread(self._save, self._remembered())

    def _remembered(self) -> DeviceMemory:
        now = self._clock()
        return DeviceMemory(
            {sensor.identity: sensor.remember(now) for sensor in self._sensors},
            {
                lamp.identity: lamp.channel.kept
                for lamp in self._lamps
                if lamp.channel.kept is not None
            },
        )

    def _save(self, memory: DeviceMemory) -> None:
        try:
            self._memory.save(memory)
        except StoreError as error:
            _complaints.say("save", f"last values and lamp levels are not kept: {error}")

    def _status(self, server: AccessoryServer) -> Status:
        now = time.monotonic()
        return Status(
            versions(),
            now - self._started,
            not self._options.is_real,
            server.status(),
            None if self._radio is None else self._radio.status(self._clock()),
            tuple(
                LinkStatus(
                    link.link.name, link.state.is_up, link.state.text, now - link.since
                )
                for link in self._links
            ),
            tuple(sensor.status(self._clock()) for sensor in self._sensors),
            tuple(lamp.status() for lamp in self._lamps),
        )

    def _set_lamp(self, request: LampRequest) -> dict[str, Any]:
        """Set a lamp from the command line; see `Actions`."""
        boards = (b for b in self._boards if is_same(b.config.port, request.port))
        lamp = next((lamp for b in boards if (lamp := b.lamp_on(request.channel))), None)
        if lamp is None:
            raise LinkError(
                f"there is no lamp on channel {request.channel} of {request.port}: name "
                "another channel, or add this one to accessories.json"
            )
        if request.level is not None:
            lamp.set_level(request.level, request.ramp)
        elif request.percent is not None:
            lamp.set_percent(request.percent, on=request.on, ramp=request.ramp)
        return dict(to_json(lamp.status()))

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
