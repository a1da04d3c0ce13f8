"""Frames of BTHome version 2 that others published."""

import re

import pytest

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.bthome import address_in, decode
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

ALL = load("fcd2.jsonl")
DOWNGRADED = [each for each in ALL if "downgrade_detected" in each["source"]]
READ = [each for each in ALL if each not in DOWNGRADED]
ENCRYPTED = [each for each in READ if each["bindkey"]]
QUANTITIES = ("temperature", "humidity", "battery", "voltage")
WRONG_OBJECT = "40015dfe5d0903b718"


def values_of(vector: Vector) -> dict[str, float]:
    """What the publisher expects of these quantities, of several ones the last."""
    named = [(re.sub(r"_\d$", "", name), value) for name, value in vector["expect"].items()]
    return {name: value for name, value in named if name in QUANTITIES}


def test_all_vectors_are_there() -> None:
    assert (len(READ), len(ENCRYPTED), len(DOWNGRADED)) == (26, 2, 1)
    assert all(each["source"] for each in ALL)


@each_of(READ)
def test_a_published_frame_has_the_published_values_and_no_others(vector: Vector) -> None:
    reading = decode(frame_of(vector), vector["address"], key_of(vector))
    assert reading.values == values_of(vector)
    assert reading.implausible == ()


@each_of(READ)
def test_a_published_frame_has_its_counters_and_address(vector: Vector) -> None:
    frame, expected = frame_of(vector), vector["expect"]
    reading = decode(frame, vector["address"], key_of(vector))
    assert (reading.format, reading.product_id) == ("bthome", None)
    packet_id = expected.get("packet_id", expected.get("packet"))
    assert reading.counter == (None if packet_id == "no packet id" else packet_id)
    if "counter" in expected:
        assert reading.encryption_counter == expected["counter"]
    assert (reading.encryption_counter is None) is (vector["bindkey"] is None)
    assert reading.address == address_in(frame)
    assert reading.address == (vector["address"] if frame[0] & 0x02 else None)


@each_of(READ)
def test_only_the_one_published_unknown_object_is_named(vector: Vector) -> None:
    reading = decode(frame_of(vector), vector["address"], key_of(vector))
    assert reading.unknown == ((0xFE,) if vector["payload_hex"] == WRONG_OBJECT else ())


@each_of(DOWNGRADED)
def test_the_published_plain_frame_of_a_sensor_with_a_key_is_refused(
    vector: Vector,
) -> None:
    with pytest.raises(DecodeError, match="sends openly though a bind key is given"):
        decode(frame_of(vector), vector["address"], key_of(vector))


@each_of(ENCRYPTED)
def test_a_published_encrypted_frame_without_its_key_needs_one(vector: Vector) -> None:
    reading = decode(frame_of(vector), vector["address"])
    assert reading.needs_key
    assert reading.values == {}


@each_of(ALL)
def test_a_truncated_frame_is_refused_or_a_part_of_the_whole(vector: Vector) -> None:
    # Of several objects of one quantity an earlier one may be the last that is left.
    whole = values_of(vector).keys()
    for key in (None, key_of(vector), bytes(16)):
        for frame in truncated(frame_of(vector)):
            reading = plausible_or_refused(decode, frame, vector["address"], key)
            if reading is not None:
                assert reading.values.keys() <= whole


@each_of(ALL)
def test_a_frame_with_any_bit_flipped_is_refused_or_read_as_what_can_be(
    vector: Vector,
) -> None:
    read = 0
    for key in (None, key_of(vector), bytes(16)):
        for frame in flipped(frame_of(vector)):
            reading = plausible_or_refused(decode, frame, vector["address"], key)
            read += reading is not None
            assert reading is None or key is None
    assert read


@each_of(ENCRYPTED)
def test_no_bit_of_an_encrypted_frame_can_be_changed_unseen(vector: Vector) -> None:
    for frame in flipped(frame_of(vector)):
        with pytest.raises(DecodeError):
            decode(frame, vector["address"], key_of(vector))
