"""BTSnoop files."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.captures import (
    COMMAND_COMPLETE,
    NOON,
    SENSOR_EVENT,
    STRANGER_EVENT,
    btsnoop,
)
from tests.protocols.heard import (
    OF_SENSOR,
    OF_STRANGER,
    check_every_bit,
    check_every_cut,
    check_every_truncation,
    cut,
    hear,
)

H4 = btsnoop([(b"\x04" + SENSOR_EVENT, 3), (b"\x04" + STRANGER_EVENT, 3)])
H1 = btsnoop([(SENSOR_EVENT, 3), (STRANGER_EVENT, 3)], 1001)
MONITOR = btsnoop([(SENSOR_EVENT, 3), (STRANGER_EVENT, 0x0001_0003)], 2001)
KINDS = pytest.mark.parametrize("data", [H4, H1, MONITOR], ids=["H4", "H1", "monitor"])

#: The beginning of a file that ``hcidump -w`` wrote, published on a page about hcidump.
PUBLISHED = bytes.fromhex(
    "6274736e6f6f700000000001000003ea"
    "0000001d0000001d0000000300000000"
    "00e27dc4c01a073e043e1a02010000ae"
    "3b9775324c0e0201060aff4c0010054b"
    "1cc0ea49bc"
)


@KINDS
def test_adverts_come_with_their_time(data: bytes) -> None:
    assert hear([data]) == ([OF_SENSOR, OF_STRANGER], "")


def test_a_file_of_hcidump_is_read() -> None:
    (heard,), error = hear([PUBLISHED])
    assert (heard.address, heard.rssi, error) == ("4C:32:75:97:3B:AE", -68, "")
    # BlueZ counts from 2000 on.
    since_2000 = (0x00E27DC4C01A073E - 0x00E03AB44A676000) / 1e6
    assert heard.at == pytest.approx(946_684_800 + since_2000, abs=1e-6)


def test_what_is_no_event_is_passed_over() -> None:
    h4 = [(b"\x01\x03\x0c\x00", 2), (b"\x02" + SENSOR_EVENT, 1), (b"", 3)]
    assert hear([btsnoop([*h4, (b"\x04" + COMMAND_COMPLETE, 3)])]) == ([], "")
    h1 = [(SENSOR_EVENT, flags) for flags in (0, 1, 2)]
    assert hear([btsnoop(h1, 1001)]) == ([], "")
    monitored = [(SENSOR_EVENT, opcode) for opcode in (0, 1, 2, 4, 5, 8, 0x0003_0000)]
    assert hear([btsnoop(monitored, 2001)]) == ([], "")


def test_a_file_without_records_is_fine() -> None:
    assert hear([btsnoop([])]) == ([], "")


def test_a_time_before_1970_is_none() -> None:
    (heard,), _ = hear([btsnoop([(b"\x04" + SENSOR_EVENT, 3)], at=-NOON)])
    assert heard.at is None


@pytest.mark.parametrize(
    ("head", "error"),
    [
        ((1, 1003), "BTSnoop of datalink 1003 cannot be read, only 1001, 1002, 2001"),
        ((2, 1002), "BTSnoop of version 2 cannot be read, only 1"),
    ],
)
def test_other_kinds_of_btsnoop_are_named(head: tuple[int, int], error: str) -> None:
    assert hear([struct.pack(">8sII", b"btsnoop\0", *head)]) == ([], error)


def test_a_length_that_cannot_be_ends_it_at_once() -> None:
    damaged = bytearray(H4)
    second = 16 + 24 + len(SENSOR_EVENT) + 1
    damaged[second + 4] = 0x7F
    length = 0x7F00_0000 + 1 + len(STRANGER_EVENT)
    assert hear([bytes(damaged)]) == (
        [OF_SENSOR],
        f"record 2 at byte {second}: a packet of {length} bytes cannot be",
    )


def test_what_btmon_prints_in_between_is_told_with_what_to_type() -> None:
    printed = b"Bluetooth monitor ver 5.82\n= Note: Linux version 6.12.118 (x86_64)\n"
    error = (
        f"record 3 at byte {len(H4)}: what btmon prints is mixed in. Keep it apart with: "
        "btmon -w /dev/stderr 2>&1 >/dev/null"
    )
    assert hear([H4 + printed]) == ([OF_SENSOR, OF_STRANGER], error)


def test_an_event_that_is_cut_short_does_not_stop_what_follows() -> None:
    packets = [
        (b"\x04" + SENSOR_EVENT[:20], 3),
        (b"\x04" + STRANGER_EVENT, 3),
        (b"\x04\x3e", 3),
    ]
    heard, error = hear([btsnoop(packets)])
    assert heard == [OF_STRANGER]
    assert error == (
        "record 1 at byte 16: an advertising report ends inside its data, and 1 more"
    )


@KINDS
def test_where_the_file_is_cut_makes_no_difference(data: bytes) -> None:
    check_every_cut(data)


@KINDS
def test_a_file_that_ends_too_early_gives_what_was_whole(data: bytes) -> None:
    check_every_truncation(data)
    heard, error = hear([data[:-1]])
    second = 16 + 24 + int.from_bytes(data[16:20], "big")
    assert heard == [OF_SENSOR]
    assert error == f"the file ends inside record 2 at byte {second}"


@KINDS
def test_damage_is_adverts_or_a_decode_error(data: bytes) -> None:
    check_every_bit(data)


@given(st.sampled_from([1001, 1002, 2001]), st.binary(max_size=200))
def test_whatever_follows_the_head_is_adverts_or_a_decode_error(
    datalink: int, rest: bytes
) -> None:
    data = btsnoop([], datalink) + rest
    assert hear(cut(data, 7)) == hear([data])
