"""AES-CCM, as every format seals its frames: a 16-byte key, a tag of four bytes.

Sources: the sections on encryption in docs/protocols. What goes into the nonce is each
format's own affair.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from hk_bridge.errors import BindKeyError, DecodeError

KEY_LENGTH: Final = 16
MAC_LENGTH: Final = 6
TAG_LENGTH: Final = 4

WRONG_KEY: Final = "the bind key does not fit this frame"


def open_sealed(
    key: bytes, nonce: bytes, sealed: bytes, associated_data: bytes | None = None
) -> bytes:
    """What `sealed`, ciphertext and tag, holds.

    `nonce` has 7 to 13 bytes. Raises BindKeyError for a key that has not 16 bytes, and
    for one that does not fit; DecodeError for more bytes than the nonce can count.
    """
    if len(key) != KEY_LENGTH:
        raise BindKeyError(f"the bind key of this sensor has {KEY_LENGTH} bytes")
    try:
        return AESCCM(key, tag_length=TAG_LENGTH).decrypt(nonce, sealed, associated_data)
    except InvalidTag:
        raise BindKeyError(WRONG_KEY) from None
    except ValueError:
        raise DecodeError("the encrypted frame is too long") from None


def mac_of(address: str | None) -> bytes:
    """The six bytes of the advertiser's address, in the order in which it is written.

    Raises DecodeError where there is no address, as on macOS, which shows a UUID.
    """
    try:
        mac = bytes.fromhex((address or "").replace(":", ""))
    except ValueError:
        mac = b""
    if len(mac) != MAC_LENGTH:
        raise DecodeError("decrypting needs the address of the sensor")
    return mac
