"""Which stranger makes room for another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.homekit.admission import Stage, Visitor, does_nothing, makes_room

NOW = 1000.0
IDLE, VERIFYING, PAIRING, LEAVING = (
    Stage.IDLE,
    Stage.VERIFYING,
    Stage.PAIRING,
    Stage.LEAVING,
)

#: Host, stage, and for how many seconds nothing came of it.
Row = tuple[str, Stage, float]


def visitors(rows: list[Row]) -> list[Visitor[int]]:
    """The rows by their number."""
    return [
        Visitor(number, host, stage, NOW - age)
        for number, (host, stage, age) in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("rows", "leaves"),
    [
        pytest.param([], None, id="nobody is there"),
        pytest.param([("a", IDLE, 1)], 0, id="the only one"),
        pytest.param([("a", PAIRING, 500)], None, id="the only one pairs"),
        pytest.param([("a", IDLE, 5), ("b", IDLE, 9)], 1, id="the oldest"),
        pytest.param(
            [("a", VERIFYING, 5), ("b", VERIFYING, 9)], 1, id="the oldest verifies"
        ),
        pytest.param(
            [("a", IDLE, 9), ("b", IDLE, 1), ("b", IDLE, 2)],
            2,
            id="the oldest of the host that has the most",
        ),
        pytest.param(
            [("a", IDLE, 9), ("c", IDLE, 9), ("b", VERIFYING, 1), ("b", VERIFYING, 2)],
            3,
            id="the host that has the most, whatever it does",
        ),
        pytest.param(
            [("a", IDLE, 9), ("b", IDLE, 9), ("c", VERIFYING, 9.5)],
            0,
            id="the stage that most are in",
        ),
        pytest.param(
            [("a", VERIFYING, 1), ("b", VERIFYING, 2), ("c", IDLE, 9)],
            1,
            id="also where it is pair-verify",
        ),
        pytest.param(
            [("a", IDLE, 9), ("b", PAIRING, 1), ("b", IDLE, 0)],
            2,
            id="one that pairs counts for its host",
        ),
        pytest.param(
            [("a", IDLE, 9), ("b", PAIRING, 500), ("b", PAIRING, 500)],
            0,
            id="never one that pairs",
        ),
        pytest.param(
            [("a", IDLE, 10), ("b", IDLE, 10), ("c", VERIFYING, 10)],
            0,
            id="after 10 seconds something may still be expected",
        ),
        pytest.param(
            [("a", IDLE, 10), ("b", IDLE, 10), ("c", VERIFYING, 10.01)],
            2,
            id="one that verifies for longer goes first",
        ),
        pytest.param(
            [("a", IDLE, 9), ("a", IDLE, 9), ("b", IDLE, 10.01)],
            2,
            id="and so does one that asks for nothing",
        ),
        pytest.param(
            [("a", IDLE, 9), ("a", IDLE, 9), ("b", LEAVING, 0)],
            2,
            id="one that leaves anyway goes first",
        ),
        pytest.param(
            [("a", LEAVING, 9), ("b", LEAVING, 1), ("b", IDLE, 1)],
            1,
            id="of those that leave one of the host that has the most",
        ),
    ],
)
def test_room_is_made_by(rows: list[Row], leaves: int | None) -> None:
    assert makes_room(visitors(rows), NOW) == leaves


@pytest.mark.parametrize("stage", [IDLE, VERIFYING])
@pytest.mark.parametrize("hosts", [1, 16])
def test_one_among_a_crowd_stays_whatever_the_crowd_does(stage: Stage, hosts: int) -> None:
    crowd = [(f"crowd {number % hosts}", stage, number / 10) for number in range(15)]
    home: Row = ("home", VERIFYING if stage is IDLE else IDLE, 9.9)
    assert makes_room(visitors([*crowd, home]), NOW) == 14


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(Stage),
        st.sampled_from([0.0, 1.0, 9.9, 10.0, 10.1, 60.0, 600.0]),
    ),
    max_size=16,
)


def is_worthless(row: Row) -> bool:
    _, stage, age = row
    return stage is LEAVING or (stage is not PAIRING and age > 10)


@given(ROWS)
def test_all_rules_hold_for_any_crowd(rows: list[Row]) -> None:
    leaves = makes_room(visitors(rows), NOW)
    others = [row for row in rows if row[1] is not PAIRING]
    if leaves is None:
        assert not others
        return
    leaver = rows[leaves]
    assert leaver in others
    if any(map(is_worthless, rows)):
        others = [row for row in others if is_worthless(row)]
        assert leaver in others
    for column in (0, 1):  # the host, and then the stage
        count = [row[column] for row in rows].count
        most = max(count(row[column]) for row in others)
        others = [row for row in others if count(row[column]) == most]
        assert leaver in others
    assert leaver[2] == max(age for _, _, age in others)


@given(ROWS)
def test_in_need_all_go_that_are_in_the_middle_of_nothing(rows: list[Row]) -> None:
    leave = does_nothing(visitors(rows), NOW)
    assert leave == [
        number
        for number, row in enumerate(rows)
        if row[1] in {IDLE, LEAVING} or (row[1] is VERIFYING and row[2] > 10)
    ]


def test_one_from_a_host_that_a_controller_has_come_from_is_the_last_to_go() -> None:
    crowd = [Visitor(n, f"host {n}", VERIFYING, NOW - 1) for n in range(15)]
    home = Visitor(100, "home", IDLE, NOW - 2, is_known=True)
    assert makes_room([home, *crowd], NOW) == 0
    assert makes_room([home], NOW) == 100
    stale = Visitor(101, "home", IDLE, NOW - 11, is_known=True)
    assert makes_room([*crowd, stale], NOW) == 101
