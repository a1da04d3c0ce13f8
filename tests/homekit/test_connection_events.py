"""What a controller is told of changes, over loopback, with the clock in hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.e2e.door.client import Client, Controller
from tests.homekit.house import (
    BRIGHTNESS,
    HUMIDITY,
    LAMP,
    ON,
    SENSOR,
    TEMPERATURE,
    Clock,
    House,
    closed_by,
    until,
)

#: Whatever waits is due after that.
GATHERED = 0.25

Place = tuple[int, int]
LIGHT, LEVEL = (LAMP, ON), (LAMP, BRIGHTNESS)
WARMTH, MOISTURE = (SENSOR, TEMPERATURE), (SENSOR, HUMIDITY)


class Subscriber:
    """A session that is told of everything."""

    def __init__(self, house: House, client: Client) -> None:
        self.client = client
        self.connection = house.end_of(client)

    async def subscribe(self, *places: Place, on: bool = True) -> None:
        items = [{"aid": aid, "iid": iid, "ev": on} for aid, iid in places]
        answer = await self.client.put("/characteristics", {"characteristics": items})
        assert answer.status == 204

    async def write(self, *values: tuple[Place, object]) -> int:
        items = [{"aid": aid, "iid": iid, "value": value} for (aid, iid), value in values]
        answer = await self.client.put("/characteristics", {"characteristics": items})
        return answer.status

    async def event(self) -> dict[Place, object]:
        """The next event, once it has come."""
        items = (await self.client.event()).json["characteristics"]
        return {(item["aid"], item["iid"]): item["value"] for item in items}

    async def nothing_came(self) -> bool:
        """Whether an answer comes with no event before it."""
        answer = await self.client.get(f"/characteristics?id={LAMP}.{ON}")
        return answer.status == 200 and not self.client.events

    @property
    def due(self) -> float | None:
        """When the next event leaves, by the loop's clock; None where none waits."""
        timer = self.connection._event_timer
        return None if timer is None else timer.when()


@pytest.fixture
async def controller(door: House) -> Controller:
    return door.pair()


@pytest.fixture
async def phone(door: House, controller: Controller) -> AsyncIterator[Subscriber]:
    async with await door.session(controller) as client:
        phone = Subscriber(door, client)
        await phone.subscribe(LIGHT, LEVEL, WARMTH, MOISTURE)
        yield phone


@pytest.fixture
async def tablet(door: House, controller: Controller) -> AsyncIterator[Subscriber]:
    async with await door.session(controller) as client:
        tablet = Subscriber(door, client)
        await tablet.subscribe(LIGHT, LEVEL, WARMTH, MOISTURE)
        yield tablet


async def test_the_first_change_is_told_at_once_and_later_ones_together(
    door: House, clock: Clock, phone: Subscriber
) -> None:
    door.measure(20.0, 40.0)
    assert phone.due is not None
    assert phone.due - clock.now <= 0.02
    assert await phone.event() == {WARMTH: 20.0, MOISTURE: 40.0}
    told = clock.now
    door.measure(20.1, 40.0)
    door.measure(20.2, 41.0)
    assert phone.due is not None
    assert phone.due == pytest.approx(told + GATHERED, abs=0.1)
    clock.forward(GATHERED)
    assert await phone.event() == {WARMTH: 20.2, MOISTURE: 41.0}


async def test_on_and_brightness_do_not_wait_and_take_along_what_does(
    door: House, clock: Clock, phone: Subscriber, tablet: Subscriber
) -> None:
    door.measure(20.0)
    assert await phone.event() == {WARMTH: 20.0}
    door.measure(20.5)
    aid, iid = LIGHT
    items = [{"aid": aid, "iid": iid, "value": False}, {"aid": aid, "iid": 82, "value": 70}]
    write = door.driver.set_characteristics
    write({"characteristics": items}, tablet.connection.peername)
    assert phone.due is not None
    assert phone.due - clock.now <= 0.02
    assert await phone.event() == {WARMTH: 20.5, LIGHT: False, LEVEL: 70}
    assert phone.due is None


