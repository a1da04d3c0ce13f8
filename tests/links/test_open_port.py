"""A port in its threads: how it opens, fails, is lost and ends, and what is left then."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pytest

from hk_bridge.links.open_port import Line, OpenPort, Task
from tests.links.waiting import PATIENCE, until

#: Too short for anything that hangs.
MOMENT: Final = 0.02


class LostError(Exception):
    """What is made of an error."""


def explain(error: Exception) -> Exception:
    assert threading.current_thread() is not threading.main_thread()
    return LostError(f"{type(error).__name__}: {error}")


class FakeLine:
    """A line that notes what is done with it."""

    in_waiting = 0

    def __init__(self) -> None:
        self.rts = False
        self.calls: list[str] = []
        self.closing = threading.Event()
        self.closing.set()

    def open(self) -> Line:
        self.calls.append("open")
        return self

    def read(self, _size: int = 1, /) -> bytes:
        return b""

    def write(self, data: bytes, /) -> int:
        self.calls.append("write")
        return len(data)

    def reset_output_buffer(self) -> None:
        pass

    def close(self) -> None:
        assert self.closing.wait(PATIENCE)
        self.calls.append("close")


@pytest.fixture
def line() -> FakeLine:
    return FakeLine()


@pytest.fixture(autouse=True)
def _nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No thread, none that died of an error, and no error that nobody has asked for."""
    others = set(threading.enumerate())
    died: list[object] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading, "excepthook", died.append)
        yield
        end = time.monotonic() + PATIENCE
        while not set(threading.enumerate()) <= others:
            assert time.monotonic() < end, "a thread is left"
            time.sleep(0.001)
    gc.collect(1)  # what is young
    assert died == []
    said = [*caplog.get_records("call"), *caplog.get_records("teardown")]
    assert [each for each in said if each.levelno >= logging.WARNING] == []


def until_stopping(_line: Line, port: OpenPort) -> None:
    assert port.stopping.wait(PATIENCE)


def port_of(line: FakeLine, *tasks: Task) -> OpenPort:
    return OpenPort(line.open, tasks or (until_stopping,), explain)


