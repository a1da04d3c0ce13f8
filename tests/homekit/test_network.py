"""Which addresses a bridge listens on and announces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hk_bridge.errors import LinkError
from hk_bridge.homekit.interfaces import Interface, interface_names, working_interfaces
from hk_bridge.homekit.network import BridgeServiceInfo, Network

LO = Interface("lo", 1, ("127.0.0.1", "::1"))
ETH0 = Interface("eth0", 2, ("192.0.2.7", "2001:db8::7"), "fe80::1%eth0")
WLAN0 = Interface("wlan0", 3, ("198.51.100.9",))
BARE = Interface("eth2", 5, (), "fe80::2%eth2")


class There:
    """The interfaces of this machine, which a test may change."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.are(LO, ETH0, WLAN0)

    def are(self, *working: Interface) -> None:
        """These work; there are others, which do not."""
        names = frozenset({"lo", "eth0", "wlan0", "eth1", "eth2"})
        network = "hk_bridge.homekit.network."
        self._patch.setattr(network + "working_interfaces", lambda: list(working))
        self._patch.setattr(network + "interface_names", lambda: names)


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch) -> There:
    return There(monkeypatch)


def test_without_bind_it_listens_everywhere_and_announces_all_outside_addresses() -> None:
    found = Network.find(())
    assert found.hosts == (None,)
    assert found.advertised == ("192.0.2.7", "198.51.100.9", "2001:db8::7")
    assert not found.is_waiting


def test_mdns_is_spoken_once_on_each_interface_and_ip_version(there: There) -> None:
    there.are(LO, Interface("eth0", 2, ("192.0.2.7", "192.0.2.8", "2001:db8::7")), WLAN0)
    speaks = {("192.0.2.7", 2), ("2001:db8::7", 2), ("198.51.100.9", 3)}
    assert set(Network.find(()).speaks) == speaks


def test_an_interface_stands_for_its_addresses() -> None:
    found = Network.find(("eth0",))
    assert found.listen == found.advertised == ("192.0.2.7", "2001:db8::7")


def test_addresses_and_interfaces_may_be_mixed_and_repeated() -> None:
    found = Network.find(("wlan0", "127.0.0.1", "198.51.100.9"))
    assert found.listen == found.advertised == ("198.51.100.9", "127.0.0.1")


@pytest.mark.parametrize(
    ("bind", "advertised"),
    [
        (("0.0.0.0",), ("192.0.2.7", "198.51.100.9")),
        (("::",), ("2001:db8::7",)),
        (("0.0.0.0", "::"), ("192.0.2.7", "198.51.100.9", "2001:db8::7")),
    ],
)
def test_the_unspecified_address_stands_for_all_of_its_version(
    bind: tuple[str, ...], advertised: tuple[str, ...]
) -> None:
    found = Network.find(bind)
    assert (found.listen, found.advertised) == (bind, advertised)


@pytest.mark.parametrize("name", ["eth9", "example", "192.0.2.7/24", ""])
def test_what_is_neither_interface_nor_address_is_an_error_that_lists_them(
    name: str,
) -> None:
    with pytest.raises(LinkError, match=r"wlan0 \(198\.51\.100\.9\)"):
        Network.find((name,))


@pytest.mark.parametrize("word", ["eth1", "192.0.2.8", "2001:db8::8"])
def test_what_is_not_there_is_waited_for_and_nothing_else_is_opened(word: str) -> None:
    found = Network.find((word,))
    assert found == Network((), (), (), (word,), is_waiting=True)
    assert found.hosts == ()


def test_what_is_there_of_bind_is_used_meanwhile() -> None:
    found = Network.find(("eth1", "wlan0"))
    assert (found.hosts, found.missing) == (("198.51.100.9",), ("eth1",))
    assert not found.is_waiting


def test_an_interface_that_has_vanished_while_it_runs_is_missing() -> None:
    assert Network.find(("usb9",), known=("usb9",)).missing == ("usb9",)


def test_with_nothing_but_loopback_it_waits_for_more(there: There) -> None:
    there.are(LO)
    found = Network.find(())
    assert found == Network((), ("127.0.0.1",), (("127.0.0.1", 1),), is_waiting=True)
    assert found.hosts == (None,)
    assert found.loopback_only


def test_who_wants_loopback_alone_waits_for_nothing() -> None:
    found = Network.find(("127.0.0.1",))
    assert found.loopback_only
    assert not found.is_waiting


def test_addresses_of_the_link_count_where_there_is_no_other(there: There) -> None:
    there.are(LO, ETH0, BARE)
    assert "fe80::2" not in Network.find(()).advertised
    there.are(LO, BARE)
    found = Network.find(())
    assert found.advertised == ("fe80::2",)
    assert found.speaks == (("fe80::2%eth2", 5),)
    assert Network.find(("eth2",)).listen == ("fe80::2%eth2",)


def test_an_address_of_the_link_may_be_bound_with_and_without_its_zone() -> None:
    for word in ("fe80::1", "fe80::1%eth0"):
        assert Network.find((word,)).listen == ("fe80::1%eth0",)
    assert Network.find(("fe80::1%wlan0",)).missing == ("fe80::1%wlan0",)


def info(name: str, number: int = 1) -> BridgeServiceInfo:
    state = SimpleNamespace(
        mac="AA:BB:CC:DD:EE:FF",
        setup_id="ABCD",
        config_version=2,
        paired=False,
        port=51826,
        addresses=["127.0.0.1"],
    )
    accessory: Any = SimpleNamespace(display_name=name, category=2)
    return BridgeServiceInfo(accessory, state, number)


@pytest.mark.parametrize(
    ("name", "announced"),
    [
        ("HK Bridge", "HK Bridge"),
        ("Küche & Büro", "Küche & Büro"),
        ("Дом", "Дом"),
        ("v1.2\tbridge", "v1 2 bridge"),
        ("...", "Bridge"),
        ("é" * 64, "é" * 28),
    ],
)
def test_the_announced_name_is_readable_and_fits(name: str, announced: str) -> None:
    told = info(name)
    assert told.name == f"{announced} DDEEFF._hap._tcp.local."
    assert told.server == "hk-bridge-AABBCCDDEEFF.local."
    assert len(told.name.split("._hap")[0].encode()) <= 63
    properties = told.decoded_properties
    assert (properties["sf"], properties["c#"], properties["ci"]) == ("1", "2", "2")
    assert properties["id"] == "AA:BB:CC:DD:EE:FF"


def test_a_number_behind_a_long_name_fits_too() -> None:
    label = info("é" * 64, 12).name.split("._hap")[0]
    assert label.endswith(" DDEEFF-12")
    assert len(label.encode()) <= 63


def test_the_interfaces_of_this_machine_are_found() -> None:
    (loopback,) = (each for each in working_interfaces() if "127.0.0.1" in each.addresses)
    assert loopback.index > 0
    assert {each.name for each in working_interfaces()} <= interface_names()
