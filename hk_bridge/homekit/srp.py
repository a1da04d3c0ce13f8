"""The accessory's half of SRP-6a as HomeKit uses it.

Source: docs/protocols/hap.md, "SRP parameters"; RFC 5054 §2.5.4 and §2.6. Controllers do
not agree on whether numbers that begin with zero bytes are hashed with those bytes: this
side draws a public key that begins with none, and takes a proof over either spelling of
the controller's public key and of the premaster secret.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from pyhap.params import get_srp_context

_USER: Final = b"Pair-Setup"
_SALT_LENGTH: Final = 16
_CONTEXT: Final = get_srp_context(3072, hashlib.sha512, _SALT_LENGTH)
_N: Final[int] = _CONTEXT["N"]
_G: Final[int] = _CONTEXT["g"]
_LENGTH: Final = 384
_SECRET_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class Verifier:
    """A setup code under a salt of 16 bytes, as the accessory checks proofs against it.

    It takes tens of milliseconds to make, and is as good for the next exchange.
    """

    salt: bytes
    #: Whoever sees it can try all codes against it.
    number: int = field(repr=False)

    @classmethod
    def of(cls, code: str, salt: bytes | None = None) -> Verifier:
        """The verifier of a setup code (``031-45-154``), under a random salt."""
        salt = salt or secrets.token_bytes(_SALT_LENGTH)
        inner = hashlib.sha512(_USER + b":" + code.encode()).digest()
        return cls(salt, pow(_G, _number(hashlib.sha512(salt + inner).digest()), _N))


class SetupServer:
    """One exchange against a verifier, good for one proof.

    `salt` has 16 bytes, `public` is B in 384 bytes; `key` is the 64-byte session key once
    a proof has been verified, `used` says that one has been tried. `secret` fixes b, for
    tests alone.
    """

    def __init__(self, verifier: Verifier, secret: int | None = None) -> None:
        self.salt = verifier.salt
        self.key: bytes | None = None
        self.used = False
        self._verifier = verifier.number
        while True:
            self._secret = secret or _number(secrets.token_bytes(_SECRET_LENGTH))
            public = (_MULTIPLIER * self._verifier + pow(_G, self._secret, _N)) % _N
            self.public = _pad(public)
            if self.public[0] or secret:
                return

    def verify(self, public: bytes, proof: bytes) -> bytes | None:
        """The accessory's proof where the controller's is the first and right, else None.

        `public` is A as it came, of at most 384 bytes. An A that is 0 modulo N is
        refused: it makes the secret 0 whatever the code is.
        """
        is_first, self.used = not self.used, True
        controller = _number(public)
        if not is_first or len(public) > _LENGTH or controller % _N == 0:
            return None
        scrambler = _hash_number(_pad(controller), self.public)
        base = controller * pow(self._verifier, scrambler, _N)
        premaster = pow(base, self._secret, _N)
        for a, s in product(_spellings(controller), _spellings(premaster)):
            key = hashlib.sha512(s).digest()
            expected = self._proof(a, key)
            if hmac.compare_digest(expected, proof):
                self.key = key
                return hashlib.sha512(a + expected + key).digest()
        return None

    def _proof(self, public: bytes, key: bytes) -> bytes:
        return hashlib.sha512(
            _GROUP + hashlib.sha512(_USER).digest() + self.salt + public + self.public + key
        ).digest()


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _hash_number(*parts: bytes) -> int:
    return _number(hashlib.sha512(b"".join(parts)).digest())


def _pad(number: int) -> bytes:
    return number.to_bytes(_LENGTH, "big")


def _strip(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _spellings(number: int) -> set[bytes]:
    return {_pad(number), _strip(number)}


_MULTIPLIER: Final = _hash_number(_pad(_N), _pad(_G))
_GROUP: Final = (_hash_number(_strip(_N)) ^ _hash_number(_strip(_G))).to_bytes(64, "big")
