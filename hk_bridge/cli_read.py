"""`hk-bridge read`: what certain sensors say, for scripts and for cron."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hk_bridge.cli_options import (
    DEFAULT_CONFIG,
    AddressParameter,
    PathParameter,
    config_option,
    existing_config,
    fails_clearly,
    simulate_option,
)
from hk_bridge.errors import ConfigError, Problem
from hk_bridge.model import parse_address

if TYPE_CHECKING:
    from hk_bridge.config import Config
    from hk_bridge.sampling import SampledSensor

_MOST: Final = 1000


def _each_once(
    _context: click.Context, _param: click.Parameter, addresses: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(dict.fromkeys(addresses))


def _adapter(
    context: click.Context, param: click.Parameter, value: str | None
) -> str | None:
    """A name, or an address as BlueZ spells it."""
    if value == "":
        raise click.BadParameter("the name is empty", context, param)
    return value and (parse_address(value) or value)


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
@click.argument(
    "addresses",
    metavar="[ADDRESS]...",
    nargs=-1,
    type=AddressParameter(),
    callback=_each_once,
)
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
    if adapter is not None and (simulate or replay is not None):
        text = (
            "--adapter is that of the radio, and there is none with --simulate or --replay"
        )
        raise click.UsageError(text, ctx=context)
    config = existing_config(config_path)
    if not addresses and config is None:
        raise click.UsageError(
            f"no ADDRESS is given, and there is no {DEFAULT_CONFIG} that has some. To see "
            "which sensors there are: hk-bridge scan",
            ctx=context,
        )
    # What samples and protocols need takes its time to import.
    from hk_bridge import read_results as to  # noqa: PLC0415 # see above
    from hk_bridge.cli_read_progress import Hearing, Source  # noqa: PLC0415 # see above
    from hk_bridge.links import replay as replays  # noqa: PLC0415 # see above

    sensors = _sensors(config, addresses, config_path)
    source = Source(adapter, simulate, replay)
    if replay is not None:
        replays.check(replay)
    with ExitStack() as stack:
        file = None if output is None else stack.enter_context(to.opened(output))
        hears = Hearing(sensors, samples, shows_in_hex=debug, on_stderr=as_json)
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
