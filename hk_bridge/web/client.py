"""Asks a bridge that runs, by the socket in its state directory."""

from __future__ import annotations

import asyncio
import errno
import socket
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp

from hk_bridge.errors import LinkError
from hk_bridge.web.socket_path import socket_path

#: A bridge answers in milliseconds; resetting takes the time of a goodbye.
_ANSWER_SECONDS: Final = 10.0

#: Where many ask at once, how long to wait before trying to get into the queue again.
_PAUSE_SECONDS: Final = 0.05

_NOBODY: Final = (FileNotFoundError, ConnectionRefusedError)


def runs(directory: Path) -> bool:
    """Whether a bridge seems to run with this state directory: `ask` tells for sure.

    A socket that a crash has left is none.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            with socket_path(directory) as address:
                probe.connect(address)
        except _NOBODY:
            return False
        except OSError:
            return True
    return True


async def ask(
    directory: Path, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The JSON with which the bridge answers to `body`, where there is one.

    What it has to say of a configuration with mistakes is an answer, too. Raises LinkError
    where none runs with this state directory, it does not answer, or it cannot do what it
    is asked for.
    """
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            with socket_path(directory) as address:
                status, answer = await _answer(address, method, path, body)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise LinkError(_why_not(directory, error)) from error
    if not isinstance(answer, dict):
        raise LinkError(f"what answers in {directory} is no bridge")
    if status >= HTTPStatus.BAD_REQUEST and "problems" not in answer:
        raise LinkError(str(answer.get("error", "the bridge refuses")))
    return answer


async def _answer(
    address: str, method: str, path: str, body: dict[str, Any] | None
) -> tuple[int, object]:
    """Status code and JSON, once it is our turn."""
    while True:
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(address)) as session,
                session.request(method, f"http://bridge{path}", json=body) as response,
            ):
                return response.status, await response.json()
        except OSError as error:
            # asyncio takes a queue without room for a connection.
            if error.errno != errno.ENOTCONN:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)


def _why_not(directory: Path, error: Exception) -> str:
    cause = getattr(error, "os_error", error)
    if isinstance(cause, _NOBODY):
        return (
            f"no bridge runs with the state directory {directory}. Start it with: "
            "hk-bridge run (or hk-bridge run --simulate). If one runs with another "
            "directory, name that: --state-dir DIR"
        )
    if isinstance(cause, PermissionError):
        return (
            f"the bridge in {directory} belongs to another user. Type: sudo hk-bridge …, "
            "or become that user"
        )
    if isinstance(cause, TimeoutError):
        return f"the bridge in {directory} does not answer. See its log, or restart it"
    return f"the bridge in {directory} cannot be asked: {error}"
