"""Records what BlueZ hears of sensors of every format, as captures for the tests.

It boots a guest, and has btmon and hcidump write down a passive scan while the frames of
scripts/guest/frames.jsonl are broadcast. Named by the version of BlueZ, DIRECTORY gets:

  bluez-5.66.btsnoop  what `btmon -w` has written
  bluez-5.66.jsonl    what was sent, in this order, each frame twice
  hcidump-5.66.txt    what `hcidump --raw` has written

It takes half a minute, and longer where the guest has to be built. Guests are kept, and
the environment variables are those of scripts/test-bluetooth.

example, in a checkout:
  .venv/bin/python -m scripts.guest.record bookworm tests/vectors/captures

exit code: 0 recorded, 1 it could not be, 2 wrong command line
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from scripts.guest.guests import SUITES, Guest, GuestError, copy_checkout, find_tools

_SECONDS: Final = 120.0

#: What comes out of the guest → what it is called here, by the version of BlueZ.
_NAMES: Final = {
    "capture.btsnoop": "bluez-{}.btsnoop",
    "sent.jsonl": "bluez-{}.jsonl",
    "hcidump.txt": "hcidump-{}.txt",
}


def main() -> int:
    """Record what the command line asks for; the exit code."""
    description, _, epilog = (__doc__ or "").partition("example, ")
    parser = argparse.ArgumentParser(
        prog="python -m scripts.guest.record",
        description=description,
        epilog="example, " + epilog,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("suite", choices=SUITES, help="the Debian in the guest")
    parser.add_argument("directory", type=Path, help="where the captures go")
    given = parser.parse_args()
    guest = Guest(given.suite)
    try:
        find_tools("run")
        guest.build()
    except GuestError:
        return 1
    return _record(guest, given.directory)


def _record(guest: Guest, directory: Path) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="hk-bridge-checkout.") as checkout,
        tempfile.TemporaryDirectory(prefix="hk-bridge-record.") as results,
    ):
        copy_checkout(Path(checkout))
        command = ["python3", "-m", "scripts.guest.recording", "/results"]
        if guest.run(Path(checkout), Path(results), _SECONDS, command):
            return 1
        directory.mkdir(parents=True, exist_ok=True)
        for file, name in _NAMES.items():
            path = directory / name.format(guest.name.removeprefix("BlueZ "))
            path.write_bytes((Path(results) / file).read_bytes())
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
