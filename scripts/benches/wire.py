"""From a PUT to the last byte of its frame on a line, while two sliders are dragged.

It begins when the controller has the bytes ready for the system, so some tenths of a
millisecond pass before a server has them. Writes that a later one replaced do not count.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohomekit.controller.ip.connection import SecureHomeKitProtocol
from aiohomekit.crypto.chacha20poly1305 import (
    ChaCha20Poly1305Decryptor,
    ChaCha20Poly1305Encryptor,
)

from scripts.benches.home import Home, Place
from scripts.benches.line import Line, WireFrame
from scripts.benches.pace import median, percentile
from scripts.benches.servers import Server, bare, dimmer_alone

Row = tuple[str, str, str]

#: Writes per second of each slider; the most milliseconds from one to the end of its
#: frame, for half of them, and for 99 in a hundred. 60 are 112 % of what the line carries.
_LIMITS = {20: (11, 20), 60: (20, 30)}

_SECONDS = 5.0

#: From one drag to the next one: until the frames of the first have left the line.
_REST_SECONDS = 1.5

#: A slider goes up by odd percents and down by even ones: a hundred levels in a row are
#: different, so that it is clear which write a frame comes from.
_WAY = [*range(1, 100, 2), *range(100, 0, -2)]


@dataclass(frozen=True, slots=True)
class _Write:
    """A PUT: its level (0–255), and when it was sent and answered, in seconds.

    It was sent just before the controller gave it to the system.
    """

    level: int
    sent: float
    answered: float


#: The writes of one drag, by channel.
_Drag = dict[int, list[_Write]]


class _Encryptor(ChaCha20Poly1305Encryptor):
    """The last thing that a connection does before it sends."""

    used_at = 0.0

    def encrypt(self, aad: bytes, nonce: bytes, plaintext: bytes) -> bytes:
        data = super().encrypt(aad, nonce, plaintext)
        self.used_at = time.monotonic()
        return data


class _Decryptor(ChaCha20Poly1305Decryptor):
    """The first thing that it does with an answer."""

    used_at = 0.0

    def decrypt(self, aad: bytes, nonce: bytes, ciphertext: bytes) -> bytes:
        self.used_at = time.monotonic()
        return super().decrypt(aad, nonce, ciphertext)


class _Slider:
    """The brightness of one lamp, on a connection of its own.

    As with two phones: on one connection, a controller waits for each answer.
    """

    def __init__(self, home: Home, place: Place) -> None:
        self._pairing = home.connection()
        self._place = place

    async def connect(self) -> None:
        """Open the connection."""
        await self._put(100)
        protocol = self._pairing.connection.protocol
        assert isinstance(protocol, SecureHomeKitProtocol)
        self._out = protocol.encryptor = _Encryptor(protocol.c2a_key)
        self._in = protocol.decryptor = _Decryptor(protocol.a2c_key)

    async def close(self) -> None:
        await self._pairing.close()

    async def drag(self, begin: float, count: int) -> list[_Write]:
        """`count` writes, each at its time whatever became of those before it."""
        loop = asyncio.get_running_loop()
        writes = []
        for turn in range(count):
            await asyncio.sleep(begin + turn * _SECONDS / count - loop.time())
            percent = _WAY[turn % len(_WAY)]
            await self._put(percent)
            level = round(percent * 255 / 100)
            writes.append(_Write(level, self._out.used_at, self._in.used_at))
        return writes

    async def _put(self, percent: int) -> None:
        if await self._pairing.put_characteristics([(*self._place, percent)]):
            raise SystemExit("the bench could not set a lamp")


def bench_wire(say: Callable[[str], None]) -> list[Row]:
    """hk-bridge, and bare HAP-python that has each write go straight to the port."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = _measure(lambda port: dimmer_alone(folder / "ours", port), say)
        theirs = _measure(lambda port: bare(folder / "bare", port), say)
    for rate, (half, nearly_all) in _LIMITS.items():
        limits = (f"≤ {half} ms, p99 ≤ {nearly_all} ms", "≤ 1 ms", "≤ 100 %, ≤ 1 queued")
        titles = (f"PUT to wire, 2 sliders at {rate}/s", "  PUT answered", "  line taken")
        rows += zip(titles, ours[rate], limits, strict=True)
        titles = ("  bare HAP-python", "    PUT answered", "    line taken")
        rows += zip(titles, theirs[rate], ("", "", ""), strict=True)
    return rows


