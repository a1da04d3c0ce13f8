"""A dimmer of the house: what Home shows, what the wire says and what is kept agree."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hk_bridge import dimmer_board, lamp_station
from hk_bridge.config import ChannelConfig, DimmerConfig
from hk_bridge.devices.dimmer import Lamp, LevelCurve, Startup
from hk_bridge.devices.push_button import Gesture
from hk_bridge.dimmer_board import DimmerBoard
from hk_bridge.errors import LinkError
from hk_bridge.homekit.store import Store
from hk_bridge.links import serial_port
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.memory import DeviceMemory
from tests.fakes.board_model import BoardModel
from tests.homekit.house import BRIGHTNESS, ON, House, until

PORT: Final = "/dev/ttyUSB7"
CLIENT: Final = ("192.0.2.1", 50000)
NO_RESPONSE: Final = -70402

#: The aid of each channel.
AIDS: Final = {1: 2, 2: 4}

CEILING: Final = ChannelConfig(1, "Ceiling")
MIRROR: Final = ChannelConfig(2, "Mirror", min_level=50, max_level=200, gamma=1.8)
CURVES: Final = {1: LevelCurve(), 2: LevelCurve(50, 200, 1.8)}

#: What a Girier board is told first.
HELLO: Final = "55 aa 00 fe 00 05 03 03 ff 03 ff 09"

#: What is written in one request: values by aid and iid.
Values = Mapping[tuple[int, int], bool | int]


class Clock:
    """The time of everything here (s), which goes on when it is told to."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


CLOCK: Final = Clock()


@pytest.fixture(autouse=True)
def _time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    CLOCK.now = 0.0
    monkeypatch.setattr(lamp_station, "time", CLOCK)
    monkeypatch.setattr(serial_port, "time", CLOCK)


class Wire:
    """The port of a board, in virtual time: does what the threads of an open port do.

    `sent` is what the link has sent since the program started, in writing, and `board`
    has heard that and nothing else.
    """

    def __init__(self, dimmer: DimmerBoard, protocol: str) -> None:
        self._dimmer = dimmer
        self._link = dimmer.link
        self.board = BoardModel(protocol)
        self.sent: list[str] = []

    def open(self) -> None:
        """Plug it in; what a supervisor does once the link is up is done."""
        self._link._schedule.restart()
        self._link._is_open = True
        self._dimmer.resend()

    def pull_out(self) -> None:
        """Have it gone, with all that has not been sent."""
        self._link._is_open = False

    def go_on(self, seconds: float = 1.0) -> None:
        """Have that time pass, and everything sent that is due meanwhile."""
        begin, CLOCK.now = CLOCK.now, CLOCK.now + seconds
        if not self._link.is_open:
            return
        while (at := max(self._link._schedule.due, begin)) <= CLOCK.now:
            data = self._link._schedule.take(at)
            assert data is not None
            self.sent.append(data.hex(" "))
            self.board.take(data)

    def ahead(self) -> BoardModel:
        """What the board will have heard soon, if nothing else happens."""
        schedule, board = copy.deepcopy((self._link._schedule, self.board))
        while (at := max(schedule.due, CLOCK.now)) <= CLOCK.now + 1.0:
            board.take(schedule.take(at) or b"")
        return board


