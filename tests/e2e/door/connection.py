"""A connection to a bridge: raw bytes, HTTP requests, encrypted frames."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.e2e.door.tlv import ERROR, METHOD, Value, state, tlv, untlv

LOOPBACK = "127.0.0.1"

#: Long enough for the slowest machine; answers take milliseconds.
PATIENCE = 30.0

#: The most that a frame may hold.
FRAME = 1024


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, or an event."""

    status: int
    headers: dict[str, str]
    body: bytes
    protocol: str = "HTTP/1.1"

    @property
    def tlv(self) -> dict[int, bytes]:
        return untlv(self.body)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> int | None:
        """The Error of a TLV answer."""
        value = self.tlv.get(ERROR)
        return None if value is None else value[0]


class ClosedError(ConnectionError):
    """The server closed the connection instead of answering."""


def derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA512(), 32, salt, info).derive(key)


class Frames:
    """One direction of an encrypted connection."""

    def __init__(self, shared: bytes, info: bytes) -> None:
        self._cipher = ChaCha20Poly1305(derive(shared, b"Control-Salt", info))
        self._count = 0
        self._held = bytearray()

    def seal(self, plain: bytes, size: int = FRAME) -> bytes:
        """`plain` in frames of at most `size` bytes, which may be more than is allowed."""
        sealed = b""
        for at in range(0, len(plain), size):
            part = plain[at : at + size]
            length = struct.pack("<H", len(part))
            sealed += length + self._cipher.encrypt(self._nonce(), part, length)
        return sealed

    def open(self, data: bytes) -> bytes:
        """What the frames hold that are whole by now."""
        self._held += data
        plain = b""
        while len(self._held) >= 2:
            end = 2 + int.from_bytes(self._held[:2], "little") + 16
            if len(self._held) < end:
                break
            length, sealed = bytes(self._held[:2]), bytes(self._held[2:end])
            del self._held[:end]
            plain += self._cipher.decrypt(self._nonce(), sealed, length)
        return plain

    def _nonce(self) -> bytes:
        self._count += 1
        return struct.pack("<IQ", 0, self._count - 1)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._held = bytearray()
        self.inbound: Frames | None = None
        self.outbound: Frames | None = None
        self.events: list[Answer] = []
        #: How long answers are waited for.
        self.patience = PATIENCE

    @classmethod
    async def connect(cls, port: int, source: str = LOOPBACK) -> Self:
        """Connect to loopback; another `source`, such as 127.0.0.2, is another host."""
        # Bound by hand, a port of a client is in the way of one that a server listens on.
        local = None if source == LOOPBACK else (source, 0)
        async with asyncio.timeout(PATIENCE):
            return cls(*await asyncio.open_connection(LOOPBACK, port, local_addr=local))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._writer.close()

    def abort(self) -> None:
        """Close without a goodbye (RST)."""
        self._writer.transport.abort()

    @property
    def is_closing(self) -> bool:
        """Whether this end knows that the connection is over."""
        return self._writer.is_closing()

    @property
    def address(self) -> tuple[str, int]:
        """This end of the connection."""
        name: tuple[str, int] = self._writer.get_extra_info("sockname")
        return name

    # -- bytes ------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Put bytes on the wire as they are; nothing where the connection is over."""
        if not self.is_closing:
            self._writer.write(data)

    async def drain(self, patience: float | None = None) -> None:
        """Return once the server has taken most of what was written."""
        async with asyncio.timeout(self.patience if patience is None else patience):
            await self._writer.drain()

    def send(self, data: bytes) -> None:
        """Write, encrypted where the connection is."""
        self.write(self.outbound.seal(data) if self.outbound else data)

    def finish(self) -> None:
        """Say that nothing more will come, and go on listening."""
        self._writer.write_eof()

    def secure(self, shared: bytes) -> None:
        """Encrypt from here on, under the secret of a pair-verify."""
        self.outbound = Frames(shared, b"Control-Write-Encryption-Key")
        self.inbound = Frames(shared, b"Control-Read-Encryption-Key")

    async def _more(self) -> bool:
        """Wait for bytes; False where the server has closed."""
        try:
            data = await self._reader.read(2**16)
        except ConnectionError:
            data = b""
        self._held += self.inbound.open(data) if self.inbound else data
        return bool(data)

    async def _until(self, end: bytes) -> bytes:
        while (at := self._held.find(end)) < 0:
            if not await self._more():
                raise ClosedError(f"closed after {bytes(self._held[:100])!r}")
        return self._take(at + len(end))

    async def _exactly(self, count: int) -> bytes:
        while len(self._held) < count:
            if not await self._more():
                raise ClosedError("closed in the middle of an answer")
        return self._take(count)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken

    async def closed(self, patience: float | None = None) -> bytes:
        """Wait until the server closes; what it still had to say."""
        async with asyncio.timeout(self.patience if patience is None else patience):
            while await self._more():
                pass
        return self._take(len(self._held))

    @property
    def unread(self) -> bytes:
        """What has come and was not asked for."""
        return bytes(self._held)

    # -- HTTP -------------------------------------------------------------------------

    async def receive(self, patience: float | None = None) -> Answer:
        """The next answer; events before it go to `events`. Raises ClosedError."""
        async with asyncio.timeout(self.patience if patience is None else patience):
            while (answer := await self._message()).protocol.startswith("EVENT"):
                self.events.append(answer)
        return answer

    async def event(self, patience: float | None = None) -> Answer:
        """The next event. Raises ClosedError."""
        if self.events:
            return self.events.pop(0)
        async with asyncio.timeout(self.patience if patience is None else patience):
            message = await self._message()
        assert message.protocol == "EVENT/1.0", message
        return message

    async def _message(self) -> Answer:
        first, *lines = (await self._until(b"\r\n\r\n")).decode().strip().split("\r\n")
        protocol, status, *_ = first.split(" ", 2)
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self._until(b"\r\n"), 16):
                body += (await self._exactly(size + 2))[:-2]
            await self._until(b"\r\n")
        else:
            body = await self._exactly(int(headers.get("content-length", 0)))
        return Answer(int(status), headers, body, protocol)

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
    ) -> Answer:
        """Send a request and wait for the answer. Raises ClosedError."""
        self.send(request(method, path, body, headers))
        return await self.receive()

    async def get(self, path: str) -> Answer:
        return await self.request("GET", path)

    async def put(self, path: str, body: object) -> Answer:
        """PUT an object as JSON, or bytes as they are."""
        return await self.request(
            "PUT", path, body if isinstance(body, bytes) else json.dumps(body).encode()
        )

    async def pair_setup(self, *values: Value) -> Answer:
        return await self.request("POST", "/pair-setup", tlv(*values))

    async def pair_verify(self, *values: Value) -> Answer:
        return await self.request("POST", "/pair-verify", tlv(*values))

    async def pairings(self, method: int, *values: Value) -> Answer:
        return await self.request(
            "POST", "/pairings", tlv((METHOD, bytes([method])), state(1), *values)
        )


def request(
    method: str, path: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bridge"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def close_all(clients: Iterable[Client]) -> None:
    """Close several connections, and wait until they are."""
    for client in clients:
        client.close()
    for client in clients:
        with contextlib.suppress(ConnectionError):
            await client._writer.wait_closed()
