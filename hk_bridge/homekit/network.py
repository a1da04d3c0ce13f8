"""Where a bridge listens, what it announces, and on which interfaces it speaks mDNS."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final, Self

import ifaddr
from pyhap.accessory_driver import AccessoryMDNSServiceInfo
from pyhap.state import State
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncZeroconf

from hk_bridge.errors import LinkError
from hk_bridge.homekit.accessories import HouseBridge

#: A DNS label has at most 63 bytes (RFC 1035 §2.3.4); " 1A2B3C" comes behind the name.
_NAME_BYTES: Final = 56
_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Network:
    """`listen` is empty for all interfaces; `advertised` never is.

    All are addresses without a prefix length or zone, IPv4 before IPv6.
    """

    listen: tuple[str, ...]
    advertised: tuple[str, ...]

    @classmethod
    def find(cls, bind: tuple[str, ...]) -> Self:
        """The network for `bind`, a list of addresses and interface names, or all.

        Looks at the interfaces instead of routing to the internet, which many homes'
        Bluetooth machines cannot reach. Raises LinkError for a name that is neither.
        """
        adapters = {
            adapter.name: [address for ip in adapter.ips if (address := _plain(ip.ip))]
            for adapter in ifaddr.get_adapters()
        }
        if not bind:
            every = [address for addresses in adapters.values() for address in addresses]
            outside = [a for a in every if not ipaddress.ip_address(a).is_loopback]
            return cls((), _ordered(outside) or (_LOOPBACK,))
        chosen: list[str] = []
        for name in bind:
            if found := adapters.get(name):
                chosen += found
            elif _is_unspecified(name) or any(name in own for own in adapters.values()):
                chosen.append(name)
            else:
                known = "; ".join(
                    f"{adapter} ({', '.join(own)})"
                    for adapter, own in adapters.items()
                    if own
                )
                raise LinkError(
                    f'"{name}" is neither an interface with an address nor an address of '
                    f"one. There are: {known}"
                )
        if any(_is_unspecified(address) for address in chosen):
            return cls(_ordered(chosen), cls.find(()).advertised)
        return cls(_ordered(chosen), _ordered(chosen))

    @property
    def loopback_only(self) -> bool:
        """Whether nobody but this machine can find the bridge."""
        return all(ipaddress.ip_address(a).is_loopback for a in self.advertised)

    def zeroconf(self) -> AsyncZeroconf:
        """An mDNS responder on the advertised interfaces. Raises LinkError."""
        versions = {ipaddress.ip_address(address).version for address in self.advertised}
        version = {
            frozenset({4}): IPVersion.V4Only,
            frozenset({6}): IPVersion.V6Only,
        }.get(frozenset(versions), IPVersion.All)
        try:
            responder = AsyncZeroconf(interfaces=list(self.advertised), ip_version=version)
        except OSError as error:
            raise LinkError(f"mDNS cannot be opened: {error.strerror}") from error
        if self.loopback_only:
            _keep_on_loopback(responder)
        return responder


class BridgeServiceInfo(AccessoryMDNSServiceInfo):  # type: ignore[misc] # HAP-python has no types
    """What is announced under ``_hap._tcp``.

    The base cuts every letter that is not ASCII out of the name, and is left with
    nothing where a name has no other.
    """

    def __init__(self, accessory: HouseBridge, state: State) -> None:
        super().__init__(accessory, state, f"hk-bridge-{state.mac.replace(':', '')}.local.")

    def _valid_name(self) -> str:
        name = "".join(
            c if c.isprintable() and c != "." else " " for c in self.accessory.display_name
        )
        short = " ".join(name.split()).encode()[:_NAME_BYTES].decode(errors="ignore")
        return short.strip() or "Bridge"


def _keep_on_loopback(responder: AsyncZeroconf) -> None:
    """Have the system drop what comes from elsewhere, where it knows how (Linux).

    zeroconf hears queries on a socket that is open on all addresses, whatever the
    interfaces, and would answer one that is sent straight to this machine.
    """
    listener = responder.zeroconf.engine._listen_socket  # noqa: SLF001 # there is no other way to it
    if listener is not None and hasattr(socket, "SO_BINDTODEVICE"):
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")


def _plain(ip: str | tuple[str, int, int]) -> str | None:
    """An address without its zone; None for IPv6 addresses that need one."""
    if isinstance(ip, str):
        return ip
    return None if ipaddress.ip_address(ip[0].partition("%")[0]).is_link_local else ip[0]


def _is_unspecified(text: str) -> bool:
    """Whether it is 0.0.0.0 or ::, which stand for all addresses."""
    try:
        return ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def _ordered(addresses: list[str]) -> tuple[str, ...]:
    unique = dict.fromkeys(addresses)
    return tuple(sorted(unique, key=lambda address: ipaddress.ip_address(address).version))


def why_not_listening(port: int, error: OSError) -> str:
    """What a person can do about a port that cannot be had: the rest of a sentence."""
    reasons = {
        errno.EADDRINUSE: "is in use by another program (a second bridge, or Homebridge?). "
        "Choose another one with --port or bridge.port",
        errno.EACCES: "needs root. Choose one above 1023 with --port or bridge.port",
        errno.EADDRNOTAVAIL: "cannot be opened: no interface has the address given with "
        "--bind or bridge.bind",
    }
    return f"port {port} " + reasons.get(
        error.errno or 0, f"cannot be opened: {error.strerror}"
    )
