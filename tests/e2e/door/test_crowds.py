"""However many come, a controller is served."""

from __future__ import annotations

import pytest
from aiohomekit.controller.ip import IpController

from tests.e2e.conftest import pair
from tests.e2e.door import crowds, floods, framing
from tests.e2e.door.conftest import Build
from tests.e2e.door.expectations import expect, expect_status
from tests.e2e.door.servers import Attack, HkBridge


async def test_of_five_hundred_idle_connections_sixteen_stay(fresh: HkBridge) -> None:
    await crowds.idle_crowd(fresh)
    assert fresh.complaints() < crowds.MOST_LINES, fresh.log()


async def test_of_two_hundred_trickling_connections_sixteen_stay(fresh: HkBridge) -> None:
    await crowds.trickling_crowd(fresh)
    assert fresh.complaints() < crowds.MOST_LINES, fresh.log()


async def test_a_crowd_does_not_push_out_somebody_who_pairs(fresh: HkBridge) -> None:
    await crowds.crowd_against_pairing(fresh)


async def test_a_crowd_does_not_push_out_a_controller_nor_keep_it_out(
    paired: HkBridge,
) -> None:
    await crowds.crowd_against_sessions(paired)


async def test_one_more_session_than_there_may_be_ends_the_longest_idle_one(
    fresh: HkBridge,
) -> None:
    await crowds.crowd_of_sessions(fresh)


@pytest.mark.parametrize("hosts", [1, 40])
async def test_a_crowd_in_the_middle_of_pair_verify_keeps_no_controller_out(
    paired: HkBridge, hosts: int
) -> None:
    await crowds.crowd_in_the_middle(paired, hosts)


@pytest.mark.parametrize("files", [32, 64])
async def test_without_descriptors_a_controller_gets_in_and_the_log_stays_short(
    build: Build, files: int
) -> None:
    bridge = build(files=files)
    await crowds.without_descriptors(bridge)
    # Sixty-four are enough where connections are accepted a few at a time.
    assert bridge.log().count("nobody can connect") in ({1} if files == 32 else {0, 1})


async def test_nonsense_is_refused_in_few_lines(fresh: HkBridge) -> None:
    await crowds.fuzzed_crowd(fresh, count=300)


@pytest.mark.parametrize(
    ("attack", "files"),
    [
        (floods.beginning, None),
        (floods.guessing, None),
        (floods.verifying, None),
        (floods.failing_to_verify, None),
        (floods.idling, None),
        (floods.idling, 128),
        (floods.trickling, None),
        (floods.pouring, None),
        (floods.babbling, None),
        (floods.garbling, None),
    ],
)
async def test_a_controller_lives_on_in_a_flood(
    build: Build, controller: IpController, attack: Attack, files: int | None
) -> None:
    bridge = build(files=files)
    pairing = await pair(controller, bridge.identity)
    inhabitant = floods.Inhabitant(controller, pairing, bridge)
    bridge.settle(inhabitant.controller)
    await inhabitant.live(rounds=1)
    memory, lines = bridge.resident, bridge.complaints()
    async with floods.flood(bridge, attack) as count:
        await inhabitant.live(rounds=5)
    await inhabitant.live(rounds=1)
    assert count.made
    assert inhabitant.refused == 0
    assert bridge.resident - memory < framing.GROWTH
    assert bridge.complaints() - lines < crowds.MOST_LINES, bridge.log()


@pytest.mark.parametrize("attack", [floods.beginning, floods.guessing])
async def test_who_does_not_pair_yet_is_served_in_a_flood_and_pairs_after_it(
    fresh: HkBridge, controller: IpController, attack: Attack
) -> None:
    memory, lines = fresh.resident, fresh.complaints()
    async with floods.flood(fresh, attack) as count, await fresh.connect() as client:
        for _ in range(50):
            expect_status(await client.get("/accessories"), 470)
            expect(await client.request("POST", "/identify"), 204)
    assert count.made
    assert 0 <= fresh.failed_attempts < 100
    await floods.pair_when_free(controller, fresh)
    assert fresh.resident - memory < framing.GROWTH
    assert fresh.complaints() - lines < crowds.MOST_LINES, fresh.log()
