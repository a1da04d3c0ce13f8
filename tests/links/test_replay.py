"""A capture in the place of the radio."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Container
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from hk_bridge.errors import LinkError
from hk_bridge.links.replay import (
    LONGEST_PAUSE,
    Position,
    ReplayClock,
    ReplayedRadio,
    check,
)
from hk_bridge.model import EVERYONE, Advertisement, LinkState
from hk_bridge.protocols.products import PRODUCTS
from hk_bridge.supervision import Supervisor
from tests.fakes.captures import (
    COMMAND_COMPLETE,
    FRAME,
    NOON,
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
#: Of a btsnoop file.
HEAD_LENGTH: Final = 16
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
    ) -> None:
        self.heard: list[Advertisement] = []
        self.states: list[LinkState] = []
        self._reported = asyncio.Event()
        self.clock = ReplayClock(speed)
        self.radio = ReplayedRadio(path, wanted, self.heard.append, self.clock)

    def _report(self, state: LinkState) -> None:
        self.states.append(state)
        self._reported.set()

    async def play(self) -> LinkState:
        """Until it is over; the radio goes on, and is cancelled then."""
        task = asyncio.create_task(self.radio.run(self._report))
        async with asyncio.timeout(PATIENCE):
            while not self.states or self.states[-1].text.startswith("playing"):
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
    player = Player(file, speed=20.0)
    begun = player.clock()
    await player.play()
    # By the clock of the sensors nothing comes before its time.
    ages = [each.at - begun for each in player.heard]
    assert [age >= number for number, age in enumerate(ages)] == [True] * 3


async def test_when_it_is_over_time_goes_on_at_its_normal_pace(file: Path) -> None:
    for content in (recorded(SENSOR_EVENT), recorded(SENSOR_EVENT)[:-3]):
        record(file, content)
        player = Player(file, speed=1000.0)
        begun, real = player.clock(), time.monotonic()
        await player.play()
        assert player.clock.speed == 1.0
        after = player.clock() - begun
        assert after >= time.monotonic() - real
        real = time.monotonic()
        again = player.clock()
        assert player.clock() - again <= time.monotonic() - real


def test_the_clock_of_a_replay_goes_faster_and_never_back() -> None:
    clock, before = ReplayClock(1000.0), time.monotonic()
    begun = clock()
    time.sleep(0.01)
    assert clock() - begun >= 10.0
    last = clock()
    clock.end()
    assert last <= clock()
    assert clock() - begun <= (time.monotonic() - before) * 1000.0


# -- the time of the recording ------------------------------------------------------------


def positions(*times: float | None) -> list[float]:
    """How far it is with each advert."""
    position, seconds = Position(), []
    for at in times:
        position.go_on(at)
        seconds.append(position.seconds)
    return seconds


def test_a_recording_counts_from_its_first_advert() -> None:
    assert positions(NOON, NOON, NOON + 1.5, NOON + 60) == [0.0, 0.0, 1.5, 60.0]


def test_a_clock_that_is_set_back_makes_no_pause_and_goes_on_from_there() -> None:
    assert positions(NOON, NOON + 1, NOON - 3600, NOON - 3599, NOON - 3590) == [
        0.0,
        1.0,
        1.0,
        2.0,
        11.0,
    ]
    # As far as it was before, there is no pause either.
    back = positions(NOON, NOON - 3600, NOON - 10, NOON + 5)
    assert back == [0.0, 0.0, 3590.0, 3595.0]


def test_adverts_of_two_clocks_may_be_mixed() -> None:
    mixed = positions(NOON, NOON - 3600, NOON + 1, NOON - 3599, NOON + 2, NOON - 3598)
    assert mixed == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]


def test_a_long_pause_is_shortened_and_the_next_one_is_not() -> None:
    month = 30 * 86400
    position = Position()
    assert position.go_on(NOON) == 0.0
    assert position.go_on(NOON + month) == month - LONGEST_PAUSE
    assert position.seconds == LONGEST_PAUSE
    assert position.go_on(NOON + month + 1) == 0.0
    assert position.seconds == LONGEST_PAUSE + 1


def test_a_pause_is_long_enough_for_any_product_to_fall_silent() -> None:
    timeouts = [product.timeout for product in PRODUCTS.values()]
    assert max(timeouts) < LONGEST_PAUSE < 2 * max(timeouts)


def test_where_times_are_not_known_there_are_ten_in_a_second() -> None:
    known = positions(None, NOON, None, NOON + 1)
    assert known == pytest.approx([0.1, 0.1, 0.2, 1.2])


async def test_a_pause_of_days_is_played_and_said_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    days = btsnoop([(b"\x04" + SENSOR_EVENT, 3)], at=NOON)
    for day in (10, 20):
        more = btsnoop([(b"\x04" + SENSOR_EVENT, 3)], at=NOON + day * 86400)
        days += more[HEAD_LENGTH:]
    record(file, days)
    player = Player(file, speed=1e6)
    end = await player.play()
    assert end.text.startswith("over. Adverts of configured sensors: 3")
    (said,) = [each.getMessage() for each in caplog.records]
    assert said == (
        "replay of night.btsnoop: nothing was recorded for 240.0 hours, or the clock was "
        "set. Such a pause is played as 125 minutes"
    )


async def test_it_says_now_and_then_where_it_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hk_bridge.links.replay._TELL_SECONDS", 0.0)
    record(file, recorded(*[STRANGER_EVENT] * 1234, SENSOR_EVENT))
    player = Player(file, speed=1e6)
    await player.play()
    first, *told, _ = player.states
    assert (first.text, first.is_passing) == ("playing, 1e+06 times as fast", False)
    assert len(told) == 1235
    assert {state.is_up and state.is_passing for state in told} == {True}
    then = datetime.fromtimestamp(NOON + 1233, UTC).astimezone()
    assert told[1233].text == (
        f"playing, 1e+06 times as fast: at {then.day} {then:%b %H:%M}, 1,234 adverts"
    )


async def test_it_says_no_more_often_where_it_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hk_bridge.links.replay._TELL_SECONDS", 0.1)
    record(file, recorded(*[SENSOR_EVENT] * 100))
    player = Player(file, speed=200.0)
    begun = time.monotonic()
    await player.play()
    told = len(player.states) - 2
    assert 1 <= told <= (time.monotonic() - begun) / 0.1


# -- captures of all kinds ----------------------------------------------------------------


async def test_a_text_without_times_is_played_at_a_steady_pace(file: Path) -> None:
    record(file, hcidump([b"\x04" + each for each in EVENTS]))
    player = Player(file)
    end = await player.play()
    assert len(player.heard) == 3
    assert end.is_up


async def test_a_capture_that_breaks_off_is_played_to_there_and_is_not_tried_again(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(file, recorded(*EVENTS)[:-3])
    player = Player(file)
    end = await player.play()
    assert [each.address for each in player.heard] == [SENSOR, OTHER]
    assert not end.is_up
    assert end.text.startswith(f"{file} cannot be read to its end: the file ends inside ")
    assert end.text.endswith("Adverts of configured sensors: 2, of others: 1")
    assert [each.message for each in caplog.records] == [end.text]
    # Who runs it says nothing of what passes.
    assert end.is_passing


async def test_a_capture_with_damage_inside_is_over_when_it_was_played(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(file, recorded(SENSOR_EVENT, SENSOR_EVENT[:-1], OTHER_EVENT))
    player = Player(file)
    end = await player.play()
    assert [each.address for each in player.heard] == [SENSOR, OTHER]
    assert (end.is_up, end.is_passing) == (True, False)
    assert end.text.startswith("over, but for what is damaged: record 2 at byte ")
    assert end.text.endswith(". Adverts of configured sensors: 2, of others: 0")
    assert caplog.records == []


async def test_a_capture_that_has_gone_away_is_said(file: Path) -> None:
    end = await Player(file).play()
    assert not end.is_up
    assert "cannot be read to its end: No such file or directory" in end.text


class Watched:
    """A link that notes when it is not up any more."""

    name = "watched"

    def __init__(self, radio: ReplayedRadio) -> None:
        self.broken = asyncio.Event()
        self._radio = radio

    async def run(self, report: Callable[[LinkState], None]) -> None:
        def tell(state: LinkState) -> None:
            report(state)
            if not state.is_up:
                self.broken.set()

        await self._radio.run(tell)


async def test_the_log_promises_no_second_try_of_a_replay(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hk_bridge.supervision._ENDING_SECONDS", 0.0)
    record(file, recorded(SENSOR_EVENT)[:-3])
    link = Watched(Player(file).radio)
    task = asyncio.create_task(Supervisor(link).run())
    async with asyncio.timeout(PATIENCE):
        await link.broken.wait()
    # A line that is held back for no time comes in the next turns of the loop.
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "cannot be read to its end" in caplog.text
    assert "Trying again" not in caplog.text


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
    with pytest.raises(LinkError, match=r"only a file can be replayed, not stdin"):
        check(Path("-"))
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
