"""Encrypted frames, against HAP-python's own and against cryptography."""

from __future__ import annotations

import struct

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from pyhap.hap_crypto import HAPCrypto

from hk_bridge.homekit.frames import FrameError, Frames

SHARED = bytes(range(32))
MOST = 1024


class Controller:
    """The other end, of cryptography alone."""

    def __init__(self) -> None:
        self.writing = self._cipher(b"Control-Write-Encryption-Key")
        self.reading = self._cipher(b"Control-Read-Encryption-Key")
        self.sent = self.received = 0

    @staticmethod
    def _cipher(info: bytes) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(HKDF(SHA512(), 32, b"Control-Salt", info).derive(SHARED))

    def seal(self, *parts: bytes) -> bytes:
        """A frame for each part, however long it is."""
        sealed = b""
        for part in parts:
            length = struct.pack("<H", len(part))
            nonce = struct.pack("<IQ", 0, self.sent)
            sealed += length + self.writing.encrypt(nonce, part, length)
            self.sent += 1
        return sealed

    def open(self, data: bytes) -> list[bytes]:
        """What each of the frames holds."""
        parts = []
        while data:
            end = 2 + int.from_bytes(data[:2], "little") + 16
            nonce = struct.pack("<IQ", 0, self.received)
            parts.append(self.reading.decrypt(nonce, data[2:end], data[:2]))
            self.received += 1
            data = data[end:]
        return parts


def other_end() -> HAPCrypto:
    """HAP-python's, with its directions exchanged."""
    crypto = HAPCrypto(SHARED)
    crypto._in_cipher, crypto._out_cipher = crypto._out_cipher, crypto._in_cipher
    return crypto


def received(frames: Frames, *pieces: bytes) -> bytes:
    plain = b""
    for piece in pieces:
        frames.receive_data(piece)
        plain += frames.decrypt()
    return plain


@pytest.mark.parametrize(
    "length", [1, 2, 1023, 1024, 1025, 2048, 5000, 2**16, 2**16 + 1, 300_000]
)
def test_what_is_written_is_read_at_the_other_end(length: int) -> None:
    data = bytes(i % 251 for i in range(length))
    frames = Frames(SHARED)
    sealed = b"".join(frames.encrypt(data))
    parts = Controller().open(sealed)
    assert b"".join(parts) == data
    assert [len(part) for part in parts[:-1]] == [MOST] * (len(parts) - 1)
    assert 0 < len(parts[-1]) <= MOST
    crypto = other_end()
    crypto.receive_data(sealed)
    # It leaves a last frame of a single byte lying.
    assert data.startswith(crypto.decrypt())


@pytest.mark.parametrize("length", [1, 2, 1023, 1024, 1025, 2048, 5000])
def test_what_the_other_end_writes_is_read(length: int) -> None:
    data = bytes(i % 251 for i in range(length))
    assert received(Frames(SHARED), b"".join(other_end().encrypt(data))) == data


def test_frames_are_counted_in_each_direction() -> None:
    frames, controller = Frames(SHARED), Controller()
    for turn in range(5):
        data = bytes([turn]) * (turn + 1)
        assert received(frames, controller.seal(data)) == data
        assert controller.open(b"".join(frames.encrypt(data))) == [data]


def test_a_frame_of_one_byte_does_not_wait_for_more() -> None:
    frame = Controller().seal(b"x")
    frames, base = Frames(SHARED), HAPCrypto(SHARED)
    assert received(frames, frame) == b"x"
    assert not frames.has_part
    base.receive_data(frame)
    assert base.decrypt() == b""


def test_a_frame_of_nothing_is_taken() -> None:
    assert received(Frames(SHARED), Controller().seal(b"", b"x", b"")) == b"x"


def test_a_frame_of_1024_bytes_is_taken_and_a_longer_one_is_not() -> None:
    frames, controller = Frames(SHARED), Controller()
    assert received(frames, controller.seal(bytes(MOST))) == bytes(MOST)
    with pytest.raises(FrameError, match="1025"):
        received(frames, controller.seal(bytes(MOST + 1)))


@pytest.mark.parametrize("length", [1025, 2**15, 2**16 - 1])
def test_a_length_that_is_too_large_is_refused_before_the_frame_has_come(
    length: int,
) -> None:
    with pytest.raises(FrameError, match=str(length)):
        received(Frames(SHARED), struct.pack("<H", length))


@given(st.lists(st.binary(max_size=MOST), min_size=1, max_size=4), st.data())
def test_frames_may_come_in_any_pieces(parts: list[bytes], draw: st.DataObject) -> None:
    data = Controller().seal(*parts)
    cuts = sorted(draw.draw(st.sets(st.integers(1, len(data) - 1), max_size=8)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    frames = Frames(SHARED)
    assert received(frames, *pieces) == b"".join(parts)
    assert not frames.has_part


def test_it_is_known_whether_a_frame_has_come_in_part() -> None:
    frames, frame = Frames(SHARED), Controller().seal(b"x" * 30)
    assert not frames.has_part
    for byte in frame[:-1]:
        assert received(frames, bytes([byte])) == b""
        assert frames.has_part
    assert received(frames, frame[-1:]) == b"x" * 30
    assert not frames.has_part


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_frame_with_any_bit_flipped_gives_nothing(
    plain: bytes, draw: st.DataObject
) -> None:
    frame = bytearray(Controller().seal(plain))
    bit = draw.draw(st.integers(0, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    frames = Frames(SHARED)
    try:
        assert received(frames, bytes(frame)) == b""
    except (InvalidTag, FrameError):
        return
    # A length that is too large, but not by much, is waited for, and then refused.
    assert frames.has_part
    with pytest.raises(InvalidTag):
        received(frames, bytes(MOST))


def test_a_frame_is_not_taken_twice_nor_out_of_order() -> None:
    controller = Controller()
    first, second = controller.seal(b"first"), controller.seal(b"second")
    for order in ((first, first), (second,), (first, second, first)):
        frames = Frames(SHARED)
        with pytest.raises(InvalidTag):
            received(frames, *order)


def test_a_frame_of_another_connection_is_not_taken() -> None:
    with pytest.raises(InvalidTag):
        received(Frames(bytes(32)), Controller().seal(b"x"))
    # What this side has sent does not come back as the other's.
    with pytest.raises(InvalidTag):
        received(Frames(SHARED), b"".join(Frames(SHARED).encrypt(b"x")))
