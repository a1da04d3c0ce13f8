"""What a controller is told of changes: how soon, what together, and never what is old."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohomekit.controller.ip import IpController, IpPairing

from hk_bridge import house as house_module
from hk_bridge.homekit import connection, events, outgoing
from tests.e2e.conftest import (
    LOOPBACK,
    ROOM_1,
    SENSORS,
    Bridge,
    dimmer,
    pair,
    until,
    until_async,
)
from tests.e2e.conftest import events as events_of
from tests.e2e.door import client as raw
from tests.e2e.door.characteristics import at, item, put
from tests.e2e.door.client import Answer, Client, Controller, Verify, accepted, request
from tests.e2e.door.expectations import expect
from tests.e2e.door.pairings import DONE, add, remove
from tests.e2e.door.places import Place

ROOM, CEILING, MIRROR = 2, 4, 5
ON, BRIGHTNESS = (CEILING, 81), (CEILING, 82)
MIRROR_ON, SENTINEL = (MIRROR, 81), (MIRROR, 82)
TEMPERATURE, ACTIVE, HUMIDITY = (ROOM, 33), (ROOM, 35), (ROOM, 49)

#: What is told at once takes 5 ms, what is gathered a quarter of a second, and HAP-python
#: half a second. A busy machine gets the rest, and several tries.
AT_ONCE = 0.2
GATHERED = 0.45
TRIES = 5
QUIET = 0.3

#: Longer than any test, for changes that must not be told by themselves.
FOR_EVER = 1000.0

Values = dict[Place, Any]


class House:
    """A bridge that somebody has paired, with its line open."""

    def __init__(self, bridge: Bridge, home: Controller) -> None:
        self.bridge, self.home = bridge, home
        self._frames = itertools.count(1)
        self._sentinels = itertools.count(1)
        self._clients: list[Client] = []

    async def session(self, *places: Place, controller: Controller | None = None) -> Client:
        """A connection that is told of `places`, and of the sentinel."""
        client = await raw.session(self.bridge.port, controller or self.home)
        self._clients.append(client)
        await subscribe(client, *places, SENTINEL)
        return client

    async def hear(self, temperature: float, humidity: float | None = None) -> None:
        """Let the sensor send another frame."""
        values = round(temperature * 10).to_bytes(2, "little", signed=True).hex()
        if humidity is not None:
            values += round(humidity * 10).to_bytes(2, "little").hex()
        kind = "041002" if humidity is None else "0d1004"
        counter = next(self._frames) % 256
        await self.bridge.hear(ROOM_1, f"5020aa01{counter:02x}65aed0a8654c{kind}{values}")

    async def rest(self, client: Client) -> list[Values]:
        """What `client` was still to be told before a change that comes now."""
        value = next(self._sentinels)
        async with await raw.session(self.bridge.port, self.home) as announcer:
            # Said together, brightness does not switch the lamp on.
            await write(announcer, {SENTINEL: value} | await read(announcer, MIRROR_ON))
        told: list[Values] = []
        while value not in [values.get(SENTINEL) for values in told]:
            told.append(values_of(await client.event()))
        others = [{p: v for p, v in values.items() if p != SENTINEL} for values in told]
        return [values for values in others if values]

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
async def house(bridge: Bridge) -> AsyncIterator[House]:
    await bridge.start()
    house = House(bridge, await raw.pair(bridge.port, bridge.identity.setup_code))
    async with await raw.session(bridge.port, house.home) as client:
        await until_async(lambda: answers(client, ON))
    await house.hear(20.0, 40.0)
    yield house
    house.close()


async def answers(client: Client, place: Place) -> bool:
    return (await client.get(at([place]))).status == 200


async def subscribe(client: Client, *places: Place, ev: bool = True) -> None:
    expect(await put(client, *(item(place, ev=ev) for place in places)), 204)


async def write(client: Client, values: Mapping[Place, Any]) -> None:
    expect(await put(client, *(item(p, value=v) for p, v in values.items())), 204)


async def read(client: Client, *places: Place) -> Values:
    return values_of(await client.get(at(places)))


def values_of(message: Answer) -> Values:
    return {(i["aid"], i["iid"]): i["value"] for i in message.json["characteristics"]}


def merged(messages: list[Values]) -> Values:
    """What is known after all of them."""
    return {place: value for message in messages for place, value in message.items()}


# -- how soon --------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "values"), [(ON, (True, False)), (BRIGHTNESS, (7, 8))])
async def test_a_lamp_is_told_at_once_however_much_is_told(
    house: House, place: Place, values: tuple[Any, Any]
) -> None:
    watcher, writer = await house.session(place), await house.session()
    loop, took = asyncio.get_running_loop(), []
    for value in values * TRIES:
        begin = loop.time()
        await write(writer, {place: value})
        assert values_of(await watcher.event()) == {place: value}
        took.append(loop.time() - begin)
    # The first one came to a quiet connection.
    assert min(took[1:]) < AT_ONCE


async def test_the_first_change_of_a_quiet_connection_is_told_at_once(
    house: House,
) -> None:
    loop, temperature = asyncio.get_running_loop(), 20.0
    took: list[list[float]] = []
    for _ in range(3):
        watcher = await house.session(TEMPERATURE)
        took.append([])
        # Once as a connection that is new, once as one that has become quiet again.
        for pause in (0, QUIET):
            await asyncio.sleep(pause)
            temperature += 1
            begin = loop.time()
            await house.hear(temperature)
            assert values_of(await watcher.event()) == {TEMPERATURE: temperature}
            took[-1].append(loop.time() - begin)
    for tries in zip(*took, strict=True):
        assert min(tries) < AT_ONCE


async def test_what_changes_soon_after_is_gathered_into_one_message(house: House) -> None:
    loop, took = asyncio.get_running_loop(), []
    watcher = await house.session(TEMPERATURE, HUMIDITY)
    for base in range(21, 21 + TRIES):
        await house.hear(base, 40)
        await watcher.event()
        begin = loop.time()
        for tenth in (1, 2, 3):
            await asyncio.sleep(0.02)
            await house.hear(base + tenth / 10, base)
        message = values_of(await watcher.event())
        took.append(loop.time() - begin)
        if message == {TEMPERATURE: base + 0.3, HUMIDITY: base}:
            break
        await house.rest(watcher)
        await asyncio.sleep(QUIET)
    else:
        raise AssertionError("told one by one")
    assert min(took) < GATHERED
    assert await house.rest(watcher) == []


async def test_a_lamp_takes_along_what_has_been_gathered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_GATHERING_SECONDS", FOR_EVER)
    watcher, writer = await house.session(TEMPERATURE, ON), await house.session()
    for temperature, on in ((21.0, True), (22.0, False)):
        await house.hear(temperature)
        await write(writer, {ON: on})
        told = values_of(await watcher.event())
        assert told == {TEMPERATURE: temperature, ON: on}


async def test_what_changes_in_one_moment_travels_in_one_message(house: House) -> None:
    watcher = await house.session(TEMPERATURE, HUMIDITY, ON, MIRROR_ON)
    writer = await house.session()
    await house.hear(24.5, 55.5)
    told = values_of(await watcher.event())
    assert told == {TEMPERATURE: 24.5, HUMIDITY: 55.5}
    await write(writer, {ON: True, MIRROR_ON: True})
    assert values_of(await watcher.event()) == {ON: True, MIRROR_ON: True}
    assert await house.rest(watcher) == []


# -- to whom ---------------------------------------------------------------------------


OFF: Values = {ON: False, BRIGHTNESS: 60}

#: How the lamp was set at 60 %, what is written, what the writer is told of it, and what
#: another controller.
WRITES: list[tuple[Values, Values, Values, Values]] = [
    ({ON: False}, {ON: True}, {}, {ON: True}),
    ({ON: False}, {ON: 1}, {}, {ON: True}),
    ({ON: True}, {BRIGHTNESS: 40}, {}, {BRIGHTNESS: 40}),
    ({ON: True}, {BRIGHTNESS: 40.0}, {}, {BRIGHTNESS: 40}),
    ({ON: False}, {ON: True, BRIGHTNESS: 40}, {}, {ON: True, BRIGHTNESS: 40}),
    ({ON: True}, {ON: False, BRIGHTNESS: 40}, {}, {ON: False, BRIGHTNESS: 40}),
    ({ON: False}, {ON: True, MIRROR_ON: True}, {}, {ON: True, MIRROR_ON: True}),
    ({ON: True}, {ON: True, BRIGHTNESS: 60}, {}, {}),
    # What follows: brightness alone switches on, 0 is off and leaves the brightness.
    ({ON: False}, {BRIGHTNESS: 40}, {ON: True}, {ON: True, BRIGHTNESS: 40}),
    ({ON: True}, {BRIGHTNESS: 0}, OFF, OFF),
    ({ON: False}, {ON: True, BRIGHTNESS: 0}, OFF, OFF),
]


async def test_a_controller_is_told_what_follows_and_not_what_it_has_set_itself(
    house: House,
) -> None:
    other = await house.session(ON, BRIGHTNESS, MIRROR_ON)
    writer = await house.session(ON, BRIGHTNESS, MIRROR_ON)
    for before, written, to_the_writer, to_another in WRITES:
        await write(other, {BRIGHTNESS: 60, MIRROR_ON: False, **before})
        await house.rest(other)
        await house.rest(writer)
        await write(writer, written)
        told = merged(await house.rest(writer)), merged(await house.rest(other))
        assert told == (to_the_writer, to_another), f"after {written}"


async def test_a_controller_that_writes_again_and_again_is_told_nothing(
    house: House,
) -> None:
    other = await house.session(ON, BRIGHTNESS)
    writer = await house.session(ON, BRIGHTNESS)
    await write(writer, {ON: True})
    for value in range(1, 60):
        await write(writer, {BRIGHTNESS: value})
    assert await house.rest(writer) == []
    assert merged(await house.rest(other)) == {ON: True, BRIGHTNESS: 59}


async def test_who_has_unsubscribed_is_told_nothing_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_GATHERING_SECONDS", FOR_EVER)
    watcher, writer = await house.session(TEMPERATURE, ON), await house.session()
    await house.hear(21.0)
    assert values_of(await watcher.event()) == {TEMPERATURE: 21.0}
    # One change has been waiting, one comes later.
    await house.hear(22.0)
    await subscribe(watcher, TEMPERATURE, ON, ev=False)
    await house.hear(23.0)
    await write(writer, {ON: True})
    assert await house.rest(watcher) == []


async def test_who_has_been_removed_is_told_nothing_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_GATHERING_SECONDS", FOR_EVER)
    guest = Controller()
    admin = await house.session(ON)
    expect(await add(admin, guest), 200, DONE)
    watcher = await house.session(TEMPERATURE, ON, controller=guest)
    await house.hear(21.0)
    assert values_of(await watcher.event()) == {TEMPERATURE: 21.0}
    # One change is being gathered, and one is due.
    await house.hear(22.0)
    monkeypatch.setattr(events, "_MOMENT_SECONDS", QUIET)
    await write(admin, {ON: True})
    expect(await remove(admin, guest), 200, DONE)
    await write(admin, {ON: False})
    assert await watcher.closed() == b""


# -- never an old value after a newer one ----------------------------------------------


async def test_an_older_value_never_comes_behind_a_newer_one(house: House) -> None:
    chance = random.Random(20)
    watcher = await house.session(BRIGHTNESS)
    writers = [await house.session(BRIGHTNESS) for _ in range(2)]
    # What each has seen: told, or set by itself and answered.
    seen: dict[Client, list[int]] = {client: [] for client in writers}
    for value in range(1, 100):
        client = chance.choice(writers)
        await write(client, {BRIGHTNESS: value})
        seen[client] += [values_of(event)[BRIGHTNESS] for event in client.events]
        client.events.clear()
        seen[client].append(value)
        await asyncio.sleep(chance.choice((0, 0, 0.002, 0.004, 0.006)))
    for client in (*writers, watcher):
        rest = [values[BRIGHTNESS] for values in await house.rest(client)]
        values = seen.get(client, []) + rest
        assert values == sorted(set(values))
        assert values[-1] == 99


async def test_ones_own_write_takes_the_place_of_a_change_that_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_MOMENT_SECONDS", QUIET)
    clients = [await house.session(BRIGHTNESS) for _ in range(3)]
    first, second, watcher = clients
    await write(first, {BRIGHTNESS: 10})
    await write(second, {BRIGHTNESS: 20})
    assert await house.rest(second) == []
    assert await house.rest(first) == [{BRIGHTNESS: 20}]
    assert await house.rest(watcher) == [{BRIGHTNESS: 20}]


async def test_everybody_knows_in_the_end_how_the_lamp_is_set(house: House) -> None:
    chance = random.Random(3)
    clients = [await house.session(ON, BRIGHTNESS) for _ in range(3)]
    known = {client: await read(client, ON, BRIGHTNESS) for client in clients}
    for step in range(200):
        writer = chance.choice(clients[:2])
        written: Values = {}
        if chance.random() < 0.6:
            written[ON] = chance.choice((True, False))
        if chance.random() < 0.6 or not written:
            written[BRIGHTNESS] = chance.choice((0, 0, 10, 20, 30))
        await write(writer, written)
        told = merged([values_of(event) for event in writer.events])
        writer.events.clear()
        known[writer] |= {p: v for p, v in told.items() if p != SENTINEL} | written
        await asyncio.sleep(chance.choice((0, 0, 0, 0.004, 0.006)))
        if step % 10 == 0:
            for client in clients:
                known[client] |= merged(await house.rest(client))
            truth = await read(clients[-1], ON, BRIGHTNESS)
            assert [known[client] for client in clients] == [truth] * 3


async def test_a_value_that_has_become_unknown_while_it_waited_is_not_told(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house_module, "_TICK_SECONDS", 0.02)
    monkeypatch.setattr(events, "_GATHERING_SECONDS", FOR_EVER)
    bridge.write(
        [{**SENSORS[0], "timeout": 0.5 / 60}, SENSORS[1], dimmer(bridge.board.port)]
    )
    await bridge.start()
    house = House(bridge, await raw.pair(bridge.port, bridge.identity.setup_code))
    watcher = await house.session(TEMPERATURE, ACTIVE)
    await until_async(lambda: answers(watcher, ON))
    await house.hear(21.0)
    assert values_of(await watcher.event()) == {TEMPERATURE: 21.0, ACTIVE: True}
    await house.hear(22.0)
    await until_async(lambda: is_unknown(watcher, TEMPERATURE))
    assert await house.rest(watcher) == [{ACTIVE: False}]
    house.close()


async def is_unknown(client: Client, place: Place) -> bool:
    return not await answers(client, place)


# -- who does not read -----------------------------------------------------------------


class Deaf:
    """A connection that reads nothing, and asks for much."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.asked = 0

    @classmethod
    async def connect(cls, house: House, *places: Place) -> Deaf:
        own = socket.socket()
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        own.setblocking(False)
        await asyncio.get_running_loop().sock_connect(own, (LOOPBACK, house.bridge.port))
        client = Client(*await asyncio.open_connection(sock=own, limit=1024))
        verify = Verify(client, house.home)
        accepted(await verify.m1())
        accepted(await verify.m3())
        verify.secure()
        await subscribe(client, *places, SENTINEL)
        return cls(client)

    def is_hung_up_on(self) -> bool:
        """Whether it is over; who does not read notices only by writing."""
        self.client.write(b"\0")
        return self.client.is_closing

    async def ask(self, until: asyncio.Event) -> None:
        """Ask until the bridge has had enough."""
        async with asyncio.timeout(self.client.patience):
            while not until.is_set():
                self.client.send(request("GET", "/accessories"))
                self.asked += 1
                await asyncio.sleep(0)


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once the bridge has seen that somebody does not read."""
    event = asyncio.Event()
    pause_writing = connection.GuardedProtocol.pause_writing

    def noted(protocol: connection.GuardedProtocol) -> None:
        event.set()
        pause_writing(protocol)

    monkeypatch.setattr(connection.GuardedProtocol, "pause_writing", noted)
    return event


async def test_who_does_not_read_disturbs_nobody_and_is_hung_up_on(
    house: House, stalled: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "_STALLED_SECONDS", 1.0)
    watcher, writer = await house.session(ON), await house.session()
    deaf = await Deaf.connect(house, ON)
    await deaf.ask(until=stalled)
    loop, took = asyncio.get_running_loop(), []
    for on in (True, False) * TRIES:
        begin = loop.time()
        await write(writer, {ON: on})
        assert values_of(await watcher.event()) == {ON: on}
        took.append(loop.time() - begin)
    assert min(took) < AT_ONCE
    await until(deaf.is_hung_up_on)
    await write(writer, {ON: True})
    assert values_of(await watcher.event()) == {ON: True}


async def test_who_reads_again_is_told_how_things_are_by_then(
    house: House, stalled: asyncio.Event
) -> None:
    writer = await house.session()
    deaf = await Deaf.connect(house, BRIGHTNESS)
    await deaf.ask(until=stalled)
    for value in range(1, 50):
        await write(writer, {BRIGHTNESS: value})
        await asyncio.sleep(0.001)
    for _ in range(deaf.asked):
        expect_whole(await deaf.client.receive())
    assert values_of(await deaf.client.event()) == {BRIGHTNESS: 49}
    assert await house.rest(deaf.client) == []
    deaf.client.close()


def expect_whole(answer: Answer) -> None:
    assert len(answer.json["accessories"]) == MIRROR


# -- as a person sees it ---------------------------------------------------------------


async def test_an_advert_is_pushed_to_a_subscriber(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    house = House(bridge, Controller())
    await house.hear(20.4, 39.4)
    pushed = events_of(pairing)
    await pairing.subscribe([TEMPERATURE, HUMIDITY])
    await house.hear(20.5)
    await until(lambda: pushed)
    assert pushed == {TEMPERATURE: 20.5}
    await house.hear(-12.3)
    assert pushed == {TEMPERATURE: 20.5}
    await house.hear(-12.3)  # no room makes that jump, unless it is confirmed
    await until(lambda: pushed[TEMPERATURE] != 20.5)
    assert pushed == {TEMPERATURE: -12.3}


async def test_another_controller_is_told_what_a_write_made_of_the_lamp(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    other = IpPairing(controller, pairing.pairing_data)
    controller.pairings["other"] = other
    await pairing.put_characteristics([(*BRIGHTNESS, 60)])
    told = events_of(other)
    await other.list_accessories_and_characteristics()
    await other.subscribe([ON, BRIGHTNESS])
    await pairing.put_characteristics([(*BRIGHTNESS, 0)])
    await until(lambda: ON in told)
    assert told[ON] is False
    assert told.get(BRIGHTNESS, 60) == 60
