"""Ctrl-C and SIGTERM, where they end something; and what SIGHUP means."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: What a person, or the system, asks for an end with.
ENDS: Final = (signal.SIGINT, signal.SIGTERM)

_WINDOW_SECONDS: Final = 5.0


@contextmanager
def set_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM set `stop` while it is entered, in the running loop."""
    loop = asyncio.get_running_loop()
    for number in ENDS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in ENDS:
            loop.remove_signal_handler(number)


class Window:
    """The terminal in which the program was started, and whether it has closed since.

    Who closes it means to end what runs in it. A daemon has none, what runs under nohup is
    to outlive it, and what was detached has outlived it: SIGHUP means something else then.
    """

    def __init__(self) -> None:
        is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._is_open = not is_ignored and _has_terminal()

    async def watch(self) -> None:
        """Take note of a window that closes without a word, until cancelled."""
        while True:
            await asyncio.sleep(_WINDOW_SECONDS)
            self._is_open = self._is_open and _has_terminal()

    def has_closed(self) -> bool:
        """Whether it has closed just now."""
        return self._is_open and not _has_terminal()


def _has_terminal() -> bool:
    """Whether there is a terminal that could hang up on this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
