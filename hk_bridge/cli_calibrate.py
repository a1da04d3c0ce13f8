"""`hk-bridge calibrate`: finds the levels of a bulb, with the person who looks at it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hk_bridge import terminal
from hk_bridge.calibration import Calibration, Step
from hk_bridge.cli_lamp import lamp_of, simulated_option
from hk_bridge.cli_options import (
    DEFAULT_CONFIG,
    config_option,
    fails_clearly,
    state_option,
)
from hk_bridge.errors import ConfigError, HkBridgeError, LinkError, Problem
from hk_bridge.signals import ENDS

if TYPE_CHECKING:
    from hk_bridge.dimming import Output, ReachedLamp
    from hk_bridge.keyboard import Keyboard

#: What ends it as Ctrl-C does.
_SIGNALS: Final = (*ENDS, signal.SIGHUP)

_KEY_LOW: Final = "minLevel"
_KEY_HIGH: Final = "maxLevel"

_WORDS: Final[Mapping[Step, str]] = {
    Step.LOW: """
1. The lowest level at which the lamp lights well.
   Go down until it flickers or goes out, then up until it lights well again. Many bulbs
   hold a level that they do not start at: switch it off and on, and see it start.

   Up or +          one level up           Down or -          one level down
   PgUp or ]        ten levels up          PgDn or [          ten levels down
   o                off, and on again      Enter              take this level
   Esc or q         leave everything as it was
""",
    Step.HIGH: """

2. The highest level that makes a difference.
   Go down as long as you see no change, then up by one.
""",
}


@dataclass(frozen=True, slots=True)
class _Lamp:
    """A lamp of accessories.json, and its minLevel and maxLevel there."""

    name: str
    output: Output
    low: int | None
    high: int | None


@click.command(short_help="Find the lowest and the highest level of a bulb.")
@click.argument("name", metavar="[LAMP]", required=False)
@config_option
@state_option
@simulated_option
@click.pass_context
@fails_clearly
def calibrate(
    context: click.Context,
    name: str | None,
    config_path: Path | None,
    state_dir: Path | None,
    simulate: bool,  # noqa: FBT001 # click passes by name
) -> None:
    """DANGER: the serial line of the dimmer is at mains potential. Touching it can kill.

    Read docs/wiring.md before anything is connected: without galvanic isolation the
    computer is at mains potential, too.

    Finds the lowest level at which a bulb lights well, and the highest that makes a
    difference: you look at it, and press keys. Both are written into accessories.json as
    minLevel and maxLevel, and nothing else in it is changed. LAMP is a name from there;
    with one lamp alone it can be left out. It works beside a running bridge.

    \b
    Examples:
      hk-bridge calibrate "Ceiling Light"
      hk-bridge calibrate --config /etc/hk-bridge/accessories.json
    """
    path = config_path or Path(DEFAULT_CONFIG)
    lamp = _chosen(_lamps(path), name, context)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise HkBridgeError(
            "calibrate needs a terminal: somebody has to look at the lamp and to press "
            "keys. Type it into one, without a pipe"
        )
    directory = terminal.state_directory(state_dir, simulate=simulate)
    try:
        found = asyncio.run(_find(lamp, directory, simulate=simulate))
    except (KeyboardInterrupt, asyncio.CancelledError):
        found = None
    if found is None or found.step is not Step.DONE:
        _say(f"{path} is as it was.")
        sys.exit(1)
    _write(path, lamp, found)


# -- which lamp ---------------------------------------------------------------------------


def _lamps(path: Path) -> list[_Lamp]:
    """Those of a configuration, at least one. Raises ConfigError."""
    # What configurations and links need takes its time to import.
    from hk_bridge import config  # noqa: PLC0415 # see above
    from hk_bridge.dimming import Output  # noqa: PLC0415 # see above

    loaded = config.load(path)
    lamps = [
        _Lamp(
            channel.name,
            Output.of(loaded, dimmer.port, channel.channel),
            channel.min_level,
            channel.max_level,
        )
        for dimmer in loaded.dimmers
        for channel in dimmer.channels
    ]
    if not lamps:
        raise ConfigError(str(path), [Problem("", 0, "there is no lamp in it")])
    return lamps


def _chosen(lamps: Sequence[_Lamp], name: str | None, context: click.Context) -> _Lamp:
    """The one with that name, or the only one. Raises UsageError."""
    from hk_bridge.config.messages import nearest  # noqa: PLC0415 # see _lamps
    from hk_bridge.config.names import comparable  # noqa: PLC0415 # see _lamps

    known = [lamp.name for lamp in lamps]
    those = f"There are: {', '.join(known)}"
    if name is None:
        if len(lamps) > 1:
            raise click.UsageError(f"which LAMP? {those}", ctx=context)
        return lamps[0]
    for lamp in lamps:
        if comparable(lamp.name) == comparable(name):
            return lamp
    near = nearest(name, known)
    question = f'Did you mean "{near}"? ' if near else ""
    raise click.UsageError(f'no lamp is called "{name}". {question}{those}', ctx=context)


# -- with the person ----------------------------------------------------------------------


async def _find(lamp: _Lamp, directory: Path, *, simulate: bool) -> Calibration:
    """Look for both levels. Raises LinkError, and CancelledError for a signal."""
    ends = asyncio.Event()
    looking = asyncio.create_task(_look(lamp, directory, ends, simulate=simulate))

    def leave() -> None:
        # When a window is closed, there is the key to leave and a signal at once. The
        # second one must not end what the first one has begun.
        if not ends.is_set():
            looking.cancel()

    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, leave)
    return await looking


async def _look(
    lamp: _Lamp, directory: Path, ends: asyncio.Event, *, simulate: bool
) -> Calibration:
    """Reach the lamp, ask the person, set `ends`, and put the lamp back in any case."""
    from hk_bridge.keyboard import Keyboard  # noqa: PLC0415 # needed here alone

    async with lamp_of(lamp.output, directory, simulate=simulate) as reached:
        _say(f"{lamp.name}: channel {lamp.output.channel}, {reached.how}.")
        with Keyboard(sys.stdin.fileno()) as keyboard:
            try:
                return await _ask(lamp, reached, keyboard)
            finally:
                ends.set()
                # Before anything is said, which cannot be where the terminal is gone.
                how = await _put_back(reached)
                _say(f"\n{how}")


async def _ask(lamp: _Lamp, reached: ReachedLamp, keyboard: Keyboard) -> Calibration:
    """Carry out key after key, until it is over."""
    found = Calibration.begin(lamp.low, lamp.high)
    step: Step | None = None
    level: int | None = None
    while not found.is_over:
        if found.level != level:
            # Switched as it will be switched later: so it shows whether a bulb starts.
            is_switched = not level or not found.level
            level = found.level
            await reached.set_level(level, None if is_switched else 0)
        if found.step is not step:
            step = found.step
            _say(_introduction(lamp, found))
        if found.step is not Step.CONFIRM:
            shown = f"   level {found.wanted:3d}{'' if found.is_on else ', off'}"
            _say(f"\r{shown:<20}", ends_line=False)
        found = found.press(await keyboard.key())
    return found


def _introduction(lamp: _Lamp, found: Calibration) -> str:
    if found.step is not Step.CONFIRM:
        return _WORDS[found.step]
    values = " and ".join(
        f"{key} {value} ({'was not set' if was is None else f'was {was}'})"
        for key, value, was in (
            (_KEY_LOW, found.low, lamp.low),
            (_KEY_HIGH, found.high, lamp.high),
        )
    )
    return f"\n\n{values}. Write that into accessories.json? y or n"


async def _put_back(reached: ReachedLamp) -> str:
    """Set the lamp to what it was, if that is known and can be; says how it is left."""
    try:
        is_known = await reached.put_back()
    except LinkError as error:
        return f"hk-bridge: the lamp could not be put back: {error}"
    if is_known:
        return "The lamp is as it was before."
    return "The lamp stays as it is: what it was before is not known."


def _say(text: str, *, ends_line: bool = True) -> None:
    click.echo(text, err=True, nl=ends_line)


# -- into the file ------------------------------------------------------------------------


def _write(path: Path, lamp: _Lamp, found: Calibration) -> None:
    from hk_bridge import config  # noqa: PLC0415 # see _lamps

    channel = {"channel": lamp.output.channel}
    where = ("accessories", {"port": lamp.output.port}, "channels", channel)
    try:
        config.change(path, where, {_KEY_LOW: found.low, _KEY_HIGH: found.high})
    except HkBridgeError:
        _say(f"hk-bridge: {_both(found)} of {lamp.name} could not be written:")
        raise
    _say(
        f"{_both(found)} of {lamp.name} are in {path} now. A bridge that runs with this "
        "file uses them in a moment."
    )


def _both(found: Calibration) -> str:
    return f"{_KEY_LOW} {found.low} and {_KEY_HIGH} {found.high}"
