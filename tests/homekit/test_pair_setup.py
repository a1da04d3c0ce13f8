"""One exchange of pair-setup, with a client of the tests' own."""

from __future__ import annotations

import pytest
from aiohomekit.crypto.srp import SrpClient
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hk_bridge.homekit.pair_setup import PairSetup
from hk_bridge.homekit.srp import SetupServer, Verifier
from hk_bridge.homekit.tlv import RefusedError, TlvError, decode

CODE = "031-45-154"
VERIFIER = Verifier.of(CODE)
DEVICE = "CC:22:3D:E3:CE:30"
BRIDGE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CONTROLLER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
CONTROLLER = b"F31C6685-9FDD-4869-8F65-3A102FF2534F"

IDENTIFIER, SALT, PUBLIC_KEY, PROOF = b"\x01", b"\x02", b"\x03", b"\x04"
ENCRYPTED, STATE, SIGNATURE = b"\x05", b"\x06", b"\x0a"


def derive(key: bytes, purpose: str) -> bytes:
    salt, info = f"Pair-Setup-{purpose}-Salt", f"Pair-Setup-{purpose}-Info"
    return HKDF(SHA512(), 32, salt.encode(), info.encode()).derive(key)


def tlv(values: dict[bytes, bytes]) -> bytes:
    return b"".join(kind + bytes([len(value)]) + value for kind, value in values.items())


def exchange() -> PairSetup:
    challenge = SetupServer(VERIFIER)
    return PairSetup(lambda: challenge, DEVICE, BRIDGE_KEY)


class Client:
    """Goes through M1 to M4 with the right code, and then sends the M5 it is told to."""

    def __init__(self) -> None:
        self.exchange = exchange()
        challenge = decode(self.exchange.answer({STATE: b"\x01"}).body)
        srp = SrpClient("Pair-Setup", CODE)
        srp.set_salt(bytearray(challenge[SALT]))
        srp.set_server_public_key(bytearray(challenge[PUBLIC_KEY]))
        answer = self.exchange.answer(
            {
                STATE: b"\x03",
                PUBLIC_KEY: bytes(srp.get_public_key_bytes()),
                PROOF: bytes(srp.get_proof_bytes()),
            }
        )
        assert answer.proven
        self.key = bytes(srp.get_session_key_bytes())
        self.cipher = ChaCha20Poly1305(derive(self.key, "Encrypt"))

    def sign(self, controller: bytes, key: Ed25519PrivateKey) -> bytes:
        public = CONTROLLER_KEY.public_key().public_bytes_raw()
        return key.sign(derive(self.key, "Controller-Sign") + controller + public)

    def m5(self, **changes: bytes) -> dict[bytes, bytes]:
        values = {
            IDENTIFIER: changes.get("controller", CONTROLLER),
            PUBLIC_KEY: changes.get("key", CONTROLLER_KEY.public_key().public_bytes_raw()),
            SIGNATURE: changes.get("signature", self.sign(CONTROLLER, CONTROLLER_KEY)),
        }
        sealed = self.cipher.encrypt(b"\0\0\0\0PS-Msg05", tlv(values), b"")
        return {STATE: b"\x05", ENCRYPTED: changes.get("sealed", sealed)}


def test_a_controller_that_proves_all_is_paired_and_gets_the_proof_of_the_bridge() -> None:
    client = Client()
    answer = client.exchange.answer(client.m5())
    assert answer.pairing is not None
    assert answer.pairing.controller_id == CONTROLLER
    assert answer.pairing.admin
    assert answer.pairing.public_key == CONTROLLER_KEY.public_key().public_bytes_raw()
    reply = decode(answer.body)
    inner = decode(client.cipher.decrypt(b"\0\0\0\0PS-Msg06", reply[ENCRYPTED], b""))
    assert inner[IDENTIFIER] == DEVICE.encode()
    signed = derive(client.key, "Accessory-Sign") + DEVICE.encode() + inner[PUBLIC_KEY]
    Ed25519PublicKey.from_public_bytes(inner[PUBLIC_KEY]).verify(inner[SIGNATURE], signed)
    assert inner[PUBLIC_KEY] == BRIDGE_KEY.public_key().public_bytes_raw()


def stranger_signs(client: Client) -> dict[bytes, bytes]:
    return client.m5(signature=client.sign(CONTROLLER, BRIDGE_KEY))


def signs_for_another(client: Client) -> dict[bytes, bytes]:
    return client.m5(signature=client.sign(b"X" + CONTROLLER[1:], CONTROLLER_KEY))


@pytest.mark.parametrize(
    "m5",
    [
        stranger_signs,
        signs_for_another,
        lambda client: client.m5(signature=b""),
        lambda client: client.m5(key=b"short"),
        lambda client: client.m5(key=bytes(32)),
        lambda client: client.m5(controller=b"no uuid"),
        lambda client: client.m5(controller=b"\xff" * 36),
        lambda client: client.m5(sealed=b""),
        lambda client: client.m5(sealed=bytes(120)),
    ],
)
def test_an_m5_that_proves_nothing_pairs_nobody(m5: object) -> None:
    client = Client()
    assert callable(m5)
    with pytest.raises(RefusedError) as refused:
        client.exchange.answer(m5(client))
    assert refused.value.error is TlvError.AUTHENTICATION
    # The exchange is over: the right M5 comes too late.
    with pytest.raises(RefusedError):
        client.exchange.answer(client.m5())


def test_a_wrong_proof_is_a_wrong_code_and_ends_the_exchange() -> None:
    begun = exchange()
    begun.answer({STATE: b"\x01"})
    m3 = {STATE: b"\x03", PUBLIC_KEY: b"\x02" * 384, PROOF: bytes(64)}
    with pytest.raises(RefusedError) as refused:
        begun.answer(m3)
    assert (refused.value.error, refused.value.wrong_code) == (
        TlvError.AUTHENTICATION,
        True,
    )
    with pytest.raises(RefusedError) as refused:
        begun.answer(m3)
    assert (refused.value.error, refused.value.wrong_code) == (TlvError.UNKNOWN, False)


@pytest.mark.parametrize(
    "m3",
    [
        {STATE: b"\x03"},
        {STATE: b"\x03", PUBLIC_KEY: b"\x02" * 384},
        {STATE: b"\x03", PROOF: bytes(64)},
        {STATE: b"\x05", ENCRYPTED: bytes(64)},
    ],
)
def test_an_m3_that_lacks_a_value_is_no_wrong_code_and_ends_the_exchange(
    m3: dict[bytes, bytes],
) -> None:
    begun = exchange()
    begun.answer({STATE: b"\x01"})
    with pytest.raises(RefusedError) as refused:
        begun.answer(m3)
    assert (refused.value.malformed, refused.value.wrong_code) == (True, False)
    assert not begun.begun


def test_an_m5_that_lacks_its_value_is_malformed() -> None:
    client = Client()
    with pytest.raises(RefusedError) as refused:
        client.exchange.answer({STATE: b"\x05"})
    assert refused.value.malformed
    assert not client.exchange.begun


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {STATE: b""},
        {STATE: b"\x01\x01"},
        {STATE: b"\x02"},
        {STATE: b"\x03"},
        {STATE: b"\x05", ENCRYPTED: bytes(64)},
    ],
)
def test_what_is_out_of_order_or_lacks_a_value_is_refused(
    request_: dict[bytes, bytes],
) -> None:
    begun = exchange()
    with pytest.raises(RefusedError) as refused:
        begun.answer(request_)
    assert refused.value.error is TlvError.UNKNOWN
