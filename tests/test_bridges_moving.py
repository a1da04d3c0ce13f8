"""Several bridges go to other ports and addresses together, with real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hk_bridge.bridges import Bridges
from hk_bridge.config.reader import parse
from hk_bridge.errors import LinkError
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.store import Store
from hk_bridge.house import House
from hk_bridge.identities import settle
from hk_bridge.memory import DeviceMemory
from hk_bridge.options import Options
from tests.fakes.ports import free_port

LOOPBACK = Network(("127.0.0.1",), ("127.0.0.1",))
FILE = parse(
    json.dumps(
        {
            "bridge": {"maxAccessories": 2, "name": "Flur"},
            "accessories": [
                {
                    "accessory": "Hygrothermograph",
                    "name": f"Room {number}",
                    "address": f"58:2D:34:00:00:{number:02X}",
                }
                for number in range(5)
            ],
        }
    ),
    "f",
)


class Mdns:
    """Stands for the responder, which goes where it is told."""

    def __init__(self) -> None:
        self.network: Network | None = None
        self.absent: tuple[str, ...] = ()
        self.fails = False

    async def follow(self, network: Network) -> None:
        if self.fails:
            self.absent = network.advertised
            raise LinkError("mDNS cannot be opened")
        self.network, self.absent = network, ()


class Moving:
    """Three bridges, each of which listens."""

    def __init__(self, folder: Path) -> None:
        self.port = three_ports()
        self.mdns = Mdns()
        store = Store.open(folder)
        store.put_all(settle(store.bridges, FILE))
        house = House(FILE, Options(folder), store, DeviceMemory(), lambda: None)
        mdns: Any = self.mdns
        self.bridges = Bridges(
            store, FILE, LOOPBACK, self.port, mdns, house.devices, lambda *_: None
        )

    @property
    def ports(self) -> list[int]:
        """Those that each says that it has."""
        return [each.port for each in self.bridges.status()]


def three_ports() -> int:
    """The first of four ports in a row that are free."""
    while True:
        port = free_port()
        try:
            for number in range(4):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + number))
        except OSError:
            continue
        return port


async def listens(port: int, host: str = "127.0.0.1") -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


@pytest.fixture
async def moving(tmp_path: Path) -> AsyncIterator[Moving]:
    moving = Moving(tmp_path)
    await moving.bridges.listen()
    assert moving.ports == [moving.port, moving.port + 1, moving.port + 2]
    yield moving
    await moving.bridges.close()


async def test_each_goes_to_a_port_that_another_one_has_now(moving: Moving) -> None:
    port = moving.port
    await moving.bridges.move(LOOPBACK, port + 1)
    assert moving.ports == [port + 1, port + 2, port + 3]
    assert not await listens(port)
    await moving.bridges.move(LOOPBACK, port)
    assert moving.ports == [port, port + 1, port + 2]
    assert [await listens(each) for each in moving.ports] == [True] * 3
    assert not await listens(port + 3)
    assert not moving.bridges.lacks()


async def test_where_the_first_has_no_port_all_stay_where_they_were(
    moving: Moving,
) -> None:
    port = moving.port
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(LinkError, match="in use"),
    ):
        await moving.bridges.move(LOOPBACK, other.getsockname()[1])
    assert moving.ports == [port, port + 1, port + 2]
    assert [await listens(each) for each in moving.ports] == [True] * 3
    assert moving.bridges.port == port
    assert moving.mdns.network is None


async def test_a_further_one_that_cannot_go_along_is_named_and_follows_later(
    moving: Moving,
) -> None:
    both = Network(("127.0.0.1", "127.0.0.2"), ("127.0.0.1", "127.0.0.2"))
    with socket.create_server(("127.0.0.2", moving.port + 1)):
        await moving.bridges.move(both, moving.port)
        assert await listens(moving.port, "127.0.0.2")
        (lacks,) = moving.bridges.lacks()
        assert lacks == "Flur 2 cannot be reached at 127.0.0.2"
    await moving.bridges.move(both, moving.port)
    assert not moving.bridges.lacks()
    assert await listens(moving.port + 1, "127.0.0.2")


async def test_mdns_that_cannot_follow_is_named_until_it_does(moving: Moving) -> None:
    other = Network(("127.0.0.2",), ("127.0.0.2",))
    moving.mdns.fails = True
    await moving.bridges.move(other, moving.port)
    assert moving.bridges.lacks() == ("mDNS cannot be spoken from 127.0.0.2",)
    moving.mdns.fails = False
    await moving.bridges.move(other, moving.port)
    assert not moving.bridges.lacks()
    assert moving.mdns.network == other
