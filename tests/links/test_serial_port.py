"""The serial link on real pseudo-terminals, with a board that behaves like hardware."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import socket
import termios
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import serial

from hk_bridge.errors import LinkError
from hk_bridge.links import serial_port
from hk_bridge.links.line_schedule import LineSettings
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.model import LinkState
from tests.fakes.board import LINE_SPEED, BoardEmulator
from tests.links.waiting import PATIENCE, loss, running, until

#: A line so fast that its time does not count.
FAST: Final = 4_000_000

LOOPBACK: Final = "127.0.0.1"


@pytest.fixture
def checked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_port, "_CHECK_SECONDS", 0.01)


def link_at(port: str, baudrate: int = FAST, ramp: int = 1500) -> SerialLink:
    """A link that sends what is submitted, once."""
    settings = LineSettings(baudrate=baudrate, ramp=ramp, repeat=0, refresh=0)
    return SerialLink(port, settings)


def link_to(board: BoardEmulator, baudrate: int = FAST, ramp: int = 1500) -> SerialLink:
    return link_at(board.port, baudrate, ramp)


async def failure(link: SerialLink) -> str:
    """Why the link cannot be had."""
    with pytest.raises(LinkError) as caught:
        async with asyncio.timeout(PATIENCE):
            await link.run(lambda _state: None)
    assert not link.is_open
    return str(caught.value)


def text(frames: list[bytes]) -> list[str]:
    return [frame.hex(" ") for frame in frames]


# -- what is on the wire ------------------------------------------------------------------


async def test_each_level_is_one_exact_frame_with_the_other_s_last_level(
    board: BoardEmulator,
) -> None:
    link = link_to(board)
    expected: list[str] = []
    async with running(link):
        for channel, level, frame in (
            (1, 255, "0a ff 55 01 ff 00 05 dc 0a"),
            (2, 76, "0a ff 55 02 ff 4c 05 dc 0a"),
            (1, 0, "0a ff 55 01 00 4c 05 dc 0a"),
            (2, 77, "0a ff 55 02 00 4d 05 dc 0a"),
            (1, 255, "0a ff 55 01 ff 4d 05 dc 0a"),
            (2, 85, "0a ff 55 02 ff 55 05 dc 0a"),
            (1, 10, "0a ff 55 01 0a 55 05 dc 0a"),
        ):
            link.submit(channel, level)
            expected.append(frame)
            await until(lambda: len(board.frames) >= len(expected))
    assert text(board.frames) == expected
    assert board.received == bytes.fromhex("".join(expected))
    assert board.levels == {1: 10, 2: 85}


@pytest.mark.parametrize(
    ("ramp", "frame"),
    [
        (0, "0a ff 55 02 00 01 00 00 0a"),
        (10, "0a ff 55 02 00 01 00 0a 0a"),
        (65535, "0a ff 55 02 00 01 ff ff 0a"),
    ],
)
async def test_the_ramp_is_as_configured(
    board: BoardEmulator, ramp: int, frame: str
) -> None:
    link = link_to(board, ramp=ramp)
    async with running(link):
        link.submit(2, 1)
        await until(lambda: board.frames)
    assert text(board.frames) == [frame]


async def test_no_byte_is_changed_on_its_way(board: BoardEmulator) -> None:
    link = link_to(board)
    async with running(link):
        for level in range(256):
            link.submit(1, level)
            await until(lambda level=level: len(board.frames) > level)  # type: ignore[misc] # the default binds it
    assert [frame[4] for frame in board.frames] == list(range(256))
    assert len(board.received) == 256 * 9


async def test_the_port_is_set_to_8n1_without_flow_control_or_translation(
    board: BoardEmulator,
) -> None:
    async with running(link_to(board, 9600)):
        port = os.open(board.port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            iflag, oflag, cflag, lflag, ispeed, ospeed, _ = termios.tcgetattr(port)
        finally:
            os.close(port)
    assert (ispeed, ospeed) == (termios.B9600, termios.B9600)
    assert cflag & termios.CSIZE == termios.CS8
    assert not cflag & (termios.PARENB | termios.CSTOPB | termios.CRTSCTS)
    assert not iflag & (termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR)
    assert not oflag & termios.OPOST
    assert not lflag & (termios.ECHO | termios.ICANON | termios.ISIG)


async def test_both_channels_submitted_at_once_are_two_frames(
    board: BoardEmulator,
) -> None:
    link = link_to(board)
    async with running(link):
        link.submit(2, 20)
        link.submit(1, 10)
        await until(lambda: len(board.frames) == 2)
    assert text(board.frames) == [
        "0a ff 55 02 0a 14 05 dc 0a",
        "0a ff 55 01 0a 14 05 dc 0a",
    ]


# -- the latest wins ----------------------------------------------------------------------


async def test_levels_submitted_in_one_go_are_one_frame_with_the_last(
    board: BoardEmulator,
) -> None:
    link = link_to(board)
    async with running(link):
        for level in range(1, 256):
            link.submit(1, level)
        await until(lambda: board.frames)
        link.submit(2, 7)
        await until(lambda: len(board.frames) == 2)
    assert text(board.frames) == [
        "0a ff 55 01 ff 00 05 dc 0a",
        "0a ff 55 02 ff 07 05 dc 0a",
    ]


@pytest.mark.parametrize("speed", [None, LINE_SPEED])
async def test_a_slider_is_followed_at_the_speed_of_the_line(
    board: BoardEmulator, speed: int | None
) -> None:
    board.speed = speed
    link = link_to(board, 9600)
    submitted = 0
    async with running(link):
        link.submit(1, 0)
        await until(lambda: board.frames)
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            level = submitted // 4 % 250 + 1
            link.submit(1, level)
            submitted += 1
            await asyncio.sleep(0.001)
        link.submit(1, 255)
        await until(lambda: board.levels == {1: 255})
    levels = [frame[4] for frame in board.frames]
    assert levels[0] == 0
    assert levels[-1] == 255
    # Order: what was submitted rises, and so does what arrives.
    assert levels == sorted(levels)
    # A frame takes 9.375 ms on the line; time and a half is for the machine.
    taken = board.arrivals[-1] - board.arrivals[0]
    assert len(levels) <= 1.5 * taken / 0.009375 + 2
    assert 3 < len(levels) < submitted / 2


async def test_a_frame_is_not_sent_before_the_line_has_carried_the_last_one(
    board: BoardEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[float] = []
    write = serial.Serial.write

    def timed(port: serial.Serial, data: bytes) -> int | None:
        began.append(time.monotonic())
        return write(port, data)

    monkeypatch.setattr(serial.Serial, "write", timed)
    link = link_to(board, 1200)
    async with running(link):
        for level in range(1, 6):
            link.submit(1, level)
            link.submit(2, level)
            await until(lambda level=level: board.levels == {1: level, 2: level})  # type: ignore[misc] # the default binds it
    assert len(began) == 10
    gaps = [later - earlier for earlier, later in itertools.pairwise(began)]
    assert min(gaps) >= 0.074  # 9 bytes of 10 bits at 1200 baud: 75 ms


async def test_both_channels_get_their_turn_in_a_burst(board: BoardEmulator) -> None:
    link = link_to(board, 9600)
    async with running(link):
        for step in range(200):
            link.submit(1, step)
            link.submit(2, 255 - step)
            await asyncio.sleep(0.001)
        await until(lambda: board.levels == {1: 199, 2: 56})
    channels = [frame[3] for frame in board.frames]
    assert abs(channels.count(1) - channels.count(2)) <= 1


# -- no port ------------------------------------------------------------------------------


async def test_without_a_port_a_level_is_refused_and_never_sent_later(
    board: BoardEmulator,
) -> None:
    link = link_to(board)
    with pytest.raises(LinkError) as caught:
        link.submit(1, 255)
    assert str(caught.value) == f"serial port {board.port} is not open yet"
    async with running(link):
        link.submit(2, 9)
        await until(lambda: board.frames)
    with pytest.raises(LinkError):
        link.submit(1, 254)
    async with running(link):
        link.submit(2, 8)
        await until(lambda: len(board.frames) == 2)
    assert text(board.frames) == [
        "0a ff 55 02 00 09 05 dc 0a",
        "0a ff 55 02 00 08 05 dc 0a",
    ]


async def test_levels_of_before_a_reopening_are_not_sent_by_themselves(
    board: BoardEmulator,
) -> None:
    link = link_to(board, 50)
    async with running(link):
        link.submit(1, 1)
        await until(lambda: board.frames)
        link.submit(1, 200)  # its turn comes when the slow line is free
    async with running(link):
        link.submit(2, 8)
        await until(lambda: len(board.frames) == 2)
    # Channel 1 was to be at 200: that is what frames of the other one carry.
    assert text(board.frames) == [
        "0a ff 55 01 01 00 05 dc 0a",
        "0a ff 55 02 c8 08 05 dc 0a",
    ]


async def test_what_is_submitted_as_soon_as_the_port_is_open_is_sent(
    board: BoardEmulator,
) -> None:
    link = link_to(board)

    def report(_state: LinkState) -> None:
        link.submit(1, 40)
        link.submit(2, 50)

    task = asyncio.create_task(link.run(report))
    await until(lambda: len(board.frames) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert text(board.frames) == [
        "0a ff 55 01 28 32 05 dc 0a",
        "0a ff 55 02 28 32 05 dc 0a",
    ]


async def test_a_missing_port_is_said_with_where_to_look(tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    said = await failure(link_at(str(port), 9600))
    assert said.startswith(f"serial port {port} is not there. Is the adapter plugged in? ")


async def test_a_port_that_somebody_else_holds_is_said(board: BoardEmulator) -> None:
    with serial.Serial(board.port, exclusive=True):
        said = await failure(link_to(board))
        assert said.startswith(f"serial port {board.port} is open in this program already")
    async with running(link_to(board)):
        assert "is open in this program already" in await failure(link_to(board))


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("/dev/null")])
async def test_a_file_that_is_no_port_is_said(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    port = tmp_path / "port"
    make(port)
    said = await failure(link_at(str(port), 9600))
    assert said.startswith(f"serial port {port} is no serial port")


async def test_a_folder_is_no_port(tmp_path: Path) -> None:
    said = await failure(link_at(str(tmp_path), 9600))
    assert said.startswith(f"serial port {tmp_path} is a folder, and no serial port")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://host:1",
        "://",
        "socket://",
        "socket://localhost",
        "socket://localhost:99999",
        "rfc2217://localhost",
        "alt://port?class=Nothing",
        "hwgrep://(",
        "loop://?nothing=1",
    ],
)
async def test_an_invalid_url_is_a_link_error_that_shows_valid_ones(url: str) -> None:
    said = await failure(link_at(url, 9600))
    assert said.startswith(f"serial port {url} is no port: ")
    assert "socket://host:7000" in said


async def test_who_asks_for_a_level_is_told_why_the_port_is_closed(
    board: BoardEmulator,
) -> None:
    link = link_to(board)
    with serial.Serial(board.port, exclusive=True):
        said = await failure(link)
    with pytest.raises(LinkError) as caught:
        link.submit(1, 1)
    assert str(caught.value) == said


async def test_draining_lasts_until_the_last_byte_is_on_the_wire(
    board: BoardEmulator,
) -> None:
    link = link_to(board, 1200)
    async with running(link):
        for _ in range(2):
            begun = time.monotonic()
            link.submit(1, 7)
            assert await link.drain()
            # Nine bytes of ten bits at 1200 baud.
            assert time.monotonic() - begun >= 0.074
        assert await link.drain()
    assert await link.drain()


async def test_draining_gives_up_after_a_while(
    board: BoardEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "_DRAIN_SECONDS", 0.01)
    link = link_to(board, 50)
    async with running(link):
        link.submit(1, 7)
        assert not await link.drain()


async def test_a_name_that_stays_is_suggested_once(
    board: BoardEmulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name = "/dev/serial/by-id/usb-FTDI_FT232R_A5069RR4-if00-port0"
    monkeypatch.setattr(serial_port, "stable_name", {board.port: name}.get)
    link = link_to(board)
    for _ in range(2):
        async with running(link):
            pass
    (said,) = (record.message for record in caplog.records if name in record.message)
    assert said.startswith(f"serial port {board.port} can be another adapter")
    assert said.endswith(f'Write "port": "{name}" instead')


# -- pulled out ---------------------------------------------------------------------------


@pytest.mark.usefixtures("checked_often")
async def test_a_quiet_port_that_is_pulled_out_is_noticed(board: BoardEmulator) -> None:
    link = link_to(board)
    async with running(link) as task:
        board.unplug()
        assert await loss(task) == f"serial port {board.port} was unplugged"
        with pytest.raises(LinkError):
            link.submit(1, 1)
    assert "is not there" in await failure(link)


async def test_a_port_that_is_pulled_out_in_a_burst_is_noticed(
    board: BoardEmulator,
) -> None:
    link = link_to(board)
    async with running(link) as task:
        link.submit(1, 1)
        await until(lambda: board.frames)
        board.unplug()
        while not task.done():
            if link.is_open:
                link.submit(1, 2)
            await asyncio.sleep(0)
        assert await loss(task) == f"serial port {board.port} was unplugged"


@pytest.mark.usefixtures("checked_often")
async def test_a_port_that_is_plugged_in_again_works_again(board: BoardEmulator) -> None:
    link = link_to(board)
    for level in (1, 2, 3):
        async with running(link) as task:
            link.submit(1, level)
            await until(lambda level=level: board.levels == {1: level})  # type: ignore[misc] # the default binds it
            board.unplug()
            await loss(task)
        board.replug()
    assert [frame[4] for frame in board.frames] == [1, 2, 3]


class StuckWrites:
    """Watches pyserial's writes: whether one has begun and not ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = self.ended = 0
        write = serial.Serial.write

        def watched(port: serial.Serial, data: bytes) -> int | None:
            self.begun += 1
            try:
                return write(port, data)
            finally:
                self.ended += 1

        monkeypatch.setattr(serial.Serial, "write", watched)

    async def come(self, link: SerialLink) -> None:
        """Submit until a write does not end."""
        stuck_since, level = time.monotonic(), 0
        async with asyncio.timeout(PATIENCE):
            while time.monotonic() - stuck_since < 0.2:
                if self.begun == self.ended:
                    stuck_since, level = time.monotonic(), (level + 1) % 256
                    link.submit(1, level)
                await asyncio.sleep(0.001)


