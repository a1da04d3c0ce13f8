"""How long a well-behaved controller waits, quiet and during each flood.

The flooder, the server and the controller are processes of one machine, so each figure
holds what they take from each other: compare with the figure of bare HAP-python beside it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.table import Table

from scripts.benches.flood_table import Result, Results, flood_table
from scripts.benches.home import Home, Light, Stranger, User
from scripts.benches.pace import Waits, ask_steadily, insist, reconnect_now_and_then
from scripts.benches.servers import LOOPBACK, Server, bare, simulated

SECONDS = 3.0

#: Each asks 20 times per second.
_CONNECTIONS = 5

#: Each as long as anybody would wait.
_RECOVERY_TRIES = 2
_SAMPLE_SECONDS = 0.05
_OTHER_HOST = "127.0.0.2"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Flood:
    """A row of the table; `done` says what the flooder managed."""

    title: str
    name: str
    done: str
    #: Whether it comes from the controller's own address: who may stay depends on it.
    same_host: bool = False


PAIRED = (
    Flood("idle connections", "idle", "{connections:,} opened"),
    Flood("  from its own host", "idle", "{connections:,} opened", same_host=True),
    Flood("200 trickling connections", "trickle", "{connections:,} opened"),
    Flood("Content-Length 10¹¹", "long_body", "{mebibytes:,} MiB sent"),
    Flood("endless chunks", "endless_chunks", "{mebibytes:,} MiB sent"),
    Flood("20 KB of headers", "long_headers", "{requests:,} requests"),
    Flood("pair-verify M1", "verify_m1", "{requests:,} answered"),
    Flood("pair-setup M1", "setup_m1", "{requests:,} answered"),
    Flood("garbage HTTP", "garbage", "{requests:,} connections"),
    Flood("garbage frames", "garbage_frames", "{connections:,} verified"),
    Flood("pipelined tiny requests", "pipeline", "{tiny:,} sent"),
    Flood("  their answers never read", "pipeline_unread", "{tiny:,} sent"),
)
UNPAIRED = (
    Flood("pair-setup M1", "setup_m1", "{requests:,} answered"),
    Flood("guessing the code", "guess", "{requests:,} guesses"),
)
_TINY_BYTES = len(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


@dataclass(frozen=True)
class Subject:
    """A server, and whoever uses it well."""

    server: Server
    user: Callable[[], User]
    #: For a flood that needs the keys of a controller.
    keys: str = "{}"


def bench_floods(say: Say) -> list[Table]:
    """All floods against this bridge and against bare HAP-python."""
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(_tables(Path(name), say))


async def _tables(folder: Path, say: Say) -> list[Table]:
    paired: dict[str, Results] = {}
    unpaired: dict[str, Results] = {}
    for number, make in enumerate((simulated, bare)):
        with make(folder / f"paired{number}") as server:
            home = await Home.pair(server.port)
            subject = Subject(server, partial(Light, home), home.keys)
            paired[server.name] = await _flood_all(subject, PAIRED, say)
        with make(folder / f"unpaired{number}") as server:
            subject = Subject(server, partial(Stranger, server.port))
            unpaired[server.name] = await _flood_all(subject, UNPAIRED, say)
    return [
        flood_table("floods, and a paired controller", paired),
        flood_table("floods of an unpaired bridge, and a stranger", unpaired),
    ]


async def _flood_all(subject: Subject, floods: tuple[Flood, ...], say: Say) -> Results:
    """Nothing, then one flood after the other, against the same process."""
    server = subject.server
    say(f"{server.name}, quiet")
    results = {"quiet": await _measured(subject, None)}
    before, restarted = server.resident, False
    for flood in floods:
        say(f"{server.name}, {flood.title.strip()}")
        results[flood.title] = result = await _measured(subject, flood)
        if not await _recovers(subject):
            result.remark, restarted = "had to be restarted", True
            server.restart()
    growth = None if restarted else server.resident - before
    results["after all of them"] = Result(memory=growth)
    return results


async def _measured(subject: Subject, flood: Flood | None) -> Result:
    """What a user, who was there before, is in for."""
    result, server = Result(), subject.server
    users = [subject.user() for _ in range(_CONNECTIONS)]
    for user in users:
        await insist(user.ask, 0, result.waits)
    before, lines = server.resident, server.log_lines
    watching = asyncio.create_task(_watch_memory(server, before, result))
    try:
        async with _flooding(subject, flood, result):
            over = asyncio.Event()
            await asyncio.gather(
                ask_steadily(users, SECONDS, result.waits, over),
                reconnect_now_and_then(subject.user, result.waits, over),
            )
    finally:
        watching.cancel()
        for user in users:
            await user.close()
    result.log_lines = server.log_lines - lines
    return result


async def _watch_memory(server: Server, before: float, result: Result) -> None:
    while True:
        result.memory = max(result.memory or 0.0, server.resident - before)
        await asyncio.sleep(_SAMPLE_SECONDS)


async def _recovers(subject: Subject) -> bool:
    """Whether it answers again, some time after a flood."""
    user = subject.user()
    try:
        for _ in range(_RECOVERY_TRIES):
            if await insist(user.ask, 0, Waits()):
                return True
        return False
    finally:
        await user.close()


@asynccontextmanager
async def _flooding(
    subject: Subject, flood: Flood | None, result: Result
) -> AsyncIterator[None]:
    """The flooder at work; what it has done is in `result` at the end."""
    if flood is None:
        yield
        return
    source = LOOPBACK if flood.same_host else _other_host()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "scripts.benches.flooder", flood.name, str(subject.server.port), source),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(subject.keys.encode() + b"\n")
        if not await process.stdout.readline():
            raise SystemExit(f"the flood of {flood.title} did not begin")
        yield
        process.stdin.close()
        done = json.loads(await process.stdout.read())
        await process.wait()
        result.done = flood.done.format(
            **done, mebibytes=done["sent"] >> 20, tiny=done["sent"] // _TINY_BYTES
        )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _other_host() -> str:
    """Another address of loopback, where the system has one."""
    with socket.socket() as probe:
        try:
            probe.bind((_OTHER_HOST, 0))
        except OSError:
            return LOOPBACK
    return _OTHER_HOST
