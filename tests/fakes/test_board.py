"""The board of the tests is a line like the real one, and comes back like a real one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fakes.board import LINE_SPEED, BoardEmulator
from tests.fakes.board_model import Damage

FRAME = bytes.fromhex("0aff5501ff0005dc0a")


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def write(board: BoardEmulator, data: bytes) -> None:
    port = os.open(board.port, os.O_WRONLY | os.O_NOCTTY)
    try:
        os.write(port, data)
        until(lambda: len(board.received) >= len(data))
    finally:
        os.close(port)


def test_what_waits_comes_at_exactly_the_speed_of_the_line() -> None:
    with BoardEmulator(LINE_SPEED) as board:
        write(board, FRAME * 20)
        assert board.frames == [FRAME] * 20
        for earlier, later in pairwise(board.arrivals):
            assert later - earlier == pytest.approx(9 / 960, abs=1e-6)
        assert board.most_queued == 20 * 9 - 1


def test_a_damaged_line_damages() -> None:
    damage = Damage(1, 0.0)
    damage.ruin()
    with BoardEmulator(damage=damage) as board:
        port = os.open(board.port, os.O_WRONLY | os.O_NOCTTY)
        os.write(port, FRAME * 3)
        until(lambda: len(board.frames) == 2)
        os.close(port)
        assert board.received != FRAME * 3


def test_a_board_comes_back_as_another_line_and_under_another_name() -> None:
    with BoardEmulator(protocol="qs-d01") as board:
        first, line = board.port, board.tty
        board.replug()
        assert board.port == first
        assert board.tty != line
        board.replug("usb-dimmer-port1")
        assert not os.path.lexists(first)
        assert Path(board.port).name == "usb-dimmer-port1"
        write(board, bytes.fromhex("ff554c05dc0a"))
        assert board.levels == {1: 76}


@pytest.mark.parametrize("speed", [None, 96_000])
def test_a_stalled_board_takes_all_when_it_goes_on_and_leaves_nothing_behind(
    speed: float | None,
) -> None:
    before = threading.active_count()
    board = BoardEmulator(speed)
    board.stall()
    port = os.open(board.port, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        os.write(port, FRAME)
    board.resume()
    until(lambda: len(board.received) > 4000)
    os.close(port)
    directory = Path(board.port).parent
    board.close()
    assert not directory.exists()
    assert threading.active_count() == before
