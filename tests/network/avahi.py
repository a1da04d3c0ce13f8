"""avahi-daemon's configuration, and what avahi-browse says."""

from __future__ import annotations

import re
from dataclasses import dataclass

CONFIGURATION = """\
[server]
host-name={name}
use-ipv4=yes
use-ipv6=yes
[wide-area]
enable-wide-area=no
[publish]
publish-workstation=no
publish-hinfo=no
"""

#: A service that a host's own avahi-daemon publishes beside the bridge.
PRINTER = """\
<service-group>
  <name>A printer</name>
  <service><type>_ipp._tcp</type><port>631</port></service>
</service-group>
"""


@dataclass(frozen=True, slots=True)
class Service:
    """A service as it was resolved: over one interface, by IPv4 or IPv6."""

    interface: str
    protocol: str
    name: str
    host: str
    address: str
    port: int
    txt: dict[str, str]

    @property
    def place(self) -> str:
        """The address as a socket takes it."""
        scoped = self.address.startswith("fe80:")
        return f"{self.address}%{self.interface}" if scoped else self.address


def parse(line: str) -> Service | None:
    """The service in a line of `avahi-browse -rp`; None if nothing was resolved there."""
    if not line.startswith("="):
        return None
    fields = line.split(";", 9)
    txt = re.findall(r'"([^"]*)"', fields[9])
    return Service(
        interface=fields[1],
        protocol=fields[2],
        name=plain(fields[3]),
        host=fields[6],
        address=fields[7],
        port=int(fields[8]),
        txt=dict(item.split("=", 1) for item in txt if "=" in item),
    )


def plain(name: str) -> str:
    r"""A name as people read it: avahi-browse writes a space as \032."""
    raw = re.sub(rb"\\(\d{3})", lambda at: bytes([int(at[1])]), name.encode())
    return re.sub(rb"\\(.)", rb"\1", raw).decode()


def escaped(name: str) -> str:
    r"""A name as avahi-browse writes it, of letters, digits, spaces and hyphens."""
    return name.replace(" ", r"\032").replace("-", r"\045")
