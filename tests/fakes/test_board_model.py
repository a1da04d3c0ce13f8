"""The board of the tests is right about frames, lines and damage."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.board_model import FORMS, BoardModel, Damage, Hit, Uart

CHANNEL_1 = bytes.fromhex("0aff5501ff0005dc0a")
CHANNEL_2 = bytes.fromhex("0aff5502ff9f00000a")


@pytest.mark.parametrize(
    ("protocol", "sent", "frames", "levels"),
    [
        ("wxdm2", "0aff5501ff00 05dc0a ff5502ff9f00000a", 2, {1: 255, 2: 159}),
        ("wxdm2", "55aa00fe00050303ff03ff09 ffff55020a0a0a0a0a", 1, {2: 10}),
        ("wxdm2", "0aff5503ff0005dc0a ff55010a", 0, {}),
        ("girier", "0000ff55014c0005dc0a0000 0000ff55024c4d05dc0a0000", 2, {1: 76, 2: 77}),
        ("qs-d01", "ff554c05dc0a ff55ff05dc0a", 2, {1: 255}),
        ("qs-d01", "0aff5501ff0005dc0a", 0, {}),
    ],
)
def test_the_named_channel_gets_its_level_and_junk_does_nothing(
    protocol: str, sent: str, frames: int, levels: dict[int, int]
) -> None:
    model = BoardModel(protocol)
    model.take(bytes.fromhex(sent))
    assert len(model.frames) == frames
    assert model.levels == levels


def test_a_lead_in_belongs_to_the_frame_and_the_end_before_it_does_not() -> None:
    model = BoardModel()
    model.take(CHANNEL_1 + CHANNEL_2[1:] + b"\x0a" + CHANNEL_1, 3.0)
    assert model.frames == [CHANNEL_1, CHANNEL_2[1:], CHANNEL_1]
    assert model.arrivals == [3.0] * 3
    girier = BoardModel("girier")
    girier.take(bytes.fromhex("0000ff55014c0005dc0a00ff5501000005dc0a"))
    assert [len(frame) for frame in girier.frames] == [10, 8]


PIECES = st.sampled_from(
    [CHANNEL_1, CHANNEL_2, CHANNEL_1[1:], CHANNEL_1[:4], CHANNEL_2[-3:], b"\xff", b"\x0a"]
)


@given(
    st.lists(PIECES | st.binary(max_size=3), max_size=12),
    st.sampled_from(sorted(FORMS)),
    st.booleans(),
)
def test_it_is_all_the_same_in_which_pieces_bytes_come(
    pieces: list[bytes], protocol: str, stupid: bool
) -> None:
    at_once, in_pieces, in_bytes = (BoardModel(protocol, stupid=stupid) for _ in range(3))
    at_once.take(b"".join(pieces))
    for piece in pieces:
        in_pieces.take(piece)
    for byte in b"".join(pieces):
        in_bytes.take(bytes([byte]))
    assert at_once.frames == in_pieces.frames == in_bytes.frames
    assert at_once.levels == in_pieces.levels == in_bytes.levels


def test_a_stupid_board_throws_away_the_beginning_of_the_next_frame() -> None:
    cut_short = CHANNEL_1[:-3]
    clever, stupid = BoardModel(), BoardModel(stupid=True)
    for model in (clever, stupid):
        model.take(cut_short + CHANNEL_2)
    assert (clever.levels, stupid.levels) == ({2: 159}, {})
    stupid.take(CHANNEL_2)
    assert stupid.levels == {2: 159}


def test_a_board_that_lost_power_knows_no_level_and_no_half_frame() -> None:
    model = BoardModel()
    model.take(CHANNEL_1 + CHANNEL_2[:-1])
    model.lose_power()
    model.take(CHANNEL_2[-1:])
    assert model.levels == {}
    assert model.frames == [CHANNEL_1]


def test_bytes_that_wait_come_in_line_time_however_late_one_looks() -> None:
    uart = Uart(960)
    uart.put(b"ab", 10.0)
    uart.put(b"c", 10.0001)
    assert uart.waiting == 2
    assert uart.take(10.0005) == []
    times, came = zip(*uart.take(10.5), strict=True)
    assert bytes(came) == b"abc"
    assert times == pytest.approx([10 + number / 960 for number in (1, 2, 3)])
    uart.put(b"d", 10.5)
    assert uart.due == pytest.approx(10.5 + 1 / 960)


def test_the_same_seed_does_the_same_damage_and_another_another() -> None:
    sent = CHANNEL_1 * 100
    damaged = [Damage(seed, 0.05).carry(sent) for seed in (1, 1, 2)]
    assert damaged[0] == damaged[1] != damaged[2]
    hits = Damage(1, 0.05)
    hits.carry(sent)
    assert {hit for _, hit in hits.hits} == set(Hit)
    assert 15 < len(hits.hits) < 90


def test_a_line_is_intact_from_where_that_is_said() -> None:
    damage = Damage(3, 1.0, kinds=(Hit.LOST,))
    assert damage.carry(CHANNEL_1) == []
    damage.rate = 0.0
    assert bytes(byte for _, byte in damage.carry(CHANNEL_1)) == CHANNEL_1


def test_bytes_behind_a_delayed_one_come_no_earlier() -> None:
    damage = Damage(4, 0.2, kinds=(Hit.DELAYED,), longest_delay=0.5)
    came = damage.carry(CHANNEL_1 * 20, 10.0, 1 / 960)
    assert bytes(byte for _, byte in came) == CHANNEL_1 * 20
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(came))
    assert came[-1][0] > 10 + 180 / 960


@pytest.mark.parametrize("protocol", sorted(FORMS))
def test_exactly_the_frame_is_ruined_that_is_to_be(protocol: str) -> None:
    form = FORMS[protocol]
    frame = form.lead + {8: CHANNEL_1[1:], 6: bytes.fromhex("ff554c05dc0a")}[form.length]
    for seed in range(100):
        damage, model = Damage(seed, 0.0, protocol=protocol), BoardModel(protocol)
        intact = []
        for number in range(4):
            if number == 2:
                damage.ruin()
            # In two pieces: a frame is one frame in whatever pieces it comes.
            came = bytes(
                byte for piece in (frame[:3], frame[3:]) for _, byte in damage.carry(piece)
            )
            intact.append(came == frame)
            model.take(came)
        assert intact == [True, True, False, True]
        assert len(damage.hits) == 1
        assert model.frames[0] == model.frames[-1] == frame
