"""The serial link on network serial servers, and on a terminal that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Final, Self

import pytest
import serial

from hk_bridge import supervision
from hk_bridge.errors import LinkError
from hk_bridge.links import open_port, serial_port
from hk_bridge.links.line_schedule import LineSettings
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.supervision import Supervisor
from tests.fakes.board import BoardEmulator
from tests.fakes.serial_servers import Rfc2217Server, SocketServer
from tests.links.waiting import PATIENCE, loss, running, until

# pyserial names its threads as it always did.
pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")

#: Each level once.
ONCE: Final = LineSettings(repeat=0, refresh=0)

#: Each level again and again, as fast as it can be written.
FLOOD: Final = LineSettings(baudrate=900_000, repeat=0, refresh=1e-6)

#: How often the loop comes round, and how often at least while something hangs.
BEAT_SECONDS: Final = 0.01
FEW_BEATS: Final = 5

both_kinds = pytest.mark.parametrize("kind", [SocketServer, Rfc2217Server])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is gone be noticed, and tried again, in no time."""
    monkeypatch.setattr(serial_port, "_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(supervision, "_FIRST_DELAY", 0.02)
    monkeypatch.setattr(supervision, "_LONGEST_DELAY", 0.02)
    # pyserial waits for servers by the clock, and after closing for no reason of ours.
    for module in ("serial.rfc2217", "serial.urlhandler.protocol_socket"):
        shorter = SimpleNamespace(sleep=lambda seconds: time.sleep(seconds / 10))
        monkeypatch.setattr(f"{module}.time", shorter)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The ports of pyserial that are opened from now on."""
    opened: list[Any] = []
    open_ = serial.serial_for_url

    def noted(*args: Any, **kwargs: Any) -> Any:
        opened.append(open_(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(serial, "serial_for_url", noted)
    return opened


@asynccontextmanager
async def supervised(link: SerialLink, levels: dict[int, int]) -> AsyncIterator[Supervisor]:
    """A link that is opened again and again, and then sends `levels`."""

    def resend() -> None:
        for channel, level in levels.items():
            link.submit(channel, level)

    supervisor = Supervisor(link, resend)
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Heart:
    """Counts how often the loop comes round."""

    def __init__(self) -> None:
        self.beats = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.beats += 1


# -- servers that come and go -------------------------------------------------------------


@both_kinds
async def test_a_server_that_was_killed_is_noticed_and_used_again_when_it_is_back(
    kind: type[SocketServer],
) -> None:
    with kind() as server:
        link = SerialLink(server.url, ONCE)
        levels = {1: 5}
        async with supervised(link, levels) as supervisor:
            await until(lambda: server.board.frames)

            server.kill()
            await until(lambda: not link.is_open)
            with pytest.raises(LinkError) as caught:
                link.submit(1, 99)
            assert str(caught.value).startswith(f"serial port {server.url} ")
            await until(lambda: "nothing listens at 127.0.0.1" in supervisor.state.text)

            server.start()
            levels[2] = 7
            await until(lambda: len(server.board.frames) == 3)
            await until(lambda: supervisor.state.is_up)
            link.submit(1, 6)
            await until(lambda: len(server.board.frames) == 4)
    assert [frame.hex(" ") for frame in server.board.frames] == [
        "0a ff 55 01 05 00 05 dc 0a",
        "0a ff 55 01 05 07 05 dc 0a",
        "0a ff 55 02 05 07 05 dc 0a",
        "0a ff 55 01 06 07 05 dc 0a",
    ]


@both_kinds
async def test_a_server_that_hangs_up_says_so(kind: type[SocketServer]) -> None:
    with kind() as server:
        async with running(SerialLink(server.url, ONCE)) as task:
            await until(lambda: server.clients)
            server.kill(reset=True)
            assert await loss(task) == (
                f"serial port {server.url} was hung up by the server at 127.0.0.1, TCP "
                f"port {server.port}. Many serve one client at a time: is there another?"
            )


@both_kinds
async def test_a_server_is_asked_for_the_settings_and_for_no_delays(
    kind: type[SocketServer], lines: list[Any]
) -> None:
    with kind() as server:
        async with running(SerialLink(server.url, LineSettings(baudrate=19200))):
            (line,) = lines
            options = [
                line._socket.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_NODELAY, _user_timeout())
            ]
            assert options == [1, 3000]
        if isinstance(server, Rfc2217Server):
            port = server.serial_port
            assert (port.baudrate, port.bytesize, port.parity) == (19200, 8, "N")
            assert (port.stopbits, port.xonxoff, port.rtscts) == (1, False, False)


def _user_timeout() -> int:
    assert sys.platform == "linux"
    return socket.TCP_USER_TIMEOUT


def fill(line: Any) -> None:
    """Have nothing more fit between a port and a server that hangs."""
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(line._socket.fileno(), bytes(65536))


# -- servers that hang --------------------------------------------------------------------


async def test_a_quiet_rfc2217_server_that_hangs_is_noticed_for_it_answers_no_question(
    lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "_ASK_SECONDS", 0.02)
    with Rfc2217Server() as server:
        link = SerialLink(server.url, ONCE)
        async with running(link) as task, Heart() as heart:
            # One that does not hang answers each time.
            await until(lambda: heart.beats >= 20)
            assert not task.done()
            lines[0]._network_timeout = 0.2
            server.hang()
            beats = heart.beats
            said = await loss(task)
            assert said.startswith(f"serial port {server.url} does not answer any more")
            assert heart.beats - beats >= FEW_BEATS
            with pytest.raises(LinkError):
                link.submit(1, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives up on such servers")
@both_kinds
async def test_a_server_that_takes_nothing_any_more_is_noticed_by_what_it_leaves(
    kind: type[SocketServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_port, "_NETWORK_SECONDS", 0.1)
    with kind() as server:
        link = SerialLink(server.url, FLOOD)
        async with running(link) as task, Heart() as heart:
            link.submit(1, 5)
            await until(lambda: server.board.frames)
            server.hang()
            beats = heart.beats
            said = await loss(task)
            assert said.startswith(f"serial port {server.url} ")
            assert heart.beats - beats >= FEW_BEATS
            with pytest.raises(LinkError):
                link.submit(1, 1)


async def test_a_server_that_is_full_to_the_brim_is_given_up(
    lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "_WRITE_TIMEOUT", 0.1)
    monkeypatch.setattr(open_port, "_NETWORK_SECONDS", PATIENCE)
    with SocketServer() as server:
        link = SerialLink(server.url, FLOOD)
        async with running(link) as task, Heart() as heart:
            link.submit(1, 5)
            await until(lambda: server.board.frames)
            server.hang()
            beats = heart.beats
            fill(lines[0])
            assert await loss(task) == (
                f"serial port {server.url} takes no bytes any more. Does the server hang?"
            )
            assert heart.beats - beats >= FEW_BEATS


async def test_a_server_that_hangs_from_the_start_holds_up_nothing_else() -> None:
    with Rfc2217Server() as server:
        server.hang()
        link = SerialLink(f"{server.url}?timeout=0.2", ONCE)
        async with Heart() as heart:
            said = await loss(asyncio.create_task(link.run(lambda _state: None)))
            assert said == (
                f"serial port {server.url}?timeout=0.2 does not answer as RFC 2217 wants "
                "it. Does the server hang? If it speaks plain TCP alone, use "
                f"socket://127.0.0.1:{server.port}"
            )
            assert heart.beats >= FEW_BEATS


class Writes:
    """Watches the writes to a port of pyserial, from now on."""

    def __init__(self, line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = self.ended = 0
        self._seen = self._since = 0
        write = line.write

        def watched(data: bytes) -> Any:
            self.begun += 1
            try:
                return write(data)
            finally:
                self.ended += 1

        monkeypatch.setattr(line, "write", watched)

    def are_stuck_for(self, now: int) -> int:
        """For how long the same write has been seen not to end, in the unit of `now`."""
        if self.begun == self.ended or self.begun != self._seen:
            self._seen, self._since = self.begun, now
        return now - self._since


async def test_the_end_waits_a_moment_for_a_server_that_is_stuck_and_no_longer(
    lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "_CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(open_port, "_NETWORK_SECONDS", PATIENCE)
    with Rfc2217Server() as server:
        others = set(threading.enumerate())
        link = SerialLink(server.url, FLOOD)
        async with running(link) as task, Heart() as heart:
            writes = Writes(lines[0], monkeypatch)
            link.submit(1, 5)
            await until(lambda: server.board.frames)
            server.hang()
            fill(lines[0])
            await until(lambda: writes.are_stuck_for(heart.beats) >= FEW_BEATS)
            beats = heart.beats
            async with asyncio.timeout(PATIENCE):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            assert heart.beats - beats >= FEW_BEATS
            assert writes.begun > writes.ended
        server.kill(reset=True)
        await until(lambda: set(threading.enumerate()) <= others)


async def test_a_port_that_takes_its_time_to_close_holds_up_nothing_else(
    lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # pyserial gives servers a moment there.
    monkeypatch.setattr("serial.urlhandler.protocol_socket.time", time)
    with SocketServer() as server:
        async with running(SerialLink(server.url, ONCE)) as task, Heart() as heart:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert heart.beats >= FEW_BEATS
            assert not lines[0].is_open
        await until(lambda: not server.clients)


# -- a terminal that comes and goes -------------------------------------------------------


async def test_a_terminal_that_vanishes_in_a_flood_is_found_again_by_its_lasting_name(
    board: BoardEmulator,
) -> None:
    link = SerialLink(board.port, FLOOD)
    levels = {1: 5, 2: 6}
    async with supervised(link, levels) as supervisor:
        for _ in range(3):
            await until(lambda: board.levels == levels)
            line = board.tty
            board.unplug()
            board.model.lose_power()
            await until(lambda: not link.is_open)
            await until(lambda: "is not there" in supervisor.state.text)
            with pytest.raises(LinkError):
                link.submit(1, 99)
            # The kernel has another name for it now, udev the same.
            board.replug()
            assert board.tty != line
            levels[1] += 1
        await until(lambda: board.levels == levels)


async def test_a_terminal_that_comes_back_under_another_name_is_another_one(
    board: BoardEmulator,
) -> None:
    name = board.port
    link = SerialLink(name, ONCE)
    async with supervised(link, {1: 5}) as supervisor:
        await until(lambda: board.levels == {1: 5})
        board.replug("usb-dimmer-port1")
        board.model.lose_power()
        await until(lambda: "is not there" in supervisor.state.text)
        assert supervisor.state.text.startswith(f"serial port {name} ")
        assert not board.opened
        board.replug("usb-dimmer-port0")
        await until(lambda: board.levels == {1: 5})
