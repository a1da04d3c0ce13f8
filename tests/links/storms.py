"""Storms: writes to both channels of a dimmer, and a line that spoils much of them.

Everything of a storm follows from its seed. A board answers nothing, so what is sent does
not depend on what arrives: the frames of a storm are made once, in virtual time, and can
be carried to a board as often as one likes, each time with other damage.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hk_bridge.links.line_schedule import REPEAT_SECONDS, LineSchedule, LineSettings
from hk_bridge.protocols.wxdm2 import PROTOCOLS
from tests.fakes.board_model import FORMS, SYNC, BoardModel, Damage, Uart

#: What a line of 9600 baud brings in a second.
LINE_SPEED: Final = 960

#: For clocks that were added up.
A_BIT: Final = 1e-9

#: How late a thread is on a machine that is busy now and then (s).
_LATENESS: Final = (0.0, 0.0, 0.0, 0.0, 0.0003, 0.002)

#: For how long the line is taken by a frame, or a hello, and the pause behind it (s).
_LONGEST: Final = {"wxdm2": 9 / 960, "girier": 12 / 960 + 0.1, "qs-d01": 6 / 960}

#: Levels that look like other bytes of a frame.
_NASTY: Final = (0x01, 0x02, 0x0A, 0x55, 0xFF)

#: How often somebody moves a slider, and a scene or a script writes (1/s).
_RATES: Final = (3, 20, 60, 120)


@dataclass(frozen=True, slots=True)
class Write:
    """A level that was accepted for a channel, and when (s)."""

    at: float
    channel: int
    level: int
    ramp: int


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes that went out together: a frame for a channel, or a hello, which has none."""

    at: float
    data: bytes
    channel: int | None