def without_the_loop(condition: Callable[[], Any]) -> None:
    """Wait for something, and have the loop not come round meanwhile."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


# -- opening ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError(5, "EIO"), KeyError("class"), ValueError("no")])
async def test_why_a_port_could_not_be_opened_is_explained_and_raised(
    error: Exception,
) -> None:
    def fail() -> Line:
        raise error

    port = OpenPort(fail, [until_stopping], explain)
    with pytest.raises(LostError) as caught:
        await port.opened()
    assert str(caught.value) == f"{type(error).__name__}: {error}"
    await port.close(PATIENCE)


async def test_tasks_have_the_line_that_was_opened_each_in_its_own_thread(
    line: FakeLine,
) -> None:
    seen: list[tuple[Line, OpenPort, threading.Thread]] = []

    def note(its_line: Line, its_port: OpenPort) -> None:
        seen.append((its_line, its_port, threading.current_thread()))
        until_stopping(its_line, its_port)

    port = port_of(line, note, note, note)
    await port.opened()
    await until(lambda: len(seen) == 3)
    assert {(each[0], each[1]) for each in seen} == {(line, port)}
    assert len({each[2] for each in seen} - {threading.main_thread()}) == 3
    await port.close(PATIENCE)


# -- the loss -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_what_any_task_raises_is_the_end_of_the_port(
    line: FakeLine, number: int
) -> None:
    def fail(_line: Line, _port: OpenPort) -> None:
        raise OSError("unplugged")

    tasks: list[Task] = [until_stopping] * 3
    tasks[number] = fail
    port = port_of(line, *tasks)
    await port.opened()
    with pytest.raises(LostError, match="OSError: unplugged"):
        await port.lost()
    assert line.calls == ["open"], "closed before the other tasks have ended"
    await port.close(PATIENCE)
    assert line.calls == ["open", "close"]


async def test_the_first_error_of_several_counts(line: FakeLine) -> None:
    go_on = threading.Event()

    def first(_line: Line, _port: OpenPort) -> None:
        raise OSError("first")

    def second(_line: Line, _port: OpenPort) -> None:
        assert go_on.wait(PATIENCE)
        raise OSError("second")

    port = port_of(line, second, first)
    await port.opened()
    with pytest.raises(LostError, match="first"):
        await port.lost()
    go_on.set()
    await port.close(PATIENCE)
    with pytest.raises(LostError, match="first"):
        await port.lost()


async def test_a_task_that_ends_by_itself_ends_nothing_else(line: FakeLine) -> None:
    ended = threading.Event()

    def end(_line: Line, _port: OpenPort) -> None:
        ended.set()

    port = port_of(line, end, until_stopping)
    await port.opened()
    await until(ended.is_set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(MOMENT):
            await port.lost()
    await port.close(PATIENCE)
    assert line.calls == ["open", "close"]


async def test_an_error_of_a_task_that_was_told_to_stop_is_none(line: FakeLine) -> None:
    def fail(_line: Line, port: OpenPort) -> None:
        until_stopping(_line, port)
        raise OSError("interrupted")

    port = port_of(line, fail, fail)
    await port.opened()
    waiting = asyncio.create_task(port.lost())
    await asyncio.sleep(0)
    await port.close(PATIENCE)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


# -- closing ------------------------------------------------------------------------------


async def test_closing_waits_until_the_tasks_have_ended_and_then_the_line_is_closed(
    line: FakeLine,
) -> None:
    line.closing.clear()

    def last_words(its_line: Line, port: OpenPort) -> None:
        until_stopping(its_line, port)
        its_line.write(b"!")

    port = port_of(line, last_words, last_words)
    await port.opened()
    closing = asyncio.create_task(port.close(PATIENCE))
    await until(lambda: line.calls.count("write") == 2)
    assert not closing.done()
    line.closing.set()
    await closing
    assert line.calls == ["open", "write", "write", "close"]


def test_what_hangs_is_left_to_itself_and_ends_when_it_can() -> None:
    """Also after the loop is closed, which nobody can be told by then."""
    for names in (["open"], ["first"], ["second"], ["close"], ["open", "close"]):
        asyncio.run(_close_what_hangs(names))


async def _close_what_hangs(names: Sequence[str]) -> None:
    line = FakeLine()
    hangs = {name: threading.Event() for name in ("open", "first", "second", "close")}
    for name, event in hangs.items():
        if name not in names:
            event.set()
    line.closing = hangs["close"]

    def open_line() -> Line:
        assert hangs["open"].wait(PATIENCE)
        return line.open()

    def task(name: str) -> Task:
        return lambda _line, _port: _assert(hangs[name].wait(PATIENCE))

    port = OpenPort(open_line, [task("first"), task("second")], explain)
    if "open" not in names:
        await port.opened()
    # The loop runs meanwhile: else nobody could say that it has been long enough.
    await port.close(MOMENT)
    assert "close" not in line.calls
    loop = asyncio.get_running_loop()
    if len(names) > 1:
        _after(loop, hangs)
        return
    for event in hangs.values():
        event.set()
    await until(lambda: line.calls == ["open", "close"])


def _assert(what: object) -> None:
    assert what


def _after(loop: asyncio.AbstractEventLoop, hangs: dict[str, threading.Event]) -> None:
    """Have what hangs go on as soon as the loop is closed."""

    def go_on() -> None:
        without_the_loop(loop.is_closed)
        for event in hangs.values():
            event.set()

    threading.Thread(target=go_on).start()


async def test_a_port_that_does_not_close_cleanly_is_closed_all_the_same(
    line: FakeLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("reset by peer")

    monkeypatch.setattr(line, "close", fail)
    port = port_of(line)
    await port.opened()
    async with asyncio.timeout(PATIENCE / 2):
        await port.close(PATIENCE)


async def test_tasks_of_a_port_that_opens_when_it_is_to_be_closed_find_it_stopping(
    line: FakeLine,
) -> None:
    go_on, stopping = threading.Event(), []

    def open_late() -> Line:
        assert go_on.wait(PATIENCE)
        return line.open()

    port = OpenPort(
        open_late, [lambda _line, port: stopping.append(port.stopping.is_set())], explain
    )
    await port.close(MOMENT)
    go_on.set()
    await until(lambda: line.calls == ["open", "close"])
    assert stopping == [True]


# -- errors that nobody asks for ----------------------------------------------------------


async def test_a_loss_that_nobody_asks_for_is_no_fuss(line: FakeLine) -> None:
    failing = threading.Event()

    def fail(_line: Line, _port: OpenPort) -> None:
        failing.set()
        raise OSError("unplugged")

    port = port_of(line, fail)
    await port.opened()
    await until(failing.is_set)
    await port.close(PATIENCE)


async def test_a_loss_that_is_only_heard_of_while_closing_is_no_fuss(
    line: FakeLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    tell = OpenPort.tell

    def noted(port: OpenPort, call: Callable[..., object], *args: Any) -> None:
        tell(port, call, *args)
        if any(isinstance(argument, LostError) for argument in args):
            told.set()

    monkeypatch.setattr(OpenPort, "tell", noted)
    go_on = threading.Event()

    def fail(_line: Line, _port: OpenPort) -> None:
        assert go_on.wait(PATIENCE)
        raise OSError("unplugged")

    port = port_of(line, fail)
    await port.opened()
    go_on.set()
    without_the_loop(told.is_set)
    await port.close(PATIENCE)


async def test_an_opening_that_fails_when_it_is_no_longer_awaited_is_no_fuss() -> None:
    go_on = threading.Event()

    def fail() -> Line:
        assert go_on.wait(PATIENCE)
        raise OSError("no route to host")

    port = OpenPort(fail, [until_stopping], explain)
    waiting = asyncio.create_task(port.opened())
    await asyncio.sleep(0)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await port.close(MOMENT)
    go_on.set()
    await port.close(PATIENCE)
