"""Frames of ATC1441 and pvvx firmware, plain and encrypted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.errors import BindKeyError, DecodeError
from hk_bridge.model import Quantity, Reading
from hk_bridge.protocols.atc import UUID, address_in, decode
from tests.fakes.sensors import atc1441, pvvx

ADDRESS = "A4:C1:38:02:83:F4"
MAC = bytes.fromhex("a4c1380283f4")
KEY = bytes.fromhex("b9ea895fac7eea6d30532432a516f3a3")

SEALED_ATC1441 = atc1441(ADDRESS, 20.5, 39.5, 81, counter=7, key=KEY)
SEALED_PVVX = pvvx(ADDRESS, 20.43, 39.41, 81, counter=7, key=KEY)
SEALED = pytest.mark.parametrize(
    ("frame", "name"),
    [(SEALED_ATC1441, "atc1441"), (SEALED_PVVX, "pvvx")],
    ids=["atc1441", "pvvx"],
)


def read(payload: str) -> Reading:
    return decode(bytes.fromhex(payload))


def test_the_uuid_is_that_of_environmental_sensing() -> None:
    assert UUID == 0x181A


# Plain -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "values"),
    [
        (
            "00cc 27 51 0b7b 62",
            {"temperature": 20.4, "humidity": 39, "battery": 81, "voltage": 2.939},
        ),
        (
            "ff85 64 64 0c47 62",
            {"temperature": -12.3, "humidity": 100, "battery": 100, "voltage": 3.143},
        ),
        (
            "0000 00 00 0000 62",
            {"temperature": 0.0, "humidity": 0, "battery": 0, "voltage": 0.0},
        ),
    ],
)
def test_atc1441_has_whole_percents_and_the_first_byte_first(
    rest: str, values: dict[Quantity, float]
) -> None:
    assert read(f"a4c1380283f4 {rest}") == Reading("atc1441", None, 0x62, MAC, values)


@pytest.mark.parametrize("flags", ["", "00", "0f", "ff"])
@pytest.mark.parametrize(
    ("rest", "values"),
    [
        (
            "5d09 b718 5b0b 51 cc",
            {"temperature": 23.97, "humidity": 63.27, "battery": 81, "voltage": 2.907},
        ),
        (
            "62fd bd13 470c 64 cc",
            {"temperature": -6.7, "humidity": 50.53, "battery": 100, "voltage": 3.143},
        ),
        (
            "0000 0000 0000 00 cc",
            {"temperature": 0.0, "humidity": 0.0, "battery": 0, "voltage": 0.0},
        ),
    ],
)
def test_pvvx_has_hundredths_and_the_last_byte_first(
    rest: str, values: dict[Quantity, float], flags: str
) -> None:
    reading = read(f"f4830238c1a4 {rest} {flags}")
    assert reading == Reading("pvvx", None, 0xCC, MAC, values)


def test_whole_percents_are_whole_numbers() -> None:
    values = decode(atc1441(ADDRESS, 20.4, 39, 81)).values
    assert type(values["humidity"]) is type(values["battery"]) is int
    assert type(decode(pvvx(ADDRESS, 20.4, 39.0, 81)).values["humidity"]) is float


@given(
    hundredths=st.integers(-4000, 8500),
    humidity=st.integers(0, 10_000),
    battery=st.integers(0, 100),
    millivolts=st.integers(0, 0xFFFF),
    counter=st.integers(0, 255),
)
def test_every_number_of_a_pvvx_frame_comes_out_as_it_would_be_written(
    hundredths: int, humidity: int, battery: int, millivolts: int, counter: int
) -> None:
    frame = pvvx(
        ADDRESS, hundredths / 100, humidity / 100, battery, millivolts, counter, flags=5
    )
    reading = decode(frame)
    assert reading.counter == counter
    assert reading.values == {
        "temperature": float(f"{hundredths}e-2"),
        "humidity": float(f"{humidity}e-2"),
        "battery": battery,
        "voltage": float(f"{millivolts}e-3"),
    }


@pytest.mark.parametrize("key", [b"", KEY, bytes(12)])
@pytest.mark.parametrize("frame", [atc1441(ADDRESS, 20, 40, 81), pvvx(ADDRESS, 20, 40, 81)])
def test_a_plain_frame_is_read_whatever_key_is_given(frame: bytes, key: bytes) -> None:
    # The firmware can send openly beside encrypted frames of another format.
    assert decode(frame, None, key) == decode(frame)


@pytest.mark.parametrize(
    ("frame", "implausible"),
    [
        (atc1441(ADDRESS, 85.1, 40, 81), ("temperature",)),
        (atc1441(ADDRESS, -40.1, 101, 101), ("temperature", "humidity", "battery")),
        (pvvx(ADDRESS, 20, 100.01, 81), ("humidity",)),
        (pvvx(ADDRESS, 327.67, 655.35, 255), ("temperature", "humidity", "battery")),
        (atc1441(ADDRESS, 85.5, 40, 81, key=KEY), ("temperature",)),
        (atc1441(ADDRESS, 20, 100.5, 101, key=KEY), ("humidity", "battery")),
        (pvvx(ADDRESS, -40.01, 40, 255, key=KEY), ("temperature", "battery")),
    ],
)
def test_a_value_that_cannot_be_is_named_and_kept_back(
    frame: bytes, implausible: tuple[Quantity, ...]
) -> None:
    reading = decode(frame, ADDRESS, KEY)
    assert sorted(reading.implausible) == sorted(implausible)
    assert not reading.values.keys() & set(implausible)
    assert {*reading.values, *implausible} >= {"temperature", "humidity", "battery"}


@pytest.mark.parametrize(
    "length", [each for each in range(40) if each not in {8, 11, 13, 14, 15}]
)
def test_bytes_of_any_other_length_are_no_frame(length: int) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(bytes(length), ADDRESS, KEY)
    assert str(caught.value) == (
        f"a frame of ATC1441 or pvvx firmware has 8, 11, 13, 14, 15 bytes, "
        f"this has {length}"
    )
    assert address_in(bytes(length)) is None


# Encrypted ---------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", [0x00, 0x80])
@pytest.mark.parametrize(
    ("temperature", "humidity"), [(20.5, 39.5), (-12.5, 0.0), (0.0, 100.0), (-40.0, 50.0)]
)
def test_encrypted_atc1441_has_halves_and_no_voltage(
    temperature: float, humidity: float, trigger: int
) -> None:
    frame = atc1441(ADDRESS, temperature, humidity, 81 | trigger, counter=200, key=KEY)
    assert decode(frame, ADDRESS, KEY) == Reading(
        "atc1441",
        None,
        200,
        values={"temperature": temperature, "humidity": humidity, "battery": 81},
    )


@pytest.mark.parametrize("flags", [0x00, 0x04, 0xFF])
@pytest.mark.parametrize(
    ("temperature", "humidity"), [(23.97, 63.27), (-6.7, 0.0), (0.0, 100.0), (-0.01, 0.01)]
)
def test_encrypted_pvvx_has_hundredths_and_no_voltage(
    temperature: float, humidity: float, flags: int
) -> None:
    frame = pvvx(ADDRESS, temperature, humidity, 81, counter=200, flags=flags, key=KEY)
    assert decode(frame, ADDRESS, KEY) == Reading(
        "pvvx",
        None,
        200,
        values={"temperature": temperature, "humidity": humidity, "battery": 81},
    )


@SEALED
def test_without_a_key_an_encrypted_frame_says_that_it_needs_one(
    frame: bytes, name: str
) -> None:
    expected = Reading(name, None, 7, needs_key=True)
    assert decode(frame, ADDRESS) == decode(frame) == expected


@SEALED
@pytest.mark.parametrize(
    ("key", "message"),
    [
        (bytes(16), "the bind key does not fit this frame"),
        (b"", "the bind key of this sensor has 16 bytes"),
        (KEY[:12], "the bind key of this sensor has 16 bytes"),
        (KEY + KEY, "the bind key of this sensor has 16 bytes"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(
    frame: bytes, name: str, key: bytes, message: str
) -> None:
    with pytest.raises(BindKeyError) as caught:
        decode(frame, ADDRESS, key)
    assert str(caught.value) == message


@SEALED
@pytest.mark.parametrize(
    "address",
    [None, "", "A4:C1:38:02:83", "the kitchen", "6E400001-B5A3-F393-E0A9-E50E24DCCA9E"],
)
def test_an_encrypted_frame_cannot_be_opened_without_the_address(
    frame: bytes, name: str, address: str | None
) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(frame, address, KEY)
    assert str(caught.value) == "decrypting needs the address of the sensor"
    # It is not the key that is wrong.
    assert not isinstance(caught.value, BindKeyError)


@SEALED
def test_the_address_of_another_sensor_opens_nothing(frame: bytes, name: str) -> None:
    with pytest.raises(BindKeyError, match="does not fit"):
        decode(frame, "A4:C1:38:02:83:F5", KEY)


@SEALED
def test_an_encrypted_frame_has_no_address(frame: bytes, name: str) -> None:
    assert address_in(frame) is None


@pytest.mark.parametrize(
    "frame",
    [
        atc1441(ADDRESS, 20, 40, 81),
        pvvx(ADDRESS, 20, 40, 81),
        pvvx(ADDRESS, 20, 40, 81, flags=None),
    ],
)
def test_every_plain_frame_has_its_address(frame: bytes) -> None:
    assert address_in(frame) == decode(frame).address == ADDRESS
