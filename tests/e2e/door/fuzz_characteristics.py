"""Fuzzed requests for characteristics, against a model of what each is answered."""

from __future__ import annotations

import re
from random import Random
from typing import Any, TypeGuard

import orjson

from hk_bridge.model import can_be_a_name
from tests.e2e.door.client import Answer
from tests.e2e.door.expectations import (
    INVALID_VALUE,
    NO_NOTIFICATION,
    NO_RESOURCE,
    OUT_OF_RESOURCES,
    READ_ONLY,
    WRITE_ONLY,
    expect,
    expect_json,
    expect_status,
)
from tests.e2e.door.fuzz_json import prepare_text, query_text, write_text
from tests.e2e.door.fuzz_wire import Kind, Wire
from tests.e2e.door.servers import Place

#: The most that a controller may send.
MOST_BODY = 256 * 1024

#: What is prepared at once by one connection.
MOST_PREPARED = 16


def read_json(body: bytes) -> Any:
    """What is in a body; None where it is no JSON, or is just null."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


class CharacteristicsKind(Kind):
    """Requests for characteristics that are almost right."""

    paired = True

    async def prepare(self) -> None:
        await super().prepare()
        self._home = await self.server.home()
        async with await self.open() as wire:
            # The largest there may be comes first: what it took is kept for the others.
            items = b",".join([b'{"aid":77,"iid":1}'] * 13_000)
            body = b'{"characteristics":[%b]}' % items
            await wire.put("/characteristics", body)
            database = (await wire.get("/accessories")).json
        self._found: dict[Place, dict[str, Any]] = {
            (accessory["aid"], characteristic["iid"]): characteristic
            for accessory in database["accessories"]
            for service in accessory["services"]
            for characteristic in service["characteristics"]
        }
        self._shape = _without_values(database)
        self._prepared: dict[Wire, set[int]] = {}
        writable = [place for place, each in self._found.items() if "pw" in each["perms"]]
        nowhere = [(1, 1), (77, 1), (2, 7777), (0, 0), (-1, 2)]
        self._places = [*self._found, *writable * 8, *nowhere]

    async def open(self) -> Wire:
        wire = await Wire.verified(self.server, self._home)
        wire.is_paired = True
        return wire

    async def play(self, wire: Wire, rng: Random) -> None:
        match rng.randrange(20):
            case 0:
                await self._write_in_time(wire, rng)
            case 1 | 2:
                await self._prepare_write(wire, rng)
            case 3 | 4 | 5 | 6:
                await self._read(wire, rng)
            case _:
                await self._write(wire, rng)
        if rng.random() < 0.05:
            wire.leave(rng)

    # -- PUT /prepare -----------------------------------------------------------------

    async def _write_in_time(self, wire: Wire, rng: Random) -> None:
        """Prepare writes and carry them out, until one of them was odd."""
        chance = rng.choice([0.1, 0.5])
        for _ in range(40):
            if wire.is_closing:
                return
            if rng.random() < chance:
                await self._write(wire, rng, timed=1)
            else:
                await self._prepare_write(wire, rng)

    async def _prepare_write(self, wire: Wire, rng: Random) -> None:
        body = prepare_text(rng)
        answer = await wire.ask(rng, "PUT", "/prepare", body)
        query = read_json(body)
        ttl, pid = (
            (query.get("ttl"), query.get("pid")) if isinstance(query, dict) else (0, 0)
        )
        prepared = self._prepared.setdefault(wire, set())
        if not (_is_int(pid, 0, 2**64 - 1) and _is_int(ttl, 1, 600_000)):
            expect_json(answer, 400, {"status": INVALID_VALUE})
        elif ttl < 200_000:
            # It may have expired before the next case.
            expect_status(answer, 200 if answer.status == 200 else 400)
            wire.close()
        elif len(prepared | {pid}) > MOST_PREPARED:
            expect_json(answer, 400, {"status": OUT_OF_RESOURCES})
        else:
            expect_json(answer, 200, {"status": 0})
            prepared.add(pid)

    # -- PUT /characteristics ---------------------------------------------------------

    async def _write(self, wire: Wire, rng: Random, timed: float = 0.1) -> None:
        body = write_text(rng, self._places, timed)
        answer = await wire.ask(rng, "PUT", "/characteristics", body)
        if len(body) > MOST_BODY:
            expect(answer, 413)
            wire.close()
            return
        query = read_json(body)
        items = query.get("characteristics") if isinstance(query, dict) else None
        if (
            not isinstance(items, list)
            or not all(map(_is_item, items))
            or (
                # Whether 1.0 is an id is a matter of taste.
                answer.status == 400 and any(map(_has_float, items))
            )
        ):
            expect_json(answer, 400, {"status": INVALID_VALUE})
            if isinstance(query, dict) and "pid" in query:
                # Whether it is used up by this is nobody's business.
                wire.close()
            return
        statuses = [self._status(item) for item in items]
        if "pid" in query and not self._claim(wire, query["pid"]):
            statuses = [INVALID_VALUE for _ in items]
        if not any(statuses):
            expect(answer, 204)
        else:
            _expect_items(answer, items, statuses)

    def _claim(self, wire: Wire, pid: object) -> bool:
        prepared = self._prepared.setdefault(wire, set())
        if isinstance(pid, bool) or not isinstance(pid, int) or pid not in prepared:
            return False
        prepared.remove(pid)
        return True

    def _status(self, item: dict[str, Any]) -> int:
        found = self._found.get((item["aid"], item["iid"]))
        if found is None:
            return NO_RESOURCE
        if "value" in item and "pw" not in found["perms"]:
            return READ_ONLY
        if "ev" in item and "ev" not in found["perms"]:
            return NO_NOTIFICATION
        is_right = isinstance(item.get("ev", False), bool) and (
            "value" not in item or _is_value(found, item["value"])
        )
        return 0 if is_right else INVALID_VALUE

    # -- GET /characteristics ---------------------------------------------------------

    async def _read(self, wire: Wire, rng: Random) -> None:
        query = query_text(rng, self._places)
        answer = await wire.ask(rng, "GET", f"/characteristics?{query}")
        if not re.fullmatch(r"id=(\d{1,9}\.\d{1,9})(,\d{1,9}\.\d{1,9})*", query):
            assert answer.status in {200, 207, 400}, answer
            return
        ids = query.removeprefix("id=").split(",")
        places = [(int(aid), int(iid)) for aid, iid in (each.split(".") for each in ids)]
        statuses = [
            0 if "pr" in self._found.get(place, {"perms": ["pr"]})["perms"] else WRITE_ONLY
            for place in places
        ]
        statuses = [
            status if place in self._found else NO_RESOURCE
            for place, status in zip(places, statuses, strict=True)
        ]
        items = [{"aid": aid, "iid": iid} for aid, iid in places]
        if any(statuses):
            _expect_items(answer, items, statuses)
        else:
            # A thermometer may not have been heard yet.
            assert answer.status in {200, 207}, answer

    async def finish(self) -> None:
        """There is what there was, and each value is one of its characteristic."""
        async with await self.open() as wire:
            database = (await wire.get("/accessories")).json
        for accessory in database["accessories"]:
            for service in accessory["services"]:
                for characteristic in service["characteristics"]:
                    value = characteristic.get("value")
                    if "pw" in characteristic["perms"] and value is not None:
                        assert _is_value(characteristic, value), characteristic
                        assert type(value) in {bool, int, str}, characteristic
        assert _without_values(database) == self._shape


def _is_int(value: object, low: int, high: int) -> TypeGuard[int]:
    return type(value) is int and low <= value <= high


def _is_item(item: object) -> bool:
    ids = [item.get("aid"), item.get("iid")] if isinstance(item, dict) else [None]
    return all(type(each) in {int, float} for each in ids)


def _has_float(item: dict[str, Any]) -> bool:
    return float in {type(item["aid"]), type(item["iid"])}


def _is_value(found: dict[str, Any], value: object) -> bool:
    """Whether a value fits; 0 and 1 are booleans, 50.0 is an integer, texts are names."""
    if found["format"] == "string":
        return isinstance(value, str) and can_be_a_name(value)
    if found["format"] == "bool":
        return isinstance(value, int | float) and value in (0, 1)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    is_whole = float(value).is_integer() or found["format"] == "float"
    return is_whole and bool(found["minValue"] <= value <= found["maxValue"])


def _expect_items(answer: Answer, items: list[dict[str, Any]], statuses: list[int]) -> None:
    """Assert the status of each item, in the order in which they were asked for."""
    expect_status(answer, 207)
    told = [(i["aid"], i["iid"], i["status"]) for i in answer.json["characteristics"]]
    asked = [
        (item["aid"], item["iid"], status)
        for item, status in zip(items, statuses, strict=True)
    ]
    assert told == asked, f"{told} instead of {asked}"


def _without_values(database: Any) -> Any:
    """The database as mDNS has it counted."""
    if isinstance(database, dict):
        return {k: _without_values(v) for k, v in database.items() if k != "value"}
    return (
        [_without_values(v) for v in database] if isinstance(database, list) else database
    )