async def test_a_controller_is_not_told_what_it_wrote(
    clock: Clock, phone: Subscriber, tablet: Subscriber
) -> None:
    assert await phone.write((LEVEL, 70)) == 204
    assert await tablet.event() == {LEVEL: 70}
    clock.forward(GATHERED)
    assert await phone.nothing_came()


async def test_a_controller_is_told_what_follows_from_what_it_wrote(
    phone: Subscriber, tablet: Subscriber
) -> None:
    assert await phone.write((LEVEL, 0)) == 204
    # Off keeps the brightness: what was written is not what is.
    assert await phone.event() == {LIGHT: False, LEVEL: 40}
    assert await tablet.event() == {LIGHT: False, LEVEL: 40}


async def test_an_event_that_waits_is_dropped_where_its_value_was_just_written(
    door: House, phone: Subscriber, tablet: Subscriber, clock: Clock
) -> None:
    # Both requests are answered before any event is due.
    write = door.driver.set_characteristics
    for connection, value in ((tablet.connection, 60), (phone.connection, 50)):
        aid, iid = LEVEL
        items = [{"aid": aid, "iid": iid, "value": value}]
        write({"characteristics": items}, connection.peername)
    assert await tablet.event() == {LEVEL: 50}
    clock.forward(GATHERED)
    assert await phone.nothing_came()


async def test_what_was_taken_back_in_the_meantime_is_told_as_it_is_now(
    door: House, phone: Subscriber
) -> None:
    door.measure(20.0)
    door.measure(21.0)
    assert await phone.event() == {WARMTH: 21.0}


async def test_what_became_unknown_in_the_meantime_is_not_told(
    door: House, phone: Subscriber, clock: Clock
) -> None:
    door.measure(20.0, 40.0)
    door.measure(None, 40.0)
    assert await phone.event() == {MOISTURE: 40.0}
    door.measure(20.0, 40.0)
    door.measure(None, 40.0)
    clock.forward(GATHERED)
    await until(lambda: phone.due is None)
    assert await phone.nothing_came()


async def test_who_does_not_want_to_know_any_more_is_not_told(
    door: House, phone: Subscriber, clock: Clock
) -> None:
    door.measure(20.0, 40.0)
    await phone.event()
    door.measure(21.0, 41.0)
    await phone.subscribe(WARMTH, on=False)
    clock.forward(GATHERED)
    assert await phone.event() == {MOISTURE: 41.0}


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_nothing_is_told_to_one_that_is_hung_up_on(
    door: House, phone: Subscriber, clock: Clock, end: str
) -> None:
    door.measure(20.0)
    await phone.event()
    door.measure(21.0)
    getattr(phone.connection, end)()
    door.measure(22.0)
    clock.forward(GATHERED)
    await until(lambda: not door.connections)
    assert door.driver.topics == {}
    assert await closed_by(phone.client) == b""


async def test_who_subscribes_and_writes_at_once_is_told_what_follows(door: House) -> None:
    async with await door.session(door.pair()) as client:
        aid, on = LIGHT
        _, brightness = LEVEL
        items = [
            {"aid": aid, "iid": on, "ev": True},
            {"aid": aid, "iid": brightness, "ev": True, "value": 0},
        ]
        answer = await client.put("/characteristics", {"characteristics": items})
        assert answer.status == 204
        told = (await client.event()).json["characteristics"]
        assert {"aid": aid, "iid": on, "value": False} in told


async def test_a_subscription_that_came_with_a_write_that_fails_is_none(
    door: House,
) -> None:
    async with await door.session(door.pair()) as client:
        aid, on = LIGHT
        items = [{"aid": aid, "iid": on, "ev": True, "value": "nonsense"}]
        answer = await client.put("/characteristics", {"characteristics": items})
        assert answer.status == 207
        assert door.driver.topics == {}
