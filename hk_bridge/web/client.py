"""Asks a bridge that runs, by the socket in its state directory."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp

from hk_bridge.errors import LinkError
from hk_bridge.web.socket_path import NAME, socket_path

#: A bridge answers in milliseconds; resetting takes the time of a goodbye.
_ANSWER_SECONDS: Final = 10.0


def runs(directory: Path) -> bool:
    """Whether a bridge seems to run with this state directory: `ask` tells for sure."""
    return (directory / NAME).is_socket()


async def ask(directory: Path, method: str, path: str) -> dict[str, Any]:
    """The JSON with which the bridge answers.

    Raises LinkError where none runs with this state directory, it does not answer, or it
    cannot do what it is asked for.
    """
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    try:
        with socket_path(directory) as address:
            connector = aiohttp.UnixConnector(address)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.request(method, f"http://bridge{path}") as response,
            ):
                answer = await response.json()
                has_failed = response.status >= HTTPStatus.BAD_REQUEST
    except (aiohttp.ClientError, OSError, json.JSONDecodeError) as error:
        raise LinkError(_why_not(directory, error)) from error
    if not isinstance(answer, dict):
        raise LinkError(f"what answers in {directory} is no bridge")
    if has_failed:
        raise LinkError(str(answer.get("error", "the bridge refuses")))
    return answer


def _why_not(directory: Path, error: Exception) -> str:
    cause = getattr(error, "os_error", error)
    if isinstance(cause, FileNotFoundError | ConnectionRefusedError):
        return (
            f"no bridge runs with the state directory {directory}. Start it with: "
            "hk-bridge run. If one runs with another directory, name that: --state-dir DIR"
        )
    if isinstance(cause, PermissionError):
        return (
            f"the bridge in {directory} belongs to another user. Type: sudo hk-bridge …, "
            "or become that user"
        )
    if isinstance(cause, asyncio.TimeoutError):
        return f"the bridge in {directory} does not answer. See its log, or restart it"
    return f"the bridge in {directory} cannot be asked: {error}"
