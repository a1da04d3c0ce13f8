"""Where a running bridge is asked: a Unix socket in its state directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NAME: Final = "bridge.sock"

#: Systems take 103 or 107 bytes.
_LONGEST: Final = 100


@contextmanager
def socket_path(directory: Path) -> Iterator[str]:
    """The path of the socket in `directory`, in a form that a socket can have.

    Raises OSError for a directory that is not there.
    """
    path = str(directory / NAME)
    if len(os.fsencode(path)) <= _LONGEST or sys.platform != "linux":
        yield path
        return
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)
