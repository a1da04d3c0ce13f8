"""`hk-bridge pairing`: show and forget the pairing with Apple Home."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import click

from hk_bridge import terminal
from hk_bridge.cli_options import (
    config_option,
    existing_config,
    fails_clearly,
    simulate_option,
    state_option,
)
from hk_bridge.errors import ConfigError


@click.group()
def pairing() -> None:
    """Show or forget the pairing with Apple Home.

    \b
    Examples:
      hk-bridge pairing show
      hk-bridge pairing reset --yes
    """


@pairing.command()
@config_option
@state_option
@simulate_option
@fails_clearly
def show(config_path: Path | None, state_dir: Path | None, simulate: bool) -> None:  # noqa: FBT001 # click passes by name
    """Show setup code, setup payload, QR code, and who is paired.

    \b
    Examples:
      hk-bridge pairing show
      hk-bridge pairing show --simulate
    """
    from hk_bridge.homekit.store import StateLock, Store  # noqa: PLC0415 # needed here alone

    directory = terminal.state_directory(state_dir, simulate=simulate)
    if not Store.exists(directory):
        with StateLock(directory):
            Store.open(directory)
    store = Store.open(directory)
    for notice in store.notices:
        click.echo(f"hk-bridge: {notice}", err=True)
    identity = store.bridge()
    pin = _configured_pin(config_path)
    terminal.show_setup(replace(identity, setup_code=pin) if pin else identity)
    if not identity.pairings:
        click.echo("Not paired.")
    for controller in identity.pairings:
        rank = "admin" if controller.admin else "user"
        click.echo(f"Paired with {controller.controller_id.decode()} ({rank})")


@pairing.command()
@state_option
@simulate_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@fails_clearly
def reset(state_dir: Path | None, simulate: bool, yes: bool) -> None:  # noqa: FBT001 # click passes by name
    """Forget all controllers; the bridge must be paired anew.

    Setup code, QR code and accessories stay. Remove the bridge in the Home app too. A
    bridge that runs goes on: its lamps and sensors notice nothing.

    \b
    Examples:
      hk-bridge pairing reset
      hk-bridge pairing reset --simulate --yes
    """
    from hk_bridge.homekit.store import StateLock, Store  # noqa: PLC0415 # needed here alone
    from hk_bridge.web import client  # noqa: PLC0415 # needed here alone

    directory = terminal.state_directory(state_dir, simulate=simulate)
    # Of a directory that belongs to another user, only this tells that it does.
    if client.runs(directory):
        answer = asyncio.run(client.ask(directory, "GET", "/status"))
        if not yes:
            _confirm_reset(len(answer["bridge"]["controllers"]))
        asyncio.run(client.ask(directory, "POST", "/pairing/reset"))
    elif not Store.exists(directory):
        click.echo(f"Nothing to forget: {directory} holds no pairing.")
        return
    else:
        with StateLock(directory):
            store = Store.open(directory)
            if not yes:
                _confirm_reset(len(store.bridge().pairings))
            store.put(store.bridge().without_pairings())
    click.echo("Forgotten. Remove the bridge in the Home app, then add it again.")


def _confirm_reset(controllers: int) -> None:
    click.confirm(
        f"Forget all paired controllers ({controllers or 'none'})? Home loses rooms and "
        "automations",
        abort=True,
    )


def _configured_pin(config_path: Path | None) -> str | None:
    """The setup code that the configuration gives, where there is one that can be read."""
    try:
        config = existing_config(config_path)
    except ConfigError as error:
        click.echo(
            f"hk-bridge: {error.file} has problems (see: hk-bridge check), so a bridge.pin "
            "in it does not count here",
            err=True,
        )
        return None
    return None if config is None else config.bridge.pin
