"""One controller pairs at a time, and nobody holds the others up for long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hk_bridge.homekit.setup_turn import SetupTurn, delay_of
from hk_bridge.homekit.srp import Verifier
from hk_bridge.homekit.tlv import RefusedError, TlvError

CODE = "031-45-154"
FIRST, SECOND, THIRD = "first", "second", "third"
NOW = 1000.0


@pytest.fixture
def turn() -> SetupTurn:
    return SetupTurn(CODE)


def may(step: Callable[[], None]) -> bool:
    try:
        step()
    except RefusedError as refused:
        error, malformed = refused.error, refused.malformed
    else:
        return True
    assert (error, malformed) == (TlvError.BUSY, False)
    return False


def may_begin(turn: SetupTurn, who: str, now: float) -> bool:
    return may(lambda: turn.begin(who, now))


def may_go_on(turn: SetupTurn, who: str) -> bool:
    return may(lambda: turn.go_on(who))


def test_the_first_that_asks_has_the_turn_and_the_second_waits(turn: SetupTurn) -> None:
    assert may_begin(turn, FIRST, NOW)
    assert not may_begin(turn, SECOND, NOW)
    assert may_go_on(turn, FIRST)
    assert not may_go_on(turn, SECOND)
    assert (turn.is_with(FIRST), turn.is_with(SECOND)) == (True, False)


def test_one_that_is_silent_for_30_seconds_may_be_replaced(turn: SetupTurn) -> None:
    turn.begin(FIRST, NOW)
    assert not may_begin(turn, SECOND, NOW + 29.9)
    assert may_begin(turn, SECOND, NOW + 30)
    assert not may_go_on(turn, FIRST)
    assert not may_begin(turn, FIRST, NOW + 31)
    assert (turn.is_with(FIRST), turn.is_with(SECOND)) == (False, True)


def test_one_that_is_slow_goes_on_while_nobody_else_asks(turn: SetupTurn) -> None:
    turn.begin(FIRST, NOW)
    assert may_go_on(turn, FIRST)
    assert may_begin(turn, FIRST, NOW + 500)
    assert turn.is_with(FIRST)


def test_beginning_again_does_not_prolong_the_turn(turn: SetupTurn) -> None:
    for second in range(30):
        assert may_begin(turn, FIRST, NOW + second)
    assert may_begin(turn, SECOND, NOW + 30)
    # Whoever took over has 30 seconds of its own.
    assert not may_begin(turn, THIRD, NOW + 59.9)
    assert may_begin(turn, THIRD, NOW + 60)


def test_whoever_knows_the_code_has_the_time_to_finish(turn: SetupTurn) -> None:
    turn.begin(FIRST, NOW)
    turn.proven(NOW + 29)
    assert not may_begin(turn, SECOND, NOW + 58.9)
    assert may_begin(turn, SECOND, NOW + 59)


def test_the_end_of_an_exchange_frees_the_turn_at_once(turn: SetupTurn) -> None:
    turn.begin(FIRST, NOW)
    turn.end(FIRST)
    assert not turn.is_with(FIRST)
    assert not may_go_on(turn, FIRST)
    assert may_begin(turn, SECOND, NOW)


def test_nobody_ends_the_turn_of_another(turn: SetupTurn) -> None:
    turn.end(SECOND)
    turn.begin(FIRST, NOW)
    turn.end(SECOND)
    assert may_go_on(turn, FIRST)
    assert not may_begin(turn, SECOND, NOW)


def test_one_whose_turn_was_taken_does_not_end_that_of_its_successor(
    turn: SetupTurn,
) -> None:
    turn.begin(FIRST, NOW)
    turn.begin(SECOND, NOW + 30)
    turn.end(FIRST)
    assert may_go_on(turn, SECOND)
    assert not may_begin(turn, THIRD, NOW + 31)


def test_after_a_wrong_code_nobody_begins_for_a_while(turn: SetupTurn) -> None:
    turn.begin(FIRST, NOW)
    turn.end(FIRST)
    turn.shut(5.0, NOW)
    assert not may_begin(turn, FIRST, NOW)
    assert not may_begin(turn, SECOND, NOW + 4.99)
    assert may_begin(turn, SECOND, NOW + 5)


def test_a_turn_that_has_ended_gives_its_successor_the_whole_time(
    turn: SetupTurn,
) -> None:
    turn.begin(FIRST, NOW)
    turn.end(FIRST)
    turn.begin(FIRST, NOW + 20)
    assert not may_begin(turn, SECOND, NOW + 49.9)
    assert may_begin(turn, SECOND, NOW + 50)


@pytest.mark.parametrize(
    ("failed", "seconds"),
    [(0, 0), (1, 0.05), (2, 0.1), (10, 0.5), (99, 4.95), (100, 5), (101, 5), (10**6, 5)],
)
def test_a_wrong_code_costs_more_the_more_there_were(failed: int, seconds: float) -> None:
    assert delay_of(failed) == pytest.approx(seconds)


def test_asking_gives_the_same_challenge_until_a_proof_was_tried(turn: SetupTurn) -> None:
    first = turn.challenge()
    assert turn.challenge() is first
    first.verify(b"\x02", bytes(64))
    second = turn.challenge()
    assert second is not first
    assert second.public != first.public
    assert second.salt == first.salt
    assert turn.challenge() is second


def test_a_proof_with_an_impossible_key_uses_a_challenge_up_too(turn: SetupTurn) -> None:
    challenge = turn.challenge()
    challenge.verify(bytes(384), bytes(64))
    assert challenge.used
    assert turn.challenge() is not challenge


def test_the_verifier_is_made_once_and_not_before_somebody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes = []

    def of(code: str) -> Verifier:
        codes.append(code)
        return Verifier(bytes(16), 2)

    monkeypatch.setattr("hk_bridge.homekit.setup_turn.Verifier.of", of)
    turn = SetupTurn(CODE)
    assert codes == []
    for _ in range(3):
        turn.challenge().verify(b"\x02", bytes(64))
    assert codes == [CODE]
