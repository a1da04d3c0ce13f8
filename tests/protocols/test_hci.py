"""Adverts in the events of a controller."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.hci import Events, Heard, service_data_of
from tests.fakes.captures import (
    COMMAND_COMPLETE,
    FLAGS,
    FRAME,
    SENSOR,
    SENSOR_DATA,
    SENSOR_EVENT,
    STRANGER,
    STRANGER_DATA,
    event,
    extended_event,
    extended_report,
    le_event,
    report,
    service_data,
    structure,
)

OF_SENSOR = Heard(SENSOR, {0xFE95: FRAME}, -60, 5.0)


def take(*events: bytes) -> list[Heard]:
    source = Events()
    heard = [advert for each in events for advert in source.take(each, 5.0)]
    return heard + list(source.end())


def until_it_fails(adverts: Iterator[Heard]) -> tuple[list[Heard], str]:
    heard = []
    try:
        for advert in adverts:
            heard.append(advert)  # noqa: PERF402 # extend would lose it with an error
    except DecodeError as error:
        return heard, str(error)
    return heard, ""


# AD structures -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", {}),
        (FLAGS, {}),
        (SENSOR_DATA, {0xFE95: FRAME}),
        (service_data(0xFCD2, b""), {0xFCD2: b""}),
        (service_data(1, b"a") + FLAGS + service_data(2, b"b"), {1: b"a", 2: b"b"}),
        # What fills an advert up is not the beginning of something.
        (service_data(1, b"a") + b"\0" + service_data(2, b"b"), {1: b"a"}),
        # Service data of 32 and 128 bits, and of half a UUID.
        (structure(0x20, bytes(8)) + structure(0x21, bytes(18)), {}),
        (structure(0x16, b"\x95") + SENSOR_DATA, {0xFE95: FRAME}),
    ],
)
def test_service_data_is_found_among_ad_structures(
    data: bytes, found: dict[int, bytes]
) -> None:
    assert service_data_of(data) == found


@pytest.mark.parametrize("damage", [b"\x05", b"\x05\x16\x95\xfe", b"\xff\x16\x95"])
def test_what_stood_before_a_damaged_ad_structure_counts(damage: bytes) -> None:
    assert service_data_of(SENSOR_DATA + damage) == {0xFE95: FRAME}


@given(st.binary(max_size=255))
def test_whatever_is_in_an_advert_its_service_data_is_a_part_of_it(data: bytes) -> None:
    for uuid, found in service_data_of(data).items():
        assert uuid.to_bytes(2, "little") + found in data


# Reports -----------------------------------------------------------------------------


def test_a_report_is_an_advert_with_address_service_data_rssi_and_time() -> None:
    assert take(SENSOR_EVENT) == [OF_SENSOR]


def test_several_reports_stand_one_behind_the_other() -> None:
    both = event(report(SENSOR, SENSOR_DATA), report(STRANGER, STRANGER_DATA, 20))
    assert take(both) == [OF_SENSOR, Heard(STRANGER, {}, 20, 5.0)]


@pytest.mark.parametrize("kind", range(5))
def test_every_type_of_report_is_an_advert(kind: int) -> None:
    assert take(event(report(SENSOR, SENSOR_DATA, kind=kind))) == [OF_SENSOR]


def test_an_advert_may_be_empty() -> None:
    assert take(event(report(SENSOR, b"", 0))) == [Heard(SENSOR, {}, 0, 5.0)]


def test_an_rssi_of_127_is_not_known() -> None:
    for reported in (
        event(report(SENSOR, SENSOR_DATA, 127)),
        extended_event(extended_report(SENSOR, SENSOR_DATA, rssi=127)),
    ):
        assert [heard.rssi for heard in take(reported)] == [None]


def test_other_events_hold_no_adverts() -> None:
    assert take(COMMAND_COMPLETE, bytes.fromhex("3e00"), le_event(0x01, [b"x"])) == []


def test_an_event_without_reports_is_no_advert() -> None:
    assert take(event(), extended_event()) == []


@pytest.mark.parametrize(
    "whole",
    [
        event(report(SENSOR, SENSOR_DATA), report(STRANGER, STRANGER_DATA)),
        extended_event(
            extended_report(SENSOR, SENSOR_DATA), extended_report(STRANGER, STRANGER_DATA)
        ),
    ],
)
def test_an_event_that_ends_too_early_gives_the_reports_that_are_whole(
    whole: bytes,
) -> None:
    expected, heard = take(whole), list[Heard]()
    for length in range(4, len(whole)):
        heard, error = until_it_fails(Events().take(whole[:length], 5.0))
        assert "ends inside its" in error
        assert heard == expected[: len(heard)]
        assert len(heard) < 2
    assert heard == [OF_SENSOR]


@pytest.mark.parametrize("data", [b"", b"\x3e", bytes.fromhex("3e0102")])
def test_an_event_without_a_head_is_an_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        take(data)


# Extended reports --------------------------------------------------------------------


@pytest.mark.parametrize("kind", [0x0013, 0x0010, 0x001B, 0x0001, 0x0000])
def test_an_extended_report_is_an_advert(kind: int) -> None:
    assert take(extended_event(extended_report(SENSOR, SENSOR_DATA, kind=kind))) == [
        OF_SENSOR
    ]


LONG = b"".join(service_data(uuid, bytes(100)) for uuid in range(10))


def test_data_in_pieces_is_joined_by_advertiser() -> None:
    pieces = [LONG[start : start + 150] for start in range(0, len(LONG), 150)]
    events = [
        extended_event(
            extended_report(SENSOR, piece, kind=0, status=1 if piece != pieces[-1] else 0),
            extended_report(STRANGER, STRANGER_DATA, rssi=-70, kind=0),
        )
        for piece in pieces
    ]
    *strangers, last_but_one, _ = take(*events)
    assert last_but_one == Heard(SENSOR, service_data_of(LONG), -60, 5.0)
    assert {heard.address for heard in strangers} == {STRANGER}


def test_advertising_sets_and_scan_responses_are_not_mixed() -> None:
    begun = [
        extended_report(SENSOR, SENSOR_DATA[:5], kind=0, status=1),
        extended_report(SENSOR, FLAGS, kind=0, set_id=1),
        extended_report(SENSOR, FLAGS, kind=8),
        extended_report(SENSOR, SENSOR_DATA[5:], kind=0),
    ]
    found = [heard.service_data for heard in take(*map(extended_event, begun))]
    assert found == [{}, {}, {0xFE95: FRAME}]


def test_what_two_adapters_hear_is_not_mixed() -> None:
    source = Events()
    heard: list[Heard] = []
    for piece, status in ((SENSOR_DATA[:9], 1), (SENSOR_DATA[9:], 0)):
        event = extended_event(extended_report(SENSOR, piece, kind=0, status=status))
        for adapter in (0, 1):
            heard += source.take(event, 5.0, adapter)
    assert heard == [OF_SENSOR] * 2
    assert list(source.end()) == []


@pytest.mark.parametrize("status", [2, 3])
def test_data_that_the_controller_cut_off_counts_as_far_as_it_goes(status: int) -> None:
    piece = extended_report(SENSOR, SENSOR_DATA + b"\x09\x16", kind=0, status=status)
    assert take(extended_event(piece)) == [OF_SENSOR]


def test_what_is_begun_and_not_ended_is_given_at_the_end() -> None:
    piece = extended_report(SENSOR, SENSOR_DATA, kind=0, status=1)
    source = Events()
    assert list(source.take(extended_event(piece), 5.0)) == []
    assert list(source.end()) == [OF_SENSOR]
    assert list(source.end()) == []


def test_of_too_many_that_begin_the_oldest_is_given_as_it_is() -> None:
    def begin(number: int) -> bytes:
        address = f"4C:65:A8:D0:AE:{number:02X}"
        return extended_event(extended_report(address, SENSOR_DATA, kind=0, status=1))

    source = Events()
    heard = [
        [advert.address for advert in source.take(begin(number), 5.0)]
        for number in range(66)
    ]
    assert heard == [*[[]] * 64, ["4C:65:A8:D0:AE:00"], ["4C:65:A8:D0:AE:01"]]
    assert len(list(source.end())) == 64


def test_data_that_never_ends_is_kept_within_bounds() -> None:
    piece = extended_report(SENSOR, service_data(7, bytes(200)), kind=0, status=1)
    source = Events()
    for _ in range(1000):
        assert list(source.take(extended_event(piece), 5.0)) == []
    ((data, *_),) = source._begun.values()
    assert len(data) == 1650


# Damage ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "whole", [SENSOR_EVENT, extended_event(extended_report(SENSOR, SENSOR_DATA))]
)
def test_with_any_bit_flipped_there_are_adverts_or_a_decode_error(whole: bytes) -> None:
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            try:
                heard = take(bytes(flipped))
            except DecodeError:
                continue
            assert all(len(advert.address) == 17 for advert in heard)


any_event = st.binary(max_size=300) | st.builds(
    lambda subevent, rest: bytes([0x3E, min(len(rest) + 1, 255), subevent]) + rest,
    st.sampled_from([0x02, 0x0D]),
    st.binary(max_size=260),
)


@given(st.lists(any_event, max_size=5))
def test_whatever_a_controller_says_is_adverts_or_a_decode_error(
    events: list[bytes],
) -> None:
    try:
        heard = take(*events)
    except DecodeError:
        return
    assert all(advert.rssi is None or -128 <= advert.rssi < 127 for advert in heard)
