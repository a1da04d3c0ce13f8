"""Writes that are announced: in time, once, and not without end."""

from __future__ import annotations

from typing import Any

import pytest

from hk_bridge.homekit.timed_writes import TimedWrites

CLIENT, OTHER = ("192.0.2.1", 50000), ("192.0.2.1", 50001)
DONE, OUT_OF_RESOURCES, INVALID = 0, -70407, -70410
NOW = 1000.0
MOST = 16


@pytest.fixture
def writes() -> TimedWrites:
    return TimedWrites()


def prepare(
    writes: TimedWrites, pid: int, ttl: int = 1000, now: float = NOW, client: Any = CLIENT
) -> int:
    return writes.prepare(client, {"pid": pid, "ttl": ttl}, now)


def test_a_write_may_come_until_it_expires(writes: TimedWrites) -> None:
    for pid, age, in_time in ((1, 0.0, True), (2, 2.5, True), (3, 2.501, False)):
        assert prepare(writes, pid, ttl=2500) == DONE
        assert writes.claim(CLIENT, pid, NOW + age) is in_time


def test_a_write_is_carried_out_once(writes: TimedWrites) -> None:
    prepare(writes, 1)
    assert writes.claim(CLIENT, 1, NOW)
    assert not writes.claim(CLIENT, 1, NOW)


def test_a_write_that_came_too_late_cannot_be_tried_again(writes: TimedWrites) -> None:
    prepare(writes, 1, ttl=1000)
    assert not writes.claim(CLIENT, 1, NOW + 2)
    assert not writes.claim(CLIENT, 1, NOW)


def test_connections_announce_each_for_itself(writes: TimedWrites) -> None:
    assert prepare(writes, 1) == DONE
    assert not writes.claim(OTHER, 1, NOW)
    for pid in range(MOST):
        assert prepare(writes, pid, client=OTHER) == DONE
    assert prepare(writes, 2) == DONE
    assert writes.claim(CLIENT, 1, NOW)


def test_a_pid_may_be_announced_again_and_has_the_new_time(writes: TimedWrites) -> None:
    prepare(writes, 1, ttl=1000)
    prepare(writes, 1, ttl=5000)
    assert writes.claim(CLIENT, 1, NOW + 4)
    assert not writes.claim(CLIENT, 1, NOW + 4)


def test_sixteen_may_be_open_and_no_more(writes: TimedWrites) -> None:
    for pid in range(MOST):
        assert prepare(writes, pid) == DONE
    assert prepare(writes, MOST) == OUT_OF_RESOURCES
    # One of those that are open may still be announced again, and none was lost.
    assert prepare(writes, 0) == DONE
    assert not writes.claim(CLIENT, MOST, NOW)
    assert all(writes.claim(CLIENT, pid, NOW) for pid in range(MOST))


def test_a_write_that_was_carried_out_makes_room(writes: TimedWrites) -> None:
    for pid in range(MOST):
        prepare(writes, pid)
    writes.claim(CLIENT, 3, NOW)
    assert prepare(writes, MOST) == DONE
    assert prepare(writes, MOST + 1) == OUT_OF_RESOURCES


def test_those_that_have_expired_make_room(writes: TimedWrites) -> None:
    for pid in range(MOST):
        prepare(writes, pid, ttl=1000 if pid < 2 else 9000)
    assert prepare(writes, 100, now=NOW + 1) == OUT_OF_RESOURCES
    assert [prepare(writes, pid, now=NOW + 1.01) for pid in (100, 101, 102)] == [
        DONE,
        DONE,
        OUT_OF_RESOURCES,
    ]


def test_nothing_is_left_of_a_connection_that_is_gone(writes: TimedWrites) -> None:
    prepare(writes, 1)
    prepare(writes, 1, client=OTHER)
    writes.forget(CLIENT)
    writes.forget(CLIENT)
    assert not writes.claim(CLIENT, 1, NOW)
    assert writes.claim(OTHER, 1, NOW)


@pytest.mark.parametrize("pid", [0, 1, 2**64 - 1])
@pytest.mark.parametrize("ttl", [1, 2500, 600_000])
def test_numbers_in_range_are_taken(writes: TimedWrites, pid: int, ttl: int) -> None:
    assert prepare(writes, pid, ttl) == DONE
    assert writes.claim(CLIENT, pid, NOW + ttl / 1000)


@pytest.mark.parametrize(
    "query",
    [
        None,
        [],
        "pid",
        7,
        {},
        {"pid": 1},
        {"ttl": 1000},
        {"pid": -1, "ttl": 1000},
        {"pid": 2**64, "ttl": 1000},
        {"pid": 1.0, "ttl": 1000},
        {"pid": "1", "ttl": 1000},
        {"pid": True, "ttl": 1000},
        {"pid": None, "ttl": 1000},
        {"pid": [1], "ttl": 1000},
        {"pid": 1, "ttl": 0},
        {"pid": 1, "ttl": -1},
        {"pid": 1, "ttl": 600_001},
        {"pid": 1, "ttl": 0.5},
        {"pid": 1, "ttl": "1000"},
        {"pid": 1, "ttl": True},
        {"pid": 1, "ttl": None},
    ],
    ids=str,
)
def test_anything_else_is_invalid_and_changes_nothing(
    writes: TimedWrites, query: object
) -> None:
    prepare(writes, 5)
    assert writes.prepare(CLIENT, query, NOW) == INVALID
    assert not writes.claim(CLIENT, 1, NOW)
    assert writes.claim(CLIENT, 5, NOW)


@pytest.mark.parametrize("pid", [None, "1", 1.0, True, [1], {}, -1, 2**64])
def test_nothing_is_carried_out_for_a_pid_that_is_none(
    writes: TimedWrites, pid: object
) -> None:
    prepare(writes, 1)
    assert not writes.claim(CLIENT, pid, NOW)
    assert writes.claim(CLIENT, 1, NOW)
