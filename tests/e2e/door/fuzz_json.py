"""Fuzzed JSON, and queries: right ones, and such that are not."""

from __future__ import annotations

import json
from random import Random

from tests.e2e.door.fuzz_bytes import spoil
from tests.e2e.door.servers import Place

#: JSON as text, of every type and beyond what there is.
ODD = (
    *("null", "true", "false", "0", "1", "-1", "2", "50", "50.0", "50.5", "100", "101"),
    *("-0", "1e2", "1e999", "-1e30", "9" * 30, "9" * 400, "18446744073709551615", "0.1"),
    *(
        '""',
        '"50"',
        '"true"',
        '"\\u0000"',
        '"\\ud800"',
        '"ü\\u00fc🎈"',
        '"' + "x" * 300 + '"',
    ),
    *("[]", "[1]", "{}", '{"aid":1}', "NaN", "Infinity", "-Infinity", "01", "1.", "+1"),
    *("[" * 5000, "[" * 50 + "]" * 50, '{"a":' * 5000, "{'a':1}", "//", "\ufeff1", "\x00"),
)

_KEYS = ("aid", "iid", "value", "ev", "pid", "ttl", "r", "characteristics", "authData", "")

#: How many ids of prepared writes there are.
PIDS = 20


def odd(rng: Random, usual: str, chance: float) -> str:
    """A piece of JSON, `usual` except by `chance`."""
    return rng.choice(ODD) if rng.random() < chance else usual


def item_text(rng: Random, places: list[Place], chance: float) -> str:
    """An item of PUT /characteristics as text, with each part odd by `chance`."""
    aid, iid = rng.choice(places)
    parts = [f'"aid":{odd(rng, str(aid), chance)}', f'"iid":{odd(rng, str(iid), chance)}']
    if rng.random() < 0.9:
        usual = rng.choice(["true", "false", "0", "1", "50", "100", "50.0"])
        parts.append(f'"value":{odd(rng, usual, chance * 3)}')
    if rng.random() < 0.3:
        parts.append(f'"ev":{odd(rng, rng.choice(["true", "false"]), chance)}')
    if rng.random() < chance:
        parts.append(f"{json.dumps(rng.choice(_KEYS))}:{rng.choice(ODD)}")
    if rng.random() < chance:
        del parts[rng.randrange(len(parts))]
    rng.shuffle(parts)
    return "{" + ",".join(parts) + "}"


def write_text(rng: Random, places: list[Place], timed: float = 0.1) -> bytes:
    """A body of PUT /characteristics, right or not; a timed one by that chance."""
    chance = rng.choice([0, 0, 0.05, 0.2])
    items = [item_text(rng, places, chance) for _ in range(rng.randrange(1, 5))]
    if rng.random() < 0.02:
        items *= 300_000 // len("".join(items)) // rng.choice([1, 2, 50])
    if rng.random() < chance:
        items.append(rng.choice(ODD))
    text = odd(rng, "[" + ",".join(items) + "]", chance / 2)
    parts = [f'"characteristics":{text}'] if rng.random() > chance / 4 else []
    if rng.random() < timed:
        parts.append(f'"pid":{odd(rng, str(rng.randrange(PIDS)), 0.1)}')
    body = ("{" + ",".join(parts) + "}").encode()
    return spoil(rng, body) if rng.random() < 0.1 else body


def prepare_text(rng: Random) -> bytes:
    """A body of PUT /prepare, right or not."""
    ttl = odd(rng, str(rng.randrange(200_000, 600_001)), 0.1)
    pid = odd(rng, str(rng.randrange(PIDS)), 0.1)
    body = f'{{"ttl":{ttl},"pid":{pid}}}'.encode()
    return spoil(rng, body) if rng.random() < 0.05 else body


def query_text(rng: Random, places: list[Place]) -> str:
    """A query of GET /characteristics, right or not."""
    ids = [f"{aid}.{iid}" for aid, iid in (rng.choice(places) for _ in range(3))]
    if rng.random() < 0.5:
        strange = ("", "1", "1.", ".", "1.2.3", "x.y", "-1.2", "1.99999", "9" * 30 + ".1")
        ids[rng.randrange(3)] = rng.choice([*strange, "%31.2", "1e1.2", "%00", "\"'"])
    query = "id=" + rng.choice([",", ",", ",", ";", "&id="]).join(ids)
    more = rng.choice(["", "", "&meta=1", "&ev=1&type=1", "&id=1.1", "&%", "&" * 200])
    return query + more
