"""Lamps through the whole program: dragged, pressed, restarted, unplugged, of any kind."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import serial
from aiohomekit.controller.ip import IpController, IpPairing

from hk_bridge import supervision
from hk_bridge.devices import dimmer as dimmer_rules
from hk_bridge.devices import push_button
from hk_bridge.devices.push_button import PushButton
from hk_bridge.errors import LinkError
from hk_bridge.links import contacts, serial_port
from hk_bridge.links.line_schedule import LineSchedule
from hk_bridge.web.client import ask
from tests.e2e.conftest import PATIENCE, Bridge, dimmer, events, pair, until, until_async
from tests.e2e.door import client as raw
from tests.e2e.door.characteristics import at, item, put
from tests.e2e.door.client import Client, Controller
from tests.e2e.door.expectations import NO_RESPONSE
from tests.e2e.door.places import Place
from tests.fakes.board import LINE_SPEED, BoardEmulator
from tests.fakes.board_model import Uart
from tests.fakes.serial_servers import Rfc2217Server

# pyserial names its threads as it always did.
pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")

#: Of a house with lamps alone.
CEILING_ON, CEILING = (2, 81), (2, 82)
MIRROR_ON, MIRROR = (3, 81), (3, 82)
LAMPS: Final = (CEILING_ON, CEILING, MIRROR_ON, MIRROR)

FRAME: Final = 9

#: With these, each level is sent once.
ONCE: Final = {"repeat": 0, "refresh": 0}


@dataclass(frozen=True)
class Frame:
    """What a frame of the default kind says."""

    channel: int
    levels: tuple[int, int]
    ramp: int

    @property
    def level(self) -> int:
        """That of its own channel."""
        return self.levels[self.channel - 1]

    @classmethod
    def of(cls, data: bytes) -> Frame:
        assert len(data) == FRAME, f"no lead-in before {data.hex(' ')}"
        return cls(data[3], (data[4], data[5]), int.from_bytes(data[6:8], "big"))


def frames(board: BoardEmulator) -> list[Frame]:
    return [Frame.of(data) for data in board.frames]


def text(board: BoardEmulator) -> list[str]:
    return [frame.hex(" ") for frame in board.frames]


class Home:
    """A controller at a bridge that may be restarted, and its one connection."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self._controller: Controller | None = None
        self._client: Client | None = None

    async def start(self, *accessories: dict[str, Any]) -> None:
        """Start the bridge with a house, connect, and wait until the lamps are there."""
        await self.stop()
        self.bridge.write(list(accessories))
        await self.bridge.start()
        if self._controller is None:
            code = self.bridge.identity.setup_code
            self._controller = await raw.pair(self.bridge.port, code)
        self._client = await raw.session(self.bridge.port, self._controller)
        await until_async(self.answers)

    async def stop(self) -> None:
        if self._client is not None:
            self._client.close()
        await self.bridge.stop()

    @property
    def client(self) -> Client:
        assert self._client is not None
        return self._client

    async def answers(self) -> bool:
        """Whether the first lamp can be read."""
        return (await self.read(CEILING_ON)) != [NO_RESPONSE]

    async def read(self, *places: Place) -> list[Any]:
        """The values, or the status of those that have none."""
        answer = await self.client.get(at(list(places)))
        return [each.get("value", each.get("status")) for each in _items(answer)]

    async def write(self, values: dict[Place, Any]) -> list[int]:
        """The status of each write, all 0 where the bridge says nothing."""
        answer = await put(
            self.client, *(item(place, value=value) for place, value in values.items())
        )
        if answer.status == 204:
            return [0] * len(values)
        return [each["status"] for each in _items(answer)]

    async def ask(self, **body: Any) -> dict[str, Any]:
        """Have a lamp set as the command line does."""
        return await ask(self.bridge.state, "POST", "/lamps", body)


def _items(answer: raw.Answer) -> list[dict[str, Any]]:
    items = answer.json["characteristics"]
    assert isinstance(items, list)
    return items


