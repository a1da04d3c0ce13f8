"""One pair-setup exchange, from M1 to M6, without the connection that it runs on.

Source: docs/protocols/hap.md, "Pair setup". Every answer is TLV; what is out of order or
cannot be read is refused, and leaves the exchange where only M1 helps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from pyhap import tlv
from pyhap.hap_crypto import hap_hkdf, pad_tls_nonce

from hk_bridge.homekit.srp import SetupServer
from hk_bridge.homekit.store import Pairing

IDENTIFIER: Final = b"\x01"
SALT: Final = b"\x02"
PUBLIC_KEY: Final = b"\x03"
PROOF: Final = b"\x04"
ENCRYPTED_DATA: Final = b"\x05"
STATE: Final = b"\x06"
ERROR: Final = b"\x07"
SIGNATURE: Final = b"\x0a"

_M1, _M3, _M5 = 1, 3, 5


class TlvError(IntEnum):
    """Why a step of pairing was refused."""

    UNKNOWN = 1
    AUTHENTICATION = 2
    MAX_TRIES = 5
    UNAVAILABLE = 6


class PairSetupRefusedError(Exception):
    """A step was refused; `wrong_code` where the controller does not know the code."""

    def __init__(self, error: TlvError, *, wrong_code: bool = False) -> None:
        super().__init__(error.name)
        self.error = error
        self.wrong_code = wrong_code


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
    """The accessory's side of one exchange on one connection."""

    def __init__(self, setup_code: str, device_id: str, private_key: bytes) -> None:
        self._setup_code = setup_code
        self._device_id = device_id.encode()
        self._signer = Ed25519PrivateKey.from_private_bytes(private_key)
        self._server: SetupServer | None = None
        self._session_key: bytes | None = None

    def answer(self, request: Mapping[bytes, bytes]) -> Answer:
        """The answer to one decoded request.

        Raises PairSetupRefusedError, also for a request that is out of order or lacks
        a value.
        """
        steps = {_M1: self._start, _M3: self._check_proof, _M5: self._exchange_keys}
        step = steps.get(state_of(request) or 0)
        try:
            if step is None:
                raise PairSetupRefusedError(TlvError.UNKNOWN)
            return step(request)
        except KeyError:
            raise PairSetupRefusedError(TlvError.UNKNOWN) from None

    def _start(self, _request: Mapping[bytes, bytes]) -> Answer:
        self._session_key = None
        self._server = SetupServer(self._setup_code)
        return Answer(
            _encode(2, (SALT, self._server.salt), (PUBLIC_KEY, self._server.public))
        )

    def _check_proof(self, request: Mapping[bytes, bytes]) -> Answer:
        server, self._server = self._server, None
        if server is None:
            raise PairSetupRefusedError(TlvError.UNKNOWN)
        proof = server.verify(request[PUBLIC_KEY], request[PROOF])
        if proof is None:
            raise PairSetupRefusedError(TlvError.AUTHENTICATION, wrong_code=True)
        self._session_key = server.key
        return Answer(_encode(4, (PROOF, proof)), proven=True)

    def _exchange_keys(self, request: Mapping[bytes, bytes]) -> Answer:
        session_key, self._session_key = self._session_key, None
        if session_key is None:
            raise PairSetupRefusedError(TlvError.UNKNOWN)
        cipher = ChaCha20Poly1305(_derive(session_key, b"Encrypt"))
        try:
            sealed = request[ENCRYPTED_DATA]
            inner = decode(cipher.decrypt(pad_tls_nonce(b"PS-Msg05"), sealed, b""))
            controller_id, public_key = inner[IDENTIFIER], inner[PUBLIC_KEY]
            UUID(controller_id.decode())
            Ed25519PublicKey.from_public_bytes(public_key).verify(
                inner[SIGNATURE],
                _derive(session_key, b"Controller-Sign") + controller_id + public_key,
            )
        except (InvalidTag, InvalidSignature, ValueError):
            raise PairSetupRefusedError(TlvError.AUTHENTICATION) from None
        own_key = self._signer.public_key().public_bytes_raw()
        signed = _derive(session_key, b"Accessory-Sign") + self._device_id + own_key
        plain = tlv.encode(
            *(IDENTIFIER, self._device_id),
            *(PUBLIC_KEY, own_key),
            *(SIGNATURE, self._signer.sign(signed)),
        )
        sealed = cipher.encrypt(pad_tls_nonce(b"PS-Msg06"), plain, b"")
        return Answer(
            _encode(6, (ENCRYPTED_DATA, sealed)),
            pairing=Pairing(controller_id, public_key, admin=True),
        )


def decode(data: bytes) -> dict[bytes, bytes]:
    """TLV bytes as a dictionary, fragments put together.

    Raises ValueError where they are truncated; HAP-python's decoder takes what is there.
    """
    values: dict[bytes, bytes] = {}
    offset = 0
    while offset < len(data):
        kind, value_at = data[offset : offset + 1], offset + 2
        if value_at > len(data) or value_at + data[offset + 1] > len(data):
            raise ValueError("truncated TLV")
        offset = value_at + data[offset + 1]
        values[kind] = values.get(kind, b"") + data[value_at:offset]
    return values


def state_of(request: Mapping[bytes, bytes]) -> int | None:
    """Which step (1–6) a request is; None where it does not say."""
    state = request.get(STATE, b"")
    return state[0] if len(state) == 1 else None


def refusal(state: int, error: TlvError) -> bytes:
    """The TLV that refuses the step `state`."""
    return _encode(state + 1, (ERROR, bytes([error])))


def _encode(state: int, *values: tuple[bytes, bytes]) -> bytes:
    encoded: bytes = tlv.encode(
        *(STATE, bytes([state])), *(part for v in values for part in v)
    )
    return encoded


def _derive(session_key: bytes, purpose: bytes) -> bytes:
    prefix = b"Pair-Setup-" + purpose
    key: bytes = hap_hkdf(session_key, prefix + b"-Salt", prefix + b"-Info")
    return key
