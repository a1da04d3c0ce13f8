"""Serves the application on a Unix socket that its owner alone can open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from hk_bridge.web.socket_path import NAME, socket_path

if TYPE_CHECKING:
    from aiohttp import web

    from hk_bridge.web.actions import Actions

_LOG = logging.getLogger(__name__)

#: Requests that are under way when the bridge ends get that long.
_SHUTDOWN_SECONDS: Final = 0.5

_KEEP_ALIVE_SECONDS: Final = 15.0

#: Those who ask at the same time wait here, longest while the application is loaded.
_QUEUE: Final = 32

#: Connections at the same time: each takes a file descriptor, which controllers need too.
_MOST: Final = 64


class ControlServer:
    """The socket in a state directory, which is this process's own.

    Where it cannot be had, that is said, and the bridge goes on without.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._listening: socket.socket | None = None

    def listen(self) -> None:
        """Have whoever asks wait until `run` answers."""
        try:
            self._listening = _listen(self._directory)
        except OSError as error:
            _LOG.warning(
                "hk-bridge status will not work: no socket can be made in %s: %s",
                self._directory,
                error.strerror or error,
            )

    async def run(self, actions: Actions) -> None:
        """Answer until cancelled."""
        if self._listening is None:
            return
        try:
            await _somebody_asks(self._listening)
            # It takes time and memory, and most of the time nobody asks.
            runner = await asyncio.to_thread(_make_runner, actions)
            await runner.setup()
            try:
                await _serve(runner, self._listening)
            finally:
                await runner.cleanup()
        finally:
            self.close()

    def close(self) -> None:
        """Be no longer there to be asked; a second time does nothing."""
        if self._listening is not None:
            with contextlib.suppress(OSError):
                (self._directory / NAME).unlink()
            self._listening.close()
            self._listening = None


def _listen(directory: Path) -> socket.socket:
    """A listening socket, in the place of one that a crash has left. Raises OSError."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_path(directory) as path:
            with contextlib.suppress(FileNotFoundError):
                Path(path).unlink()
            # So that nobody else can connect in the moment before a chmod.
            before = os.umask(0o177)
            try:
                listening.bind(path)
            finally:
                os.umask(before)
        listening.listen(_QUEUE)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


async def _somebody_asks(listening: socket.socket) -> None:
    """Return once the first connection waits to be accepted."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    loop.add_reader(listening, asked.set)
    try:
        await asked.wait()
    finally:
        loop.remove_reader(listening)


async def _serve(runner: web.AppRunner, listening: socket.socket) -> None:
    """Answer until cancelled."""
    protocols = _protocols(cast("web.Server", runner.server))  # it has been set up
    server = await asyncio.get_running_loop().create_unix_server(
        protocols, sock=listening, backlog=_QUEUE
    )
    try:
        await asyncio.Event().wait()
    finally:
        server.close()


def _protocols(server: web.Server) -> Callable[[], asyncio.Protocol]:
    """What makes a protocol for each connection, and hangs up on the oldest of too many.

    Whoever means it has had an answer long before.
    """

    def make_protocol() -> asyncio.Protocol:
        connections = server.connections
        for connection in connections[: max(0, len(connections) - _MOST + 1)]:
            connection.force_close()
        return server()

    return make_protocol


def _is_news(record: logging.LogRecord) -> bool:
    """Whether this is not about bytes that are no request: those have got their answer."""
    from aiohttp.http_exceptions import HttpProcessingError  # noqa: PLC0415 # see ControlServer.run

    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


def _make_runner(actions: Actions) -> web.AppRunner:
    from aiohttp import web  # noqa: PLC0415 # see ControlServer.run

    from hk_bridge.web.application import make_application  # noqa: PLC0415 # see ControlServer.run

    log = _LOG.getChild("requests")
    log.addFilter(_is_news)
    return web.AppRunner(
        make_application(actions),
        access_log=None,
        logger=log,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
    )
