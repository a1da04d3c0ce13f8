"""Attacks on HTTP and on the frames of an encrypted connection: size and nonsense."""

from __future__ import annotations

import asyncio
import os

from tests.e2e.door.client import Client, request
from tests.e2e.door.expectations import (
    expect_closed,
    expect_status,
    expect_too_large,
)
from tests.e2e.door.servers import Server

MIB = 2**20

#: More than any of this takes; a megabyte for each connection would be more.
GROWTH = 32 * MIB

GET = b"GET /accessories HTTP/1.1\r\nHost: bridge\r\n"
PAIR_SETUP = b"POST /pair-setup HTTP/1.1\r\nHost: bridge\r\n"


async def announced_body(server: Server, length: int) -> None:
    """Announce a body that is too large, and begin with it."""
    async with await server.connect() as client:
        client.write(PAIR_SETUP + b"Content-Length: %d\r\n\r\n" % length + bytes(2000))
        await expect_too_large(client, f"a body of {length} bytes")


async def chunks_without_end(server: Server) -> None:
    """Send a body in chunks, of which none is the last."""
    async with await server.connect() as client:
        client.write(PAIR_SETUP + b"Transfer-Encoding: chunked\r\n\r\n")
        client.write(b"400\r\n" + bytes(1024) + b"\r\n")
        await client.drain()
        client.write(4 * (b"400\r\n" + bytes(1024) + b"\r\n"))
        await expect_too_large(client, "endless chunks")


async def large_headers(server: Server, data: bytes) -> None:
    """Send a request whose headers are too large."""
    async with await server.connect() as client:
        client.write(data)
        await expect_too_large(client, f"{len(data)} bytes of headers")


LARGE_HEADERS = {
    "one without an end": GET + b"X: " + b"x" * 20_000,
    "many without an end": GET + b"X: y\r\n" * 3000,
    "whole": GET + b"X: " + b"x" * 9000 + b"\r\n\r\n",
    "many, and whole": GET + b"X: y\r\n" * 3000 + b"\r\n",
    "a path without an end": b"GET /" + b"x" * 20_000,
    "a whole path": b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: bridge\r\n\r\n",
}


async def memory(server: Server) -> None:
    """Send and send, whatever the answer."""
    before = server.resident
    bodies = (
        PAIR_SETUP + b"Content-Length: 100000000000\r\n\r\n",
        PAIR_SETUP + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        b"GET /" + b"a" * 100,
    )
    for body in bodies:
        async with await server.connect() as client:
            await pour(client, body, 64 * MIB)
            grown = server.resident - before
            assert grown < GROWTH, f"took {grown // MIB} MiB"


async def pour(client: Client, head: bytes, most: int) -> int:
    """Send `head` and then bytes until the server closes; how many it took."""
    sent = 0
    try:
        client.write(head)
        while sent < most and not client.is_closing:
            client.write(b"a" * 2**16)
            sent += 2**16
            await client.drain()
    except ConnectionError:
        return sent
    except TimeoutError:
        raise AssertionError("neither taken nor closed") from None
    return sent


async def large_requests_of_a_controller(server: Server) -> None:
    """Send too much as a paired controller; what is only large is answered."""
    async with await server.session() as client:
        # Large, and nonsense, but not too large.
        expect_status(await client.put("/characteristics", b" " * 200_000), 400)
        client.send(
            b"PUT /characteristics HTTP/1.1\r\nHost: bridge\r\n"
            b"Content-Length: 300000\r\n\r\n"
        )
        await expect_too_large(client, "300 kB after pair-verify")
    async with await server.session() as client:
        client.send(b"GET /accessories HTTP/1.1\r\nX: " + b"x" * 9000)
        await expect_too_large(client, "9 kB of headers after pair-verify")


async def bad_http(server: Server, data: bytes) -> None:
    """Send what is no HTTP; 400 or nothing, and the end."""
    async with await server.connect() as client:
        client.write(data)
        try:
            said = await client.closed()
        except TimeoutError:
            raise AssertionError("still open after what is no HTTP") from None
    assert not said or b"HTTP/1.1 400 " in said, said


NO_HTTP = {
    "TLS": b"\x16\x03\x01" * 50,
    "a request without a version": b"GET\r\n\r\n",
    "zeros": bytes(5000) + b"\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a negative length": PAIR_SETUP + b"Content-Length: -1\r\n\r\n",
    "a length in words": PAIR_SETUP + b"Content-Length: many\r\n\r\n",
    "two lengths": PAIR_SETUP + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "bad chunks": PAIR_SETUP + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "an unknown coding": PAIR_SETUP + b"Transfer-Encoding: gzip\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost bridge\r\n\r\n",
    "no host": b"GET /accessories HTTP/1.1\r\n\r\n",
}


# -- encrypted ---------------------------------------------------------------------------


async def long_frame(server: Server) -> None:
    """Encrypt a right request in one frame of more than 1024 bytes."""
    async with await server.session() as client:
        assert client.outbound is not None
        plain = request("GET", "/accessories", headers=[("X", "x" * 1200)])
        client.write(client.outbound.seal(plain, size=len(plain)))
        await expect_closed(client, f"a frame of {len(plain)} bytes")


async def long_length(server: Server) -> None:
    """Announce a frame of 65535 bytes, and send none of it."""
    async with await server.session() as client:
        client.write(b"\xff\xff")
        await expect_closed(client, "the length of a frame of 65535 bytes")


async def full_frame(server: Server) -> None:
    """Send a frame of exactly 1024 bytes, one byte at a time, and the rest behind it."""
    async with await server.session() as client:
        assert client.outbound is not None
        plain = request("GET", "/accessories", headers=[("X", "x" * 1200)])
        sealed = client.outbound.seal(plain)
        for at in range(30):
            client.write(sealed[at : at + 1])
            await client.drain()
        client.write(sealed[30:])
        expect_status(await client.receive(), 200)


async def wrong_tag(server: Server) -> None:
    """Change one bit of a frame on its way."""
    async with await server.session() as client:
        assert client.outbound is not None
        sealed = bytearray(client.outbound.seal(request("GET", "/accessories")))
        sealed[10] ^= 1
        client.write(bytes(sealed))
        await expect_closed(client, "a frame that was changed")


async def replayed_frame(server: Server) -> None:
    """Send a frame again that was heard on the network."""
    async with await server.session() as client:
        assert client.outbound is not None
        sealed = client.outbound.seal(request("GET", "/accessories"))
        client.write(sealed)
        expect_status(await client.receive(), 200)
        client.write(sealed)
        await expect_closed(client, "a frame that was sent before")


async def encrypted_garbage(server: Server) -> None:
    """Send random bytes instead of frames."""
    async with await server.session() as client:
        client.write(b"\x00\x01" + os.urandom(400))
        await expect_closed(client, "random bytes")


async def plaintext_later(server: Server) -> None:
    """Send a request in plaintext on an encrypted connection."""
    async with await server.session() as client:
        client.write(request("GET", "/accessories"))
        await expect_closed(client, "plaintext")


async def slow_request(server: Server) -> None:
    """Send a request in pieces, which is nothing bad."""
    async with await server.connect() as client:
        for byte in request("GET", "/accessories"):
            client.write(bytes([byte]))
            await asyncio.sleep(0)
        expect_status(await client.receive(), 470)
