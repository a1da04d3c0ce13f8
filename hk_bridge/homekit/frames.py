"""The frames that everything travels in after pair-verify.

Source: docs/protocols/hap.md, "Encrypted connection".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from pyhap.hap_crypto import HAP_CRYPTO, PACK_NONCE, HAPCrypto, hap_hkdf

_MOST_PLAIN: Final = HAPCrypto.MAX_BLOCK_LENGTH
_LENGTH: Final = HAPCrypto.LENGTH_LENGTH
_TAG: Final = HAP_CRYPTO.TAG_LENGTH
_MOST_SEALED: Final = _LENGTH + _MOST_PLAIN + _TAG

#: The header of a frame that holds as much as one can.
_FULL: Final = _MOST_PLAIN.to_bytes(_LENGTH, "little")

#: Whole frames that are encrypted in the time that as many take on the way.
_FRAMES: Final = 64
_PIECE: Final = _FRAMES * _MOST_PLAIN

#: A piece to be filled in, and from where to where in it: worked out once, as each frame
#: costs little more than that.
_BLANK: Final = memoryview((_FULL + bytes(_MOST_PLAIN + _TAG)) * _FRAMES)
_PLACES: Final = tuple(
    (
        slice(number * _MOST_PLAIN, (number + 1) * _MOST_PLAIN),
        slice(number * _MOST_SEALED + _LENGTH, (number + 1) * _MOST_SEALED),
    )
    for number in range(_FRAMES)
)


class FrameError(Exception):
    """A frame that is longer than the specification allows."""


class Frames(HAPCrypto):  # type: ignore[misc] # HAP-python has no types
    """Both directions of one connection.

    The base waits for frames of up to 64 KiB, and leaves one of a single byte lying
    until more comes. It copies all that it encrypts, time and again.
    """

    _out_count: int

    @property
    def has_part(self) -> bool:
        """Whether a frame has come in part."""
        return bool(self._crypt_in_buffer)

    def reset(self, shared_key: bytes) -> None:
        """Derive the keys of both directions; the base takes ciphers of any library."""
        self._out_cipher, self._in_cipher = (
            ChaCha20Poly1305(hap_hkdf(shared_key, self.CIPHER_SALT, info))
            for info in (self.OUT_CIPHER_INFO, self.IN_CIPHER_INFO)
        )

    def encrypt(self, data: bytes) -> Iterator[bytearray]:
        """The frames of `data`, many at a time.

        While those travel the next ones are encrypted: a database has hundreds of them.
        """
        plain = memoryview(data)
        for start in range(0, len(data), _PIECE):
            yield self._sealed(plain[start : start + _PIECE])

    def _sealed(self, plain: memoryview) -> bytearray:
        """The frames of at most a piece, one behind the other."""
        whole, rest = divmod(len(plain), _MOST_PLAIN)
        count, encrypt_into = self._out_count, self._out_cipher.encrypt_into
        sealed = bytearray(_BLANK[: whole * _MOST_SEALED])
        with memoryview(sealed) as room:
            for number, (block, place) in enumerate(_PLACES[:whole], count):
                encrypt_into(PACK_NONCE(number), plain[block], _FULL, room[place])
        if rest:
            header = rest.to_bytes(_LENGTH, "little")
            nonce = PACK_NONCE(count + whole)
            sealed += header + self._out_cipher.encrypt(nonce, plain[-rest:], header)
        self._out_count = count + whole + bool(rest)
        return sealed

    def decrypt(self) -> bytes:
        """The plaintext of all frames that are whole.

        Raises FrameError, and cryptography's InvalidTag for a frame of somebody else.
        """
        buffer, parts = self._crypt_in_buffer, []
        while len(buffer) >= _LENGTH:
            header = bytes(buffer[:_LENGTH])
            length = int.from_bytes(header, "little")
            if length > _MOST_PLAIN:
                raise FrameError(f"a frame of {length} bytes")
            end = _LENGTH + length + _TAG
            if len(buffer) < end:
                break
            sealed = bytes(buffer[_LENGTH:end])
            parts.append(
                self._in_cipher.decrypt(PACK_NONCE(self._in_count), sealed, header)
            )
            self._in_count += 1
            del buffer[:end]
        return b"".join(parts)
