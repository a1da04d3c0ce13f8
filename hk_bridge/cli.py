"""The command line: thin, without logic of its own.

What was asked for goes to stdout, the log to stderr. Exit code 0 done, 1 failed, 2 wrong
use. The commands import what they need when they run, so that each starts quickly.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import sys
from itertools import combinations
from pathlib import Path
from typing import Final, TextIO

import click

from hk_bridge import __version__, terminal
from hk_bridge.cli_calibrate import calibrate
from hk_bridge.cli_decode import decode
from hk_bridge.cli_dim import dim
from hk_bridge.cli_options import (
    DEFAULT_CONFIG,
    PathParameter,
    config_option,
    counted,
    fails_clearly,
    simulate_option,
    state_option,
)
from hk_bridge.cli_pairing import pairing
from hk_bridge.cli_read import read
from hk_bridge.cli_reload import reload_
from hk_bridge.cli_scan import scan
from hk_bridge.cli_status import status
from hk_bridge.errors import ConfigError, locate
from hk_bridge.options import Options

_LOG = logging.getLogger("hk_bridge")

_OUTPUT_ERRORS: Final = (errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF)


def main() -> None:
    """Run the command that sys.argv names, and exit with its code."""
    # A shell may have closed either of them, and then Python has None there.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    try:
        try:
            cli(prog_name="hk-bridge")
        finally:
            sys.stdout.flush()
    except OSError as error:
        # Where stdout cannot be written, Python must not try again while it ends.
        sys.stdout = _nowhere()
        what = "cannot print: " if error.errno in _OUTPUT_ERRORS else ""
        if error.errno != errno.EPIPE:
            click.echo(f"hk-bridge: {what}{error.strerror}", err=True)
        sys.exit(1)


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hk-bridge")
def cli() -> None:
    """Bring Bluetooth climate sensors and WXDM2 dimmers to Apple Home.

    \b
    Examples:
      hk-bridge run --simulate     try it without any hardware
      hk-bridge check              is accessories.json right?
      hk-bridge scan --add         find sensors, and write them into accessories.json
      hk-bridge run                run the bridge
      hk-bridge status             how is it?
      hk-bridge reload             read accessories.json anew
      hk-bridge read               what do the sensors say now?
      hk-bridge dim PORT 1 40      set a lamp of a dimmer to 40 %
      hk-bridge calibrate LAMP     find the levels of a bulb, by eye
      hk-bridge pairing show       setup code and QR code for the Home app
    """


cli.add_command(calibrate)
cli.add_command(decode)
cli.add_command(dim)
cli.add_command(pairing)
cli.add_command(read)
cli.add_command(reload_)
cli.add_command(scan)
cli.add_command(status)


def _speed(
    context: click.Context, param: click.Parameter, value: float | None
) -> float | None:
    """A number, which no comparison makes sure of."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("it is no number", context, param)
    return value


@cli.command()
@config_option
@state_option
@simulate_option
@click.option(
    "--bind",
    multiple=True,
    metavar="ADDRESS",
    help="Address or interface to listen on, also for mDNS; may be repeated. Default: "
    "bridge.bind, else all",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="Default: bridge.port, else 51826",
)
@click.option(
    "--replay",
    type=PathParameter(),
    metavar="FILE",
    help="Play a capture in the place of the radio, with a state directory of its own: "
    "btsnoop (btmon -w), pcap, pcapng, or the text of hcidump --raw.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0, 1000, min_open=True),
    callback=_speed,
    metavar="X",
    help="Play it so many times as fast as it was recorded. Default: 1",
)
@click.option("-v", "--verbose", count=True, help="Say more; -vv says everything.")
@fails_clearly
def run(
    config_path: Path | None,
    state_dir: Path | None,
    simulate: bool,  # noqa: FBT001 # click passes by name
    bind: tuple[str, ...],
    port: int | None,
    replay: Path | None,
    speed: float | None,
    verbose: int,
) -> None:
    """Run the bridge until Ctrl-C or SIGTERM.

    \b
    Examples:
      hk-bridge run
      hk-bridge run --simulate --bind 127.0.0.1
      hk-bridge run --config /etc/hk-bridge/accessories.json --bind eth0 -v
      hk-bridge run --replay night.btsnoop --speed 60
    """
    from hk_bridge import app, config  # noqa: PLC0415 # see the module's docstring
    from hk_bridge.links import replay as replays  # noqa: PLC0415 # see above

    if speed is not None and replay is None:
        raise click.UsageError("--speed is that of a capture: add --replay FILE")
    terminal.start_logging(verbose)
    path = config_path or Path(DEFAULT_CONFIG)
    loaded = config.load(path)
    for warning in loaded.warnings:
        _LOG.warning("%s", locate(str(path), warning))
    if replay is not None:
        replays.check(replay)
    is_real = not simulate and replay is None
    directory = terminal.state_directory(state_dir, simulate=not is_real)
    options = Options(directory, simulate, bind, port, replay, speed or 1.0, path)
    app.run(loaded, options, lambda name, each: terminal.welcome(name, each, directory))


@cli.command()
@config_option
@fails_clearly
def check(config_path: Path | None) -> None:
    """Check the configuration, and say everything that is wrong with it.

    \b
    Examples:
      hk-bridge check
      hk-bridge check --config new.json && mv new.json accessories.json
    """
    from hk_bridge import config  # noqa: PLC0415 # see the module's docstring
    from hk_bridge.links import ports  # noqa: PLC0415 # see above

    path = config_path or Path(DEFAULT_CONFIG)
    try:
        loaded = config.load(path)
    except ConfigError as error:
        for line in error.lines:
            click.echo(f"error: {line}")
        for warning in error.warnings:
            click.echo(f"warning: {locate(error.file, warning)}")
        click.echo(f"{counted(error.problems, 'problem')} in {error.file}")
        sys.exit(1)
    for warning in loaded.warnings:
        click.echo(f"warning: {locate(str(path), warning)}")
    for dimmer in loaded.dimmers:
        if (name := ports.stable_name(dimmer.port)) is not None:
            click.echo(f"hint: {path}: {dimmer.port} {ports.better_name(name)}")
    for first, second in combinations(loaded.dimmers, 2):
        if ports.is_same(first.port, second.port):
            click.echo(
                f"hint: {path}: {first.port} and {second.port} are one device, which only "
                "one dimmer can have"
            )
    lamps = [channel for dimmer in loaded.dimmers for channel in dimmer.channels]
    click.echo(
        f"{path} is fine: {counted(loaded.sensors, 'sensor')}, {counted(lamps, 'lamp')}"
    )


@cli.command()
@fails_clearly
def schema() -> None:
    """Print the JSON Schema of accessories.json, for editors.

    \b
    Example:
      hk-bridge schema > accessories.schema.json
    """
    from hk_bridge import config  # noqa: PLC0415 # see the module's docstring

    click.echo(json.dumps(config.json_schema(), indent=2, ensure_ascii=False))
