"""Whose turn it is in pair-setup: one at a time, and slower with every wrong code.

Source: docs/protocols/hap.md, "Pair setup". Time arrives as an argument, in seconds of
any clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from hk_bridge.homekit.srp import SetupServer, Verifier
from hk_bridge.homekit.tlv import RefusedError, TlvError

#: A code has 10⁸ values; after this many wrong ones pair-setup stays shut.
MAX_FAILED_ATTEMPTS: Final = 100

#: How long an exchange may be silent before another controller may take its place; a
#: person types the code between M2 and M3.
_PATIENCE_SECONDS: Final = 30.0

_DELAY_SECONDS: Final = 0.05
_MOST_DELAY_SECONDS: Final = 5.0


def delay_of(failed: int) -> float:
    """Seconds by which the answer to the `failed`-th wrong code in a row is held back."""
    return min(failed * _DELAY_SECONDS, _MOST_DELAY_SECONDS)


class SetupTurn:
    """Who may pair, for one setup code. `who` is a connection, or what stands for it."""

    def __init__(self, setup_code: str) -> None:
        self._setup_code = setup_code
        self._verifier: Verifier | None = None
        self._challenge: SetupServer | None = None
        self._who: Hashable | None = None
        self._undisturbed_until = 0.0
        self._shut_until = 0.0

    def begin(self, who: Hashable, now: float) -> None:
        """Give `who` its turn. Raises RefusedError while another one has it."""
        if now < self._shut_until or not self._is_free_for(who, now):
            raise RefusedError(TlvError.BUSY)
        if self._who != who:
            # Beginning again does not prolong it: nobody keeps the turn by asking.
            self._undisturbed_until = now + _PATIENCE_SECONDS
        self._who = who

    def _is_free_for(self, who: Hashable, now: float) -> bool:
        return self._who in {None, who} or now >= self._undisturbed_until

    def go_on(self, who: Hashable) -> None:
        """Raise RefusedError unless `who` has the turn."""
        if self._who != who:
            raise RefusedError(TlvError.BUSY)

    def proven(self, now: float) -> None:
        """Give whoever has the turn the time to finish: it knows the code."""
        self._undisturbed_until = now + _PATIENCE_SECONDS

    def is_with(self, who: Hashable) -> bool:
        """Whether `who` has the turn: also one that is slow, if nobody else asks."""
        return self._who == who

    def end(self, who: Hashable) -> None:
        """Take note that `who` has finished, has failed, or is gone."""
        if self._who == who:
            self._who = None

    def shut(self, seconds: float, now: float) -> None:
        """Let nobody begin for some `seconds`: a code was wrong."""
        self._shut_until = now + seconds

    def challenge(self) -> SetupServer:
        """The SRP server to begin an exchange with.

        The same one until a proof has been tried against it: asking alone gives nothing
        away, and costs next to nothing this way.
        """
        if self._verifier is None:
            self._verifier = Verifier.of(self._setup_code)
        if self._challenge is None or self._challenge.used:
            self._challenge = SetupServer(self._verifier)
        return self._challenge
