"""Hosts that are network namespaces, each with its own /run, bus and avahi-daemon."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.network.avahi import CONFIGURATION, Service, parse
from tests.network.programs import Program, finish, until

_BUS = """\
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""

#: What a host does first. Its namespaces live as long as it and its programs do.
_KEEPER = """\
set -e
mount -t tmpfs tmpfs /run
mkdir /run/dbus
if [ -d "$2" ]; then mount --bind "$2" /etc/avahi; fi
hostname "$1"
ip link set lo up
echo ready
exec sleep infinity
"""


class Namespace:
    """Network, mounts and host name of its own, and the programs that run in it."""

    def __init__(self, name: str, directory: Path, keeper: Program) -> None:
        self.name = name
        self.directory = directory
        self._programs = [keeper]
        self._enter = (
            "nsenter",
            f"--target={keeper.pid}",
            "--net",
            "--mount",
            "--uts",
            "--",
        )

    @property
    def pid(self) -> int:
        """A process in it, by which `ip` can name it."""
        return self._programs[0].pid

    async def do(self, *command: str, stdin: str = "") -> str:
        """What `command` writes to stdout; it must succeed."""
        return await finish(*self._enter, *command, stdin=stdin)

    async def start(self, *command: str) -> Program:
        """Have a program run until the host is closed."""
        program = await Program.start(*self._enter, *command)
        self._programs.append(program)
        return program

    async def close(self) -> None:
        """End its programs, the last one first, and with them the namespaces."""
        for program in reversed(self._programs):
            await program.end()


async def _keep(name: str, avahi: Path) -> Program:
    keeper = await Program.start(
        "unshare", "--net", "--mount", "--uts", "--",
        "sh", "-c", _KEEPER, "sh", name, str(avahi),
    )  # fmt: skip
    await keeper.says("ready")
    return keeper


class Switch(Namespace):
    """What hosts are plugged into; it learns nothing of multicast, and floods it."""

    @classmethod
    async def open(cls, name: str, directory: Path) -> Switch:
        switch = cls(name, directory, await _keep(name, Path("/nonexistent")))
        await switch.do(
            "ip", "link", "add", "lan", "up", "type", "bridge", "mcast_snooping", "0"
        )
        return switch

    async def carrier(self, host: Host, port: str, state: str) -> None:
        """Have the cable of `host` lose its carrier, or have it again: up or down."""
        await self.do("ip", "link", "set", f"{host.name}-{port}", state)


class Host(Namespace):
    """A host that is plugged into switches."""

    _daemon: Program

    @classmethod
    async def open(cls, name: str, directory: Path) -> Host:
        avahi = directory / f"avahi-{name}"
        (avahi / "services").mkdir(parents=True)
        (avahi / "avahi-daemon.conf").write_text(CONFIGURATION.format(name=name))
        return cls(name, directory, await _keep(name, avahi))

    async def plug(self, switch: Switch, port: str, *addresses: str) -> None:
        """A new interface `port` with `addresses`; its IPv6 ones may not be ready yet."""
        far = f"{self.name}-{port}"
        await switch.do(
            "ip", "link", "add", far, "type", "veth",
            "peer", "name", port, "netns", str(self.pid),
        )  # fmt: skip
        await switch.do("ip", "link", "set", far, "master", "lan", "up")
        for address in addresses:
            await self.do("ip", "address", "add", address, "dev", port)
        await self.do("ip", "link", "set", port, "up")

    async def is_ready(self) -> None:
        """Return once no IPv6 address is still looked for on the others."""
        await until(
            lambda: self.do("ip", "-6", "address", "show", "tentative"), lambda it: not it
        )

    async def link_local(self, port: str) -> str:
        """The IPv6 link-local address of `port`."""
        listed = json.loads(
            await self.do("ip", "-json", "-6", "address", "show", "dev", port)
        )
        (address,) = (
            each["local"] for each in listed[0]["addr_info"] if each["scope"] == "link"
        )
        return str(address)

    async def start_avahi(self) -> None:
        """A bus, and avahi-daemon; returns once its host name is its own."""
        configuration = self.directory / "bus.conf"
        configuration.write_text(_BUS)
        bus = await self.start(
            "dbus-daemon", "--nofork", "--nopidfile", "--print-address",
            f"--config-file={configuration}",
        )  # fmt: skip
        await bus.says("unix:path=")
        await self._start_daemon()

    async def forget(self) -> None:
        """Have avahi-daemon end and start, so that it knows of nobody."""
        await self._daemon.end()
        await self._start_daemon()

    async def _start_daemon(self) -> None:
        self._daemon = await self.start(
            "avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits"
        )
        await self._daemon.says("Server startup complete")

    async def give_up_soon(self) -> None:
        """Have its TCP connections end seconds after nobody answers, not minutes."""
        await self.do("sh", "-c", "echo 3 >/proc/sys/net/ipv4/tcp_retries2")

    async def publish(self, file: str, service: str) -> None:
        """Have avahi-daemon, which is not running yet, publish a service of its own."""
        path = self.directory / f"avahi-{self.name}" / "services" / f"{file}.service"
        await asyncio.to_thread(path.write_text, service)

    async def browse(self, kind: str = "_hap._tcp") -> list[Service]:
        """What avahi-browse finds and resolves now, over all interfaces but loopback.

        There avahi-daemon hears nobody but itself, and believes it.
        """
        said = await self.do("avahi-browse", "-rpt", kind)
        services = [service for line in said.splitlines() if (service := parse(line))]
        return [service for service in services if service.interface != "lo"]

    async def resolve(self, name: str, like: str) -> str:
        """The address of host `name`, of the family of the address `like`; "" if none."""
        family = "-6" if ":" in like else "-4"
        said = await self.do("avahi-resolve", family, "--name", name)
        return said.strip().partition("\t")[2]

    async def watch(self, kind: str = "_hap._tcp") -> Program:
        """An avahi-browse that goes on."""
        return await self.start("stdbuf", "-oL", "avahi-browse", "-rp", kind)
