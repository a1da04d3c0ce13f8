"""`hk-bridge scan`: which sensors are there, and which of them need a bind key."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hk_bridge.cli_options import (
    DEFAULT_CONFIG,
    config_option,
    counted,
    existing_config,
    fails_clearly,
    print_json,
    simulate_option,
)
from hk_bridge.errors import ConfigError, LinkError

if TYPE_CHECKING:
    from hk_bridge.config import Config
    from hk_bridge.discovery import Discovery, Found

_DEFAULT_SECONDS: Final = 30


@click.command()
@config_option
@simulate_option
@click.option(
    "--seconds",
    type=click.IntRange(1, 86400),
    default=_DEFAULT_SECONDS,
    metavar="N",
    help="How long to listen, 30 by default. Ctrl-C ends it earlier.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.option("--add", is_flag=True, help="Ask for names, and add sensors to the file.")
@fails_clearly
def scan(
    config_path: Path | None,
    simulate: bool,  # noqa: FBT001 # click passes by name
    seconds: int,
    as_json: bool,  # noqa: FBT001 # click passes by name
    add: bool,  # noqa: FBT001 # click passes by name
) -> None:
    """Find sensors nearby, those first that are not in accessories.json yet.

    It works beside a running bridge. Most sensors are heard within half a minute; one that
    encrypts may be silent for longer.

    \b
    Examples:
      hk-bridge scan
      hk-bridge scan --seconds 120 --add
      hk-bridge scan --json | jq -r 'select(.configuredAs == null) | .address'
    """
    from hk_bridge.discovery import Discovery  # noqa: PLC0415 # needed here alone
    from hk_bridge.scanning import known_sensors  # noqa: PLC0415 # needed here alone

    path = config_path or Path(DEFAULT_CONFIG)
    config = existing_config(config_path)
    discovery = Discovery(known_sensors(config))
    problem: LinkError | None = None
    try:
        _listen(config, discovery, seconds, simulate=simulate)
    except LinkError as error:
        problem = error
    now = time.monotonic()
    if as_json:
        for found in discovery.found:
            print_json(found.to_json(now))
    elif problem is None or discovery.found:
        _conclude(discovery, now, add=add)
    if add:
        _add_all([f for f in discovery.found if f.configured_as is None], path)
    if problem is not None:
        raise problem


def _listen(
    config: Config | None, discovery: Discovery, seconds: int, *, simulate: bool
) -> None:
    """Listen, and show what is found meanwhile where somebody watches."""
    from rich.console import Group  # noqa: PLC0415 # needed here alone
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 # needed here alone
    from rich.table import Table  # noqa: PLC0415 # needed here alone
    from rich.text import Text  # noqa: PLC0415 # needed here alone

    from hk_bridge import status_view  # noqa: PLC0415 # needed here alone
    from hk_bridge.scanning import listen, make_link  # noqa: PLC0415 # needed here alone

    link = make_link(config, discovery, simulate=simulate)
    console = status_view.error_console()
    if not status_view.can_redraw(console):
        console.print(f"listening for {seconds} s; Ctrl-C ends it earlier")
        asyncio.run(listen(link, seconds, lambda _over, _how: None))
        return

    with status_view.passing(console) as live:

        def tick(over: float, how: str) -> None:
            progress = Table.grid(padding=(0, 2, 0, 0))
            bar = ProgressBar(total=seconds, completed=over, width=20)
            left = f"{seconds - over:.0f} s left, Ctrl-C: enough"
            progress.add_row(bar, left, Text(f"{link.name}: {how}"))
            rows = [each.to_json(time.monotonic()) for each in discovery.found]
            # The table comes last: it is what is cut off where it is too long.
            live.update(Group(progress, status_view.search_table(rows)), refresh=True)

        asyncio.run(listen(link, seconds, tick))


def _conclude(discovery: Discovery, now: float, *, add: bool) -> None:
    """The last table, and what can be done now."""
    from hk_bridge import status_view  # noqa: PLC0415 # needed here alone

    found = discovery.found
    if found:
        rows = [each.to_json(now) for each in found]
        status_view.console().print(status_view.search_table(rows))
    new = [each for each in found if each.configured_as is None]
    others = (
        f" Beside them, {counted(range(discovery.others), 'other device')} spoke that can "
        "show no climate."
        if discovery.others
        else ""
    )
    if not found:
        click.echo(
            "No sensor was heard. Bring it closer, look at its battery, and listen for "
            f"longer: hk-bridge scan --seconds 120.{others}"
        )
    elif new and not add:
        click.echo(
            f"{counted(new, 'sensor')} not in accessories.json yet. To add: "
            f"hk-bridge scan --add.{others}"
        )
    else:
        click.echo(f"{counted(found, 'sensor')}, {len(new)} not configured yet.{others}")


def _add_all(new: list[Found], path: Path) -> None:
    """Ask about each sensor, and write into the file what gets a name."""
    if new:
        click.echo(
            "Hold a sensor in the hand to know which is which: its values rise. An empty "
            "name leaves it out.",
            err=True,
        )
    added = sum(_add(found, path) for found in new)
    if added:
        click.echo(
            f"{counted(range(added), 'sensor')} added to {path}. A bridge that runs takes "
            "them with its next start.",
            err=True,
        )


def _add(found: Found, path: Path) -> bool:
    """Whether it was added."""
    from hk_bridge import config  # noqa: PLC0415 # needed here alone
    from hk_bridge.decoding import UNITS  # noqa: PLC0415 # needed here alone
    from hk_bridge.discovery import Key  # noqa: PLC0415 # needed here alone

    said = ", ".join(
        f"{found.values[quantity]:g}{unit}"
        for quantity, unit in UNITS.items()
        if quantity in found.values
    )
    about = f"{found.model} {found.address}" + (f" ({said})" if said else "")
    key: str | None = None
    while name := _ask(f"Name of {about}"):
        if key is None:
            key = _ask_key() if found.key is Key.YES else ""
        entry = {"accessory": "Hygrothermograph", "name": name}
        entry["address"] = found.address.lower()
        if key:
            entry["bindKey"] = key
        try:
            config.add(path, entry)
        except ConfigError as error:
            # What is wrong with the new entry, in words that need no line of a file that
            # has not been written.
            for problem in error.problems:
                click.echo(f"  {problem}", err=True)
        else:
            return True
    return False


def _ask(question: str, *, hidden: bool = False) -> str:
    """What is typed, without the blanks around it."""
    while True:
        try:
            answer: str = click.prompt(
                question, default="", show_default=False, hide_input=hidden, err=True
            )
        except UnicodeDecodeError as error:
            click.echo(f"  this is not {error.encoding.upper()}", err=True)
        else:
            return answer.strip()


def _ask_key() -> str:
    """A bind key, or nothing where it is to be written later."""
    from hk_bridge.decoding import parse_bind_key  # noqa: PLC0415 # needed here alone

    while True:
        key = _ask(
            "Its bind key, 32 hex digits (not shown; empty: add it to the file later)",
            hidden=sys.stdin.isatty(),
        )
        try:
            parse_bind_key(key or None)
        except ValueError as error:
            click.echo(f"  {error}", err=True)
        else:
            return key
