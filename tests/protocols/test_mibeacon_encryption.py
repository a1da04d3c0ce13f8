"""Encrypted frames, sealed here by an encryptor of the tests' own."""

import struct
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from hypothesis import given, settings
from hypothesis import strategies as st

from hk_bridge.errors import BindKeyError, DecodeError
from hk_bridge.model import Quantity, Reading
from hk_bridge.protocols.mibeacon import decode

Peer = Callable[[bytes, str, bytes | None], dict[str, object]]

ADDRESS = "A4:C1:38:02:83:F4"
MAC = bytes.fromhex("f4830238c1a4")
KEY = bytes.fromhex("e9ea895fac7cca6d30532432a516f3a8")
LEGACY_KEY = bytes.fromhex("b853075158487ca39a5b5ea9")
LYWSD03MMC = 0x055B

#: 20.4 °C, 39.4 % and 18 % battery.
OBJECTS = bytes.fromhex("0d1004cc008a01 0a100112")
VALUES: dict[Quantity, float] = {"temperature": 20.4, "humidity": 39.4, "battery": 18}


def header(
    version: int, mac: bytes = MAC, tail: bytes = b"", product: int = LYWSD03MMC
) -> bytes:
    """Everything before the ciphertext; `tail` is capability and I/O capability."""
    control = version << 12 | 0x0048 | (0x10 if mac else 0) | (0x20 if tail else 0)
    return struct.pack("<HHB", control, product, 80) + mac + tail


def seal(
    head: bytes,
    plain: bytes = OBJECTS,
    key: bytes = KEY,
    extended_counter: bytes = b"\x26\x00\x00",
) -> bytes:
    """A frame of version 4 or 5."""
    nonce = MAC + head[2:5] + extended_counter
    sealed = AESCCM(key, tag_length=4).encrypt(nonce, plain, b"\x11")
    return head + sealed[:-4] + extended_counter + sealed[-4:]


