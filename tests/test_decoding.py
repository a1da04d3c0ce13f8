"""One payload in, and what the `decode` command says about it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.decoding import (
    decode,
    in_words,
    parse_advertiser,
    parse_bind_key,
    parse_uuid,
)

FE95 = 0xFE95
PLAIN = "5020aa01be64aed0a8654c0d1004cc008a01"
PLAIN_RESULT = {
    "format": "mibeacon",
    "product": "LYWSDCGQ",
    "address": "4C:65:A8:D0:AE:64",
    "counter": 190,
    "temperature": 20.4,
    "humidity": 39.4,
}

SEALED = "58585b0550f4830238c1a495ef58763c26000097e2abb5"
SEALED_WITHOUT_MAC = "48585b055095ef58763c26000097e2abb5"
KEY_TEXT = "e9ea895fac7cca6d30532432a516f3a8"
KEY = bytes.fromhex(KEY_TEXT)
NEEDS_KEY = "encrypted: give the bind key with --bindkey"
SEALED_NAMES = {
    "format": "mibeacon",
    "product": "LYWSD03MMC",
    "address": "A4:C1:38:02:83:F4",
    "counter": 80,
}


def result_of(payload: str, **options: Any) -> dict[str, Any]:
    given_options = {"uuid": FE95, "advertiser": None, "bind_key": None, **options}
    return decode(payload, **given_options)


# Payloads ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        PLAIN,
        PLAIN.upper(),
        "0x" + PLAIN,
        "0X" + PLAIN.upper(),
        "50:20:aa:01:be:64:ae:d0:a8:65:4c:0d:10:04:cc:00:8a:01",
        "50-20-AA-01-BE-64-AE-D0-A8-65-4C-0D-10-04-CC-00-8A-01",
        "50 20 aa 01 be 64 ae d0 a8 65 4c 0d 10 04 cc 00 8a 01",
        "50, 20, aa, 01, be, 64, ae, d0, a8, 65, 4c, 0d, 10, 04, cc, 00, 8a, 01",
        "  5020aa01be 64aed0a8654c\t0d1004 cc00 8a01\n",
        "0x5020aa01be64aed0a8654c0d10 04cc008a01",
    ],
)
def test_a_payload_may_be_written_as_tools_write_it(payload: str) -> None:
    assert result_of(payload) == PLAIN_RESULT


def test_the_keys_come_in_their_order() -> None:
    assert list(result_of("5020aa01be64aed0a8654c0d1004cc008a010a100112")) == [
        "format",
        "product",
        "address",
        "counter",
        "temperature",
        "humidity",
        "battery",
    ]


@pytest.mark.parametrize(
    ("payload", "values"),
    [
        ("5020aa01be64aed0a8654c041002cc00", {"temperature": 20.4}),
        ("5020aa01be64aed0a8654c04100285ff", {"temperature": -12.3}),
        ("5020aa01be64aed0a8654c0610025d01", {"humidity": 34.9}),
        ("5020aa01be64aed0a8654c0a100112", {"battery": 18}),
        (
            "5020aa01be64aed0a8654c0d1004000000000a100100",
            {"temperature": 0.0, "humidity": 0.0, "battery": 0},
        ),
        ("1020aa01be64aed0a8654c", {}),
        ("5020aa01be64aed0a8654c0a11015d", {}),
    ],
)
def test_only_what_the_frame_carries_is_in_the_result(
    payload: str, values: dict[str, float]
) -> None:
    names = {"product": "LYWSDCGQ", "address": "4C:65:A8:D0:AE:64", "counter": 190}
    assert result_of(payload) == {"format": "mibeacon", **names, **values}


def test_the_result_is_json_without_noise_in_its_numbers() -> None:
    result = result_of("5020aa0100 64aed0a8654c 0d1004 d400cb00 0a1001 12")
    assert json.dumps(result) == (
        '{"format": "mibeacon", "product": "LYWSDCGQ", "address": "4C:65:A8:D0:AE:64", '
        '"counter": 0, "temperature": 21.2, "humidity": 20.3, "battery": 18}'
    )


def test_a_product_that_is_not_known_is_named_by_its_id() -> None:
    assert result_of("502034120164aed0a8654c041002cc00")["product"] == "0x1234"


def test_without_an_address_there_is_none_in_the_result() -> None:
    assert result_of("4020aa0105041002d500") == {
        "format": "mibeacon",
        "product": "LYWSDCGQ",
        "counter": 5,
        "temperature": 21.3,
    }


def test_the_address_that_was_given_is_the_one_in_the_result() -> None:
    given_address = "4C:65:A8:D0:AE:65"
    assert result_of(PLAIN, advertiser=given_address)["address"] == given_address
    without_mac = result_of("4020aa0105041002d500", advertiser=given_address)
    assert without_mac["address"] == given_address


@pytest.mark.parametrize(
    ("payload", "advertiser"),
    [(SEALED, None), (SEALED_WITHOUT_MAC, "A4:C1:38:02:83:F4")],
)
def test_an_encrypted_payload_is_opened_with_its_key(
    payload: str, advertiser: str | None
) -> None:
    result = result_of(payload, advertiser=advertiser, bind_key=KEY)
    assert result == {**SEALED_NAMES, "humidity": 46.7}


def test_an_encrypted_payload_without_a_key_says_how_to_give_one() -> None:
    assert result_of(SEALED) == {
        **SEALED_NAMES,
        "error": NEEDS_KEY,
    }


@pytest.mark.parametrize(
    ("payload", "options", "error"),
    [
        ("", {}, "a MiBeacon frame has at least 5 bytes, this has 0"),
        ("5020", {}, "a MiBeacon frame has at least 5 bytes, this has 2"),
        (PLAIN[:-2], {}, "object 0x100D has 3 bytes instead of 4"),
        (PLAIN[:-1], {}, f"no hex digits: '{PLAIN[:-1]}'"),
        ("hello", {}, "no hex digits: 'hello'"),
        ("50.20", {}, "no hex digits: '50.20'"),
        ("٥٠٢٠", {}, "no hex digits: '٥٠٢٠'"),
        ("x" * 100, {}, f"no hex digits: '{'x' * 40}'"),
        ("a\x1b[2J", {}, "no hex digits: 'a\\x1b[2J'"),
        ("00" * 2049, {}, f"no hex digits: '{'0' * 40}'"),
        (
            PLAIN,
            {"uuid": 0x181A},
            "no decoder for service data of 181A, there is one for FE95",
        ),
        (SEALED, {"bind_key": bytes(16)}, "the bind key does not fit this frame"),
        (SEALED, {"bind_key": bytes(12)}, "the bind key of this sensor has 16 bytes"),
        (
            SEALED_WITHOUT_MAC,
            {"bind_key": KEY},
            "decrypting needs the address of the sensor",
        ),
    ],
)
def test_what_cannot_be_read_is_an_error_and_nothing_else(
    payload: str, options: dict[str, Any], error: str
) -> None:
    assert result_of(payload, **options) == {"error": error}


def test_a_wrong_key_is_not_repeated_in_the_error() -> None:
    key = bytes.fromhex("b9ea895fac7cca6d30532432a516f3a8")
    error = result_of(SEALED, bind_key=key)["error"]
    assert key.hex() not in error.lower()


@given(
    st.text() | st.binary(max_size=40).map(bytes.hex),
    st.sampled_from([0xFE95, 0x181A]),
    st.none() | st.just("A4:C1:38:02:83:F4"),
    st.none() | st.sampled_from([bytes(12), bytes(16)]),
)
def test_whatever_is_typed_gives_a_result_and_a_line(
    payload: str, uuid: int, advertiser: str | None, key: bytes | None
) -> None:
    result = decode(payload, uuid, advertiser, key)
    assert ("error" in result) or result["format"] == "mibeacon"
    assert json.loads(json.dumps(result)) == result
    assert in_words(result).isprintable()


# Words -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "options", "line"),
    [
        (PLAIN, {}, "LYWSDCGQ 4C:65:A8:D0:AE:64 #190: 20.4 °C, 39.4 %"),
        (
            "5020aa010064aed0a8654c04100285ff0a100100",
            {},
            "LYWSDCGQ 4C:65:A8:D0:AE:64 #0: -12.3 °C, 0 % battery",
        ),
        ("4020aa0105041002d500", {}, "LYWSDCGQ #5: 21.3 °C"),
        (
            "1020aa01a664aed0a8654c",
            {},
            "LYWSDCGQ 4C:65:A8:D0:AE:64 #166: no value in this frame",
        ),
        (
            SEALED,
            {},
            f"LYWSD03MMC A4:C1:38:02:83:F4 #80: error: {NEEDS_KEY}",
        ),
        (SEALED, {"bind_key": KEY}, "LYWSD03MMC A4:C1:38:02:83:F4 #80: 46.7 %"),
        ("hello", {}, "error: no hex digits: 'hello'"),
    ],
)
def test_a_result_in_words_is_one_line(
    payload: str, options: dict[str, Any], line: str
) -> None:
    assert in_words(result_of(payload, **options)) == line


# What is typed beside the payload ----------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "FE95",
        "fe95",
        "0xfe95",
        "0XFE95",
        "0000fe95-0000-1000-8000-00805f9b34fb",
        "0000FE95-0000-1000-8000-00805F9B34FB",
    ],
)
def test_a_uuid_is_read_in_every_spelling(text: str) -> None:
    assert parse_uuid(text) == 0xFE95


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FE9",
        "FE951",
        "FE95 ",
        "fe95\n",
        "xyzw",
        "0000fe95",
        "1000fe95-0000-1000-8000-00805f9b34fb",
        "0000fe95-0000-1000-8000-00805f9b34fc",
    ],
)
def test_what_is_no_16_bit_uuid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no 16-bit UUID such as FE95"):
        parse_uuid(text)


@pytest.mark.parametrize(
    "text", ["4c:64:a8:d0:ae:65", "4C:64:A8:D0:AE:65", "4c-64-a8-d0-ae-65"]
)
def test_an_address_is_spelled_as_the_stack_does(text: str) -> None:
    assert parse_advertiser(text) == "4C:64:A8:D0:AE:65"


def test_no_address_and_no_key_are_none() -> None:
    assert parse_advertiser(None) is None
    assert parse_bind_key(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4c64a8d0ae65",
        "4c:64:a8:d0:ae",
        "4c:64:a8:d0:ae:65:66",
        "4c:64-a8:d0-ae:65",
        "4c:64:a8:d0:ae:6g",
        " 4c:64:a8:d0:ae:65",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no address such as 4c:64:a8:d0:ae:65"):
        parse_advertiser(text)


@pytest.mark.parametrize("length", [12, 16])
def test_a_bind_key_has_24_or_32_digits(length: int) -> None:
    assert parse_bind_key("aB" * length) == b"\xab" * length


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ab",
        KEY_TEXT[:-1],
        KEY_TEXT[:-2],
        KEY_TEXT + "00",
        KEY_TEXT[:-1] + "g",
        "secret",
    ],
)
def test_what_is_no_bind_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="the bind key has") as caught:
        parse_bind_key(text)
    assert str(caught.value) == "the bind key has 24 or 32 hex digits; this one has not"
    # Nor does the traceback tell it, which a bug report may contain.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
