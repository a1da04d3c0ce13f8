"""One exchange of pair-verify, with a controller of the tests' own."""

from __future__ import annotations

from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hk_bridge.homekit.pair_verify import PairVerify, Verified
from hk_bridge.homekit.tlv import RefusedError, TlvError, decode, encode

DEVICE = "CC:22:3D:E3:CE:30"
BRIDGE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CONTROLLER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
CONTROLLER = b"F31C6685-9FDD-4869-8F65-3A102FF2534F"
STRANGER = b"0A1C6685-9FDD-4869-8F65-3A102FF2534F"

IDENTIFIER, PUBLIC_KEY = b"\x01", b"\x03"
ENCRYPTED, STATE, SIGNATURE = b"\x05", b"\x06", b"\x0a"

MALFORMED = (TlvError.UNKNOWN, True)
NOT_PAIRED = (TlvError.AUTHENTICATION, False)

_P = 2**255 - 19
_ORDER_8 = 325606250916557431795983626356110631294008115727848805560023387167927233504
_ALSO_ORDER_8 = (
    39382357235489614581723060781553021112529911719440698176882885853963445705823
)

#: All that decode to a point of low order: five points, two of which have a second
#: spelling below 2**255, and each with and without the bit that is not looked at.
LOW_ORDER = [
    number + top
    for number in (0, 1, _ORDER_8, _ALSO_ORDER_8, _P - 1, _P, _P + 1)
    for top in (0, 2**255)
]

Message = dict[bytes, bytes]


def key_of(controller: UUID) -> bytes | None:
    known = controller == UUID(CONTROLLER.decode())
    return CONTROLLER_KEY.public_key().public_bytes_raw() if known else None


def exchange() -> PairVerify:
    return PairVerify(DEVICE, BRIDGE_KEY, key_of)


def refusal(verify: PairVerify, message: Message) -> tuple[TlvError, bool]:
    """The error, and whether the message was malformed."""
    with pytest.raises(RefusedError) as refused:
        verify.answer(message)
    assert not refused.value.wrong_code
    return refused.value.error, refused.value.malformed


class Controller:
    """Goes through M1 and M2, and then sends the M3 that it is told to."""

    def __init__(self) -> None:
        self.secret = X25519PrivateKey.generate()
        self.public = self.secret.public_key().public_bytes_raw()
        self.verify = exchange()
        self.begin()

    def begin(self) -> None:
        answer = self.verify.answer({STATE: b"\x01", PUBLIC_KEY: self.public})
        assert answer.verified is None
        self.m2 = decode(answer.body)
        self.theirs = self.m2[PUBLIC_KEY]
        server = X25519PublicKey.from_public_bytes(self.theirs)
        self.shared = self.secret.exchange(server)
        self.session_key = HKDF(
            SHA512(), 32, b"Pair-Verify-Encrypt-Salt", b"Pair-Verify-Encrypt-Info"
        ).derive(self.shared)
        self.cipher = ChaCha20Poly1305(self.session_key)

    def sign(
        self, controller: bytes = CONTROLLER, signer: Ed25519PrivateKey = CONTROLLER_KEY
    ) -> bytes:
        return signer.sign(self.public + controller + self.theirs)

    def seal(self, inner: Message, nonce: bytes = b"PV-Msg03") -> Message:
        sealed = self.cipher.encrypt(b"\0\0\0\0" + nonce, encode(*inner.items()), b"")
        return {STATE: b"\x03", ENCRYPTED: sealed}

    def m3(self, controller: bytes = CONTROLLER, signature: bytes | None = None) -> Message:
        signature = self.sign(controller) if signature is None else signature
        return self.seal({IDENTIFIER: controller, SIGNATURE: signature})


def test_both_sides_prove_who_they_are_and_share_a_secret() -> None:
    controller = Controller()
    assert controller.m2[STATE] == b"\x02"
    sealed = controller.m2[ENCRYPTED]
    inner = decode(controller.cipher.decrypt(b"\0\0\0\0PV-Msg02", sealed, b""))
    assert inner[IDENTIFIER] == DEVICE.encode()
    bridge = Ed25519PublicKey.from_public_bytes(BRIDGE_KEY.public_key().public_bytes_raw())
    signed = controller.theirs + DEVICE.encode() + controller.public
    bridge.verify(inner[SIGNATURE], signed)
    answer = controller.verify.answer(controller.m3())
    assert answer.body == b"\x06\x01\x04"
    assert answer.verified == Verified(UUID(CONTROLLER.decode()), controller.shared)
    assert not controller.verify.begun


def test_the_id_may_be_spelt_in_small_letters() -> None:
    controller = Controller()
    answer = controller.verify.answer(controller.m3(CONTROLLER.lower()))
    assert answer.verified is not None
    assert answer.verified.controller == UUID(CONTROLLER.decode())


def test_each_exchange_has_a_key_of_its_own() -> None:
    controller = Controller()
    before = controller.theirs
    controller.begin()
    assert controller.theirs != before
    assert Controller().theirs != before


def test_m1_again_begins_anew_and_what_was_signed_before_is_worth_nothing() -> None:
    controller = Controller()
    old = controller.m3()
    controller.begin()
    assert refusal(controller.verify, old) == NOT_PAIRED
    controller.begin()
    assert controller.verify.answer(controller.m3()).verified is not None


@pytest.mark.parametrize("number", LOW_ORDER, ids=hex)
def test_a_key_of_low_order_is_refused(number: int) -> None:
    verify = exchange()
    key = number.to_bytes(32, "little")
    assert refusal(verify, {STATE: b"\x01", PUBLIC_KEY: key}) == MALFORMED
    assert not verify.begun


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64, 600])
def test_a_key_that_is_short_or_long_is_refused(length: int) -> None:
    verify = exchange()
    message = {STATE: b"\x01", PUBLIC_KEY: b"\x09" * length}
    assert refusal(verify, message) == MALFORMED
    assert not verify.begun