async def test_a_port_that_is_pulled_out_while_a_write_is_stuck_is_noticed(
    board: BoardEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "_WRITE_TIMEOUT", 2 * PATIENCE)
    writes = StuckWrites(monkeypatch)
    link = link_to(board)
    async with running(link) as task:
        board.stall()
        await writes.come(link)
        board.unplug()
        assert await loss(task) == f"serial port {board.port} was unplugged"


async def test_a_port_that_takes_nothing_any_more_is_given_up(
    board: BoardEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "_WRITE_TIMEOUT", 0.5)
    writes = StuckWrites(monkeypatch)
    link = link_to(board)
    async with running(link) as task:
        board.stall()
        await writes.come(link)
        said = await loss(task)
        assert said.startswith(f"serial port {board.port} takes no bytes any more")


@pytest.mark.usefixtures("checked_often")
async def test_what_the_board_says_is_read_and_ignored(board: BoardEmulator) -> None:
    link = link_to(board)
    async with running(link) as task:
        said = 0
        async with asyncio.timeout(PATIENCE):
            while said < 300_000:  # more than the system keeps of what nobody reads
                said += board.say(bytes.fromhex("55aa00") * 1000)
                await asyncio.sleep(0.001)
        link.submit(1, 1)
        await until(lambda: board.frames)
        assert not task.done()
    assert text(board.frames) == ["0a ff 55 01 01 00 05 dc 0a"]