class Dimmer:
    """A dimmer with two lamps on a bridge; its port is not there until it is opened.

    `kept` is called after each change that was accepted.
    """

    def __init__(
        self,
        house: House,
        remembered: Mapping[str, Lamp] | None = None,
        kept: Callable[[], None] = lambda: None,
        port: str = PORT,
        **how: Any,
    ) -> None:
        self.config = DimmerConfig("Dimmer", PORT, (CEILING, MIRROR), **how)
        self._driver = house.driver
        self.board = DimmerBoard(self.config, port, remembered or {}, kept)
        self.wire = Wire(self.board, self.config.protocol)
        self.lamps = {lamp.config.channel: lamp for lamp in self.board.lamps}
        for channel, lamp in self.lamps.items():
            accessory = lamp.make_accessory(house.driver, AIDS[channel])
            house.driver.accessory.put_accessory(accessory)

    @property
    def memory(self) -> dict[str, Any]:
        """What would stand in the file of the program now."""
        lamps = {lamp.identity: lamp.channel.kept for lamp in self.board.lamps}
        known = {identity: kept for identity, kept in lamps.items() if kept is not None}
        return DeviceMemory({}, known).to_json()

    def put(self, values: Values) -> set[int]:
        """The statuses of one request of Home."""
        items = [{"aid": aid, "iid": iid, "value": v} for (aid, iid), v in values.items()]
        answer = self._driver.set_characteristics({"characteristics": items}, CLIENT)
        return (
            {0}
            if answer is None
            else {each["status"] for each in answer["characteristics"]}
        )

    def read(self) -> dict[tuple[int, int], Any]:
        """What Home reads: values, or a status where there is none."""
        keys = [(aid, iid) for aid in AIDS.values() for iid in (ON, BRIGHTNESS)]
        answer = self._driver.get_characteristics([f"{aid}.{iid}" for aid, iid in keys])
        return {
            (item["aid"], item["iid"]): item.get("value", item["status"])
            for item in answer["characteristics"]
        }

    def values(self) -> dict[tuple[int, int], Any]:
        """What the characteristics hold, whether or not Home can read it now."""
        found = self._driver.accessory.get_characteristic
        return {
            (aid, iid): found(aid, iid).value
            for aid in AIDS.values()
            for iid in (ON, BRIGHTNESS)
        }

    def shown(self, channel: int) -> Lamp:
        """The lamp as its accessory has it."""
        values = self.values()
        return Lamp(values[AIDS[channel], ON], values[AIDS[channel], BRIGHTNESS])


def put_to(channel: int, *, on: bool | None = None, to: int | None = None) -> Values:
    """One request for one lamp."""
    aid = AIDS[channel]
    return {
        (aid, iid): value
        for iid, value in ((ON, on), (BRIGHTNESS, to))
        if value is not None
    }


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(Store.open(tmp_path / "state"))


LAST: Final = {"lamp::1": Lamp(on=True, brightness=60), "lamp::2": Lamp(brightness=10)}


# After an opening ------------------------------------------------------------------------


async def test_after_each_opening_the_last_accepted_levels_are_sent(house: House) -> None:
    dimmer = Dimmer(house, LAST, repeat=0)
    dimmer.wire.open()
    dimmer.wire.go_on()
    assert dimmer.wire.sent == ["0a ff 55 01 99 00 05 dc 0a", "0a ff 55 02 99 00 05 dc 0a"]
    assert dimmer.put(put_to(2, to=100)) == {0}
    dimmer.wire.go_on()
    dimmer.wire.pull_out()
    assert dimmer.put(put_to(1, on=False)) == {NO_RESPONSE}
    dimmer.wire.open()
    dimmer.wire.go_on()
    assert dimmer.wire.sent[2:] == [
        "0a ff 55 02 99 c8 05 dc 0a",
        "0a ff 55 01 99 c8 05 dc 0a",
        "0a ff 55 02 99 c8 05 dc 0a",
    ]


async def test_what_was_accepted_and_not_sent_any_more_is_sent_after_the_opening(
    house: House,
) -> None:
    dimmer = Dimmer(house, repeat=0)
    dimmer.wire.open()
    assert dimmer.put(put_to(1, to=100)) == {0}
    dimmer.wire.pull_out()
    dimmer.wire.go_on(60)
    assert dimmer.wire.sent == []
    dimmer.wire.open()
    dimmer.wire.go_on()
    assert dimmer.wire.sent == ["0a ff 55 01 ff 00 05 dc 0a"]


@pytest.mark.parametrize(
    ("startup", "remembered", "levels"),
    [
        ("restore", LAST, {1: 153, 2: 0}),
        ("restore", {}, {}),
        ("off", LAST, {1: 0, 2: 0}),
        ("off", {}, {1: 0, 2: 0}),
        ("keep", LAST, {}),
        ("keep", {}, {}),
    ],
)
async def test_what_the_wire_says_at_the_start_is_what_startup_means(
    house: House, startup: Startup, remembered: dict[str, Lamp], levels: dict[int, int]
) -> None:
    dimmer = Dimmer(house, remembered, startup=startup)
    dimmer.wire.open()
    # With a refresh or two.
    dimmer.wire.go_on(150)
    assert dimmer.wire.board.levels == levels
    for channel, identity in ((1, "lamp::1"), (2, "lamp::2")):
        was = remembered.get(identity, Lamp())
        assert dimmer.shown(channel) == Lamp(was.on and startup != "off", was.brightness)