@pytest.mark.parametrize(
    "message",
    [
        {},
        {STATE: b""},
        {STATE: b"\x01"},
        {STATE: b"\x01\x01", PUBLIC_KEY: b"\x09" * 32},
        {STATE: b"\x02", PUBLIC_KEY: b"\x09" * 32},
        {STATE: b"\x05", ENCRYPTED: bytes(64)},
        {STATE: b"\x00"},
        {STATE: b"\x03"},
        {STATE: b"\x03", ENCRYPTED: bytes(64)},
    ],
)
def test_what_is_out_of_order_or_lacks_a_value_is_malformed(message: Message) -> None:
    assert refusal(exchange(), message) == MALFORMED


@pytest.mark.parametrize("message", [{STATE: b"\x03"}, {STATE: b"\x02"}, {STATE: b"\x05"}])
def test_what_is_malformed_ends_the_exchange(message: Message) -> None:
    controller = Controller()
    begun = [controller.verify.begun]
    assert refusal(controller.verify, message) == MALFORMED
    begun.append(controller.verify.begun)
    assert begun == [True, False]
    assert refusal(controller.verify, controller.m3()) == MALFORMED


def test_m3_is_taken_once() -> None:
    controller = Controller()
    message = controller.m3()
    assert controller.verify.answer(message).verified is not None
    assert refusal(controller.verify, message) == MALFORMED


def test_m3_of_another_connection_is_worth_nothing() -> None:
    assert refusal(Controller().verify, Controller().m3()) == NOT_PAIRED


WRONG = {
    "unknown": lambda c: c.m3(STRANGER),
    "unknown, signed for another": lambda c: c.m3(STRANGER, c.sign(CONTROLLER)),
    "signed by another": lambda c: c.m3(signature=c.sign(signer=BRIDGE_KEY)),
    "signed for another": lambda c: c.m3(signature=c.sign(STRANGER)),
    "no signature": lambda c: c.seal({IDENTIFIER: CONTROLLER}),
    "an empty signature": lambda c: c.m3(signature=b""),
    "a signature of zeros": lambda c: c.m3(signature=bytes(64)),
    "the signature of the bridge": lambda c: c.m3(
        signature=BRIDGE_KEY.sign(c.theirs + CONTROLLER + c.public)
    ),
    "no id": lambda c: c.seal({SIGNATURE: c.sign()}),
    "no uuid": lambda c: c.m3(b"somebody"),
    "no text": lambda c: c.m3(b"\xff" * 36),
    "nothing inside": lambda c: c.seal({}),
    "the nonce of M2": lambda c: c.seal(
        {IDENTIFIER: CONTROLLER, SIGNATURE: c.sign()}, b"PV-Msg02"
    ),
    "M2 sent back": lambda c: {STATE: b"\x03", ENCRYPTED: c.m2[ENCRYPTED]},
    "nothing sealed": lambda _: {STATE: b"\x03", ENCRYPTED: b""},
    "shorter than a tag": lambda _: {STATE: b"\x03", ENCRYPTED: bytes(15)},
    "zeros": lambda _: {STATE: b"\x03", ENCRYPTED: bytes(120)},
    "truncated inside": lambda c: {
        STATE: b"\x03",
        ENCRYPTED: c.cipher.encrypt(b"\0\0\0\0PV-Msg03", b"\x01\x24F31C", b""),
    },
}


@pytest.mark.parametrize("m3", WRONG.values(), ids=WRONG)
def test_an_m3_that_proves_nothing_lets_nobody_in_and_ends_the_exchange(m3: object) -> None:
    assert callable(m3)
    controller = Controller()
    assert refusal(controller.verify, m3(controller)) == NOT_PAIRED
    assert refusal(controller.verify, controller.m3()) == MALFORMED


def test_no_byte_of_m3_may_be_changed() -> None:
    length = len(Controller().m3()[ENCRYPTED])
    for offset in range(0, length, 7):
        controller = Controller()
        message = controller.m3()
        sealed = bytearray(message[ENCRYPTED])
        sealed[offset] ^= 1
        changed = {**message, ENCRYPTED: bytes(sealed)}
        assert refusal(controller.verify, changed) == NOT_PAIRED


def test_a_stored_key_that_is_none_lets_nobody_in() -> None:
    controller = Controller()
    controller.verify = PairVerify(DEVICE, BRIDGE_KEY, lambda _: b"short")
    controller.begin()
    assert refusal(controller.verify, controller.m3()) == NOT_PAIRED


def test_what_the_bridge_has_said_can_be_read_by_the_two_alone() -> None:
    controller = Controller()
    other = Controller()
    with pytest.raises(InvalidTag):
        other.cipher.decrypt(b"\0\0\0\0PV-Msg02", controller.m2[ENCRYPTED], b"")


def test_no_secret_is_shown() -> None:
    controller = Controller()
    answer = controller.verify.answer(controller.m3())
    assert answer.verified is not None
    secrets = (controller.shared, controller.session_key)
    for shown in (repr(answer), repr(answer.verified), repr(controller.verify)):
        for secret in secrets:
            assert secret.hex() not in shown
            assert repr(secret)[2:-1] not in shown
    assert CONTROLLER.decode().lower() in repr(answer)


def test_the_secrets_of_an_exchange_that_has_begun_are_not_shown_either() -> None:
    controller = Controller()
    shown = repr(vars(controller.verify))
    assert repr(controller.shared)[2:-1] not in shown
