"""What strangers, and a controller gone wrong, can do to a HAP server as fast as they can.

Each flood is a function that is called again and again, also after an OSError.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from aiohomekit.protocol import get_session_keys
from aiohomekit.protocol.tlv import TLV
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

LOOPBACK = "127.0.0.1"
_BLOCK = 64 * 1024
_MOST_HELD = 10_000
_IDLE_THREADS = 16
_TRICKLES = 200
_TRICKLE_SECONDS = 0.05


@dataclass
class Done:
    """What one thread has done."""

    connections: int = 0
    requests: int = 0
    sent: int = 0


class Flooder:
    """One thread that floods."""

    def __init__(self, port: int, source: str, keys: dict[str, Any]) -> None:
        self.done = Done()
        self.keys = keys
        self._port, self._source = port, source

    def dial(self) -> socket.socket:
        """A new connection."""
        connection = socket.socket()
        try:
            connection.settimeout(5)
            # Closed without a goodbye, so that the port can be used again at once.
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.bind((self._source, 0))
            connection.connect((LOOPBACK, self._port))
        except OSError:
            connection.close()
            raise
        self.done.connections += 1
        return connection

    def send(self, connection: socket.socket, data: bytes) -> None:
        connection.sendall(data)
        self.done.sent += len(data)

    def ask(self, connection: socket.socket, path: str, body: bytes) -> bytes:
        """POST, and the body of the answer."""
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self.send(connection, head.encode() + body)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += _more(connection)
        length = re.search(rb"content-length: *(\d+)", answer[:end], re.IGNORECASE)
        whole = end + 4 + (int(length[1]) if length else 0)
        while len(answer) < whole:
            answer += _more(connection)
        self.done.requests += 1
        return answer[end + 4 :]


def _more(connection: socket.socket) -> bytes:
    if not (data := connection.recv(_BLOCK)):
        raise ConnectionResetError
    return data


def _until_closed(connection: socket.socket) -> None:
    """Wait for the server to close, though not for ever."""
    connection.settimeout(0.5)
    while connection.recv(_BLOCK):
        pass


def idle(flooder: Flooder) -> None:
    """Connections that say nothing, as fast as they can be opened."""
    most = (
        min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _MOST_HELD) // _IDLE_THREADS - 5
    )
    held: deque[socket.socket] = deque()
    while True:
        with contextlib.suppress(OSError):
            held.append(flooder.dial())
        if len(held) > most:
            held.popleft().close()


def trickle(flooder: Flooder) -> None:
    """200 connections on which a request comes, a byte at a time."""
    head = b"GET /accessories HTTP/1.1\r\nHost: x\r\nX: "
    slots: list[tuple[socket.socket, int] | None] = [None] * _TRICKLES
    while True:
        begin = time.monotonic()
        for index, slot in enumerate(slots):
            try:
                connection, at = slot or (flooder.dial(), 0)
                flooder.send(connection, head[at : at + 1] or b"x")
                slots[index] = (connection, at + 1)
            except OSError:
                slots[index] = None
        time.sleep(max(begin + _TRICKLE_SECONDS - time.monotonic(), 0))


_POST = b"POST /pair-setup HTTP/1.1\r\nHost: x\r\n"


def long_body(flooder: Flooder) -> None:
    """A body of 10^11 bytes."""
    with flooder.dial() as connection:
        flooder.send(connection, b"%bContent-Length: 100000000000\r\n\r\n" % _POST)
        while True:
            flooder.send(connection, bytes(_BLOCK))


def endless_chunks(flooder: Flooder) -> None:
    """A body in chunks without a last one."""
    chunk = b"%x\r\n%b\r\n" % (_BLOCK, bytes(_BLOCK))
    with flooder.dial() as connection:
        flooder.send(connection, b"%bTransfer-Encoding: chunked\r\n\r\n" % _POST)
        while True:
            flooder.send(connection, chunk)


def long_headers(flooder: Flooder) -> None:
    """20 KB of headers, on a new connection each time."""
    with flooder.dial() as connection:
        head = b"GET /accessories HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % (b"x" * 20_000)
        flooder.send(connection, head)
        flooder.done.requests += 1
        _until_closed(connection)


def verify_m1(flooder: Flooder) -> None:
    """Pair-verify begun again and again, with a good key."""
    public = X25519PrivateKey.generate().public_key().public_bytes_raw()
    body = _tlv((TLV.kTLVType_State, b"\1"), (TLV.kTLVType_PublicKey, public))
    with flooder.dial() as connection:
        while True:
            flooder.ask(connection, "/pair-verify", body)


_SETUP_M1 = ((TLV.kTLVType_State, b"\1"), (TLV.kTLVType_Method, b"\0"))


def setup_m1(flooder: Flooder) -> None:
    """Pair-setup begun again and again."""
    with flooder.dial() as connection:
        while True:
            flooder.ask(connection, "/pair-setup", _tlv(*_SETUP_M1))


def guess(flooder: Flooder) -> None:
    """Wrong codes. Only those are counted, and not what is refused before."""
    with flooder.dial() as connection:
        while True:
            challenge = flooder.ask(connection, "/pair-setup", _tlv(*_SETUP_M1))
            flooder.done.requests -= 1
            if TLV.kTLVType_Salt in dict(TLV.decode_bytes(challenge)):
                wrong = _tlv(
                    (TLV.kTLVType_State, b"\3"),
                    (TLV.kTLVType_PublicKey, b"\1" + os.urandom(383)),
                    (TLV.kTLVType_Proof, os.urandom(64)),
                )
                flooder.ask(connection, "/pair-setup", wrong)


def garbage(flooder: Flooder) -> None:
    """Bytes that are no HTTP, on a new connection each time."""
    with flooder.dial() as connection:
        flooder.send(connection, os.urandom(512) + b"\r\n\r\n")
        flooder.done.requests += 1
        _until_closed(connection)


def garbage_frames(flooder: Flooder) -> None:
    """Bytes that are no encrypted frame, after a pair-verify with a controller's keys."""
    with flooder.dial() as connection:
        exchange: Generator[Any, Any, object] = get_session_keys(flooder.keys)
        request, _ = next(exchange)
        with contextlib.suppress(StopIteration):
            while True:
                answer = flooder.ask(connection, "/pair-verify", _tlv(*request))
                request, _ = exchange.send(TLV.decode_bytes(answer))
        # In turn a wrong tag, and a frame that is longer than any may be.
        length = 1024 if flooder.done.connections % 2 else 0xFFFF
        frame = length.to_bytes(2, "little") + os.urandom(length + 16)
        flooder.send(connection, frame)
        _until_closed(connection)


