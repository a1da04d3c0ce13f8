"""`hk-bridge decode`: what adverts say, one by one or in whole captures."""

from __future__ import annotations

import io
import json
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from hk_bridge.cli_decode_progress import Progress
from hk_bridge.cli_options import AddressParameter, PathParameter, counted, fails_clearly
from hk_bridge.errors import DecodeError

if TYPE_CHECKING:
    from hk_bridge.decoding import Decoded, Keys
    from hk_bridge.protocols.hci import Heard

_DEFAULT_UUID: Final = "FE95"
_STDIN: Final = "-"
_CHUNK: Final = 1 << 16
#: Beside the number of the signal, the exit code of what one has ended.
_BY_SIGNAL: Final = 128


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
    type=AddressParameter(),
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
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if "" in sources:
        text = "a PAYLOAD or FILE is empty. Is a variable of the shell unset?"
        raise click.UsageError(text, ctx=context)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    run = _Run(as_json, number, address, keys)
    try:
        with _terminable():
            if sources:
                for source in sources:
                    run.take(source)
            elif not run.take_stdin():
                text = "Missing argument 'PAYLOAD, FILE or -'."
                raise click.UsageError(text, ctx=context)
    except _Terminated:
        run.conclude()
        sys.exit(_BY_SIGNAL + signal.SIGTERM)
    except KeyboardInterrupt:
        # Behind the ^C that terminals show.
        click.echo(err=True)
        run.conclude()
        sys.exit(_BY_SIGNAL + signal.SIGINT)
    run.conclude()
    sys.exit(run.failed)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends it as Ctrl-C does."""


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


@contextmanager
def _terminable() -> Iterator[None]:
    """Where SIGTERM leaves the terminal as it was, and nothing unsaid."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
        if decoded.is_payload or self.as_json:
            click.echo(self._line(decoded))
        else:
            click.echo(
                f"hk-bridge: {decoded.values['error']}. What can be given: hk-bridge "
                "decode --help",
                err=True,
            )

    def _take_capture(self, name: str, chunks: Iterable[bytes], size: int | None) -> None:
        from hk_bridge.protocols.captures import Capture  # noqa: PLC0415 # needed here alone

        self.captures += 1
        capture = Capture()
        progress = Progress(name, size)
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

    def _show(self, adverts: Iterable[Heard], progress: Progress) -> None:
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
