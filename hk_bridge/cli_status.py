"""`hk-bridge status`: asks the bridge that runs."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from hk_bridge import terminal
from hk_bridge.cli_options import fails_clearly, print_json, simulate_option, state_option
from hk_bridge.errors import LinkError

_WATCH_SECONDS: Final = 2.0


@click.command()
@state_option
@simulate_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--watch", is_flag=True, help="Ask again every two seconds, until Ctrl-C.")
@fails_clearly
def status(state_dir: Path | None, simulate: bool, as_json: bool, watch: bool) -> None:  # noqa: FBT001 # click passes by name
    """Show how a running bridge is: radio, sensors, lamps, controllers.

    \b
    Examples:
      hk-bridge status
      hk-bridge status --watch
      hk-bridge status --json | jq '.sensors[] | {name, state, lastHeard}'
      hk-bridge status --state-dir /var/lib/hk-bridge
    """
    directory = terminal.state_directory(state_dir, simulate=simulate)
    if watch:
        _watch(directory, as_json=as_json)
        return
    answer = _ask(directory)
    if as_json:
        print_json(answer)
    else:
        _print(answer)


def _ask(directory: Path) -> dict[str, Any]:
    from hk_bridge.web import client  # noqa: PLC0415 # slow, and needed here alone

    return asyncio.run(client.ask(directory, "GET", "/status"))


def _print(answer: dict[str, Any]) -> None:
    from hk_bridge import status_view  # noqa: PLC0415 # slow, and needed here alone

    status_view.console().print(status_view.render(answer))


def _watch(directory: Path, *, as_json: bool) -> None:
    """Ask again and again; who watches a screen sees a restart of the bridge pass."""
    from hk_bridge import status_view  # noqa: PLC0415 # see _print

    try:
        answer = _ask(directory)
        if not as_json and status_view.can_redraw(status_view.console()):
            _watch_on_screen(directory, answer)
        while True:
            if as_json:
                print_json(answer)
            else:
                _print(answer)
                click.echo()
            sys.stdout.flush()
            time.sleep(_WATCH_SECONDS)
            answer = _ask(directory)
    except KeyboardInterrupt:
        # Behind the ^C that terminals show.
        click.echo(err=True)


def _watch_on_screen(directory: Path, answer: dict[str, Any]) -> None:
    from rich.console import Group  # noqa: PLC0415 # see _print
    from rich.live import Live  # noqa: PLC0415 # see _print
    from rich.text import Text  # noqa: PLC0415 # see _print

    from hk_bridge import status_view  # noqa: PLC0415 # see _print

    problem = ""
    with Live(console=status_view.console(), auto_refresh=False, screen=True) as live:
        while True:
            shown = Group(status_view.render(answer), Text(problem, style="red"))
            live.update(shown, refresh=True)
            time.sleep(_WATCH_SECONDS)
            try:
                answer, problem = _ask(directory), ""
            except LinkError as error:
                problem = f"\nnot any more: {error}"
