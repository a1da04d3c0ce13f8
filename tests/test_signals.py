"""SIGHUP: of a window that closes, or of somebody who wants the file to be read."""

from __future__ import annotations

import asyncio
import signal

import pytest

from hk_bridge import signals
from hk_bridge.signals import Window


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether there is a terminal, which a test may change."""
    is_there = [True]
    monkeypatch.setattr(signals, "_has_terminal", lambda: is_there[0])
    return is_there


def test_a_window_that_is_there_has_not_closed(terminal: list[bool]) -> None:
    window = Window()
    assert not window.has_closed()
    terminal[0] = False
    assert window.has_closed()


def test_a_daemon_never_had_one(terminal: list[bool]) -> None:
    terminal[0] = False
    assert not Window().has_closed()


def test_what_runs_under_nohup_outlives_its_window(terminal: list[bool]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        window = Window()
    finally:
        signal.signal(signal.SIGHUP, before)
    terminal[0] = False
    assert not window.has_closed()


async def test_what_was_detached_is_a_daemon_after_a_while(
    terminal: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "_WINDOW_SECONDS", 0.001)
    window = Window()
    watching = asyncio.create_task(window.watch())
    terminal[0] = False
    async with asyncio.timeout(20):
        while window.has_closed():  # noqa: ASYNC110 # of no event
            await asyncio.sleep(0.001)
    watching.cancel()
    await asyncio.wait([watching])
