"""Somebody at a terminal: reads what a program shows there, types, and presses Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

#: Long enough for the slowest machine; what is waited for takes milliseconds.
PATIENCE: Final = 30.0

_CONTROL: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|\r")


class Terminal:
    """A program on a pseudo-terminal that controls it, as a window of a desktop does.

    `raw` is what was shown up to now, byte for byte, and `text` the same without colours
    and movements of the cursor. With `stdout` given, stdout does not go to the terminal.
    """

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        env: dict[str, str],
        *,
        columns: int = 120,
        stdout: int | None = None,
    ) -> None:
        self.raw = b""
        self._seen = 0
        screen, line = os.openpty()
        self._screen: int | None = screen
        fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={"TERM": "xterm-256color", **env},
            stdin=line,
            stdout=line if stdout is None else stdout,
            stderr=line,
            start_new_session=True,
            preexec_fn=_take_the_terminal,  # noqa: PLW1509 # it takes no lock
        )
        os.close(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._close()

    @property
    def text(self) -> str:
        return _CONTROL.sub("", self.raw.decode(errors="replace"))

    def shows(self, words: str) -> None:
        """Return once `words` are there, behind what was waited for before."""
        end = time.monotonic() + PATIENCE
        while (place := self.text.find(words, self._seen)) < 0:
            assert self._read(end), f"{words!r} is not in {self.text[self._seen :]!r}"
        self._seen = place + len(words)

    def types(self, line: str) -> None:
        """Type a line, and press Enter."""
        os.write(self._open, f"{line}\n".encode())

    def presses(self, key: bytes) -> None:
        """Press a key, such as b"\\x03" for Ctrl-C."""
        os.write(self._open, key)

    def hangs_up(self) -> int:
        """Close the window; returns the exit code."""
        self._close()
        return self.process.wait(PATIENCE)

    @property
    def _open(self) -> int:
        assert self._screen is not None, "the window is closed"
        return self._screen

    def _close(self) -> None:
        if self._screen is not None:
            os.close(self._screen)
            self._screen = None

    def interrupts(self) -> int:
        """Press Ctrl-C; returns the exit code, as `ends` does."""
        self.presses(b"\x03")
        return self.ends()

    def ends(self) -> int:
        """The exit code, once everything has been shown and the program has ended."""
        end = time.monotonic() + PATIENCE
        while self._read(end):
            pass
        return self.process.wait(PATIENCE)

    def _read(self, end: float) -> bool:
        """Read some more; whether there may be more to come."""
        ready, _, _ = select.select([self._open], [], [], max(0, end - time.monotonic()))
        if not ready:
            self.process.send_signal(signal.SIGKILL)
            raise AssertionError(f"nothing more in {PATIENCE} s: {self.text!r}")
        try:
            some = os.read(self._open, 65536)
        except OSError:  # nobody has the terminal open any more
            return False
        self.raw += some
        return bool(some)


def _take_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
