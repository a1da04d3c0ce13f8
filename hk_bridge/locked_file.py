"""A file whose content is replaced where it is, so that readers can lock it.

Who holds a shared lock (`flock -s`) while reading never sees half of it. Source:
docs/read.md, "Into a file".
"""

from __future__ import annotations

import fcntl
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

#: Makes it, and leaves what is in it.
_FLAGS: Final = os.O_WRONLY | os.O_CREAT
_MODE: Final = 0o666


class LockedFile:
    """The file at `path`, which is made where there is none. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.fdopen(os.open(path, _FLAGS, _MODE), "wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def replace(self, text: str, on_wait: Callable[[], None]) -> None:
        """Put `text` in the place of all that is in it, once nobody else has locked it.

        `on_wait` is called where somebody has. Raises OSError, after which it is as it was
        where nothing could be written, and else empty. Raises KeyboardInterrupt where
        Ctrl-C or SIGTERM ends the wait.
        """
        self._lock(on_wait)
        try:
            self._write(text.encode())
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _lock(self, on_wait: Callable[[], None]) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            before = signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                on_wait()
                fcntl.flock(self._file, fcntl.LOCK_EX)
            finally:
                signal.signal(signal.SIGTERM, before)

    def _write(self, data: bytes) -> None:
        # A terminal or a pipe has nothing that could be replaced.
        is_regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        if is_regular:
            self._file.seek(0)
        written = 0
        try:
            # Over the old content: where it fits in, a full disk has room for it.
            while written < len(data):
                written += self._file.write(data[written:])
            if is_regular:
                self._file.truncate()
        except OSError:
            if is_regular and written:
                self._file.truncate(0)
            raise
