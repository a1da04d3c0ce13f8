"""`hk-bridge read`: what certain sensors say, for scripts and for cron."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hk_bridge.cli_options import (
    DEFAULT_CONFIG,
    PathParameter,
    config_option,
    fails_clearly,
    simulate_option,
)
from hk_bridge.errors import ConfigError, LinkError, Problem
from hk_bridge.model import Advertisement, parse_address

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hk_bridge.config import Config
    from hk_bridge.sampling import SampledSensor, Sampling
    from hk_bridge.supervision import Link

_MOST: Final = 1000


def _addresses(
    context: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """As Bluetooth stacks spell them, each once."""
    spelled: dict[str, None] = {}
    for value in values:
        address = parse_address(value)
        if address is None:
            text = f'"{value}" is no address such as 4c:64:a8:d0:ae:65'
            raise click.BadParameter(text, context, param)
        spelled[address] = None
    return tuple(spelled)


def _adapter(
    context: click.Context, param: click.Parameter, value: str | None
) -> str | None:
    """A name, or an address as BlueZ spells it."""
    if value == "":
        raise click.BadParameter("the name is empty", context, param)
    return value and (parse_address(value) or value)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where adverts come from: a radio, one that is simulated, or a capture."""

    adapter: str | None
    simulate: bool
    replay: Path | None


@click.command()
@click.option(
    "-i",
    "--adapter",
    callback=_adapter,
    metavar="ADAPTER",
    help="Bluetooth adapter, such as hci1 or its address. Default: that of the file, else "
    "any one that is on.",
)
@click.option(
    "-n",
    "--samples",
    type=click.IntRange(1, _MOST),
    default=1,
    metavar="SAMPLES",
    help="Temperatures and humidities that each sensor is to send, 1 to 1000. Default: 1",
)
@click.option(
    "-t",
    "--seconds",
    type=click.IntRange(1, _MOST),
    metavar="SECONDS",
    help="End after so many seconds, 1 to 1000. Default: listen until there is enough.",
)
@click.option(
    "-f",
    "--output",
    type=PathParameter(),
    metavar="FILE",
    help="Write the results to this file, in the place of what is in it. It is locked "
    "meanwhile.",
)
@click.option("-d", "--debug", is_flag=True, help="Show each advert, in hex.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per sensor.")
@config_option
@simulate_option
@click.option(
    "--replay",
    type=PathParameter(),
    metavar="FILE",
    help="Take a capture in the place of the radio: btsnoop (btmon -w), pcap, pcapng, or "
    "the text of hcidump --raw.",
)
@click.argument("addresses", metavar="[ADDRESS]...", nargs=-1, callback=_addresses)
@click.pass_context
@fails_clearly
def read(
    context: click.Context,
    adapter: str | None,
    samples: int,
    seconds: int | None,
    output: Path | None,
    debug: bool,  # noqa: FBT001 # click passes by name
    as_json: bool,  # noqa: FBT001 # click passes by name
    config_path: Path | None,
    simulate: bool,  # noqa: FBT001 # click passes by name
    replay: Path | None,
    addresses: tuple[str, ...],
) -> None:
    """Print what sensors say: temperature, humidity and battery, a line each.

    It listens until each sensor has sent enough, and prints means: T, H or B, the address,
    the time of the last sample in seconds since 1970, and the value. Ctrl-C prints what
    there is. Without an ADDRESS, all sensors of accessories.json are read; bind keys and
    offsets are taken from there, too. It works beside a running bridge.

    \b
    Examples:
      hk-bridge read 4c:64:a8:d0:ae:65
      hk-bridge read -n 5 -t 60 4c:64:a8:d0:ae:65 2c:34:b3:d4:a1:61
      hk-bridge read -t 300 -f /var/tmp/climate.txt
      hk-bridge read --json | jq -r '[.name, .temperature] | @tsv'
    """
    if simulate and replay is not None:
        raise click.UsageError("--simulate and --replay exclude each other", ctx=context)
    if not addresses and not _is_there(config_path):
        raise click.UsageError(
            f"no ADDRESS is given, and there is no {DEFAULT_CONFIG} that has some. To see "
            "which sensors there are: hk-bridge scan",
            ctx=context,
        )
    # What samples and protocols need takes its time to import.
    from hk_bridge import read_results as to  # noqa: PLC0415 # see above
    from hk_bridge.links import replay as replays  # noqa: PLC0415 # see above

    config = _load(config_path)
    sensors = _sensors(config, addresses, config_path)
    source = _Source(adapter, simulate, replay)
    if replay is not None:
        replays.check(replay)
    with ExitStack() as stack:
        file = None if output is None else stack.enter_context(to.opened(output))
        hears = _Hearing(sensors, samples, shows_in_hex=debug, on_stderr=as_json)
        problem = hears.out(config, source, seconds)
        results = to.results_of(sensors, as_json=as_json, is_unix=replay is not None)
        is_silent = [not sensor.samples.last for sensor in sensors]
        if file is None:
            to.print_all(results)
        elif results and not all(is_silent):
            to.write(file, results)
        else:
            to.complain(f"there is nothing to write, and {file.path} is left as it was")
    to.say_what_is_missing(sensors, as_json=as_json, has_failed=problem is not None)
    if problem is not None:
        raise problem
    sys.exit(int(any(is_silent)))