def _measure(
    make: Callable[[str], Server], say: Callable[[str], None]
) -> dict[int, tuple[str, str, str]]:
    with Line() as line:
        with make(line.port) as server:
            drags = asyncio.run(_drag_all(server, say))
        frames = line.end()
    return {rate: _results(drag, frames) for rate, drag in drags.items()}


async def _drag_all(server: Server, say: Callable[[str], None]) -> dict[int, _Drag]:
    """Drag the sliders of both lamps at each rate."""
    home = await Home.pair(server.port)
    sliders = [_Slider(home, brightness) for _, brightness in home.lamps]
    drags = {}
    try:
        for slider in sliders:
            await slider.connect()
        for rate in _LIMITS:
            await asyncio.sleep(_REST_SECONDS)
            say(f"{server.name}, two sliders at {rate} writes/s")
            begin = asyncio.get_running_loop().time()
            # The second slider makes one write more, so that the two come together at
            # every distance once.
            writes = await asyncio.gather(
                *(
                    slider.drag(begin, int(rate * _SECONDS) + more)
                    for more, slider in enumerate(sliders)
                )
            )
            drags[rate] = dict(enumerate(writes, start=1))
        await asyncio.sleep(_REST_SECONDS)
    finally:
        for slider in sliders:
            await slider.close()
    return drags


def _results(drag: _Drag, all_frames: list[WireFrame]) -> tuple[str, str, str]:
    """What is said of one drag, of which `all_frames` have the frames."""
    begin = min(writes[0].sent for writes in drag.values())
    end = max(writes[-1].answered for writes in drag.values())
    frames = [each for each in all_frames if begin <= each.came < end + _REST_SECONDS]
    waits = [
        wait
        for channel, writes in drag.items()
        for wait in _waits(writes, [each for each in frames if each.channel == channel])
    ]
    writes = [write for each in drag.values() for write in each]
    answers = [(write.answered - write.sent) * 1000 for write in writes]
    return (
        f"{_spread(waits)}, n = {len(waits)} of {len(writes)}",
        f"{_spread(answers)}{_slowness(drag)}",
        _load([each for each in frames if each.came <= end]),
    )


def _waits(writes: list[_Write], frames: list[WireFrame]) -> list[float]:
    """Milliseconds from each write that has a frame to the end of that.

    The others were replaced by a later one, and the other frames are copies.
    """
    waits = []
    missing = 0
    for frame in frames:
        for turn in range(missing, min(missing + len(_WAY), len(writes))):
            if writes[turn].level == frame.level and writes[turn].sent <= frame.came:
                waits.append((frame.left - writes[turn].sent) * 1000)
                missing = turn + 1
                break
    if missing != len(writes):
        raise SystemExit("the last level of a slider did not reach the line")
    return waits


def _spread(milliseconds: list[float]) -> str:
    return f"{median(milliseconds):.1f} ms, p99 {percentile(milliseconds, 99):.1f} ms"


def _slowness(drag: _Drag) -> str:
    """By how much the writes were slower than they should have been, if so."""
    latest = max(
        (writes[-1].sent - writes[0].sent) / (_SECONDS * (1 - 1 / len(writes)))
        for writes in drag.values()
    )
    return f", at {100 / latest:.0f} % of the rate" if latest > 1.01 else ""


def _load(frames: list[WireFrame]) -> str:
    """What share of the line's time the frames take, and how many waited at most.

    The one that is leaving does not wait.
    """
    taken = sum(frame.left - frame.begun for frame in frames[:-1])
    share = taken / (frames[-1].came - frames[0].came)
    queued = max(
        sum(earlier.begun > frame.came for earlier in frames[: turn + 1])
        for turn, frame in enumerate(frames)
    )
    return f"{share * 100:.0f} %, {queued} queued at most"
