"""The one way to write accessories.json: whole, checked, and over nobody's changes."""

from __future__ import annotations

import errno
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hk_bridge.config.reader import decoded, parse, read
from hk_bridge.errors import StoreError
from hk_bridge.files import replace

#: Whoever saves the file in between is done long before the last of these.
_MOST_TRIES: Final = 100
_PAUSE_SECONDS: Final = 0.05

_FULL: Final = "there is no room left; how much there is, says: df -h {directory}"
_UNWRITABLE: Final = {
    errno.EACCES: "this user may not write it; who may, says: ls -ld {directory} {file}",
    errno.EPERM: "this user may not replace it and have its owner and group kept; which "
    "they are, says: ls -ld {directory} {file}",
    errno.EROFS: "its file system is read-only; which one, says: findmnt -T {directory}",
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ENOENT: "its directory is missing; make it: mkdir -p {directory}",
    errno.EBUSY: "the file is mounted by itself, as into a container; mount its directory",
}


def rewrite(path: Path, new: Callable[[str], str], *, missing: str | None = None) -> None:
    """Have `new` of its text in the file at `path`.

    `new` is given what `parse` takes. It is called again when others have saved the file
    meanwhile; what is replaced is always the text that it was called with last. `missing`
    is the text to begin with where there is no file.

    On return the text is on the disk; whatever happens, the file is whole, the old one or
    the new one, and what others save meanwhile is kept. The file keeps its owner and mode.
    Of a symlink, what it points to is replaced. Blocks for the disk, and for other writers.

    Raises `ConfigError` where the file, as it is or as it would be, is not one that `load`
    takes, `StoreError` where it cannot be written, and what `new` raises.
    """
    file = str(path)
    for _ in range(_MOST_TRIES):
        text, old = _start(path, missing)
        parse(text, file)
        content = new(text).encode("utf-8")
        parse(decoded(content, file), file)
        if _replaced(path, content, old):
            return
        time.sleep(_PAUSE_SECONDS)
    raise StoreError(
        f"{path} cannot be written: another program changes it all the time, or keeps its "
        "directory locked; end that one, and try again"
    )


def _start(path: Path, missing: str | None) -> tuple[str, bytes | None]:
    """The text to begin with, and what stands in the file, None where there is none."""
    try:
        path.stat()
    except FileNotFoundError:
        if missing is not None:
            return missing, None
    except (OSError, ValueError):
        # What is wrong is said where it is read.
        pass
    text = read(path)
    return text, text.encode("utf-8")


def _replaced(path: Path, text: bytes, old: bytes | None) -> bool:
    file = path
    try:
        file = path.resolve()
        return replace(file, text, old)
    except OSError as error:
        words = _UNWRITABLE.get(error.errno or 0, error.strerror or str(error)).format(
            file=shlex.quote(str(file)), directory=shlex.quote(str(file.parent))
        )
        raise StoreError(f"{path} cannot be written: {words}") from error
