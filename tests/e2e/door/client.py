"""A HAP client that says whatever it is told to, right or wrong, step by step.

`Client` is a connection: raw bytes, HTTP requests and, once `secure` has been called,
encrypted frames. `Setup` and `Verify` are the two exchanges, each step a method whose
parts can be put in by hand. `pair` and `session` do them as a controller does.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiohomekit.crypto.srp import SrpClient
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.e2e.door.connection import (
    FRAME,
    LOOPBACK,
    PATIENCE,
    Answer,
    Client,
    ClosedError,
    Frames,
    close_all,
    derive,
    request,
)
from tests.e2e.door.tlv import (
    ADD,
    AUTHENTICATION,
    BUSY,
    ENCRYPTED,
    ERROR,
    IDENTIFIER,
    LIST,
    MAX_PEERS,
    MAX_TRIES,
    METHOD,
    PERMISSIONS,
    PROOF,
    PUBLIC_KEY,
    REMOVE,
    SALT,
    SEPARATOR,
    SIGNATURE,
    STATE,
    UNAVAILABLE,
    UNKNOWN,
    Value,
    state,
    tlv,
    untlv,
)

__all__ = [
    "ADD",
    "AUTHENTICATION",
    "BUSY",
    "ENCRYPTED",
    "ERROR",
    "FRAME",
    "IDENTIFIER",
    "LIST",
    "LOOPBACK",
    "MAX_PEERS",
    "MAX_TRIES",
    "METHOD",
    "PATIENCE",
    "PERMISSIONS",
    "PROOF",
    "PUBLIC_KEY",
    "REMOVE",
    "SALT",
    "SEPARATOR",
    "SIGNATURE",
    "STATE",
    "UNAVAILABLE",
    "UNKNOWN",
    "Answer",
    "Client",
    "ClosedError",
    "Controller",
    "Frames",
    "Setup",
    "Value",
    "Verify",
    "accepted",
    "close_all",
    "derive",
    "m5_values",
    "pair",
    "request",
    "seal_m5",
    "session",
    "state",
    "tlv",
    "untlv",
]


@dataclass
class Controller:
    """What a controller keeps: its pairing id and its key."""

    identifier: bytes = field(default_factory=lambda: str(uuid.uuid4()).upper().encode())
    signer: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public_key(self) -> bytes:
        return self.signer.public_key().public_bytes_raw()


class Setup:
    """Pair-setup on one connection: `m1`, `m3` and `m5` in any order that a test likes."""

    def __init__(self, client: Client, code: str) -> None:
        self.client = client
        self.srp = SrpClient("Pair-Setup", code)
        self.salt = self.server_public = b""

    async def m1(self) -> Answer:
        answer = await self.client.pair_setup((METHOD, b"\0"), state(1))
        values = answer.tlv
        if SALT in values and PUBLIC_KEY in values:
            self.salt, self.server_public = values[SALT], values[PUBLIC_KEY]
            self.srp.set_salt(bytearray(self.salt))
            self.srp.set_server_public_key(self.server_public.rjust(384, b"\0"))
        return answer

    async def m3(self, public: bytes | None = None, proof: bytes | None = None) -> Answer:
        if public is None:
            public = bytes(self.srp.get_public_key_bytes())
        if proof is None:
            proof = self.srp.get_proof_bytes()
        return await self.client.pair_setup(state(3), (PUBLIC_KEY, public), (PROOF, proof))

    async def m5(self, controller: Controller, key: bytes | None = None) -> Answer:
        """Exchange keys; `key` stands for the session key of SRP."""
        key = self.srp.get_session_key_bytes() if key is None else key
        return await self.client.pair_setup(
            state(5), (ENCRYPTED, seal_m5(key, m5_values(key, controller)))
        )


def m5_values(key: bytes, controller: Controller) -> list[Value]:
    """What M5 holds inside."""
    prefix = derive(
        key, b"Pair-Setup-Controller-Sign-Salt", b"Pair-Setup-Controller-Sign-Info"
    )
    signed = prefix + controller.identifier + controller.public_key
    return [
        (IDENTIFIER, controller.identifier),
        (PUBLIC_KEY, controller.public_key),
        (SIGNATURE, controller.signer.sign(signed)),
    ]


def seal_m5(key: bytes, values: Iterable[Value]) -> bytes:
    cipher = derive(key, b"Pair-Setup-Encrypt-Salt", b"Pair-Setup-Encrypt-Info")
    return ChaCha20Poly1305(cipher).encrypt(_text_nonce(b"PS-Msg05"), tlv(*values), b"")


class Verify:
    """Pair-verify on one connection: `m1` and `m3`, then `secure`."""

    def __init__(self, client: Client, controller: Controller) -> None:
        self.client, self.controller = client, controller
        self._secret = X25519PrivateKey.generate()
        self.public = self._secret.public_key().public_bytes_raw()
        self.shared = bytes(32)
        self.server_public = bytes(32)

    async def m1(self, public: bytes | None = None) -> Answer:
        answer = await self.client.pair_verify(
            state(1), (PUBLIC_KEY, self.public if public is None else public)
        )
        self.take_m2(answer)
        return answer

    def take_m2(self, answer: Answer) -> None:
        """Take the server's key from its M2, where it is one."""
        if answer.status == 200 and PUBLIC_KEY in answer.tlv:
            self.server_public = answer.tlv[PUBLIC_KEY]
            server = X25519PublicKey.from_public_bytes(self.server_public)
            self.shared = self._secret.exchange(server)

    async def m3(self, signature: bytes | None = None) -> Answer:
        return await self.client.pair_verify(*self.m3_values(signature))

    def m3_values(self, signature: bytes | None = None) -> list[Value]:
        """M3 as a controller would say it, or with a signature of one's own."""
        if signature is None:
            signature = self.controller.signer.sign(
                self.public + self.controller.identifier + self.server_public
            )
        inner = [(IDENTIFIER, self.controller.identifier), (SIGNATURE, signature)]
        return [state(3), (ENCRYPTED, self.seal(inner))]

    def seal(self, values: Iterable[Value]) -> bytes:
        """The encrypted part of M3."""
        key = derive(self.shared, b"Pair-Verify-Encrypt-Salt", b"Pair-Verify-Encrypt-Info")
        return ChaCha20Poly1305(key).encrypt(_text_nonce(b"PV-Msg03"), tlv(*values), b"")

    def secure(self) -> None:
        """Encrypt from here on."""
        self.client.secure(self.shared)


async def pair(port: int, code: str, source: str = LOOPBACK) -> Controller:
    """Pair as a controller does, on a connection of its own."""
    controller = Controller()
    async with await Client.connect(port, source) as client:
        setup = Setup(client, code)
        accepted(await setup.m1())
        accepted(await setup.m3())
        accepted(await setup.m5(controller))
    return controller


async def session(port: int, controller: Controller, source: str = LOOPBACK) -> Client:
    """A connection after pair-verify."""
    client = await Client.connect(port, source)
    verify = Verify(client, controller)
    accepted(await verify.m1())
    accepted(await verify.m3())
    verify.secure()
    return client


def accepted(answer: Answer) -> None:
    """Assert that a step of pairing was done."""
    assert answer.status == 200, answer
    assert answer.error is None, answer


def _text_nonce(text: bytes) -> bytes:
    return text.rjust(12, b"\0")
