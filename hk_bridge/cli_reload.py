"""`hk-bridge reload`: has the bridge that runs read its configuration anew."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import click

from hk_bridge import terminal
from hk_bridge.cli_options import (
    counted,
    fails_clearly,
    print_json,
    simulate_option,
    state_option,
)

_CHANGES: Final = (
    ("added", "Added", ""),
    ("changed", "Changed", ""),
    ("gone", "Gone", " (put it back within removeAfter minutes, or Home forgets it)"),
)


@click.command("reload")
@state_option
@simulate_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@fails_clearly
def reload_(state_dir: Path | None, simulate: bool, as_json: bool) -> None:  # noqa: FBT001 # click passes by name
    """Have a running bridge read accessories.json anew, and say what that changes.

    It does so by itself, too, a second after the file was saved. A file with mistakes
    changes nothing.

    \b
    Examples:
      hk-bridge reload
      hk-bridge reload --state-dir /var/lib/hk-bridge
    """
    from hk_bridge.web import client  # noqa: PLC0415 # slow, and needed here alone

    directory = terminal.state_directory(state_dir, simulate=simulate)
    answer = asyncio.run(client.ask(directory, "POST", "/reload"))
    if as_json:
        print_json(answer)
    elif problems := answer.get("problems"):
        for problem in problems:
            click.echo(f"error: {problem}")
        click.echo(f"{counted(problems, 'problem')}: the bridge goes on as before")
    else:
        for warning in answer.get("warnings", ()):
            click.echo(f"warning: {warning}")
        click.echo(_in_words(answer))
    if answer.get("problems"):
        sys.exit(1)


def _in_words(answer: dict[str, list[str]]) -> str:
    lines = [
        f"{verb}: {', '.join(answer[key])}{more}"
        for key, verb, more in _CHANGES
        if answer.get(key)
    ]
    return "\n".join(lines) or "Nothing has changed."
