"""SRP against an independent client, in both spellings that controllers use."""

from __future__ import annotations

import hashlib

import pytest
from aiohomekit.crypto.srp import SrpClient
from pyhap.params import get_srp_context

from hk_bridge.homekit.srp import SetupServer, Verifier

CODE = "031-45-154"
PRIME: int = get_srp_context(3072, hashlib.sha512, 16)["N"]
G = 5
VERIFIER = Verifier.of(CODE, bytes(16))


def stripped(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


class StrippingClient:
    """Hashes numbers without their leading zero bytes, as Apple's own code does."""

    def __init__(self, server: SetupServer, secret: int, prime: int) -> None:
        public = pow(G, secret, prime)
        self.public = stripped(public)
        inner = hashlib.sha512(b"Pair-Setup:" + CODE.encode()).digest()
        x = int.from_bytes(hashlib.sha512(server.salt + inner).digest(), "big")
        padded = [n.to_bytes(384, "big") for n in (prime, G, public)]
        k = int.from_bytes(hashlib.sha512(padded[0] + padded[1]).digest(), "big")
        u = int.from_bytes(hashlib.sha512(padded[2] + server.public).digest(), "big")
        b = int.from_bytes(server.public, "big")
        self.premaster = pow(b - k * pow(G, x, prime), secret + u * x, prime)
        self.key = hashlib.sha512(stripped(self.premaster)).digest()
        group = bytes(
            a ^ c
            for a, c in zip(
                hashlib.sha512(stripped(prime)).digest(),
                hashlib.sha512(stripped(G)).digest(),
                strict=True,
            )
        )
        user = hashlib.sha512(b"Pair-Setup").digest()
        self.proof = hashlib.sha512(
            group + user + server.salt + self.public + stripped(b) + self.key
        ).digest()


def padding_client(server: SetupServer, code: str = CODE) -> SrpClient:
    client = SrpClient("Pair-Setup", code)
    client.set_salt(bytearray(server.salt))
    client.set_server_public_key(bytearray(server.public))
    return client


def test_the_right_code_is_proven_on_both_sides() -> None:
    server = SetupServer(VERIFIER)
    client = padding_client(server)
    proof = server.verify(client.get_public_key_bytes(), client.get_proof_bytes())
    assert proof is not None
    assert client.verify_servers_proof_bytes(proof)
    assert server.key == client.get_session_key_bytes()


def test_a_wrong_code_is_refused_and_leaves_no_key() -> None:
    server = SetupServer(VERIFIER)
    client = padding_client(server, "031-45-155")
    assert server.verify(client.get_public_key_bytes(), client.get_proof_bytes()) is None
    assert server.key is None


@pytest.mark.parametrize("public", [b"", b"\0", bytes(384), b"\2" * 385])
def test_a_public_key_that_is_zero_or_too_long_is_refused(public: bytes) -> None:
    assert SetupServer(VERIFIER).verify(public, bytes(64)) is None


def test_the_servers_public_key_never_begins_with_a_zero_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # With this salt the first secret gives a public key that begins with a zero byte.
    draws = [(2**64 + 1).to_bytes(32, "big"), (2**64 + 2).to_bytes(32, "big")]
    monkeypatch.setattr(
        "hk_bridge.homekit.srp.secrets.token_bytes", lambda _size: draws.pop(0)
    )
    assert SetupServer(VERIFIER, secret=2**64 + 1).public[0] == 0
    assert SetupServer(VERIFIER).public[0] != 0
    assert draws == []


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    ("number", "secret"),
    [("A", 2**64 + 123), ("K", 2**64 + 137), ("S", 2**64 + 339)],
)
def test_numbers_that_begin_with_zeros_pair_in_both_spellings(
    number: str, secret: int, padded: bool
) -> None:
    # One exchange in a hundred looks like these; found by trying secrets from 2**64 on.
    server = SetupServer(
        Verifier.of(CODE, bytes(range(16))), secret=int("1234567890ABCDEF" * 2, 16)
    )
    client = StrippingClient(server, secret, PRIME)
    short = {
        "A": len(client.public) < 384,
        "S": client.premaster.bit_length() <= 383 * 8,
        "K": client.key[0] == 0,
    }
    assert short[number]
    public = client.public.rjust(384, b"\0") if padded else client.public
    proof = server.verify(public, client.proof)
    assert proof == hashlib.sha512(client.public + client.proof + client.key).digest()
    assert server.key == client.key


def test_a_second_proof_against_the_same_challenge_is_refused_even_if_right() -> None:
    server = SetupServer(VERIFIER)
    client = padding_client(server)
    assert server.verify(b"\2" * 384, bytes(64)) is None
    assert server.verify(client.get_public_key_bytes(), client.get_proof_bytes()) is None


@pytest.mark.parametrize("attempt", range(5))
def test_a_controller_that_pads_pairs_too(attempt: int) -> None:
    server = SetupServer(Verifier.of(CODE, bytes([attempt] * 16)))
    client = padding_client(server)
    assert server.verify(client.get_public_key_bytes(), client.get_proof_bytes())
