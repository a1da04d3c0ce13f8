"""The dimmer's frame, its time on the wire, and finding it in a stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.wxdm2 import (
    GIRIER,
    PROTOCOLS,
    QS_D01,
    WXDM2,
    FrameHunter,
    FrameProtocol,
    LevelFrame,
    wire_time,
)

FULL = bytes.fromhex("0A FF 55 01 FF 00 05 DC 0A")
FULL_FRAME = LevelFrame(1, (255, 0), 1500)

levels = st.integers(0, 255)
frames = st.builds(
    LevelFrame, st.sampled_from([1, 2]), st.tuples(levels, levels), st.integers(0, 0xFFFF)
)


# The frame ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        (FULL_FRAME, "0A FF 55 01 FF 00 05 DC 0A"),
        (LevelFrame(2, (255, 159), 0), "0A FF 55 02 FF 9F 00 00 0A"),
        (LevelFrame(2, (255, 0), 1500), "0A FF 55 02 FF 00 05 DC 0A"),
        (LevelFrame(1, (0, 0), 0), "0A FF 55 01 00 00 00 00 0A"),
        (LevelFrame(1, (63, 89), 0x0102), "0A FF 55 01 3F 59 01 02 0A"),
        # Levels that look like the beginning of a frame.
        (LevelFrame(2, (255, 85), 0x0AFF), "0A FF 55 02 FF 55 0A FF 0A"),
    ],
)
def test_a_frame_has_exactly_these_bytes(frame: LevelFrame, wire: str) -> None:
    assert frame.to_bytes() == bytes.fromhex(wire)
    assert LevelFrame.from_bytes(bytes.fromhex(wire)) == frame


@pytest.mark.parametrize(
    ("protocol", "frame", "wire"),
    [
        (GIRIER, LevelFrame(1, (255, 0), 1500), "00 00 FF 55 01 FF 00 05 DC 0A 00 00"),
        (GIRIER, LevelFrame(2, (0, 0x79), 0), "00 00 FF 55 02 00 79 00 00 0A 00 00"),
        (QS_D01, LevelFrame(1, (0x80, 0), 1500), "FF 55 80 05 DC 0A"),
        (QS_D01, LevelFrame(1, (0, 0), 0x0AFF), "FF 55 00 0A FF 0A"),
    ],
)
def test_the_relatives_have_frames_of_their_own(
    protocol: FrameProtocol, frame: LevelFrame, wire: str
) -> None:
    data = bytes.fromhex(wire)
    assert frame.to_bytes(protocol) == data
    assert LevelFrame.from_bytes(data, protocol) == frame
    core = data.removeprefix(protocol.lead).removesuffix(protocol.tail)
    assert len(core) == protocol.core_length
    assert LevelFrame.from_bytes(core, protocol) == frame
    assert FrameHunter(protocol).feed(b"\x00\xff" + data * 2) == [frame, frame]


def test_the_table_has_each_protocol_by_its_name() -> None:
    assert PROTOCOLS == {"wxdm2": WXDM2, "girier": GIRIER, "qs-d01": QS_D01}
    assert (WXDM2.channels, GIRIER.channels, QS_D01.channels) == ((1, 2), (1, 2), (1,))
    assert GIRIER.hello == bytes.fromhex("55AA00FE00050303FF03FF09")
    assert (WXDM2.pause, GIRIER.pause, QS_D01.pause) == (0, 0.1, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS.values())
@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFF), st.data())
def test_every_frame_of_every_protocol_survives_the_way_there_and_back(
    protocol: FrameProtocol, first: int, second: int, ramp: int, data: st.DataObject
) -> None:
    channel = data.draw(st.sampled_from(protocol.channels))
    frame = LevelFrame(channel, (first, second if len(protocol.channels) > 1 else 0), ramp)
    assert LevelFrame.from_bytes(frame.to_bytes(protocol), protocol) == frame


def test_the_lead_in_may_be_missing() -> None:
    assert LevelFrame.from_bytes(FULL[1:]) == FULL_FRAME


@pytest.mark.parametrize(
    "wire",
    [
        "",
        "0A",
        "FF 55",
        "0A FF 55 01 FF 00 05 DC",
        "0A FF 55 01 FF 00 05 0A",
        "0A FF 55 01 FF 00 05 DC 00 0A",
        "0A FF 55 01 FF 00 05 DC 0A 0A",
        "0A 0A FF 55 01 FF 00 05 DC 0A",
        "00 FF 55 01 FF 00 05 DC 0A",
        "0A FE 55 01 FF 00 05 DC 0A",
        "0A FF 54 01 FF 00 05 DC 0A",
        "0A FF 55 01 FF 00 05 DC 0B",
    ],
)
def test_anything_else_is_no_frame(wire: str) -> None:
    with pytest.raises(DecodeError, match="not a level frame"):
        LevelFrame.from_bytes(bytes.fromhex(wire))


@pytest.mark.parametrize("channel", [0, 3, 255])
def test_a_frame_for_a_channel_that_does_not_exist_is_refused(channel: int) -> None:
    wire = FULL[:3] + bytes([channel]) + FULL[4:]
    with pytest.raises(DecodeError, match=f"for channel {channel}, there are 1 and 2"):
        LevelFrame.from_bytes(wire)


@given(frames)
def test_every_frame_survives_the_way_to_bytes_and_back(frame: LevelFrame) -> None:
    wire = frame.to_bytes()
    assert len(wire) == 9
    assert LevelFrame.from_bytes(wire) == frame
    assert LevelFrame.from_bytes(wire[1:]) == frame


@given(
    st.binary(max_size=20)
    | st.binary(min_size=5, max_size=5).map(lambda five: b"\xff\x55" + five + b"\x0a")
)
def test_whatever_comes_is_a_frame_or_a_decode_error(data: bytes) -> None:
    try:
        frame = LevelFrame.from_bytes(data)
    except DecodeError:
        return
    assert frame.channel in (1, 2)
    assert frame.to_bytes().endswith(data)


# The line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "baudrate", "seconds"),
    [(9, 9600, 0.009375), (0, 9600, 0.0), (9, 115200, 0.00078125), (960, 9600, 1.0)],
)
def test_a_byte_takes_ten_bits_on_the_wire(
    length: int, baudrate: int, seconds: float
) -> None:
    assert wire_time(length, baudrate) == seconds


# The hunter --------------------------------------------------------------------------


def hunt(*pieces: bytes) -> list[LevelFrame]:
    hunter = FrameHunter()
    return [frame for piece in pieces for frame in hunter.feed(piece)]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(min(place, len(stream)) for place in places)
    return [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True)]


def test_a_frame_is_there_as_soon_as_its_last_byte_is() -> None:
    hunter = FrameHunter()
    for byte in FULL[:-1]:
        assert hunter.feed(bytes([byte])) == []
    assert hunter.feed(FULL[-1:]) == [FULL_FRAME]
    assert hunter.feed(b"") == []


def test_frames_come_in_the_order_of_the_stream() -> None:
    other = LevelFrame(2, (255, 159), 0)
    assert hunt(FULL + other.to_bytes() + FULL) == [FULL_FRAME, other, FULL_FRAME]


@pytest.mark.parametrize(
    "before",
    [
        "FF",
        "FF FF",
        "FF 55",
        "FF 55 FF 55",
        "0A FF 55 01 20",
        "0A FF 55 01 20 30 05 DC",
        "0A FF 55 01 FF 00 05 DC 0B",
        "0A FF 55 03 FF 00 05 DC 0A",
        "55 AA 00 06 00 05 01 01 00 01 01 0E",
        "00",
        "0A 0A 0A",
    ],
)
def test_damage_before_a_frame_does_not_cost_the_frame(before: str) -> None:
    assert hunt(bytes.fromhex(before) + FULL)[-1] == FULL_FRAME


def test_a_frame_in_the_levels_of_a_frame_is_no_frame() -> None:
    # The levels 255 and 85 are FF 55; the frame goes on behind them.
    frame = LevelFrame(2, (255, 85), 0x0100)
    assert hunt(frame.to_bytes() + bytes(2) + b"\x0a") == [frame]


junk = st.binary(max_size=12).map(lambda some: some.replace(b"\xff", b""))
cuts = st.lists(st.integers(0, 120), max_size=12)


@given(st.lists(st.tuples(junk, frames), max_size=8), junk, cuts)
def test_every_frame_in_junk_is_found_however_the_stream_is_cut(
    parts: list[tuple[bytes, LevelFrame]], end: bytes, places: list[int]
) -> None:
    stream = b"".join(before + frame.to_bytes() for before, frame in parts) + end
    assert hunt(*cut(stream, places)) == [frame for _, frame in parts]


likely_bytes = st.lists(
    st.sampled_from(
        [b"\x0a", b"\xff", b"\x55", b"\x01", b"\x02", b"\xff\x55", FULL, b"\x00"]
    ),
    max_size=60,
).map(b"".join)


@given(st.binary(max_size=200) | likely_bytes, cuts)
def test_where_the_stream_is_cut_makes_no_difference(
    stream: bytes, places: list[int]
) -> None:
    assert hunt(*cut(stream, places)) == hunt(stream)


@given(st.lists(st.binary(max_size=64) | likely_bytes, max_size=30))
def test_less_than_one_frame_is_kept(pieces: list[bytes]) -> None:
    hunter = FrameHunter()
    for piece in pieces:
        hunter.feed(piece)
        state = [each for each in vars(hunter).values() if each is not WXDM2]
        kept = [each for each in state if isinstance(each, bytes | bytearray)]
        assert len(kept) == len(state)  # nothing is kept in any other shape
        assert sum(len(each) for each in kept) < len(FULL)


@pytest.mark.no_cover
def test_a_megabyte_of_junk_leaves_the_hunter_ready() -> None:
    hunter = FrameHunter()
    assert hunter.feed(b"\xff\x55\x00" * 350_000) == []
    assert hunter.feed(FULL) == [FULL_FRAME]
