"""A disk that fails on command."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class FaultyOs(SimpleNamespace):
    """The module os, except for what is set on it: to stand in one module's namespace."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def failing(
    call: Callable[..., Any], number: int = 1, code: int = errno.ENOSPC
) -> Callable[..., Any]:
    """`call`, which fails when it is made for the time of that number, from 1 on."""
    calls = 0

    def step(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            raise OSError(code, os.strerror(code))
        return call(*args)

    return step
