"""The identities of the bridges, on disk.

One file, ``homekit.json`` in the state directory, written before anything that it holds
is told to a controller: what Home has been told must never be forgotten.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, Final, Self

from hk_bridge.errors import StoreError
from hk_bridge.files import Exposed, JsonFile, make_private
from hk_bridge.homekit.identity import Identity

_FORMAT: Final = 1


class Store:
    """The identities of the bridges of one process, on disk and in memory.

    They are saved on the caller's thread on purpose: a pairing that has been confirmed
    to a controller must already be on the disk, and saves are as rare as pairings.
    """

    def __init__(self, directory: Path) -> None:
        self._file = JsonFile(directory / "homekit.json", _read)
        self._bridges: tuple[Identity, ...] = ()
        self.notices: tuple[str, ...] = ()

    @classmethod
    def open(cls, directory: Path) -> Self:
        """What is stored in `directory`; what is not there yet is made and saved.

        `notices` holds what the person should know about it. Raises StoreError.
        """
        store = cls(directory)
        loaded = store._file.load()
        if loaded is None:
            store._bridges = (Identity.new(),)
            store._save()
        else:
            store._bridges = loaded.value
            store.notices = loaded.notices
        return store

    @staticmethod
    def exists(directory: Path) -> bool:
        """Whether there is anything to open in `directory`, damaged or not."""
        return any(directory.glob("homekit.json*"))

    @property
    def bridges(self) -> tuple[Identity, ...]:
        """The identities of all bridges, of which there is at least one."""
        return self._bridges

    def bridge(self, number: int = 0) -> Identity:
        """The identity of one bridge."""
        return self._bridges[number]

    def put(self, identity: Identity, number: int = 0) -> None:
        """Keep `identity`, of a bridge that is there; see `put_all`."""
        before = self._bridges
        self.put_all((*before[:number], identity, *before[number + 1 :]))

    def put_all(self, bridges: tuple[Identity, ...]) -> None:
        """Keep the identities of all bridges.

        On return they are on the disk. Raises StoreError, and keeps what was there, where
        that fails.
        """
        before = self._bridges
        if bridges == before:
            return
        self._bridges = bridges
        try:
            self._save()
        except StoreError:
            self._bridges = before
            raise

    def _save(self) -> None:
        self._file.save(
            {"format": _FORMAT, "bridges": [bridge.to_json() for bridge in self._bridges]}
        )


class StateLock:
    """Holds a state directory for one process; the kernel lets go when that ends.

    `exposed` is what others could read of it until the lock was taken.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self.exposed = Exposed()

    def __enter__(self) -> Self:
        """Take the lock, or raise StoreError where another process holds it."""
        try:
            self.exposed = make_private(self._path.parent)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "r+")
        except OSError as error:
            raise StoreError(
                f"the state directory {self._path.parent} cannot be used "
                f"({error.strerror}). Choose another one with --state-dir"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise StoreError(
                f"the state directory {self._path.parent} is in use by another hk-bridge. "
                "Stop that one first, or give this one a directory of its own with "
                "--state-dir"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _read(data: Any) -> tuple[Identity, ...]:  # noqa: ANN401 # JSON is anything
    if data["format"] != _FORMAT:
        raise StoreError(
            f"homekit.json has format {data['format']!r}; this version of hk-bridge reads "
            f"format {_FORMAT}. Use the version that wrote it, or a newer one"
        )
    bridges = tuple(Identity.from_json(bridge) for bridge in data["bridges"])
    if not bridges:
        raise ValueError("no bridge")
    return bridges
