"""GET /accessories with 140 sensors and 8 lamps, as a paired controller has it.

From the request to the last byte of the answer; what the controller then does with it
is left out. Meanwhile each of our sensors changes every second, and none of HAP-python's.
Both have as many accessories, but ours say more: a battery, what is active, names.
"""

from __future__ import annotations

import asyncio
import select
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.benches.decode import Row
from scripts.benches.servers import CODE, PATIENCE, Server, bare, many_simulated
from tests.e2e.door import client as raw
from tests.e2e.door.connection import Frames

SENSORS, DIMMERS = 140, 4
LAMPS = 2 * DIMMERS
REQUESTS = 300
ROUNDS = 3

_REQUEST = raw.request("GET", "/accessories")
_HEADER, _TAG = 2, 16


@dataclass
class _Result:
    """Seconds of each request, bytes of an answer, seconds of a processor for all."""

    times: list[float] = field(default_factory=list)
    size: int = 0
    busy: float = 0.0


def bench_accessories(say: Callable[[str], None]) -> list[Row]:
    """Medians, and the slowest of a hundred, ours and HAP-python's in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            many_simulated(folder / "ours", SENSORS, DIMMERS) as ours,
            bare(folder / "bare", sensors=SENSORS, lamps=LAMPS) as theirs,
        ):
            results = asyncio.run(_measure([ours, theirs], say))
    rows: list[Row] = []
    for (server, result), limit in zip(results.items(), ("≤ 1.0 ms", ""), strict=True):
        indent = "" if limit else "  "
        times = result.times
        rows += [
            (
                f"{indent}GET /accessories, 140 + 8: {server}, p50",
                f"{statistics.median(times) * 1e3:.2f} ms",
                limit,
            ),
            (
                f"{indent}  p99; processor; bytes",
                (
                    f"{statistics.quantiles(times, n=100)[-1] * 1e3:.2f} ms; "
                    f"{result.busy / len(times) * 1e3:.2f} ms; {result.size:,}"
                ),
                "",
            ),
        ]
    return rows


async def _measure(servers: list[Server], say: Callable[[str], None]) -> dict[str, _Result]:
    results = {server.name: _Result() for server in servers}
    readers = {}
    for server in servers:
        controller = await raw.pair(server.port, CODE)
        readers[server.name] = _Reader(await raw.session(server.port, controller))
    for turn in range(ROUNDS):
        for server in servers:
            say(f"GET /accessories of {server.name}, {turn + 1} of {ROUNDS}")
            reader, result = readers[server.name], results[server.name]
            before = server.processor_seconds
            result.times += [reader.read() for _ in range(REQUESTS)]
            result.busy += server.processor_seconds - before
            result.size = reader.size
    return results


class _Reader:
    """A connection that asks for the database again and again, without a loop."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 # a client's insides
        self._seal = client.outbound.seal
        self._inbound: Frames = client.inbound
        transport = client._writer.transport  # noqa: SLF001 # there is no other way to it
        transport.pause_reading()
        self._socket = transport.get_extra_info("socket").dup()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._room = memoryview(bytearray(2**20))
        self.size = 0

    def read(self) -> float:
        """Seconds from a request to the last byte of its answer."""
        request = self._seal(_REQUEST)
        begun = time.perf_counter()
        self._socket.sendall(request)
        have = whole = opened = 0
        while not whole or have < whole:
            self._poll.poll(PATIENCE * 1e3)
            came = self._socket.recv_into(self._room[have:])
            if not came:
                raise SystemExit("the server hung up instead of answering")
            have += came
            if not whole:
                whole, opened = self._look_at_first(self._room[:have])
        taken = time.perf_counter() - begun
        self._inbound.open(bytes(self._room[opened:have]))
        self.size = whole
        return taken

    def _look_at_first(self, frames: memoryview) -> tuple[int, int]:
        """Bytes of the whole answer by what its first frame says, and of that frame."""
        end = _HEADER + int.from_bytes(frames[:_HEADER], "little") + _TAG
        if len(frames) < end:
            return 0, 0
        return _encrypted_size(self._inbound.open(bytes(frames[:end]))), end


def _encrypted_size(plain: bytes) -> int:
    """Bytes of all frames of the answer that begins so."""
    head, _, _ = plain.partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    length = next(int(v) for k, v in lines.items() if k.lower() == "content-length")
    whole = len(head) + 4 + length
    full, rest = divmod(whole, raw.FRAME)
    return whole + (full + bool(rest)) * (_HEADER + _TAG)
