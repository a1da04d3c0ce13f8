"""The same frames read by bthome-ble, and where the two differ on purpose."""

import struct
from collections.abc import Callable

import pytest
from bthome_ble.const import MEAS_TYPES
from hypothesis import given, settings
from hypothesis import strategies as st

from hk_bridge.errors import BindKeyError, DecodeError
from hk_bridge.protocols.bthome import decode
from tests.fakes.sensors import Object, bthome, bthome_climate

Peer = Callable[[bytes, str, bytes | None], dict[str, object]]

ADDRESS = "54:48:E6:8F:80:A5"
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
CLIMATE = bthome_climate(46, 23.97, 63.27, 93)

OWN_LENGTH = {0x3B, 0x53, 0x54}
#: Layout of the number and the range in which it can be. 0x58 differs, see below.
NUMBERS = {
    0x00: ("<B", 0, 255),
    0x01: ("<B", 0, 100),
    0x02: ("<h", -4000, 8500),
    0x03: ("<H", 0, 10_000),
    0x0C: ("<H", 0, 0xFFFF),
    0x14: ("<H", 0, 10_000),
    0x15: ("<B", 0, 1),
    0x2E: ("<B", 0, 100),
    0x2F: ("<B", 0, 100),
    0x45: ("<h", -400, 850),
    0x4A: ("<H", 0, 10_000),
    0x56: ("<H", 0, 20_000),
    0x57: ("<b", -40, 85),
}
#: Of these any bytes will do: they are passed over, and 0x05 is light up to 167,772 lx.
OTHERS = sorted(set(MEAS_TYPES) - set(NUMBERS) - OWN_LENGTH - {0x58})


def shown(kind: int) -> st.SearchStrategy[Object]:
    layout, low, high = NUMBERS[kind]
    return st.integers(low, high).map(lambda number: (kind, struct.pack(layout, number)))


def passed_over(kind: int) -> st.SearchStrategy[Object]:
    length = MEAS_TYPES[kind].data_length
    return st.binary(min_size=length, max_size=length).map(lambda data: (kind, data))


texts = st.tuples(st.sampled_from([0x53, 0x54]), st.binary(max_size=12)).map(
    lambda text: (text[0], bytes([len(text[1])]) + text[1])
)
commands = st.tuples(
    st.sampled_from([0x00, 0x60, 0xE0]), st.integers(0, 255), st.binary(max_size=6)
).map(lambda said: (0x3B, bytes([said[0] | len(said[2]), said[1]]) + said[2]))
an_object = (
    st.sampled_from(sorted(NUMBERS)).flatmap(shown)
    | st.sampled_from(OTHERS).flatmap(passed_over)
    | texts
    | commands
)
ends = st.none() | st.tuples(
    st.integers(0, 255).filter(lambda kind: kind not in MEAS_TYPES), st.binary(max_size=6)
)


@st.composite
def objects(draw: st.DrawFn) -> list[Object]:
    """Some that are known, and perhaps one that is not and what is behind it."""
    known = draw(st.lists(an_object, min_size=1, max_size=6))
    end = draw(ends)
    return known if end is None else [*known, end]


@settings(deadline=None, max_examples=400)
@given(
    objects=objects(),
    with_mac=st.booleans(),
    trigger_based=st.booleans(),
    key=st.none() | st.binary(min_size=16, max_size=16),
    counter=st.integers(0, 0xFFFFFFFF),
)
def test_bthome_ble_reads_the_same_values(
    bthome_peer: Peer,
    objects: list[Object],
    with_mac: bool,
    trigger_based: bool,
    key: bytes | None,
    counter: int,
) -> None:
    frame = bthome(
        objects,
        ADDRESS,
        key=key,
        counter=counter,
        with_mac=with_mac,
        trigger_based=trigger_based,
    )
    reading = decode(frame, ADDRESS, key)
    found: dict[str, object] = {str(name): value for name, value in reading.values.items()}
    if reading.counter is not None:
        found["packet_id"] = reading.counter
    assert found == bthome_peer(frame, ADDRESS, key)
    assert reading.encryption_counter == (None if key is None else counter)


