"""mDNS on real sockets, on loopback: who is announced where, and who has which name."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from hk_bridge.errors import LinkError
from hk_bridge.homekit.network import BridgeServiceInfo, Network
from hk_bridge.homekit.responder import Responder
from tests.homekit.house import until

TYPE = "_hap._tcp.local."
OTHER_PORT = 4711


def on(*addresses: str, index: int = 1) -> Network:
    return Network(addresses, addresses, tuple((each, index) for each in addresses))


HERE, THERE, NOWHERE = on("127.0.0.1"), on("127.0.0.2"), Network((), (), (), ("eth9",))


def service(conflicts: list[bool] | None = None, port: int = 4000) -> BridgeServiceInfo:
    """A service of a name that no other test has at the moment."""
    mac = ":".join(uuid.uuid4().hex[at : at + 2].upper() for at in range(0, 12, 2))
    return named(mac, port, conflicts)


def named(
    mac: str, port: int, conflicts: list[bool] | None = None, address: str = "127.0.0.1"
) -> BridgeServiceInfo:
    state = SimpleNamespace(
        mac=mac,
        setup_id="ABCD",
        config_version=2,
        paired=False,
        port=port,
        addresses=[address],
    )
    accessory: Any = SimpleNamespace(display_name=f"Test {mac}", category=2)
    told = conflicts if conflicts is not None else []
    return BridgeServiceInfo(accessory, state, 1, told.append)


class Listener:
    """Another host, which takes note of what comes and goes."""

    def __init__(self) -> None:
        self.mdns = AsyncZeroconf(interfaces=["127.0.0.1"])
        self.events: list[tuple[str, str]] = []
        self.browser = AsyncServiceBrowser(self.mdns.zeroconf, TYPE, handlers=[self._heard])

    def _heard(self, name: str, state_change: Any, **_: object) -> None:
        self.events.append((name, state_change.name))

    def heard(self, info: ServiceInfo, what: str) -> bool:
        return (info.name, what) in self.events

    async def find(self, info: ServiceInfo) -> AsyncServiceInfo | None:
        found = AsyncServiceInfo(TYPE, info.name)
        return found if await found.async_request(self.mdns.zeroconf, 3000) else None


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener()
    yield listener
    await listener.browser.async_cancel()
    await listener.mdns.async_close()


@pytest.fixture
async def responder() -> AsyncIterator[Responder]:
    responder = Responder(HERE)
    yield responder
    await responder.async_close()


async def test_a_service_is_found_and_says_goodbye(
    responder: Responder, listener: Listener
) -> None:
    info = service()
    await responder.async_register_service(info)
    await until(lambda: listener.heard(info, "Added"))
    found = await listener.find(info)
    assert found is not None
    assert (found.port, found.parsed_addresses()) == (4000, ["127.0.0.1"])
    await (await responder.async_unregister_service(info))
    await until(lambda: listener.heard(info, "Removed"))
    # Once more does nothing.
    await (await responder.async_unregister_service(info))


async def test_the_end_says_goodbye_for_all(listener: Listener) -> None:
    responder = Responder(HERE)
    services = [service(port=4000 + number) for number in range(5)]
    for info in services:
        await responder.async_register_service(info)
    await until(lambda: all(listener.heard(info, "Added") for info in services))
    await responder.async_close()
    await until(lambda: all(listener.heard(info, "Removed") for info in services))


async def test_without_a_network_it_waits_and_announces_when_there_is_one(
    listener: Listener,
) -> None:
    responder, info = Responder(NOWHERE), service()
    await responder.async_register_service(info)
    await responder.async_update_service(info)
    assert not responder.absent
    await responder.follow(HERE)
    await until(lambda: listener.heard(info, "Added"))
    await responder.async_close()


async def test_another_network_is_followed_without_a_goodbye(
    responder: Responder, listener: Listener
) -> None:
    info = service()
    await responder.async_register_service(info)
    await until(lambda: listener.heard(info, "Added"))
    await responder.follow(on("127.0.0.2"))
    moved = named(info.decoded_properties["id"] or "", 4001, address="127.0.0.2")
    await responder.async_update_service(moved)
    await until(lambda: listener.heard(info, "Updated"))
    assert not listener.heard(info, "Removed")
    assert not responder.absent


async def test_an_address_that_is_not_there_is_absent_until_it_is(
    responder: Responder,
) -> None:
    await responder.async_register_service(service())
    with pytest.raises(LinkError, match="mDNS cannot be opened"):
        await responder.follow(on("127.0.0.1", "192.0.2.77"))
    assert [*responder.absent] == ["192.0.2.77"]
    await responder.follow(HERE)
    assert not responder.absent


async def test_who_else_has_the_name_is_a_conflict_and_an_echo_is_none(
    responder: Responder, listener: Listener
) -> None:
    conflicts: list[bool] = []
    info = service(conflicts)
    await responder.async_register_service(info)
    await until(lambda: listener.heard(info, "Added"))
    assert conflicts == []
    await announce_other(listener, info, "other.local.")
    await until(lambda: conflicts)


async def test_a_name_that_somebody_has_is_not_announced_unless_nobody_is_asked(
    responder: Responder, listener: Listener
) -> None:
    conflicts: list[bool] = []
    info = service(conflicts)
    await announce_other(listener, info, "other.local.")
    assert not await responder.async_register_service(info)
    found = await listener.find(info)
    assert found is not None
    assert found.port == OTHER_PORT
    assert await responder.async_register_service(info, asks=False)
    assert conflicts == []


@pytest.mark.parametrize(("host", "is_first"), [("a.local.", False), ("zz.local.", True)])
async def test_of_two_that_give_way_each_knows_which_it_is(
    responder: Responder, listener: Listener, host: str, is_first: bool
) -> None:
    conflicts: list[bool] = []
    info = service(conflicts)
    await responder.async_register_service(info)
    await announce_other(listener, info, host)
    await until(lambda: conflicts)
    assert set(conflicts) == {is_first}


async def test_a_name_that_is_given_up_is_the_others_without_a_goodbye(
    responder: Responder, listener: Listener
) -> None:
    info = service()
    await responder.async_register_service(info)
    await until(lambda: listener.heard(info, "Added"))
    responder.drop(info)
    other = service()
    await responder.async_register_service(other)
    await until(lambda: listener.heard(other, "Added"))
    await (await responder.async_unregister_service(other))
    await until(lambda: listener.heard(other, "Removed"))
    assert not listener.heard(info, "Removed")


async def test_mdns_that_cannot_be_had_is_an_error_and_all_stays_as_it_was(
    responder: Responder, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise OSError(98, "Address already in use")

    info = service()
    await responder.async_register_service(info)
    with monkeypatch.context() as patch:
        patch.setattr("hk_bridge.homekit.responder.AsyncZeroconf", fail)
        with pytest.raises(LinkError, match="mDNS cannot be opened: Address already"):
            await responder.follow(THERE)
    assert [*responder.absent] == ["127.0.0.2"]
    assert await listener.find(info) is not None
    await responder.follow(THERE)
    assert not responder.absent


async def announce_other(listener: Listener, info: ServiceInfo, host: str) -> None:
    other = ServiceInfo(
        TYPE, info.name, OTHER_PORT, addresses=[socket.inet_aton("127.0.0.3")], server=host
    )
    await listener.mdns.async_register_service(other, cooperating_responders=True)


@pytest.mark.skipif(not hasattr(socket, "SO_BINDTODEVICE"), reason="Linux has it")
async def test_on_loopback_alone_it_hears_nothing_from_elsewhere(
    responder: Responder,
) -> None:
    assert responder._zeroconf is not None
    listening = responder._zeroconf.zeroconf.engine._listen_socket
    assert listening is not None
    bound = listening.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
    assert bound == b"lo\0"


async def test_a_network_that_goes_while_a_name_is_asked_for_ends_nothing(
    listener: Listener,
) -> None:
    responder = Responder(HERE)
    try:
        info = service()
        registering = asyncio.create_task(responder.async_register_service(info))
        await asyncio.sleep(0.03)
        await responder.follow(NOWHERE)
        assert await registering
        # What was to be announced then is announced when there is a network again.
        await responder.follow(HERE)
        assert await listener.find(info) is not None
    finally:
        await responder.async_close()
