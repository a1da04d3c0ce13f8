"""Push-buttons on modem-status lines: those of a server, of a fake, and of none."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import serial

from hk_bridge.devices import push_button
from hk_bridge.devices.push_button import Gesture, PushButton
from hk_bridge.links import contacts
from hk_bridge.links.contacts import Contacts
from hk_bridge.links.line_schedule import LineSettings
from hk_bridge.links.open_port import Line, OpenPort
from hk_bridge.links.serial_port import SerialLink
from tests.fakes.board import BoardEmulator
from tests.fakes.serial_servers import ModemLine, Rfc2217Server
from tests.links.waiting import PATIENCE, running, until

# pyserial names its threads as it always did.
pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")

CLICK, HOLD, STEP = Gesture.CLICK, Gesture.HOLD, Gesture.STEP


class FakeLine:
    """A line whose modem lines are set by hand; `fails` is raised where they are read."""

    in_waiting = 0

    def __init__(self) -> None:
        self.rts = False
        self.pressed: set[str] = set()
        self.fails: Exception | None = None
        self.reads = 0

    @property
    def cts(self) -> bool:
        return self._is_pressed("cts")

    @property
    def dsr(self) -> bool:
        return self._is_pressed("dsr")

    def _is_pressed(self, name: str) -> bool:
        self.reads += 1
        if self.fails is not None:
            raise self.fails
        return name in self.pressed

    def read(self, _size: int = 1, /) -> bytes:
        return b""

    def write(self, data: bytes, /) -> int:
        return len(data)

    def reset_output_buffer(self) -> None:
        pass

    def close(self) -> None:
        self.reads = -1


@pytest.fixture
def line() -> FakeLine:
    return FakeLine()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, take no click for a hold; and try again soon."""
    monkeypatch.setattr(push_button, "_HOLD_SECONDS", PATIENCE)
    monkeypatch.setattr(contacts, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(contacts, "_PATIENCE_SECONDS", PATIENCE)
    # pyserial waits for servers by the clock, and after closing for no reason of ours.
    shorter = SimpleNamespace(sleep=lambda seconds: time.sleep(seconds / 10))
    monkeypatch.setattr("serial.rfc2217.time", shorter)


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    others = set(threading.enumerate())
    yield
    end = time.monotonic() + PATIENCE
    while not set(threading.enumerate()) <= others:
        assert time.monotonic() < end, "a thread is left"
        time.sleep(0.001)


@pytest.fixture
def buttons(monkeypatch: pytest.MonkeyPatch) -> list[PushButton]:
    """The push-buttons that are made from now on, in the order of their channels."""
    made: list[PushButton] = []

    class Noted(PushButton):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(contacts, "PushButton", Noted)
    return made


async def seen(button: PushButton, *, pressed: bool) -> None:
    """Return once a button has been in a state for long enough to count."""
    await until(lambda: button._pressed is pressed)


@asynccontextmanager
async def watching(
    line: FakeLine, lines: dict[int, str]
) -> AsyncIterator[list[tuple[int, Gesture]]]:
    """What is done with the buttons of an open port, which is closed behind it."""
    done: list[tuple[int, Gesture]] = []
    loop, loop_thread = asyncio.get_running_loop(), threading.current_thread()

    def note(channel: int, gesture: Gesture) -> None:
        assert threading.current_thread() is loop_thread
        assert asyncio.get_running_loop() is loop
        done.append((channel, gesture))

    def open_line() -> Line:
        return line

    watch = Contacts("serial port of the test", lines, note).watch
    port = OpenPort(open_line, [watch], lambda error: error)
    await port.opened()
    try:
        yield done
        assert not port._lost.done(), "the port is lost"
    finally:
        await port.close(PATIENCE)


@asynccontextmanager
async def staying_open(link: SerialLink) -> AsyncIterator[None]:
    """A link whose port is open, and is not lost meanwhile."""
    async with running(link) as task:
        yield
        assert not task.done()


# -- gestures -----------------------------------------------------------------------------


async def test_gestures_reach_the_loop_with_the_channel_of_their_line(
    line: FakeLine, buttons: list[PushButton], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(line, {1: "dsr", 2: "cts"}) as done:
        await until(lambda: len(buttons) == 2)
        on_dsr, on_cts = buttons
        await seen(on_cts, pressed=False)
        line.pressed = {"cts"}
        await seen(on_cts, pressed=True)
        await seen(on_dsr, pressed=False)
        line.pressed = {"dsr"}
        await until(lambda: done)
        assert done == [(2, CLICK)]
        await seen(on_dsr, pressed=True)
        line.pressed = set()
        await until(lambda: len(done) == 2)
        assert done == [(2, CLICK), (1, CLICK)]

        monkeypatch.setattr(push_button, "_HOLD_SECONDS", 0.05)
        line.pressed = {"cts"}
        await until(lambda: len(done) >= 4)
        line.pressed = set()
        await seen(on_cts, pressed=False)
    assert done[2:4] == [(2, HOLD), (2, STEP)]
    assert set(done[4:]) <= {(2, STEP)}


async def test_what_is_shorter_than_a_bounce_is_nothing(
    line: FakeLine, buttons: list[PushButton]
) -> None:
    async with watching(line, {1: "cts"}) as done:
        await until(lambda: buttons)
        await seen(buttons[0], pressed=False)
        for _ in range(3):
            line.pressed = {"cts"}
            reads = line.reads
            await until(lambda reads=reads: line.reads > reads)  # type: ignore[misc] # the default binds it
            line.pressed = set()
            reads = line.reads
            await until(lambda reads=reads: line.reads > reads + 1)  # type: ignore[misc] # the default binds it
    assert done == []


async def test_a_contact_that_is_closed_when_the_port_opens_waits_until_it_was_open(
    line: FakeLine, buttons: list[PushButton]
) -> None:
    line.pressed = {"cts"}
    async with watching(line, {1: "cts"}) as done:
        # Ten samples are more than three, which it takes to believe a contact.
        await until(lambda: line.reads >= 10)
        assert done == []
        line.pressed = set()
        await seen(buttons[0], pressed=False)
        line.pressed = {"cts"}
        await seen(buttons[0], pressed=True)
        assert done == []
        line.pressed = set()
        await until(lambda: done)
    assert done == [(1, CLICK)]


async def test_each_line_of_a_server_can_have_a_button(buttons: list[PushButton]) -> None:
    names: tuple[ModemLine, ...] = ("cts", "dsr", "ri", "cd")
    done: list[tuple[int, Gesture]] = []
    with Rfc2217Server() as server:
        link = SerialLink(
            server.url,
            LineSettings(),
            dict(enumerate(names)),
            lambda *gesture: done.append(gesture),
        )
        async with staying_open(link):
            # Until the server has told of its lines, they are tried again.
            await until(lambda: any(button._pressed is False for button in buttons))
            for number, name in enumerate(names):
                button = buttons[-len(names) :][number]
                await seen(button, pressed=False)
                server.press(name)
                await seen(button, pressed=True)
                server.release(name)
                await until(lambda number=number: len(done) > number)  # type: ignore[misc] # the default binds it
    assert done == [(number, CLICK) for number in range(len(names))]


# -- lines that cannot be read ------------------------------------------------------------


async def test_a_port_without_lines_is_said_once_and_its_lamps_go_on(
    board: BoardEmulator,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    buttons: list[PushButton],
) -> None:
    settings = LineSettings(repeat=0, refresh=0)
    link = SerialLink(board.port, settings, {1: "cts", 2: "dsr"})
    async with staying_open(link):
        await until(lambda: len(buttons) >= 10)
        assert caplog.messages == [], "said before it is sure"
        monkeypatch.setattr(contacts, "_PATIENCE_SECONDS", 0.0)
        await until(lambda: caplog.messages)
        tries = len(buttons)
        await until(lambda: len(buttons) >= tries + 10)
        link.submit(1, 5)
        await until(lambda: board.levels == {1: 5})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(
        f"serial port {board.port} has no lines that push-buttons could be read from: "
    )


@pytest.mark.parametrize(
    "error",
    [OSError(5, "Input/output error"), serial.SerialException("remote sends nothing")],
)
async def test_lines_that_come_back_are_read_again(
    line: FakeLine,
    buttons: list[PushButton],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    async with watching(line, {1: "cts"}) as done:
        await until(lambda: buttons)
        await seen(buttons[0], pressed=False)
        # Pressed while nobody could see it: that is as if it was so from the start.
        line.fails = error
        await until(lambda: len(buttons) >= 3)
        line.pressed = {"cts"}
        line.fails = None
        await until(lambda: line.reads >= 20)
        assert done == []
        line.pressed = set()
        await seen(buttons[-1], pressed=False)
        line.pressed = {"cts"}
        await seen(buttons[-1], pressed=True)
        line.pressed = set()
        await until(lambda: done)
    assert done == [(1, CLICK)]
    assert caplog.messages == []


async def test_patience_begins_anew_with_each_time_that_lines_could_be_read(
    line: FakeLine,
    buttons: list[PushButton],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(contacts, "time", clock)
    monkeypatch.setattr(contacts, "_PATIENCE_SECONDS", 3.0)

    async def tried(times: int) -> None:
        tries = len(buttons)
        await until(lambda: len(buttons) >= tries + times)

    async with watching(line, {1: "cts"}):
        await until(lambda: line.reads >= 2)
        line.fails = OSError("gone")
        await tried(2)
        now[0] += 2.9
        await tried(2)
        line.fails = None
        reads = line.reads
        await until(lambda: line.reads > reads + 2)
        line.fails = OSError("gone again")
        await tried(2)
        now[0] += 2.9
        await tried(2)
        assert caplog.messages == []
        now[0] += 0.2
        await until(lambda: caplog.messages)
    (said,) = caplog.messages
    assert said.endswith("has no lines that push-buttons could be read from: gone again")


# -- the end ------------------------------------------------------------------------------


async def test_nothing_is_read_or_told_any_more_after_the_end(
    line: FakeLine, buttons: list[PushButton], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_button, "_HOLD_SECONDS", 0.01)
    monkeypatch.setattr(push_button, "_STEP_SECONDS", 0.01)
    async with watching(line, {1: "cts"}) as done:
        await until(lambda: buttons)
        await seen(buttons[0], pressed=False)
        line.pressed = {"cts"}
        await until(lambda: len(done) >= 3)
    # It is still held.
    count = len(done)
    for _ in range(10):
        await asyncio.sleep(0.01)
    assert len(done) == count
    assert line.reads == -1, "read after it was closed"


@pytest.mark.parametrize("fails", [None, OSError("no lines")])
async def test_a_long_pause_holds_up_no_end(
    line: FakeLine, monkeypatch: pytest.MonkeyPatch, fails: Exception | None
) -> None:
    monkeypatch.setattr(contacts, "_PAUSE_SECONDS", 10 * PATIENCE)
    line.fails = fails
    async with asyncio.timeout(PATIENCE):
        async with watching(line, {1: "cts"}):
            await until(lambda: line.reads)
    assert line.reads == -1
