"""Programs that run beside a test, and what they say, line by line."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable
from typing import TypeVar

#: What must happen within 30 s is waited for a little longer: two cores may be busy.
PATIENCE = 40.0

T = TypeVar("T")


class Program:
    """A program that runs until it is ended; stdout and stderr are one."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.lines: list[str] = []
        self._read = asyncio.create_task(self._listen())
        self._more = asyncio.Event()

    @classmethod
    async def start(cls, *command: str) -> Program:
        return cls(
            await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=STDOUT
            )
        )

    @property
    def runs(self) -> bool:
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def says(self, *words: str, after: int = 0, within: float = PATIENCE) -> str:
        """The first line from number `after` on in which all `words` are."""
        at = after
        try:
            async with asyncio.timeout(within):
                while True:
                    self._more.clear()
                    for line in self.lines[at:]:
                        if all(word in line for word in words):
                            return line
                    at = len(self.lines)
                    assert not self._read.done(), "it has ended"
                    await self._more.wait()
        except (TimeoutError, AssertionError) as error:
            said = "\n".join(self.lines) or "(nothing)"
            why = str(error) or f"not within {within:g} s"
            raise AssertionError(f"no line with {words}, {why}; it said:\n{said}") from None

    async def hear(self, line: str) -> None:
        """Write `line` to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send `how`, and wait until it has ended; kill it if it does not."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(how)
        try:
            async with asyncio.timeout(PATIENCE):
                code = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            raise
        await self._read
        return code

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))
            self._more.set()
        self._more.set()


async def finish(*command: str, stdin: str = "") -> str:
    """What `command` writes to stdout; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE if stdin else DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(stdin.encode() if stdin else None)
    except (TimeoutError, asyncio.CancelledError):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, f"{' '.join(command)}: {err.decode()}"
    return out.decode()


async def until(
    look: Callable[[], Awaitable[T]], fits: Callable[[T], bool], within: float = PATIENCE
) -> T:
    """What `look` finds once it `fits`; each look is a program's run, of some 0.1 s."""
    seen: list[T] = []
    try:
        async with asyncio.timeout(within):
            while True:
                seen = [await look()]
                if fits(seen[0]):
                    return seen[0]
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s; last seen: {seen}") from None
