"""The simulated radio and board speak the bytes of the real ones."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from hk_bridge.errors import DecodeError, LinkError
from hk_bridge.links import serial_port, simulator
from hk_bridge.links.line_schedule import LineSettings
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.links.simulator import SimulatedBoard, SimulatedRadio
from hk_bridge.model import Advertisement, LinkState, Reading
from hk_bridge.protocols import mibeacon
from tests.links.waiting import PATIENCE, until

ADDRESSES: Final = ["4C:64:A8:D0:AE:65", "2C:34:B3:D4:A1:61", "4E:64:A8:00:00:01"]
MIBEACON: Final = 0xFE95
LYWSDCGQ: Final = 0x01AA


@asynccontextmanager
async def running(link: SimulatedBoard | SimulatedRadio | SerialLink) -> AsyncIterator[str]:
    """A link that is up; how it is."""
    how: list[LinkState] = []
    task = asyncio.create_task(link.run(how.append))
    await until(lambda: how or task.done())
    try:
        yield how[0].text
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()


async def broadcasts(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], count: int
) -> list[Advertisement]:
    """At least so many adverts of a radio that does not wait."""
    monkeypatch.setattr(simulator, "_BROADCAST_SECONDS", 0.0)
    heard: list[Advertisement] = []
    async with running(SimulatedRadio(dict.fromkeys(addresses), heard.append)) as how:
        assert how == "broadcasting"
        await until(lambda: len(heard) >= count)
    return heard


def decoded(advertisement: Advertisement) -> Reading:
    assert list(advertisement.service_data) == [MIBEACON]
    return mibeacon.decode(advertisement.service_data[MIBEACON], advertisement.address)


async def test_every_sensor_broadcasts_plausible_values_as_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = time.monotonic()
    heard = await broadcasts(monkeypatch, ADDRESSES, 3000)
    assert {each.address for each in heard} == set(ADDRESSES)
    for each in heard:
        reading = decoded(each)
        assert reading.product_id == LYWSDCGQ
        assert reading.address == each.address
        assert reading.temperature is None or 15.0 <= reading.temperature <= 30.0
        assert reading.humidity is None or 20.0 <= reading.humidity <= 80.0
        assert reading.battery is None or 1 <= reading.battery <= 100
        assert each.rssi is not None
        assert -100 <= each.rssi <= -20
        assert before <= each.at <= time.monotonic()


async def test_the_first_second_brings_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = await broadcasts(monkeypatch, ADDRESSES, 12)
    for address in ADDRESSES:
        first = [decoded(each) for each in heard[:12] if each.address == address]
        assert any(reading.temperature is not None for reading in first)
        assert any(reading.humidity is not None for reading in first)
        assert any(reading.battery is not None for reading in first)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_values_move_with_each_broadcast_by_no_more_than_weather_does(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    heard = [decoded(each) for each in await broadcasts(monkeypatch, [address], 800)]
    climate = [
        (reading.temperature, reading.humidity)
        for reading in heard[::2]  # each is sent twice
        if reading.temperature is not None and reading.humidity is not None
    ]
    assert len(climate) > 300
    for (warm, wet), (warmer, wetter) in itertools.pairwise(climate):
        assert 0 < abs(warm - warmer) < 0.5
        assert 0 < abs(wet - wetter) < 0.5


async def test_each_frame_is_sent_twice_and_counted_once_like_a_sensor_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = await broadcasts(monkeypatch, ADDRESSES[:1], 600)
    frames = [each.service_data[MIBEACON] for each in heard][: len(heard) // 2 * 2]
    assert frames[::2] == frames[1::2]
    counters = [decoded(each).counter for each in heard[::2]]
    for counter, following in itertools.pairwise(counters):
        assert counter is not None
        assert following == (counter + 1) % 256


async def test_two_sensors_do_not_have_the_same_weather(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = await broadcasts(monkeypatch, ADDRESSES, 12)
    climates = {
        (reading.temperature, reading.humidity)
        for reading in map(decoded, heard[:12])
        if reading.temperature is not None
    }
    assert len(climates) == 3


async def test_the_radio_waits_a_second_between_broadcasts() -> None:
    heard: list[Advertisement] = []
    async with running(SimulatedRadio(dict.fromkeys(ADDRESSES[:1]), heard.append)):
        await until(lambda: heard[4:])  # climate and battery, twice each, come at once
    assert 0.5 <= heard[4].at - heard[3].at <= PATIENCE


async def test_the_board_turns_frames_into_levels() -> None:
    board = SimulatedBoard("Dimmer")
    assert board.name == "simulated dimmer Dimmer"
    link = SerialLink(board.port, LineSettings(baudrate=115200))
    async with running(board) as how, running(link):
        assert how == f"on {board.port}"
        assert board.levels == {1: 0, 2: 0}
        link.submit(1, 40)
        await until(lambda: board.levels == {1: 40, 2: 0})
        link.submit(2, 255)
        await until(lambda: board.levels == {1: 40, 2: 255})
        link.submit(1, 0)
        await until(lambda: board.levels == {1: 0, 2: 255})


async def test_the_board_finds_frames_in_junk() -> None:
    board = SimulatedBoard("Dimmer")
    async with running(board):
        line = os.open(board.port, os.O_WRONLY | os.O_NOCTTY)
        try:
            for byte in bytes.fromhex(
                "55aa00 ff55 ff55 0109 0800000a ff 0aff550207065000 0a"
            ):
                os.write(line, bytes([byte]))
            await until(lambda: board.levels == {1: 9, 2: 6})
        finally:
            os.close(line)


async def test_a_board_that_has_ended_is_gone_for_the_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serial_port, "_CHECK_SECONDS", 0.01)
    board = SimulatedBoard("Dimmer")
    async with running(board):
        link = SerialLink(board.port, LineSettings())
        up: list[LinkState] = []
        task = asyncio.create_task(link.run(up.append))
        await until(lambda: up)
    with pytest.raises(LinkError):
        async with asyncio.timeout(PATIENCE):
            await task


@pytest.mark.parametrize("key", [bytes(range(16)), bytes(range(12))])
async def test_a_sensor_with_a_bind_key_encrypts_by_it(key: bytes) -> None:
    heard: list[Advertisement] = []
    async with running(SimulatedRadio({ADDRESSES[0]: key}, heard.append)):
        (payload,) = heard[0].service_data.values()
    assert mibeacon.decode(payload).needs_key
    reading = mibeacon.decode(payload, bind_key=key)
    assert reading.values.keys() == {"temperature", "humidity"}
    assert 18 <= reading.values["temperature"] <= 24
    with pytest.raises(DecodeError):
        mibeacon.decode(payload, bind_key=bytes(16))
