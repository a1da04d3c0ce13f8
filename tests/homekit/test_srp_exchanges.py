"""Thousands of SRP exchanges, because about one in a hundred is unlike the others.

Numbers that begin with a zero byte are hashed with that byte by some controllers, and
without it by others. All draws are seeded: what passes once passes always.
"""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from types import SimpleNamespace

import pytest
from aiohomekit.crypto.srp import MODULUS_VALUE as PRIME
from aiohomekit.crypto.srp import SrpClient
from gmpy2 import powmod  # type: ignore[import-untyped] # a C extension without stubs

from hk_bridge.homekit import srp
from hk_bridge.homekit.srp import SetupServer, Verifier

# It calls the same lines thousands of times: counting them would take longer than they do.
pytestmark = pytest.mark.no_cover

CHUNKS = 2
EXCHANGES = 1000
#: So many exchanges share a setup code and a salt.
EXCHANGES_OF_A_CODE = 100
#: Every so many exchanges are tried in all spellings, and so is each that has zeros.
SAMPLE = 250
G = 5


def power(base: int, exponent: int, modulus: int) -> int:
    """The same number as pow, which takes eight times as long at this length."""
    return int(powmod(base, exponent, modulus))


@lru_cache(1)
def power_of_g(exponent: int) -> int:
    """The same again for each exchange of a code."""
    return power(G, exponent, PRIME)


def pad(number: int) -> bytes:
    return number.to_bytes(384, "big")


