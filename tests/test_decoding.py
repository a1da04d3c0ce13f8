"""A payload or an advert in, and what the `decode` command says about it."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.decoding import (
    Decoded,
    Keys,
    decode,
    decode_heard,
    in_words,
    parse_bind_key,
    parse_uuid,
)
from hk_bridge.protocols.hci import Heard

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
NEEDS_KEY = "encrypted: give the bind key with --bindkey or --config"
SEALED_NAMES = {
    "format": "mibeacon",
    "product": "LYWSD03MMC",
    "address": "A4:C1:38:02:83:F4",
    "counter": 80,
}


def decoded(payload: str, **options: Any) -> Decoded:
    given_options = {"uuid": FE95, "advertiser": None, "bind_key": None, **options}
    return decode(payload, **given_options)


def result_of(payload: str, **options: Any) -> dict[str, Any]:
    return dict(decoded(payload, **options).values)


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
        "address",
        "format",
        "product",
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
        '{"address": "4C:65:A8:D0:AE:64", "format": "mibeacon", "product": "LYWSDCGQ", '
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
        (PLAIN[:-1], {}, f"neither hex digits nor the name of a file: '{PLAIN[:-1]}'"),
        ("hello", {}, "neither hex digits nor the name of a file: 'hello'"),
        ("50.20", {}, "neither hex digits nor the name of a file: '50.20'"),
        ("٥٠٢٠", {}, "neither hex digits nor the name of a file: '٥٠٢٠'"),
        ("x" * 100, {}, f"neither hex digits nor the name of a file: '{'x' * 40}'"),
        ("a\x1b[2J", {}, "neither hex digits nor the name of a file: 'a\\x1b[2J'"),
        ("00" * 2049, {}, f"neither hex digits nor the name of a file: '{'0' * 40}'"),
        (
            PLAIN,
            {"uuid": 0x180F},
            "no decoder for service data of 180F, there is one for FE95, 181A, FCD2",
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
    assert result.has_error or result.values["format"] in {"mibeacon", "atc1441", "pvvx"}
    assert json.loads(json.dumps(result.values)) == result.values
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
        ("hello", {}, "error: neither hex digits nor the name of a file: 'hello'"),
    ],
)
def test_a_result_in_words_is_one_line(
    payload: str, options: dict[str, Any], line: str
) -> None:
    assert in_words(decoded(payload, **options)) == line


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"moisture": 30}, "30 % moisture"),
        ({"illuminance": 1200}, "1200 lx"),
        ({"conductivity": 250}, "250 µS/cm"),
        ({"formaldehyde": 0.03}, "0.03 mg/m³"),
        ({"voltage": 2.975, "temperature": -0.5}, "-0.5 °C, 2.975 V"),
        ({"lowBattery": 1}, "battery low"),
        ({"lowBattery": 0}, "battery not low"),
        ({"temperature": 0.0, "error": "so"}, "0.0 °C, error: so"),
        ({"format": "pvvx", "counter": 0, "humidity": 0}, "pvvx #0: 0 %"),
        ({"product": "LYWSDCGQ", "format": "mibeacon"}, "LYWSDCGQ: no value in this frame"),
        ({"rssi": 0, "battery": 0}, "0 % battery (0 dBm)"),
    ],
)
def test_every_quantity_has_its_words(values: dict[str, Any], words: str) -> None:
    assert in_words(Decoded(values)) == words


def test_objects_that_are_not_known_are_in_words_only() -> None:
    result = decoded("5020aa01be64aed0a8654c041002cc00ff4f0101")
    assert result.unknown == (0x4FFF,)
    assert in_words(result).endswith("#190: 20.4 °C, object 0x4FFF is not known")
    assert set(result.values) == {*PLAIN_RESULT} - {"humidity"}


def test_a_value_that_cannot_be_is_an_error_beside_the_good_ones() -> None:
    assert result_of("5020aa01be64aed0a8654c0d1004ff7f8a01") == {
        **{name: value for name, value in PLAIN_RESULT.items() if name != "temperature"},
        "error": "temperature is beyond what can be",
    }
    both = result_of("5020aa01be64aed0a8654c0d1004ff7fffff")
    assert both["error"] == "temperature and humidity are beyond what can be"


# Adverts of a capture ----------------------------------------------------------------

NOON = 1_700_000_000.25
SENSOR = "4C:65:A8:D0:AE:64"
SEALER = "A4:C1:38:02:83:F4"
PLAIN_ADVERT = Heard(SENSOR, {0x180F: b"d", FE95: bytes.fromhex(PLAIN)}, -60, NOON)
SEALED_ADVERT = Heard(SEALER, {FE95: bytes.fromhex(SEALED)}, None, None)
#: BTHome without encryption: 25.06 °C.
OPEN_ADVERT = Heard(SEALER, {0xFCD2: bytes.fromhex("4002ca09")}, None, None)


def test_an_advert_adds_its_time_and_signal() -> None:
    result = decode_heard(PLAIN_ADVERT, None, Keys())
    assert result is not None
    assert list(result.values)[:3] == ["time", "address", "rssi"]
    assert result.values == {"time": NOON, "rssi": -60, **PLAIN_RESULT}


def test_what_the_capture_does_not_know_is_left_out() -> None:
    result = decode_heard(replace(PLAIN_ADVERT, at=None, rssi=None), None, Keys())
    assert result is not None
    assert result.values == PLAIN_RESULT


def test_an_advert_without_a_decoder_is_nothing() -> None:
    assert decode_heard(Heard(SENSOR, {}, None, None), None, Keys()) is None
    assert decode_heard(Heard(SENSOR, {0x180F: b"d"}, None, None), None, Keys()) is None


def test_only_service_data_of_the_given_uuid_counts() -> None:
    assert decode_heard(PLAIN_ADVERT, 0xFCD2, Keys()) is None
    assert decode_heard(PLAIN_ADVERT, FE95, Keys()) is not None


def test_a_frame_that_cannot_be_read_is_an_error_with_its_advert() -> None:
    result = decode_heard(Heard(SENSOR, {FE95: b"P"}, -60, NOON), None, Keys())
    assert result is not None
    assert result.values == {
        "time": NOON,
        "address": SENSOR,
        "rssi": -60,
        "error": "a MiBeacon frame has at least 5 bytes, this has 1",
    }


@pytest.mark.parametrize(
    ("keys", "outcome"),
    [
        (Keys(), {"error": NEEDS_KEY}),
        (Keys({SEALER: KEY}), {"humidity": 46.7}),
        (Keys({}, KEY), {"humidity": 46.7}),
        (Keys({SENSOR: bytes(16)}, KEY), {"humidity": 46.7}),
        (Keys({SEALER: KEY}, bytes(16)), {"humidity": 46.7}),
        (Keys({SENSOR: KEY}), {"error": NEEDS_KEY}),
    ],
)
def test_the_key_of_the_address_goes_before_that_for_all(
    keys: Keys, outcome: dict[str, Any]
) -> None:
    result = decode_heard(SEALED_ADVERT, None, keys)
    assert result is not None
    assert result.values == {**SEALED_NAMES, **outcome}


def test_a_key_for_all_does_not_forbid_others_to_send_openly() -> None:
    for keys in (Keys(), Keys({}, KEY)):
        result = decode_heard(OPEN_ADVERT, None, keys)
        assert result is not None
        assert result.values["temperature"] == 25.06
    result = decode_heard(OPEN_ADVERT, None, Keys({SEALER: KEY}))
    assert result is not None
    assert result.has_error


def test_keys_do_not_show_themselves() -> None:
    assert repr(Keys({SEALER: KEY}, KEY)) == "Keys()"


def test_an_advert_in_words_begins_with_its_time_and_ends_with_its_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    try:
        result = decode_heard(PLAIN_ADVERT, None, Keys())
        assert result is not None
        assert in_words(result) == (
            "23:13:20.250 LYWSDCGQ 4C:65:A8:D0:AE:64 #190: 20.4 °C, 39.4 % (-60 dBm)"
        )
    finally:
        monkeypatch.undo()
        time.tzset()


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


def test_no_key_is_none() -> None:
    assert parse_bind_key(None) is None


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