async def test_a_lamp_that_is_left_alone_is_what_the_frames_of_the_other_one_carry(
    house: House,
) -> None:
    dimmer = Dimmer(house, LAST, startup="keep", repeat=0)
    dimmer.wire.open()
    dimmer.put(put_to(2, on=True))
    dimmer.wire.go_on()
    assert dimmer.wire.sent == ["0a ff 55 02 99 34 05 dc 0a"]


@pytest.mark.parametrize(
    ("startup", "frames"),
    [
        # Channel 2 was never set.
        ("restore", ["01 99 00", "02 99 00"]),
        ("off", ["01 00 00", "02 00 00"]),
        ("keep", []),
    ],
)
async def test_a_board_that_wants_a_hello_gets_it_and_a_frame_for_each_channel(
    house: House, startup: Startup, frames: list[str]
) -> None:
    remembered = {"lamp::1": LAST["lamp::1"]}
    dimmer = Dimmer(house, remembered, protocol="girier", startup=startup, repeat=0)
    expected = [HELLO, *(f"00 00 ff 55 {frame} 05 dc 0a 00 00" for frame in frames)]
    for _ in range(2):
        dimmer.wire.sent.clear()
        dimmer.wire.open()
        dimmer.wire.go_on()
        assert dimmer.wire.sent == expected
        dimmer.wire.pull_out()


# Writes ----------------------------------------------------------------------------------


async def test_a_scene_over_both_lamps_is_two_frames_with_the_new_levels_of_both(
    house: House,
) -> None:
    dimmer = Dimmer(house, repeat=0)
    dimmer.wire.open()
    assert dimmer.put({**put_to(1, on=True, to=40), **put_to(2, on=True, to=1)}) == {0}
    dimmer.wire.go_on()
    assert dimmer.wire.sent == ["0a ff 55 01 66 32 05 dc 0a", "0a ff 55 02 66 32 05 dc 0a"]


async def test_switching_fades_and_a_slider_is_followed_its_last_frame_included(
    house: House,
) -> None:
    dimmer = Dimmer(house, repeat=1, ramp=0x1234, slide_ramp=0x0056)
    dimmer.wire.open()
    for percent in (20, 40, 60):
        dimmer.put(put_to(1, to=percent))
        dimmer.wire.go_on(0.02)
    dimmer.wire.go_on()
    dimmer.put(put_to(1, to=80))
    dimmer.wire.go_on(0.02)
    dimmer.put(put_to(1, on=False))
    dimmer.wire.go_on(0.02)
    assert [frame[12:] for frame in dimmer.wire.sent] == [
        "33 00 12 34 0a",
        "66 00 00 56 0a",
        "99 00 00 56 0a",
        "99 00 00 56 0a",
        "cc 00 12 34 0a",
        "00 00 12 34 0a",
    ]


async def test_from_elsewhere_a_lamp_is_set_with_the_usual_ramp_or_another_one(
    house: House,
) -> None:
    dimmer = Dimmer(house, repeat=0)
    dimmer.wire.open()
    lamp = dimmer.lamps[2]
    for change in (
        lambda: lamp.set_percent(100),
        lambda: lamp.set_percent(1, ramp=7),
        lambda: lamp.set_level(99, ramp=0),
        lambda: lamp.set_level(0),
    ):
        change()
        dimmer.wire.go_on()
    assert [frame[12:] for frame in dimmer.wire.sent] == [
        "00 c8 05 dc 0a",
        "00 32 00 07 0a",
        "00 63 00 00 0a",
        "00 00 05 dc 0a",
    ]
    assert dimmer.shown(2) == Lamp(on=False, brightness=54)