_TINY = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 500


def pipeline(flooder: Flooder) -> None:
    """Tiny requests, many in a segment; the answers are read."""
    with flooder.dial() as connection:
        connection.setblocking(False)
        rest = _TINY
        while True:
            readable, writable, _ = select.select([connection], [connection], [], 5)
            if readable:
                _more(connection)
            if writable:
                sent = connection.send(rest)
                flooder.done.sent += sent
                rest = rest[sent:] or _TINY


def pipeline_unread(flooder: Flooder) -> None:
    """Tiny requests, many in a segment; the answers are never read."""
    with flooder.dial() as connection:
        while True:
            flooder.send(connection, _TINY)


def _tlv(*values: tuple[int, bytes]) -> bytes:
    return bytes(TLV.encode_list(list(values)))


#: The flood, and by how many threads.
FLOODS: dict[str, tuple[Callable[[Flooder], None], int]] = {
    "idle": (idle, _IDLE_THREADS),
    "trickle": (trickle, 1),
    "long_body": (long_body, 8),
    "endless_chunks": (endless_chunks, 8),
    "long_headers": (long_headers, 16),
    "verify_m1": (verify_m1, 8),
    "setup_m1": (setup_m1, 8),
    "guess": (guess, 8),
    "garbage": (garbage, 16),
    "garbage_frames": (garbage_frames, 8),
    "pipeline": (pipeline, 8),
    "pipeline_unread": (pipeline_unread, 8),
}
