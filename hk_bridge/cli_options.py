"""What the commands of the command line have in common."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hk_bridge.errors import ConfigError, HkBridgeError
from hk_bridge.model import parse_address

if TYPE_CHECKING:
    from hk_bridge.config import Config

DEFAULT_CONFIG: Final = "accessories.json"


def fails_clearly(command: Callable[..., None]) -> Callable[..., None]:
    """Turn each error of the project into its message and exit code 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 # click's own
        try:
            command(*args, **kwargs)
        except ConfigError as error:
            click.echo(str(error), err=True)
            click.echo(f"{counted(error.problems, 'problem')} in {error.file}", err=True)
            sys.exit(1)
        except HkBridgeError as error:
            click.echo(f"hk-bridge: {error}", err=True)
            sys.exit(1)

    return wrapped


class PathParameter(click.Path):
    """A path of which the program itself says what is wrong, and which is not empty."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, readable=False)

    def convert(
        self,
        value: Any,  # noqa: ANN401 # click's own
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 # click's own
        """Refuse what an unset variable of the shell leaves of an option."""
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


class AddressParameter(click.ParamType):  # type: ignore[type-arg] # old click has none
    """A Bluetooth address in any spelling, as stacks spell it."""

    name = "address"

    def convert(
        self,
        value: Any,  # noqa: ANN401 # click's own
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Refuse what is none."""
        address = parse_address(value)
        if address is None:
            self.fail(f'"{value}" is no address such as 4c:64:a8:d0:ae:65', param, ctx)
        return address


config_option = click.option(
    "--config",
    "config_path",
    type=PathParameter(),
    envvar="HK_BRIDGE_CONFIG",
    metavar="FILE",
    help="The configuration. Default: $HK_BRIDGE_CONFIG, else ./accessories.json",
)
state_option = click.option(
    "--state-dir",
    type=PathParameter(),
    metavar="DIR",
    help="Where pairing and last values are kept. Default: $STATE_DIRECTORY, else the "
    "user's state directory",
)
simulate_option = click.option(
    "--simulate",
    is_flag=True,
    help="Put simulated sensors and a dimmer board in the process, with a state directory "
    "of their own.",
)


def existing_config(config_path: Path | None) -> Config | None:
    """The configuration that is named, or else the usual one; None where that is not there.

    Raises ConfigError.
    """
    from hk_bridge import config  # noqa: PLC0415 # slow, and not needed by all commands

    path = config_path or Path(DEFAULT_CONFIG)
    if config_path is None and not path.exists():
        return None
    return config.load(path)


def print_json(value: object) -> None:
    """Print `value` as one line; what the encoding of stdout does not have is escaped."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        line = json.dumps(value)
    click.echo(line)


def counted(things: Sequence[object], noun: str) -> str:
    """How many there are: ``1 sensor``, ``2 sensors``."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
