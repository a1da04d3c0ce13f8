"""Frames that others published, with the values that they expect."""

import pytest

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.mibeacon import MiBeaconFrame, decode
from tests.protocols.published import (
    MIBEACON_QUANTITIES,
    Vector,
    each_of,
    flipped,
    frame_of,
    key_of,
    load,
    plausible_or_refused,
    truncated,
)

ENCRYPTED, MAC_INCLUDED = 0x08, 0x10  # both are in the first byte

PLAIN = load("fe95_plain.jsonl")
KEYED = load("fe95_encrypted.jsonl")
WRONG_KEY = [each for each in KEYED if "bindkey_wrong" in each["source"]]
RIGHT_KEY = [each for each in KEYED if each not in WRONG_KEY]
SEALED = [each for each in RIGHT_KEY if len(each["bindkey"]) == 32]


def test_all_vectors_are_there() -> None:
    assert (len(PLAIN), len(RIGHT_KEY), len(WRONG_KEY)) == (30, 15, 1)
    assert all(each["source"] for each in PLAIN + KEYED)


@each_of(PLAIN + RIGHT_KEY)
def test_a_published_frame_has_the_published_values_and_no_others(vector: Vector) -> None:
    reading = decode(frame_of(vector), vector["address"], key_of(vector))
    expected = vector["expect"]
    assert reading.values == {
        name: expected[name] for name in MIBEACON_QUANTITIES if name in expected
    }


@each_of(PLAIN + RIGHT_KEY)
def test_a_published_frame_has_its_product_counter_and_address(vector: Vector) -> None:
    frame = frame_of(vector)
    reading = decode(frame, vector["address"], key_of(vector))
    assert reading.format == "mibeacon"
    assert reading.product_id == frame[2] + 256 * frame[3]
    assert reading.counter == frame[4]
    if "counter" in vector["expect"]:
        assert reading.counter == vector["expect"]["counter"]
    assert reading.address == (vector["address"] if frame[0] & MAC_INCLUDED else None)


@each_of(PLAIN + KEYED)
def test_only_an_encrypted_frame_needs_a_key(vector: Vector) -> None:
    frame = frame_of(vector)
    reading = decode(frame, vector["address"])
    assert reading.needs_key is bool(frame[0] & ENCRYPTED)
    if reading.needs_key:
        assert reading.values == {}


@each_of(RIGHT_KEY)
def test_a_published_frame_with_its_key_needs_no_key(vector: Vector) -> None:
    assert not decode(frame_of(vector), vector["address"], key_of(vector)).needs_key


@each_of(WRONG_KEY)
def test_the_published_wrong_key_is_refused(vector: Vector) -> None:
    with pytest.raises(DecodeError, match="the bind key does not fit this frame"):
        decode(frame_of(vector), vector["address"], key_of(vector))


@pytest.mark.parametrize(
    ("payload", "counter", "values"),
    [
        ("5020aa018b80f3d0a8654c041002d500", 0x8B, {"temperature": 21.3}),
        (
            "5020aa018c80f3d0a8654c0d1004d400cb00",
            0x8C,
            {"temperature": 21.2, "humidity": 20.3},
        ),
        ("5020aa018f80f3d0a8654c0a100112", 0x8F, {"battery": 18}),
        ("5020aa019180f3d0a8654c061002cc00", 0x91, {"humidity": 20.4}),
    ],
)
def test_the_frames_of_one_sensor_agree_with_each_other(
    payload: str, counter: int, values: dict[str, float]
) -> None:
    reading = decode(bytes.fromhex(payload))
    assert reading.values == values
    assert (reading.product_id, reading.counter) == (0x01AA, counter)
    assert reading.address == "4C:65:A8:D0:F3:80"


@each_of(PLAIN + KEYED)
def test_a_truncated_frame_is_an_error_or_a_part_of_the_whole(vector: Vector) -> None:
    frame, address, key = frame_of(vector), vector["address"], key_of(vector)
    whole = plausible_or_refused(decode, frame, address, key)
    values = {} if whole is None else whole.values
    for part in truncated(frame):
        reading = plausible_or_refused(decode, part, address, key)
        if reading is not None:
            assert len(part) >= 5
            assert reading.values.items() <= values.items()


@each_of(PLAIN + KEYED)
def test_a_frame_with_any_bit_flipped_is_an_error_or_plausible(vector: Vector) -> None:
    frame, key = frame_of(vector), key_of(vector)
    for damaged in flipped(frame):
        plausible_or_refused(decode, damaged, vector["address"], key)


@each_of(PLAIN)
def test_a_damaged_plain_frame_is_an_error_or_a_frame(vector: Vector) -> None:
    frame = frame_of(vector)
    for each in (*truncated(frame), *flipped(frame)):
        try:
            found = MiBeaconFrame.from_bytes(each)
        except DecodeError:
            continue
        assert found.product_id == each[2] + 256 * each[3]


@each_of(SEALED)
def test_no_bit_of_a_sealed_frame_can_be_changed_unseen(vector: Vector) -> None:
    # Frame control itself is not sealed: it decides whether anything is encrypted.
    frame, address, key = frame_of(vector), vector["address"], key_of(vector)
    for damaged in list(flipped(frame))[16:]:
        with pytest.raises(DecodeError):
            decode(damaged, address, key)
