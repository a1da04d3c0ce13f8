"""Two hosts and two switches: scripts/test-network runs these tests, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hk_bridge.homekit.identity import Identity
from hk_bridge.homekit.store import Store
from tests.network.avahi import Service
from tests.network.hosts import Host, Switch
from tests.network.programs import PATIENCE, Program, until

#: Set by the script, which has made namespaces in which all that is left behind ends.
RUNS = "HK_BRIDGE_TEST_NETWORK" in os.environ
collect_ignore_glob = [] if RUNS else ["test_*.py"]

ASK = str(Path(__file__).with_name("ask.py"))
ADDRESSES = str(Path(__file__).with_name("addresses.py"))
PROGRAM = str(Path(sys.executable).with_name("hk-bridge"))
NEEDED = ("ip", "unshare", "nsenter", "dbus-daemon", "avahi-daemon", "avahi-browse")

PORT = 51826
NAME = "Flur"

#: What somebody is told who has not verified that they are paired.
NOT_VERIFIED = "470"

HOUSE = ("10.77.0.2/24", "fd77::2/64")
VISITOR = ("10.77.0.3/24", "fd77::3/64")
HOUSE_WIFI = ("10.88.0.2/24", "fd88::2/64")
VISITOR_WIFI = ("10.88.0.3/24", "fd88::3/64")


class Bridge:
    """The program on a host, with its configuration and state."""

    def __init__(self, host: Host, directory: Path) -> None:
        self._host = host
        self._file = directory / "accessories.json"
        self.state = directory / "state"
        self.program: Program
        self._started: list[Program] = []

    async def start(self, *options: str, accessories: int = 1, **settings: Any) -> None:
        """Start it with simulated sensors, and return once it runs."""
        sensors = [
            {
                "accessory": "Hygrothermograph",
                "name": f"Room {number}",
                "address": f"4C:64:A8:D0:AE:{number:02X}",
            }
            for number in range(1, accessories + 1)
        ]
        bridge = {"name": NAME, "port": PORT, **settings}
        self._file.write_text(json.dumps({"bridge": bridge, "accessories": sensors}))
        self.program = await self._host.start(
            PROGRAM, "run", "--simulate", f"--config={self._file}",
            f"--state-dir={self.state}", *options,
        )  # fmt: skip
        self._started.append(self.program)
        await self.program.says("simulated radio: broadcasting")

    @property
    def identities(self) -> tuple[Identity, ...]:
        return Store.open(self.state).bridges

    @property
    def id(self) -> str:
        return self.identities[0].device_id

    @property
    def noise(self) -> list[str]:
        """What it has said that is for nobody: of its own insides, or of libraries."""
        return [
            line
            for program in self._started
            for line in program.lines
            if any(word in line for word in ("Traceback", "Errno", "Error", "socket"))
        ]

    def of(self, services: list[Service]) -> list[Service]:
        """Those of `services` that are the first bridge's."""
        return [service for service in services if service.txt.get("id") == self.id]

    def seen_over(self, interface: str, services: list[Service]) -> bool:
        """Whether one of its `services` is on `interface`."""
        return any(each.interface == interface for each in self.of(services))


class Home:
    """`house`, on which the bridge runs, and `visitor`; `lan` and `wifi` join them."""

    def __init__(self, directory: Path, hosts: AsyncExitStack) -> None:
        self._directory = directory
        self._hosts = hosts
        self.house: Host
        self.visitor: Host
        self.lan: Switch
        self.wifi: Switch
        self.bridge: Bridge

    async def open(self) -> None:
        self.lan = await Switch.open("lan", self._directory)
        self._hosts.push_async_callback(self.lan.close)
        self.wifi = await Switch.open("wifi", self._directory)
        self._hosts.push_async_callback(self.wifi.close)
        self.house = await Host.open("house", self._directory)
        self._hosts.push_async_callback(self.house.close)
        self.visitor = await Host.open("visitor", self._directory)
        self._hosts.push_async_callback(self.visitor.close)
        self.bridge = Bridge(self.house, self._directory)

    async def wire(
        self, house: tuple[str, ...] = HOUSE, visitor: tuple[str, ...] = VISITOR
    ) -> None:
        """Plug both into the LAN, and have avahi-daemon run on both."""
        await self.house.plug(self.lan, "eth0", *house)
        await self.visitor.plug(self.lan, "eth0", *visitor)
        await self.house.is_ready()
        await self.visitor.is_ready()
        await self.visitor.start_avahi()
        await self.house.start_avahi()

    async def found(
        self, *addresses: str, on: Host | None = None, within: float = PATIENCE
    ) -> list[Service]:
        """Where the first bridge is found, once its host name leads to these addresses.

        They are one of IPv4, one of IPv6, or both: avahi-resolve says one of each.
        """
        host = on or self.visitor

        async def look() -> tuple[set[str], list[Service]]:
            services = self.bridge.of(await host.browse())
            names = {service.host for service in services}
            return (
                {await host.resolve(name, at) for name in names for at in addresses},
                services,
            )

        _, services = await until(look, lambda seen: seen[0] == {*addresses}, within)
        return services

    async def announces(self, *addresses: str) -> None:
        """Return once the first bridge is announced with these addresses and no others."""
        name = self.bridge.of(await self.visitor.browse())[0].name
        await until(
            lambda: self.visitor.do(sys.executable, ADDRESSES, name),
            lambda said: set(said.split()) == {*addresses},
        )

    async def answers(self, address: str, port: int = PORT, on: Host | None = None) -> str:
        """What GET /accessories is answered with on another host: 470 is not verified."""
        host = on or self.visitor
        said = await host.do(sys.executable, ASK, address, str(port), stdin="once\n")
        return said.strip()


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    """Two hosts that are not plugged in yet."""
    if os.geteuid():
        pytest.skip("namespaces are root's to make")
    if missing := [program for program in NEEDED if not shutil.which(program)]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    async with AsyncExitStack() as hosts:
        home = Home(tmp_path, hosts)
        await home.open()
        yield home
        assert not home.bridge.noise
