"""The composition root: configuration → devices, bridges, links; start to finish."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from typing import Any, Final

from hk_bridge.bridges import Bridges
from hk_bridge.complaints import Complaints
from hk_bridge.config import Config
from hk_bridge.config_file import ConfigWatch
from hk_bridge.errors import LinkError, StoreError
from hk_bridge.files import Exposed
from hk_bridge.homekit.identity import Identity
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.responder import Responder
from hk_bridge.homekit.store import StateLock, Store
from hk_bridge.house import House
from hk_bridge.identities import settle, with_adopted_address
from hk_bridge.memory import DeviceMemory, Memory
from hk_bridge.network_watch import NetworkWatch, say_change
from hk_bridge.options import Options
from hk_bridge.reloading import Reloader, no_file
from hk_bridge.signals import ENDS, Window
from hk_bridge.status import Status, to_json, versions
from hk_bridge.web.actions import Actions, LampRequest
from hk_bridge.web.server import ControlServer

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

_VALUES_SAVED_SECONDS: Final = 60.0
_CHANGES_SAVED_SECONDS: Final = 1.0

#: Is called with name and identity of each bridge that controllers can connect to anew.
Welcome = Callable[[str, Identity], None]


def run(config: Config, options: Options, welcome: Welcome) -> None:
    """Run the bridge until SIGTERM or SIGINT.

    Raises StoreError for a state directory that cannot be used and LinkError for a port
    that cannot be had.
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


async def _run_until_signal(app: App, welcome: Welcome) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ENDS:
        loop.add_signal_handler(number, stop.set)

    window = Window()

    def hang_up() -> None:
        if window.has_closed():
            stop.set()
        else:
            app.look_at_file()

    loop.add_signal_handler(signal.SIGHUP, hang_up)
    looking = loop.create_task(window.watch())
    try:
        await app.run(stop, welcome)
    finally:
        looking.cancel()
        await asyncio.wait([looking])


class App:
    """The running program with everything in it."""

    def __init__(self, config: Config, options: Options) -> None:
        self._options = options
        self._started = time.monotonic()
        self._store = Store.open(options.state_directory)
        for notice in self._store.notices:
            _LOG.warning("%s", notice)
        self._store.put_all(settle(self._store.bridges, config))
        self._reloader = (
            None
            if options.config is None
            else Reloader(options.config, config, self._bring_into_force)
        )
        self._watch = (
            None
            if self._reloader is None or options.config is None
            else ConfigWatch(options.config, self._reloader.reload_and_say)
        )
        self._config = with_adopted_address(config, self._store.bridge())
        self._memory = Memory(options.state_directory, simulated=not options.is_real)
        self._changed = asyncio.Event()
        self._house = House(
            self._config, options, self._store, self._memory.load(), self._changed.set
        )
        self._bridges: Bridges | None = None
        self._is_ending = False

    async def run(self, stop: asyncio.Event, welcome: Welcome) -> None:
        """Run until `stop` is set; see the function of that name."""
        network, port = self._network(self._config), self._port(self._config)
        responder = Responder(network)
        self._bridges = bridges = Bridges(
            self._store,
            self._config,
            network,
            port,
            responder,
            self._house.devices,
            welcome,
        )
        self._network_watch = NetworkWatch(
            network,
            lambda: self._network(self._config),
            lambda found: bridges.move(found, bridges.port),
            bridges.lacks,
            lock=bridges.changing,
        )
        control = ControlServer(self._options.state_directory)
        actions = Actions(
            lambda: to_json(self._status(bridges)),
            bridges.reset_pairings,
            self._set_lamp,
            self._reload,
        )
        try:
            control.listen()
            await bridges.listen()
            self._say_what_runs(network, port)
            bridges.welcome()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(coroutine)
                    for coroutine in (
                        bridges.run(),
                        self._house.run(),
                        self._keep(),
                        self._network_watch.run(),
                        control.run(actions),
                        *([] if self._watch is None else [self._watch.run()]),
                    )
                ]
                await stop.wait()
                self._is_ending = True
                await self._house.close()
                for task in tasks:
                    task.cancel()
                # While the links let go, which a daemon that hangs may delay.
                self._save(self._house.remember())
                await bridges.close()
        finally:
            control.close()
            await bridges.close()
            await responder.async_close()
        _LOG.info("stopped")

    # -- while it runs ----------------------------------------------------------------

    def look_at_file(self) -> None:
        """Have the configuration read anew, where it stands in a file."""
        if self._watch is not None:
            self._watch.look()

    async def _reload(self) -> dict[str, Any]:
        """Read the configuration anew; see `Actions`."""
        if self._reloader is None:
            raise no_file()
        return dict(to_json(await self._reloader.reload()))

    async def _bring_into_force(self, config: Config) -> None:
        """Have another configuration; see `Reloader`."""
        bridges = self._bridges
        assert bridges is not None, "files are watched while it runs"  # noqa: S101 # a mistake of ours
        async with bridges.changing:
            if self._is_ending:
                raise LinkError("the bridge is ending")
            # What can be refused comes first.
            settle(self._store.bridges, config)
            network, port = self._network(config), self._port(config)
            before = bridges.places()
            if (network, port) != (before.network, before.port):
                await bridges.move(network, port)
            try:
                # Once more: somebody may have paired meanwhile.
                self._store.put_all(settle(self._store.bridges, config))
            except StoreError:
                await bridges.return_to(before)
                raise
            say_change(self._network_watch.network, network)
            self._network_watch.network = network
            self._config = with_adopted_address(config, self._store.bridge())
            await self._house.change(self._config)
            try:
                await bridges.change(self._config, self._house.devices)
            finally:
                await self._house.relink()
        self._changed.set()

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
            await asyncio.to_thread(self._save, self._house.remember())

    def _save(self, memory: DeviceMemory) -> None:
        try:
            self._memory.save(memory)
        except StoreError as error:
            _complaints.say("save", f"last values and lamp levels are not kept: {error}")

    def _set_lamp(self, request: LampRequest) -> dict[str, Any]:
        """Set a lamp from the command line; see `Actions`."""
        return dict(to_json(self._house.set_lamp(request).status()))

    # -- what there is ----------------------------------------------------------------

    def _network(self, config: Config) -> Network:
        """What there is of what it wants; an interface of now may have been unplugged."""
        bind = self._options.bind or config.bridge.bind
        now = self._options.bind or self._config.bridge.bind
        return Network.find(bind, known=() if self._bridges is None else now)

    def _port(self, config: Config) -> int:
        return self._options.port or config.bridge.port

    def _status(self, bridges: Bridges) -> Status:
        house, shown = self._house, bridges.status()
        now = house.clock()
        return Status(
            versions(),
            time.monotonic() - self._started,
            not self._options.is_real,
            shown[0],
            shown,
            house.radio_status(),
            house.link_status(),
            tuple(sensor.status(now) for sensor in house.sensors),
            tuple(lamp.status() for lamp in house.lamps),
        )

    def _say_what_runs(self, network: Network, port: int) -> None:
        _LOG.info(
            "%s: sensors %d, lamps %d, port %d on %s",
            self._config.bridge.name,
            len(self._house.sensors),
            len(self._house.lamps),
            port,
            ", ".join(network.advertised) or "no address yet",
        )
        say_change(None, network)
