"""Single keys of the person at the terminal, as they are pressed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import termios
import tty
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from hk_bridge.calibration import Key

#: An Esc that nothing follows within this time is the key of that name; in front of other
#: bytes it begins what the terminal sends for another key.
_ESCAPE_SECONDS: Final = 0.1

#: One key: an escape sequence (CSI, SS3, or Alt and a key), an Esc before another, a byte.
_KEY: Final = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO[ -~]|\x1b[^\[O\x1b]|\x1b(?=\x1b)|[^\x1b]", re.DOTALL
)

_MOST_READ: Final = 1024

#: What a terminal sends for the keys that mean something.
KEYS: Final[Mapping[bytes, Key]] = {
    b"\x1b[A": Key.UP,
    b"\x1bOA": Key.UP,
    b"+": Key.UP,
    b"=": Key.UP,
    b"\x1b[B": Key.DOWN,
    b"\x1bOB": Key.DOWN,
    b"-": Key.DOWN,
    b"\x1b[5~": Key.FAR_UP,
    b"]": Key.FAR_UP,
    b"\x1b[6~": Key.FAR_DOWN,
    b"[": Key.FAR_DOWN,
    b"o": Key.TOGGLE,
    b"O": Key.TOGGLE,
    b"\r": Key.TAKE,
    b"\n": Key.TAKE,
    b"\x1b": Key.LEAVE,
    b"q": Key.LEAVE,
    b"Q": Key.LEAVE,
    b"y": Key.YES,
    b"Y": Key.YES,
    b"n": Key.NO,
    b"N": Key.NO,
}


class Keyboard:
    """The keys that are pressed while it is entered, in a running event loop.

    `terminal` is the file descriptor of one. It shows nothing of what is typed meanwhile,
    and is as it was afterwards. Ctrl-C is a signal all the time. A terminal that is gone
    is the key to leave.
    """

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._keys: asyncio.Queue[Key] = asyncio.Queue()
        self._rest = b""
        self._alone: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._before = termios.tcgetattr(self._terminal)
        try:
            tty.setcbreak(self._terminal, termios.TCSADRAIN)
            self._loop.add_reader(self._terminal, self._read)
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._wait_for_more(waits=False)
        self._loop.remove_reader(self._terminal)
        self._restore()

    async def key(self) -> Key:
        """The next key."""
        return await self._keys.get()

    def _restore(self) -> None:
        with contextlib.suppress(termios.error):  # the window has been closed
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        try:
            data = os.read(self._terminal, _MOST_READ)
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._terminal)
            self._keys.put_nowait(Key.LEAVE)
            return
        pressed, self._rest = split(self._rest + data)
        for key in pressed:
            self._keys.put_nowait(key)
        self._wait_for_more(waits=bool(self._rest))

    def _wait_for_more(self, *, waits: bool) -> None:
        if self._alone is not None:
            self._alone.cancel()
        self._alone = (
            self._loop.call_later(_ESCAPE_SECONDS, self._take_rest) if waits else None
        )

    def _take_rest(self) -> None:
        """Nothing followed what looked like the beginning of something."""
        self._keys.put_nowait(KEYS.get(self._rest, Key.OTHER))
        self._rest = b""


def split(data: bytes) -> tuple[list[Key], bytes]:
    """The keys that `data` is made of, and what of its end may be the beginning of one."""
    keys, at = [], 0
    while found := _KEY.match(data, at):
        keys.append(KEYS.get(found[0], Key.OTHER))
        at = found.end()
    return keys, data[at:]
