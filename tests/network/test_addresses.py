"""Addresses, interfaces and cables change under a running bridge."""

from __future__ import annotations

import sys

from tests.network.conftest import (
    ASK,
    HOUSE,
    HOUSE_WIFI,
    NOT_VERIFIED,
    PORT,
    VISITOR,
    VISITOR_WIFI,
    Home,
)
from tests.network.programs import Program, until

#: The router was changed: these are of another network.
NEW_HOUSE = ("10.99.0.2/24", "fd99::2/64")
NEW_VISITOR = ("10.99.0.3/24", "fd99::3/64")

NO_NETWORK = "only this machine can find the bridge"

ULA_ONLY = (("fd77::2/64",), ("fd77::3/64",))


async def session(home: Home, address: str) -> Program:
    """A connection to the bridge that stays open, and has been answered once."""
    talk = await home.visitor.start(sys.executable, ASK, address, str(PORT))
    await talk.hear("once")
    await talk.says(NOT_VERIFIED)
    return talk


async def still_answers(talk: Program) -> None:
    said = len(talk.lines)
    await talk.hear("again")
    await talk.says(NOT_VERIFIED, after=said)


async def test_a_new_lease_is_announced(home: Home) -> None:
    await home.wire()
    await home.bridge.start()
    await home.found("10.77.0.2", "fd77::2")
    talk = await session(home, "fd77::2")
    await home.house.do("ip", "address", "del", "10.77.0.2/24", "dev", "eth0")
    await home.house.do("ip", "address", "add", "10.77.0.9/24", "dev", "eth0")
    await home.found("10.77.0.9", "fd77::2")
    await home.announces("10.77.0.9", "fd77::2")
    assert await home.answers("10.77.0.9") == NOT_VERIFIED
    await still_answers(talk)


async def test_an_address_of_another_network_is_announced(home: Home) -> None:
    await home.wire()
    await home.bridge.start()
    await home.found("10.77.0.2", "fd77::2")
    for host, old, new in (
        (home.visitor, VISITOR, NEW_VISITOR),
        (home.house, HOUSE, NEW_HOUSE),
    ):
        for address in old:
            await host.do("ip", "address", "del", address, "dev", "eth0")
        for address in new:
            await host.do("ip", "address", "add", address, "dev", "eth0")
    await home.found("10.99.0.2", "fd99::2")
    await home.announces("10.99.0.2", "fd99::2")
    assert await home.answers("10.99.0.2") == NOT_VERIFIED
    assert await home.answers("fd99::2") == NOT_VERIFIED


async def test_a_cable_is_swapped_for_wifi(home: Home) -> None:
    await home.wire()
    await home.visitor.plug(home.wifi, "wlan0", *VISITOR_WIFI)
    await home.bridge.start()
    await home.found("10.77.0.2", "fd77::2")
    talk = await session(home, "10.77.0.2")
    await home.house.plug(home.wifi, "wlan0", *HOUSE_WIFI)
    await until(home.visitor.browse, lambda them: home.bridge.seen_over("wlan0", them))
    assert await home.answers("10.88.0.2") == NOT_VERIFIED
    await still_answers(talk)
    await home.house.do("ip", "link", "del", "eth0")
    await home.found("10.88.0.2", "fd88::2")
    await home.announces("10.88.0.2", "fd88::2")
    assert await home.answers("fd88::2") == NOT_VERIFIED


async def test_the_wifi_that_comes_back_is_another_interface_of_the_same_address(
    home: Home,
) -> None:
    await home.wire()
    await home.bridge.start()
    await home.found("10.77.0.2", "fd77::2")
    await home.house.do("ip", "link", "del", "eth0")
    await home.bridge.program.says(NO_NETWORK)
    # Nobody could say goodbye: the visitor would believe what it has in its cache.
    await home.visitor.forget()
    await home.house.plug(home.lan, "eth0", *HOUSE)
    await home.found("10.77.0.2", "fd77::2")
    assert await home.answers("10.77.0.2") == NOT_VERIFIED


async def test_an_interface_goes_down_and_up(home: Home) -> None:
    await home.wire()
    await home.bridge.start()
    await home.found("10.77.0.2", "fd77::2")
    await home.house.do("ip", "link", "set", "eth0", "down")
    # What is down loses its IPv6 addresses, as it does with the kernel's own setting.
    await home.bridge.program.says(NO_NETWORK)
    said = len(home.bridge.program.lines)
    # It must be told anew: what is in a cache proves nothing.
    await home.visitor.forget()
    await home.house.do("ip", "link", "set", "eth0", "up")
    await home.house.do("ip", "address", "add", "fd77::2/64", "dev", "eth0")
    await home.bridge.program.says("10.77.0.2", after=said)
    await home.found("10.77.0.2", "fd77::2")
    assert await home.answers("fd77::2") == NOT_VERIFIED


async def test_a_cable_is_pulled_and_plugged_in_again(home: Home) -> None:
    await home.wire()
    await home.bridge.start()
    await home.found("10.77.0.2", "fd77::2")
    talk = await session(home, "10.77.0.2")
    await home.lan.carrier(home.house, "eth0", "down")
    await home.bridge.program.says(NO_NETWORK)
    said = len(home.bridge.program.lines)
    # Somebody who was not there before has nothing in a cache.
    await home.visitor.forget()
    await home.lan.carrier(home.house, "eth0", "up")
    await home.bridge.program.says("10.77.0.2", after=said)
    await home.found("10.77.0.2", "fd77::2")
    await still_answers(talk)


async def test_a_network_of_ipv6_alone_with_a_router(home: Home) -> None:
    await home.wire(*ULA_ONLY)
    await home.bridge.start()
    services = await home.found("fd77::2")
    assert {each.protocol for each in services} >= {"IPv6"}
    assert await home.answers("fd77::2") == NOT_VERIFIED


async def test_a_network_of_link_local_addresses_alone(home: Home) -> None:
    await home.wire((), ())
    address = await home.house.link_local("eth0")
    await home.bridge.start()
    (service,) = await home.found(address)
    assert service.protocol == "IPv6"
    assert await home.answers(service.place) == NOT_VERIFIED


async def test_a_bridge_that_starts_without_a_network_waits_for_it(home: Home) -> None:
    await home.visitor.plug(home.lan, "eth0", *VISITOR)
    await home.visitor.is_ready()
    await home.visitor.start_avahi()
    await home.bridge.start()
    await home.bridge.program.says(NO_NETWORK)
    await home.house.plug(home.lan, "eth0", *HOUSE)
    await home.found("10.77.0.2", "fd77::2")
    assert await home.answers("10.77.0.2") == NOT_VERIFIED
    assert await home.answers("fd77::2") == NOT_VERIFIED
