"""The guests as this machine sees them: built when something has changed, and booted."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

#: Debian's name of a suite → the Python that it has.
SUITES: Final = {"bookworm": "3.11", "trixie": "3.13"}

_HERE: Final = Path(__file__).resolve().parent
_ROOT: Final = _HERE.parents[1]

#: What a guest is made of; everything else comes from the checkout when it is booted.
_INGREDIENTS: Final = (
    _ROOT / "setup.cfg",
    _ROOT / "constraints.txt",
    *(_HERE / name for name in ("build", "pack", "initrd-init", "requirements.txt")),
)


class GuestError(Exception):
    """A guest cannot be had; the reason has been printed."""


def copy_checkout(target: Path) -> None:
    """Copy what a guest runs, so that it may be edited meanwhile."""
    for package in ("hk_bridge", "scripts"):
        shutil.copytree(
            _ROOT / package,
            target / package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )


def find_tools(purpose: Literal["run", "build"]) -> None:
    """Make sure of what runs guests, or builds them. Raises GuestError."""
    if _run("tools", purpose):
        raise GuestError


class Guest:
    """The guest with the Debian of that name, one of `SUITES`."""

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self._directory = _guests() / suite

    @property
    def name(self) -> str:
        """What is in it, such as `BlueZ 5.66`; the suite where it is not built."""
        versions = self._directory / "versions"
        if not versions.exists():
            return self.suite
        return versions.read_text().partition(",")[0]

    def build(self) -> None:
        """Build it, unless what is there is what would be built. Raises GuestError."""
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            made_of = self._directory / "stamp"
            if made_of.exists() and made_of.read_text().strip() == _stamp():
                return
            find_tools("build")
            version, directory = SUITES[self.suite], str(self._directory)
            if _run("build", self.suite, version, directory, _stamp()):
                raise GuestError

    def run(
        self, checkout: Path, results: Path, seconds: float, command: Sequence[str]
    ) -> int:
        """Boot it, run `command` with its output on this terminal, and switch it off.

        The command runs in a `checkout`, and finds `results` as /results. It is ended
        after `seconds`. Returns its exit code, or what scripts/guest/boot says in its
        place.
        """
        paths = map(str, (self._directory, checkout, results))
        return _run("boot", *paths, str(int(seconds)), *command)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until nobody else builds it."""
        with self._directory.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{self.suite}: waiting for another that builds it", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _run(script: str, *arguments: str) -> int:
    """Run a script that lies beside this; its exit code."""
    environment = {**os.environ, "PYTHON": sys.executable}
    process = subprocess.Popen([_HERE / script, *arguments], env=environment)
    try:
        return process.wait()
    finally:
        # Where this is interrupted: the script cleans up, and then ends.
        process.terminate()
        process.wait()


def _guests() -> Path:
    if given := os.environ.get("HK_BRIDGE_GUESTS"):
        return Path(given).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "hk-bridge" / "guests"


def _stamp() -> str:
    digest = hashlib.sha256()
    for ingredient in _INGREDIENTS:
        digest.update(ingredient.read_bytes())
    return digest.hexdigest()
