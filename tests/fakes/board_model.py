"""A dimmer board without its line, and what a line does to bytes: pure, time is told.

It knows the frames on its own, from docs/protocols/wxdm2.md, and shares no code with the
package: a mistake there must not be repeated here. Times are seconds on any one clock.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

SYNC: Final = b"\xff\x55"
END: Final = 0x0A


@dataclass(frozen=True, slots=True)
class Form:
    """How the frames of one kind of board look.

    `length` is counted from FF to the end byte 0A. `lead` is what may stand in front; what
    may stand behind is as good as junk. A board of one channel has no channel byte.
    """

    lead: bytes
    length: int
    channels: tuple[int, ...]

    def change(self, body: bytes) -> tuple[int, int] | None:
        """The channel and its level; None where the bytes from FF on are no frame."""
        if body[-1] != END:
            return None
        if len(self.channels) == 1:
            return self.channels[0], body[2]
        channel = body[2]
        return (channel, body[2 + channel]) if channel in self.channels else None


FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "wxdm2": Form(b"\x0a", 8, (1, 2)),
        "girier": Form(bytes(2), 8, (1, 2)),
        "qs-d01": Form(b"", 6, (1,)),
    }
)


class BoardModel:
    """What the microcontroller makes of bytes, in whatever pieces they come.

    It hunts FF 55 and looks at the bytes of one frame from there on. Where they are none
    it hunts on right behind that FF; a `stupid` one has thrown them all away by then, and
    hunts on behind them.

    `received` is all that came. `frames` are those that were found, with the lead-in where
    there was a whole one, `arrivals` when the last byte of each came. `levels` is the level
    that each channel was last set to, since there was power.
    """

    def __init__(self, protocol: str = "wxdm2", *, stupid: bool = False) -> None:
        self.form = FORMS[protocol]
        self.stupid = stupid
        self.received = bytearray()
        self.frames: list[bytes] = []
        self.arrivals: list[float] = []
        self.levels: dict[int, int] = {}
        self._rest = b""

    def take(self, data: bytes, at: float = 0.0) -> None:
        """Take bytes that all came at that time."""
        self.received += data
        stream, lead, length = self._rest + data, self.form.lead, self.form.length
        done = 0
        while (start := stream.find(SYNC, done)) >= 0 and start + length <= len(stream):
            body = stream[start : start + length]
            change = self.form.change(body)
            before = stream[max(done, start - len(lead)) : start]
            done = start + (length if self.stupid or change else 1)
            if change:
                self.arrivals.append(at)
                self.frames.append(body if before != lead else lead + body)
                self.levels.update([change])
        # What may still become a frame: from FF 55 on, or a lead-in and FF at the end.
        begun = start if start >= 0 else len(stream) - len(SYNC) + 1
        self._rest = stream[max(done, begun - len(lead)) :]

    def lose_power(self) -> None:
        """Forget the levels, and what had come of a frame; what was found stays noted."""
        self.levels.clear()
        self._rest = b""


class Uart:
    """A line that carries so many bytes in a second, one after the other, and no more.

    A byte that waits arrives exactly one byte's time after the one before it, however late
    somebody looks; one that need not wait, a byte's time after it was put there.
    """

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._bytes: deque[int] = deque()
        self._due = math.inf

    @property
    def due(self) -> float:
        """When the next byte arrives; infinity when there is none."""
        return self._due

    @property
    def waiting(self) -> int:
        """How many bytes wait behind the one that is on its way."""
        return max(0, len(self._bytes) - 1)

    def put(self, data: bytes, now: float) -> None:
        """Have bytes carried, after those that wait."""
        if data and not self._bytes:
            self._due = now + 1 / self.speed
        self._bytes.extend(data)

    def take(self, now: float) -> list[tuple[float, int]]:
        """The bytes that have arrived until now, and when each did."""
        arrived = []
        while self._due <= now:
            arrived.append((self._due, self._bytes.popleft()))
            self._due = self._due + 1 / self.speed if self._bytes else math.inf
        return arrived


class Hit(Enum):
    """What can happen to a byte."""

    LOST = "lost"
    FLIPPED = "flipped"
    DELAYED = "delayed"


class Damage:
    """A bad line: loses, flips and delays bytes, in the same way for the same seed.

    `rate` is how likely each byte is hit, in one of the ways of `kinds`; it can be set at
    any time, and 0 is a line that is intact from there on. A byte that is flipped differs
    in one bit. One that is delayed holds up all behind it. `hits` says what was done, with
    the number of the byte (from 0, as sent).
    """

    def __init__(
        self,
        seed: int,
        rate: float = 0.02,
        *,
        kinds: tuple[Hit, ...] = tuple(Hit),
        longest_delay: float = 0.05,
        protocol: str = "wxdm2",
    ) -> None:
        self.rate = rate
        self.kinds = kinds
        self.longest_delay = longest_delay
        self.hits: list[tuple[int, Hit]] = []
        self._random = random.Random(seed)
        self._form = FORMS[protocol]
        self._sent = 0
        self._place = -1
        self._latest = -math.inf
        self._to_ruin = 0
        self._victim = 0

    def ruin(self, frames: int = 1) -> None:
        """Damage so many frames for certain, the next ones that begin.

        No such frame arrives as it was sent: its 55, the byte behind that, or its end is
        hit. (Without its end it would be whole again with the next lead-in, so that one is
        only flipped.)
        """
        self._to_ruin = frames

    def carry(
        self, data: bytes, at: float = 0.0, byte_time: float = 0.0
    ) -> list[tuple[float, int]]:
        """The bytes that come out, in order, and when each does.

        The first would arrive one `byte_time` after `at`, the next one another later.
        """
        arrived = []
        for number, byte in enumerate(data, 1):
            hit = self._hit(byte)
            came, due = byte, at + number * byte_time
            if hit is not None:
                self.hits.append((self._sent, hit))
            self._sent += 1
            if hit is Hit.LOST:
                continue
            if hit is Hit.FLIPPED:
                came ^= 1 << self._random.randrange(8)
            if hit is Hit.DELAYED:
                due += self._random.uniform(0, self.longest_delay)
            self._latest = max(self._latest, due)
            arrived.append((self._latest, came))
        return arrived

    def _hit(self, byte: int) -> Hit | None:
        """What happens to this byte."""
        self._place = place = self._next_place(byte)
        if place == 1 and self._to_ruin:
            self._to_ruin -= 1
            self._victim = self._random.choice((1, 2, self._form.length - 1))
        if place > 0 and place == self._victim:
            self._victim = 0
            is_end = place == self._form.length - 1
            return Hit.FLIPPED if is_end else self._random.choice([Hit.LOST, Hit.FLIPPED])
        if self._random.random() < self.rate:
            return self._random.choice(self.kinds)
        return None

    def _next_place(self, byte: int) -> int:
        """Where in a frame this byte was sent, counted from its FF; -1 outside."""
        if 0 < self._place < self._form.length - 1:
            return self._place + 1
        if byte == SYNC[0]:
            return 0
        return 1 if self._place == 0 and byte == SYNC[1] else -1
