"""What real BlueZ has recorded is read back right, from the HCI packets to the values.

scripts/guest/record.py has made the captures: it has sent each frame twice.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, Final

import pytest

from hk_bridge.protocols import advert
from hk_bridge.protocols.captures import Capture
from hk_bridge.protocols.hci import Heard

CAPTURES: Final = Path(__file__).parents[1] / "vectors" / "captures"
VERSIONS: Final = ("5.66", "5.82")
TIMES: Final = 2

#: What stands for the formats; each comes plain and encrypted.
FORMATS: Final = {"mibeacon", "atc1441", "pvvx", "bthome"}

#: When they were made, in seconds of Unix time; a file that is read wrong is far off.
EARLIEST: Final = 1_700_000_000.0
LATEST: Final = 2_000_000_000.0

files = pytest.mark.parametrize(
    ("file", "version"),
    [
        (name.format(version), version)
        for version in VERSIONS
        for name in ("bluez-{}.btsnoop", "hcidump-{}.txt")
    ],
)


def read(file: str, chunk: int = 1 << 16) -> list[Heard]:
    """All adverts in a capture, which is fed piece by piece."""
    capture, data = Capture(), (CAPTURES / file).read_bytes()
    heard: list[Heard] = []
    for start in range(0, len(data), chunk):
        heard += capture.feed(data[start : start + chunk])
    return [*heard, *capture.end()]


def sent(version: str) -> list[dict[str, Any]]:
    """What was broadcast, in order."""
    text = (CAPTURES / f"bluez-{version}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@files
def test_every_frame_that_was_sent_is_in_the_capture_in_order(
    file: str, version: str
) -> None:
    expected = [
        (frame["address"], {int(frame["uuid"], 16): bytes.fromhex(frame["payload_hex"])})
        for frame in sent(version)
        for _ in range(TIMES)
    ]
    assert [(each.address, dict(each.service_data)) for each in read(file)] == expected


@files
def test_every_frame_says_what_its_sensor_has_measured(file: str, version: str) -> None:
    formats: set[tuple[str, bool]] = set()
    heard = read(file)[::TIMES]
    for each, frame in zip(heard, sent(version), strict=True):
        key = bytes.fromhex(frame["bindkey"]) if frame["bindkey"] else None
        reading = advert.decode(each.service_data, each.address, key)
        assert reading is not None
        assert dict(reading.values) == frame["expect"], frame["device"]
        formats.add((reading.format, key is not None))
    assert formats == set(itertools.product(FORMATS, (False, True)))


@files
def test_what_the_adapter_adds_is_read_too(file: str, version: str) -> None:
    heard = read(file)
    assert len(heard) == TIMES * len(sent(version))
    assert all(each.rssi is not None and -70 <= each.rssi <= -50 for each in heard)
    times = [each.at for each in heard]
    if file.endswith(".txt"):
        assert set(times) == {None}
    else:
        assert all(at is not None and EARLIEST < at < LATEST for at in times)
        assert times == sorted(times, key=lambda at: at or 0.0)


@files
def test_a_capture_that_comes_byte_by_byte_is_the_same(file: str, version: str) -> None:
    assert len(read(file)) == TIMES * len(sent(version))
    assert read(file, chunk=1) == read(file)
