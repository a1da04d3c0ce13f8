"""pcap and pcapng files, and what is around an advert in each of their link types."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.hci import Heard
from hk_bridge.protocols.pcap import PcapReader
from hk_bridge.protocols.pcapng import PcapngReader
from tests.fakes.captures import (
    COMMAND_COMPLETE,
    FRAME,
    NOON,
    SENSOR,
    SENSOR_DATA,
    SENSOR_EVENT,
    STRANGER,
    STRANGER_DATA,
    STRANGER_EVENT,
    block,
    enhanced_packet,
    interface,
    nordic_header,
    option,
    pcap,
    pcapng_of,
    pdu,
    radio_header,
    section,
    simple_packet,
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

RECEIVED = bytes.fromhex("00000001")
OPCODE_EVENT = bytes.fromhex("00000003")
H4 = 187

#: Link type → the sensor's advert and the stranger's, each −60 and −70 dBm where known.
WRAPPED = {
    187: (b"\x04" + SENSOR_EVENT, b"\x04" + STRANGER_EVENT),
    201: (RECEIVED + b"\x04" + SENSOR_EVENT, RECEIVED + b"\x04" + STRANGER_EVENT),
    254: (OPCODE_EVENT + SENSOR_EVENT, OPCODE_EVENT + STRANGER_EVENT),
    256: (
        radio_header(-60) + pdu(SENSOR, SENSOR_DATA),
        radio_header(-70) + pdu(STRANGER, STRANGER_DATA),
    ),
    272: (
        nordic_header(60) + pdu(SENSOR, SENSOR_DATA),
        nordic_header(70) + pdu(STRANGER, STRANGER_DATA),
    ),
}
LINK_TYPES = pytest.mark.parametrize("link_type", WRAPPED)
ORDERS = pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])


# pcap --------------------------------------------------------------------------------


@ORDERS
@pytest.mark.parametrize("nanoseconds", [False, True])
@LINK_TYPES
def test_adverts_of_every_link_type_come_with_their_time(
    link_type: int, nanoseconds: bool, order: str
) -> None:
    data = pcap(WRAPPED[link_type], link_type, order=order, nanoseconds=nanoseconds)
    assert hear([data]) == ([OF_SENSOR, OF_STRANGER], "")


def test_the_bits_above_the_link_type_are_of_no_account() -> None:
    data = pcap(WRAPPED[H4], H4 | 0x5400_0000)
    assert hear([data]) == ([OF_SENSOR, OF_STRANGER], "")


def test_a_file_without_records_is_fine() -> None:
    assert hear([pcap([], H4)]) == ([], "")


def test_other_link_types_are_named_with_those_that_can_be_read() -> None:
    error = (
        "packets of link type 1 hold no Bluetooth LE adverts; those of 187, 201, 251, "
        "254, 256, 272 do"
    )
    assert hear([pcap([b""], 1)]) == ([], error)


def test_a_reader_of_pcap_reads_nothing_else() -> None:
    with pytest.raises(DecodeError, match="no pcap file"):
        list(PcapReader().feed(bytes(24)))


def test_a_length_that_cannot_be_ends_it_at_once() -> None:
    first = pcap([WRAPPED[H4][0]], H4)
    damaged = first + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30)
    assert hear([damaged]) == (
        [OF_SENSOR],
        f"record 2 at byte {len(first)}: a packet of 1073741824 bytes cannot be",
    )


def test_a_packet_that_is_cut_short_does_not_stop_what_follows() -> None:
    short, whole = WRAPPED[H4][0][:30], WRAPPED[H4][1]
    assert hear([pcap([short, whole], H4)]) == (
        [OF_STRANGER],
        "record 1 at byte 24: an advertising report ends inside its data",
    )


@pytest.mark.parametrize(
    ("link_type", "packet"),
    [
        (187, b""),
        (187, b"\x01\x03\x0c\x00"),
        (187, b"\x02" + SENSOR_EVENT),
        (187, b"\x04" + COMMAND_COMPLETE),
        (201, RECEIVED + b"\x02" + SENSOR_EVENT),
        (254, bytes.fromhex("00000002") + SENSOR_EVENT),
        (254, bytes.fromhex("00000000") + SENSOR_EVENT),
    ],
)
def test_packets_that_are_no_events_are_passed_over(link_type: int, packet: bytes) -> None:
    assert hear([pcap([packet], link_type)]) == ([], "")


@pytest.mark.parametrize(
    ("link_type", "packet"),
    [(201, RECEIVED[:3]), (254, OPCODE_EVENT[:3]), (256, bytes(9)), (251, bytes(5))],
)
def test_a_packet_that_ends_inside_its_head_is_said(link_type: int, packet: bytes) -> None:
    heard, error = hear([pcap([packet], link_type)])
    assert heard == []
    assert error.startswith("record 1 at byte 24: a ")
    assert " ends inside " in error


@LINK_TYPES
def test_where_the_file_is_cut_makes_no_difference(link_type: int) -> None:
    check_every_cut(pcap(WRAPPED[link_type], link_type))


@LINK_TYPES
def test_a_file_that_ends_too_early_gives_what_was_whole(link_type: int) -> None:
    data = pcap(WRAPPED[link_type], link_type)
    check_every_truncation(data)
    second = 24 + 16 + int.from_bytes(data[32:36], "little")
    error = f"the file ends inside record 2 at byte {second}"
    assert hear([data[:-1]]) == ([OF_SENSOR], error)
    assert hear([data[:20]]) == ([], "the file ends inside its head")


@LINK_TYPES
def test_damage_is_adverts_or_a_decode_error(link_type: int) -> None:
    check_every_bit(pcap(WRAPPED[link_type], link_type))


@given(st.sampled_from([187, 201, 251, 254, 256, 272]), st.binary(max_size=200))
def test_whatever_packet_there_is_is_an_advert_an_error_or_nothing(
    link_type: int, packet: bytes
) -> None:
    data = pcap([packet, WRAPPED.get(link_type, (b"",))[0]], link_type)
    heard, error = hear([data])
    assert hear(cut(data, 7)) == (heard, error)
    # The one behind it is not lost.
    behind = replace(OF_SENSOR, at=NOON + 1)
    assert (behind in heard) is (link_type in WRAPPED)


@given(st.binary(max_size=200))
def test_whatever_follows_the_head_is_adverts_or_a_decode_error(rest: bytes) -> None:
    data = pcap([], H4) + rest
    assert hear(cut(data, 7)) == hear([data])


# The link layer ----------------------------------------------------------------------


def sniffed(packet: bytes, link_type: int = 251) -> list[Heard]:
    heard, error = hear([pcap([packet], link_type)])
    assert error == ""
    return heard


def test_without_a_header_the_signal_is_not_known() -> None:
    assert sniffed(pdu(SENSOR, SENSOR_DATA)) == [Heard(SENSOR, {0xFE95: FRAME}, None, NOON)]


@pytest.mark.parametrize("kind", [0x00, 0x02, 0x04, 0x06, 0x40, 0x42, 0x20])
def test_pdus_that_carry_data_are_adverts(kind: int) -> None:
    assert len(sniffed(pdu(SENSOR, SENSOR_DATA, kind))) == 1


@pytest.mark.parametrize("kind", [0x01, 0x03, 0x05, 0x07, 0x08, 0x0F])
def test_directed_adverts_requests_and_extended_ones_are_passed_over(kind: int) -> None:
    assert sniffed(pdu(SENSOR, SENSOR_DATA, kind)) == []


def test_packets_of_connections_are_passed_over() -> None:
    assert sniffed(b"\x01\x02\x03\x04" + pdu(SENSOR, SENSOR_DATA)[4:]) == []


@pytest.mark.parametrize("length", [0, 5, 38, 255])
def test_a_pdu_has_6_to_37_bytes(length: int) -> None:
    packet = pdu(SENSOR, SENSOR_DATA)
    damaged = packet[:5] + bytes([length]) + packet[6:] + bytes(255)
    heard, error = hear([pcap([damaged], 251)])
    assert heard == []
    assert error.endswith(f"an advertising PDU has 6 to 37 bytes, not {length}")


def test_a_pdu_that_is_cut_short_is_said() -> None:
    heard, error = hear([pcap([pdu(SENSOR, SENSOR_DATA)[:-4]], 251)])
    assert heard == []
    assert error.endswith("an advertising PDU ends after 30 of 31 bytes")


@pytest.mark.parametrize(
    ("flags", "rssi"),
    [
        (0x0C03, [-60]),
        (0x0C01, [None]),
        # The CRC was not checked, is wrong, or is said to be right unchecked.
        (0x0003, [-60]),
        (0x0403, []),
        (0x0803, [-60]),
        # Whitened still; on another PHY than 1M.
        (0x0C02, []),
        (0x4C03, []),
        (0x8C03, []),
    ],
)
def test_the_header_of_the_radio_tells_what_is_good(
    flags: int, rssi: list[int | None]
) -> None:
    packet = radio_header(-60, flags) + pdu(SENSOR, SENSOR_DATA)
    assert [heard.rssi for heard in sniffed(packet, 256)] == rssi


@pytest.mark.parametrize(
    ("header", "count"),
    [
        ({"version": 1, "packet_id": 6}, 1),
        ({"version": 2, "packet_id": 6}, 1),
        ({"version": 3, "packet_id": 2}, 1),
        # The CRC is wrong; another PHY than 1M; no packet of the radio.
        ({"flags": 0}, 0),
        ({"flags": 0x11}, 0),
        ({"flags": 0x21}, 0),
        ({"packet_id": 0x0E}, 0),
    ],
)
def test_the_header_of_the_nrf_sniffer_tells_what_is_good(
    header: dict[str, Any], count: int
) -> None:
    packet = nordic_header(**header) + pdu(SENSOR, SENSOR_DATA)
    assert len(sniffed(packet, 272)) == count


def test_what_the_nrf_sniffer_says_of_itself_is_passed_over() -> None:
    assert sniffed(nordic_header()[:7], 272) == []


def test_another_version_of_the_nrf_sniffer_is_said() -> None:
    packet = nordic_header(version=4) + pdu(SENSOR, SENSOR_DATA)
    heard, error = hear([pcap([packet], 272)])
    assert heard == []
    assert error.endswith("the nRF Sniffer has headers of version 1 to 3, not 4")


# pcapng ------------------------------------------------------------------------------


@ORDERS
@LINK_TYPES
def test_enhanced_packets_come_with_their_time(link_type: int, order: str) -> None:
    data = pcapng_of(WRAPPED[link_type], link_type, order)
    assert hear([data]) == ([OF_SENSOR, OF_STRANGER], "")


@ORDERS
@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ((), 10**6),
        (((9, b"\x03"),), 10**3),
        (((9, b"\x09"),), 10**9),
        (((9, b"\x8a"),), 2**10),
        (((2, b"an interface"), (9, b"\x06")), 10**6),
        # An option of another length than it has is not understood.
        (((9, b"\x03\x00"),), 10**6),
    ],
)
def test_an_interface_says_how_its_time_counts(
    options: tuple[tuple[int, bytes], ...], parts: int, order: str
) -> None:
    packed = b"".join(option(code, value, order) for code, value in options)
    packet = enhanced_packet(WRAPPED[H4][0], int(NOON * 4) * parts // 4, order)
    data = section(order) + interface(H4, order, packed) + packet
    assert hear([data]) == ([OF_SENSOR], "")


def test_an_interface_may_count_from_another_second_on() -> None:
    packed = option(14, struct.pack("<q", 1000))
    data = section() + interface(H4, options=packed)
    (heard,), _ = hear([data + enhanced_packet(WRAPPED[H4][0])])
    assert heard.at == NOON + 1000


def test_a_simple_packet_has_no_time() -> None:
    data = section() + interface(H4, snapshot=1000) + simple_packet(WRAPPED[H4][0])
    assert hear([data]) == ([Heard(SENSOR, {0xFE95: FRAME}, -60, None)], "")


def test_a_simple_packet_that_was_cut_short_is_said() -> None:
    packet = WRAPPED[H4][0]
    body = struct.pack("<I", len(packet)) + packet[:32]
    heard, error = hear([section() + interface(H4, snapshot=32) + block(3, body)])
    assert heard == []
    assert error == "block 3 at byte 48: an advertising report ends inside its data"


def test_the_obsolete_packet_block_is_read() -> None:
    packet, time = WRAPPED[H4][0], int(NOON * 10**6)
    lengths = (len(packet), len(packet))
    body = struct.pack("<HHIIII", 0, 7, time >> 32, time & 0xFFFFFFFF, *lengths) + packet
    assert hear([section() + interface(H4) + block(2, body)]) == ([OF_SENSOR], "")


def test_other_blocks_are_passed_over_however_long_they_are() -> None:
    other = block(4, bytes(300_000)) + block(0x8000_0001, b"")
    packets = [enhanced_packet(packet) for packet in WRAPPED[H4]]
    data = section() + interface(H4) + other.join([*packets, b""])
    heard, error = hear([data])
    assert (len(heard), error) == (2, "")
    reader = PcapngReader()
    for start in range(0, len(data), 1000):
        list(reader.feed(data[start : start + 1000]))
        assert len(reader._cutter) < 1200


def test_packets_of_other_interfaces_are_left_out() -> None:
    data = section() + interface(1) + interface(H4)
    packets = [enhanced_packet(WRAPPED[H4][0], number=number) for number in (0, 1)]
    assert hear([data + b"".join(packets)]) == ([OF_SENSOR], "")


def test_a_file_without_bluetooth_is_an_error() -> None:
    data = section() + interface(1) + interface(127) + enhanced_packet(b"x")
    heard, error = hear([data])
    assert heard == []
    assert error.startswith("packets of link type 1 and 127 hold no Bluetooth LE adverts")


def test_sections_of_both_byte_orders_may_follow_one_another() -> None:
    little, big = (pcapng_of(WRAPPED[H4], H4, order) for order in "<>")
    expected = [OF_SENSOR, OF_STRANGER]
    assert hear([little + big + little]) == (expected * 3, "")


def test_the_interfaces_of_a_section_count_anew() -> None:
    ethernet_first = section() + interface(1) + interface(H4)
    bluetooth_first = section() + interface(H4)
    packet = enhanced_packet(WRAPPED[H4][0])
    assert hear([ethernet_first + bluetooth_first + packet]) == ([OF_SENSOR], "")
    assert hear([bluetooth_first + ethernet_first + packet]) == ([], "")
    heard, error = hear([bluetooth_first + section() + packet])
    assert heard == []
    assert error.endswith("a packet of interface 0, which is not told")


def test_an_option_behind_very_many_others_is_read() -> None:
    options = option(2, b"") * 20_000 + option(9, b"\x03")
    data = section() + interface(H4, options=options)
    (heard,), _ = hear([data + enhanced_packet(WRAPPED[H4][0], int(NOON * 10**3))])
    assert heard.at == NOON


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        (enhanced_packet(b"x"), "a packet of interface 0, which is not told"),
        (simple_packet(b"x123"), "a packet of no interface"),
        (interface(H4) + block(6, bytes(8)), "a packet ends inside its head"),
        (
            interface(H4) + block(6, struct.pack("<IIIII", 0, 0, 0, 9, 9)),
            "a packet is longer than its block",
        ),
        (block(1, b"1234"), "an interface cannot be read"),
        (interface(H4) * 4097, "an interface cannot be read"),
        (struct.pack("<III", 6, 8, 8), "a block of 8 bytes cannot be"),
        (struct.pack("<III", 6, 33, 33), "a block of 33 bytes cannot be"),
        (struct.pack("<III", 6, 1 << 20, 0), "a packet of 1048576 bytes cannot be"),
        (interface(H4)[:-1] + b"\x01", "its two lengths differ"),
        (section()[:8] + bytes(20), "the byte order of a section is not known"),
    ],
)
def test_blocks_that_cannot_be_are_an_error_that_says_where(
    rest: bytes, error: str
) -> None:
    heard, said = hear([section() + rest])
    assert heard == []
    assert said.startswith("block ")
    assert said.endswith(f": {error}")


PCAPNG = pcapng_of(WRAPPED[H4], H4)


def test_where_a_pcapng_file_is_cut_makes_no_difference() -> None:
    check_every_cut(PCAPNG + block(4, bytes(20)) + PCAPNG)


def test_a_pcapng_file_that_ends_too_early_gives_what_was_whole() -> None:
    check_every_truncation(PCAPNG)
    fourth = len(PCAPNG) - len(enhanced_packet(WRAPPED[H4][1]))
    error = f"the file ends inside block 4 at byte {fourth}"
    assert hear([PCAPNG[:-1]]) == ([OF_SENSOR], error)
    # One that is passed over is counted once, too.
    cut = section() + block(4, bytes(20))[:-5]
    assert hear([cut]) == ([], "the file ends inside block 2 at byte 28")


def test_damage_to_a_pcapng_file_is_adverts_or_a_decode_error() -> None:
    check_every_bit(PCAPNG)


@given(
    st.binary(max_size=200)
    | st.lists(st.builds(block, st.integers(0, 7), st.binary(max_size=60)), max_size=5).map(
        b"".join
    )
)
def test_whatever_blocks_there_are_is_adverts_or_a_decode_error(rest: bytes) -> None:
    data = section() + interface(H4) + rest
    assert hear(cut(data, 7)) == hear([data])
