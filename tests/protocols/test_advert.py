"""Which decoder gets the service data of an advert."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.advert import UUIDS, decode, decode_payload

FRAME = bytes.fromhex("5020aa01be64aed0a8654c0d1004cc008a01")
SEALED = bytes.fromhex("58585b0550f4830238c1a495ef58763c26000097e2abb5")
KEY = bytes.fromhex("e9ea895fac7cca6d30532432a516f3a8")
BATTERY, MIBEACON, ATC, BTHOME = 0x180F, 0xFE95, 0x181A, 0xFCD2
KNOWN = {MIBEACON, ATC, BTHOME}


def test_each_format_is_known_as_bluetooth_stacks_spell_it() -> None:
    assert UUIDS == {
        "0000fe95-0000-1000-8000-00805f9b34fb": 0xFE95,
        "0000181a-0000-1000-8000-00805f9b34fb": 0x181A,
        "0000fcd2-0000-1000-8000-00805f9b34fb": 0xFCD2,
    }


def test_service_data_that_has_a_decoder_is_read() -> None:
    reading = decode({MIBEACON: FRAME}, None, None)
    assert reading is not None
    assert (reading.format, reading.temperature) == ("mibeacon", 20.4)


def test_service_data_beside_it_is_passed_over() -> None:
    reading = decode({BATTERY: b"\x64", MIBEACON: FRAME, ATC: FRAME}, None, None)
    assert reading is not None
    assert (reading.temperature, reading.battery) == (20.4, None)


@pytest.mark.parametrize("service_data", [{}, {BATTERY: b"\x64"}, {0x181B: FRAME}])
def test_an_advert_without_a_decoder_is_no_reading(service_data: dict[int, bytes]) -> None:
    assert decode(service_data, None, None) is None


def test_address_and_key_reach_the_decoder() -> None:
    without_mac = bytes([SEALED[0] & ~0x10, *SEALED[1:5], *SEALED[11:]])
    reading = decode({MIBEACON: without_mac}, "A4:C1:38:02:83:F4", KEY)
    assert reading is not None
    assert reading.humidity == 46.7
    assert decode_payload(MIBEACON, without_mac, "A4:C1:38:02:83:F4", KEY) == reading


def test_damaged_service_data_is_an_error() -> None:
    with pytest.raises(DecodeError, match="at least 5 bytes"):
        decode({MIBEACON: b"\x50"}, None, None)
    with pytest.raises(DecodeError, match="at least 5 bytes"):
        decode_payload(MIBEACON, b"\x50", None, None)


def test_beside_service_data_that_cannot_be_read_the_other_one_counts() -> None:
    for service_data in ({ATC: b"\x01", MIBEACON: FRAME}, {MIBEACON: FRAME, ATC: b"\x01"}):
        reading = decode(service_data, None, None)
        assert reading is not None
        assert reading.temperature == 20.4


def test_of_two_that_cannot_be_read_the_first_is_told() -> None:
    with pytest.raises(DecodeError, match="at least 5 bytes"):
        decode({MIBEACON: b"\x50", ATC: b"\x01"}, None, None)


def test_a_payload_of_another_uuid_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_payload(0x00F0, FRAME, None, None)
    assert str(caught.value) == (
        "no decoder for service data of 00F0, there is one for FE95, 181A, FCD2"
    )


any_data = st.binary(max_size=40) | st.binary(max_size=30).map(lambda end: FRAME[:11] + end)
any_address = st.none() | st.text(max_size=40)
any_key = st.none() | st.binary(max_size=40)


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.integers(0, 0xFFFF) | st.sampled_from([*KNOWN]), any_data, max_size=3
    ),
    any_address,
    any_key,
)
def test_whatever_is_heard_is_a_reading_nothing_or_a_decode_error(
    service_data: dict[int, bytes], address: str | None, key: bytes | None
) -> None:
    try:
        reading = decode(service_data, address, key)
    except DecodeError:
        assert service_data.keys() & KNOWN
    else:
        assert (reading is None) is (not service_data.keys() & KNOWN)


@settings(max_examples=300)
@given(st.integers(0, 0xFFFF) | st.sampled_from([*KNOWN]), any_data, any_address, any_key)
def test_whatever_payload_is_given_is_a_reading_or_a_decode_error(
    uuid: int, data: bytes, address: str | None, key: bytes | None
) -> None:
    try:
        reading = decode_payload(uuid, data, address, key)
    except DecodeError:
        return
    assert uuid in KNOWN
    assert reading.format in {"mibeacon", "atc1441", "pvvx", "bthome"}
