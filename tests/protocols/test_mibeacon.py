"""The layout of plain frames, their objects, and what is no frame."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hk_bridge.errors import DecodeError
from hk_bridge.model import Quantity, Reading
from hk_bridge.protocols.mibeacon import MiBeaconFrame, decode
from hk_bridge.protocols.mibeacon_objects import encode_values

ADDRESS = "4C:65:A8:D0:AE:64"
MAC = bytes.fromhex("4c65a8d0ae64")

#: Version 2, MAC, object; LYWSDCGQ; counter 190; the MAC, last byte first.
HEAD = "5020 aa01 be 64aed0a8654c"
EXAMPLE = f"{HEAD} 0d10 04 cc00 8a01"

#: Version 2, capability, object; HHCCJCY01; counter 7; no MAC.
WITH_CAPABILITY = "6020 9800 07"


def read(payload: str) -> Reading:
    return decode(bytes.fromhex(payload))


def frame_in(payload: str) -> MiBeaconFrame:
    return MiBeaconFrame.from_bytes(bytes.fromhex(payload))


# The values --------------------------------------------------------------------------


def test_the_example_of_the_documentation_is_read_as_it_says() -> None:
    assert read(EXAMPLE) == Reading(
        "mibeacon", 0x01AA, 190, MAC, {"temperature": 20.4, "humidity": 39.4}
    )


@pytest.mark.parametrize(
    ("objects", "values"),
    [
        ("0410 02 cc00", {"temperature": 20.4}),
        ("0410 02 85ff", {"temperature": -12.3}),
        ("0410 02 ffff", {"temperature": -0.1}),
        ("0610 02 5d01", {"humidity": 34.9}),
        ("0a10 01 5d", {"battery": 93}),
        ("0d10 04 85ff 6001", {"temperature": -12.3, "humidity": 35.2}),
        ("0a10 01 12 0410 02 d500", {"temperature": 21.3, "battery": 18}),
        (
            "0410 02 d500 0610 02 cb00 0a10 01 64",
            {"temperature": 21.3, "humidity": 20.3, "battery": 100},
        ),
        ("0710 03 0e0000", {"illuminance": 14}),
        ("0710 03 a08601", {"illuminance": 100_000}),
        ("0810 01 40", {"moisture": 64}),
        ("0910 02 5702", {"conductivity": 599}),
        ("1010 02 7d00", {"formaldehyde": 1.25}),
        ("0148 04 6666be41", {"temperature": 23.8}),
        ("014c 04 cdcc44c1", {"temperature": -12.3}),
        ("0248 01 3a", {"humidity": 58}),
        ("024c 01 00", {"humidity": 0}),
        ("0848 04 9a993b42", {"humidity": 46.9}),
        ("084c 04 00004842", {"humidity": 50.0}),
        ("0348 01 5d", {"battery": 93}),
        ("034c 01 5d", {"battery": 93}),
        ("0350 01 5d", {"battery": 93}),
        ("014a 01 01", {"lowBattery": 1}),
        ("014e 01 00", {"lowBattery": 0}),
        ("0410 02 d500 0148 04 6666be41", {"temperature": 23.8}),
    ],
)
def test_each_object_carries_its_quantities(
    objects: str, values: dict[Quantity, float]
) -> None:
    assert read(f"{HEAD} {objects}") == Reading("mibeacon", 0x01AA, 190, MAC, values)


@pytest.mark.parametrize(
    ("objects", "values", "implausible"),
    [
        ("0410 02 0080", {}, ("temperature",)),
        ("0410 02 ff7f", {}, ("temperature",)),
        ("0410 02 6ffe", {}, ("temperature",)),
        ("0410 02 70fe", {"temperature": -40.0}, ()),
        ("0410 02 5203", {"temperature": 85.0}, ()),
        ("0410 02 5303", {}, ("temperature",)),
        ("0610 02 ffff", {}, ("humidity",)),
        ("0610 02 e903", {}, ("humidity",)),
        ("0a10 01 ff", {}, ("battery",)),
        ("0a10 01 65", {}, ("battery",)),
        ("0d10 04 ffff e8ff", {"temperature": -0.1}, ("humidity",)),
        ("0d10 04 0080 e8ff", {}, ("temperature", "humidity")),
        ("0810 01 65", {}, ("moisture",)),
        ("0710 03 ffffff", {}, ("illuminance",)),
        ("0148 04 0000c07f", {}, ("temperature",)),
        ("014c 04 000080ff", {}, ("temperature",)),
        ("0848 04 0000807f", {}, ("humidity",)),
    ],
)
def test_what_cannot_be_is_named_and_has_no_value(
    objects: str, values: dict[Quantity, float], implausible: tuple[Quantity, ...]
) -> None:
    assert read(f"{HEAD} {objects}") == Reading(
        "mibeacon", 0x01AA, 190, MAC, values, implausible=implausible
    )


def test_a_reading_names_its_quantities_and_spells_its_address() -> None:
    reading = read(f"{HEAD} 0d10 04 85ff 6001")
    assert (reading.temperature, reading.humidity, reading.battery) == (-12.3, 35.2, None)
    assert read(f"{HEAD} 0a10 01 5d").battery == 93
    assert reading.address == ADDRESS


def test_zero_is_a_value() -> None:
    reading = read(f"{HEAD} 0d10 04 0000 0000 0a10 01 00")
    assert (reading.temperature, reading.humidity, reading.battery) == (0.0, 0.0, 0)


def test_the_battery_is_a_whole_number() -> None:
    assert type(read(f"{HEAD} 0a10 01 5d").battery) is int


def test_an_unknown_object_is_skipped_by_its_length() -> None:
    reading = read(f"{HEAD} 1810 03 010203 0111 00 0410 02 d500")
    assert reading.values == {"temperature": 21.3}
    assert reading.unknown == (0x1018, 0x1101)


def test_a_frame_of_unknown_objects_only_is_a_reading_without_a_value() -> None:
    assert read(f"{HEAD} 0a11 01 5d") == Reading(
        "mibeacon", 0x01AA, 190, MAC, unknown=(0x110A,)
    )


def test_a_frame_without_an_object_is_a_reading_without_a_value() -> None:
    assert read("1020 aa01 a6 64aed0a8654c") == Reading("mibeacon", 0x01AA, 166, MAC)


def test_what_follows_a_header_that_announces_no_object_is_no_value() -> None:
    assert read("1020 aa01 a6 64aed0a8654c 0410 02 d500").temperature is None


# The layout --------------------------------------------------------------------------


def test_without_a_mac_the_objects_begin_behind_the_counter() -> None:
    reading = decode(bytes.fromhex("4020 aa01 05 0410 02 d500"), ADDRESS)
    assert (reading.temperature, reading.counter) == (21.3, 5)
    # The address in a reading is the one inside the frame, and there is none.
    assert reading.address is None


@pytest.mark.parametrize("capability", ["00", "df", "20 77", "ff 77", "20 77 88"])
def test_capability_bytes_move_the_objects(capability: str) -> None:
    reading = read(f"{WITH_CAPABILITY} {capability} 0410 02 d500 0a10 01 12")
    assert (reading.temperature, reading.battery) == (21.3, 18)
    assert (reading.product_id, reading.counter) == (0x0098, 7)


def test_mac_and_capability_stand_one_after_the_other() -> None:
    reading = read("7020 9800 07 64aed0a8654c 2d 01 0410 02 d500")
    assert (reading.address, reading.temperature) == (ADDRESS, 21.3)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("", "a MiBeacon frame has at least 5 bytes, this has 0"),
        ("5020aa01", "a MiBeacon frame has at least 5 bytes, this has 4"),
        ("5020aa01be", "the frame ends inside its header"),
        ("5020aa01be64aed0a865", "the frame ends inside its header"),
        ("6020aa01be", "the frame ends inside its header"),
        ("7020aa01be64aed0a8654c", "the frame ends inside its header"),
        (f"{HEAD} 04", "the frame ends inside the head of an object"),
        (f"{HEAD} 0410", "the frame ends inside the head of an object"),
        (f"{HEAD} 0410 02 d500 0a10", "the frame ends inside the head of an object"),
        (f"{HEAD} 0410 02", "object 0x1004 has 0 bytes instead of 2"),
        (f"{HEAD} 0410 02 d5", "object 0x1004 has 1 bytes instead of 2"),
        (f"{HEAD} 0410 01 d5", "object 0x1004 has 1 bytes instead of 2"),
        (f"{HEAD} 0a10 02 5d00", "object 0x100A has 2 bytes instead of 1"),
        (f"{HEAD} 0d10 02 d500", "object 0x100D has 2 bytes instead of 4"),
        (f"{HEAD} 1810 02 40", "the frame ends inside an object"),
        (f"{WITH_CAPABILITY} 20", "the frame ends inside an object"),
    ],
)
def test_a_damaged_frame_is_an_error_that_says_where(payload: str, message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read(payload)
    assert str(caught.value) == message


# MiBeaconFrame -----------------------------------------------------------------------


def test_a_frame_is_taken_apart_completely() -> None:
    assert frame_in("7120 9800 07 64aed0a8654c 2d 01 0810 01 40 0910 02 5702") == (
        MiBeaconFrame(
            product_id=0x0098,
            counter=7,
            address=ADDRESS,
            capability=0x2D,
            io_capability=b"\x01",
            objects=((0x1008, b"\x40"), (0x1009, b"\x57\x02")),
            control=0x2001,
        )
    )


def test_a_frame_is_sent_as_the_documentation_shows_it() -> None:
    frame = MiBeaconFrame(0x01AA, 190, ADDRESS, objects=((0x100D, b"\xcc\x00\x8a\x01"),))
    assert frame.to_bytes() == bytes.fromhex(EXAMPLE)


def test_an_idle_frame_announces_nothing() -> None:
    frame = MiBeaconFrame(0x01AA, 0)
    assert frame.to_bytes() == bytes.fromhex("0020 aa01 00")
    assert frame_in("0020 aa01 00") == frame


@pytest.mark.parametrize("io_capability", ["", "77", "77 88"])
def test_an_idle_frame_keeps_its_io_capability(io_capability: str) -> None:
    # Without objects no sum tells its length: it is what there is of it.
    payload = f"2020 9800 07 20 {io_capability}"
    frame = frame_in(payload)
    assert (frame.capability, frame.io_capability) == (0x20, bytes.fromhex(io_capability))
    assert frame.to_bytes() == bytes.fromhex(payload)


def test_an_io_capability_has_no_more_than_two_bytes() -> None:
    assert frame_in("2020 9800 07 20 778899").io_capability == b"\x77\x88"


def test_an_idle_frame_without_the_capability_bit_has_no_io_capability() -> None:
    assert frame_in("2020 9800 07 df 77").io_capability == b""
    assert frame_in("0020 9800 07 77").io_capability == b""


def test_an_io_capability_of_two_bytes_is_found_by_the_length() -> None:
    frame = frame_in(f"{WITH_CAPABILITY} 20 7788 0410 02 d500")
    assert frame.io_capability == b"\x77\x88"
    assert frame.objects == ((0x1004, b"\xd5\x00"),)


def test_an_encrypted_frame_is_not_taken_apart() -> None:
    with pytest.raises(DecodeError, match="the frame is encrypted"):
        frame_in("58585b0550f4830238c1a495ef58763c26000097e2abb5")


@pytest.mark.parametrize("payload", [f"{HEAD} 0410 02 d5", f"{HEAD} 0410", "5020aa01be64"])
def test_half_a_frame_is_not_taken_apart(payload: str) -> None:
    with pytest.raises(DecodeError, match="the frame ends inside"):
        frame_in(payload)


# encode_values -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("temperature", "humidity", "battery", "objects"),
    [
        (None, None, None, ()),
        (20.4, None, None, ((0x1004, b"\xcc\x00"),)),
        (-12.3, None, None, ((0x1004, b"\x85\xff"),)),
        (20.46, None, None, ((0x1004, b"\xcd\x00"),)),
        (-0.06, None, None, ((0x1004, b"\xff\xff"),)),
        (None, 34.9, None, ((0x1006, b"\x5d\x01"),)),
        (None, None, 0, ((0x100A, b"\x00"),)),
        (20.4, 39.4, None, ((0x100D, b"\xcc\x00\x8a\x01"),)),
        (0.0, 0.0, 18, ((0x100D, b"\x00\x00\x00\x00"), (0x100A, b"\x12"))),
        (20.4, None, 18, ((0x1004, b"\xcc\x00"), (0x100A, b"\x12"))),
    ],
)
def test_values_go_into_as_few_objects_as_can_be(
    temperature: float | None,
    humidity: float | None,
    battery: int | None,
    objects: tuple[tuple[int, bytes], ...],
) -> None:
    assert encode_values(temperature, humidity, battery) == objects


# For every frame ---------------------------------------------------------------------

addresses = st.binary(min_size=6, max_size=6).map(lambda mac: mac.hex(":").upper())
#: Neither encryption nor a bit that another field implies.
controls = st.integers(0, 0xFFFF).map(lambda bits: bits & ~0x0078)
objects = st.lists(
    st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=255) | st.binary(max_size=4)),
    max_size=4,
).map(tuple)
plain_capabilities = st.integers(0, 255).map(lambda bits: bits & ~0x20)


@st.composite
def frames(draw: st.DrawFn) -> MiBeaconFrame:
    frame = MiBeaconFrame(
        draw(st.integers(0, 0xFFFF)),
        draw(st.integers(0, 255)),
        draw(st.none() | addresses),
        draw(st.none() | plain_capabilities),
        objects=draw(objects),
        control=draw(controls),
    )
    if frame.capability is None or draw(st.booleans()):
        return frame
    # One byte is tried first, so one byte is what always comes back.
    io_capability = draw(st.binary(min_size=1, max_size=1))
    return replace(frame, capability=frame.capability | 0x20, io_capability=io_capability)


@given(frames())
def test_every_frame_survives_the_way_to_bytes_and_back(frame: MiBeaconFrame) -> None:
    assert MiBeaconFrame.from_bytes(frame.to_bytes()) == frame


@given(
    st.none() | st.integers(-400, 850),
    st.none() | st.integers(0, 1000),
    st.none() | st.integers(0, 100),
    st.none() | addresses,
    st.integers(0, 255),
)
def test_values_survive_the_way_into_a_frame_and_back(
    tenths_of_degree: int | None,
    tenths_of_percent: int | None,
    battery: int | None,
    address: str | None,
    counter: int,
) -> None:
    temperature = None if tenths_of_degree is None else tenths_of_degree / 10
    humidity = None if tenths_of_percent is None else tenths_of_percent / 10
    sent = encode_values(temperature, humidity, battery)
    frame = MiBeaconFrame(0x045B, counter, address, objects=sent)
    reading = decode(frame.to_bytes())
    given = {"temperature": temperature, "humidity": humidity, "battery": battery}
    assert reading.values == {name: x for name, x in given.items() if x is not None}
    assert (reading.product_id, reading.counter) == (0x045B, counter)
    assert reading.address == address


#: A header that holds, followed by anything.
headed = st.tuples(
    st.integers(0, 0xFFFF), st.binary(min_size=3, max_size=3), st.binary(max_size=40)
).map(lambda parts: parts[0].to_bytes(2, "little") + parts[1] + parts[2])
any_address = st.none() | st.text() | addresses


@settings(max_examples=500)
@given(st.binary() | headed, any_address, st.none() | st.binary(max_size=40))
def test_whatever_comes_is_a_reading_or_a_decode_error(
    data: bytes, address: str | None, key: bytes | None
) -> None:
    try:
        reading = decode(data, address, key)
    except DecodeError:
        return
    assert reading.product_id == data[2] + 256 * data[3]


@settings(max_examples=500)
@given(st.binary() | headed)
def test_whatever_comes_is_a_frame_or_a_decode_error(data: bytes) -> None:
    try:
        frame = MiBeaconFrame.from_bytes(data)
    except DecodeError:
        return
    assert frame.counter == data[4]
