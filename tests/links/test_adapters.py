"""Which adapter to listen with, and what is said where none can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hk_bridge.errors import LinkError
from hk_bridge.links.adapters import Adapter, choose


def adapter(number: int, **how: Any) -> Adapter:
    return Adapter(
        **{
            "name": f"hci{number}",
            "address": f"00:1A:7D:DA:71:{number:02X}",
            "is_on": True,
            "has_le": True,
            "monitors": True,
            "spell": 1,
            **how,
        }
    )


def refusal(*adapters: Adapter, wanted: str | None = None, rfkill: Path) -> str:
    with pytest.raises(LinkError) as caught:
        choose(adapters, wanted, rfkill)
    return str(caught.value)


def switch(rfkill: Path, name: str, *, hard: bool = False, soft: bool = False) -> None:
    place = rfkill / f"rfkill{len(list(rfkill.iterdir()))}"
    place.mkdir()
    (place / "name").write_text(f"{name}\n")
    (place / "hard").write_text(f"{hard:d}\n")
    (place / "soft").write_text(f"{soft:d}\n")


def test_the_first_one_that_is_on_is_taken(tmp_path: Path) -> None:
    hci2, hci10 = adapter(2), adapter(10)
    assert choose([hci10, hci2], None, tmp_path) == hci2
    assert choose([hci10, adapter(2, is_on=False)], None, tmp_path) == hci10
    assert choose([hci10, adapter(2, has_le=False)], None, tmp_path) == hci10


@pytest.mark.parametrize("wanted", ["hci1", "00:1A:7D:DA:71:01"])
def test_one_that_is_named_is_taken_and_no_other(tmp_path: Path, wanted: str) -> None:
    hci0, hci1 = adapter(0), adapter(1)
    assert choose([hci0, hci1], wanted, tmp_path) == hci1
    said = refusal(hci0, adapter(1, is_on=False), wanted=wanted, rfkill=tmp_path)
    assert said == (
        "the Bluetooth adapter hci1 is switched off. Type: printf "
        "'select 00:1A:7D:DA:71:01\\npower on\\n' | bluetoothctl"
    )


def test_a_missing_one_is_said_with_those_that_are_there(tmp_path: Path) -> None:
    assert refusal(adapter(0), wanted="hci1", rfkill=tmp_path) == (
        "the Bluetooth adapter hci1 is not there, but hci0 (00:1A:7D:DA:71:00). Plug it "
        'in, or change "adapter" under "bluetooth" in accessories.json'
    )
    none = "no Bluetooth adapter. Plug one in, or see what `bluetoothctl list` says"
    assert refusal(rfkill=tmp_path) == none
    assert refusal(wanted="hci1", rfkill=tmp_path) == none


def test_one_without_le_is_said(tmp_path: Path) -> None:
    assert "has no Bluetooth LE" in refusal(adapter(0, has_le=False), rfkill=tmp_path)


HARD = (
    "the Bluetooth adapter hci0 is blocked by a switch or a key of the computer. What "
    "blocks it, says: rfkill list bluetooth"
)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (
            {},
            "the Bluetooth adapter hci0 is switched off. Type: bluetoothctl power on",
        ),
        (
            {"soft": True},
            "the Bluetooth adapter hci0 is blocked. Type: sudo rfkill unblock bluetooth",
        ),
        (
            {"soft": True, "hard": True},
            HARD,
        ),
    ],
)
def test_why_it_is_off_is_said(tmp_path: Path, block: dict[str, bool], said: str) -> None:
    switch(tmp_path, "phy0", soft=True, hard=True)
    switch(tmp_path, "hci0", **block)
    assert refusal(adapter(0, is_on=False), rfkill=tmp_path) == said


def test_without_rfkill_it_is_just_off(tmp_path: Path) -> None:
    (tmp_path / "rfkill0").mkdir()
    off = adapter(0, is_on=False)
    for place in (tmp_path, tmp_path / "missing"):
        assert "is switched off" in refusal(off, rfkill=place)
