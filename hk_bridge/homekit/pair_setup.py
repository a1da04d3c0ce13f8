"""One pair-setup exchange, from M1 to M6, without the connection that it runs on.

Source: docs/protocols/hap.md, "Pair setup". Every answer is TLV; what is out of order or
cannot be read is refused, and leaves the exchange where only M1 helps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from pyhap.hap_crypto import hap_hkdf, pad_tls_nonce

from hk_bridge.homekit import tlv
from hk_bridge.homekit.identity import Pairing, parse_controller_id
from hk_bridge.homekit.srp import SetupServer
from hk_bridge.homekit.tlv import RefusedError, TlvError, malformed

M1, M3, M5 = 1, 3, 5


@dataclass(frozen=True, slots=True)
class Answer:
    """The TLV to send.

    `proven` where the controller has just shown that it knows the code; `pairing` is
    the new controller once M5 has been accepted.
    """

    body: bytes
    proven: bool = False
    pairing: Pairing | None = None


class PairSetup:
    """The accessory's side of one exchange on one connection.

    `challenge` gives the SRP server of an exchange that begins.
    """

    def __init__(
        self,
        challenge: Callable[[], SetupServer],
        device_id: str,
        signer: Ed25519PrivateKey,
    ) -> None:
        self._challenge = challenge
        self._device_id = device_id.encode()
        self._signer = signer
        # What the next message is checked against: M3 by a server, M5 by its key.
        self._pending: SetupServer | bytes | None = None

    @property
    def begun(self) -> bool:
        """Whether M3 or M5 is what comes next."""
        return self._pending is not None

    def answer(self, request: Mapping[bytes, bytes]) -> Answer:
        """The answer to one decoded request.

        Raises RefusedError, also for a request that is out of order or lacks a value.
        """
        steps = {M1: self._start, M3: self._check_proof, M5: self._exchange_keys}
        step = steps.get(tlv.state_of(request) or 0)
        pending, self._pending = self._pending, None
        try:
            if step is None:
                raise malformed()
            return step(request, pending)
        except KeyError:
            raise malformed() from None

    def _start(self, _request: Mapping[bytes, bytes], _pending: object) -> Answer:
        self._pending = server = self._challenge()
        return Answer(
            tlv.answer(M1, (tlv.SALT, server.salt), (tlv.PUBLIC_KEY, server.public))
        )

    def _check_proof(self, request: Mapping[bytes, bytes], server: object) -> Answer:
        if not isinstance(server, SetupServer):
            raise malformed()
        proof = server.verify(request[tlv.PUBLIC_KEY], request[tlv.PROOF])
        if proof is None:
            raise RefusedError(TlvError.AUTHENTICATION, wrong_code=True)
        self._pending = server.key
        return Answer(tlv.answer(M3, (tlv.PROOF, proof)), proven=True)

    def _exchange_keys(self, request: Mapping[bytes, bytes], session_key: object) -> Answer:
        if not isinstance(session_key, bytes):
            raise malformed()
        cipher = ChaCha20Poly1305(_derive(session_key, b"Encrypt"))
        try:
            sealed = request[tlv.ENCRYPTED_DATA]
            inner = tlv.decode(cipher.decrypt(pad_tls_nonce(b"PS-Msg05"), sealed, b""))
            controller_id, public_key = inner[tlv.IDENTIFIER], inner[tlv.PUBLIC_KEY]
            parse_controller_id(controller_id)
            Ed25519PublicKey.from_public_bytes(public_key).verify(
                inner[tlv.SIGNATURE],
                _derive(session_key, b"Controller-Sign") + controller_id + public_key,
            )
        except (InvalidTag, InvalidSignature, ValueError):
            raise RefusedError(TlvError.AUTHENTICATION) from None
        own_key = self._signer.public_key().public_bytes_raw()
        signed = _derive(session_key, b"Accessory-Sign") + self._device_id + own_key
        plain = tlv.encode(
            (tlv.IDENTIFIER, self._device_id),
            (tlv.PUBLIC_KEY, own_key),
            (tlv.SIGNATURE, self._signer.sign(signed)),
        )
        sealed = cipher.encrypt(pad_tls_nonce(b"PS-Msg06"), plain, b"")
        return Answer(
            tlv.answer(M5, (tlv.ENCRYPTED_DATA, sealed)),
            pairing=Pairing(controller_id, public_key, admin=True),
        )


def _derive(session_key: bytes, purpose: bytes) -> bytes:
    prefix = b"Pair-Setup-" + purpose
    key: bytes = hap_hkdf(session_key, prefix + b"-Salt", prefix + b"-Info")
    return key
