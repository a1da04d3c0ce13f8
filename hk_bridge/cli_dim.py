"""`hk-bridge dim`: sets one lamp, with or without a bridge that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hk_bridge import terminal
from hk_bridge.cli_lamp import lamp_of, simulated_option
from hk_bridge.cli_options import (
    config_option,
    existing_config,
    fails_clearly,
    state_option,
)
from hk_bridge.errors import LinkError
from hk_bridge.protocols.wxdm2 import PROTOCOLS
from hk_bridge.signals import set_by_signals

if TYPE_CHECKING:
    from hk_bridge.dimming import Output, ReachedLamp

_MOST_RAMP: Final = 0xFFFF


def _not_empty(context: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("the port is empty", context, param)
    return value


@click.command(short_help="Set a lamp of a dimmer, or sweep it.")
@click.argument("port", metavar="PORT", callback=_not_empty)
@click.argument("channel", metavar="CHANNEL", type=click.IntRange(1, 2))
@click.argument("percent", metavar="[PERCENT]", type=click.IntRange(0, 100), required=False)
@click.option(
    "--ramp",
    type=click.IntRange(0, _MOST_RAMP),
    metavar="N",
    help="Length of the fade, as the board counts it. Default: that of the file, else "
    "1500; 0 for a sweep",
)
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS), case_sensitive=False),
    help="Kind of frames that the board understands. Default: that of the file, else wxdm2",
)
@click.option(
    "--baudrate",
    type=click.IntRange(50, 4_000_000),
    metavar="N",
    help="Speed of the line. Default: that of the file, else 9600",
)
@click.option("--sweep", is_flag=True, help="Up to 100 % and down again, in ten seconds.")
@click.option("--dry-run", is_flag=True, help="Print the frame in hex, and open nothing.")
@config_option
@state_option
@simulated_option
@click.pass_context
@fails_clearly
def dim(
    context: click.Context,
    port: str,
    channel: int,
    percent: int | None,
    ramp: int | None,
    protocol: str | None,
    baudrate: int | None,
    sweep: bool,  # noqa: FBT001 # click passes by name
    dry_run: bool,  # noqa: FBT001 # click passes by name
    config_path: Path | None,
    state_dir: Path | None,
    simulate: bool,  # noqa: FBT001 # click passes by name
) -> None:
    """DANGER: the serial line of the dimmer is at mains potential. Touching it can kill.

    Read docs/wiring.md before anything is connected: without galvanic isolation the
    computer is at mains potential, too.

    Sets the lamp on CHANNEL (1 or 2) of the dimmer on PORT to PERCENT (0 to 100). PORT is
    a device, or a URL such as socket://host:7000. Where a bridge that runs has the dimmer,
    the bridge sets it, and Home sees that. What accessories.json says of the dimmer counts
    here, too.

    \b
    Examples:
      hk-bridge dim /dev/ttyUSB0 1 40
      hk-bridge dim /dev/ttyUSB0 2 0 --ramp 0
      hk-bridge dim /dev/serial/by-id/usb-FTDI_FT232R-if00-port0 1 --sweep
      hk-bridge dim socket://192.168.1.20:7000 1 100 --protocol girier
      hk-bridge dim /dev/ttyUSB0 1 40 --dry-run
    """
    if (percent is None) is not sweep:
        text = (
            "a PERCENT and --sweep exclude each other"
            if sweep
            else "how bright? Give a PERCENT from 0 to 100, or --sweep"
        )
        raise click.UsageError(text, ctx=context)
    config = existing_config(config_path)
    # What links need takes its time to import.
    from hk_bridge import dimming  # noqa: PLC0415 # see above

    chosen = None if protocol is None else PROTOCOLS[protocol]
    output = dimming.Output.of(config, port, channel, chosen, baudrate)
    name, channels = output.settings.protocol.name, output.settings.protocol.channels
    if channel not in channels:
        text = f"a board that speaks {name} has only channel {channels[0]}"
        raise click.BadParameter(text, ctx=context, param_hint="'CHANNEL'")
    if dry_run:
        _print_frames(output, percent, ramp)
        return
    directory = terminal.state_directory(state_dir, simulate=simulate)
    configured = dimming.Output.of(config, port, channel)
    is_told_how = output.settings != configured.settings
    work = _set(
        output, percent, ramp, directory, simulate=simulate, is_told_how=is_told_how
    )
    click.echo(asyncio.run(work))


def _print_frames(output: Output, percent: int | None, ramp: int | None) -> None:
    from hk_bridge.dimming import SWEEP  # noqa: PLC0415 # see dim

    settings = output.settings
    usual = settings.slide_ramp if percent is None else settings.ramp
    percents = SWEEP if percent is None else (percent,)
    for frame in output.frames(percents, usual if ramp is None else ramp):
        click.echo(frame.hex(" ").upper())


async def _set(
    output: Output,
    percent: int | None,
    ramp: int | None,
    directory: Path,
    *,
    simulate: bool,
    is_told_how: bool,
) -> str:
    """Set the lamp, or sweep it without a `percent`; says what was done."""
    who = f"channel {output.channel}"
    async with lamp_of(output, directory, simulate=simulate) as lamp:
        if lamp.is_by_bridge and is_told_how:
            raise LinkError(
                f"a bridge that runs has {output.port} open, with the protocol and the "
                "baud rate of accessories.json. Leave out --protocol and --baudrate, or "
                "stop the bridge"
            )
        if percent is None:
            how = await _sweep(output, ramp, lamp)
            return f"{who} was swept and is {how}, {lamp.how}"
        level = await lamp.set_percent(percent, ramp)
        how = lamp.how
    return f"{who} is at {percent} % (level {level}), {how}"


async def _sweep(output: Output, ramp: int | None, lamp: ReachedLamp) -> str:
    """Sweep the lamp until Ctrl-C, SIGTERM, or the end; says how it is left."""
    from hk_bridge import dimming  # noqa: PLC0415 # see dim

    stop = asyncio.Event()
    who = f"channel {output.channel} of {output.port}"
    with set_by_signals(stop), _progress(who) as tick:
        ramp = output.settings.slide_ramp if ramp is None else ramp
        is_known = await dimming.sweep(lamp, ramp, tick, stop)
    return "as it was before" if is_known else "off"


@contextmanager
def _progress(who: str) -> Iterator[Callable[[int, int, int], None]]:
    """What is to be told how a sweep goes; it shows that where somebody watches."""
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 # slow, and needed here alone
    from rich.table import Table  # noqa: PLC0415 # slow, and needed here alone

    from hk_bridge import dimming, status_view  # noqa: PLC0415 # see dim

    console = status_view.error_console()
    if not status_view.can_redraw(console):
        seconds = f"{dimming.SWEEP_SECONDS:g} s"
        click.echo(f"sweeping {who} for {seconds}; Ctrl-C: enough", err=True)
        yield lambda _number, _percent, _level: None
        return
    with status_view.passing(console) as live:

        def tick(number: int, percent: int, level: int) -> None:
            row = Table.grid(padding=(0, 2, 0, 0))
            last = len(dimming.SWEEP) - 1
            bar = ProgressBar(total=last, completed=number, width=20)
            row.add_row(bar, f"{percent:3d} % (level {level}), Ctrl-C: enough")
            live.update(row, refresh=True)

        yield tick