# -- which sensors ------------------------------------------------------------------------


def _is_there(config_path: Path | None) -> bool:
    """Whether there is a configuration, or is said to be."""
    return config_path is not None or Path(DEFAULT_CONFIG).exists()


def _load(config_path: Path | None) -> Config | None:
    """The configuration, None where there is none. Raises ConfigError."""
    from hk_bridge import config  # noqa: PLC0415 # needed here alone

    if not _is_there(config_path):
        return None
    return config.load(config_path or Path(DEFAULT_CONFIG))


def _sensors(
    config: Config | None, addresses: Sequence[str], config_path: Path | None
) -> list[SampledSensor]:
    """Those at `addresses`, or all that the configuration knows. Raises ConfigError."""
    from hk_bridge.config import SensorConfig  # noqa: PLC0415 # needed here alone
    from hk_bridge.sampling import SampledSensor  # noqa: PLC0415 # needed here alone

    known = {
        sensor.address: sensor
        for sensor in (() if config is None else config.sensors)
        if sensor.address is not None
    }
    wanted = addresses or list(known)
    if not wanted:
        text = "no sensor in it has an address. To see which there are: hk-bridge scan"
        raise ConfigError(str(config_path or DEFAULT_CONFIG), [Problem("", 0, text)])
    return [
        SampledSensor(known.get(address) or SensorConfig("", address), address)
        for address in wanted
    ]


# -- listening ----------------------------------------------------------------------------


class _Hearing:
    """Listens to the sensors, and shows on the way what somebody may want to see."""

    def __init__(
        self,
        sensors: Sequence[SampledSensor],
        samples: int,
        *,
        shows_in_hex: bool,
        on_stderr: bool,
    ) -> None:
        from hk_bridge.sampling import Sampling  # noqa: PLC0415 # needed here alone

        show = self._show if shows_in_hex else _show_nothing
        self._sampling = Sampling(sensors, samples, show)
        self._shows_in_hex = shows_in_hex
        self._on_stderr = on_stderr
        self._broken: OSError | None = None

    def out(
        self, config: Config | None, source: _Source, seconds: int | None
    ) -> LinkError | OSError | None:
        """Listen to the end; what ended it before its time."""
        from hk_bridge.scanning import listen  # noqa: PLC0415 # needed here alone

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
        from hk_bridge.sampling import in_hex  # noqa: PLC0415 # needed here alone

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
        from rich.console import Console  # noqa: PLC0415 # needed here alone
        from rich.live import Live  # noqa: PLC0415 # needed here alone

        from hk_bridge import status_view  # noqa: PLC0415 # needed here alone

        console = Console(stderr=True, highlight=False)
        if self._shows_in_hex or not status_view.can_redraw(console):
            if console.is_terminal:
                console.print("listening; Ctrl-C: enough")
            yield lambda _over, _how: None
            return
        with Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False
        ) as live:
            yield lambda over, how: live.update(
                _table(self._sampling, over, limit, f"{name}: {how}"), refresh=True
            )


def _show_nothing(_advertisement: Advertisement) -> None:
    pass


def _make_link(
    config: Config | None, source: _Source, sampling: Sampling, seconds: int | None
) -> Link:
    from hk_bridge.links.replay import CapturedRadio  # noqa: PLC0415 # needed here alone
    from hk_bridge.links.simulator import SimulatedRadio  # noqa: PLC0415 # see above
    from hk_bridge.scanning import bluetooth_link  # noqa: PLC0415 # see above

    sensors, heard = sampling.sensors, sampling.heard
    if source.simulate:
        keys = {address: sensor.bind_key for address, sensor in sensors.items()}
        return SimulatedRadio(keys, heard)
    if source.replay is not None:
        return CapturedRadio(source.replay, sensors, heard, seconds)
    return bluetooth_link(config, sensors, heard, adapter=source.adapter)


def _table(sampling: Sampling, over: float, limit: int | None, how: str) -> RenderableType:
    """How many samples there are of each sensor, and how long it has taken."""
    from rich.console import Group  # noqa: PLC0415 # needed here alone
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 # needed here alone
    from rich.table import Table  # noqa: PLC0415 # needed here alone
    from rich.text import Text  # noqa: PLC0415 # needed here alone

    from hk_bridge import status_view  # noqa: PLC0415 # needed here alone

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
