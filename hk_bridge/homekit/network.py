"""Where a bridge listens, what it announces, and on which interfaces it speaks mDNS."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Self

from pyhap.accessory_driver import AccessoryMDNSServiceInfo
from pyhap.state import State

from hk_bridge.errors import LinkError
from hk_bridge.homekit.accessories import HouseBridge
from hk_bridge.homekit.interfaces import Interface, interface_names, working_interfaces

#: A DNS label has at most 63 bytes (RFC 1035 §2.3.4); " 1A2B3C" comes behind the name.
_NAME_BYTES: Final = 56

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Network:
    """`listen` is empty for all interfaces, or where nothing of `bind` is there.

    `advertised` are addresses without a zone, `listen` has zones where they are needed;
    IPv4 comes before IPv6. `speaks` are one address of each IP version and interface that
    mDNS is spoken on, with the number of the interface. `missing` is what of `bind` is not
    there at the moment. `is_waiting` says that there is no network to be found in, though
    one is wanted.
    """

    listen: tuple[str, ...]
    advertised: tuple[str, ...]
    speaks: tuple[tuple[str, int], ...] = ()
    missing: tuple[str, ...] = ()
    is_waiting: bool = False

    @classmethod
    def find(cls, bind: tuple[str, ...], *, known: Collection[str] = ()) -> Self:
        """The network for `bind`, a list of addresses and interface names, or all.

        Looks at the interfaces instead of routing to the internet, which many homes'
        Bluetooth machines cannot reach. Raises LinkError for a word that is neither an
        address nor an interface, unless it is `known` to have been one before.
        """
        there = working_interfaces()
        names = interface_names()
        for word in bind:
            if _parse(word) is None and word not in names and word not in known:
                raise LinkError(_unknown(word, there))
        everything = [word for word in bind if _is_unspecified(word)]
        versions = {ipaddress.ip_address(word).version for word in everything}
        chosen: dict[str, int] = {}
        missing = []
        if everything or not bind:
            chosen |= _outside(there, versions or {4, 6})
        is_alone = (bool(everything) or not bind) and not chosen
        if is_alone:
            chosen |= _loopback(there)
        own: list[str] = []
        for word in bind:
            if word in everything:
                continue
            found = _standing_for(word, there)
            if not found:
                missing.append(word)
            chosen |= found
            own += [each for each in found if _version(each) not in versions]
        return cls(
            _ordered([*everything, *own]),
            _ordered(_plain(each) for each in chosen),
            _speaks(chosen),
            tuple(missing),
            is_waiting=is_alone or not chosen,
        )

    @property
    def hosts(self) -> tuple[str | None, ...]:
        """What to listen on: None for all interfaces; nothing while `bind` is missing."""
        if self.listen:
            return self.listen
        return () if self.missing else (None,)

    @property
    def loopback_only(self) -> bool:
        """Whether nobody but this machine can find the bridge."""
        return all(ipaddress.ip_address(a).is_loopback for a in self.advertised)


class BridgeServiceInfo(AccessoryMDNSServiceInfo):  # type: ignore[misc] # HAP-python has no types
    """What is announced under ``_hap._tcp``.

    The base cuts every letter that is not ASCII out of the name, and is left with
    nothing where a name has no other. `number` is from 1, and goes behind the name where
    others have it; `on_conflict` is called when somebody else announces this one.
    """

    def __init__(
        self,
        accessory: HouseBridge,
        state: State,
        number: int = 1,
        on_conflict: Callable[[bool], None] = lambda _is_first: None,
    ) -> None:
        self._suffix = f"-{number}" if number > 1 else ""
        self._on_conflict = on_conflict
        super().__init__(accessory, state, f"hk-bridge-{state.mac.replace(':', '')}.local.")
        if self._suffix:
            label, dot, service = super().name.partition("._hap.")
            self.name: str = f"{label}{self._suffix}{dot}{service}"

    def on_conflict(self, *, is_first: bool) -> None:
        """Have whoever announces it told that somebody else has the name.

        Of the two, one of a kind may think that it `is_first`.
        """
        self._on_conflict(is_first)

    def _valid_name(self) -> str:
        name = "".join(
            c if c.isprintable() and c != "." else " " for c in self.accessory.display_name
        )
        most = _NAME_BYTES - len(self._suffix)
        short = " ".join(name.split()).encode()[:most].decode(errors="ignore")
        return short.strip() or "Bridge"


def _outside(there: Iterable[Interface], versions: Collection[int]) -> dict[str, int]:
    """Addresses of all interfaces but loopback, each with the number of its interface.

    Those of the link alone count only where there is no other: containers and tunnels
    have them, too, where no phone can reach them.
    """
    every = {
        address: interface.index
        for interface in there
        for address in interface.reachable
        if not ipaddress.ip_address(address).is_loopback
    }
    plain = {address: index for address, index in every.items() if "%" not in address}
    return {a: i for a, i in (plain or every).items() if _version(a) in versions}


def _loopback(there: Iterable[Interface]) -> dict[str, int]:
    """The first loopback address: IPv4, where there is that."""
    every = {
        address: interface.index
        for interface in there
        for address in interface.addresses
        if ipaddress.ip_address(address).is_loopback
    }
    return {first: every[first] for first in _ordered(every)[:1]}


def _standing_for(word: str, there: Iterable[Interface]) -> dict[str, int]:
    """What an interface, or an address, of `bind` stands for at the moment."""
    wanted = _parse(word)
    if wanted is None:
        return {
            a: each.index for each in there if each.name == word for a in each.reachable
        }
    plain, _, zone = str(wanted).partition("%")
    return {
        address: interface.index
        for interface in there
        for address in (*interface.addresses, interface.link_local)
        if address is not None
        and _plain(address) == plain
        and zone in ("", address.partition("%")[2])
    }


def _speaks(chosen: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """One address for each interface and version: a group is joined only once on each."""
    first: dict[tuple[int, int], str] = {}
    for address, index in chosen.items():
        first.setdefault((index, _version(address)), address)
    return tuple((address, index) for (index, _), address in first.items())


def _parse(word: str) -> _Address | None:
    try:
        return ipaddress.ip_address(word)
    except ValueError:
        return None


def _is_unspecified(word: str) -> bool:
    """Whether it is 0.0.0.0 or ::, which stand for all addresses."""
    address = _parse(word)
    return address is not None and address.is_unspecified


def _plain(address: str) -> str:
    return address.partition("%")[0]


def _version(address: str) -> int:
    return ipaddress.ip_address(address).version


def _ordered(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(addresses), key=_version))


def _unknown(word: str, there: Iterable[Interface]) -> str:
    known = "; ".join(f"{each.name} ({', '.join(each.reachable)})" for each in there)
    return f'"{word}" is neither an address nor an interface. There are: {known}'


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
