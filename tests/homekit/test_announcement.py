"""What one bridge has announced of it, and how it gets along with others of its name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from hk_bridge.homekit.appearance import Information
from hk_bridge.homekit.network import BridgeServiceInfo, Network
from tests.homekit.house import Clock, House, until
from tests.homekit.visit import said

HOUR = 3600.0
MOST = 8
WHILE = 130.0


class Neighbours:
    """Stands for the responder, in a network where some names are taken."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.told: list[tuple[str, str]] = []
        self.now: BridgeServiceInfo | None = None

    async def async_register_service(
        self, info: BridgeServiceInfo, *, asks: bool = True
    ) -> bool:
        if asks and number(info) in self.taken:
            return False
        self.told.append(("is", number(info)))
        self.now = info
        return True

    async def async_update_service(self, info: BridgeServiceInfo) -> None:
        self.told.append(("is still", number(info)))
        self.now = info

    async def async_unregister_service(self, info: BridgeServiceInfo) -> Awaitable[None]:
        self.told.append(("was", number(info)))
        return asyncio.sleep(0)

    def drop(self, info: BridgeServiceInfo) -> None:
        self.told.append(("gives up", number(info)))


def number(info: BridgeServiceInfo) -> str:
    """What is behind the digits of the id."""
    return info.name.removesuffix("._hap._tcp.local.").partition("-")[2] or "1"


@pytest.fixture
def mdns(house: House) -> Neighbours:
    network = Neighbours()
    house.driver._announcement._responder = network  # type: ignore[assignment] # a fake
    return network


async def settled(house: House) -> None:
    await until(lambda: not house.driver._announcement.is_telling)


async def conflict(house: House, mdns: Neighbours, *, is_first: bool = True) -> None:
    assert mdns.now is not None
    mdns.now.on_conflict(is_first=is_first)
    await settled(house)


async def test_another_name_is_a_goodbye_to_the_one_before(
    house: House, mdns: Neighbours
) -> None:
    await house.driver.announce()
    house.driver.accessory.rename(Information("Other", "Maker", "Model", "Serial"))
    await house.driver.announce()
    assert mdns.told == [("is", "1"), ("was", "1"), ("is", "1")]
    assert mdns.now is not None
    assert mdns.now.name.startswith("Other ")


async def test_the_same_name_at_another_place_is_an_update(
    house: House, mdns: Neighbours
) -> None:
    await house.driver.announce()
    await house.driver.move(Network(("127.0.0.2",), ("127.0.0.2",)), 4711)
    assert mdns.told == [("is", "1"), ("is still", "1")]
    assert mdns.now is not None
    assert (mdns.now.parsed_addresses(), mdns.now.port) == (["127.0.0.2"], 4711)
    # Nothing has changed.
    await house.driver.move(Network(("127.0.0.2",), ("127.0.0.2",)), 4711)
    assert len(mdns.told) == 2


async def test_who_finds_its_name_taken_has_the_next_that_is_free(
    house: House, mdns: Neighbours, caplog: pytest.LogCaptureFixture
) -> None:
    mdns.taken = {"1", "2"}
    await house.driver.announce()
    assert mdns.told == [("is", "3")]
    assert all("Home goes by its id" in line for line in said(caplog))


@pytest.mark.parametrize(("is_first", "new"), [(True, "2"), (False, "3")])
async def test_who_gives_its_name_up_says_no_goodbye_to_that_of_the_other(
    house: House, mdns: Neighbours, is_first: bool, new: str
) -> None:
    await house.driver.announce()
    await conflict(house, mdns, is_first=is_first)
    assert mdns.told == [("is", "1"), ("gives up", "1"), ("is", new)]


async def test_who_makes_conflicts_up_gets_tired_and_is_not_loud(
    house: House, mdns: Neighbours, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await house.driver.announce()
    for number_ in range(2, MOST + 2):
        # What comes at once is no answer to the new name.
        for _ in range(3):
            await conflict(house, mdns)
        assert mdns.told[-1] == ("is", str(number_))
        clock.forward(WHILE)
    for _ in range(3):
        await conflict(house, mdns)
    assert mdns.told[-1] == ("is", str(MOST + 1))
    assert len(mdns.told) == 1 + 2 * MOST
    *renames, last = said(caplog)
    assert len(renames) == MOST
    assert "takes every name" in last
    clock.forward(HOUR)
    await conflict(house, mdns)
    assert mdns.told[-1] == ("is", str(MOST + 2))


async def test_a_name_from_a_reload_begins_without_a_number(
    house: House, mdns: Neighbours
) -> None:
    await house.driver.announce()
    await conflict(house, mdns)
    house.driver.accessory.rename(Information("Other", "Maker", "Model", "Serial"))
    await house.driver.announce()
    assert mdns.told[-2:] == [("was", "2"), ("is", "1")]
