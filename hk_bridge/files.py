"""Files that survive power cuts: replaced in one step, and state with a copy beside it.

The order of a save of state is what keeps it safe at every instant: two temporary files are
written and flushed to the disk, then one is renamed over the copy and one over the file.
So both are whole at any time, and they differ by at most the save that was under way.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from hk_bridge.errors import StoreError

Value = TypeVar("Value")

_FILE_MODE: Final = 0o600
_DIRECTORY_MODE: Final = 0o700
_MODE_BY_UMASK: Final = 0o666
#: How the names of all files in a state directory begin.
_OWN_FILES: Final = (
    "homekit.json",
    "devices.json",
    "devices-simulated.json",
    "lock",
    "bridge.sock",
)
_MOST_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Value]):
    """What a file held; `notices` are sentences for the person who runs the program."""

    value: Value
    notices: tuple[str, ...] = ()


class JsonFile(Generic[Value]):
    """A file of JSON whose content `read` turns into a value.

    `read` raises ValueError, TypeError, KeyError, IndexError, AttributeError or
    OverflowError for content that it cannot use, which is how a damaged file shows, and
    StoreError for content that is whole but must not be used.
    """

    def __init__(self, path: Path, read: Callable[[Any], Value]) -> None:
        self.path = path
        self.copy = path.with_name(path.name + ".bak")
        self._read = read
        self._damaged = False

    def load(self) -> Loaded[Value] | None:
        """The content of the file, else of its copy; None where neither exists.

        Raises StoreError where the file cannot be read, or is damaged and so is its copy.
        """
        value, damage = self._try(self.path)
        if value is not None:
            return Loaded(value)
        copied, copy_damage = self._try(self.copy)
        if copied is not None:
            if damage is None:
                return Loaded(
                    copied, (f"{self.path} is missing: its copy {self.copy} is used",)
                )
            self._damaged = True
            return Loaded(
                copied,
                (f"{self.path} is damaged ({damage})", f"its copy {self.copy} is used"),
            )
        if damage is None and copy_damage is None:
            return None
        raise StoreError(
            f"{self.path} is damaged ({damage or 'missing'}), and its copy {self.copy} "
            f"cannot help ({copy_damage or 'missing'}). Nothing was overwritten. Put a "
            f"backup of {self.path.name} there, or move both files away to begin anew"
        )

    def save(self, value: object) -> None:
        """Replace the content; on return it is on the disk, and so is the copy.

        A damaged file is moved aside first, never overwritten. Raises StoreError, with
        the old content untouched, where the disk is full or the folder not writable.
        """
        data = json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"
        try:
            make_private(self.path.parent)
            if self._damaged:
                self.set_aside()
            # The file last: where its rename fails, what is read next is the old content.
            _replace_all((self.copy, self.path), data)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from error

    def set_aside(self) -> None:
        """Rename a file that cannot be used, so that nothing overwrites it."""
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(aside)
        self._damaged = False

    def _try(self, path: Path) -> tuple[Value | None, str | None]:
        """(value, None); or (None, what is wrong); or twice None where there is no file."""
        data = b""
        try:
            with path.open("rb") as file:
                data = file.read(_MOST_BYTES)
            return self._read(json.loads(data)), None
        except FileNotFoundError:
            return None, None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}") from error
        except json.JSONDecodeError as error:
            return None, f"no JSON at line {error.lineno}" if data else "empty"
        except (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,  # of Infinity, which Python's JSON has
            RecursionError,
        ):
            return None, "its content is not what this program writes"


@dataclass(frozen=True, slots=True)
class Exposed:
    """What others could read until it was closed, and what they still can."""

    closed: tuple[Path, ...] = ()
    still_open: tuple[Path, ...] = ()


def make_private(directory: Path) -> Exposed:
    """Have `directory` and this program's files in it for their owner alone.

    Makes it where it is missing. One that holds other things, as a home directory does,
    is left as open as it is. Raises OSError.
    """
    directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    status = directory.stat()
    entries = list(directory.iterdir())
    own = [entry for entry in entries if entry.name.startswith(_OWN_FILES)]
    modes = {entry: _FILE_MODE for entry in own if not entry.is_symlink()}
    if len(own) == len(entries) and status.st_uid == os.getuid():
        modes[directory] = _DIRECTORY_MODE
    were_open = [path for path, mode in modes.items() if _is_open(path, mode)]
    for path in were_open:
        # Another thread may have renamed it, and another user may own it.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            path.chmod(modes[path])
    if not own or not stat.S_IMODE(status.st_mode) & ~_DIRECTORY_MODE:
        return Exposed()
    # Some file systems have no modes of their own and take any.
    still_open = tuple(path for path in were_open if _is_open(path, modes[path]))
    return Exposed(tuple(path for path in were_open if path not in still_open), still_open)


def _is_open(path: Path, mode: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return bool(stat.S_IMODE(path.stat().st_mode) & ~mode)
    return False


def replace(path: Path, data: bytes, old: bytes | None) -> bool:
    """Put `data` into the file at `path`, no symlink, which must still hold `old`.

    None is for a file that is not there, and still must not be. One that is there keeps
    its owner, mode and access list. False, with nothing done, where something else stands
    there now, or another call for this directory is under way: then read the file again.
    Raises OSError, also where this user may not write the file itself.
    """
    # A name that nobody gives to a file of his own: what has it is swept away.
    temporary = path.with_name(f".{path.name}.new")
    with _alone_in(path.parent) as alone:
        if not alone or not _holds(path, old):
            return False
        try:
            if old is None:
                _write(temporary, data, mode=_MODE_BY_UMASK)
            else:
                _write(temporary, data, like=path)
            if not _holds(path, old):
                return False
            os.replace(temporary, path)  # noqa: PTH105 # as the other steps are calls of os
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
        _sync_directory(path.parent)
    return True


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[bool]:
    """Whether nobody else is in this block for `directory`, nor comes into it now."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _holds(path: Path, old: bytes | None) -> bool:
    """Whether `old` is all that stands in a file; None: whether there is no such file."""
    try:
        # To write, although it is only read: what may not be written is not replaced.
        with path.open("r+b") as file:
            return old is not None and file.read(len(old) + 1) == old
    except FileNotFoundError:
        return old is None


def _replace_all(paths: Sequence[Path], data: bytes) -> None:
    """Put `data` into all `paths`: only when all of it is on the disk, any is renamed."""
    temporaries = [path.with_name(path.name + ".new") for path in paths]
    try:
        for temporary in temporaries:
            _write(temporary, data)
        for temporary, path in zip(temporaries, paths, strict=True):
            os.replace(temporary, path)  # noqa: PTH105 # as the other steps are calls of os
    except OSError:
        for temporary in temporaries:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise
    _sync_directory(paths[0].parent)


def _write(
    path: Path, data: bytes, mode: int = _FILE_MODE, like: Path | None = None
) -> None:
    """A new file with `data`, flushed to the disk, as accessible as `like` if given."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        if like is not None:
            _dress(descriptor, path, like)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _dress(descriptor: int, path: Path, like: Path) -> None:
    """Give the new file at `path` the owner, the mode and the access list of `like`."""
    new, old = os.fstat(descriptor), like.stat()
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    # Access lists are extended attributes, and not every file system has such things.
    with contextlib.suppress(OSError):
        shutil.copystat(like, path)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _sync_directory(directory: Path) -> None:
    """Make the rename itself last: without this a power cut may undo it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have no such thing; the files themselves are safe.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
