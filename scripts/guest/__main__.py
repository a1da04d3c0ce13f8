"""Tests the radio against real BlueZ: bluetoothd in a guest, with emulated sensors.

Each guest is a small Debian that QEMU emulates: no Bluetooth hardware is needed, and none
of this machine is touched. They are built the first time, and again when setup.cfg or
constraints.txt has changed; that takes a minute and half a gigabyte for both. All rows
together take some 40 minutes, in which the machine should have nothing else to do.

examples:
  scripts/test-bluetooth
  scripts/test-bluetooth --suite trixie --mode passive --row restart --row kill
  scripts/test-bluetooth --row delivery --keep

environment:
  HK_BRIDGE_GUESTS  where the guests are kept; default: ~/.cache/hk-bridge/guests
  HK_BRIDGE_MIRROR  a Debian mirror to build them from, where the usual one will not do
  HK_BRIDGE_ACCEL   kvm: have the processor itself run them, where that works

exit code: 0 all rows held, 1 one did not, or could not be run, 2 wrong command line
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from scripts.guest import results
from scripts.guest.guests import SUITES, Guest, GuestError, copy_checkout, find_tools
from scripts.guest.results import Result
from scripts.guest.rows import AUTO, MODES, ROWS
from scripts.guest.table import table

_SECONDS_PER_ROW: Final = 300.0
_SHOWN_LINES: Final = 30

#: A mode, and a row that is run in it.
Wanted = tuple[str, str]


def main() -> None:
    """Run what the command line asks for."""
    # As Ctrl-C does, so that no guest is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        suites, wanted, keep = _options()
        sys.exit(_test_all(suites, wanted, keep=keep))
    except GuestError:
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _options() -> tuple[list[str], list[Wanted], bool]:
    """The suites and rows that are asked for, and whether to keep the logs."""
    description, _, epilog = (__doc__ or "").partition("examples:")
    rows = "\n".join(f"{name:<17} {title}" for name, (title, _) in ROWS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/test-bluetooth",
        description=description,
        epilog="examples:" + epilog,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--suite", action="append", choices=SUITES, help="one guest only")
    parser.add_argument(
        "--mode", action="append", choices=[*MODES, AUTO], help="one way to listen only"
    )
    parser.add_argument(
        "--row", action="append", choices=ROWS, metavar="ROW", help=f"one row only:\n{rows}"
    )
    parser.add_argument("--keep", action="store_true", help="keep all logs, and say where")
    given = parser.parse_args()
    wanted = [
        (mode, row)
        for mode in given.mode or [*MODES, AUTO]
        for row in given.row or ROWS
        if mode in ROWS[row][1]
    ]
    if not wanted:
        parser.error(f"no such row is run in mode {' or '.join(given.mode)}")
    return given.suite or list(SUITES), wanted, given.keep


def _test_all(suites: list[str], wanted: list[Wanted], *, keep: bool) -> int:
    find_tools("run")
    guests = [Guest(suite) for suite in suites]
    for guest in guests:
        guest.build()
    logs = Path(tempfile.mkdtemp(prefix="hk-bridge-bluetooth."))
    is_wanted = keep
    try:
        with tempfile.TemporaryDirectory(prefix="hk-bridge-checkout.") as copy:
            copy_checkout(Path(copy))
            outcomes = [
                each for guest in guests for each in _test(guest, wanted, Path(copy), logs)
            ]
        failed = [each for each in outcomes if not each.held]
        is_wanted = keep or bool(failed)
        for each in failed:
            _show(each, logs)
        print(f"\n{table(outcomes, {guest.suite: guest.name for guest in guests})}")
    finally:
        if is_wanted:
            print(f"\nThe logs are in {logs}")
        else:
            shutil.rmtree(logs)
    return 1 if failed else 0


def _test(guest: Guest, wanted: list[Wanted], checkout: Path, logs: Path) -> list[Result]:
    """The results of one guest; what it did not come to has failed."""
    directory = logs / guest.suite
    directory.mkdir()
    print(f"{guest.suite}: {guest.name} starts", flush=True)
    rows = [f"{mode}/{row}" for mode, row in wanted]
    guest.run(
        checkout,
        directory,
        _SECONDS_PER_ROW * (len(wanted) + 1),
        ["python3", "-m", "scripts.guest.inside", guest.suite, "/results", *rows],
    )
    done = {(each.mode, each.row): each for each in results.load(directory)}
    return [
        done.get((mode, row))
        or Result(guest.suite, mode, row, held=False, note="the guest did not come to it")
        for mode, row in wanted
    ]


def _show(result: Result, logs: Path) -> None:
    """Print the end of what was logged while a row failed."""
    log = logs / result.suite / result.log
    if not log.is_file():
        return
    print(f"\n{result.suite} {result.mode} {result.row}: {result.note}")
    for part in log.read_text(errors="replace").split("\n\n"):
        print(*part.splitlines()[-_SHOWN_LINES:], sep="\n")


if __name__ == "__main__":
    main()
