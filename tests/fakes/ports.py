"""A port to listen on."""

from __future__ import annotations

import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that no client gets for its own end: tests make many connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
