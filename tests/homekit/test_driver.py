"""A bridge tied to its identity in the store, also where the disk fails."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from hk_bridge.devices.dimmer import Lamp
from hk_bridge.errors import StoreError
from hk_bridge.homekit.accessories import HouseBridge, Information, LampAccessory
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.store import Identity, Pairing, Store

LOOPBACK = Network(("127.0.0.1",), ("127.0.0.1",))
FIRST = Pairing(b"F31C6685-9FDD-4869-8F65-3A102FF2534F", b"\x01" * 32, admin=True)
SECOND = Pairing(b"0A1C6685-9FDD-4869-8F65-3A102FF2534F", b"\x02" * 32, admin=False)
CLIENT = ("127.0.0.1", 50000)
LAMP, ON, NAME = 2, 81, 5
INVALID, NO_EVENTS, NOT_THERE = -70410, -70406, -70409


class House:
    """A driver with a lamp on it, that listens nowhere."""

    def __init__(self, store: Store, number: int = 0) -> None:
        self.store = store
        self.calls: list[tuple[bool | None, int | None]] = []
        zeroconf: Any = SimpleNamespace()
        self.driver = BridgeDriver(store, LOOPBACK, 51826, zeroconf, number)
        about = Information("Name", "Maker", "Model", "Serial")
        bridge = HouseBridge(self.driver, about, lambda: None)
        lamp = LampAccessory(
            self.driver,
            about,
            LAMP,
            lambda: None,
            apply=self._apply,
            reachable=lambda: True,
        )
        bridge.add_accessory(lamp)
        self.driver.add_accessory(bridge)

    def _apply(self, on: bool | None, brightness: int | None) -> Lamp:
        self.calls.append((on, brightness))
        return Lamp(on=bool(on))

    def put(self, item: dict[str, Any], **more: Any) -> int:
        """The status of one item of PUT /characteristics."""
        query = {"characteristics": [{"aid": LAMP, "iid": ON, **item}], **more}
        answer = self.driver.set_characteristics(query, CLIENT)
        return 0 if answer is None else int(answer["characteristics"][0]["status"])

    @property
    def controllers(self) -> set[UUID]:
        return set(self.driver.state.paired_clients)


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(Store.open(tmp_path / "state"))


@pytest.fixture
def disk_is_full(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(house.store, "_save", fail)


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
    assert house.put({"value": True}, pid=7) == 0
    assert house.put({"value": False}, pid=7) == INVALID
    assert house.put({"value": False}, pid=8) == INVALID
    assert writes.prepare(CLIENT, {"ttl": 10_000, "pid": 9}, now - 11) == 0
    assert house.put({"value": False}, pid=9) == INVALID
    assert house.calls == [(True, None)]


async def test_events_are_for_what_has_them(house: House) -> None:
    assert house.put({"ev": True}) == 0
    assert house.driver.topics == {"2.81": {CLIENT}}
    assert house.put({"iid": NAME, "ev": True}) == NO_EVENTS
    assert house.put({"aid": 99, "ev": True}) == NOT_THERE
    assert house.put({"ev": "no"}) == INVALID
    assert house.driver.topics == {"2.81": {CLIENT}}
    assert house.put({"ev": False}) == 0
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
