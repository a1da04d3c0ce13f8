"""What passive scans ask for is heard by every BlueZ, and crashes none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from bleak.args.bluez import OrPatternLike

from hk_bridge.links.patterns import monitors
from hk_bridge.protocols.advert import UUIDS
from hk_bridge.protocols.products import PRODUCTS
from tests.fakes.bluez import READS_DATA, READS_UUID, FakeAdapter, Reading
from tests.fakes.sensors import atc1441, bthome, mibeacon, pvvx

ROOM = "A4:C1:38:8D:18:B2"
STRANGE = "7E:11:22:33:44:55"
KEY = bytes(range(16))

#: One frame of each format: UUID, and service data.
FRAMES: Mapping[str, tuple[int, bytes]] = {
    "MiBeacon": (0xFE95, mibeacon(0x055B, 1, ROOM, [(0x1004, b"\xcc\x00")])),
    "MiBeacon without MAC": (0xFE95, mibeacon(0x55B5, 1, ROOM, [], with_mac=False)),
    "MiBeacon, encrypted": (
        0xFE95,
        mibeacon(0x055B, 1, ROOM, [(0x1004, b"\1\2")], key=KEY),
    ),
    "ATC1441": (0x181A, atc1441(ROOM, -4.5, 62, 81, 2939, 98)),
    "pvvx": (0x181A, pvvx(ROOM, -6.7, 50.53, 100, 3143, 204)),
    "BTHome": (0xFCD2, bthome([(0x02, b"\x5d\x09")], ROOM)),
    "BTHome with MAC": (0xFCD2, bthome([(0x02, b"\x5d\x09")], ROOM, with_mac=True)),
    "BTHome, encrypted": (0xFCD2, bthome([(0x02, b"\x5d\x09")], ROOM, key=KEY)),
}
ENCRYPTED_181A: Mapping[str, tuple[int, bytes]] = {
    "ATC1441": (0x181A, atc1441(ROOM, -4.5, 62, 81, 2939, 98, key=KEY)),
    "pvvx": (0x181A, pvvx(ROOM, -6.7, 50.53, 100, 3143, 204, key=KEY)),
}
READINGS = (READS_UUID, READS_DATA)


def hears(frame: tuple[int, bytes], reading: Reading, flags: int | None = None) -> bool:
    """Whether a scan for everything that is known hears `frame`."""
    return _hears(monitors(UUIDS.values(), PRODUCTS, by_flags=True), frame, reading, flags)


def _hears(
    asked: Sequence[Sequence[OrPatternLike]],
    frame: tuple[int, bytes],
    reading: Reading,
    flags: int | None = None,
) -> bool:
    adapter = FakeAdapter("00:1A:7D:DA:71:00")
    for number, patterns in enumerate(asked):
        adapter.monitors["program", str(number)] = [
            (start, int(kind), content) for start, kind, content in patterns
        ]
    uuid, data = frame
    return adapter.hears({uuid: data}, reading, flags)


def test_patterns_have_the_uuid_for_one_bluez_and_what_follows_for_the_other() -> None:
    parts = monitors([0xFE95, 0x181A], [0x01AA, 0x055B])
    asked = [(start, int(kind), data.hex()) for part in parts for start, kind, data in part]
    assert asked[:4] == [
        (0, 0x16, "95fe"),
        (0, 0x16, "1a18"),
        (2, 0x16, "aa01"),
        (2, 0x16, "5b05"),
    ]
    assert {(0, 0x16, f"4{bits}") for bits in range(8)} < set(asked)
    assert {(0, 0x16, "a4c138"), (3, 0x16, "38c1a4")} < set(asked)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_of_each_format_is_heard_in_either_reading_without_flags(
    name: str, reading: Reading
) -> None:
    assert hears(FRAMES[name], reading)


@pytest.mark.parametrize("name", ENCRYPTED_181A)
def test_an_encrypted_181a_frame_is_heard_in_the_second_reading_by_its_flags_alone(
    name: str,
) -> None:
    assert hears(ENCRYPTED_181A[name], READS_UUID)
    assert hears(ENCRYPTED_181A[name], READS_DATA, flags=0x06)
    assert not hears(ENCRYPTED_181A[name], READS_DATA)


def test_flags_are_asked_for_only_on_wish() -> None:
    asked = monitors(UUIDS.values(), PRODUCTS, [ROOM])
    assert not _hears(asked, ENCRYPTED_181A["pvvx"], READS_DATA, flags=0x06)


@pytest.mark.parametrize("build", [atc1441, pvvx])
def test_a_sensor_of_an_unknown_maker_is_heard_where_its_address_is_known(
    build: Callable[..., bytes],
) -> None:
    frame = (0x181A, build(STRANGE, 20.0, 50, 100, 3000, 1))
    assert not _hears(monitors(UUIDS.values(), PRODUCTS), frame, READS_DATA)
    assert _hears(monitors(UUIDS.values(), PRODUCTS, [STRANGE]), frame, READS_DATA)


def test_a_house_of_a_hundred_makers_leaves_monitors_to_others_and_hears_by_flags() -> None:
    addresses = [f"{number:02X}:11:22:33:44:55" for number in range(100)]
    asked = monitors(UUIDS.values(), PRODUCTS, addresses)
    assert len(asked) <= 10
    last = (0x181A, pvvx(addresses[-1], 20.0, 50, 100, 3000, 1))
    assert _hears(asked, last, READS_DATA, flags=0x06)


def test_sensors_of_one_maker_cost_no_pattern_more_than_one_of_them() -> None:
    house = [f"7E:11:22:00:00:{number:02X}" for number in range(100)]
    assert monitors([0x181A], [], house) == monitors([0x181A], [], house[:1])


def test_what_a_system_shows_in_place_of_an_address_is_not_asked_for() -> None:
    shown = "6BFE9C11-7C2A-4D52-B5C1-B6C0F1B3F1A0"
    assert monitors([0x181A], [], [shown]) == monitors([0x181A], [])


def test_no_monitor_has_an_eighth_pattern_and_none_is_lost() -> None:
    fixed = sum(map(len, monitors([], [])))
    for count in range(40):
        parts = monitors([0xFE95], range(count))
        assert all(1 <= len(part) <= 7 for part in parts)
        assert sum(map(len, parts)) == fixed + count + 1


def test_all_that_is_known_fits_into_so_few_monitors_that_four_programs_can_scan() -> None:
    assert 4 * len(monitors(UUIDS.values(), PRODUCTS, by_flags=True)) <= 32
