"""`hk-bridge decode`: what adverts say, one by one or in whole captures."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from hk_bridge.cli_options import PathParameter, counted, fails_clearly
from hk_bridge.errors import DecodeError

if TYPE_CHECKING:
    from rich.live import Live

    from hk_bridge.decoding import Decoded, Keys
    from hk_bridge.protocols.hci import Heard

_DEFAULT_UUID: Final = "FE95"
_STDIN: Final = "-"
_CHUNK: Final = 1 << 16
_INTERRUPTED: Final = 130

#: Seconds after which progress is shown, and between two looks at it.
_PATIENCE: Final = 2.0
_REDRAW: Final = 0.2


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.option(
    "--uuid",
    metavar="UUID",
    help="Of the service data: FE95, 181A or FCD2. Default: FE95 for a payload, any of "
    "them in a capture.",
)
@click.option(
    "--address",
    metavar="MAC",
    help="Of the sensor: of a payload that has none, or the only one to show of a capture.",
)
@click.option(
    "--bindkey",
    metavar="HEX",
    help="Of encrypting sensors that --config has no key for: 24 or 32 digits.",
)
@click.option(
    "--config",
    "config_path",
    type=PathParameter(),
    metavar="FILE",
    help="Take bind keys from this accessories.json.",
)
@click.argument("sources", metavar="[PAYLOAD|FILE|-]...", nargs=-1)
@click.pass_context
@fails_clearly
def decode(
    context: click.Context,
    as_json: bool,  # noqa: FBT001 # click passes by name
    uuid: str | None,
    address: str | None,
    bindkey: str | None,
    config_path: Path | None,
    sources: tuple[str, ...],
) -> None:
    """Say what is in the adverts of sensors.

    A PAYLOAD is the service data of one advert in hex, without the UUID. A FILE is a
    capture: btsnoop, pcap, pcapng, or the text of hcidump --raw. A dash, or nothing, is a
    capture on stdin.

    \b
    Examples:
      hk-bridge decode 5020aa01be64aed0a8654c0d1004cc008a01
      hk-bridge decode --json 50:20:aa:01:c0:64:ae:d0:a8:65:4c:0a:10:01:5d
      hk-bridge decode --address 4c:65:a8:d0:ae:64 capture.btsnoop
      hk-bridge decode --config accessories.json --json capture.pcapng
      sudo btmon -w /dev/stderr 2>&1 >/dev/null | hk-bridge decode -
    """
    from hk_bridge import decoding  # noqa: PLC0415 # needed here alone

    try:
        number = None if uuid is None else decoding.parse_uuid(uuid)
        keys = decoding.Keys(_keys_of(config_path), decoding.parse_bind_key(bindkey))
        sensor = decoding.parse_advertiser(address)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    run = _Run(as_json, number, sensor, keys)
    try:
        if sources:
            for source in sources:
                run.take(source)
        elif not run.take_stdin():
            raise click.UsageError("Missing argument 'PAYLOAD, FILE or -'.", ctx=context)
    except KeyboardInterrupt:
        # Behind the ^C that terminals show.
        click.echo(err=True)
        run.conclude()
        sys.exit(_INTERRUPTED)
    run.conclude()
    sys.exit(run.failed)


def _keys_of(config_path: Path | None) -> dict[str, bytes]:
    """The bind keys in a configuration, by address. Raises ConfigError."""
    if config_path is None:
        return {}
    from hk_bridge import config  # noqa: PLC0415 # slow, and rarely needed

    return {
        sensor.address: sensor.bind_key
        for sensor in config.load(config_path).sensors
        if sensor.address and sensor.bind_key
    }


def _file_named(source: str) -> Path | None:
    """The file of that name; None where there is none, or it can be no name."""
    path = Path(source)
    try:
        return path if path.exists() else None
    except (OSError, ValueError):
        return None


def _chunks(file: BinaryIO | Path) -> Iterator[bytes]:
    """What is in a file, as it comes. Raises DecodeError where it cannot be read."""
    try:
        with file.open("rb") if isinstance(file, Path) else nullcontext(file) as opened:
            while chunk := opened.read1(_CHUNK):  # type: ignore[attr-defined]  # typeshed has it with buffered files only
                yield chunk
    except OSError as error:
        raise DecodeError(f"it cannot be read: {error.strerror}") from error


@dataclass(slots=True)
class _Run:
    """One run of the command: what was asked for, and what has come of it."""

    as_json: bool
    uuid: int | None
    address: str | None
    keys: Keys
    failed: bool = field(default=False, init=False)
    captures: int = field(default=0, init=False)
    shown: int = field(default=0, init=False)
    others: int = field(default=0, init=False)

    def take(self, source: str) -> None:
        """Print what is in one argument."""
        path = _file_named(source)
        if source == _STDIN:
            self._take_capture("stdin", _stdin(), None)
        elif path is not None:
            self._take_capture(source, _chunks(path), path.stat().st_size)
        else:
            self._take_payload(source)

    def take_stdin(self) -> bool:
        """Print what comes on stdin; False where nothing does, or a person sits there."""
        if sys.stdin is None or sys.stdin.isatty():
            return False
        chunks = _stdin()
        first = next(chunks, b"")
        if first:
            self._take_capture("stdin", chain([first], chunks), None)
        return bool(first)

    def conclude(self) -> None:
        """Say how many adverts there were in captures."""
        if self.captures:
            shown = counted(range(self.shown), "advert")
            others = counted(range(self.others), "other")
            click.echo(f"{shown} shown, {others} left out", err=True)

    def _take_payload(self, payload: str) -> None:
        from hk_bridge import decoding  # noqa: PLC0415 # needed here alone

        uuid = decoding.parse_uuid(_DEFAULT_UUID) if self.uuid is None else self.uuid
        key = self.keys.of(self.address)
        decoded = decoding.decode(payload, uuid, self.address, key)
        self.failed |= decoded.has_error
        click.echo(self._line(decoded))

    def _take_capture(self, name: str, chunks: Iterable[bytes], size: int | None) -> None:
        from hk_bridge.protocols.captures import Capture  # noqa: PLC0415 # needed here alone

        self.captures += 1
        capture = Capture()
        progress = _Progress(name, size)
        try:
            for chunk in chunks:
                self._show(capture.feed(chunk), progress)
                progress.tell(len(chunk))
            self._show(capture.end(), progress)
        except DecodeError as error:
            self.failed = True
            progress.hide()
            click.echo(f"hk-bridge: {name}: {error}", err=True)
        finally:
            progress.hide()

    def _show(self, adverts: Iterable[Heard], progress: _Progress) -> None:
        """Print those that say something, all at once: also when one of them ends it."""
        lines: list[str] = []
        try:
            for heard in adverts:
                decoded = self._decoded(heard)
                if decoded is None:
                    self.others += 1
                else:
                    self.shown += 1
                    lines.append(self._line(decoded))
        finally:
            if lines:
                progress.hide()
                click.echo("\n".join(lines))

    def _decoded(self, heard: Heard) -> Decoded | None:
        from hk_bridge import decoding  # noqa: PLC0415 # needed here alone

        if self.address not in {None, heard.address}:
            return None
        return decoding.decode_heard(heard, self.uuid, self.keys)

    def _line(self, decoded: Decoded) -> str:
        from hk_bridge import decoding  # noqa: PLC0415 # needed here alone

        return json.dumps(decoded.values) if self.as_json else decoding.in_words(decoded)


def _stdin() -> Iterator[bytes]:
    return _chunks(sys.stdin.buffer) if sys.stdin else iter(())


class _Progress:
    """How far a file has been read, on stderr, where somebody may wait for it.

    It must be hidden before anything else is printed, and comes back by itself.
    """

    def __init__(self, name: str, size: int | None) -> None:
        self._name = name
        self._size = size
        self._done = 0
        self._next = time.monotonic() + _PATIENCE
        self._live: Live | None = None

    def tell(self, more: int) -> None:
        """Note that `more` bytes have been read."""
        self._done += more
        if self._size and time.monotonic() >= self._next:
            self._next = time.monotonic() + _REDRAW
            self._draw(self._size)

    def hide(self) -> None:
        """Take it away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, size: int) -> None:
        from rich.console import Console  # noqa: PLC0415 # slow, and rarely needed
        from rich.live import Live  # noqa: PLC0415 # slow, and rarely needed
        from rich.progress_bar import ProgressBar  # noqa: PLC0415 # slow, and rarely needed
        from rich.table import Table  # noqa: PLC0415 # slow, and rarely needed
        from rich.text import Text  # noqa: PLC0415 # slow, and rarely needed

        from hk_bridge import status_view  # noqa: PLC0415 # slow, and rarely needed

        console = Console(stderr=True, highlight=False)
        if not status_view.can_redraw(console):
            return
        if self._live is None:
            self._live = Live(
                console=console, auto_refresh=False, transient=True, redirect_stdout=False
            )
            self._live.start()
        row = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(total=size, completed=self._done, width=20)
        row.add_row(bar, f"{self._done / size:.0%} of", Text(self._name))
        self._live.update(row, refresh=True)
