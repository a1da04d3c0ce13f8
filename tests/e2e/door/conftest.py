"""Running bridges to be attacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.door.servers import HkBridge

#: Makes a bridge of its own for a test, and starts it.
Build = Callable[..., HkBridge]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    bridges: list[HkBridge] = []

    def build(**options: object) -> HkBridge:
        bridge = HkBridge(tmp_path, **options)  # type: ignore[arg-type] # passed on
        bridges.append(bridge)
        bridge.start()
        return bridge

    yield build
    for bridge in bridges:
        bridge.stop()
        assert "Traceback" not in bridge.log(), bridge.log()


@pytest.fixture
def fresh(build: Build) -> HkBridge:
    """A bridge of its own for a test, not paired."""
    return build()


def _shared(tmp_path_factory: pytest.TempPathFactory, name: str) -> Iterator[HkBridge]:
    bridge = HkBridge(tmp_path_factory.mktemp(name))
    bridge.start()
    yield bridge
    bridge.stop()


@pytest.fixture(scope="module")
def _unpaired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HkBridge]:
    yield from _shared(tmp_path_factory, "unpaired")


@pytest.fixture(scope="module")
def _paired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HkBridge]:
    yield from _shared(tmp_path_factory, "paired")


@pytest.fixture
def unpaired(_unpaired: HkBridge) -> Iterator[HkBridge]:
    """A bridge that tests share, who leave it unpaired."""
    yield _unpaired
    assert _unpaired.controllers() == {}
    assert "Traceback" not in _unpaired.log(), _unpaired.log()


@pytest.fixture
def paired(_paired: HkBridge) -> Iterator[HkBridge]:
    """A bridge that tests share, who leave its pairings alone."""
    yield _paired
    assert len(_paired.controllers()) == 1
    assert "Traceback" not in _paired.log(), _paired.log()