def strip(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def digest(*parts: bytes) -> bytes:
    return hashlib.sha512(b"".join(parts)).digest()


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


MULTIPLIER = number(digest(pad(PRIME), pad(G)))
GROUP = (number(digest(strip(PRIME))) ^ number(digest(strip(G)))).to_bytes(64, "big")


@dataclass(frozen=True)
class Spelling:
    """How a controller hashes the public keys, and the premaster secret."""

    public: Callable[[int], bytes]
    premaster: Callable[[int], bytes]


SPELLINGS = {
    # aiohomekit and HAP-NodeJS
    "padding": Spelling(pad, pad),
    # Apple's HomeKitADK
    "stripping": Spelling(strip, strip),
    # what HomeSpan takes from a controller
    "stripping-all-but-S": Spelling(strip, pad),
}


class Controller:
    """The other side of one exchange; everything but arithmetic is written anew."""

    def __init__(self, code: str, server: SetupServer, secret: int) -> None:
        self.code = code
        self.secret = secret
        self.public = power(G, secret, PRIME)
        self._salt = server.salt
        self._server = number(server.public)
        x = number(digest(self._salt, digest(b"Pair-Setup:", code.encode())))
        u = number(digest(pad(self.public), pad(self._server)))
        base = self._server - MULTIPLIER * power_of_g(x)
        self.premaster = power(base % PRIME, secret + u * x, PRIME)

    def key(self, spelling: Spelling) -> bytes:
        return digest(spelling.premaster(self.premaster))

    def proof(self, spelling: Spelling) -> bytes:
        user = digest(b"Pair-Setup")
        keys = spelling.public(self.public), spelling.public(self._server)
        return digest(GROUP, user, self._salt, *keys, self.key(spelling))

    def expected_answer(self, spelling: Spelling) -> bytes:
        # HomeKitADK and HomeSpan, which are accessories, pad A in this one hash. Apple's
        # corecrypto, on the controller's side, hashes it as in its own proof.
        public = spelling.public(self.public)
        return digest(public, self.proof(spelling), self.key(spelling))

    def zeros(self, spelling: Spelling) -> set[str]:
        """Which of its numbers begin with a zero byte."""
        begins = {
            "A": pad(self.public)[0],
            "S": pad(self.premaster)[0],
            "K": self.key(spelling)[0],
        }
        return {name for name, first in begins.items() if first == 0}


class Draws:
    """What the server takes for randomness, and what it has drawn last."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.secrets: list[int] = []

    def token_bytes(self, size: int) -> bytes:
        data = self._random.randbytes(size)
        self.secrets.append(number(data))
        return data


def pairs(server: SetupServer, controller: Controller, spelling: Spelling) -> None:
    """Assert that both sides agree; the server is left as good as new."""
    server = copy.copy(server)
    public = spelling.public(controller.public)
    answer = server.verify(public, controller.proof(spelling))
    assert answer == controller.expected_answer(spelling)
    assert server.key == controller.key(spelling)
    assert len(controller.key(spelling)) == 64


def pairs_with_aiohomekit(server: SetupServer, controller: Controller) -> None:
    """Assert that aiohomekit's client, with arithmetic of its own, agrees too."""
    server = copy.copy(server)
    client = SrpClient("Pair-Setup", controller.code)
    client.a = controller.secret
    client.A = pow(G, client.a, PRIME)
    client.A_b = bytearray(pad(client.A))
    client.set_salt(bytearray(server.salt))
    client.set_server_public_key(bytearray(server.public))
    answer = server.verify(bytes(client.get_public_key_bytes()), client.get_proof_bytes())
    assert answer is not None
    assert client.verify_servers_proof_bytes(answer)
    assert server.key == client.get_session_key_bytes()


def redraws(server: SetupServer, verifier: Verifier, drawn: list[int]) -> int:
    """How often b was drawn again; assert that it was for a zero byte, and only then."""
    assert server.public[0] != 0
    if len(drawn) > 1:
        numbers = [MULTIPLIER * verifier.number + power(G, b, PRIME) for b in drawn]
        *discarded, kept = [pad(number % PRIME) for number in numbers]
        assert all(public[0] == 0 for public in discarded)
        assert server.public == kept
    return len(drawn) - 1


def setup_codes(random: Random) -> Iterator[str]:
    """A setup code for each exchange; some exchanges share one."""
    while True:
        digits = f"{random.randrange(10**8):08}"
        yield from [f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"] * EXCHANGES_OF_A_CODE


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("name", ["padding", "stripping"])
def test_a_right_code_pairs_whatever_its_numbers_begin_with(
    monkeypatch: pytest.MonkeyPatch, name: str, chunk: int
) -> None:
    random = Random(f"{name} {chunk}")
    draws = Draws(random)
    monkeypatch.setattr(srp, "secrets", SimpleNamespace(token_bytes=draws.token_bytes))
    # CPython's pow would make minutes of it; the tests of single exchanges keep it.
    monkeypatch.setattr(srp, "pow", power, raising=False)
    verifier_of = lru_cache(1)(Verifier.of)
    seen: Counter[str] = Counter()
    for exchange, code in zip(range(EXCHANGES), setup_codes(random), strict=False):
        verifier = verifier_of(code)
        draws.secrets.clear()
        server = SetupServer(verifier)
        again = redraws(server, verifier, draws.secrets)
        controller = Controller(code, server, random.getrandbits(128))
        pairs(server, controller, SPELLINGS[name])
        zeros = controller.zeros(SPELLINGS[name])
        seen.update(zeros, B=again)
        if zeros or again or exchange % SAMPLE == 0:
            for spelling in SPELLINGS.values():
                pairs(server, controller, spelling)
            pairs_with_aiohomekit(server, controller)
    # One in 256 each, so that four are to be expected.
    assert all(seen[number] > 0 for number in "ABSK"), seen


@pytest.mark.parametrize("on_the_wire", [strip, pad])
@pytest.mark.parametrize("premaster", [strip, pad])
@pytest.mark.parametrize("public", [strip, pad])
def test_each_number_may_be_spelled_in_its_own_way(
    public: Callable[[int], bytes],
    premaster: Callable[[int], bytes],
    on_the_wire: Callable[[int], bytes],
) -> None:
    # A and S both begin with a zero byte in one exchange of 65,536; found by trying.
    code = "031-45-154"
    server = SetupServer(
        Verifier.of(code, bytes(range(16))), secret=int("1234567890ABCDEF" * 2, 16)
    )
    controller = Controller(code, server, 2**64 + 194_578)
    spelling = Spelling(public, premaster)
    assert controller.zeros(spelling) >= {"A", "S"}
    proof = controller.proof(spelling)
    answer = server.verify(on_the_wire(controller.public), proof)
    assert answer == controller.expected_answer(spelling)
    assert server.key == controller.key(spelling)
