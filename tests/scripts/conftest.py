"""What the tests of the scripts share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.machine import DROP_IN, PLAIN, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """BlueZ as Debian installs it, running, without --experimental."""
    return Machine(tmp_path / "machine")


@pytest.fixture
def installed(machine: Machine) -> Machine:
    """The same with the drop-in, and a bluetoothd that was restarted since."""
    machine.write_drop_in(machine.drop_in.name, DROP_IN)
    machine.reread()
    return machine


@pytest.fixture
def unchanged(machine: Machine) -> Iterator[None]:
    """Nothing may be other afterwards than it was before."""
    before = machine.files
    yield
    assert machine.files == before
    assert machine.calls == []
    assert machine.command == [PLAIN]
