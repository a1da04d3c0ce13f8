"""What the system says of its interfaces, in whatever way it says it."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hk_bridge.homekit import interfaces
from hk_bridge.homekit.interfaces import Interface, working_interfaces

V6_HOME, V6_LINK = "2001:db8::7", "fe80::7"


class System:
    """Stands for ifaddr, the flags of interfaces, and the list of IPv6 addresses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
        self.adapters: list[tuple[str, int, list[Any]]] = []
        self.down: set[str] = set()
        self.gone: set[str] = set()
        self.file = file
        self.file.write_text("")
        monkeypatch.setattr(interfaces, "_ADDRESSES", file)
        monkeypatch.setattr(f"{interfaces.__name__}.ifaddr.get_adapters", self._adapters)
        monkeypatch.setattr(f"{interfaces.__name__}.fcntl.ioctl", self._ioctl)

    def _adapters(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(
                name=name, index=index, ips=[SimpleNamespace(ip=ip) for ip in ips]
            )
            for name, index, ips in self.adapters
        ]

    def _ioctl(self, _socket: object, _request: int, name: bytes) -> bytes:
        text = name.rstrip(b"\0").decode()
        if text in self.gone:
            raise OSError(errno.ENODEV, "No such device")
        flags = 0x1003 if text in self.down else 0x1043
        return name[:16] + flags.to_bytes(2, "little") + bytes(14)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> System:
    return System(monkeypatch, tmp_path / "if_inet6")


def v6(address: str) -> tuple[str, int, int]:
    return address, 0, 0


def test_what_is_down_or_without_a_link_or_just_gone_does_not_work(system: System) -> None:
    system.adapters = [(name, 2, ["192.0.2.7"]) for name in ("eth0", "eth1", "eth2")]
    system.down, system.gone = {"eth1"}, {"eth2"}
    assert working_interfaces() == [Interface("eth0", 2, ("192.0.2.7",))]


def test_labels_of_addresses_are_no_interfaces_of_their_own(system: System) -> None:
    system.adapters = [
        ("eth0", 2, [v6(V6_LINK)]),
        ("eth0:1", 2, ["192.0.2.7"]),
        ("eth0:avahi", 2, ["169.254.3.4"]),
    ]
    (eth0,) = working_interfaces()
    assert eth0.name == "eth0"
    assert eth0.reachable == ("192.0.2.7", "169.254.3.4")


def test_an_address_of_the_link_counts_where_there_is_no_other(system: System) -> None:
    system.adapters = [("eth0", 2, [v6(V6_LINK), v6(V6_HOME)]), ("eth1", 3, [v6(V6_LINK)])]
    assert [each.reachable for each in working_interfaces()] == [
        (V6_HOME,),
        (f"{V6_LINK}%eth1",),
    ]


@pytest.mark.parametrize(("flags", "works"), [("80", True), ("40", False), ("c8", False)])
def test_an_ipv6_address_that_cannot_be_used_yet_is_left_out(
    system: System, flags: str, works: bool
) -> None:
    # Interfaces may have names of any letters.
    system.adapters = [("wlän0", 2, [v6(V6_HOME)])]
    system.file.write_bytes(
        f"20010db8000000000000000000000007 02 40 00 {flags} wlän0\n".encode()
        + b"fe80000000000000000000000000000f 03 40 20 80 \xff\xfe0\n"
    )
    assert bool(working_interfaces()) is works


def test_without_the_list_every_address_counts(system: System) -> None:
    system.adapters = [("en0", 2, [v6(V6_HOME)])]
    system.file.unlink()
    assert len(working_interfaces()) == 1
