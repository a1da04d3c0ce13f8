"""Requests of those who have not been through pair-verify, and for what is not there."""

from __future__ import annotations

from tests.e2e.door.expectations import (
    INSUFFICIENT_PRIVILEGES,
    expect,
    expect_json,
    expect_status,
)
from tests.e2e.door.servers import Server

PROTECTED = ("/accessories", "/characteristics", "/prepare", "/pairings")
UNKNOWN_PATHS = ("/", "/etc/passwd", "/pair-setup/", "/accessories/1", "*", "/PAIR-SETUP")


async def protected(server: Server, path: str, method: str = "GET") -> None:
    """Ask for what only a paired controller may have."""
    async with await server.connect() as client:
        answer = await client.request(method, path, b"" if method == "GET" else b"{}")
        expect_json(answer, 470, {"status": INSUFFICIENT_PRIVILEGES})


async def unknown(server: Server, path: str) -> None:
    """Ask for what is not there, as a stranger and as a controller."""
    async with await server.connect() as client:
        expect_status(await client.get(path), 404)
    async with await server.session() as client:
        expect_status(await client.get(path), 404)


async def unknown_method(server: Server) -> None:
    """Do what cannot be done with a path."""
    async with await server.connect() as client:
        for path in ("/pair-setup", "/pair-verify", "/identify"):
            expect_status(await client.get(path), 405)
    async with await server.session() as client:
        expect_status(await client.request("DELETE", "/accessories"), 405)
        expect_status(await client.request("POST", "/characteristics"), 405)
        expect_status(await client.get("/pairings"), 405)


async def identify(server: Server) -> None:
    """Have a bridge identify itself that nobody has paired, and then one that is."""
    async with await server.connect() as client:
        expect(await client.request("POST", "/identify"), 204)
        await server.home()
        expect_json(
            await client.request("POST", "/identify"),
            400,
            {"status": INSUFFICIENT_PRIVILEGES},
        )
