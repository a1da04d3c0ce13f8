"""A running bridge reads its file anew: by itself, by SIGHUP, by `hk-bridge reload`."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hk_bridge.web import client
from tests.fakes.ports import free_port
from tests.fakes.terminal import Terminal
from tests.test_cli import PATIENCE, SAMPLE, call, environment, running

STATE = ("--state-dir", "state")


class Running:
    """A simulated bridge with the sample configuration, and what it has logged."""

    def __init__(self, directory: Path, process: subprocess.Popen[str]) -> None:
        self.directory = directory
        self.process = process
        self._log = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._log += line

    def logs(self, words: str, times: int = 1) -> None:
        """Return once `words` are in the log."""
        end = time.monotonic() + PATIENCE
        while self._log.count(words) < times:
            assert time.monotonic() < end, self._log
            time.sleep(0.01)

    def edit(self, **bridge: Any) -> None:
        """Change settings of the bridge in the file."""
        file = self.directory / "accessories.json"
        document = json.loads(file.read_text())
        document.setdefault("bridge", {}).update(bridge)
        file.write_text(json.dumps(document, indent=2))

    @property
    def name(self) -> str:
        answer = asyncio.run(client.ask(self.directory / "state", "GET", "/status"))
        return str(answer["bridge"]["name"])


@contextmanager
def a_bridge(directory: Path) -> Iterator[Running]:
    shutil.copy(SAMPLE, directory)
    with running(directory, "--simulate", *STATE) as process:
        yield Running(directory, process)


def test_it_is_told_what_a_file_changes_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    with a_bridge(tmp_path) as bridge:
        bridge.edit(name="Our House")
        result = call(tmp_path, "reload", *STATE)
        # The watch may have been quicker.
        assert result.stdout in ("Changed: bridge\n", "Nothing has changed.\n")
        assert (result.returncode, bridge.name) == (0, "Our House")
        result = call(tmp_path, "reload", *STATE, "--json")
        assert json.loads(result.stdout) == {
            "added": [],
            "changed": [],
            "gone": [],
            "warnings": [],
        }
        bridge.edit(port=0)
        result = call(tmp_path, "reload", *STATE)
        assert (result.returncode, result.stderr) == (1, "")
        checked = call(tmp_path, "check").stdout.splitlines()
        assert result.stdout.splitlines()[0] == checked[0]
        assert "bridge.port" in checked[0]
        assert result.stdout.endswith("1 problem: the bridge goes on as before\n")
        bridge.logs("the configuration from before stays in force")
        assert bridge.name == "Our House"


def test_sighup_has_it_read_its_file(tmp_path: Path) -> None:
    with a_bridge(tmp_path) as bridge:
        bridge.edit(name="")
        bridge.logs("bridge.name")
        # A file that has not changed is read for nobody but who asks.
        for times in (2, 3):
            bridge.process.send_signal(signal.SIGHUP)
            bridge.logs("the configuration from before stays in force", times)
        assert bridge.process.poll() is None


def test_a_window_that_is_closed_ends_what_runs_in_it(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path)
    command = [sys.executable, "-m", "hk_bridge", "run", "--simulate", *STATE]
    place = ["--bind", "127.0.0.1", "--port", str(free_port())]
    with Terminal([*command, *place], tmp_path, environment(tmp_path)) as terminal:
        terminal.shows("Setup code")
        # While the window is there, the signal means what it means to a daemon.
        (tmp_path / "accessories.json").write_text("{}")
        terminal.process.send_signal(signal.SIGHUP)
        terminal.shows("the configuration from before stays in force")
        assert terminal.hangs_up() == 0


def test_without_a_bridge_it_says_how_to_start_one(tmp_path: Path) -> None:
    result = call(tmp_path, "reload", *STATE)
    assert result.returncode == 1
    assert "Start it with: hk-bridge run" in result.stderr