async def test_the_board_of_these_tests_finds_frames_in_any_junk(
    board: BoardEmulator,
) -> None:
    link = link_to(board)
    async with running(link):
        port = os.open(board.port, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            os.write(port, bytes.fromhex("55aa00fe00050303ff03ff09"))
            os.write(port, bytes.fromhex("00ff5503000005dc0a00ff55"))
            await until(lambda: len(board.received) == 24)
        finally:
            os.close(port)
        for level in (1, 2):
            link.submit(1, level)
            await until(lambda level=level: board.levels == {1: level})  # type: ignore[misc] # the default binds it
    assert text(board.frames)[-1] == "0a ff 55 01 02 00 05 dc 0a"


# -- the end ------------------------------------------------------------------------------


async def test_a_link_that_is_ended_lets_go_of_the_port(board: BoardEmulator) -> None:
    link = link_to(board)
    async with running(link) as task:
        await until(lambda: board.opened)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not board.opened)
        assert not link.is_open
    with serial.Serial(board.port, exclusive=True) as other:
        assert other.is_open


class HangingLine:
    """A port of which each step hangs while its event is not set."""

    def __init__(self) -> None:
        self.opening, self.writing, self.closing = (threading.Event() for _ in range(3))
        self.calls: list[str] = []
        self.closed = threading.Event()
        self.in_waiting = 0

    def open(self, *_: object, **__: object) -> HangingLine:
        self.calls.append("open")
        assert self.opening.wait(PATIENCE)
        return self

    def read(self, _size: int = 1, /) -> bytes:
        return b""

    def write(self, data: bytes) -> int:
        self.calls.append("write")
        assert self.writing.wait(PATIENCE)
        return len(data)

    def reset_output_buffer(self) -> None:
        self.calls.append("reset_output_buffer")

    def close(self) -> None:
        self.calls.append("close")
        assert self.closing.wait(PATIENCE)
        self.closed.set()

    def release(self) -> None:
        for event in (self.opening, self.writing, self.closing):
            event.set()


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingLine]:
    hanging = HangingLine()
    monkeypatch.setattr(serial, "serial_for_url", hanging.open)
    yield hanging
    hanging.release()


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    async with asyncio.timeout(PATIENCE / 2):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_link_ends_at_once_while_opening_hangs_and_closes_what_comes_of_it(
    line: HangingLine,
) -> None:
    line.closing.set()
    link = link_at("socket://far.away:7000", 9600)
    task = asyncio.create_task(link.run(lambda _state: None))
    await until(lambda: line.calls)
    await ended(task)
    assert line.calls == ["open"]
    line.opening.set()
    await until(line.closed.is_set)
    assert not link.is_open


