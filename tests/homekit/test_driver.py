"""A bridge tied to its identity in the store, also where the disk fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from hk_bridge.errors import StoreError
from hk_bridge.homekit.identity import Identity, Pairing
from hk_bridge.homekit.store import Store
from tests.homekit.house import BRIGHTNESS, LAMP, NAME, ON, House, until
from tests.homekit.visit import said

FIRST = Pairing(b"F31C6685-9FDD-4869-8F65-3A102FF2534F", b"\x01" * 32, admin=True)
SECOND = Pairing(b"0A1C6685-9FDD-4869-8F65-3A102FF2534F", b"\x02" * 32, admin=False)
CLIENT = ("127.0.0.1", 50000)
INVALID, NO_EVENTS, NOT_THERE, NO_RESPONSE = -70410, -70406, -70409, -70402


def put(house: House, item: dict[str, Any], **more: Any) -> int:
    """The status of one item of PUT /characteristics."""
    query = {"characteristics": [{"aid": LAMP, "iid": ON, **item}], **more}
    answer = house.driver.set_characteristics(query, CLIENT)
    return 0 if answer is None else int(answer["characteristics"][0]["status"])


def ids(*pairings: Pairing) -> set[UUID]:
    return {UUID(pairing.controller_id.decode()) for pairing in pairings}


async def test_pairings_are_kept_with_their_rank(house: House, tmp_path: Path) -> None:
    assert house.driver.add_pairing(FIRST)
    assert house.driver.add_pairing(SECOND)
    assert Store.open(tmp_path / "state").bridge().pairings == (FIRST, SECOND)
    again = House(Store.open(tmp_path / "state"))
    assert again.controllers == ids(FIRST, SECOND)
    assert again.driver.state.is_admin(UUID(FIRST.controller_id.decode()))
    assert not again.driver.state.is_admin(UUID(SECOND.controller_id.decode()))


async def test_a_pairing_that_cannot_be_kept_is_refused(
    house: House, request: pytest.FixtureRequest
) -> None:
    house.driver.add_pairing(FIRST)
    request.getfixturevalue("disk_is_full")
    assert not house.driver.add_pairing(SECOND)
    assert house.controllers == ids(FIRST)
    # Nor does adding once more what is there take it away.
    assert not house.driver.add_pairing(Pairing(FIRST.controller_id, b"\x09" * 32, True))
    assert (
        house.driver.state.paired_clients[UUID(FIRST.controller_id.decode())]
        == b"\x01" * 32
    )


async def test_a_removal_that_cannot_be_kept_fails(
    house: House, request: pytest.FixtureRequest
) -> None:
    house.driver.add_pairing(FIRST)
    request.getfixturevalue("disk_is_full")
    with pytest.raises(StoreError):
        house.driver.unpair(UUID(FIRST.controller_id.decode()))
    assert house.controllers == ids(FIRST)


@pytest.mark.usefixtures("disk_is_full")
async def test_wrong_codes_count_even_where_the_disk_does_not_take_them(
    house: House,
) -> None:
    for count in range(1, 4):
        house.driver.count_attempts(count)
    assert house.driver.failed_attempts == 3
    assert house.driver.identity.failed_attempts == 0


async def test_the_identity_is_what_home_sees(house: House) -> None:
    identity, state = house.driver.identity, house.driver.state
    assert (state.mac, state.setup_id) == (identity.device_id, identity.setup_id)
    assert state.pincode == identity.setup_code.encode()
    key = state.private_key.private_bytes_raw()
    assert key == identity.private_key


async def test_a_timed_write_is_done_once_and_only_when_announced(house: House) -> None:
    writes, now = house.driver.timed_writes, house.driver.loop.time()
    assert writes.prepare(CLIENT, {"ttl": 10_000, "pid": 7}, now) == 0
    assert put(house, {"value": True}, pid=7) == 0
    assert put(house, {"value": False}, pid=7) == INVALID
    assert put(house, {"value": False}, pid=8) == INVALID
    assert writes.prepare(CLIENT, {"ttl": 10_000, "pid": 9}, now - 11) == 0
    assert put(house, {"value": False}, pid=9) == INVALID
    assert house.calls == [(True, None)]


async def test_events_are_for_what_has_them(house: House) -> None:
    assert put(house, {"ev": True}) == 0
    assert house.driver.topics == {"2.81": {CLIENT}}
    assert put(house, {"iid": NAME, "ev": True}) == NO_EVENTS
    assert put(house, {"aid": 99, "ev": True}) == NOT_THERE
    assert put(house, {"ev": "no"}) == INVALID
    assert house.driver.topics == {"2.81": {CLIENT}}
    assert put(house, {"ev": False}) == 0
    assert house.driver.topics == {}


async def test_several_bridges_share_a_store_and_keep_apart(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state")
    store.put(Identity.new(), 1)
    first, second = House(store, 0), House(store, 1)
    assert first.driver.state.mac != second.driver.state.mac
    second.driver.add_pairing(FIRST)
    second.driver.count_attempts(4)
    assert first.controllers == set()
    again = Store.open(tmp_path / "state")
    assert again.bridge(0).pairings == ()
    assert again.bridge(1).pairings == (FIRST,)
    assert (again.bridge(0).failed_attempts, again.bridge(1).failed_attempts) == (0, 4)


class Connection:
    """Stands for a connection that events are on their way to."""

    def __init__(self) -> None:
        self.dropped: list[tuple[int, int]] = []

    def drop_event(self, key: tuple[int, int]) -> None:
        self.dropped.append(key)

    def queue_event(self, data: dict[str, Any], immediate: bool) -> None:
        """Events are looked at elsewhere."""


@pytest.mark.parametrize(
    ("item", "dropped"),
    [
        ({"value": False}, [(LAMP, ON)]),
        ({"value": 0}, [(LAMP, ON)]),
        ({"iid": BRIGHTNESS, "value": 70.0}, [(LAMP, BRIGHTNESS)]),
        pytest.param({"iid": BRIGHTNESS, "value": 0}, [], id="off keeps the brightness"),
        pytest.param({"iid": BRIGHTNESS, "value": 500}, [], id="not done"),
        pytest.param({"ev": True}, [], id="nothing written"),
        pytest.param({"value": False, "ev": True}, [(LAMP, ON)], id="both"),
    ],
)
async def test_what_a_controller_has_just_set_is_dropped_from_its_events(
    house: House, item: dict[str, Any], dropped: list[tuple[int, int]]
) -> None:
    writer, other = Connection(), Connection()
    house.server.connections.update({CLIENT: writer, ("192.0.2.1", 1): other})
    put(house, item)
    assert writer.dropped == dropped
    assert other.dropped == []


async def test_a_write_that_fails_drops_nothing(house: House) -> None:
    connection = Connection()
    house.server.connections[CLIENT] = connection
    house.line_is_there = False
    # The value that is there is the one that could not be written.
    assert put(house, {"value": True}) == NO_RESPONSE
    assert put(house, {"value": True}, pid=1) == INVALID
    assert connection.dropped == []


@pytest.mark.usefixtures("disk_is_full")
async def test_wrong_codes_that_cannot_be_kept_are_told_in_a_line(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    for count in range(5):
        house.driver.count_attempts(count + 1)
    assert said(caplog) == ["the count of wrong setup codes is not kept: no space left"]


async def test_reads_are_answered_in_their_order(house: House) -> None:
    read = house.driver.get_characteristics
    items = read([f"{LAMP}.{BRIGHTNESS}", "99.1", f"{LAMP}.{ON}"])["characteristics"]
    assert [(item["iid"], item.get("value")) for item in items] == [
        (BRIGHTNESS, 40),
        (1, None),
        (ON, True),
    ]
    for wrong in ("", "2", "2.a", "2.81.1"):
        with pytest.raises(ValueError, match=r"invalid literal|unpack"):
            read([wrong])


async def test_the_configuration_number_rises_with_the_database_and_not_with_a_restart(
    house: House, tmp_path: Path
) -> None:
    numbers = []
    for _ in range(2):
        again = House(Store.open(tmp_path / "state"))
        await again.driver.listen()
        numbers.append(again.driver.identity.config_number)
        await again.driver.close()
    assert numbers == [2, 2]


@pytest.mark.usefixtures("disk_is_full")
async def test_a_configuration_number_that_cannot_be_kept_stops_nobody(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.driver.listen()
    await house.driver.close()
    assert said(caplog) == ["Home may miss a change: no space left"]


async def test_the_network_is_told_of_the_bridge_or_it_is_said_that_it_is_not(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.driver.announce()
    house.mdns.fails = True
    await house.driver.announce()
    house.driver.async_update_advertisement()
    await until(lambda: not house.driver._announcement.is_telling)
    assert house.mdns.told == ["registered"]
    assert said(caplog) == ["Home cannot find the bridge, mDNS fails: no network"]


async def test_what_changes_while_the_bridge_is_announced_is_announced_behind_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = house.mdns.async_register_service

    async def slowly(info: object, *, asks: bool) -> bool:
        house.driver.async_update_advertisement()
        await asyncio.sleep(0)
        return await register(info, asks=asks)

    house.driver.async_update_advertisement()
    monkeypatch.setattr(house.mdns, "async_register_service", slowly)
    await house.driver.announce()
    await until(lambda: house.mdns.told == ["registered", "updated"])
