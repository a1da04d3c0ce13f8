"""The bridge keeps to the interface or the address that it was told."""

from __future__ import annotations

import pytest

from tests.network.conftest import (
    HOUSE,
    HOUSE_WIFI,
    NOT_VERIFIED,
    VISITOR,
    VISITOR_WIFI,
    Home,
)


async def wire_both(home: Home) -> None:
    await home.house.plug(home.wifi, "wlan0", *HOUSE_WIFI)
    await home.visitor.plug(home.wifi, "wlan0", *VISITOR_WIFI)
    await home.wire()


@pytest.mark.parametrize(
    ("bind", "inside"),
    [
        (("--bind=eth0",), ("10.77.0.2", "fd77::2")),
        (("--bind=10.77.0.2",), ("10.77.0.2",)),
        (("--bind=fd77::2",), ("fd77::2",)),
    ],
)
async def test_the_other_network_neither_finds_nor_reaches_it(
    home: Home, bind: tuple[str, ...], inside: tuple[str, ...]
) -> None:
    await wire_both(home)
    await home.bridge.start(*bind)
    services = await home.found(*inside)
    # It was found with one query over both networks.
    assert {each.interface for each in services} == {"eth0"}
    for address in inside:
        assert await home.answers(address) == NOT_VERIFIED
    for address in {"10.77.0.2", "fd77::2", "10.88.0.2", "fd88::2"} - {*inside}:
        assert (await home.answers(address)).startswith("none")


async def test_a_bound_interface_that_has_no_address_yet_is_waited_for(home: Home) -> None:
    await home.house.plug(home.wifi, "wlan0")
    await home.visitor.plug(home.wifi, "wlan0", *VISITOR_WIFI)
    await home.wire()
    await home.house.do("ip", "link", "set", "wlan0", "down")
    await home.bridge.start("--bind=wlan0")
    await home.bridge.program.says("WARNING", "wlan0")
    # Until it comes, nobody must get in by another way.
    assert (await home.answers("10.77.0.2")).startswith("none")
    assert not home.bridge.of(await home.visitor.browse())
    for address in HOUSE_WIFI:
        await home.house.do("ip", "address", "add", address, "dev", "wlan0")
    await home.house.do("ip", "link", "set", "wlan0", "up")
    services = await home.found("10.88.0.2")
    assert {each.interface for each in services} == {"wlan0"}
    assert await home.answers("10.88.0.2") == NOT_VERIFIED
    assert (await home.answers("10.77.0.2")).startswith("none")


async def test_a_bound_address_that_comes_later_is_waited_for(home: Home) -> None:
    await home.wire(("10.77.0.8/24",), VISITOR)
    await home.bridge.start("--bind=10.77.0.2")
    await home.bridge.program.says("WARNING", "10.77.0.2")
    assert (await home.answers("10.77.0.8")).startswith("none")
    await home.house.do("ip", "address", "add", HOUSE[0], "dev", "eth0")
    await home.found("10.77.0.2")
    assert await home.answers("10.77.0.2") == NOT_VERIFIED
    assert (await home.answers("10.77.0.8")).startswith("none")
