"""A file that is written to, and a system that fails at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hk_bridge import files
from tests.fakes.faults import FaultyOs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The sample, alone in its directory."""
    path = tmp_path / "house" / "accessories.json"
    path.parent.mkdir()
    path.write_bytes((ROOT / "accessories.json").read_bytes())
    return path


@pytest.fixture
def faulty_os(monkeypatch: pytest.MonkeyPatch) -> FaultyOs:
    """The system calls of saving, each of which can be made to fail."""
    replacement = FaultyOs()
    monkeypatch.setattr(files, "os", replacement)
    return replacement
