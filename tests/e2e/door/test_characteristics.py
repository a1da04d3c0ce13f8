"""Each item of a request is answered with the status that HAP has for it."""

from __future__ import annotations

import pytest

from tests.e2e.door import characteristics, strangers
from tests.e2e.door.conftest import Build
from tests.e2e.door.servers import HkBridge
from tests.fakes.board import BoardEmulator


async def test_what_is_read_only_write_only_or_silent_stays_so(paired: HkBridge) -> None:
    await characteristics.permissions(paired)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, values in characteristics.WRONG_VALUES.items()
        for value in values
    ],
    ids=characteristics.pretty,
)
async def test_a_wrong_value_changes_nothing(
    paired: HkBridge, name: str, value: str
) -> None:
    await characteristics.wrong_value(paired, name, value)


async def test_values_are_taken_as_controllers_spell_them(paired: HkBridge) -> None:
    await characteristics.near_values(paired)


async def test_what_is_not_there_takes_nothing_else_with_it(paired: HkBridge) -> None:
    await characteristics.unknown_places(paired)


async def test_a_write_that_fails_leaves_the_old_value(
    build: Build, board: BoardEmulator
) -> None:
    await characteristics.failing_write(build(board=board))


async def test_a_timed_write_is_carried_out_once_and_in_time(paired: HkBridge) -> None:
    await characteristics.timed_writes(paired)


async def test_timed_writes_are_not_announced_without_end(paired: HkBridge) -> None:
    await characteristics.endless_preparations(paired)


@pytest.mark.parametrize(
    "body", characteristics.NO_WRITES.values(), ids=characteristics.NO_WRITES
)
async def test_a_write_that_cannot_be_read_is_a_bad_request(
    paired: HkBridge, body: bytes
) -> None:
    await characteristics.bad_write(paired, body)


async def test_a_write_that_can_be_read_in_part_does_nothing(paired: HkBridge) -> None:
    await characteristics.half_bad_body(paired)


@pytest.mark.parametrize(
    "body", characteristics.NO_PREPARATIONS.values(), ids=characteristics.NO_PREPARATIONS
)
async def test_an_announcement_that_cannot_be_read_is_a_bad_request(
    paired: HkBridge, body: bytes
) -> None:
    await characteristics.bad_preparation(paired, body)


@pytest.mark.parametrize("query", characteristics.NO_READS, ids=characteristics.pretty)
async def test_a_reading_of_nothing_that_could_be_is_a_bad_request(
    paired: HkBridge, query: str
) -> None:
    await characteristics.bad_query(paired, query)


async def test_identify_is_for_a_bridge_that_nobody_has_paired(fresh: HkBridge) -> None:
    await strangers.identify(fresh)
    assert fresh.log().count("was asked to identify itself") == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", strangers.PROTECTED)
async def test_nothing_of_the_house_is_told_before_pair_verify(
    unpaired: HkBridge, method: str, path: str
) -> None:
    await strangers.protected(unpaired, path, method)


@pytest.mark.parametrize("path", strangers.UNKNOWN_PATHS)
async def test_an_unknown_path_is_not_found(paired: HkBridge, path: str) -> None:
    await strangers.unknown(paired, path)


async def test_a_method_that_a_path_does_not_have_is_said(paired: HkBridge) -> None:
    await strangers.unknown_method(paired)
