"""What all tests share."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from hk_bridge.complaints import Complaints
from tests.fakes.board import BoardEmulator

# A busy machine is no failure; what must be fast is measured by scripts/bench.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _nothing_was_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test hear its complaints, whatever others have said this minute."""
    for name, module in list(sys.modules.items()):
        if name.startswith("hk_bridge.") and hasattr(module, "_complaints"):
            monkeypatch.setattr(module, "_complaints", Complaints(logging.getLogger(name)))


@pytest.fixture
def board() -> Iterator[BoardEmulator]:
    """A dimmer board on a pseudo-terminal, plugged in."""
    emulator = BoardEmulator()
    yield emulator
    emulator.close()
