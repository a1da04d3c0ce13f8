"""The network interfaces of this machine that work, and their addresses."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import socket
import struct
import sys
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ifaddr

_UP_AND_RUNNING: Final = 0x1 | 0x40
#: SIOCGIFFLAGS, and where in its answer the flags are; a name has 16 bytes.
_GET_FLAGS: Final = 0xC0206911 if sys.platform == "darwin" else 0x8913
_NAME_BYTES: Final = 16
_REQUEST_BYTES: Final = 256

#: IPv6 addresses with their flags (Linux): tentative, and those that another machine has.
_ADDRESSES: Final = Path("/proc/net/if_inet6")
_DOUBTS: Final = 0x40 | 0x08


@dataclass(frozen=True, slots=True)
class Interface:
    """One that is up and has a link.

    `addresses` have neither prefix length nor zone; `link_local` is an IPv6 address of the
    link, with its zone, None where there is none. `index` tells it from one of the same
    name that was there before.
    """

    name: str
    index: int
    addresses: tuple[str, ...]
    link_local: str | None = None

    @property
    def reachable(self) -> tuple[str, ...]:
        """The addresses at which others can reach it, with a zone where one is needed.

        That of the link only where there is no other: nobody needs it then, and it would
        be one more to try.
        """
        if self.addresses or self.link_local is None:
            return self.addresses
        return (self.link_local,)


def working_interfaces() -> list[Interface]:
    """Those that are up and have an address, loopback among them."""
    in_doubt = _in_doubt()
    # Labels such as eth0:1 are names for addresses of one interface.
    labelled: dict[str, list[ifaddr.Adapter]] = {}
    for adapter in ifaddr.get_adapters():
        labelled.setdefault(adapter.name.partition(":")[0], []).append(adapter)
    found = [
        _interface(name, adapters, in_doubt)
        for name, adapters in labelled.items()
        if _is_running(name)
    ]
    return [interface for interface in found if interface.reachable]


def _interface(
    name: str, adapters: list[ifaddr.Adapter], in_doubt: Container[tuple[str, str]]
) -> Interface:
    plain, link_local = [], None
    for ip in (ip for adapter in adapters for ip in adapter.ips):
        if isinstance(ip.ip, str):
            plain.append(ip.ip)
            continue
        address = ip.ip[0].partition("%")[0]
        if (address, name) in in_doubt:
            continue
        if ipaddress.ip_address(address).is_link_local:
            link_local = f"{address}%{name}"
        else:
            plain.append(address)
    return Interface(name, adapters[0].index or 0, tuple(plain), link_local)


def interface_names() -> frozenset[str]:
    """The names of all interfaces, whether or not they work."""
    return frozenset(name for _, name in socket.if_nameindex())


def _in_doubt() -> set[tuple[str, str]]:
    """IPv6 addresses, with their interfaces, that cannot be used: not yet, or never.

    The system first asks whether another machine has one (RFC 4862 §5.4), for a second.
    """
    try:
        # As ifaddr decodes the names of interfaces, which may have any letters.
        lines = _ADDRESSES.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return set()
    found = set()
    for line in lines:
        address, _, _, _, flags, name = line.split()
        if int(flags, 16) & _DOUBTS:
            found.add((str(ipaddress.IPv6Address(bytes.fromhex(address))), name))
    return found


def _is_running(name: str) -> bool:
    """Whether it is up and has a link; where that cannot be told, it is taken for so."""
    request = name.encode()[: _NAME_BYTES - 1].ljust(_REQUEST_BYTES, b"\0")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            answer = fcntl.ioctl(any_socket, _GET_FLAGS, request)
    except OSError as error:
        return error.errno not in (errno.ENODEV, errno.ENXIO)
    flags: int = struct.unpack_from("H", answer, _NAME_BYTES)[0]
    return flags & _UP_AND_RUNNING == _UP_AND_RUNNING
