"""HCI events in text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.protocols.hci import Heard
from tests.fakes.captures import (
    COMMAND_COMPLETE,
    FRAME,
    NOON,
    SENSOR,
    SENSOR_EVENT,
    STRANGER,
    STRANGER_EVENT,
    hcidump,
)
from tests.protocols.heard import check_every_bit, check_every_cut, cut, hear

OF_SENSOR = Heard(SENSOR, {0xFE95: FRAME}, -60, None)
OF_STRANGER = Heard(STRANGER, {}, -70, None)
PACKETS = [b"\x04" + SENSOR_EVENT, b"\x04" + STRANGER_EVENT]
TEXT = hcidump(PACKETS)
BARE = PACKETS[0].hex(" ").upper()
NOTHING = "no capture that can be read. That would be a BTSnoop file"


def read(text: str) -> tuple[list[Heard], str]:
    return hear([text.encode()])


# What hcidump writes -----------------------------------------------------------------


def test_the_text_of_hcidump_raw_is_read() -> None:
    assert hear([TEXT]) == ([OF_SENSOR, OF_STRANGER], "")


def test_its_local_times_become_unix_seconds() -> None:
    heard, error = hear([hcidump(PACKETS, NOON)])
    assert ([advert.at for advert in heard], error) == ([NOON, NOON], "")


@pytest.mark.parametrize(
    ("time", "at"),
    [
        ("1700000000.250000", NOON),
        ("12:00:00.250000", None),
        ("12:00:00", None),
        # 29 February of a year that has none, and years without Unix seconds.
        ("2023-02-29 12:00:00.250000", None),
        ("0001-01-01 00:00:00.000000", None),
        ("9999-12-31 23:59:59.999999", None),
        ("999999999999.0", None),
    ],
)
def test_a_time_that_is_no_date_is_none(time: str, at: float | None) -> None:
    (heard,), error = read(f"{time} > {BARE}\n")
    assert (heard.at, error) == (at, "")


def test_a_published_dump_is_read() -> None:
    # From a page about hcidump; the lines end in blanks.
    heard, error = read(
        "HCI sniffer - Bluetooth packet analyzer ver 5.43\n"
        "device: hci0 snap_len: 1500 filter: 0xffffffff\n"
        "> 04 3E 2B 02 01 03 01 0F EC 72 78 51 D3 1F 02 01 06 03 03 AA \n"
        "  FE 17 16 AA FE 10 F9 03 72 75 75 2E 76 69 2F 23 42 4A 41 4B \n"
        "  41 4C 78 49 72 B6 \n"
        "> 04 3E 17 02 01 00 00 AE 3B 97 75 32 4C 0B 02 01 06 07 FF 4C \n"
        "  00 10 02 0B 00 B1 \n"
    )
    eddystone = bytes.fromhex("10f903727575 2e76692f2342 4a414b414c784972")
    assert error == ""
    assert heard == [
        Heard("D3:51:78:72:EC:0F", {0xFEAA: eddystone}, -74, None),
        Heard("4C:32:75:97:3B:AE", {}, -79, None),
    ]


@pytest.mark.parametrize(
    "text",
    [
        hcidump(PACKETS, end="\r\n").decode(),
        hcidump(PACKETS).decode().replace("\n  ", "\n\t"),
        hcidump(PACKETS).decode().lower().replace("hci sniffer", "HCI sniffer"),
        hcidump(PACKETS).decode().removesuffix("\n"),
        "\ufeff" + hcidump(PACKETS).decode(),
        hcidump(PACKETS).decode().replace("\n", "\n\n"),
    ],
    ids=[
        "CRLF",
        "tabs",
        "lower case",
        "no last line end",
        "byte order mark",
        "blank lines",
    ],
)
def test_other_ways_of_writing_it_are_read(text: str) -> None:
    assert read(text) == ([OF_SENSOR, OF_STRANGER], "")


def test_lines_of_hcitool_between_its_own_do_not_disturb() -> None:
    scanned = "LE Scan ...", "4C:65:A8:D0:AE:64 (unknown)", f"{STRANGER} Lamp", STRANGER
    lines = TEXT.decode().splitlines()
    mixed = [line for pair in zip(lines, [*scanned, ""] * 9, strict=False) for line in pair]
    assert read("\n".join(mixed)) == ([OF_SENSOR, OF_STRANGER], "")


def test_commands_data_and_other_events_are_passed_over() -> None:
    others = (
        "< 01 0C 20 02 01 00 \n"
        f"> 02 40 20 19 00 {'00 ' * 15}\n  04 3E {'00 ' * 8}\n"
        f"> 04 {COMMAND_COMPLETE.hex(' ')}\n"
    )
    first, second = (hcidump([packet]).decode() for packet in PACKETS)
    assert read(first + others + second + others) == ([OF_SENSOR, OF_STRANGER], "")


def test_what_the_host_sends_is_no_event() -> None:
    assert read(f"< {BARE}\n") == ([], "")


def test_a_dump_without_packets_is_fine() -> None:
    assert hear([hcidump([])]) == ([], "")
    assert read("LE Scan ...\n") == ([], "")


# Other forms -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["0x3e", "0x3E", "LE Meta Event (0x3e)"], ids=["lower", "upper", "named"]
)
def test_events_as_hcitool_cmd_shows_them_are_read(name: str) -> None:
    shown = "".join(
        f"> HCI Event: {name} plen {event[1]}\n"
        + "".join(
            f"  {event[start : start + 20].hex(' ').upper()} \n"
            for start in range(2, len(event), 20)
        )
        for event in (SENSOR_EVENT, STRANGER_EVENT)
    )
    command = (
        "< HCI Command: ogf 0x08, ocf 0x000c, plen 2\n  01 00 \n"
        "> HCI Event: 0x0e plen 4\n  01 0C 20 00 \n"
    )
    assert read(command + shown + command) == ([OF_SENSOR, OF_STRANGER], "")


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        BARE.lower(),
        BARE.replace(" ", ""),
        BARE.replace(" ", "\t"),
        f"   {BARE}   ",
        f"Example:\n\n{BARE}\n\nThis is a message.\n",
    ],
)
def test_bare_packets_are_read(text: str) -> None:
    assert read(text) == ([OF_SENSOR], "")
    assert read(f"{text}\n{text}\n") == ([OF_SENSOR, OF_SENSOR], "")


def test_a_bare_packet_may_be_explained_piece_by_piece() -> None:
    text = f"Header\n\n{BARE[:41]}\n\nFlags AD\n\n{BARE[42:50]}\n\nRest\n\n{BARE[51:]}\n"
    assert read(text) == ([OF_SENSOR], "")


def test_a_line_inside_a_bare_packet_may_look_like_the_start_of_one() -> None:
    data = bytes.fromhex("0209ff043e020100000000")
    event = bytes.fromhex("3e17020100006443 54a8654c0b") + data + b"\xc4"
    lines = event[:16].hex(" "), event[16:].hex(" ")
    assert lines[1].startswith("04 3e")
    (heard,), error = read(f"04 {lines[0]}\n{lines[1]}\n")
    assert (heard.rssi, error) == (-60, "")


# What cannot be read -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Bluetooth monitor ver 5.66\n= Note: Linux version 6.1.0 (x86_64)  0.1\n",
        "= New Index: 00:11:22:33:44:55 (Primary,USB,hci0)   [hci0] 0.1\n",
        "@ MGMT Open: bluetoothd (privileged) version 1.22  {0x0001} 0.1\n",
        (
            "> HCI Event: LE Meta Event (0x3e) plen 43          #1 [hci0] 0.123\n"
            "      LE Advertising Report (0x02)\n"
        ),
    ],
)
def test_the_text_of_btmon_is_refused_with_what_to_type(text: str) -> None:
    heard, error = read(text)
    assert heard == []
    assert error == (
        "line 1: this is what btmon explains, without the bytes. Record with: btmon -w FILE"
    )


def test_what_hcidump_explains_is_refused_with_what_to_type() -> None:
    heard, error = read(
        "HCI sniffer - Bluetooth packet analyzer ver 5.43\n"
        "2018-05-20 16:48:47.852536 > HCI Event: LE Meta Event (0x3e) plen 30\n"
        "    LE Advertising Report\n"
        "      bdaddr C4:C1:A5:FB:6D:46 (Random)\n"
    )
    assert heard == []
    assert error == (
        "line 3: this is what hcidump explains, without the bytes. Record with: "
        "hcidump --raw -t"
    )


@pytest.mark.parametrize(
    "text",
    [
        "hello\n",
        "\n\n",
        "{}",
        "5020aa01be64aed0a8654c0d1004cc008a01",
        "> hello\n",
        "> can be quoted\n",
        "# Read me\n> ab\n",
        "> 06 3e 25 02\n",
    ],
)
def test_other_text_is_an_error_that_lists_what_can_be_read(text: str) -> None:
    heard, error = read(text)
    assert heard == []
    assert error.startswith(NOTHING)
    assert "pcap" in error
    assert "hcidump --raw" in error


def test_a_line_without_end_is_not_waited_for() -> None:
    heard, error = hear(cut(b"x" * (1 << 20), 4096))
    assert (heard, error[: len(NOTHING)]) == ([], NOTHING)


def test_text_without_end_and_without_packets_is_not_read_for_ever() -> None:
    fed = []

    def chunks() -> Iterator[bytes]:
        while True:
            fed.append(1)
            yield b"the quick brown fox\n" * 1000

    heard, error = hear(chunks())
    assert (heard, error[: len(NOTHING)]) == ([], NOTHING)
    assert len(fed) < 100


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("> 04 3E 25 02 01 00 00 XX XX XX\n", "line 1: 'XX' is no hex byte"),
        ("04 3E 25 02 01 00 00 XX XX XX 19\n", "line 1: 'XX' is no hex byte"),
        ("> 04\n", "line 1: a packet ends inside its head"),
        (f"> {BARE[:20]}\n> 01 03 0c 00\n", "line 1: an advertising report ends inside"),
        (f"{BARE[:20]}\n{BARE[:20]}\n", "line 1: an advertising report ends inside"),
        (f"> {BARE} 00 00\n", "line 1: 2 bytes more than the event has"),
        ("> HCI Event: 0x3e plen 37\n", "line 1: the event ends behind its head"),
        (f"\n> {BARE[:-3]}", "line 2: an advertising report ends inside its data"),
    ],
)
def test_damage_is_said_with_its_line(text: str, error: str) -> None:
    assert read(text)[1].startswith(error)


def test_damage_does_not_cost_what_is_before_and_after_it() -> None:
    damaged = f"> {BARE[:20]}\n> {BARE} 00\n> 04 3E XX\n"
    heard, error = read(f"> {BARE}\n{damaged}> {BARE}\n")
    assert heard == [OF_SENSOR] * 3
    assert error == "line 2: an advertising report ends inside its head, and 2 more"


# However it comes --------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        hcidump(PACKETS, NOON, "\r\n"),
        hcidump(PACKETS, NOON, "\r"),
        BARE.encode(),
    ],
)
def test_where_the_text_is_cut_makes_no_difference(text: bytes) -> None:
    check_every_cut(text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_any_system_ends_them(end: str) -> None:
    assert hear([hcidump(PACKETS, end=end)]) == ([OF_SENSOR, OF_STRANGER], "")
    heard, error = hear([end.join(["", "> 04 3E XX", ""]).encode()])
    assert (heard, error) == ([], "line 2: 'XX' is no hex byte")


@pytest.mark.parametrize("kind", ["01 05 20 00", "02 40 00 00 00", "05 00 00 00 00"])
def test_packets_that_are_no_events_are_a_capture_too(kind: str) -> None:
    assert read(f"> {kind}\n") == ([], "")


def test_a_text_that_ends_too_early_gives_what_was_whole() -> None:
    whole, _ = hear([TEXT])
    for length in range(len(TEXT)):
        heard, _ = hear([TEXT[:length]])
        assert heard == whole[: len(heard)]
    assert hear([TEXT[:-4]]) == (
        [OF_SENSOR],
        "line 5: an advertising report ends inside its data",
    )


def test_an_advert_is_there_as_soon_as_its_line_is() -> None:
    heard, _ = hear([TEXT, b"> 04 3E"])
    assert heard == [OF_SENSOR, OF_STRANGER]


def test_any_damage_is_adverts_or_a_decode_error() -> None:
    check_every_bit(TEXT)


words = st.sampled_from(
    [
        "> ",
        "< ",
        "04 3E",
        "04 3e 04",
        "HCI Event: 0x3e plen 4",
        BARE,
        "00 ",
        "XX",
        "\n",
        "\r",
    ]
)


@given(st.lists(words | st.text(max_size=5), max_size=30).map("".join))
def test_whatever_is_written_is_adverts_or_a_decode_error(text: str) -> None:
    data = text.encode()
    assert hear(cut(data, 7)) == hear([data])
