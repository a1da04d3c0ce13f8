"""The frames that everything travels in after pair-verify.

Source: docs/protocols/hap.md, "Encrypted connection".
"""

from __future__ import annotations

from typing import Final

from pyhap.hap_crypto import HAP_CRYPTO, PACK_NONCE, HAPCrypto

_MOST_PLAIN: Final = HAPCrypto.MAX_BLOCK_LENGTH
_LENGTH: Final = HAPCrypto.LENGTH_LENGTH
_TAG: Final = HAP_CRYPTO.TAG_LENGTH


class FrameError(Exception):
    """A frame that is longer than the specification allows."""


class Frames(HAPCrypto):  # type: ignore[misc] # HAP-python has no types
    """Both directions of one connection.

    The base waits for frames of up to 64 KiB, and leaves one of a single byte lying
    until more comes.
    """

    @property
    def has_part(self) -> bool:
        """Whether a frame has come in part."""
        return bool(self._crypt_in_buffer)

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
