"""Asking a bridge: what a person reads where that cannot be done."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from hk_bridge.errors import LinkError
from hk_bridge.web import client
from hk_bridge.web.client import ask, runs
from tests.fakes.users import another_user

PATIENCE: Final = 20.0
OK: Final = "HTTP/1.1 200 OK\r\nContent-Type: application/json"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(directory: Path, serve: Serve) -> AsyncIterator[None]:
    """Somebody in the place of a bridge."""
    path = str(directory / "bridge.sock")
    async with await asyncio.start_unix_server(serve, path) as server:
        yield
        server.close()


def answering(head: str, body: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            length = f"\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + length.encode() + body)
        writer.close()

    return serve


async def refusal(directory: Path) -> str:
    with pytest.raises(LinkError) as caught:
        async with asyncio.timeout(PATIENCE):
            await ask(directory, "GET", "/status")
    return str(caught.value)


def leave_a_socket_behind(directory: Path) -> None:
    """What a bridge leaves that was killed, or had its power cut."""
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(directory / "bridge.sock"))
        crashed.listen()


# -- where no bridge runs -----------------------------------------------------------------


async def test_where_nothing_is_no_bridge_runs(tmp_path: Path) -> None:
    long = tmp_path.joinpath(*["d" * 60] * 3)
    for directory in (tmp_path, tmp_path / "gone", long):
        assert not runs(directory)
        told = await refusal(directory)
        assert told.startswith(f"no bridge runs with the state directory {directory}. ")
        assert "hk-bridge run" in told
        assert "--state-dir" in told


async def test_a_socket_that_a_crash_has_left_is_no_bridge(tmp_path: Path) -> None:
    leave_a_socket_behind(tmp_path)
    assert not runs(tmp_path)
    assert (await refusal(tmp_path)).startswith("no bridge runs with the state directory")


async def test_what_is_no_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = await refusal(tmp_path / "file")
    assert told.startswith(f"the bridge in {tmp_path}/file cannot be asked: ")


async def test_a_bridge_of_another_user_is_said_with_what_to_type(tmp_path: Path) -> None:
    async with listening(tmp_path, answering(OK, b"{}")):
        with another_user():
            assert runs(tmp_path)
            told = await refusal(tmp_path)
    assert told.startswith(f"the bridge in {tmp_path} belongs to another user. Type: sudo ")


# -- where something answers --------------------------------------------------------------


async def test_an_answer_is_what_was_sent(tmp_path: Path) -> None:
    async with listening(tmp_path, answering(OK, '{"name": "Küche"}'.encode())):
        assert runs(tmp_path)
        assert await ask(tmp_path, "GET", "/status") == {"name": "Küche"}


async def test_an_error_of_the_bridge_is_its_own_words(tmp_path: Path) -> None:
    head = OK.replace("200 OK", "500 Sorry")
    async with listening(tmp_path, answering(head, b'{"error": "the disk is full"}')):
        assert await refusal(tmp_path) == "the disk is full"
    async with listening(tmp_path, answering(head, b"{}")):
        assert await refusal(tmp_path) == "the bridge refuses"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (OK, b""),
        (OK, b"{"),
        (OK, b"\xff\xfe\x00"),
        (OK, b'"text"'),
        (OK, b"[1]"),
        (OK + "; charset=moon", b"{"),
        (OK.replace("application/json", "text/html"), b"<html>"),
        (OK.replace("200 OK", "302 Found\r\nLocation: http://[moon"), b"{}"),
        ("SSH-2.0", b""),
        ("", b""),
    ],
)
async def test_whatever_else_answers_is_no_bridge(
    tmp_path: Path, head: str, body: bytes
) -> None:
    async with listening(tmp_path, answering(head, body)):
        told = await refusal(tmp_path)
    assert str(tmp_path) in told


async def test_one_that_hangs_up_is_said(tmp_path: Path) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(tmp_path, serve):
        assert "cannot be asked" in await refusal(tmp_path)


async def test_one_that_says_nothing_is_given_up_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_ANSWER_SECONDS", 0.1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(tmp_path, serve):
        told = await refusal(tmp_path)
    assert told == f"the bridge in {tmp_path} does not answer. See its log, or restart it"


# -- a queue that is full -----------------------------------------------------------------


@asynccontextmanager
async def a_full_queue(directory: Path) -> AsyncIterator[socket.socket]:
    """A socket that listens, with as many before it as can wait."""
    with ExitStack() as stack:
        bridge = stack.enter_context(socket.socket(socket.AF_UNIX))
        path = str(directory / "bridge.sock")
        bridge.bind(path)
        bridge.listen(1)
        bridge.setblocking(False)
        while True:
            visitor = stack.enter_context(socket.socket(socket.AF_UNIX))
            visitor.setblocking(False)
            if visitor.connect_ex(path) == errno.EAGAIN:
                break
        yield bridge


async def test_a_bridge_that_lets_nobody_in_is_given_up_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_ANSWER_SECONDS", 0.3)
    async with a_full_queue(tmp_path):
        assert runs(tmp_path)
        assert "does not answer. See its log" in await refusal(tmp_path)


async def test_a_full_queue_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = asyncio.Event()

    async def pause(_seconds: float) -> None:
        refused.set()
        await sleep(0.001)

    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", pause)
    async with a_full_queue(tmp_path) as bridge, asyncio.timeout(PATIENCE):
        asking = asyncio.create_task(ask(tmp_path, "GET", "/status"))
        await refused.wait()
        server = await asyncio.start_unix_server(answering(OK, b"{}"), sock=bridge)
        assert await asking == {}
        server.close()
