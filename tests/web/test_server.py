"""The socket of a running bridge: who can open it, and what comes through it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import resource
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from hk_bridge.errors import ConfigError, LinkError, Problem, StoreError
from hk_bridge.web import client, server
from hk_bridge.web.actions import Actions, LampRequest
from hk_bridge.web.server import ControlServer
from tests.test_cli import SAMPLE, running

PATIENCE: Final = 20.0
GET_STATUS: Final = b"GET /status HTTP/1.1\r\nHost: bridge\r\n\r\n"
#: PATIENCE as a struct timeval.
TIME_LIMIT: Final = struct.pack("ll", 20, 0)
#: So many files may the bridge have open that is crowded.
MOST_FILES: Final = 256


class Bridge:
    """What is asked through the socket."""

    def __init__(self) -> None:
        self.uptime = 5.0
        self.resets = 0
        self.reset_bridges: list[int | None] = []
        self.lamps: list[LampRequest] = []
        self.fails = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    @property
    def actions(self) -> Actions:
        return Actions(
            lambda: {"uptime": self.uptime}, self._reset, self._set_lamp, self._reload
        )

    async def _reload(self) -> dict[str, Any]:
        raise ConfigError("f", [Problem("accessories", 2, "found 5, allowed is a list")])

    def _set_lamp(self, request: LampRequest) -> dict[str, Any]:
        if request.channel == 2:
            raise LinkError(f"there is no lamp on channel 2 of {request.port}")
        self.lamps.append(request)
        return {"name": "Ceiling Light", "level": request.level}

    async def _reset(self, bridge: int | None) -> int:
        self.resets += 1
        self.reset_bridges.append(bridge)
        await self.goes_on.wait()
        if self.fails:
            raise StoreError("the disk is full; type: df -h")
        return 2


@asynccontextmanager
async def serving(directory: Path, bridge: Bridge | None = None) -> AsyncIterator[Bridge]:
    """A server in a directory, which has ended afterwards."""
    bridge = bridge or Bridge()
    control = ControlServer(directory)
    control.listen()
    task = asyncio.create_task(control.run(bridge.actions))
    try:
        yield bridge
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        control.close()


def files_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def answer(directory: Path, request: bytes) -> tuple[int, dict[str, str], Any]:
    """Status code, header fields in lower case, and what the body is as JSON."""
    reader, writer = await asyncio.open_unix_connection(str(directory / "bridge.sock"))
    async with asyncio.timeout(PATIENCE):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")[:-2]
        headers = dict(field.lower().split(": ", 1) for field in fields)
        body = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    return int(first.split()[1]), headers, json.loads(body)


def request(method: str, path: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: bridge\r\n\r\n".encode()


# -- what it answers ----------------------------------------------------------------------


async def test_it_answers_in_json(tmp_path: Path) -> None:
    async with serving(tmp_path) as bridge:
        code, headers, body = await answer(tmp_path, GET_STATUS)
        assert (code, body) == (200, {"uptime": 5.0})
        assert headers["content-type"] == "application/json; charset=utf-8"
        code, _, body = await answer(tmp_path, request("POST", "/pairing/reset"))
        assert (code, body, bridge.resets) == (200, {"controllers": 2}, 1)


async def test_a_lamp_is_set_by_what_is_asked_for(tmp_path: Path) -> None:
    wanted = LampRequest("/dev/ttyUSB0", 1, level=102, ramp=0)
    async with serving(tmp_path) as bridge:
        told = await client.ask(tmp_path, "POST", "/lamps", wanted.to_json())
        assert told == {"name": "Ceiling Light", "level": 102}
        assert bridge.lamps == [wanted]
        with pytest.raises(LinkError, match="there is no lamp on channel 2 of p"):
            await client.ask(
                tmp_path, "POST", "/lamps", LampRequest("p", 2, percent=1).to_json()
            )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], 'an object with a "port"'),
        ({}, 'an object with a "port"'),
        ({"port": 1, "channel": 1, "percent": 1}, 'an object with a "port"'),
        ({"port": "p", "percent": 1}, '"channel" has to be a whole number from 1 to 2'),
        ({"port": "p", "channel": 3, "percent": 1}, '"channel" has to be'),
        ({"port": "p", "channel": True, "percent": 1}, '"channel" has to be'),
        ({"port": "p", "channel": 1}, 'either "percent" or "level"'),
        ({"port": "p", "channel": 1, "percent": 1, "level": 1}, 'either "percent" or'),
        ({"port": "p", "channel": 1, "percent": 101}, '"percent" has to be'),
        ({"port": "p", "channel": 1, "percent": 1.5}, '"percent" has to be'),
        ({"port": "p", "channel": 1, "level": 256}, '"level" has to be'),
        ({"port": "p", "channel": 1, "level": -1}, '"level" has to be'),
        ({"port": "p", "channel": 1, "level": 1, "ramp": 65536}, '"ramp" has to be'),
        ({"port": "p", "channel": 1, "level": 1, "on": True}, 'goes with a "percent"'),
        ({"port": "p", "channel": 1, "percent": 1, "on": 1}, '"on" has to be true'),
    ],
)
async def test_a_lamp_is_not_set_by_what_is_no_request(
    tmp_path: Path, body: Any, words: str
) -> None:
    async with serving(tmp_path) as bridge:
        with pytest.raises(LinkError, match=re.escape(words)):
            await client.ask(tmp_path, "POST", "/lamps", body)
    assert bridge.lamps == []


async def test_a_body_that_is_no_json_is_refused(tmp_path: Path) -> None:
    head = "POST /lamps HTTP/1.1\r\nHost: bridge\r\nContent-Length: 3\r\n\r\n"
    async with serving(tmp_path) as bridge:
        code, _, body = await answer(tmp_path, head.encode() + b"{{{")
    assert (code, list(body), bridge.lamps) == (400, ["error"], [])


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("POST", "/nothing", 404),
        ("GET", "/status/", 404),
        ("POST", "/status", 405),
        ("DELETE", "/status", 405),
        ("GET", "/pairing/reset", 405),
        ("PUT", "/pairing/reset", 405),
    ],
)
async def test_what_it_does_not_know_is_an_error_in_json(
    tmp_path: Path, method: str, path: str, code: int
) -> None:
    async with serving(tmp_path) as bridge:
        told, _, body = await answer(tmp_path, request(method, path))
    assert (told, bridge.resets) == (code, 0)
    assert list(body) == ["error"]
    assert body["error"]


async def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path: Path) -> None:
    async with serving(tmp_path) as bridge:
        bridge.fails = True
        code, _, body = await answer(tmp_path, request("POST", "/pairing/reset"))
    assert (code, body) == (500, {"error": "the disk is full; type: df -h"})


async def test_who_hangs_up_in_the_middle_does_not_stop_what_was_begun(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as bridge:
        bridge.goes_on.clear()
        path = str(tmp_path / "bridge.sock")
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(request("POST", "/pairing/reset"))
        async with asyncio.timeout(PATIENCE):
            while not bridge.resets:  # noqa: ASYNC110 # of no one event
                await asyncio.sleep(0.001)
        writer.close()
        bridge.goes_on.set()
        assert (await answer(tmp_path, GET_STATUS))[0] == 200


# -- the socket ---------------------------------------------------------------------------


async def test_its_owner_alone_can_open_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with serving(tmp_path):
            mode = (tmp_path / "bridge.sock").stat().st_mode
    finally:
        os.umask(before)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_making_it_leaves_the_umask_as_it_was(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        async with serving(tmp_path):
            assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@pytest.mark.parametrize("asked", [False, True])
async def test_it_is_gone_when_the_bridge_has_ended(tmp_path: Path, asked: bool) -> None:
    async with serving(tmp_path):
        if asked:
            await answer(tmp_path, GET_STATUS)
    assert files_in(tmp_path) == []


async def test_it_takes_the_place_of_one_that_a_crash_has_left(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(tmp_path / "bridge.sock"))
    async with serving(tmp_path):
        assert (await answer(tmp_path, GET_STATUS))[0] == 200


async def test_a_path_that_is_too_long_for_a_socket_is_none(tmp_path: Path) -> None:
    directory = tmp_path.joinpath(*["d" * 60] * 4)
    directory.mkdir(parents=True)
    async with serving(directory):
        assert (directory / "bridge.sock").is_socket()
        assert await client.ask(directory, "GET", "/status") == {"uptime": 5.0}
    assert files_in(directory) == []


async def test_where_there_can_be_no_socket_the_bridge_goes_on_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bridge.sock").mkdir()
    for directory in (tmp_path, tmp_path / "gone"):
        caplog.clear()
        control = ControlServer(directory)
        control.listen()
        await control.run(Bridge().actions)
        control.close()
        (line,) = caplog.messages
        assert line.startswith("hk-bridge status will not work: no socket can be made in")
    assert (tmp_path / "bridge.sock").is_dir()


async def test_closing_it_twice_or_unasked_does_nothing_more(tmp_path: Path) -> None:
    control = ControlServer(tmp_path)
    control.close()
    control.listen()
    control.close()
    control.close()
    assert files_in(tmp_path) == []


# -- many, and much -----------------------------------------------------------------------


async def test_all_who_ask_while_it_wakes_up_are_answered(tmp_path: Path) -> None:
    async with serving(tmp_path):
        asks = [client.ask(tmp_path, "GET", "/status") for _ in range(server._MOST)]
        assert await asyncio.gather(*asks) == [{"uptime": 5.0}] * server._MOST


def visit(path: str, crowd: ExitStack) -> socket.socket:
    """A connection, which may have to wait for its turn."""
    visitor = crowd.enter_context(socket.socket(socket.AF_UNIX))
    # One that does not block would be refused where the queue is full.
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, TIME_LIMIT)
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIME_LIMIT)
    visitor.connect(path)
    return visitor


async def test_connections_that_say_nothing_make_room(tmp_path: Path) -> None:
    path = str(tmp_path / "bridge.sock")
    with ExitStack() as crowd:
        async with serving(tmp_path):
            visitors = [
                await asyncio.to_thread(visit, path, crowd) for _ in range(server._MOST)
            ]
            oldest, newest = visitors[0], visitors[-1]
            oldest.send(GET_STATUS[:10])
            for _ in range(2):  # with the first answer, all before it have come in
                assert await client.ask(tmp_path, "GET", "/status") == {"uptime": 5.0}
            # The oldest was hung up on, half a request or not, and the newest was not.
            assert await asyncio.to_thread(oldest.recv, 100) == b""
            newest.send(GET_STATUS)
            assert (await asyncio.to_thread(newest.recv, 100)).startswith(b"HTTP/1.1 200")


GARBAGE: Final = [
    b"\0" * 5000,
    b"\xff\xfe" * 100 + b"\r\n\r\n",
    b"GARBAGE\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /status HTTP/9.9\r\nHost: b\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: b\r\n\r\n",
    b"GET /status HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    b"GET /%zz%00 HTTP/1.1\r\nHost: b\r\n\r\n",
    b"POST /status HTTP/1.1\r\nHost: b\r\nContent-Length: -1\r\n\r\n",
    b"POST /status HTTP/1.1\r\nHost: b\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5000,
    b"POST /status HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
    b"GET /status HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: b\r\nExpect: moon\r\n\r\n",
]


def throw(path: str, garbage: bytes) -> None:
    """Send it, take what comes, and go."""
    with socket.socket(socket.AF_UNIX) as visitor, suppress(ConnectionError):
        visitor.settimeout(PATIENCE)
        visitor.connect(path)
        visitor.sendall(garbage)
        visitor.shutdown(socket.SHUT_WR)
        while visitor.recv(65536):
            pass


@pytest.mark.parametrize("number", range(len(GARBAGE)))
async def test_garbage_is_no_news(
    tmp_path: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "bridge.sock")
    async with serving(tmp_path) as bridge:
        await asyncio.to_thread(throw, path, GARBAGE[number])
        await asyncio.to_thread(throw, path, GARBAGE[number][:7])
        assert (await answer(tmp_path, GET_STATUS))[0] == 200
    assert bridge.resets == 0
    assert [line for line in caplog.records if line.levelno >= logging.WARNING] == []


async def test_a_mistake_of_our_own_is_news(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bridge = Bridge()
    del bridge.uptime
    async with serving(tmp_path, bridge):
        with pytest.raises(LinkError, match="cannot be asked"):
            await client.ask(tmp_path, "GET", "/status")
    assert "AttributeError" in caplog.text


# -- a real bridge ------------------------------------------------------------------------


@dataclass(frozen=True)
class RealBridge:
    """A simulated bridge in a process of its own, which few files are left to."""

    process: subprocess.Popen[str]
    state: Path

    @property
    def has_loaded_aiohttp(self) -> bool:
        return "/aiohttp/" in Path(f"/proc/{self.process.pid}/maps").read_text()

    @property
    def open_files(self) -> int:
        return len(files_in(Path(f"/proc/{self.process.pid}/fd")))


@contextmanager
def real_bridge(directory: Path) -> Iterator[RealBridge]:
    (directory / "accessories.json").write_text(SAMPLE.read_text())
    with running(directory, "--simulate", "--state-dir", "state") as process:
        yield RealBridge(process, directory / "state")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what is loaded")
async def test_aiohttp_is_loaded_once_somebody_asks(tmp_path: Path) -> None:
    with real_bridge(tmp_path) as bridge:
        assert not bridge.has_loaded_aiohttp
        await client.ask(bridge.state, "GET", "/status")
        assert bridge.has_loaded_aiohttp


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets limits of others")
async def test_a_thousand_who_say_nothing_take_nothing_from_the_bridge(
    tmp_path: Path,
) -> None:
    with real_bridge(tmp_path) as bridge, ExitStack() as crowd:
        limit = (MOST_FILES, MOST_FILES)
        resource.prlimit(bridge.process.pid, resource.RLIMIT_NOFILE, limit)
        path = str(bridge.state / "bridge.sock")

        def come() -> None:
            for number in range(1000):
                visitor = visit(path, crowd)
                if number % 2:
                    # The bridge may have hung up already.
                    with suppress(ConnectionError):
                        visitor.send(GET_STATUS[: number % len(GET_STATUS)])

        await asyncio.to_thread(come)
        status = await client.ask(bridge.state, "GET", "/status")
        assert status["isSimulated"]
        assert bridge.open_files < MOST_FILES
        bridge.process.terminate()
        _, log = await asyncio.to_thread(bridge.process.communicate, timeout=PATIENCE)
        assert bridge.process.returncode == 0
        assert "bridge.sock" not in files_in(bridge.state)
    assert "Traceback" not in log
    assert "ERROR" not in log
    assert "Too many open files" not in log
