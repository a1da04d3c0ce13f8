"""Another user than the one who runs the tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

NOBODY: Final = 65534


@contextmanager
def another_user() -> Iterator[None]:
    """Be a user who owns nothing, as root alone can; skips the test for all others.

    What is needed must have been imported before: it may be out of reach then.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    group = os.getegid()
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
