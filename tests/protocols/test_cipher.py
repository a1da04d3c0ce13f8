"""What a sealed frame is opened with."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.errors import BindKeyError, DecodeError
from hk_bridge.protocols.cipher import mac_of, open_sealed

KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
NONCE = bytes(range(13))


def seal(plain: bytes, associated_data: bytes | None = None) -> bytes:
    return AESCCM(KEY, tag_length=4).encrypt(NONCE, plain, associated_data)


@given(plain=st.binary(max_size=40), associated_data=st.none() | st.binary(max_size=2))
def test_what_was_sealed_is_opened(plain: bytes, associated_data: bytes | None) -> None:
    sealed = seal(plain, associated_data)
    assert open_sealed(KEY, NONCE, sealed, associated_data) == plain


def test_a_key_that_does_not_fit_is_a_bind_key_error_that_does_not_show_it() -> None:
    other = bytes(reversed(KEY))
    with pytest.raises(BindKeyError) as caught:
        open_sealed(other, NONCE, seal(b"values"))
    assert str(caught.value) == "the bind key does not fit this frame"


def test_other_associated_data_opens_nothing() -> None:
    with pytest.raises(BindKeyError, match="does not fit"):
        open_sealed(KEY, NONCE, seal(b"values", b"\x11"), b"\x12")


@pytest.mark.parametrize("length", range(4))
def test_less_than_a_tag_is_opened_by_no_key(length: int) -> None:
    with pytest.raises(BindKeyError, match="does not fit"):
        open_sealed(KEY, NONCE, bytes(length))


@given(key=st.binary(max_size=40).filter(lambda key: len(key) != 16))
def test_a_key_of_any_other_length_is_refused(key: bytes) -> None:
    # AES takes 24 and 32 bytes too.
    with pytest.raises(BindKeyError) as caught:
        open_sealed(key, NONCE, seal(b"values"))
    assert str(caught.value) == "the bind key of this sensor has 16 bytes"


def test_more_than_the_nonce_can_count_is_no_frame() -> None:
    with pytest.raises(DecodeError, match="the encrypted frame is too long"):
        open_sealed(KEY, NONCE, bytes(1 << 17))


@pytest.mark.parametrize("address", ["A4:C1:38:02:83:F4", "a4:c1:38:02:83:f4"])
def test_the_mac_has_the_order_of_the_address(address: str) -> None:
    assert mac_of(address) == bytes.fromhex("a4c1380283f4")


@pytest.mark.parametrize(
    "address",
    [None, "", "A4:C1:38:02:83", "the kitchen", "6E400001-B5A3-F393-E0A9-E50E24DCCA9E"],
)
def test_what_is_no_address_cannot_decrypt(address: str | None) -> None:
    with pytest.raises(DecodeError) as caught:
        mac_of(address)
    assert str(caught.value) == "decrypting needs the address of the sensor"
