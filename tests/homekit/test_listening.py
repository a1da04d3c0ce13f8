"""Where the bridge listens, and how it moves while controllers are connected."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from hk_bridge.errors import LinkError
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.store import Store
from tests.e2e.door.client import Client
from tests.fakes.ports import free_port
from tests.homekit.house import House

NOT_VERIFIED = 470


def on(*hosts: str) -> Network:
    return Network(hosts, hosts)


async def listens(port: int, host: str) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def test_it_moves_with_its_connections_to_another_address_and_back(
    house: House,
) -> None:
    port = free_port()
    await house.driver.listen(port)
    async with await Client.connect(port) as client:
        await house.driver.move(on("127.0.0.2"))
        assert not await listens(port, "127.0.0.1")
        assert await listens(port, "127.0.0.2")
        await house.driver.move(on("127.0.0.1", "127.0.0.2"))
        assert await listens(port, "127.0.0.1")
        assert await listens(port, "127.0.0.2")
        assert (await client.get("/accessories")).status == NOT_VERIFIED
    await house.driver.close()
    assert not await listens(port, "127.0.0.1")


@pytest.mark.parametrize("everything", [(), ("0.0.0.0",), ("::",)])
async def test_it_moves_between_all_interfaces_and_one_of_them(
    house: House, everything: tuple[str, ...]
) -> None:
    port = free_port()
    await house.driver.listen(port)
    await house.driver.move(Network(everything, ("127.0.0.1",)))
    assert await listens(port, "::1" if "::" in everything else "127.0.0.2")
    await house.driver.move(on("127.0.0.1"))
    assert await listens(port, "127.0.0.1")
    assert not await listens(port, "127.0.0.2")
    await house.driver.close()


async def test_with_nothing_of_bind_there_it_listens_nowhere_and_goes_on(
    house: House,
) -> None:
    port = free_port()
    await house.driver.listen(port)
    async with await Client.connect(port) as client:
        await house.driver.move(Network((), (), (), ("eth9",), is_waiting=True))
        assert not await listens(port, "127.0.0.1")
        assert (await client.get("/accessories")).status == NOT_VERIFIED
    await house.driver.move(on("127.0.0.1"))
    assert await listens(port, "127.0.0.1")
    await house.driver.close()


async def test_a_place_that_is_taken_changes_nothing(house: House) -> None:
    port = free_port()
    await house.driver.listen(port)
    with socket.create_server(("127.0.0.2", port)) as other:
        for network in (on("127.0.0.1", "127.0.0.2"), on("127.0.0.2"), Network((), ())):
            with pytest.raises(LinkError, match=f"port {port} is in use"):
                await house.driver.move(network)
            assert await listens(port, "127.0.0.1")
        with pytest.raises(LinkError):
            await house.driver.move(on("127.0.0.2", "127.0.0.3"))
        assert not await listens(port, "127.0.0.3")
        assert other.fileno() >= 0
    assert house.driver.state.addresses == ["127.0.0.1"]
    await house.driver.close()


async def test_a_try_that_fails_leaves_nothing_behind(house: House, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(LinkError):
            await house.driver.listen(other.getsockname()[1])
        assert not house.driver.is_listening
        port = free_port()
        await house.driver.listen(port)
        assert house.driver.state.port == port
    await house.driver.close()
    again = House(Store.open(tmp_path / "again"))
    await again.driver.listen(port)
    await again.driver.close()


async def test_an_address_that_cannot_be_used_yet_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    await house.driver.listen(port)
    both = on("127.0.0.1", "192.0.2.77")
    await house.driver.move(both)
    assert [*house.driver.absent] == ["192.0.2.77"]
    assert await listens(port, "127.0.0.1")
    await house.driver.move(both)
    assert [*house.driver.absent] == ["192.0.2.77"]
    await house.driver.move(on("127.0.0.1"))
    assert not house.driver.absent
    await house.driver.close()
