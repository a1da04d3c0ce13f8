"""Requests of a paired controller that ask for what is not to be had."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from tests.e2e.conftest import until_async
from tests.e2e.door.client import Client
from tests.e2e.door.expectations import (
    INVALID_VALUE,
    NO_NOTIFICATION,
    NO_RESOURCE,
    NO_RESPONSE,
    OUT_OF_RESOURCES,
    READ_ONLY,
    WRITE_ONLY,
    expect,
    expect_items,
    expect_json,
    expect_status,
)
from tests.e2e.door.places import Place
from tests.e2e.door.servers import Server

NOWHERE = ((77, 1), (2, 7777))

#: JSON that is no value of On, a boolean, or Brightness, an integer from 0 to 100.
WRONG_VALUES = {
    "on": ('"true"', "2", "-1", "0.5", "null", "[]", "[true]", "{}", "NaN", '""'),
    "brightness": (
        *("-1", "101", "50.5", '"50"', "true", "null", "[50]", "{}"),
        *("NaN", "Infinity", "-Infinity", "1e999", "1e30", "9" * 400),
    ),
}

#: What is no body of PUT /characteristics.
NO_WRITES = {
    "nothing": b"",
    "half an object": b"{",
    "no UTF-8": b"\xff\xfe\x00",
    "a list": b"[]",
    "null": b"null",
    "a number": b"5",
    "an empty object": b"{}",
    "null for a list": b'{"characteristics": null}',
    "a number for a list": b'{"characteristics": 1}',
    "text for a list": b'{"characteristics": "abc"}',
    "an object for a list": b'{"characteristics": {"aid": 1, "iid": 2}}',
    "numbers for objects": b'{"characteristics": [1]}',
    "no iid": b'{"characteristics": [{"aid": 1, "value": 1}]}',
    "no aid": b'{"characteristics": [{"iid": 1, "value": 1}]}',
    "text for an aid": b'{"characteristics": [{"aid": "1", "iid": 2, "value": 1}]}',
    "a list for an aid": b'{"characteristics": [{"aid": [], "iid": 2, "value": 1}]}',
    "null for an iid": b'{"characteristics": [{"aid": 1, "iid": null, "value": 1}]}',
    "lists without end": b"[" * 100_000,
    "objects without end": b'{"characteristics":' * 10_000,
    "TLV": b"\x06\x01\x01",
}

NO_READS = (
    *("", "?", "?id=", "?id=,", "?id=x", "?id=1", "?id=1.", "?id=1.x", "?id=1.2.3"),
    *("?id=1.2,", "?id=1.2;3.4", "?id=1.2%00", "?id=" + "9" * 5000 + ".1", "?iid=1.2"),
)

NO_PREPARATIONS = {
    "nothing": b"",
    "half an object": b"{",
    "a list": b"[]",
    "an empty object": b"{}",
    "no ttl": b'{"pid": 1}',
    "no pid": b'{"ttl": 1000}',
    "text for a ttl": b'{"ttl": "1000", "pid": 1}',
    "a negative ttl": b'{"ttl": -1, "pid": 1}',
    "a list for a pid": b'{"ttl": 1000, "pid": [1]}',
    "an object for a pid": b'{"ttl": 1000, "pid": {}}',
    "null for a pid": b'{"ttl": 1000, "pid": null}',
}


def item(place: Place, **more: Any) -> dict[str, Any]:
    return {"aid": place[0], "iid": place[1], **more}


async def put(client: Client, *items: dict[str, Any], **more: Any) -> Any:
    return await client.put("/characteristics", {"characteristics": items, **more})


def at(places: Iterable[Place]) -> str:
    """The path of a reading of `places`."""
    ids = ",".join(f"{aid}.{iid}" for aid, iid in places)
    return f"/characteristics?id={ids}"


async def read(client: Client, place: Place) -> Any:
    """The value of one characteristic."""
    answer = await client.get(at([place]))
    expect_status(answer, 200)
    return answer.json["characteristics"][0]["value"]


async def permissions(server: Server) -> None:
    """Write what is read-only, read what is write-only, subscribe to what is silent."""
    places = await server.places()
    async with await server.session() as client:
        answer = await put(
            client,
            item(places.temperature, value=99),
            item(places.name, value="Owned"),
            item(places.on, value=True),
        )
        expect_items(
            answer,
            207,
            {places.temperature: READ_ONLY, places.name: READ_ONLY, places.on: 0},
        )
        expect_items(
            await client.get(at([places.identify, places.on])),
            207,
            {places.identify: WRITE_ONLY, places.on: 0},
        )
        expect_items(
            await put(client, item(places.name, ev=True), item(places.on, ev=True)),
            207,
            {places.name: NO_NOTIFICATION, places.on: 0},
        )
        assert await read(client, places.temperature) != 99
        assert await read(client, places.name) != "Owned"


async def wrong_value(server: Server, name: str, value: str) -> None:
    """Write JSON that is no value of the characteristic."""
    places = await server.places()
    place, good = (places.on, True) if name == "on" else (places.brightness, 40)
    body = f'{{"characteristics":[{{"aid":{place[0]},"iid":{place[1]},"value":{value}}}]}}'
    async with await server.session() as client:
        expect(await put(client, item(place, value=good)), 204)
        answer = await client.put("/characteristics", body.encode())
        kept = await read(client, place)
        assert kept is good or kept == good, f"{value} became {kept!r}"
        # Some of it is not JSON at all.
        if answer.status == 400:
            expect_json(answer, 400, {"status": INVALID_VALUE})
        else:
            expect_items(answer, 207, {place: INVALID_VALUE})


async def near_values(server: Server) -> None:
    """Write values as some controllers do: 0 and 1 for booleans, 50.0 for 50."""
    places = await server.places()
    async with await server.session() as client:
        for place, value, kept in (
            (places.on, 1, True),
            (places.on, 0, False),
            (places.on, True, True),
            (places.brightness, 50.0, 50),
            (places.brightness, 100, 100),
        ):
            expect(await put(client, item(place, value=value)), 204)
            assert await read(client, place) == kept


async def unknown_places(server: Server) -> None:
    """Ask for what there is next to what there is not."""
    places = await server.places()
    missing = dict.fromkeys(NOWHERE, NO_RESOURCE)
    async with await server.session() as client:
        for value in (20, 30):
            answer = await put(
                client,
                item(NOWHERE[0], value=1),
                item(places.brightness, value=value),
                item(NOWHERE[1], value=1),
            )
            expect_items(answer, 207, {**missing, places.brightness: 0})
            assert await read(client, places.brightness) == value
        answer = await client.get(at([NOWHERE[0], places.brightness, NOWHERE[1]]))
        expect_items(answer, 207, {**missing, places.brightness: 0})
        answer = await put(client, *(item(place, ev=True) for place in NOWHERE))
        expect_items(answer, 207, missing)


async def failing_write(server: Server) -> None:
    """Write to a lamp whose line is gone."""
    place = (await server.places()).brightness
    async with await server.session() as client:
        expect(await put(client, item(place, value=40)), 204)
        server.break_lamp()
        done, answer = 40, await put(client, item(place, value=50))
        # That the line is gone may show only after a write or two.
        for value in range(51, 100):
            if answer.status != 204:
                break
            done = value - 1
            await asyncio.sleep(0.02)
            answer = await put(client, item(place, value=value))
        expect_items(answer, 207, {place: NO_RESPONSE})
        server.mend_lamp()
        async with asyncio.timeout(server.patience):
            await until_async(lambda: _is_answered(client, place))
        kept = await read(client, place)
        assert kept == done, f"a write that failed has set {kept}"


async def _is_answered(client: Client, place: Place) -> bool:
    return (await client.get(at([place]))).status == 200


async def timed_writes(server: Server) -> None:
    """Carry out a write that was announced, and those that should have been."""
    place = (await server.places()).brightness
    async with await server.session() as client, await server.session() as other:
        expect(await put(client, item(place, value=10)), 204)
        await _prepare(client, pid=1, ttl=60_000)
        expect(await put(client, item(place, value=11), pid=1), 204)
        await _prepare(client, pid=2, ttl=1)
        await _prepare(other, pid=3, ttl=60_000)
        await asyncio.sleep(0.05)
        # Used up, expired, announced by another connection, and never announced.
        answers = [
            await put(client, item(place, value=66), pid=pid) for pid in (1, 2, 3, 4)
        ]
        kept = await read(client, place)
        assert kept == 11, "a write that had expired was carried out"
        for answer in answers:
            expect_items(answer, 207, {place: INVALID_VALUE})


async def _prepare(client: Client, pid: int, ttl: int) -> None:
    answer = await client.put("/prepare", {"pid": pid, "ttl": ttl})
    expect_json(answer, 200, {"status": 0})


async def endless_preparations(server: Server) -> None:
    """Announce writes that never come."""
    async with await server.session() as client, await server.session() as other:
        for pid in range(16):
            await _prepare(client, pid, ttl=60_000)
        for pid in (16, 17):
            answer = await client.put("/prepare", {"pid": pid, "ttl": 60_000})
            assert answer.json == {"status": OUT_OF_RESOURCES}, "prepared without end"
        await _prepare(other, 16, ttl=60_000)
        await _prepare(client, 3, ttl=60_000)


async def bad_write(server: Server, body: bytes) -> None:
    """Write what cannot be read."""
    await _bad_body(server, "/characteristics", body)


async def bad_preparation(server: Server, body: bytes) -> None:
    """Announce what cannot be read."""
    await _bad_body(server, "/prepare", body)


async def _bad_body(server: Server, path: str, body: bytes) -> None:
    async with await server.session() as client:
        expect_json(await client.put(path, body), 400, {"status": INVALID_VALUE})
        expect_status(await client.get("/accessories"), 200)


async def bad_query(server: Server, query: str) -> None:
    """GET /characteristics of nothing that there could be."""
    async with await server.session() as client:
        answer = await client.get("/characteristics" + query)
        expect_json(answer, 400, {"status": INVALID_VALUE})


async def half_bad_body(server: Server) -> None:
    """Put a good item in front of one that cannot be read: none of it is done."""
    place = (await server.places()).brightness
    async with await server.session() as client:
        expect(await put(client, item(place, value=40)), 204)
        for bad in (1, {"aid": place[0]}, {"aid": "x", "iid": 1, "value": 1}, None):
            body = {"characteristics": [item(place, value=41), bad]}
            expect_json(
                await client.put("/characteristics", body), 400, {"status": INVALID_VALUE}
            )
            assert await read(client, place) == 40


def pretty(value: object) -> str:
    """A name for a test of this value."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:20] or "nothing"
