"""What a person sees: the log, the setup code and its QR code, where the state is."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hk_bridge.protocols.setup_code import setup_payload

if TYPE_CHECKING:
    from hk_bridge.homekit.store import Identity

_LOG = logging.getLogger(__name__)

#: HAP's category of a bridge: what the Home app shows while it pairs.
_CATEGORY_BRIDGE: Final = 2

#: -v: (this program, its libraries)
_LEVELS: Final = (
    (logging.INFO, logging.WARNING),
    (logging.DEBUG, logging.INFO),
    (logging.DEBUG, logging.DEBUG),
)


class _LineFormatter(logging.Formatter):
    """Keeps every record to a line: libraries log tracebacks of what the network does."""

    def formatException(self, ei: Any) -> str:  # noqa: N802, ANN401 # logging's own
        """The last line of what would be a traceback."""
        return traceback.format_exception_only(ei[1])[-1].strip()

    def format(self, record: logging.LogRecord) -> str:
        """The record, with line breaks taken out."""
        return " | ".join(super().format(record).splitlines())


def start_logging(verbose: int) -> None:
    """Log to stderr; `verbose` counts the -v."""
    own, libraries = _LEVELS[min(verbose, len(_LEVELS) - 1)]
    handler = logging.StreamHandler(sys.stderr)
    everything = verbose >= len(_LEVELS) - 1
    formatter = logging.Formatter if everything else _LineFormatter
    handler.setFormatter(formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=libraries, handlers=[handler])
    logging.getLogger("hk_bridge").setLevel(own)


def state_directory(given: Path | None, *, simulate: bool) -> Path:
    """Where pairing and last values are kept.

    What is `given`, else $STATE_DIRECTORY, else the platform's place for a user's state;
    there a simulation has a directory of its own, so that it never touches a real pairing.
    """
    if given is not None:
        return given
    # systemd separates several directories by colons; the first is the unit's own.
    if from_environment := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(from_environment)
    from platformdirs import user_state_path  # noqa: PLC0415 # slow, and rarely needed

    return user_state_path(
        "hk-bridge-simulated" if simulate else "hk-bridge", appauthor=False
    )


def welcome(name: str, identity: Identity, hint: str) -> None:
    """Say how to pair, where that is open: with the code on a terminal, else by `hint`.

    A log may be read by others, so the code never goes there.
    """
    if identity.pairings:
        _LOG.info("paired; controllers: %d", len(identity.pairings))
    elif sys.stdout.isatty():
        click.echo(f"\n{name} is ready to be added to the Home app.\n")
        show_setup(identity)
    else:
        _LOG.info("not paired yet. For setup code and QR code type: %s", hint)


def show_setup(identity: Identity) -> None:
    """Print setup code, payload and QR code."""
    import segno  # noqa: PLC0415 # slow, and rarely needed

    payload = setup_payload(identity.setup_code, identity.setup_id, _CATEGORY_BRIDGE)
    segno.make(payload, error="q", micro=False).terminal(compact=True)
    click.echo(f"Setup code:    {identity.setup_code}")
    click.echo(f"Setup payload: {payload}")
