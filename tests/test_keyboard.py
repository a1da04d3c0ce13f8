"""From what a terminal sends to keys."""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.calibration import Key
from hk_bridge.keyboard import KEYS, Keyboard, split
from tests.test_cli import PATIENCE

#: Keys that are whole whatever follows them.
WHOLE = sorted(KEYS.keys() - {b"\x1b"})


@given(st.lists(st.sampled_from(WHOLE)))
def test_keys_that_come_in_one_piece_are_told_apart(pressed: list[bytes]) -> None:
    assert split(b"".join(pressed)) == ([KEYS[each] for each in pressed], b"")


@given(st.lists(st.sampled_from(WHOLE)), st.integers(0, 100))
def test_keys_may_be_cut_anywhere(pressed: list[bytes], cut: int) -> None:
    data = b"".join(pressed)
    first, rest = split(data[:cut])
    second, end = split(rest + data[cut:])
    assert (first + second, end) == ([KEYS[each] for each in pressed], b"")


@pytest.mark.parametrize(
    "unknown", [b"\x1b[15~", b"\x1bOP", b"\x1b[1;5A", b"\x1bx", b"x", b"\xc3", b"\0"]
)
def test_a_key_without_meaning_is_one_key_and_does_nothing(unknown: bytes) -> None:
    assert split(unknown + b"+") == ([Key.OTHER, Key.UP], b"")


def test_escape_before_another_escape_was_pressed() -> None:
    assert split(b"\x1b\x1b[A") == ([Key.LEAVE, Key.UP], b"")
    assert split(b"\x1b\x1b") == ([Key.LEAVE], b"\x1b")


@given(st.binary(max_size=30))
def test_whatever_comes_nothing_is_lost_but_the_end(data: bytes) -> None:
    keys, rest = split(data)
    assert data.endswith(rest)
    assert len(keys) <= len(data) - len(rest)


# -- a terminal ---------------------------------------------------------------------------


@pytest.fixture
def screen() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal: the person's, and the program's."""
    person, program = os.openpty()
    yield person, program
    for end in (person, program):
        try:
            os.close(end)
        except OSError:
            continue


async def test_keys_come_without_enter_and_are_not_shown(screen: tuple[int, int]) -> None:
    person, program = screen
    before = termios.tcgetattr(program)
    with Keyboard(program) as keyboard:
        os.write(person, b"+\x1b[B\r")
        async with asyncio.timeout(PATIENCE):
            assert [await keyboard.key() for _ in range(3)] == [
                *(Key.UP, Key.DOWN, Key.TAKE)
            ]
        os.set_blocking(person, False)
        with pytest.raises(BlockingIOError):
            os.read(person, 100)
    assert termios.tcgetattr(program) == before


async def test_escape_alone_is_a_key_and_its_sequence_may_come_late(
    screen: tuple[int, int],
) -> None:
    person, program = screen
    with Keyboard(program) as keyboard:
        async with asyncio.timeout(PATIENCE):
            os.write(person, b"\x1b")
            assert await keyboard.key() is Key.LEAVE
            os.write(person, b"o")
            assert await keyboard.key() is Key.TOGGLE


async def test_a_terminal_that_is_gone_is_the_key_to_leave(screen: tuple[int, int]) -> None:
    person, program = screen
    with Keyboard(program) as keyboard:
        os.close(person)
        async with asyncio.timeout(PATIENCE):
            assert await keyboard.key() is Key.LEAVE


async def test_the_terminal_is_restored_when_something_goes_wrong(
    screen: tuple[int, int],
) -> None:
    _, program = screen
    before = termios.tcgetattr(program)
    with pytest.raises(ValueError, match="something"), Keyboard(program):
        raise ValueError("something")
    assert termios.tcgetattr(program) == before