@given(info=st.sampled_from([0x40, 0x42, 0x44]), rest=st.binary(max_size=30))
def test_what_is_read_of_any_bytes_bthome_ble_reads_too(
    bthome_peer: Peer, info: int, rest: bytes
) -> None:
    frame = bytes([info]) + rest
    try:
        reading = decode(frame, ADDRESS)
    except DecodeError:
        return
    said = bthome_peer(frame, ADDRESS, None)
    for name, value in reading.values.items():
        # 0x58 is rounded there.
        assert said[name] == pytest.approx(value, abs=0.0501)


def test_every_object_that_bthome_ble_knows_is_known(bthome_peer: Peer) -> None:
    for kind in set(MEAS_TYPES) - OWN_LENGTH:
        data = bytes(MEAS_TYPES[kind].data_length)
        frame = bthome([(kind, data), (0x01, b"\x5d")], ADDRESS)
        assert decode(frame).battery == 93
        assert bthome_peer(frame, ADDRESS, None)["battery"] == 93


# Differences on purpose --------------------------------------------------------------


@pytest.mark.parametrize("key", [None, KEY])
def test_a_truncated_frame_which_bthome_ble_reads_in_part_is_refused(
    bthome_peer: Peer, key: bytes | None
) -> None:
    frame = bthome([(0x01, b"\x5d"), (0x02, b"\xca")], ADDRESS, key=key)
    assert bthome_peer(frame, ADDRESS, key) == {"battery": 93}
    with pytest.raises(DecodeError, match="object 0x02 has 1 bytes instead of 2"):
        decode(frame, ADDRESS, key)


@pytest.mark.parametrize(
    ("number", "here", "there"), [(1, 0.35, 0.3), (-3, -1.05, -1.0), (5, 1.75, 1.8)]
)
def test_the_hundredths_of_0x58_that_bthome_ble_rounds_away_are_kept(
    bthome_peer: Peer, number: int, here: float, there: float
) -> None:
    frame = bthome([(0x58, struct.pack("<b", number))], ADDRESS)
    assert decode(frame).values == {"temperature": here}
    assert bthome_peer(frame, ADDRESS, None) == {"temperature": there}


@pytest.mark.parametrize(
    ("kind", "data", "name", "there"),
    [
        (0x01, b"\xff", "battery", 255),
        (0x02, b"\xff\x7f", "temperature", 327.67),
        (0x03, b"\xff\xff", "humidity", 655.35),
        (0x15, b"\x02", "lowBattery", True),
    ],
)
def test_a_value_that_cannot_be_and_that_bthome_ble_passes_on_is_kept_back(
    bthome_peer: Peer, kind: int, data: bytes, name: str, there: object
) -> None:
    frame = bthome([(kind, data)], ADDRESS)
    reading = decode(frame)
    assert (reading.values, reading.implausible) == ({}, (name,))
    assert bthome_peer(frame, ADDRESS, None) == {name: there}


def test_a_wrong_key_about_which_bthome_ble_only_logs_is_an_error(
    bthome_peer: Peer,
) -> None:
    frame = bthome(CLIMATE, ADDRESS, key=KEY)
    assert bthome_peer(frame, ADDRESS, bytes(16)) == {}
    with pytest.raises(BindKeyError):
        decode(frame, ADDRESS, bytes(16))


def test_a_missing_key_about_which_bthome_ble_says_nothing_is_told(
    bthome_peer: Peer,
) -> None:
    frame = bthome(CLIMATE, ADDRESS, key=KEY)
    assert bthome_peer(frame, ADDRESS, None) == {}
    assert decode(frame, ADDRESS).needs_key


def test_a_plain_frame_of_a_sensor_with_a_key_is_refused_with_a_reason(
    bthome_peer: Peer,
) -> None:
    frame = bthome(CLIMATE, ADDRESS)
    assert bthome_peer(frame, ADDRESS, KEY) == {}
    with pytest.raises(DecodeError, match="sends openly though a bind key is given"):
        decode(frame, ADDRESS, KEY)
