"""A D-Bus daemon of a test's own, with a Bluetooth service on it that can fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fakes.bluez import FakeBluez, PrivateBus


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