class Storm:
    """The writes of one seed, and what the schedule of a line makes of them.

    `wanted` is the level last accepted for each channel that was written to, and `ended`
    when that was (s). `sent` goes on until each has been refreshed a few times. Up to
    `settled` of it the last writes and their copies have gone out, and what follows are
    refreshes alone; `last` is the last frame of each channel until then.

    Making one fails where a frame had to wait behind another on the line, where a channel
    waited for longer than its turn takes, or where copies and refreshes are too few, too
    many, or late.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._random = random.Random(seed)
        name = self._random.choice(("wxdm2", "wxdm2", "wxdm2", "girier", "qs-d01"))
        self.settings = LineSettings(
            PROTOCOLS[name],
            repeat=self._random.choice((0, 1, 1, 1, 2, 3)),
            refresh=self._random.choice((60.0, 60.0, 0.7)),
        )
        self.is_stupid = self._random.random() < 0.3
        self.damage_rate = self._random.uniform(0.02, 0.3)
        self.writes = sorted(self._writes(), key=lambda write: write.at)
        self.wanted = {write.channel: write.level for write in self.writes}
        self.ended = {write.channel: write.at for write in self.writes}
        self.sent = list(_Line(self).send())
        self.settled = 1 + max(self._last_copy(channel) for channel in self.wanted)
        self.last = {
            frame.channel: number
            for number, frame in enumerate(self.sent[: self.settled])
            if frame.channel is not None
        }

    @property
    def protocol(self) -> str:
        """The name of the kind of board."""
        return self.settings.protocol.name

    def board(self) -> BoardModel:
        """A board for it, which has heard nothing."""
        return BoardModel(self.protocol, stupid=self.is_stupid)

    def damage(self, variant: str) -> Damage:
        """The damage that is done in one of the ways of having a storm."""
        seed = random.Random(f"{self.seed} {variant}").randrange(1 << 32)
        return Damage(seed, self.damage_rate, protocol=self.protocol)

    def channels(self, frames: Iterable[bytes]) -> set[int | None]:
        """The channels that these frames name."""
        return {channel_of(frame, self.protocol) for frame in frames}

    def refreshed(self, since: float = 0.0) -> int:
        """How much of `sent` it takes until each channel was refreshed after `since`.

        A stupid board also throws away what stands behind something damaged: it needs
        another refresh.
        """
        needed = dict.fromkeys(self.wanted, 2 if self.is_stupid else 1)
        for number, frame in enumerate(self.sent):
            if number >= self.settled and frame.at >= since and frame.channel in needed:
                needed[frame.channel] -= 1
                if max(needed.values()) <= 0:
                    return number + 1
        raise AssertionError("there was no refresh")

    def _last_copy(self, channel: int) -> int:
        """Which of what is sent is the last that a write makes; it comes in time."""
        ended, repeat = self.ended[channel], self.settings.repeat
        told = [
            number
            for number, frame in enumerate(self.sent)
            if frame.channel == channel and frame.at >= ended
        ]
        assert len(told) > repeat, f"channel {channel} has too few copies"
        late = self.sent[told[repeat]].at - ended
        most = repeat * REPEAT_SECONDS + (1 + repeat) * patience(self.protocol)
        assert late <= most, f"the last copy of channel {channel} came {late:.3f} s late"
        refreshes = [self.sent[number].at for number in told[repeat:]]
        for earlier, later in itertools.pairwise(refreshes):
            often = later - earlier < self.settings.refresh - A_BIT
            assert not often, f"channel {channel} was sent too often"
        return told[repeat]

    def _writes(self) -> Iterator[Write]:
        """Sliders that are dragged, one after the other or both at once, and switches."""
        chance = self._random
        for _ in range(chance.randint(1, 5)):
            begin, rate = chance.uniform(0, 3.0), chance.choice(_RATES)
            both = FORMS[self.protocol].channels
            for channel in chance.choice([*((each,) for each in both), both]):
                level = chance.choice((chance.randrange(256), *_NASTY))
                for step in range(chance.choice((1, 2, 5, 12, 30))):
                    at = begin + step / rate * chance.uniform(0.8, 1.2)
                    if self.is_stupid and level == SYNC[1]:
                        # It would take levels FF 55 for the beginning of a frame.
                        level += 1
                    yield Write(at, channel, level, 1500 if step == 0 else 0)
                    level = min(max(level + chance.randint(-20, 20), 0), 255)


class _Line:
    """Sends a storm as the thread of an open port does, over a line that is watched."""

    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self._random = random.Random(f"lateness of {storm.seed}")
        self._schedule = LineSchedule(storm.settings)
        self._schedule.restart()
        self._uart = Uart(LINE_SPEED)
        self._now = 0.0
        self._waiting: dict[int, float] = {}

    def send(self) -> Iterator[Sent]:
        """Everything that goes out."""
        for write in self._storm.writes:
            yield from self._until(write.at)
            self._now = write.at
            self._waiting.setdefault(write.channel, write.at)
            self._schedule.submit(write.channel, write.level, write.ramp, write.at)
        refresh = self._storm.settings.refresh
        yield from self._until(self._now + 3 * refresh + 2.0)

    def _until(self, end: float) -> Iterator[Sent]:
        while True:
            late = self._random.choice(_LATENESS)
            at = max(self._now, self._schedule.due) + late
            if at > end:
                return
            self._now = at
            data = self._schedule.take(at)
            assert data is not None, "something was due, and nothing came"
            self._put(data)
            channel = channel_of(data, self._storm.protocol)
            waited = at - self._waiting.pop(channel or 0, at)
            assert waited <= patience(self._storm.protocol), f"{channel} waited {waited} s"
            yield Sent(at, data, channel)

    def _put(self, data: bytes) -> None:
        """Give it to the line, which must have carried all that was sent before."""
        self._uart.take(self._now + A_BIT)
        assert self._uart.due == math.inf, "a frame waits behind another one"
        self._uart.put(data, self._now)


def patience(protocol: str) -> float:
    """How long a channel waits at most: for what is under way, and a frame of the other."""
    return 2 * _LONGEST[protocol] + 3 * max(_LATENESS)


def channel_of(frame: bytes, protocol: str) -> int | None:
    """Which channel a whole frame is for; None for what is no frame."""
    form, begin = FORMS[protocol], frame.find(SYNC)
    body = frame[begin : begin + form.length]
    change = form.change(body) if begin >= 0 and len(body) == form.length else None
    return None if change is None else change[0]


def carried(frame: Sent, damage: Damage) -> list[tuple[float, int]]:
    """What comes out of the line of a frame, and when (s): it had the line for itself."""
    return damage.carry(frame.data, frame.at, 1 / LINE_SPEED)