async def test_a_link_that_ends_when_its_port_has_just_opened_closes_it(
    line: HangingLine,
) -> None:
    line.release()
    task = asyncio.create_task(link_at("p", 9600).run(lambda _state: None))
    # The port is open, and the link has not heard of it: the loop has not come round.
    await asyncio.sleep(0)
    end = time.monotonic() + PATIENCE
    while line.calls != ["open"]:
        assert time.monotonic() < end
        time.sleep(0.001)  # noqa: ASYNC251 # the loop must not come round
    await ended(task)
    await until(line.closed.is_set)


async def test_an_opening_that_fails_when_nobody_waits_any_more_is_no_fuss(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    called, go_on = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def fail(*_: object, **__: object) -> None:
        threads.append(threading.current_thread())
        called.set()
        assert go_on.wait(PATIENCE)
        raise serial.SerialException("no route to host")

    monkeypatch.setattr(serial, "serial_for_url", fail)
    task = asyncio.create_task(link_at("p", 9600).run(lambda _state: None))
    await until(called.is_set)
    await ended(task)
    go_on.set()
    await until(lambda: not threads[0].is_alive())
    await asyncio.sleep(0)
    del task
    gc.collect()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_link_ends_while_a_write_hangs_and_closes_the_port_after_it(
    line: HangingLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "_CLOSE_SECONDS", 0.01)
    line.opening.set()
    line.closing.set()
    link = link_at("p", 9600)
    async with running(link) as task:
        link.submit(1, 1)
        await until(lambda: "write" in line.calls)
        await ended(task)
        assert not line.closed.is_set()
        line.writing.set()
        await until(line.closed.is_set)


async def test_a_port_that_is_not_let_go_of_is_not_opened_anew(
    line: HangingLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "_CLOSE_SECONDS", 0.01)
    line.opening.set()
    link = link_at("p", 9600)
    async with running(link) as task:
        await ended(task)
    assert (await failure(link)).startswith("serial port p hangs")
    assert line.calls == ["open", "close"]
    line.closing.set()
    line.closed.set()
    assert link._port_before is not None
    await until(lambda: link._port_before.is_closed)  # type: ignore[union-attr] # it stays so
    async with running(link):
        pass


async def test_a_line_that_takes_nothing_is_emptied_before_it_is_closed(
    line: HangingLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_data: bytes) -> None:
        raise serial.SerialTimeoutException("Write timeout")

    line.release()
    line.closed.set()
    monkeypatch.setattr(line, "write", refuse)
    link = link_at("p", 9600)
    async with running(link) as task:
        link.submit(1, 1)
        assert "takes no bytes any more" in await loss(task)
    await until(lambda: "close" in line.calls)
    assert line.calls == ["open", "reset_output_buffer", "close"]


async def test_a_close_that_takes_its_time_holds_up_nothing_else(
    line: HangingLine,
) -> None:
    line.opening.set()
    async with running(link_at("p", 9600)) as task:
        task.cancel()
        await until(lambda: "close" in line.calls)
        # The loop runs: else nobody could do this.
        assert not line.closed.is_set()
        line.closing.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(line.closed.is_set)


async def test_a_close_that_hangs_is_left_to_itself(
    line: HangingLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "_CLOSE_SECONDS", 0.01)
    line.opening.set()
    async with running(link_at("p", 9600)) as task:
        await ended(task)
        assert line.calls == ["open", "close"]
        assert not line.closed.is_set()


# -- ports that are none ------------------------------------------------------------------


class Server:
    """A network serial server on loopback."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.clients: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        self.clients.append(out)
        while data := await reader.read(100):
            self.received += data


@asynccontextmanager
async def serial_server() -> AsyncIterator[tuple[Server, str]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, LOOPBACK, 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield server, f"socket://{LOOPBACK}:{port}"
    finally:
        listening.close()
        for client in server.clients:
            client.close()


async def test_frames_go_over_the_network_too() -> None:
    async with serial_server() as (server, url):
        link = link_at(url, 9600)
        async with running(link):
            link.submit(1, 255)
            await until(lambda: len(server.received) == 9)
            link.submit(2, 1)
            await until(lambda: len(server.received) == 18)
    assert server.received.hex(" ") == (
        "0a ff 55 01 ff 00 05 dc 0a 0a ff 55 02 ff 01 05 dc 0a"
    )


@pytest.mark.usefixtures("checked_often")
async def test_a_server_that_hangs_up_is_noticed() -> None:
    async with serial_server() as (server, url):
        link = link_at(url, 9600)
        async with running(link) as task:
            await until(lambda: server.clients)
            server.clients[0].close()
            said = await loss(task)
            assert said.startswith(f"serial port {url} was hung up by the server")
            with pytest.raises(LinkError):
                link.submit(1, 1)


async def test_a_server_that_refuses_is_said() -> None:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))  # bound, and does not listen
        url = f"socket://{LOOPBACK}:{probe.getsockname()[1]}"
        said = await failure(link_at(url, 9600))
    assert said.startswith(f"serial port {url} cannot be reached: nothing listens")


@pytest.mark.usefixtures("checked_often")
async def test_a_loop_is_a_port_too(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[Any] = []
    open_ = serial.serial_for_url

    def opened(*args: Any, **kwargs: Any) -> Any:
        lines.append(open_(*args, **kwargs))
        return lines[-1]

    written: list[bytes] = []
    monkeypatch.setattr(serial, "serial_for_url", opened)
    link = link_at("loop://", 9600)
    async with running(link) as task:
        (port,) = lines
        write = port.write

        def writing(data: bytes) -> Any:
            written.append(data)
            return write(data)

        monkeypatch.setattr(port, "write", writing)
        link.submit(1, 3)
        await until(lambda: written)
        # What comes back is taken, so that it does not fill up.
        await until(lambda: not port.in_waiting)
        assert not task.done()
    assert text(written) == ["0a ff 55 01 03 00 05 dc 0a"]
