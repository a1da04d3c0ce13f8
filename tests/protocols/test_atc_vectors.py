"""Frames of ATC1441 and pvvx firmware that others published."""

import pytest

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.atc import address_in, decode
from tests.protocols.published import (
    Vector,
    each_of,
    flipped,
    frame_of,
    key_of,
    load,
    plausible_or_refused,
    truncated,
)

ALL = load("181a.jsonl")
KEYED = [each for each in ALL if each["bindkey"]]
PLAIN = [each for each in ALL if not each["bindkey"]]
QUANTITIES = ("temperature", "humidity", "battery", "voltage")
NAMES = {8: "atc1441", 11: "pvvx", 13: "atc1441", 15: "pvvx"}


def values_of(vector: Vector) -> dict[str, float]:
    expected = vector["expect"]
    return {name: expected[name] for name in QUANTITIES if name in expected}


def test_all_vectors_are_there() -> None:
    assert (len(PLAIN), len(KEYED)) == (13, 1)
    assert all(each["source"] for each in ALL)


@each_of(PLAIN)
def test_a_published_frame_has_the_published_values_and_no_others(vector: Vector) -> None:
    assert decode(frame_of(vector), vector["address"]).values == values_of(vector)


@each_of(KEYED)
def test_a_published_encrypted_frame_has_its_values_and_no_voltage(vector: Vector) -> None:
    # On purpose: no voltage is in the frame. Its publisher guesses one from the percent.
    expected = values_of(vector)
    assert expected.pop("voltage") == pytest.approx(2.2 + 0.9 * expected["battery"] / 100)
    assert decode(frame_of(vector), vector["address"], key_of(vector)).values == expected


@each_of(ALL)
def test_a_published_frame_has_its_format_counter_and_address(vector: Vector) -> None:
    frame, expected = frame_of(vector), vector["expect"]
    reading = decode(frame, vector["address"], key_of(vector))
    assert reading.format == NAMES[len(frame)]
    assert reading.product_id is reading.encryption_counter is None
    counters = [expected[name] for name in ("packet", "counter") if name in expected]
    assert counters in ([], [reading.counter])
    shown = None if vector["bindkey"] else vector["address"]
    assert reading.address == address_in(frame) == shown


@each_of(ALL)
def test_a_truncated_frame_is_refused_or_read_as_what_can_be(vector: Vector) -> None:
    # What is left may be as long as another frame is; its numbers are then others.
    for key in (None, key_of(vector), bytes(16)):
        for frame in truncated(frame_of(vector)):
            reading = plausible_or_refused(decode, frame, vector["address"], key)
            assert (reading is None) or len(frame) in {8, 11, 13, 14}


@each_of(ALL)
def test_a_frame_with_any_bit_flipped_is_refused_or_read_as_what_can_be(
    vector: Vector,
) -> None:
    for key in (None, key_of(vector), bytes(16)):
        for frame in flipped(frame_of(vector)):
            reading = plausible_or_refused(decode, frame, vector["address"], key)
            assert (reading is None) is bool(vector["bindkey"] and key)


@each_of(KEYED)
def test_no_bit_of_an_encrypted_frame_can_be_changed_unseen(vector: Vector) -> None:
    for frame in flipped(frame_of(vector)):
        with pytest.raises(DecodeError, match="the bind key does not fit this frame"):
            decode(frame, vector["address"], key_of(vector))
