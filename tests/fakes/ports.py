"""A port to listen on."""

from __future__ import annotations

import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"

#: More than any test has bridges.
_IN_A_ROW = 25


def free_port() -> int:
    """A port that no client gets for its own end: tests make many connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


def free_ports() -> int:
    """The first of some ports in a row, for several bridges.

    `free_port` gives none of them, and others begin where these end.
    """
    while True:
        first = random.randrange(10_000, 20_000, _IN_A_ROW)
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            for port in range(first, first + _IN_A_ROW):
                probe = probes.enter_context(socket.socket())
                probe.bind((LOOPBACK, port))
            return first
