"""What the commands have in common."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from hk_bridge.cli_options import AddressParameter


@click.command()
@click.argument("address", type=AddressParameter())
def show(address: str) -> None:
    """Print it."""
    click.echo(address)


@pytest.mark.parametrize(
    "text", ["4c:64:a8:d0:ae:65", "4C:64:A8:D0:AE:65", "4c-64-a8-d0-ae-65"]
)
def test_an_address_is_spelled_as_the_stack_does(text: str) -> None:
    result = CliRunner().invoke(show, [text])
    assert (result.exit_code, result.stdout) == (0, "4C:64:A8:D0:AE:65\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4c64a8d0ae65",
        "4c:64:a8:d0:ae",
        "4c:64:a8:d0:ae:65:66",
        "4c:64-a8:d0-ae:65",
        "4c:64:a8:d0:ae:6g",
        " 4c:64:a8:d0:ae:65",
    ],
)
def test_what_is_no_address_is_wrong_use(text: str) -> None:
    result = CliRunner().invoke(show, [text])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f'"{text}" is no address such as 4c:64:a8:d0:ae:65' in result.stderr