async def test_without_a_port_nothing_can_be_set_from_elsewhere(house: House) -> None:
    dimmer = Dimmer(house, LAST)
    before = dimmer.values(), dimmer.memory
    for change in (dimmer.lamps[1].set_percent, dimmer.lamps[1].set_level):
        with pytest.raises(LinkError, match=f"^serial port {PORT} is not open yet$"):
            change(100)
    assert (dimmer.values(), dimmer.memory) == before


# Push-buttons ----------------------------------------------------------------------------


class Watched(SerialLink):
    """Takes note of what a dimmer wants of its port."""

    made: ClassVar[list[Watched]] = []

    def __init__(self, *how: Any) -> None:
        super().__init__(*how)
        _port, _settings, self.buttons, self.on_gesture = how
        self.made.append(self)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    monkeypatch.setattr(Watched, "made", [])
    monkeypatch.setattr(dimmer_board, "SerialLink", Watched)
    return Watched.made


async def test_there_are_buttons_where_they_are_configured_and_the_port_is_real(
    house: House, watched: list[Watched]
) -> None:
    channels = (CEILING, ChannelConfig(2, "Mirror", button="dsr"))
    config = DimmerConfig("Dimmer", PORT, channels)
    DimmerBoard(config, PORT, {}, lambda: None)
    DimmerBoard(config, "/dev/pts/9", {}, lambda: None)
    Dimmer(house)
    assert [link.buttons for link in watched] == [{2: "dsr"}, {}, {}]


async def test_a_button_sets_its_lamp_and_home_and_the_wire_and_the_store_know(
    house: House, watched: list[Watched]
) -> None:
    changes: list[int] = []
    dimmer = Dimmer(house, LAST, lambda: changes.append(1), repeat=0)
    told: list[tuple[int, int, Any]] = []
    house.driver.publish = lambda data, *_: told.append(
        (data["aid"], data["iid"], data["value"])
    )
    press = watched[0].on_gesture
    dimmer.wire.open()
    dimmer.wire.go_on()
    press(2, Gesture.CLICK)
    dimmer.wire.go_on()
    press(2, Gesture.HOLD)
    press(2, Gesture.STEP)
    dimmer.wire.go_on()
    assert told == [
        (AIDS[2], ON, True),
        (AIDS[2], BRIGHTNESS, 8),
        (AIDS[2], BRIGHTNESS, 6),
    ]
    level = CURVES[2].level(Lamp(on=True, brightness=6))
    assert dimmer.wire.board.levels == {1: 153, 2: level}
    assert dimmer.memory["lamps"]["lamp::2"] == {"on": True, "brightness": 6}
    assert len(changes) == 3


async def test_a_press_without_a_port_is_one_complaint_and_changes_nothing(
    house: House, watched: list[Watched], caplog: pytest.LogCaptureFixture
) -> None:
    dimmer = Dimmer(house, LAST)
    before = dimmer.values(), dimmer.memory
    for gesture in (Gesture.CLICK, Gesture.HOLD, Gesture.STEP, Gesture.CLICK):
        watched[0].on_gesture(1, gesture)
    assert (dimmer.values(), dimmer.memory) == before
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in said] == [
        f"Ceiling was not set by its button: serial port {PORT} is not open yet"
    ]


# Identify --------------------------------------------------------------------------------


def identify(house: House, channel: int) -> int:
    """The status of Home's request."""
    query = {"characteristics": [{"aid": AIDS[channel], "iid": 2, "value": True}]}
    answer = house.driver.set_characteristics(query, CLIENT)
    return 0 if answer is None else int(answer["characteristics"][0]["status"])


@pytest.fixture
def blinks_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lamp_station, "_BLINK_SECONDS", 0.01)


