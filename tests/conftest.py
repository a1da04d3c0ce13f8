"""What all tests share."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import settings

from hk_bridge import terminal
from hk_bridge.complaints import Complaints
from tests.fakes.bluez import FakeBluez, PrivateBus
from tests.fakes.board import BoardEmulator

# A busy machine is no failure; what must be fast is measured by scripts/bench. Each run
# looks elsewhere, so that half as many examples as usual find the same, a run later.
settings.register_profile("patient", deadline=None, max_examples=50)
settings.load_profile("patient")

# What is left of a lost bus complains when it is cleared away, in whichever test that is.
logging.getLogger("asyncio").addFilter(terminal.is_news)


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


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateBus]:
    """The system bus of everything in this process that asks for one; it runs."""
    private = PrivateBus()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", private.address)
    private.start()
    yield private
    private.close()


@pytest.fixture
async def bluez(bus: PrivateBus) -> AsyncIterator[FakeBluez]:
    """A Bluetooth service that has not been started, and has no adapter."""
    fake = FakeBluez(bus)
    yield fake
    await fake.kill()
