"""The devices of the house, and what links them to it: the radio and the serial lines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hk_bridge.config import Config, DimmerConfig
from hk_bridge.dimmer_board import DimmerBoard, is_same_line
from hk_bridge.errors import LinkError
from hk_bridge.homekit.store import Store
from hk_bridge.lamp_station import LampStation
from hk_bridge.links.ports import is_same
from hk_bridge.links.replay import ReplayClock, ReplayedRadio
from hk_bridge.links.simulator import SimulatedBoard
from hk_bridge.memory import DeviceMemory
from hk_bridge.options import Options
from hk_bridge.protocols.wxdm2 import PROTOCOLS
from hk_bridge.sensor_radio import MakeReplay, SensorRadio
from hk_bridge.sensor_station import SensorStation
from hk_bridge.status import LinkStatus, RadioStatus
from hk_bridge.supervision import Supervisor
from hk_bridge.web.actions import LampRequest

_TICK_SECONDS: Final = 1.0


class _Running(Protocol):
    """What keeps a link going until it is cancelled."""

    async def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Line:
    """A dimmer, with its link, and with what simulates the board where that is wanted."""

    board: DimmerBoard
    supervisors: tuple[Supervisor, ...]


class House:
    """Sensors and lamps as the configuration wants them, which may change while it runs.

    `remembered` is what they last were. `keep` is called when something has changed that a
    restart must not lose.
    """

    def __init__(
        self,
        config: Config,
        options: Options,
        store: Store,
        remembered: DeviceMemory,
        keep: Callable[[], None],
    ) -> None:
        self._options = options
        self._store = store
        self._remembered = remembered
        self._keep = keep
        # The time of the sensors, which runs as fast as a capture is replayed.
        self.clock = ReplayClock(options.speed)
        # All that were ever there: an entry that is put back finds its device as it was.
        self._every_sensor: list[SensorStation] = []
        self._every_lamp: dict[str, LampStation] = {}
        self._tasks: dict[_Running, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._bluetooth = config.bluetooth
        self._sensors = self._stations(config)
        self._radio: SensorRadio | None = None
        self._lines = [self._line(dimmer) for dimmer in config.dimmers]
        self._ending: list[_Line] = []
        self._is_ending = False

    @property
    def sensors(self) -> Sequence[SensorStation]:
        """Those that have an entry."""
        return self._sensors

    @property
    def lamps(self) -> list[LampStation]:
        """Those that have an entry."""
        return [lamp for line in self._lines for lamp in line.board.lamps]

    @property
    def devices(self) -> list[SensorStation | LampStation]:
        """Everything that is shown in Home."""
        return [*self._sensors, *self.lamps]

    # -- from start to end ------------------------------------------------------------

    async def run(self) -> None:
        """Listen, and keep lines open, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            # Not sooner: bleak takes its time to import, and controllers need not wait.
            self._open_radio()
            for line in self._lines:
                self._start(*line.supervisors)
            while True:
                await asyncio.sleep(_TICK_SECONDS / max(self.clock.speed, 1.0))
                self._hide_what_is_too_old()

    async def close(self) -> None:
        """Link nothing any more, put back lamps that blink, have frames written."""
        self._is_ending = True
        await asyncio.gather(*(lamp.close() for lamp in self.lamps))

    def _hide_what_is_too_old(self) -> None:
        now = self.clock()
        for sensor in self._sensors:
            if sensor.expires <= now:
                sensor.show(now)

    # -- another configuration --------------------------------------------------------

    async def change(self, config: Config) -> None:
        """Have the devices that this configuration wants, all others undisturbed.

        They are linked by `relink`, once they have their accessories.
        """
        self._bluetooth = config.bluetooth
        self._sensors = self._stations(config)
        wanted = {dimmer.id: dimmer for dimmer in config.dimmers}
        stays: dict[str | None, _Line] = {}
        for line in self._lines:
            new = wanted.get(line.board.config.id)
            if new is not None and is_same_line(line.board.config, new):
                stays[new.id] = line
            else:
                self._ending.append(line)
        # As long as their lines are there.
        ending = [lamp for line in self._ending for lamp in line.board.lamps]
        await asyncio.gather(*(lamp.close() for lamp in ending))
        self._lines = [self._kept_or_new(dimmer, stays) for dimmer in config.dimmers]

    def _kept_or_new(
        self, dimmer: DimmerConfig, stays: Mapping[str | None, _Line]
    ) -> _Line:
        line = stays.get(dimmer.id)
        if line is None:
            return self._line(dimmer)
        if line.board.config != dimmer:
            line.board.change(dimmer, self._every_lamp)
            self._remember_lamps(line.board)
        return line

    async def relink(self) -> None:
        """Let go of what is not wanted any more, and link what is new."""
        ending: list[_Running] = [
            link for line in self._ending for link in line.supervisors
        ]
        self._ending.clear()
        radio = self._radio
        keeps_radio = (
            radio is not None
            and bool(self._sensors)
            and radio.change(self._bluetooth, self._sensors)
        )
        if radio is not None and not keeps_radio:
            ending.append(radio)
        # Before anything new: a port may go from one dimmer to another.
        await self._stop(*ending)
        if not keeps_radio:
            self._open_radio()
        for line in self._lines:
            self._start(*(link for link in line.supervisors if link not in self._tasks))

    # -- putting it together ----------------------------------------------------------

    def _stations(self, config: Config) -> list[SensorStation]:
        """A station for each sensor, the one that it had where it had one."""
        known = {station.identity: station for station in self._every_sensor}
        stations = []
        for sensor in config.sensors:
            station = known.get(sensor.identity)
            if station is None:
                station = SensorStation(
                    sensor,
                    self._remembered.sensors.get(sensor.identity),
                    clock=self.clock,
                    keep=self._keep,
                )
                self._every_sensor.append(station)
            else:
                station.change(sensor)
            stations.append(station)
        return stations

    def _open_radio(self) -> None:
        """Listen for the sensors, where there are any."""
        self._radio = None
        if self._sensors:
            self._radio = SensorRadio(
                self._bluetooth,
                self._sensors,
                self._store,
                simulate=self._options.simulate,
                replay=self._replay(),
            )
            self._start(self._radio)

    def _replay(self) -> MakeReplay | None:
        """What plays the capture that was asked for; None where none was."""
        path = self._options.replay
        if path is None:
            return None
        return lambda wanted, heard: ReplayedRadio(path, wanted, heard, self.clock)

    def _line(self, dimmer: DimmerConfig) -> _Line:
        """A dimmer, on a link of its own."""
        port, supervisors = dimmer.port, []
        if self._options.simulate:
            simulated = SimulatedBoard(dimmer.name, PROTOCOLS[dimmer.protocol])
            supervisors.append(Supervisor(simulated))
            port = simulated.port
        board = DimmerBoard(
            dimmer, port, self._remembered.lamps, self._keep, self._every_lamp
        )
        self._remember_lamps(board)
        supervisors.append(Supervisor(board.link, board.resend))
        return _Line(board, tuple(supervisors))

    def _remember_lamps(self, board: DimmerBoard) -> None:
        self._every_lamp.update({lamp.identity: lamp for lamp in board.lamps})

    def _start(self, *links: _Running) -> None:
        assert self._group is not None, "links run in the task group of the house"  # noqa: S101 # a mistake of ours
        for link in () if self._is_ending else links:
            self._tasks[link] = self._group.create_task(link.run())

    async def _stop(self, *links: _Running) -> None:
        """End links, and return when they have let go of what they hold."""
        tasks = [self._tasks.pop(link) for link in links if link in self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- what there is ----------------------------------------------------------------

    def remember(self) -> DeviceMemory:
        """What to keep over a restart, also of what may come back."""
        now = self.clock()
        return DeviceMemory(
            dict(self._remembered.sensors)
            | {station.identity: station.remember(now) for station in self._every_sensor},
            dict(self._remembered.lamps)
            | {
                identity: kept
                for identity, lamp in self._every_lamp.items()
                if (kept := lamp.channel.kept) is not None
            },
        )

    def radio_status(self) -> RadioStatus | None:
        """How it is with the radio; None where nothing is listened for."""
        return None if self._radio is None else self._radio.status(self.clock())

    def link_status(self) -> tuple[LinkStatus, ...]:
        """How it is with each serial line."""
        now = time.monotonic()
        return tuple(
            LinkStatus(link.link.name, link.state.is_up, link.state.text, now - link.since)
            for line in self._lines
            for link in line.supervisors
        )

    def set_lamp(self, request: LampRequest) -> LampStation:
        """Set a lamp from the command line; see `Actions`. Raises LinkError."""
        boards = (
            line.board
            for line in self._lines
            if is_same(line.board.config.port, request.port)
        )
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
        return lamp