def seal_legacy(
    head: bytes,
    plain: bytes = OBJECTS,
    key: bytes = LEGACY_KEY,
    end: bytes = b"\x7e\0\0\x99",
) -> bytes:
    """A frame of version 2 or 3: counter mode, block by block."""
    aes = algorithms.AES128(key[:6] + b"\x8d\x3d\x3c\x97" + key[6:])
    block_of = Cipher(aes, modes.ECB()).encryptor()  # one block each: no pattern to see
    nonce = head[:5] + end[:3] + MAC[:5]
    stream = b"".join(
        block_of.update(b"\x01" + nonce + struct.pack(">H", number))
        for number in range(1, 2 + len(plain) // 16)
    )
    return head + bytes(a ^ b for a, b in zip(plain, stream, strict=False)) + end


MACS = pytest.mark.parametrize("mac", [MAC, b""], ids=["MAC", "no-MAC"])
TAILS = pytest.mark.parametrize("tail", ["", "00", "df", "2077", "207788", "ff00"])


def test_the_encryptors_of_these_tests_make_the_published_frames() -> None:
    assert seal(header(5), bytes.fromhex("061002d301"))[5:] == bytes.fromhex(
        "f4830238c1a495ef58763c26000097e2abb5"
    )
    # YLKG07YL, whose one press is object 0x1001.
    published = bytes.fromhex("5830b603d28b98c54124f8c3491476757e00000099")
    reading = decode(published, "F8:24:41:C5:98:8B", LEGACY_KEY)
    assert reading == Reading(
        "mibeacon", 0x03B6, 0xD2, bytes.fromhex("f82441c5988b"), unknown=(0x1001,)
    )


@pytest.mark.parametrize("version", [4, 5])
@MACS
@TAILS
def test_the_right_key_opens_a_sealed_frame(version: int, mac: bytes, tail: str) -> None:
    frame = seal(header(version, mac, bytes.fromhex(tail)))
    assert decode(frame, ADDRESS, KEY) == Reading(
        "mibeacon", LYWSD03MMC, 80, mac[::-1], VALUES
    )


@pytest.mark.parametrize("version", [2, 3])
@MACS
@TAILS
def test_the_right_key_opens_a_legacy_frame(version: int, mac: bytes, tail: str) -> None:
    frame = seal_legacy(header(version, mac, bytes.fromhex(tail)))
    assert decode(frame, ADDRESS, LEGACY_KEY) == Reading(
        "mibeacon", LYWSD03MMC, 80, mac[::-1], VALUES
    )


def test_a_legacy_frame_may_be_longer_than_a_block_of_the_cipher() -> None:
    plain = bytes.fromhex("181010 000102030405060708090a0b0c0d0e0f 041002d500")
    assert decode(seal_legacy(header(3), plain), None, LEGACY_KEY).temperature == 21.3


def test_the_mac_of_the_frame_goes_before_the_address_that_was_heard() -> None:
    frame = seal(header(5))
    assert decode(frame, "4C:65:A8:D0:AE:64", KEY).battery == 18
    assert decode(frame, None, KEY).battery == 18


@pytest.mark.parametrize(
    "frame", [seal(header(5)), seal_legacy(header(3))], ids=["sealed", "legacy"]
)
def test_without_a_key_a_frame_says_that_it_needs_one(frame: bytes) -> None:
    assert decode(frame, ADDRESS) == Reading(
        "mibeacon", LYWSD03MMC, 80, MAC[::-1], needs_key=True
    )


def test_a_plain_frame_is_read_whatever_key_is_given() -> None:
    frame = bytes.fromhex("50585b0522f4830238c1a40a10014f")
    for key in (None, b"", KEY, LEGACY_KEY):
        assert decode(frame, ADDRESS, key) == Reading(
            "mibeacon", LYWSD03MMC, 0x22, MAC[::-1], {"battery": 79}
        )


def test_an_encrypted_frame_without_an_object_needs_no_key() -> None:
    idle = struct.pack("<HHB", 0x5018, LYWSD03MMC, 80) + MAC
    assert decode(idle, ADDRESS) == Reading("mibeacon", LYWSD03MMC, 80, MAC[::-1])
    assert decode(idle, ADDRESS, b"") == Reading("mibeacon", LYWSD03MMC, 80, MAC[::-1])


WRONG = bytes.fromhex("b9ea895fac7cca6d30532432a516f3a8")
WRONG_LEGACY = bytes.fromhex("b853075158487aa39a5b5ea9")


@pytest.mark.parametrize(
    ("frame", "key", "message"),
    [
        (seal(header(5)), WRONG, "the bind key does not fit this frame"),
        (seal(header(4)), bytes(16), "the bind key does not fit this frame"),
        (seal(header(5, tail=b"\x20\x77")), WRONG, "the bind key does not fit this frame"),
        (seal_legacy(header(3)), WRONG_LEGACY, "the bind key does not fit this frame"),
        (seal(header(5)), LEGACY_KEY, "the bind key of this sensor has 16 bytes"),
        (seal(header(4)), LEGACY_KEY, "the bind key of this sensor has 16 bytes"),
        (seal_legacy(header(3)), KEY, "the bind key of this sensor has 12 bytes"),
        (seal_legacy(header(2)), KEY, "the bind key of this sensor has 12 bytes"),
        (seal_legacy(header(3)), b"", "the bind key of this sensor has 12 bytes"),
    ],
    ids=lambda each: each.hex() if isinstance(each, bytes) else None,
)
def test_a_key_that_does_not_fit_is_refused_and_not_shown(
    frame: bytes, key: bytes, message: str
) -> None:
    with pytest.raises(BindKeyError) as caught:
        decode(frame, ADDRESS, key)
    assert str(caught.value) == message


@given(key=st.binary(max_size=40).filter(lambda key: len(key) != 16))
def test_a_key_of_any_other_length_opens_nothing(key: bytes) -> None:
    # Also an empty one: ciphertext must not be taken for values.
    with pytest.raises(DecodeError) as caught:
        decode(seal(header(5)), ADDRESS, key)
    assert len(key) < 4 or key.hex() not in str(caught.value)


@settings(deadline=None)
@given(key=st.binary(min_size=16, max_size=16).filter(lambda key: key != KEY))
def test_no_other_key_opens_a_sealed_frame(key: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(seal(header(5)), ADDRESS, key)
    shown = str(caught.value).lower() + repr(caught.value).lower()
    assert key.hex() not in shown
    assert repr(key)[2:-1].lower() not in shown


def test_an_empty_key_does_not_turn_ciphertext_into_values() -> None:
    # What a plain reader would take for 21.3 °C.
    frame = header(5) + bytes.fromhex("041002d500 0811020000")
    with pytest.raises(DecodeError):
        decode(frame, ADDRESS, b"")


@pytest.mark.parametrize(
    "address",
    [None, "", "A4:C1:38:02:83", "the kitchen", "6E400001-B5A3-F393-E0A9-E50E24DCCA9E"],
)
@pytest.mark.parametrize(
    ("frame", "key"),
    [(seal(header(5, b"")), KEY), (seal_legacy(header(3, b"")), LEGACY_KEY)],
    ids=["sealed", "legacy"],
)
def test_a_frame_without_a_mac_cannot_be_opened_without_the_address(
    frame: bytes, key: bytes, address: str | None
) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(frame, address, key)
    assert str(caught.value) == "decrypting needs the address of the sensor"


def test_the_address_of_another_sensor_opens_nothing() -> None:
    with pytest.raises(DecodeError, match="does not fit"):
        decode(seal(header(5, b"")), "A4:C1:38:02:83:F5", KEY)


@pytest.mark.parametrize("length", range(7))
def test_an_encrypted_part_without_room_for_its_tail_is_too_short(length: int) -> None:
    for version, key in ((5, KEY), (3, LEGACY_KEY)):
        with pytest.raises(DecodeError, match="the encrypted frame is too short"):
            decode(header(version) + bytes(length), ADDRESS, key)


def test_an_encrypted_part_of_nothing_but_its_tail_holds_no_value() -> None:
    assert decode(seal(header(5), b""), ADDRESS, KEY).values == {}


def test_a_sealed_frame_may_hold_a_damaged_object() -> None:
    with pytest.raises(DecodeError, match="object 0x1004 has 1 bytes instead of 2"):
        decode(seal(header(5), bytes.fromhex("041001d5")), ADDRESS, KEY)


@settings(deadline=None)
@given(
    version=st.integers(2, 5),
    secret=st.binary(min_size=16, max_size=16),
    extended_counter=st.binary(min_size=3, max_size=3),
    tail=st.sampled_from([b"", b"\x00", b"\xdf", b"\x20\x77", b"\xff\x00"]),
    mac=st.sampled_from([MAC, b""]),
    tenths=st.tuples(st.integers(-400, 850), st.integers(0, 1000)),
)
def test_xiaomi_ble_opens_the_same_frames(
    peer: Peer,
    version: int,
    secret: bytes,
    extended_counter: bytes,
    tail: bytes,
    mac: bytes,
    tenths: tuple[int, int],
) -> None:
    plain = struct.pack("<HBhH", 0x100D, 4, *tenths)
    head = header(version, mac, tail)
    if version < 4:
        key = secret[:12]
        frame = seal_legacy(head, plain, key, extended_counter + b"\x99")
    else:
        key = secret
        frame = seal(head, plain, key, extended_counter)
    reading = decode(frame, ADDRESS, key)
    found = {"temperature": reading.temperature, "humidity": reading.humidity}
    assert found == {"temperature": tenths[0] / 10, "humidity": tenths[1] / 10}
    assert found == peer(frame, ADDRESS, key)
