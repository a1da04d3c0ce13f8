"""The encryption of MiBeacon frames, both ways.

Source: docs/protocols/mibeacon.md, "Encryption, versions 4 and 5" and "Encryption,
versions 2 and 3".
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from hk_bridge.errors import BindKeyError, DecodeError
from hk_bridge.protocols.cipher import KEY_LENGTH, TAG_LENGTH, open_sealed

_VERSION_SHIFT: Final = 12
_FIRST_TAGGED_VERSION: Final = 4
_KEY_LENGTHS: Final = {False: 12, True: KEY_LENGTH}

_ASSOCIATED_DATA: Final = b"\x11"
_COUNTER_LENGTH: Final = 3
_LEGACY_KEY_INFIX: Final = bytes.fromhex("8d3d3c97")


def is_tagged(data: bytes) -> bool:
    """Whether a wrong key shows by itself: from version 4 on, a frame has a tag."""
    return int.from_bytes(data[:2], "little") >> _VERSION_SHIFT >= _FIRST_TAGGED_VERSION


def decrypt(data: bytes, body: int, mac: bytes, key: bytes) -> bytes:
    """The objects of the frame `data`, whose encrypted part begins at `body`.

    `mac` is the sender's, in the order in which it is written. Raises DecodeError for a
    frame that is too short, BindKeyError for a key of the wrong length, and where the
    frame is tagged for one that does not fit. Without a tag the objects must be looked at
    to know.
    """
    tagged = is_tagged(data)
    if body + _COUNTER_LENGTH + TAG_LENGTH > len(data):
        raise DecodeError("the encrypted frame is too short")
    if len(key) != _KEY_LENGTHS[tagged]:
        raise BindKeyError(f"the bind key of this sensor has {_KEY_LENGTHS[tagged]} bytes")
    # Without a tag, one byte of no known meaning stands where a tag has four.
    tail = _COUNTER_LENGTH + TAG_LENGTH if tagged else _COUNTER_LENGTH + 1
    counter = data[-tail:][:_COUNTER_LENGTH]
    sealed = data[body:-tail]
    if not tagged:
        return _legacy(data[:5], counter, mac, key, sealed)
    nonce = mac[::-1] + data[2:5] + counter
    return open_sealed(key, nonce, sealed + data[-TAG_LENGTH:], _ASSOCIATED_DATA)


def encrypt(head: bytes, objects: bytes, counter: bytes, mac: bytes, key: bytes) -> bytes:
    """The frame with `objects` behind `head`, which has the bits of an encrypted one.

    `counter` is the extended one of 3 bytes; `mac` and `key` are as for `decrypt`.
    """
    if not is_tagged(head):
        return head + _legacy(head[:5], counter, mac, key, objects) + counter + b"\0"
    cipher = AESCCM(key, tag_length=TAG_LENGTH)
    sealed = cipher.encrypt(mac[::-1] + head[2:5] + counter, objects, _ASSOCIATED_DATA)
    return head + sealed[:-TAG_LENGTH] + counter + sealed[-TAG_LENGTH:]


def _legacy(head: bytes, counter: bytes, mac: bytes, key: bytes, data: bytes) -> bytes:
    """Versions 2 and 3: without its tag, CCM does the same both ways."""
    cipher = AESCCM(key[:6] + _LEGACY_KEY_INFIX + key[6:], tag_length=TAG_LENGTH)
    nonce = head + counter + mac[:0:-1]
    return cipher.encrypt(nonce, data, None)[:-TAG_LENGTH]
