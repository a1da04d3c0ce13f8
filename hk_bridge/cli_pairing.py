"""`hk-bridge pairing`: show and forget the pairing with Apple Home."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hk_bridge import terminal
from hk_bridge.cli_options import (
    config_option,
    existing_config,
    fails_clearly,
    simulate_option,
    state_option,
)
from hk_bridge.errors import ConfigError, LinkError

if TYPE_CHECKING:
    from hk_bridge.config import BridgeConfig
    from hk_bridge.homekit.identity import Identity

bridge_option = click.option(
    "--bridge",
    "bridge",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only this one, where there are several: 1, 2 and so on. Default: all",
)


@click.group()
def pairing() -> None:
    """Show or forget the pairing with Apple Home.

    \b
    Examples:
      hk-bridge pairing show
      hk-bridge pairing reset --yes
      hk-bridge pairing reset --bridge 2
    """


@pairing.command()
@config_option
@state_option
@simulate_option
@bridge_option
@fails_clearly
def show(
    config_path: Path | None,
    state_dir: Path | None,
    simulate: bool,  # noqa: FBT001 # click passes by name
    bridge: int | None,
) -> None:
    """Show setup code, setup payload, QR code, and who is paired.

    Where there are so many accessories that there are several bridges, of each of them.

    \b
    Examples:
      hk-bridge pairing show
      hk-bridge pairing show --bridge 2
      hk-bridge pairing show --simulate
    """
    from hk_bridge.homekit.identity import bridge_name  # noqa: PLC0415 # needed here alone
    from hk_bridge.homekit.store import StateLock, Store  # noqa: PLC0415 # needed here alone

    directory = terminal.state_directory(state_dir, simulate=simulate)
    if not Store.exists(directory):
        with StateLock(directory):
            Store.open(directory)
    store = Store.open(directory)
    for notice in store.notices:
        click.echo(f"hk-bridge: {notice}", err=True)
    configured = _configured(config_path)
    _require(bridge, range(1, len(store.bridges) + 1))
    for number, identity in enumerate(store.bridges, 1):
        if bridge not in (None, number):
            continue
        if len(store.bridges) > 1:
            name = "Bridge" if configured is None else configured.name
            click.echo(f"== {bridge_name(name, number)}")
        pin = configured.pin if configured is not None and number == 1 else None
        _show(replace(identity, setup_code=pin) if pin else identity)


def _show(identity: Identity) -> None:
    terminal.show_setup(identity)
    if not identity.pairings:
        click.echo("Not paired.")
    for controller in identity.pairings:
        rank = "admin" if controller.admin else "user"
        click.echo(f"Paired with {controller.controller_id.decode()} ({rank})")


@pairing.command()
@state_option
@simulate_option
@bridge_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@fails_clearly
def reset(
    state_dir: Path | None,
    simulate: bool,  # noqa: FBT001 # click passes by name
    bridge: int | None,
    yes: bool,  # noqa: FBT001 # see above
) -> None:
    """Forget all controllers; the bridge must be paired anew.

    Setup code, QR code and accessories stay. Remove the bridge in the Home app too. A
    bridge that runs goes on: its lamps and sensors notice nothing.

    \b
    Examples:
      hk-bridge pairing reset
      hk-bridge pairing reset --bridge 2
      hk-bridge pairing reset --simulate --yes
    """
    from hk_bridge.homekit.store import StateLock, Store  # noqa: PLC0415 # needed here alone
    from hk_bridge.web import client  # noqa: PLC0415 # needed here alone

    directory = terminal.state_directory(state_dir, simulate=simulate)
    # Of a directory that belongs to another user, only this tells that it does.
    if client.runs(directory):
        answer = asyncio.run(client.ask(directory, "GET", "/status"))
        counts = {each["number"]: len(each["controllers"]) for each in answer["bridges"]}
        index = _require(bridge, [*counts])
        if not yes:
            _confirm_reset(sum(counts.values()) if bridge is None else counts[bridge])
        body = None if index is None else {"bridge": index}
        asyncio.run(client.ask(directory, "POST", "/pairing/reset", body))
    elif not Store.exists(directory):
        click.echo(f"Nothing to forget: {directory} holds no pairing.")
        return
    else:
        with StateLock(directory):
            store = Store.open(directory)
            index = _require(bridge, range(1, len(store.bridges) + 1))
            chosen = range(len(store.bridges)) if index is None else [index]
            if not yes:
                _confirm_reset(sum(len(store.bridge(each).pairings) for each in chosen))
            store.put_all(
                tuple(
                    identity.without_pairings() if number in chosen else identity
                    for number, identity in enumerate(store.bridges)
                )
            )
    click.echo("Forgotten. Remove the bridge in the Home app, then add it again.")


def _confirm_reset(controllers: int) -> None:
    click.confirm(
        f"Forget all paired controllers ({controllers or 'none'})? Home loses rooms and "
        "automations",
        abort=True,
    )


def _require(bridge: int | None, known: Sequence[int]) -> int | None:
    """The number that the store has for a bridge, from 0. Raises LinkError without it."""
    if bridge is None:
        return None
    if bridge not in known:
        there_are = ", ".join(map(str, known))
        raise LinkError(f"there is no bridge {bridge}; there are: {there_are}")
    return bridge - 1


def _configured(config_path: Path | None) -> BridgeConfig | None:
    """What the configuration says of the bridge, where there is one that can be read."""
    try:
        config = existing_config(config_path)
    except ConfigError as error:
        click.echo(
            f"hk-bridge: {error.file} has problems (see: hk-bridge check), so a bridge.pin "
            "in it does not count here",
            err=True,
        )
        return None
    return None if config is None else config.bridge