def said_of(dimmer: Dimmer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The levels that the lamp on channel 1 is told from now on."""
    said: list[int] = []
    submit = dimmer.board.link.submit

    def noted(channel: int, level: int, **how: Any) -> None:
        submit(channel, level, **how)
        said.append(level)

    monkeypatch.setattr(dimmer.board.link, "submit", noted)
    return said


@pytest.mark.usefixtures("blinks_fast")
@pytest.mark.parametrize(
    ("remembered", "startup", "own", "other"),
    [
        (Lamp(on=True, brightness=60), "restore", 153, 0),
        (Lamp(on=False, brightness=60), "restore", 0, 255),
        (None, "restore", 0, 255),
        # Nothing was sent to it, but this is what Home shows.
        (Lamp(on=True, brightness=60), "keep", 153, 0),
    ],
)
async def test_a_lamp_that_identifies_itself_blinks_and_is_then_as_it_was(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    remembered: Lamp | None,
    startup: Startup,
    own: int,
    other: int,
) -> None:
    lamps = {} if remembered is None else {"lamp::1": remembered}
    dimmer = Dimmer(house, lamps, startup=startup)
    dimmer.wire.open()
    dimmer.wire.go_on()
    said, before = said_of(dimmer, monkeypatch), dimmer.values()
    assert identify(house, 1) == 0
    await until(lambda: dimmer.lamps[1]._blinking is None)
    assert said == [other, own] * 3
    dimmer.wire.go_on()
    assert dimmer.wire.board.levels[1] == own
    assert dimmer.values() == before
    # Also of one that was never set it is known from now on.
    assert dimmer.lamps[1].channel.level == own
    assert dimmer.lamps[1].channel.kept == (remembered or Lamp())


@pytest.mark.usefixtures("blinks_fast")
async def test_who_sets_a_lamp_that_blinks_has_the_last_word(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    dimmer = Dimmer(house, LAST)
    dimmer.wire.open()
    said = said_of(dimmer, monkeypatch)
    assert identify(house, 1) == 0
    task = dimmer.lamps[1]._blinking
    assert task is not None
    await until(lambda: said)
    assert dimmer.put(put_to(1, to=20)) == {0}
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert said[-1] == 51
    assert dimmer.wire.ahead().levels[1] == 51


@pytest.mark.parametrize("startup", ["restore", "keep"])
async def test_a_lamp_that_blinks_at_the_end_of_the_program_is_put_back(
    house: House, monkeypatch: pytest.MonkeyPatch, startup: Startup
) -> None:
    # Nobody takes what is to be sent, and the end does not wait for ever.
    monkeypatch.setattr(serial_port, "_DRAIN_SECONDS", 0.01)
    dimmer = Dimmer(house, LAST, startup=startup)
    dimmer.wire.open()
    said = said_of(dimmer, monkeypatch)
    assert identify(house, 1) == 0
    await until(lambda: said)
    await dimmer.lamps[1].close()
    assert said == [0, 153]


async def test_without_a_port_no_lamp_identifies_itself(house: House) -> None:
    dimmer = Dimmer(house, LAST)
    assert identify(house, 1) == NO_RESPONSE
    dimmer.wire.open()
    dimmer.wire.go_on()
    assert dimmer.wire.board.levels == {1: 153, 2: 0}


# Whatever comes --------------------------------------------------------------------------

percents = st.integers(0, 100)
channels = st.sampled_from((1, 2))
startups = st.sampled_from(("restore", "off", "keep"))
ramps = st.none() | st.integers(0, 0xFFFF)
requests = st.fixed_dictionaries(
    {},
    optional={
        (aid, iid): values
        for aid in AIDS.values()
        for iid, values in ((ON, st.booleans()), (BRIGHTNESS, percents))
    },
).filter(bool)


class AnyOrder(RuleBasedStateMachine):
    """A dimmer in Home, on a wire, and in the file that outlives the program.

    They agree where, for each lamp,

    - Home knows what the accessory holds: it has read it, written it, or been told,
    - the wire ends with its level, once what waits has been sent, and while its level is
      not known the wire says nothing of it, or "off" to a board that wants a hello,
    - that level is the one of the percent that Home shows, or was set as such from
      elsewhere, and then no percent is nearer to it,
    - each frame carries what Home shows of the other lamp too,
    - the file holds what Home shows, from the first change after a start on, and nothing
      of a lamp that was never set.

    Without a port nothing of all this moves.
    """

    house: ClassVar[House]

    def __init__(self) -> None:
        super().__init__()
        CLOCK.now = 0.0
        self.saved = json.dumps(DeviceMemory().to_json())
        self.protocol = "wxdm2"
        self.house.driver.publish = self.tell_home

    def tell_home(self, data: Mapping[str, Any], *_: object) -> None:
        self.home[data["aid"], data["iid"]] = data["value"]

    def save(self) -> None:
        self.saved = json.dumps(self.dimmer.memory)

    def start(self, startup: Startup) -> None:
        """Start the program, with what stands in the file."""
        lamps = DeviceMemory.from_json(json.loads(self.saved)).lamps
        how = {"protocol": self.protocol, "startup": startup}
        self.dimmer = Dimmer(self.house, lamps, self.save, **how)
        self.home = self.dimmer.values()
        self.has_changed = self.is_open = False
        self.exact: dict[int, int] = {}
        self.kept = {int(identity[-1]) for identity in lamps}
        if startup == "off":
            self.kept = set(AIDS)
        self.known = set() if startup == "keep" else set(self.kept)
        for channel, lamp in self.dimmer.lamps.items():
            was = lamps.get(lamp.identity, Lamp())
            expected = Lamp(was.on and startup != "off", was.brightness)
            assert self.dimmer.shown(channel) == expected

    @initialize(protocol=st.sampled_from(("wxdm2", "girier")), startup=startups)
    def begin(self, protocol: str, startup: Startup) -> None:
        self.protocol = protocol
        self.start(startup)

    # What happens to it ------------------------------------------------------------------

    @rule(startup=startups, is_clean=st.booleans())
    def restart(self, startup: Startup, is_clean: bool) -> None:
        """End the program, or kill it, which saves nothing more."""
        if is_clean:
            self.save()
        self.start(startup)

    @rule(seconds=st.sampled_from((0.001, 0.01, 0.05, 0.3, 70.0)))
    def let_time_pass(self, seconds: float) -> None:
        self.dimmer.wire.go_on(seconds)

    @precondition(lambda self: not self.is_open)
    @rule()
    def plug_in(self) -> None:
        self.dimmer.wire.open()
        self.is_open = True

    @precondition(lambda self: self.is_open)
    @rule()
    def pull_out(self) -> None:
        self.dimmer.wire.pull_out()
        self.is_open = False

    @contextmanager
    def change(self, *changed: int) -> Iterator[None]:
        """Something that sets these lamps, or nothing at all without a port."""
        before = self.everything()
        yield
        if self.is_open:
            for channel in changed:
                self.exact.pop(channel, None)
                self.note_change(channel)
        else:
            assert self.everything() == before

    def note_change(self, channel: int) -> None:
        self.has_changed = True
        self.known.add(channel)
        self.kept.add(channel)

    def everything(self) -> tuple[object, ...]:
        dimmer = self.dimmer
        levels = [lamp.channel.level for lamp in dimmer.board.lamps]
        heard = len(dimmer.wire.board.received)
        return dict(self.home), dimmer.values(), levels, heard, self.saved, dimmer.memory

    def refused_without_a_port(self) -> AbstractContextManager[object]:
        return nullcontext() if self.is_open else pytest.raises(LinkError)

    @rule(values=requests)
    def write(self, values: Values) -> None:
        """One request of Home: On, Brightness, or both, to either lamp or to both."""
        before = dict(self.home)
        aids = {aid for aid, _ in values}
        with self.change(*(channel for channel, aid in AIDS.items() if aid in aids)):
            if self.is_open:
                self.home.update(values)
            statuses = self.dimmer.put(values)
            assert statuses == ({0} if self.is_open else {NO_RESPONSE})
        for aid in AIDS.values() if self.is_open else ():
            on, to = values.get((aid, ON)), values.get((aid, BRIGHTNESS))
            is_on = before[aid, ON] if on is None and to is None else on is not False
            assert self.home[aid, ON] is (is_on and to != 0)
            assert self.home[aid, BRIGHTNESS] == (to or before[aid, BRIGHTNESS])

    @rule(channel=channels, gesture=st.sampled_from(Gesture))
    def press(self, channel: int, gesture: Gesture) -> None:
        before, is_click = dict(self.home), gesture is Gesture.CLICK
        with self.change(*[channel] if is_click else []):
            self.dimmer.board._pressed(channel, gesture)
        if is_click and self.is_open:
            before[AIDS[channel], ON] = not before[AIDS[channel], ON]
            assert self.home == before
        elif self.home != before:
            # At its end a hold does nothing.
            self.note_change(channel)

    @rule(channel=channels, percent=percents, on=st.none() | st.booleans(), ramp=ramps)
    def set_percent(
        self, channel: int, percent: int, on: bool | None, ramp: int | None
    ) -> None:
        with self.change(channel), self.refused_without_a_port():
            self.dimmer.lamps[channel].set_percent(percent, on=on, ramp=ramp)
        if self.is_open:
            assert self.home[AIDS[channel], ON] is (percent > 0 and on is not False)
            assert percent in (0, self.home[AIDS[channel], BRIGHTNESS])

    @rule(channel=channels, level=st.integers(0, 255), ramp=ramps)
    def set_level(self, channel: int, level: int, ramp: int | None) -> None:
        with self.change(channel), self.refused_without_a_port():
            self.dimmer.lamps[channel].set_level(level, ramp)
        if self.is_open:
            self.exact[channel] = level
            assert self.home[AIDS[channel], ON] is (level > 0)
            assert self.dimmer.lamps[channel].channel.level == level

    # What must hold all the time ---------------------------------------------------------

    @invariant()
    def home_knows_what_the_accessories_hold(self) -> None:
        assert self.home == self.dimmer.values()
        if self.is_open:
            assert self.home == self.dimmer.read()
        else:
            assert set(self.dimmer.read().values()) == {NO_RESPONSE}

    @invariant()
    def a_level_is_known_once_it_was_set_restored_or_switched_off(self) -> None:
        for channel, lamp in self.dimmer.lamps.items():
            assert (lamp.channel.level is not None) is (channel in self.known)

    @invariant()
    def each_level_is_that_of_what_home_shows(self) -> None:
        for channel, lamp in self.dimmer.lamps.items():
            shown, level = self.dimmer.shown(channel), lamp.channel.level
            assert shown == lamp.channel.lamp
            if level is None or level == CURVES[channel].level(shown):
                continue
            assert level == self.exact.get(channel)
            assert shown.on
            off_by = [
                abs(level - CURVES[channel].level(Lamp(on=True, brightness=percent)))
                for percent in (shown.brightness, *range(1, 101))
            ]
            assert off_by[0] == min(off_by)

    @invariant()
    def the_wire_says_what_home_shows(self) -> None:
        if not self.is_open:
            return
        ahead, config = self.dimmer.wire.ahead(), self.dimmer.config
        shown = [self.level_or_what_it_may_be(channel) for channel in AIDS]
        for channel, lamp in self.dimmer.lamps.items():
            expected = lamp.channel.level
            if expected is None and self.protocol == "girier" and config.startup != "keep":
                expected = 0
            assert ahead.levels.get(channel) == expected
        if ahead.frames:
            form = ahead.form
            start = len(ahead.frames[-1]) - form.length
            assert list(ahead.frames[-1][start + 3 : start + 5]) == shown

    def level_or_what_it_may_be(self, channel: int) -> int:
        level = self.dimmer.lamps[channel].channel.level
        return CURVES[channel].level(self.dimmer.shown(channel)) if level is None else level

    @invariant()
    def the_file_holds_what_home_shows(self) -> None:
        assert json.loads(json.dumps(self.dimmer.memory)) == self.dimmer.memory
        lamps = DeviceMemory.from_json(self.dimmer.memory).lamps
        for channel, lamp in self.dimmer.lamps.items():
            assert (lamp.identity in lamps) is (channel in self.kept)
            assert lamps.get(lamp.identity, Lamp()) == self.dimmer.shown(channel)
        if self.has_changed:
            assert json.loads(self.saved) == self.dimmer.memory


@pytest.mark.no_cover
async def test_whatever_happens_home_and_the_wire_and_the_store_agree(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnyOrder, "house", house, raising=False)
    run_state_machine_as_test(
        AnyOrder, settings=settings(max_examples=120, stateful_step_count=40, deadline=None)
    )
