"""A capture in the place of the radio."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Container
from pathlib import Path
from typing import Final

import pytest

from hk_bridge.errors import LinkError
from hk_bridge.links.replay import ReplayedRadio, check
from hk_bridge.model import EVERYONE, Advertisement, LinkState
from tests.fakes.captures import (
    COMMAND_COMPLETE,
    FRAME,
    SENSOR,
    SENSOR_EVENT,
    STRANGER,
    STRANGER_EVENT,
    btsnoop,
    event,
    hcidump,
    report,
    service_data,
)

PATIENCE: Final = 20.0
OTHER: Final = "4C:65:A8:D0:AE:65"
OTHER_EVENT: Final = event(report(OTHER, service_data(0xFE95, FRAME), 127))
EVENTS: Final = (SENSOR_EVENT, STRANGER_EVENT, OTHER_EVENT, COMMAND_COMPLETE, SENSOR_EVENT)


def recorded(*events: bytes) -> bytes:
    """A second lies between one event and the next."""
    return btsnoop([(b"\x04" + each, 3) for each in events])


def record(file: Path, content: bytes) -> None:
    file.write_bytes(content)


class Player:
    """Plays a file, and takes note of what comes of it."""

    def __init__(
        self,
        path: Path,
        wanted: Container[str] = EVERYONE,
        speed: float = 1000.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.heard: list[Advertisement] = []
        self.states: list[LinkState] = []
        self._reported = asyncio.Event()
        self.radio = ReplayedRadio(
            path, wanted, self.heard.append, speed=speed, clock=clock
        )

    def _report(self, state: LinkState) -> None:
        self.states.append(state)
        self._reported.set()

    async def play(self) -> LinkState:
        """Until it is over; the radio goes on, and is cancelled then."""
        task = asyncio.create_task(self.radio.run(self._report))
        async with asyncio.timeout(PATIENCE):
            while len(self.states) < 2:
                self._reported.clear()
                await self._reported.wait()
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return self.states[-1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "night.btsnoop"


async def test_adverts_come_in_their_order_with_what_was_recorded(file: Path) -> None:
    record(file, recorded(*EVENTS))
    player = Player(file)
    end = await player.play()
    said = [(each.address, dict(each.service_data), each.rssi) for each in player.heard]
    assert said == [
        (SENSOR, {0xFE95: FRAME}, -60),
        (OTHER, {0xFE95: FRAME}, None),
        (SENSOR, {0xFE95: FRAME}, -60),
    ]
    assert [state.is_up for state in player.states] == [True, True]
    assert player.states[0].text == "playing, 1000 times as fast"
    assert end.text == "over. Adverts of configured sensors: 3, of others: 1"
    assert player.radio.name == "replay of night.btsnoop"


async def test_only_wanted_addresses_are_passed_on(file: Path) -> None:
    record(file, recorded(*EVENTS))
    player = Player(file, {OTHER, STRANGER})
    end = await player.play()
    assert [each.address for each in player.heard] == [OTHER]
    assert end.text == "over. Adverts of configured sensors: 1, of others: 3"


async def test_the_pauses_are_those_of_the_recording_at_its_speed(file: Path) -> None:
    record(file, recorded(SENSOR_EVENT, SENSOR_EVENT, SENSOR_EVENT))
    begun = time.monotonic()

    def clock() -> float:
        return begun + (time.monotonic() - begun) * 20.0

    player = Player(file, speed=20.0, clock=clock)
    await player.play()
    first, *others = (each.at for each in player.heard)
    # By the clock of the sensors they are as far apart as they were, or a bit further.
    for number, at in enumerate(others, start=1):
        assert at - first > number - 0.1


async def test_a_text_without_times_is_played_at_a_steady_pace(file: Path) -> None:
    record(file, hcidump([b"\x04" + each for each in EVENTS]))
    player = Player(file)
    end = await player.play()
    assert len(player.heard) == 3
    assert end.is_up


async def test_what_can_be_read_of_a_damaged_capture_is_played(file: Path) -> None:
    record(file, recorded(*EVENTS)[:-3])
    player = Player(file)
    end = await player.play()
    assert [each.address for each in player.heard] == [SENSOR, OTHER]
    assert not end.is_up
    assert end.text.startswith(f"{file} cannot be read to its end: ")
    assert end.text.endswith("Adverts of configured sensors: 2, of others: 1")


async def test_a_capture_that_has_gone_away_is_said(file: Path) -> None:
    end = await Player(file).play()
    assert not end.is_up
    assert "cannot be read to its end: No such file or directory" in end.text


async def test_it_lets_others_run_while_it_hurries(file: Path) -> None:
    record(file, recorded(*[SENSOR_EVENT] * 2000))
    player = Player(file, speed=1e9)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(others())
        await player.play()
        task.cancel()
    assert turns > 1000


def test_a_capture_is_looked_at_before_anything_begins(file: Path) -> None:
    with pytest.raises(LinkError, match=r"night.btsnoop cannot be read: No such file"):
        check(file)
    with pytest.raises(LinkError, match=r"cannot be read: Is a directory"):
        check(file.parent)
    os.mkfifo(file.parent / "pipe")
    with pytest.raises(LinkError, match=r"pipe cannot be replayed: it is no file"):
        check(file.parent / "pipe")
    for content in (b"", b"\x1f\x8b\x08", b"nothing of the kind\n", b"\0" * 100):
        file.write_bytes(content)
        with pytest.raises(LinkError, match=r"night.btsnoop cannot be replayed: "):
            check(file)
    for content in (
        recorded(*EVENTS),
        recorded(*EVENTS)[:-3],
        hcidump([b"\x04" + SENSOR_EVENT]),
    ):
        file.write_bytes(content)
        check(file)
