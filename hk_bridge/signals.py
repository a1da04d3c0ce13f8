"""Ctrl-C and SIGTERM, where they end something and not the whole program."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: What a person, or the system, asks for an end with.
ENDS: Final = (signal.SIGINT, signal.SIGTERM)


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
