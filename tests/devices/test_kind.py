"""Which product a sensor is."""

import pytest

from hk_bridge.devices.kind import Kind, Recognition
from hk_bridge.model import Reading

ROUND, SQUARE = Kind("mibeacon", 0x01AA), Kind("mibeacon", 0x055B)
PVVX, BTHOME = Kind("pvvx", None), Kind("bthome", None)


def frame(kind: Kind) -> Reading:
    return Reading(kind.format, kind.product_id, 1)


def after(*kinds: Kind, known: Kind | None = None) -> Kind | None:
    recognition = Recognition(known)
    for kind in kinds:
        recognition.heard(frame(kind))
    return recognition.kind


def test_the_first_frame_tells() -> None:
    assert after() is None
    assert after(ROUND) == ROUND
    assert after(PVVX) == PVVX


def test_a_change_is_told_once() -> None:
    recognition = Recognition()
    assert recognition.heard(frame(ROUND))
    assert not recognition.heard(frame(ROUND))


def test_a_product_id_is_not_lost_so_soon() -> None:
    # As when a sensor has another firmware since.
    assert after(*[BTHOME] * 99, known=SQUARE) == SQUARE
    assert after(*[BTHOME] * 100, known=SQUARE) == BTHOME


def test_what_has_hardly_been_heard_itself_is_corrected_soon() -> None:
    # The first frame of all may have been somebody else's.
    assert after(ROUND, SQUARE) == ROUND
    assert after(ROUND, SQUARE, SQUARE) == SQUARE
    assert after(*[ROUND] * 4, *[SQUARE] * 4) == ROUND
    assert after(*[ROUND] * 4, *[SQUARE] * 5) == SQUARE


def test_each_change_makes_the_next_one_harder() -> None:
    recognition, kinds, changes = Recognition(ROUND), [SQUARE, ROUND], 0
    for number in range(2000):
        changes += recognition.heard(frame(kinds[number // 20 % 2]))
    assert changes == 2


def test_what_was_known_before_a_restart_stays() -> None:
    assert after(known=ROUND) == ROUND
    assert after(SQUARE, known=ROUND) == ROUND


@pytest.mark.parametrize(
    ("known", "other"), [(ROUND, SQUARE), (PVVX, BTHOME), (PVVX, SQUARE)]
)
def test_another_kind_counts_once_it_is_heard_long_enough(known: Kind, other: Kind) -> None:
    assert after(*[other] * 9, known=known) == known
    assert after(*[other] * 10, known=known) == other


def test_a_stranger_between_the_frames_of_a_sensor_changes_nothing() -> None:
    assert after(*[SQUARE, SQUARE, SQUARE, ROUND] * 100, known=ROUND) == ROUND


def test_several_strangers_do_not_add_up() -> None:
    assert after(*[SQUARE, Kind("mibeacon", 0x0347)] * 100, known=ROUND) == ROUND


def test_who_speaks_in_several_formats_by_turns_stays_what_it_was_first() -> None:
    assert after(*[PVVX, BTHOME] * 100) == PVVX
    assert after(*[SQUARE, PVVX, BTHOME] * 100) == SQUARE
    assert after(*[PVVX, SQUARE] * 100) == PVVX
    # Where the one with the id is often missed.
    assert after(*[*[PVVX] * 50, SQUARE] * 10, known=SQUARE) == SQUARE