@pytest.fixture
async def home(bridge: Bridge) -> AsyncIterator[Home]:
    visitor = Home(bridge)
    yield visitor
    await visitor.stop()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, bytes]]:
    """What was written to serial ports, and when each write began (s, monotonic)."""
    writes: list[tuple[float, bytes]] = []
    write = serial.Serial.write

    def noted(port: serial.Serial, data: bytes) -> int | None:
        writes.append((time.monotonic(), data))
        return write(port, data)

    monkeypatch.setattr(serial.Serial, "write", noted)
    return writes


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When something was taken to be written (s, monotonic)."""
    times: list[float] = []
    take = LineSchedule.take

    def noted(schedule: LineSchedule, now: float) -> bytes | None:
        data = take(schedule, now)
        if data is not None:
            times.append(now)
        return data

    monkeypatch.setattr(LineSchedule, "take", noted)
    return times


# -- sliders ------------------------------------------------------------------------------


def most_waiting(written: list[tuple[float, bytes]]) -> int:
    """How many bytes at most wait on a line behind the one that is on its way."""
    line, most = Uart(LINE_SPEED), 0
    for began, data in written:
        line.take(began)
        line.put(data, began)
        most = max(most, line.waiting)
    return most


async def drag(pairing: IpPairing, place: Place, levels: range, rate: int) -> None:
    """Set one lamp to one level after the other, so many in a second."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for turn, percent in enumerate(levels):
        await asyncio.sleep(begin + turn / rate - loop.time())
        assert await pairing.put_characteristics([(*place, percent)]) == {}


