"""One pair-verify exchange, M1 to M4, without the connection that it runs on.

Source: docs/protocols/hap.md, "Pair verify". HAP-python's own answers a key that it
cannot use with a traceback, and logs the keys of all controllers for every stranger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from pyhap.hap_crypto import hap_hkdf, pad_tls_nonce

from hk_bridge.homekit import tlv
from hk_bridge.homekit.identity import parse_controller_id
from hk_bridge.homekit.tlv import RefusedError, TlvError, malformed

M1, M3 = 1, 3

_SALT: Final = b"Pair-Verify-Encrypt-Salt"
_INFO: Final = b"Pair-Verify-Encrypt-Info"


@dataclass(frozen=True, slots=True)
class Verified:
    """The controller that a connection belongs to, and the secret shared with it."""

    controller: UUID
    shared_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """The TLV to send; `verified` once M3 has been accepted."""

    body: bytes
    verified: Verified | None = None


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What M3 needs to know of M1: both Curve25519 public keys, and the secrets."""

    controller_key: bytes
    own_key: bytes
    shared_key: bytes = field(repr=False)
    cipher: ChaCha20Poly1305 = field(repr=False)


class PairVerify:
    """The accessory's side of one exchange on one connection.

    `key_of` gives the Ed25519 key of a paired controller, None for all others.
    """

    def __init__(
        self,
        device_id: str,
        signer: Ed25519PrivateKey,
        key_of: Callable[[UUID], bytes | None],
    ) -> None:
        self._device_id = device_id.encode()
        self._signer = signer
        self._key_of = key_of
        self._exchange: _Exchange | None = None

    @property
    def begun(self) -> bool:
        """Whether M3 is what comes next."""
        return self._exchange is not None

    def answer(self, request: Mapping[bytes, bytes]) -> Answer:
        """The answer to one decoded request.

        Raises RefusedError, also for a request that is out of order, lacks a value, or
        has a key that cannot be used.
        """
        steps = {M1: self._start, M3: self._finish}
        step = steps.get(tlv.state_of(request) or 0)
        exchange, self._exchange = self._exchange, None
        try:
            if step is None:
                raise malformed()
            return step(request, exchange)
        except KeyError:
            raise malformed() from None

    def _start(self, request: Mapping[bytes, bytes], _: _Exchange | None) -> Answer:
        controller_key = request[tlv.PUBLIC_KEY]
        secret = X25519PrivateKey.generate()
        own_key = secret.public_key().public_bytes_raw()
        try:
            # It refuses a key of another length than 32, and one of low order, which
            # would make the shared secret zero whatever the own key is (RFC 7748 §6.1).
            shared_key = secret.exchange(X25519PublicKey.from_public_bytes(controller_key))
        except ValueError:
            raise malformed() from None
        cipher = ChaCha20Poly1305(hap_hkdf(shared_key, _SALT, _INFO))
        proof = self._signer.sign(own_key + self._device_id + controller_key)
        plain = tlv.encode((tlv.IDENTIFIER, self._device_id), (tlv.SIGNATURE, proof))
        sealed = cipher.encrypt(pad_tls_nonce(b"PV-Msg02"), plain, b"")
        self._exchange = _Exchange(controller_key, own_key, shared_key, cipher)
        return Answer(
            tlv.answer(M1, (tlv.PUBLIC_KEY, own_key), (tlv.ENCRYPTED_DATA, sealed))
        )

    def _finish(self, request: Mapping[bytes, bytes], exchange: _Exchange | None) -> Answer:
        if exchange is None:
            raise malformed()
        sealed = request[tlv.ENCRYPTED_DATA]
        try:
            inner = tlv.decode(
                exchange.cipher.decrypt(pad_tls_nonce(b"PV-Msg03"), sealed, b"")
            )
            controller_id = inner[tlv.IDENTIFIER]
            controller = parse_controller_id(controller_id)
            key = self._key_of(controller)
            if key is None:
                raise RefusedError(TlvError.AUTHENTICATION)
            Ed25519PublicKey.from_public_bytes(key).verify(
                inner[tlv.SIGNATURE],
                exchange.controller_key + controller_id + exchange.own_key,
            )
        except (InvalidTag, InvalidSignature, KeyError, ValueError):
            raise RefusedError(TlvError.AUTHENTICATION) from None
        return Answer(tlv.answer(M3), Verified(controller, exchange.shared_key))
