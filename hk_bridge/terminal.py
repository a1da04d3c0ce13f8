"""What a person sees: the log, the setup code and its QR code, where the state is."""

from __future__ import annotations

import io
import logging
import os
import shlex
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hk_bridge.protocols.setup_code import setup_payload

if TYPE_CHECKING:
    from hk_bridge.homekit.identity import Identity

_LOG = logging.getLogger(__name__)

#: HAP's category of a bridge: what the Home app shows while it pairs.
_CATEGORY_BRIDGE: Final = 2

#: -v: (this program, its libraries)
_LEVELS: Final = (
    (logging.INFO, logging.WARNING),
    (logging.DEBUG, logging.INFO),
    (logging.DEBUG, logging.DEBUG),
)


#: What libraries say of a bus or a network that is lost, links/bluetooth.py and
#: network_watch.py tell in a person's words.
_OUTSPOKEN: Final = ("bleak", "dbus_fast", "zeroconf")


def is_news(record: logging.LogRecord) -> bool:
    """Whether this is not a send of dbus-fast that nobody waited for on a lost bus."""
    error = record.exc_info[1] if record.exc_info else None
    return not (
        isinstance(error, OSError | EOFError)
        and record.getMessage().startswith("Future exception was never retrieved")
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
    if not everything:
        logging.getLogger("asyncio").addFilter(is_news)
        for library in _OUTSPOKEN:
            logging.getLogger(library).setLevel(logging.ERROR)
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


def welcome(name: str, identity: Identity, directory: Path) -> None:
    """Say how to pair, where that is open: on a terminal with the code, else how to see it.

    A log may be read by others, so the code never goes there. `directory` is where the
    state is.
    """
    if identity.pairings:
        _LOG.info("%s: paired; controllers: %d", name, len(identity.pairings))
    elif sys.stdout.isatty():
        click.echo(f"\n{name} is ready to be added to the Home app.\n")
        show_setup(identity)
    else:
        program = sys.argv[0] if sys.argv[0].endswith("hk-bridge") else "hk-bridge"
        _LOG.info(
            "%s: not paired yet. Setup code and QR code: %s pairing show --state-dir %s",
            name,
            shlex.quote(program),
            shlex.quote(str(directory.absolute())),
        )


def show_setup(identity: Identity) -> None:
    """Print setup code, payload and QR code, the last where the terminal can show it."""
    import segno  # noqa: PLC0415 # slow, and rarely needed

    payload = setup_payload(identity.setup_code, identity.setup_id, _CATEGORY_BRIDGE)
    picture = io.StringIO()
    segno.make(payload, error="q", micro=False).terminal(out=picture, compact=True)
    try:
        picture.getvalue().encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        click.echo("The QR code needs a terminal with UTF-8, and this one has none.")
    else:
        click.echo(picture.getvalue())
    click.echo(f"Setup code:    {identity.setup_code}")
    click.echo(f"Setup payload: {payload}")
