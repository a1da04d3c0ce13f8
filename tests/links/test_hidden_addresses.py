"""Addresses that the system keeps to itself are found in the frames."""

from __future__ import annotations

from typing import Final

from hk_bridge.links.hidden_addresses import HiddenAddresses

FE95: Final = "0000fe95-0000-1000-8000-00805f9b34fb"
ROOM: Final = "4C:64:A8:D0:AE:65"
WITH_MAC: Final = bytes.fromhex("5020aa010165aed0a8644c0410020d01")
WITHOUT_MAC: Final = bytes.fromhex("4020aa01020410020d01")


def test_a_sender_is_known_by_the_mac_of_an_earlier_frame() -> None:
    hidden = HiddenAddresses()
    assert hidden.find("X", {FE95: WITHOUT_MAC}) == "X"
    assert hidden.find("X", {FE95: WITH_MAC}) == ROOM
    assert hidden.find("X", {FE95: WITHOUT_MAC}) == ROOM
    assert hidden.find("X", {}) == ROOM
    assert hidden.find("Y", {}) == "Y"


def test_nonsense_is_no_address() -> None:
    hidden = HiddenAddresses()
    for data in (b"", b"\x50", WITH_MAC[:8], bytes(5)):
        assert hidden.find("X", {FE95: data}) == "X"
    assert hidden.find("X", {"0000180f-0000-1000-8000-00805f9b34fb": WITH_MAC}) == "X"


def test_made_up_senders_do_not_fill_the_memory() -> None:
    hidden = HiddenAddresses()
    hidden.find("first", {FE95: WITH_MAC})
    for number in range(5000):
        hidden.find(f"{number}", {FE95: WITH_MAC})
    assert len(hidden._known) <= 1000
    assert hidden.find("first", {}) == "first"
    assert hidden.find("4999", {}) == ROOM
