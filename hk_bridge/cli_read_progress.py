"""How `hk-bridge read` listens, and what it shows on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hk_bridge import status_view
from hk_bridge.config import Config
from hk_bridge.errors import LinkError
from hk_bridge.links.replay import CapturedRadio
from hk_bridge.links.simulator import SimulatedRadio
from hk_bridge.model import Advertisement
from hk_bridge.sampling import SampledSensor, Sampling, in_hex
from hk_bridge.scanning import bluetooth_link, listen
from hk_bridge.supervision import Link


@dataclass(frozen=True, slots=True)
class Source:
    """Where adverts come from: a radio, one that is simulated, or a capture."""

    adapter: str | None
    simulate: bool
    replay: Path | None


class Hearing:
    """Listens to the sensors, and shows on the way what somebody may want to see."""

    def __init__(
        self,
        sensors: Sequence[SampledSensor],
        samples: int,
        *,
        shows_in_hex: bool,
        on_stderr: bool,
    ) -> None:
        show = self._show if shows_in_hex else _show_nothing
        self._sampling = Sampling(sensors, samples, show)
        self._shows_in_hex = shows_in_hex
        self._on_stderr = on_stderr
        self._broken: OSError | None = None

    def out(
        self, config: Config | None, source: Source, seconds: int | None
    ) -> LinkError | OSError | None:
        """Listen to the end; what ended it before its time."""
        link = _make_link(config, source, self._sampling, seconds)
        limit = seconds if source.replay is None else None
        enough = self._sampling.enough
        try:
            with self._progress(link.name, limit) as tick:
                asyncio.run(listen(link, limit, tick, enough))
        except LinkError as error:
            return error
        return self._broken

    def _show(self, advertisement: Advertisement) -> None:
        try:
            for line in in_hex(advertisement):
                click.echo(line, err=self._on_stderr)
        except OSError as error:
            # The radio, which calls this, could do nothing about it.
            self._broken = error
            self._sampling.enough.set()

    @contextmanager
    def _progress(
        self, name: str, limit: int | None
    ) -> Iterator[Callable[[float, str], None]]:
        """What is to be told how it goes; it shows that where somebody watches."""
        console = status_view.error_console()
        if self._shows_in_hex or not status_view.can_redraw(console):
            if console.is_terminal:
                console.print("listening; Ctrl-C: enough")
            yield lambda _over, _how: None
            return
        with status_view.passing(console) as live:
            yield lambda over, how: live.update(
                _table(self._sampling, over, limit, f"{name}: {how}"), refresh=True
            )


def _show_nothing(_advertisement: Advertisement) -> None:
    pass


def _make_link(
    config: Config | None, source: Source, sampling: Sampling, seconds: int | None
) -> Link:
    sensors, heard = sampling.sensors, sampling.heard
    if source.simulate:
        keys = {address: sensor.bind_key for address, sensor in sensors.items()}
        return SimulatedRadio(keys, heard)
    if source.replay is not None:
        return CapturedRadio(source.replay, sensors, heard, seconds)
    return bluetooth_link(config, sensors, heard, adapter=source.adapter)


def _table(sampling: Sampling, over: float, limit: int | None, how: str) -> RenderableType:
    """How many samples there are of each sensor, and how long it has taken."""
    head = Table.grid(padding=(0, 2, 0, 0))
    bar = () if limit is None else (ProgressBar(total=limit, completed=over, width=20),)
    rest = "" if limit is None else f" of {limit}"
    head.add_row(*bar, f"{over:.0f}{rest} s, Ctrl-C: enough", Text(how))
    table = status_view.plain_table("sensor", "state", "temp.", "hum.", "bat.")
    for sensor in sampling.sensors.values():
        table.add_row(
            Text(sensor.name or sensor.address),
            Text(sensor.state),
            *sensor.progress(sampling.wanted),
        )
    return Group(head, table)
