"""What a capture comes to, however it is cut, and what damage may do to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hk_bridge.errors import DecodeError
from hk_bridge.model import parse_address
from hk_bridge.protocols.captures import Capture
from hk_bridge.protocols.hci import Heard
from tests.fakes.captures import FRAME, NOON, SENSOR, STRANGER

#: The two adverts of every capture here.
OF_SENSOR: Final = Heard(SENSOR, {0xFE95: FRAME}, -60, NOON)
OF_STRANGER: Final = Heard(STRANGER, {}, -70, NOON + 1)


def hear(chunks: Iterable[bytes]) -> tuple[list[Heard], str]:
    """The adverts of a capture, and the error at its end, which may be none."""
    # Not with `extend`, which would lose what comes before an error.
    capture, heard = Capture(), list[Heard]()
    try:
        for chunk in chunks:
            for advert in capture.feed(chunk):
                heard.append(advert)
        for advert in capture.end():
            heard.append(advert)
    except DecodeError as error:
        return heard, str(error)
    return heard, ""


def cut(data: bytes, size: int = 1) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def check_every_cut(data: bytes) -> None:
    """In one piece, byte by byte, and in pieces of other sizes it is the same."""
    whole = hear([data])
    for size in (1, 2, 3, 7, 16, 64):
        assert hear(cut(data, size)) == whole


def check_every_truncation(data: bytes) -> None:
    """A capture that ends too early gives what was whole before, and an error or none."""
    whole, error = hear([data])
    assert error == ""
    for length in range(len(data)):
        heard, error = hear([data[:length]])
        assert heard == whole[: len(heard)]
        assert error or len(heard) <= len(whole)


def check_every_bit(data: bytes) -> None:
    """With any bit flipped it is adverts that can be, and a DecodeError or none."""
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            for advert in hear([bytes(flipped)])[0]:
                assert parse_address(advert.address) == advert.address
                assert advert.rssi is None or -256 < advert.rssi < 128
                assert advert.at is None or 0 <= advert.at < 1 << 35
