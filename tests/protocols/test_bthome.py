"""Frames of BTHome version 2, plain and encrypted."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.errors import BindKeyError, DecodeError
from hk_bridge.model import Quantity, Reading
from hk_bridge.protocols.bthome import UUID, address_in, decode
from tests.fakes.sensors import Object, bthome, bthome_climate

ADDRESS = "54:48:E6:8F:80:A5"
MAC = bytes.fromhex("5448e68f80a5")
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")

CLIMATE = bthome_climate(46, 23.97, 63.27, 93)
VALUES: dict[Quantity, float] = {"temperature": 23.97, "humidity": 63.27, "battery": 93}

#: Length of the data → ids, one by one, as the description of the format lists them.
IDS = {
    1: "00 01 09 0f 10 11 15 16 17 18 19 1a 1b 1c 1d 1e 1f 20 21 22 23 24 25 26 27 28 29"
    " 2a 2b 2c 2d 2e 2f 3a 46 57 58 59 60 64 65",
    2: "02 03 06 07 08 0c 0d 0e 12 13 14 3c 3d 3f 40 41 43 44 45 47 48 49 4a 51 52 56 5a"
    " 5d 5e 5f 61 f0",
    3: "04 05 0a 0b 42 4b f2",
    4: "3e 4c 4d 4e 4f 50 55 5b 5c 62 63 f1",
}
LENGTHS = {kind: length for length, ids in IDS.items() for kind in bytes.fromhex(ids)}
OWN_LENGTH = {0x3B, 0x53, 0x54}
UNKNOWN = sorted(set(range(256)) - set(LENGTHS) - OWN_LENGTH)
SHOWN = {0x01, 0x02, 0x03, 0x05, 0x0C, 0x14, 0x15, 0x2E, 0x2F}
SHOWN |= {0x45, 0x4A, 0x56, 0x57, 0x58}


def read(objects: str) -> Reading:
    return decode(bytes.fromhex(f"40 {objects}"))


def test_the_uuid_is_that_of_bthome() -> None:
    assert UUID == 0xFCD2


# The objects -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objects", "values"),
    [
        ("01 5d", {"battery": 93}),
        ("02 5d09", {"temperature": 23.97}),
        ("02 18fc", {"temperature": -10.0}),
        ("02 ffff", {"temperature": -0.01}),
        ("03 b718", {"humidity": 63.27}),
        ("05 138a14", {"illuminance": 13460.67}),
        ("05 ffffff", {"illuminance": 167772.15}),
        ("0c 020c", {"voltage": 3.074}),
        ("14 020c", {"moisture": 30.74}),
        ("15 00", {"lowBattery": 0}),
        ("15 01", {"lowBattery": 1}),
        ("2e 23", {"humidity": 35}),
        ("2f 23", {"moisture": 35}),
        ("45 1101", {"temperature": 27.3}),
        ("45 85ff", {"temperature": -12.3}),
        ("4a 020c", {"voltage": 307.4}),
        ("56 e803", {"conductivity": 1000}),
        ("57 ea", {"temperature": -22}),
        ("58 ea", {"temperature": -7.7}),
        ("58 01", {"temperature": 0.35}),
        ("58 7f", {"temperature": 44.45}),
    ],
)
def test_each_object_carries_its_quantity(
    objects: str, values: dict[Quantity, float]
) -> None:
    assert read(objects) == Reading("bthome", None, None, values=values)


def test_zero_is_a_value() -> None:
    assert read("01 00 02 0000 03 0000 0c 0000").values == {
        "battery": 0,
        "temperature": 0.0,
        "humidity": 0.0,
        "voltage": 0.0,
    }


@given(number=st.integers(-4000, 8500))
def test_every_hundredth_of_a_degree_comes_out_as_it_would_be_written(number: int) -> None:
    frame = b"\x40\x02" + struct.pack("<h", number)
    assert decode(frame).temperature == float(f"{number}e-2")


@given(number=st.integers(-114, 127))
def test_steps_of_0_35_degrees_come_out_with_two_decimals(number: int) -> None:
    reading = decode(b"\x40\x58" + struct.pack("<b", number))
    assert reading.temperature == round(0.35 * number, 2)


def test_the_packet_id_is_the_counter() -> None:
    assert read("00 2e") == Reading("bthome", None, 46)
    assert read("00 ff 01 5d") == Reading("bthome", None, 255, values={"battery": 93})
    assert read("01 5d").counter is None


def test_of_several_objects_of_one_quantity_the_last_counts() -> None:
    reading = read("02 ca09 02 cf09 45 e100 03 b718 2e 3c")
    assert reading.values == {"temperature": 22.5, "humidity": 60}


def test_the_order_of_the_objects_does_not_matter() -> None:
    assert read("03 bf13 02 ca09 00 07") == read("00 07 02 ca09 03 bf13")


@pytest.mark.parametrize("kind", sorted(LENGTHS), ids=hex)
def test_every_known_object_is_as_long_as_it_should_be(kind: int) -> None:
    # Zeros, so that each value can be; what follows is found at its place.
    data = bytes(LENGTHS[kind])
    reading = decode(bytes([0x40, kind, *data, 0x01, 35]))
    assert reading.battery == 35
    assert len(reading.values) == 1 + (kind in SHOWN - {0x01})
    assert reading.unknown == ()


@pytest.mark.parametrize("length", [0, 1, 20])
@pytest.mark.parametrize("kind", [0x53, 0x54], ids=["text", "raw"])
def test_text_is_as_long_as_it_says(kind: int, length: int) -> None:
    reading = decode(bytes([0x40, kind, length, *(b"\x01" * length), 0x01, 93]))
    assert reading == Reading("bthome", None, None, values={"battery": 93})


@pytest.mark.parametrize("head", [0x00, 0x01, 0x03, 0xE3])
def test_a_command_is_as_long_as_five_bits_say_and_one_byte_more(head: int) -> None:
    arguments = b"\x02" * (head & 0x1F)
    frame = bytes([0x40, 0x3B, head, 0x01, *arguments, 0x01, 93])
    assert decode(frame) == Reading("bthome", None, None, values={"battery": 93})


@pytest.mark.parametrize("kind", UNKNOWN, ids=hex)
def test_an_unknown_object_ends_what_can_be_read_and_is_named(kind: int) -> None:
    frame = bytes([0x40, 0x00, 7, 0x01, 93, kind, 0x02, 0x5D, 0x09])
    assert decode(frame) == Reading(
        "bthome", None, 7, values={"battery": 93}, unknown=(kind,)
    )
    assert decode(frame[:6]) == decode(frame)


@pytest.mark.parametrize("kind", sorted(LENGTHS), ids=hex)
def test_a_frame_that_ends_inside_a_known_object_is_refused(kind: int) -> None:
    for length in range(LENGTHS[kind]):
        with pytest.raises(DecodeError) as caught:
            decode(bytes([0x40, 0x01, 93, kind, *bytes(length)]))
        assert str(caught.value) == (
            f"object 0x{kind:02X} has {length} bytes instead of {LENGTHS[kind]}"
        )


@pytest.mark.parametrize(
    "objects", ["53", "53 02 41", "54", "54 ff", "3b", "3b 00", "3b 01 01"]
)
def test_a_frame_that_ends_inside_a_text_or_command_is_refused(objects: str) -> None:
    with pytest.raises(DecodeError, match="instead of"):
        read(objects)


@pytest.mark.parametrize(
    ("objects", "implausible"),
    [
        ("01 65", "battery"),
        ("02 3521", "temperature"),
        ("02 ff7f", "temperature"),
        ("03 1127", "humidity"),
        ("15 02", "lowBattery"),
        ("2f 65", "moisture"),
        ("4a ffff", "voltage"),
        ("56 ffff", "conductivity"),
        ("58 80", "temperature"),
    ],
)
def test_a_value_that_cannot_be_is_named_and_kept_back(
    objects: str, implausible: Quantity
) -> None:
    reading = read(f"05 138a14 {objects}")
    assert reading.values == {"illuminance": 13460.67}
    assert reading.implausible == (implausible,)


# The layout --------------------------------------------------------------------------


@pytest.mark.parametrize("trigger_based", [False, True])
def test_a_mac_in_the_frame_moves_the_objects(trigger_based: bool) -> None:
    frame = bthome(CLIMATE, ADDRESS, with_mac=True, trigger_based=trigger_based)
    assert decode(frame) == Reading("bthome", None, 46, MAC, VALUES)
    assert address_in(frame) == decode(frame).address == ADDRESS


@pytest.mark.parametrize("trigger_based", [False, True])
def test_without_a_mac_the_objects_follow_the_first_byte(trigger_based: bool) -> None:
    frame = bthome(CLIMATE, ADDRESS, trigger_based=trigger_based)
    assert decode(frame, ADDRESS) == Reading("bthome", None, 46, values=VALUES)
    assert address_in(frame) is None


@pytest.mark.parametrize("with_mac", [False, True])
def test_a_frame_without_an_object_is_a_reading_without_a_value(with_mac: bool) -> None:
    reading = decode(bthome([], ADDRESS, with_mac=with_mac))
    assert reading == Reading("bthome", None, None, MAC if with_mac else b"")


@pytest.mark.parametrize("version", [0, 1, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("key", [None, KEY])
def test_any_other_version_is_refused(version: int, key: bytes | None) -> None:
    frame = bthome(CLIMATE, ADDRESS, key=key, version=version)
    with pytest.raises(DecodeError) as caught:
        decode(frame, ADDRESS, key)
    assert str(caught.value) == (
        f"the frame is of BTHome version {version}, only version 2 can be read"
    )
    assert address_in(frame) is None


def test_no_bytes_are_no_frame() -> None:
    with pytest.raises(DecodeError, match="has at least 1 byte, this has none"):
        decode(b"")
    assert address_in(b"") is None


@pytest.mark.parametrize("length", range(6))
@pytest.mark.parametrize("info", [0x42, 0x43])
def test_a_frame_that_ends_inside_its_mac_is_refused(info: int, length: int) -> None:
    frame = bytes([info, *bytes(length)])
    with pytest.raises(DecodeError, match="the frame ends inside its header"):
        decode(frame, ADDRESS)
    assert address_in(frame) is None


# Encryption --------------------------------------------------------------------------


@pytest.mark.parametrize("with_mac", [False, True])
@pytest.mark.parametrize("counter", [0, 1, 0x33221100, 0xFFFFFFFF])
@pytest.mark.parametrize("trigger_based", [False, True])
def test_the_right_key_opens_a_frame(
    with_mac: bool, counter: int, trigger_based: bool
) -> None:
    frame = bthome(
        CLIMATE,
        ADDRESS,
        key=KEY,
        counter=counter,
        with_mac=with_mac,
        trigger_based=trigger_based,
    )
    assert decode(frame, ADDRESS, KEY) == Reading(
        "bthome",
        None,
        46,
        MAC if with_mac else b"",
        VALUES,
        encryption_counter=counter,
    )


@pytest.mark.parametrize("with_mac", [False, True])
def test_without_a_key_an_encrypted_frame_says_that_it_needs_one(with_mac: bool) -> None:
    frame = bthome(CLIMATE, ADDRESS, key=KEY, counter=300, with_mac=with_mac)
    # The packet id is encrypted too.
    assert decode(frame, ADDRESS) == Reading(
        "bthome",
        None,
        None,
        MAC if with_mac else b"",
        needs_key=True,
        encryption_counter=300,
    )


def test_the_mac_of_the_frame_goes_before_the_address_that_was_heard() -> None:
    frame = bthome(CLIMATE, ADDRESS, key=KEY, with_mac=True)
    for address in (None, "A4:C1:38:8D:18:B2", "6E400001-B5A3-F393-E0A9-E50E24DCCA9E"):
        assert decode(frame, address, KEY).values == VALUES


@pytest.mark.parametrize(
    "address",
    [None, "", "A4:C1:38:02:83", "the kitchen", "6E400001-B5A3-F393-E0A9-E50E24DCCA9E"],
)
def test_a_frame_without_a_mac_cannot_be_opened_without_the_address(
    address: str | None,
) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(bthome(CLIMATE, ADDRESS, key=KEY), address, KEY)
    assert str(caught.value) == "decrypting needs the address of the sensor"
    # It is not the key that is wrong.
    assert not isinstance(caught.value, BindKeyError)


def test_the_address_of_another_sensor_opens_nothing() -> None:
    with pytest.raises(BindKeyError, match="does not fit"):
        decode(bthome(CLIMATE, ADDRESS, key=KEY), "54:48:E6:8F:80:A6", KEY)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (bytes(16), "the bind key does not fit this frame"),
        (b"", "the bind key of this sensor has 16 bytes"),
        (KEY[:12], "the bind key of this sensor has 16 bytes"),
        (KEY + KEY, "the bind key of this sensor has 16 bytes"),
    ],
)
@pytest.mark.parametrize("with_mac", [False, True])
def test_a_key_that_does_not_fit_is_refused(
    key: bytes, message: str, with_mac: bool
) -> None:
    with pytest.raises(BindKeyError) as caught:
        decode(bthome(CLIMATE, ADDRESS, key=KEY, with_mac=with_mac), ADDRESS, key)
    assert str(caught.value) == message


@pytest.mark.parametrize("key", [KEY, bytes(16), b""])
@pytest.mark.parametrize("objects", [CLIMATE, []])
def test_a_plain_frame_of_a_sensor_that_has_a_key_is_refused(
    objects: list[Object], key: bytes
) -> None:
    # Or else anybody could speak for a sensor that is protected.
    with pytest.raises(DecodeError) as caught:
        decode(bthome(objects, ADDRESS), ADDRESS, key)
    assert str(caught.value) == (
        "the sensor sends openly though a bind key is given: take the bindKey out if that "
        "is meant, or switch its encryption on; the frame may be somebody else's"
    )
    assert not isinstance(caught.value, BindKeyError)


@pytest.mark.parametrize("length", range(8))
@pytest.mark.parametrize("key", [None, KEY])
def test_an_encrypted_frame_without_room_for_its_tail_is_too_short(
    length: int, key: bytes | None
) -> None:
    for head in (b"\x41", b"\x43" + MAC[::-1]):
        with pytest.raises(DecodeError, match="the encrypted frame is too short"):
            decode(head + bytes(length), ADDRESS, key)


def test_an_encrypted_frame_of_nothing_but_its_tail_holds_no_value() -> None:
    reading = decode(bthome([], ADDRESS, key=KEY), ADDRESS, KEY)
    assert reading == Reading("bthome", None, None, encryption_counter=1)


def test_an_encrypted_frame_may_hold_a_damaged_or_an_unknown_object() -> None:
    with pytest.raises(DecodeError, match="object 0x02 has 1 bytes instead of 2"):
        decode(bthome([(0x02, b"\x5d")], ADDRESS, key=KEY), ADDRESS, KEY)
    reading = decode(bthome([*CLIMATE, (0xFE, b"")], ADDRESS, key=KEY), ADDRESS, KEY)
    assert (reading.values, reading.unknown) == (VALUES, (0xFE,))
