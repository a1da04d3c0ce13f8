"""A thousand storms on a line that loses, flips and delays bytes: the lamps end right.

To see one storm alone: ``STORM=123 python -m pytest tests/links/test_storms.py``
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import random
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest

from hk_bridge import supervision
from hk_bridge.config import ChannelConfig, DimmerConfig
from hk_bridge.dimmer_board import DimmerBoard
from hk_bridge.errors import LinkError
from hk_bridge.lamp_station import LampStation
from hk_bridge.links import line_schedule, serial_port
from hk_bridge.supervision import Supervisor
from tests.fakes.board import LINE_SPEED, BoardEmulator
from tests.fakes.board_model import FORMS, BoardModel, Damage
from tests.links.storms import Sent, Storm, carried

# A thousand times the same lines: counting them would take longer than they do.
pytestmark = pytest.mark.no_cover

STORMS: Final = 1000
_ALONE: Final = os.environ.get("STORM")
_PART: Final = 125

PARTS: Final = (
    [range(begin, begin + _PART) for begin in range(0, STORMS, _PART)]
    if _ALONE is None
    else [range(int(_ALONE), int(_ALONE) + 1)]
)

in_parts = pytest.mark.parametrize(
    "seeds", PARTS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}"
)


made = functools.cache(Storm)


def each(seeds: Iterable[int], check: Callable[[Storm], None]) -> None:
    """Check storm after storm, and say which one it was where something fails."""
    for seed in seeds:
        try:
            check(made(seed))
        except BaseException as error:
            error.add_note(f"in storm {seed}; alone: STORM={seed} pytest {__file__}")
            raise


def hear(board: BoardModel, frame: Sent, damage: Damage) -> None:
    """Have a board hear a frame over a damaged line."""
    board.take(bytes(byte for _, byte in carried(frame, damage)))


def wrong(storm: Storm, board: BoardModel) -> set[int]:
    """The channels that are not at the level last accepted for them."""
    return {
        channel
        for channel, level in storm.wanted.items()
        if board.levels.get(channel) != level
    }


# In virtual time -------------------------------------------------------------------------


def spared(storm: Storm) -> set[int]:
    """The frames that arrive as they were sent: the last of each channel.

    A stupid board throws away the beginning of the frame behind a damaged one, as good
    as damaging that: for it, those before the last ones count with them.
    """
    last = set(storm.last.values())
    return last | {number - 1 for number in last} if storm.is_stupid else last


def hear_damaged(storm: Storm, board: BoardModel, damage: Damage) -> set[int]:
    """All but the last frames; returns the channels that were named without being meant.

    That is behind their last frame: what names them there was for the other one.
    """
    intact, found = spared(storm), {}
    for number, frame in enumerate(storm.sent[: storm.settled]):
        damage.rate = 0 if number in intact else storm.damage_rate
        hear(board, frame, damage)
        found[frame.channel] = len(board.frames)
    return {
        channel
        for channel in storm.wanted
        if channel in storm.channels(board.frames[found[channel] :])
    }


def be_right_at_once(storm: Storm) -> None:
    board, damage = storm.board(), storm.damage("elsewhere")
    mistaken = hear_damaged(storm, board, damage)
    assert wrong(storm, board) <= mistaken
    be_right_after_refresh(storm, board, damage)


def be_right_after_refresh(storm: Storm, board: BoardModel, damage: Damage) -> None:
    damage.rate = 0
    for frame in storm.sent[storm.settled : storm.refreshed()]:
        hear(board, frame, damage)
    assert wrong(storm, board) == set()


@in_parts
def test_with_damage_anywhere_but_in_the_last_frame_of_a_channel_its_level_is_right(
    seeds: range,
) -> None:
    """At once, when the last copies are out.

    What remains: a damaged frame that has lost the byte of its channel can set the other
    one, which is quiet already. So a level is certain where the last frame of its channel
    comes after the last damage at all, and else after the next refresh. In these storms
    that is one in two hundred; below stands how it comes.
    """
    each(seeds, be_right_at_once)


def ruin_all(storm: Storm, board: BoardModel, damage: Damage) -> None:
    """Have no frame with a last level arrive as it was sent, until all copies are out."""
    for frame in storm.sent[: storm.settled]:
        if frame.channel is not None and frame.at >= storm.ended[frame.channel]:
            damage.ruin()
        hear(board, frame, damage)


def be_right_though_all_was_ruined(storm: Storm) -> None:
    board, damage = storm.board(), storm.damage("last frames")
    ruin_all(storm, board, damage)
    be_right_after_refresh(storm, board, damage)


@in_parts
def test_with_the_last_frames_damaged_the_levels_are_right_after_the_next_refresh(
    seeds: range,
) -> None:
    """A stupid board may need the second one: see `Storm.refreshed`."""
    each(seeds, be_right_though_all_was_ruined)


def be_right_though_power_was_lost(storm: Storm) -> None:
    board, damage = storm.board(), storm.damage("power")
    calm = storm.sent[storm.settled - 1].at
    chance = random.Random(f"power of {storm.seed}")
    lost_at = chance.uniform(0, calm + 0.9 * storm.settings.refresh)
    came = []
    for number, frame in enumerate(storm.sent[: storm.refreshed(lost_at)]):
        damage.rate = storm.damage_rate if number < storm.settled else 0
        came += carried(frame, damage)
    board.take(bytes(byte for at, byte in came if at < lost_at))
    board.lose_power()
    board.take(bytes(byte for at, byte in came if at >= lost_at))
    assert wrong(storm, board) == set()


@in_parts
def test_a_board_that_lost_power_in_a_storm_or_later_is_right_after_the_next_refresh(
    seeds: range,
) -> None:
    each(seeds, be_right_though_power_was_lost)


def test_the_storms_are_heavy_and_of_all_kinds() -> None:
    """Else the tests above would show nothing."""
    some = [made(seed) for seed in range(200)]
    assert {storm.protocol for storm in some} == set(FORMS)
    assert {storm.settings.repeat for storm in some} == {0, 1, 2, 3}
    assert {len(storm.wanted) for storm in some} == {1, 2}
    assert sum(len(storm.writes) for storm in some) > 30 * len(some)
    channels = lost = still_wrong = mistaken = 0
    for storm in some:
        board, damage = storm.board(), storm.damage("elsewhere")
        mistaken += len(hear_damaged(storm, board, damage))
        board, damage = storm.board(), storm.damage("last frames")
        ruin_all(storm, board, damage)
        sent = sum(len(frame.data) for frame in storm.sent[: storm.settled])
        lost += len(damage.hits) / sent > 0.05
        still_wrong += len(wrong(storm, board))
        channels += len(storm.wanted)
    assert lost > 0.8 * len(some)
    assert still_wrong > 0.8 * channels
    assert mistaken < 0.03 * channels


def test_one_kind_of_damage_can_set_the_other_channel_until_the_next_refresh() -> None:
    """A frame for channel 2 whose 02 is lost, while channel 1 is at level 1.

    What follows moves up: 01 is the channel then, and the end is the next one's lead-in.
    """
    frame = bytes.fromhex("0a ff 55 02 01 50 00 00 0a")
    board = BoardModel()
    board.take(bytes.fromhex("0a ff 55 01 01 50 00 00 0a"))
    board.take(frame.replace(b"\x02", b"") + b"\x0a")
    assert board.levels == {1: 0x50}
    # No single flip makes a 01 of a 02.
    for place, bit in itertools.product(range(len(frame)), range(8)):
        flipped = bytearray(frame)
        flipped[place] ^= 1 << bit
        board = BoardModel()
        board.take(bytes(flipped) + b"\x0a")
        assert 1 not in board.levels


def test_a_stupid_board_can_be_out_of_step_until_the_levels_are_others() -> None:
    """Levels 255 and 85 are FF 55, the beginning of a frame, in the middle of each.

    The storms of stupid boards have no 85, so that this is the only place to see it.
    """
    looks_like_two = bytes.fromhex("0a ff 55 01 ff 55 05 dc 0a")
    board, clever = BoardModel(stupid=True), BoardModel()
    for model in (board, clever):
        model.take(looks_like_two[2:] + looks_like_two * 20)
    assert (board.frames, clever.levels) == ([], {1: 255})
    for level in (0x10, 0x20):
        board.take(bytes([0x0A, 0xFF, 0x55, 2, 0xFF, level, 0, 0, 0x0A]))
    assert board.levels == {2: 0x20}


# On real lines ---------------------------------------------------------------------------

#: Longer than anything here takes (s).
PATIENCE: Final = 20.0

#: None of the second one's levels is 85: see above.
LAMPS: Final = (
    ChannelConfig(1, "Ceiling"),
    ChannelConfig(2, "Mirror", min_level=20, max_level=210, gamma=1.8),
)


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in a house takes a fraction of one."""
    monkeypatch.setattr(serial_port, "_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(line_schedule, "REPEAT_SECONDS", 0.02)
    monkeypatch.setattr(supervision, "_FIRST_DELAY", 0.02)
    monkeypatch.setattr(supervision, "_LONGEST_DELAY", 0.05)


async def until(condition: Callable[[], Any], seed: int) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"storm {seed} has not come to that"
        await asyncio.sleep(0.005)


class RealStorm:
    """Somebody at both lamps of a board on a pseudo-terminal, which is pulled out at times.

    `accepted` is the last level that was accepted for each channel. `refused` counts the
    writes that were not, and `replugged` how often the line has become another one.
    """

    def __init__(self, seed: int, speed: float | None) -> None:
        self.seed = seed
        self._random = random.Random(f"real {seed}")
        self.damage = Damage(seed, self._random.uniform(0.02, 0.2))
        self.emulator = BoardEmulator(speed, damage=self.damage)
        self.emulator.model.stupid = seed % 3 == 0
        # Half of them have no refresh to help them.
        self._refresh = 0.3 if seed % 2 else 0.0
        port = self.emulator.port
        config = DimmerConfig("Dimmer", port, LAMPS, refresh=self._refresh)
        self._board = DimmerBoard(config, port, {}, lambda: None)
        self.accepted: dict[int, int] = {}
        self.refused = self.replugged = 0

    async def run(self) -> None:
        """Have the storm, and see that it ends right."""
        link = self._board.link
        task = asyncio.create_task(Supervisor(link, self._board.resend).run())
        try:
            await until(lambda: link.is_open, self.seed)
            for _ in range(40):
                await self._step()
            self.damage.rate = 0
            if not self._refresh:
                await self._write_intact_frames()
            await until(lambda: self.emulator.levels == self.accepted, self.seed)
            await until(lambda: link.is_open, self.seed)
            await link.drain()
            # Nothing that is still on its way makes it wrong again.
            await until(lambda: self.emulator.levels == self.accepted, self.seed)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.emulator.close()

    async def _step(self) -> None:
        what = self._random.random()
        if what < 0.06:
            await self._replug()
        else:
            for lamp in self._random.sample(self._board.lamps, 1 if what < 0.8 else 2):
                self._write(lamp)
        await asyncio.sleep(self._random.choice((0, 0.002, 0.01, 0.03)))

    async def _replug(self) -> None:
        """Pull it out, and plug it in: its name leads to another line then."""
        line = self.emulator.tty
        self.emulator.unplug()
        if self._random.random() < 0.5:
            self.emulator.model.lose_power()
        for _ in range(3):
            self._write(self._random.choice(self._board.lamps))
            await asyncio.sleep(self._random.choice((0, 0.02)))
        self.emulator.replug()
        assert self.emulator.tty != line
        self.replugged += 1

    def _write(self, lamp: LampStation) -> bool:
        """One write, as HomeKit makes them; whether it was accepted."""
        percent = self._random.randint(1, 100)
        on, brightness = self._random.choice(
            ((None, percent), (None, percent), (True, percent), (True, None), (False, None))
        )
        try:
            lamp.apply(on, brightness)
        except LinkError:
            self.refused += 1
            return False
        level = lamp.channel.level
        assert level is not None
        self.accepted[lamp.config.channel] = level
        return True

    async def _write_intact_frames(self) -> None:
        """Each channel's last frame comes after the last damage."""
        for lamp in self._board.lamps:
            await until(lambda lamp=lamp: self._write(lamp), self.seed)  # type: ignore[misc] # the default binds it


@pytest.mark.usefixtures("in_a_hurry")
async def test_real_lines_that_are_damaged_and_pulled_out_end_right_too() -> None:
    # Two lines are as slow as the real one; each of those is a process.
    speeds = [LINE_SPEED] * 2 + [None] * 30
    real = [RealStorm(seed, speed) for seed, speed in enumerate(speeds)]
    await asyncio.gather(*(storm.run() for storm in real))
    assert sum(storm.replugged for storm in real) > len(real)
    assert sum(storm.refused for storm in real) > len(real)
    assert all(storm.damage.hits for storm in real)