@pytest.mark.parametrize("rate", [20, 60])
async def test_two_sliders_that_are_dragged_are_followed_at_the_pace_of_the_line(
    bridge: Bridge,
    controller: IpController,
    written: list[tuple[float, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    rate: int,
) -> None:
    # A slider on a busy machine is one too.
    monkeypatch.setattr(dimmer_rules, "SLIDE_SECONDS", PATIENCE)
    board = bridge.board
    board.speed = LINE_SPEED
    bridge.write([dimmer(board.port, slideRamp=200, repeat=1, refresh=0)])
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    # As two phones would: a controller awaits each answer on a connection.
    other = IpPairing(controller, pairing.pairing_data)
    controller.pairings["other"] = other
    sliders = {1: (pairing, CEILING), 2: (other, MIRROR)}

    # The first write of each switches on.
    for slider, place in sliders.values():
        await slider.list_accessories_and_characteristics()
        await slider.put_characteristics([(*place, 1)])
    await until(lambda: len(board.frames) >= len(sliders))
    await asyncio.gather(
        *(drag(*slider, range(101 - rate, 101), rate) for slider in sliders.values())
    )
    # Each final level comes twice: the last frame of a burst is sent again.
    await until(
        lambda: all(_levels(board, channel)[-2:] == [255, 255] for channel in sliders)
    )

    assert board.levels == {1: 255, 2: 255}
    for channel in sliders:
        levels = _levels(board, channel)
        assert levels == sorted(levels), "a level came behind a newer one"
        ramps = [frame.ramp for frame in frames(board) if frame.channel == channel]
        sent_first = levels.count(levels[0])
        assert set(ramps[:sent_first]) == {1500}
        assert set(ramps[sent_first:]) == {200}, "the stream of a slider has its own ramp"
    # What a frame says of the other channel is never old either.
    for earlier, later in itertools.pairwise(frame.levels for frame in frames(board)):
        assert earlier[0] <= later[0]
        assert earlier[1] <= later[1]
    # Neither has kept the other out.
    numbers = [frame.channel for frame in frames(board)]
    assert min(map(numbers.count, sliders)) > len(numbers) / 3
    # One frame waits behind the one that is on its way, at most. By when frames were
    # written: a busy system hands on late what a pseudo-terminal was given.
    assert most_waiting(written) <= 2 * FRAME - 1
    assert len(written) == len(board.frames)
    told = await pairing.get_characteristics(LAMPS)
    assert [told[place]["value"] for place in LAMPS] == [True, 100, True, 100]


def _levels(board: BoardEmulator, channel: int) -> list[int]:
    return [frame.level for frame in frames(board) if frame.channel == channel]


async def test_a_scene_is_one_frame_for_each_lamp(home: Home) -> None:
    board = home.bridge.board
    await home.start(dimmer(board.port, **ONCE))
    scenes: list[tuple[dict[Place, Any], tuple[int, int]]] = [
        ({CEILING_ON: True, CEILING: 40, MIRROR_ON: True, MIRROR: 10}, (0x66, 0x1A)),
        ({MIRROR_ON: False, CEILING_ON: False}, (0, 0)),
        ({CEILING_ON: True, MIRROR: 20}, (0x66, 0x33)),
    ]
    for count, (scene, levels) in enumerate(scenes, start=1):
        assert await home.write(scene) == [0] * len(scene)
        await until(lambda count=count: len(board.frames) >= 2 * count)  # type: ignore[misc] # the default binds it
        *_, first, second = frames(board)
        assert {first.channel, second.channel} == {1, 2}
        # The first of them may have left when the other level was not known yet.
        assert (first.level, second.levels) == (levels[first.channel - 1], levels)
    assert await home.write({CEILING_ON: False}) == [0]  # behind all that is to come
    await until(lambda: board.levels == {1: 0, 2: 0x33})
    assert len(board.frames) == 2 * len(scenes) + 1


# -- push-buttons -------------------------------------------------------------------------


@pytest.fixture
def button(monkeypatch: pytest.MonkeyPatch) -> Callable[[], PushButton]:
    """The one button that is on a line by now."""
    made: list[PushButton] = []

    class Watched(PushButton):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(contacts, "PushButton", Watched)
    return lambda: made[-1]


@pytest.fixture
def server() -> Iterator[Rfc2217Server]:
    with Rfc2217Server() as running:
        yield running


async def test_a_button_on_a_modem_line_switches_and_dims_and_home_hears_of_it(
    bridge: Bridge,
    controller: IpController,
    server: Rfc2217Server,
    button: Callable[[], PushButton],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However slow the machine is, no click is taken for a hold.
    monkeypatch.setattr(push_button, "_HOLD_SECONDS", PATIENCE)
    channel = {"channel": 1, "name": "Ceiling Light", "button": "cts"}
    house = dimmer(server.url, slideRamp=200, channels=[channel], **ONCE)
    bridge.write([house])
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    told = events(pairing)
    await pairing.subscribe([CEILING_ON, CEILING])
    board = server.board

    async def press() -> None:
        await until(lambda: button()._pressed is False)
        server.press("cts")
        await until(lambda: button()._pressed is True)

    await until(lambda: server.clients)
    for on, level in ((True, 255), (False, 0)):
        await press()
        server.release("cts")
        await until(lambda level=level: board.levels == {1: level})  # type: ignore[misc] # the default binds it
        await until(lambda on=on: told.get(CEILING_ON) is on)  # type: ignore[misc] # the default binds it
    assert [Frame.of(data).ramp for data in board.frames] == [1500, 1500]
    assert CEILING not in told

    # After off a hold begins with the lowest level and rises.
    board.frames.clear()
    monkeypatch.setattr(push_button, "_HOLD_SECONDS", 0.1)
    await press()
    await until(lambda: told.get(CEILING, 0) >= 5)
    server.release("cts")
    await until(lambda: button()._pressed is False)
    rising = [Frame.of(data) for data in board.frames]
    levels = [frame.level for frame in rising]
    assert levels[:3] == [3, 8, 13]  # 1, 3 and 5 %
    assert levels == sorted(set(levels))
    assert [frame.ramp for frame in rising] == [1500, *[200] * (len(rising) - 1)]
    assert told[CEILING_ON] is True

    # The next one falls.
    top = levels[-1]
    await press()
    await until(lambda: board.levels[1] < top)
    server.release("cts")
    await until(lambda: button()._pressed is False)
    await until(lambda: round(told[CEILING] * 255 / 100) == board.levels[1])
    read = await pairing.get_characteristics([CEILING_ON, CEILING])
    assert [read[p]["value"] for p in (CEILING_ON, CEILING)] == [True, told[CEILING]]


# -- restarts -----------------------------------------------------------------------------


async def test_what_becomes_of_the_lamps_at_a_start_is_as_configured(home: Home) -> None:
    board = home.bridge.board

    async def start(startup: str, *expected: str) -> None:
        """Start, and see what is sent and how a lamp that is set next finds the other."""
        await home.stop()
        board.frames.clear()
        await home.start(dimmer(board.port, startup=startup, **ONCE))
        await until(lambda: len(board.frames) >= len(expected))
        assert text(board) == list(expected)

    await start("restore")  # nothing was ever set
    assert await home.write({CEILING: 40}) == [0]
    await until(lambda: board.frames)

    await start("restore", "0a ff 55 01 66 00 05 dc 0a")
    assert await home.read(*LAMPS) == [True, 40, False, 100]
    # Nothing is sent to a lamp that was never set: this comes right behind.
    assert await home.write({CEILING: 41}) == [0]
    await until(lambda: len(board.frames) == 2)
    assert text(board)[1:] == ["0a ff 55 01 69 00 05 dc 0a"]

    await start("keep")
    assert await home.read(*LAMPS) == [True, 41, False, 100]
    # The level that was kept is what frames of the other lamp carry.
    assert await home.write({MIRROR: 10}) == [0]
    await until(lambda: board.frames)
    assert text(board) == ["0a ff 55 02 69 1a 05 dc 0a"]

    await start("off", "0a ff 55 01 00 00 05 dc 0a", "0a ff 55 02 00 00 05 dc 0a")
    assert await home.read(*LAMPS) == [False, 41, False, 10]

    # Being off is remembered as well as anything else, with the brightness of before.
    await start("restore", "0a ff 55 01 00 00 05 dc 0a", "0a ff 55 02 00 00 05 dc 0a")
    assert await home.write({CEILING_ON: True}) == [0]
    await until(lambda: board.levels == {1: 0x69, 2: 0})


# -- from the command line ----------------------------------------------------------------


async def test_a_lamp_that_is_set_over_the_socket_is_set_in_home_too(
    bridge: Bridge, controller: IpController
) -> None:
    board = bridge.board
    channels = [
        {"channel": 1, "name": "Ceiling Light", "minLevel": 51, "maxLevel": 150},
        {"channel": 2, "name": "Mirror Light"},
    ]
    bridge.write([dimmer(board.port, channels=channels, **ONCE)])
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await pairing.list_accessories_and_characteristics()
    told = events(pairing)
    await pairing.subscribe(LAMPS)

    async def ask_for(**body: Any) -> dict[str, Any]:
        return await ask(bridge.state, "POST", "/lamps", body)

    steps: list[tuple[dict[str, Any], str, dict[Place, Any]]] = [
        # 40 % is the fortieth step from minLevel.
        (
            {"port": board.port, "channel": 1, "percent": 40},
            "0a ff 55 01 5a 00 05 dc 0a",
            {CEILING_ON: True, CEILING: 40},
        ),
        # The very level, even where the curve has none, by another name of the port.
        (
            {"port": board.tty, "channel": 1, "level": 20, "ramp": 7},
            "0a ff 55 01 14 00 00 07 0a",
            {CEILING_ON: True, CEILING: 1},
        ),
        (
            {"port": board.port, "channel": 2, "level": 102, "ramp": 0},
            "0a ff 55 02 14 66 00 00 0a",
            {MIRROR_ON: True, MIRROR: 40},
        ),
        (
            {"port": board.port, "channel": 2, "percent": 0},
            "0a ff 55 02 14 00 05 dc 0a",
            {MIRROR_ON: False, MIRROR: 40},
        ),
    ]
    expected: list[str] = []
    for body, frame, values in steps:
        answer = await ask_for(**body)
        on, brightness = values.values()
        assert (answer["isOn"], answer["brightness"]) == (on, brightness)
        expected.append(frame)
        await until(lambda: len(board.frames) >= len(expected))
        assert text(board) == expected
        await until(lambda values=values: told.items() >= values.items())  # type: ignore[misc] # the default binds it

    refusals = {
        "there is no lamp on channel 1 of /dev/ttyUSB7: name another channel, or add this "
        "one to accessories.json": {"port": "/dev/ttyUSB7", "channel": 1, "percent": 1},
        '"channel" has to be a whole number from 1 to 2': {
            "port": board.port,
            "channel": 3,
            "percent": 1,
        },
        '"level" has to be a whole number from 0 to 255': {
            "port": board.port,
            "channel": 1,
            "level": 256,
        },
        'either "percent" or "level" has to be given': {"port": board.port, "channel": 1},
    }
    for sentence, body in refusals.items():
        with pytest.raises(LinkError) as caught:
            await ask_for(**body)
        assert str(caught.value) == sentence
    assert text(board) == expected


# -- a line that is gone ------------------------------------------------------------------


async def test_a_board_that_was_unplugged_has_the_last_accepted_levels_when_it_is_back(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(supervision, "_FIRST_DELAY", 0.05)
    monkeypatch.setattr(supervision, "_LONGEST_DELAY", 0.05)
    board = home.bridge.board
    await home.start(dimmer(board.port, **ONCE))
    assert await home.write({CEILING: 40}) == [0]
    assert await home.write({MIRROR: 10}) == [0]
    await until(lambda: board.levels == {1: 0x66, 2: 0x1A})

    board.unplug()
    board.model.lose_power()
    await until_async(lambda: _is_gone(home))
    assert await home.write({CEILING: 90, MIRROR_ON: False}) == [NO_RESPONSE] * 2
    assert await home.read(*LAMPS) == [NO_RESPONSE] * 4
    with pytest.raises(LinkError, match=r"was unplugged|is not there"):
        await home.ask(port=board.port, channel=1, percent=90)
    status = await ask(home.bridge.state, "GET", "/status")
    assert [lamp["isReachable"] for lamp in status["lamps"]] == [False, False]

    board.frames.clear()
    board.replug()
    await until_async(home.answers)
    await until(lambda: len(board.frames) >= 2)
    assert text(board) == ["0a ff 55 01 66 1a 05 dc 0a", "0a ff 55 02 66 1a 05 dc 0a"]
    assert await home.read(*LAMPS) == [True, 40, True, 10]
    assert await home.write({CEILING_ON: False}) == [0]
    await until(lambda: board.levels == {1: 0, 2: 0x1A})


async def _is_gone(home: Home) -> bool:
    return not await home.answers()


async def test_a_board_that_lost_its_power_is_set_again_by_the_refresh(home: Home) -> None:
    board = home.bridge.board
    await home.start(dimmer(board.port, refresh=0.2))
    levels = {1: 0x66, 2: 0x1A}
    assert await home.write({CEILING: 40, MIRROR: 10}) == [0, 0]
    await until(lambda: board.levels == levels)
    for _ in range(2):
        board.model.lose_power()
        await until(lambda: board.levels == levels)
    # It is the same frame again, with its ramp.
    sent = {(frame.channel, frame.level, frame.ramp) for frame in frames(board)}
    assert sent == {(1, 0x66, 1500), (2, 0x1A, 1500)}


# -- boards of other kinds ----------------------------------------------------------------


async def test_a_girier_board_is_told_hello_and_then_its_own_kind_of_frames(
    home: Home, taken: list[float]
) -> None:
    with BoardEmulator(protocol="girier") as board:
        await home.start(dimmer(board.port, protocol="girier", **ONCE))
        await until(lambda: len(board.frames) == 2)
        assert await home.write({MIRROR: 40}) == [0]
        await until(lambda: len(board.frames) == 3)
        assert board.received.hex(" ") == (
            "55 aa 00 fe 00 05 03 03 ff 03 ff 09 "
            "00 00 ff 55 01 00 00 05 dc 0a 00 00 "
            "00 00 ff 55 02 00 00 05 dc 0a 00 00 "
            "00 00 ff 55 02 00 66 05 dc 0a 00 00"
        )
        # Between two there is silence for 100 ms.
        assert len(taken) == 4
        for earlier, later in itertools.pairwise(taken):
            assert later - earlier >= 12 / LINE_SPEED + 0.1 - 1e-6
        await until(lambda: board.levels == {1: 0, 2: 0x66})


async def test_a_qs_d01_board_has_one_lamp_and_short_frames(home: Home) -> None:
    channel = {"channel": 1, "name": "Ceiling Light"}
    with BoardEmulator(protocol="qs-d01") as board:
        house = dimmer(board.port, protocol="qs-d01", channels=[channel], **ONCE)
        await home.start(house)
        for values, level in (({CEILING: 40}, 0x66), ({CEILING_ON: False}, 0)):
            assert await home.write(values) == [0]
            await until(lambda level=level: board.levels == {1: level})  # type: ignore[misc] # the default binds it
        assert board.received.hex(" ") == "ff 55 66 05 dc 0a ff 55 00 05 dc 0a"
