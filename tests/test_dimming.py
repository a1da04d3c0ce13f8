"""One lamp that is set: what is written, in which order, and how it is left."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from hk_bridge import cli_lamp, config, dimming
from hk_bridge.devices.dimmer import LevelCurve
from hk_bridge.dimming import SWEEP, Output, reached, sweep
from hk_bridge.errors import LinkError
from hk_bridge.links.line_schedule import LineSettings
from hk_bridge.protocols.wxdm2 import GIRIER, QS_D01, WXDM2
from tests.fakes.board import BoardEmulator
from tests.fakes.serial_servers import Rfc2217Server
from tests.test_cli import PATIENCE

PORT = "/dev/ttyUSB0"


class NotedLamp:
    """Notes what it is set to; `before` is whether it is known what it was."""

    how = "on paper"
    is_by_bridge = False

    def __init__(self, *, is_known: bool) -> None:
        self.set_to: list[Any] = []
        self._is_known = is_known

    async def set_percent(self, percent: int, ramp: int | None = None) -> int:
        self.set_to.append((percent, ramp))
        return percent

    async def set_level(self, level: int, ramp: int | None = None) -> None:
        self.set_to.append(f"level {level}" if ramp is None else (level, ramp))

    async def put_back(self) -> bool:
        if self._is_known:
            self.set_to.append("back")
        return self._is_known


def house(dimmer: str = "", channel: str = "") -> config.Config:
    return config.parse(
        f'{{"accessories": [{{"accessory": "Dimmer", "name": "D", "port": "{PORT}", '
        f'"channels": [{{"channel": 1, "name": "L"{channel}}}]{dimmer}}}]}}',
        "accessories.json",
    )


# -- what is configured -------------------------------------------------------------------


def test_without_a_configuration_a_dimmer_is_what_most_are() -> None:
    for known in (None, house()):
        output = Output.of(known, "/dev/ttyUSB1", 2)
        assert output == Output("/dev/ttyUSB1", 2, LineSettings(), LevelCurve())


def test_what_is_configured_counts_and_what_is_given_beats_it() -> None:
    known = house(
        ', "protocol": "girier", "baudrate": 4800, "ramp": 7, "repeat": 3',
        ', "minLevel": 20, "maxLevel": 200, "gamma": 2',
    )
    output = Output.of(known, PORT, 1)
    assert output.settings == LineSettings(GIRIER, 4800, 7, repeat=3)
    assert [output.level(percent) for percent in (0, 1, 100)] == [0, 20, 200]
    given = Output.of(known, PORT, 1, QS_D01, 300)
    assert given.settings == LineSettings(QS_D01, 300, 7, repeat=3)
    assert given.curve == output.curve


def test_the_dimmer_is_known_by_any_name_of_its_port(board: BoardEmulator) -> None:
    known = config.parse(
        f'{{"accessories": [{{"accessory": "Dimmer", "name": "D", "port": "{board.port}", '
        '"channels": [{"channel": 1, "name": "L", "maxLevel": 9}]}]}',
        "accessories.json",
    )
    assert Output.of(known, board.tty, 1).level(100) == 9


@pytest.mark.parametrize(
    ("protocol", "channel", "frame"),
    [
        (WXDM2, 1, "0A FF 55 01 66 00 05 DC 0A"),
        (WXDM2, 2, "0A FF 55 02 00 66 05 DC 0A"),
        (GIRIER, 1, "00 00 FF 55 01 66 00 05 DC 0A 00 00"),
        (QS_D01, 1, "FF 55 66 05 DC 0A"),
    ],
)
def test_the_frame_is_that_of_the_protocol(protocol: Any, channel: int, frame: str) -> None:
    output = Output.of(None, PORT, channel, protocol)
    assert output.frames([40], 1500) == [bytes.fromhex(frame)]


def test_of_frames_that_are_the_same_one_after_the_other_there_is_one() -> None:
    output = Output.of(house(channel=', "maxLevel": 3'), PORT, 1, baudrate=50)
    levels = [frame[4] for frame in output.frames(SWEEP, 0)]
    assert levels == [0, 1, 2, 3, 2, 1, 0]


# -- sweeping -----------------------------------------------------------------------------


async def swept(lamp: NotedLamp, stop_at: int | None = None) -> Sequence[Any]:
    stop = asyncio.Event()

    def tick(number: int, percent: int, level: int) -> None:
        assert (percent, level) == (SWEEP[number], SWEEP[number])
        if number == stop_at:
            stop.set()

    assert await sweep(lamp, 7, tick, stop) is (lamp.set_to[-1] == "back")
    return lamp.set_to


@pytest.mark.parametrize(("is_known", "end"), [(True, "back"), (False, "level 0")])
async def test_a_sweep_goes_up_and_down_and_leaves_the_lamp_as_it_was_or_off(
    monkeypatch: pytest.MonkeyPatch, is_known: bool, end: str
) -> None:
    monkeypatch.setattr(dimming, "SWEEP_SECONDS", 0.0)
    percents = [*range(100), 100, *reversed(range(100))]
    expected = [*((percent, 7) for percent in percents), end]
    assert await swept(NotedLamp(is_known=is_known)) == expected


async def test_a_sweep_that_is_stopped_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dimming, "SWEEP_SECONDS", 1000.0)
    async with asyncio.timeout(PATIENCE):
        done = await swept(NotedLamp(is_known=True), stop_at=0)
    assert done == [(0, 7), "back"]


async def test_a_sweep_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimming, "SWEEP_SECONDS", 0.2)
    begun = asyncio.get_running_loop().time()
    await swept(NotedLamp(is_known=True))
    assert asyncio.get_running_loop().time() - begun >= 0.19


# -- on the port itself -------------------------------------------------------------------


async def test_it_is_left_once_every_copy_is_on_the_wire(
    board: BoardEmulator, tmp_path: Any
) -> None:
    # More copies than the link waits for when the program ends.
    output = Output(board.port, 1, LineSettings(repeat=8), LevelCurve())
    async with reached(output, tmp_path) as lamp:
        assert await lamp.set_percent(40) == 102
        assert not await lamp.put_back()
    assert not board.opened
    assert board.frames == [bytes.fromhex("0A FF 55 01 66 00 05 DC 0A")] * 9


async def set_until_it_fails(output: Output, board: BoardEmulator, tmp_path: Any) -> None:
    async with reached(output, tmp_path) as lamp:
        await lamp.set_level(1)
        board.unplug()
        async with asyncio.timeout(PATIENCE):
            while True:
                await lamp.set_level(2)
                await asyncio.sleep(0.01)


async def set_and_leave(output: Output, board: BoardEmulator, tmp_path: Any) -> None:
    async with reached(output, tmp_path) as lamp:
        await lamp.set_level(1)
        board.unplug()


@pytest.mark.parametrize("use", [set_until_it_fails, set_and_leave])
async def test_a_port_that_is_lost_is_said_with_the_reason(
    board: BoardEmulator, tmp_path: Any, use: Any
) -> None:
    output = Output(board.port, 1, LineSettings(repeat=8), LevelCurve())
    with pytest.raises(LinkError, match="was unplugged"):
        await use(output, board, tmp_path)


async def test_an_opening_that_takes_long_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setattr(cli_lamp, "_PATIENCE", 0.01)
    with Rfc2217Server() as server:
        server.hang()
        output = Output.of(None, server.url, 2)
        opening = cli_lamp.lamp_of(output, tmp_path, simulate=False)
        entering = asyncio.create_task(opening.__aenter__())
        said = ""
        async with asyncio.timeout(PATIENCE):
            while not said:
                said = capsys.readouterr().err
                await asyncio.sleep(0.005)
        assert said == f"opening {server.url} takes long; Ctrl-C ends it\n"
        server.resume()
        await (await entering).set_level(9)
        await opening.__aexit__(None, None, None)
        assert server.board.levels == {2: 9}
