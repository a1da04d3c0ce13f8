"""What the fuzzer sends, to the parts that read it: however it comes, and how much it is.

The cases are those of tests/e2e/door/fuzz.py, by seed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from random import Random
from uuid import UUID

import h11
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hk_bridge.homekit import pairings, tlv
from hk_bridge.homekit.frames import FrameError, Frames
from hk_bridge.homekit.pair_setup import PairSetup
from hk_bridge.homekit.pair_verify import PairVerify
from hk_bridge.homekit.requests import (
    MOST_HEADERS,
    OF_STRANGERS,
    Request,
    RequestReader,
    TooLargeError,
    is_too_large,
)
from hk_bridge.homekit.srp import SetupServer, Verifier
from hk_bridge.homekit.tlv import RefusedError
from tests.e2e.door import fuzz_frames, fuzz_requests
from tests.e2e.door.client import FRAME
from tests.e2e.door.client import Frames as Sender
from tests.e2e.door.fuzz import chance
from tests.e2e.door.fuzz_bytes import is_guess, pieces, readable, spoil_tlv
from tests.e2e.door.fuzz_pairings import OTHERS
from tests.e2e.door.fuzz_setup import setup_message
from tests.e2e.door.tlv import ADD, IDENTIFIER, METHOD, PERMISSIONS, PUBLIC_KEY, state

# It calls the same lines thousands of times: counting them would take longer than they do.
pytestmark = pytest.mark.no_cover

SEEDS = range(0, 2000, 500)
EACH = 500

SHARED = bytes(range(32))
SIGNER = Ed25519PrivateKey.from_private_bytes(SHARED)
VERIFIER = Verifier.of("031-45-154")
DEVICE = "CC:22:3D:E3:CE:30"

seeds = pytest.mark.parametrize("first", SEEDS)


def chances(name: str, first: int) -> list[Random]:
    return [chance(name, seed) for seed in range(first, first + EACH)]


# -- TLV -------------------------------------------------------------------------------


@seeds
def test_a_message_is_read_as_another_reader_does_or_not_at_all(first: int) -> None:
    for rng in chances("setup", first):
        body = setup_message(rng)
        try:
            values = tlv.decode(body)
        except ValueError:
            assert readable(body) is None
            continue
        assert values == {bytes([k]): v for k, v in (readable(body) or {}).items()}
        assert tlv.decode(tlv.encode(*values.items())) == values


@seeds
def test_a_message_of_pairing_is_answered_or_refused_and_no_more(first: int) -> None:
    setup = PairSetup(lambda: SetupServer(VERIFIER), DEVICE, SIGNER)
    verify = PairVerify(DEVICE, SIGNER, lambda _: SHARED)
    for rng in chances("setup", first):
        body = setup_message(rng)
        values = tlv.decode(body) if readable(body) is not None else {}
        for step in (setup.answer, verify.answer):
            with contextlib.suppress(RefusedError):
                answer = step(values).body
                assert tlv.state_of(values) == 1
                assert tlv.state_of(tlv.decode(answer)) == 2
        assert not is_guess(body)


@seeds
def test_what_is_added_is_a_controller_with_a_key(first: int) -> None:
    for rng in chances("pairings", first):
        other = rng.choice(OTHERS)
        body = spoil_tlv(
            rng,
            [
                (METHOD, bytes([ADD])),
                state(1),
                (IDENTIFIER, other.identifier),
                (PUBLIC_KEY, other.public_key),
                (PERMISSIONS, b"\1"),
            ],
        )
        values = tlv.decode(body) if readable(body) is not None else {}
        with contextlib.suppress(RefusedError):
            assert pairings.method_of(values) in {3, 4, 5}
            added = pairings.added(values, ())
            UUID(added.controller_id.decode("ascii"))
            assert len(added.public_key) == 32


# -- HTTP ------------------------------------------------------------------------------


class Reading:
    """Requests as a connection takes them, until there is no more or it is refused."""

    def __init__(self, data: Iterable[bytes]) -> None:
        self.requests: list[Request] = []
        self.end = "waits"
        self._reader = RequestReader()
        try:
            for piece in data:
                self._reader.put(piece)
                while self.end == "waits" and not self._reader.needs_more:
                    self._step()
                self._expect_little_kept()
        except TooLargeError:
            self.end = "too large"
        except h11.RemoteProtocolError as error:
            self.end = "too large" if is_too_large(error) else "malformed"

    def _step(self) -> None:
        request = self._reader.take()
        if request is None:
            return
        self.requests.append(request)
        http = self._reader.http
        http.send(h11.Response(status_code=404, headers=[]))
        http.send(h11.EndOfMessage())
        if http.our_state is h11.MUST_CLOSE:
            self.end = "closed"

    def _expect_little_kept(self) -> None:
        """Whatever has come, what is kept of it is not more than one request may be."""
        if self.end == "waits":
            assert not self._reader._inbox
            assert len(self._reader.http.trailing_data[0]) <= MOST_HEADERS
            assert len(self._reader._body) <= OF_STRANGERS.body


def right(rng: Random) -> fuzz_requests.Right:
    return fuzz_requests.right(rng, fuzz_requests.OF_STRANGER, OF_STRANGERS.body)


def stream(rng: Random) -> bytes:
    """Requests, right or wrong."""
    if rng.random() < 0.3:
        return right(rng).data
    return fuzz_requests.wrong(rng)


@seeds
def test_requests_are_the_same_in_whatever_pieces_they_come(first: int) -> None:
    for rng in chances("pieces", first):
        data = stream(rng)
        whole = Reading([data])
        drips = [data[at : at + 1] for at in range(len(data))] if len(data) < 1000 else []
        for cut in (pieces(rng, data), pieces(rng, data, most=100), drips or [data]):
            reading = Reading(cut)
            if "too large" in {whole.end, reading.end}:
                # How far it is read before that is seen depends on how much comes at once.
                count = min(len(whole.requests), len(reading.requests))
                assert reading.requests[:count] == whole.requests[:count], data
            else:
                assert reading.requests == whole.requests, data
                assert reading.end == whole.end, data


@seeds
def test_no_request_is_larger_than_it_may_be(first: int) -> None:
    for rng in chances("limits", first):
        for request in Reading(pieces(rng, stream(rng))).requests:
            assert len(request.body) <= OF_STRANGERS.body
            headers = sum(len(name) + len(value) for name, value in request.head.headers)
            assert len(request.head.target) + headers <= MOST_HEADERS


@seeds
def test_right_requests_are_all_taken(first: int) -> None:
    for rng in chances("right", first):
        case = right(rng)
        reading = Reading(pieces(rng, case.data))
        is_too_large = 413 in case.statuses
        assert len(reading.requests) == len(case.statuses) - is_too_large
        assert (reading.end == "too large") == is_too_large
        assert reading.end != "malformed"


# -- frames ----------------------------------------------------------------------------


@seeds
def test_frames_give_what_was_sent_up_to_the_first_that_is_not_right(first: int) -> None:
    for rng in chances("frames", first):
        sender = Recorder(SHARED, b"Control-Write-Encryption-Key")
        case = fuzz_frames.sealed(rng, sender)
        frames, plain, is_refused = Frames(SHARED), b"", False
        try:
            for piece in pieces(rng, case.data):
                frames.receive_data(piece)
                plain += frames.decrypt()
                assert len(frames._crypt_in_buffer) < 2 + FRAME + 16
        except (FrameError, InvalidTag):
            is_refused = True
        assert sender.plain.startswith(plain)
        if case.is_right:
            assert not is_refused
            assert plain == sender.plain
        assert is_refused or not case.is_refused


class Recorder(Sender):
    """Remembers what it has sealed."""

    plain = b""

    def seal(self, plain: bytes, size: int = FRAME) -> bytes:
        self.plain += plain
        return super().seal(plain, size)
