"""Which kind of capture it is, and what all kinds have in common."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.captures import Capture
from hk_bridge.protocols.hci import Heard
from tests.fakes.captures import (
    FRAME,
    NOON,
    SENSOR,
    SENSOR_DATA,
    SENSOR_EVENT,
    STRANGER_EVENT,
    btsnoop,
    enhanced_packet,
    extended_event,
    extended_report,
    hcidump,
    interface,
    pcap,
    pcapng_of,
    section,
)
from tests.protocols.heard import cut, hear

PACKETS = [b"\x04" + SENSOR_EVENT, b"\x04" + STRANGER_EVENT]
KINDS = {
    "btsnoop": btsnoop([(packet, 3) for packet in PACKETS]),
    "pcap": pcap(PACKETS, 187),
    "pcapng": pcapng_of(PACKETS, 187),
    "text": hcidump(PACKETS, NOON),
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


@EVERY_KIND
def test_every_kind_is_recognised_and_gives_the_same_advert(kind: str) -> None:
    heard, error = hear([KINDS[kind]])
    assert heard[0] == Heard(SENSOR, {0xFE95: FRAME}, -60, NOON)
    assert (len(heard), error) == (2, "")


@EVERY_KIND
def test_every_kind_is_recognised_byte_by_byte(kind: str) -> None:
    assert hear(cut(KINDS[kind])) == hear([KINDS[kind]])


@EVERY_KIND
def test_an_advert_is_given_with_the_chunk_that_completes_it(kind: str) -> None:
    capture = Capture()
    first = list(capture.feed(KINDS[kind][:-20]))
    assert [heard.address for heard in first] == [SENSOR]
    assert len(list(capture.feed(KINDS[kind][-20:]))) == 1
    assert list(capture.end()) == []


@EVERY_KIND
def test_empty_chunks_are_of_no_account(kind: str) -> None:
    data = KINDS[kind]
    assert hear([b"", data[:50], b"", data[50:], b""]) == hear([data])


@pytest.mark.parametrize(
    ("data", "command"),
    [
        (gzip.compress(KINDS["btsnoop"]), "gunzip"),
        (bz2.compress(KINDS["btsnoop"]), "bunzip2"),
        (lzma.compress(KINDS["btsnoop"]), "unxz"),
        (b"\x28\xb5\x2f\xfd" + bytes(20), "unzstd"),
        (b"PK\x03\x04" + bytes(20), "unzip"),
    ],
)
def test_a_packed_file_is_refused_with_what_unpacks_it(data: bytes, command: str) -> None:
    assert hear([data]) == ([], f"it is packed; unpack it first: {command}")
    assert hear(cut(data)) == hear([data])


def test_nothing_is_no_capture() -> None:
    heard, error = hear([])
    assert heard == []
    assert error.startswith("there is nothing in it. A capture is a BTSnoop file")


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\0\0\0\0\0\0", b"\x7fELF\x02\x01\x01\0\0", b"btsnoo", b"\x0a\x0d", b"x"],
)
def test_anything_else_is_an_error_that_lists_what_can_be_read(data: bytes) -> None:
    heard, error = hear([data])
    assert heard == []
    assert error.startswith("no capture that can be read. That would be a BTSnoop file")


def test_what_came_before_an_error_is_handed_over_first() -> None:
    capture = Capture()
    adverts = capture.feed(KINDS["pcap"] + b"\xff" * 16)
    assert next(adverts).address == SENSOR
    next(adverts)
    with pytest.raises(DecodeError, match="record 3"):
        next(adverts)
    # The file does not become readable by more of it.
    with pytest.raises(DecodeError, match="record 3"):
        list(capture.feed(b"x"))
    with pytest.raises(DecodeError):
        list(capture.end())


def test_data_in_pieces_is_joined_from_record_to_record() -> None:
    events = [
        extended_event(extended_report(SENSOR, piece, kind=0, status=status))
        for piece, status in ((SENSOR_DATA[:9], 1), (SENSOR_DATA[9:], 0))
    ]
    data = pcap([b"\x04" + event for event in events], 187)
    assert hear([data]) == ([Heard(SENSOR, {0xFE95: FRAME}, -60, NOON + 1)], "")
    begun = pcap([b"\x04" + events[0]], 187)
    assert hear([begun]) == ([Heard(SENSOR, {}, -60, NOON)], "")


def pieces_of_two(wrap: Callable[[bytes, int], bytes]) -> list[bytes]:
    """An advert in two pieces, each of which two adapters hear."""
    return [
        wrap(extended_event(extended_report(SENSOR, piece, kind=0, status=status)), number)
        for piece, status in ((SENSOR_DATA[:9], 1), (SENSOR_DATA[9:], 0))
        for number in (0, 1)
    ]


def monitored(event: bytes, adapter: int) -> bytes:
    return struct.pack(">HH", adapter, 3) + event


TWO_ADAPTERS = {
    "btsnoop": btsnoop(
        [
            (piece[1:], piece[0] << 16 | 3)
            for piece in pieces_of_two(lambda event, number: bytes([number]) + event)
        ],
        2001,
    ),
    "monitor": pcap(pieces_of_two(monitored), 254),
    "interfaces": section()
    + interface(187) * 2
    + b"".join(
        enhanced_packet(piece[1:], number=piece[0])
        for piece in pieces_of_two(lambda event, number: bytes([number, 4]) + event)
    ),
    "monitors": section()
    + interface(254) * 2
    + b"".join(
        enhanced_packet(piece[1:], number=piece[0])
        for piece in pieces_of_two(
            lambda event, number: bytes([number]) + monitored(event, 0)
        )
    ),
}


@pytest.mark.parametrize("kind", TWO_ADAPTERS)
def test_pieces_that_two_adapters_hear_are_joined_for_each(kind: str) -> None:
    heard, error = hear([TWO_ADAPTERS[kind]])
    assert [each.service_data for each in heard] == [{0xFE95: FRAME}] * 2
    assert error == ""


def test_what_is_damaged_inside_is_over_and_what_breaks_off_is_not() -> None:
    damaged = pcap([b"\x04" + SENSOR_EVENT[:-1], *PACKETS], 187)
    for data, is_over in ((damaged, True), (KINDS["pcap"][:-1], False)):
        capture = Capture()
        list(capture.feed(data))
        assert not capture.is_over
        with pytest.raises(DecodeError):
            list(capture.end())
        assert capture.is_over is is_over


@given(st.binary(max_size=100) | st.sampled_from(list(KINDS.values())), st.binary())
def test_whatever_is_fed_is_adverts_or_a_decode_error(start: bytes, rest: bytes) -> None:
    data = start + rest
    assert hear(cut(data, 11)) == hear([data])
