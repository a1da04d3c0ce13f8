"""What tests of several links share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    """What the tests have in place of /dev."""
    directory = tmp_path / "dev"
    directory.mkdir()
    return directory
