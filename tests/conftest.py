"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.fakes.board import BoardEmulator

# A busy machine is no failure; what must be fast is measured by scripts/bench.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def board() -> Iterator[BoardEmulator]:
    """A dimmer board on a pseudo-terminal, plugged in."""
    emulator = BoardEmulator()
    yield emulator
    emulator.close()
