"""Which addresses a bridge listens on and announces."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from hk_bridge.errors import LinkError
from hk_bridge.homekit.network import BridgeServiceInfo, Network

ADAPTERS: dict[str, list[object]] = {
    "lo": ["127.0.0.1", ("::1", 0, 0)],
    "eth0": ["192.0.2.7", ("2001:db8::7", 0, 0), ("fe80::1%eth0", 0, 2)],
    "wlan0": ["198.51.100.9"],
    "eth1": [],
}


@pytest.fixture(autouse=True)
def adapters(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[object]]:
    """The interfaces of this machine, which a test may change."""
    found = {name: list(ips) for name, ips in ADAPTERS.items()}
    monkeypatch.setattr(
        "hk_bridge.homekit.network.ifaddr.get_adapters",
        lambda: [
            SimpleNamespace(name=name, ips=[SimpleNamespace(ip=ip) for ip in ips])
            for name, ips in found.items()
        ],
    )
    return found


def test_without_bind_it_listens_everywhere_and_announces_all_outside_addresses() -> None:
    assert Network.find(()) == Network((), ("192.0.2.7", "198.51.100.9", "2001:db8::7"))


def test_an_interface_stands_for_its_addresses() -> None:
    expected = ("192.0.2.7", "2001:db8::7")
    assert Network.find(("eth0",)) == Network(expected, expected)


def test_addresses_and_interfaces_may_be_mixed_and_repeated() -> None:
    expected = ("198.51.100.9", "127.0.0.1")
    assert Network.find(("wlan0", "127.0.0.1", "198.51.100.9")) == Network(
        expected, expected
    )


def test_the_unspecified_address_stands_for_all() -> None:
    found = Network.find(("0.0.0.0",))
    assert found.listen == ("0.0.0.0",)
    assert "192.0.2.7" in found.advertised


@pytest.mark.parametrize("name", ["eth9", "192.0.2.8", "example", "192.0.2.7/24", ""])
def test_what_is_neither_interface_nor_address_is_an_error_that_lists_them(
    name: str,
) -> None:
    with pytest.raises(LinkError, match=r"wlan0 \(198\.51\.100\.9\)"):
        Network.find((name,))


def test_an_interface_without_an_address_is_an_error() -> None:
    with pytest.raises(LinkError, match="eth1"):
        Network.find(("eth1",))


def test_with_nothing_but_loopback_it_says_so(adapters: dict[str, list[object]]) -> None:
    for name in ("eth0", "wlan0"):
        adapters[name].clear()
    found = Network.find(())
    assert found == Network((), ("127.0.0.1",))
    assert found.loopback_only


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
    state = SimpleNamespace(
        mac="AA:BB:CC:DD:EE:FF",
        setup_id="ABCD",
        config_version=2,
        paired=False,
        port=51826,
        addresses=["127.0.0.1"],
    )
    accessory: Any = SimpleNamespace(display_name=name, category=2)
    info = BridgeServiceInfo(accessory, state)
    assert info.name == f"{announced} DDEEFF._hap._tcp.local."
    assert info.server == "hk-bridge-AABBCCDDEEFF.local."
    assert len(info.name.split("._hap")[0].encode()) <= 63
    properties = info.decoded_properties
    assert (properties["sf"], properties["c#"], properties["ci"]) == ("1", "2", "2")
    assert properties["id"] == "AA:BB:CC:DD:EE:FF"


@pytest.mark.skipif(not hasattr(socket, "SO_BINDTODEVICE"), reason="Linux has it")
async def test_on_loopback_alone_mdns_hears_nothing_from_elsewhere() -> None:
    responder = Network(("127.0.0.1",), ("127.0.0.1",)).zeroconf()
    listener = responder.zeroconf.engine._listen_socket
    assert listener is not None
    bound = listener.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
    assert bound == b"lo\0"
    await responder.async_close()
