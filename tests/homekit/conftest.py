"""Houses for the tests of HomeKit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hk_bridge.errors import StoreError
from hk_bridge.homekit.store import Store
from tests.homekit.house import Clock, House


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """A house that listens nowhere."""
    return House(Store.open(tmp_path / "state"))


@pytest.fixture
async def door(house: House, caplog: pytest.LogCaptureFixture) -> AsyncIterator[House]:
    """A house that listens; nothing that comes to it may cause a traceback."""
    await house.driver.listen()
    yield house
    await house.driver.close()
    for record in caplog.get_records("call"):
        assert record.exc_info is None, record
        assert record.name != "asyncio", record


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk_is_full(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(house.store, "_save", fail)
