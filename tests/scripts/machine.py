"""A computer with BlueZ for scripts/bluetooth-experimental to work on."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).parents[2] / "scripts" / "bluetooth-experimental"
SYSTEMCTL: Final = Path(__file__).with_name("systemctl.py")

#: All that the script calls besides systemctl, id and sleep, which are played.
TOOLS: Final = (
    *("basename", "bash", "cat", "chmod", "dirname", "env", "grep", "head"),
    *("mkdir", "mktemp", "mv", "readlink", "rm", "rmdir", "sed", "tr"),
)

PLAIN: Final = "/usr/libexec/bluetooth/bluetoothd"

#: What is installed where bluetooth.service has only PLAIN.
DROP_IN: Final = f"""\
# Made by scripts/bluetooth-experimental of hk-bridge, and removed by it.
# Passive scanning needs a bluetoothd that was started with --experimental.
[Service]
ExecStart=
ExecStart={PLAIN} --experimental
"""

CUT_OFF: Final = "Bluetooth keyboards, mice and headphones drop for a moment"

#: A service that has not been started. From `fails` on: what goes wrong.
WORLD: Final = {
    "load": "loaded",
    "files": [],
    "exec_start": "",
    "argv": [PLAIN],
    "state": "inactive",
    "pid": 0,
    "last_pid": 100,
    "condition": True,
    "too_many_starts": False,
    "fails": {},  # verb: how many times
    "hangs": False,  # the next restart takes a minute
    "dislikes": "",  # bluetoothd does not start with this option
    "dies_with": "",  # ... starts, and dies a moment later
    "crashes_with": "",  # ... and is started again by systemd a moment later
    "loses": "",  # ... is never given to bluetoothd
}


class Machine:
    """A directory with a computer's /etc, /proc and /run, and a systemd that is played."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.conf = root / "etc/bluetooth/main.conf"
        self.folder = root / "etc/systemd/system/bluetooth.service.d"
        self.drop_in = self.folder / "zz-hk-bridge.conf"
        self.bin = root / "bin"
        for folder in ("bin", "run/systemd/system", "etc/systemd/system"):
            (root / folder).mkdir(parents=True)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.bin / tool).symlink_to(found)
        played = shlex.join([sys.executable, "-IS", str(SYSTEMCTL), str(root)])
        self.play("systemctl", f'exec {played} "$@"')
        self.play("sleep", f"exec {played} sleep")
        self.play("id", "echo 0")
        (root / "world.json").write_text(json.dumps(WORLD))
        self.write_unit(PLAIN)
        self.systemctl("daemon-reload")
        self.systemctl("restart")
        (root / "calls").unlink()

    def play(self, name: str, body: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def systemctl(self, verb: str) -> None:
        subprocess.run([self.bin / "systemctl", verb], check=True)

    def write_unit(self, exec_start: str) -> None:
        unit = self.root / "usr/lib/systemd/system/bluetooth.service"
        unit.parent.mkdir(parents=True, exist_ok=True)
        unit.write_text(
            "[Unit]\nDescription=Bluetooth service\n# ExecStart=/bin/false\n\n"
            f"[Service]\nType=dbus\nBusName=org.bluez\nExecStart={exec_start}\n"
            "NotifyAccess=main\n\n[Install]\nWantedBy=bluetooth.target\n"
        )

    def write_drop_in(self, name: str, text: str) -> Path:
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)
        return self.folder / name

    def write_conf(self, text: str) -> None:
        self.conf.parent.mkdir(parents=True, exist_ok=True)
        self.conf.write_text(text)

    def reread(self, *, restart: bool = True) -> None:
        self.systemctl("daemon-reload")
        if restart:
            self.systemctl("restart")
        (self.root / "calls").unlink()

    def set(self, **world: object) -> None:
        (self.root / "world.json").write_text(json.dumps({**self.world, **world}))

    @property
    def world(self) -> dict[str, object]:
        return dict(json.loads((self.root / "world.json").read_text()))

    @property
    def calls(self) -> list[str]:
        """What systemd was told to do: what changes something, in that order."""
        calls = self.root / "calls"
        told = calls.read_text().split() if calls.exists() else []
        return [verb for verb in told if verb in ("daemon-reload", "restart", "stop")]

    @property
    def command(self) -> list[str]:
        """The words of the bluetoothd that runs."""
        (cmdline,) = (self.root / "proc").glob("*/cmdline")
        return cmdline.read_text().split("\0")[:-1]

    @property
    def files(self) -> dict[str, str]:
        """Everything below /etc."""
        return {
            str(path.relative_to(self.root)): "" if path.is_dir() else path.read_text()
            for path in (self.root / "etc").rglob("*")
        }

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": str(self.bin), "HK_BRIDGE_ROOT": str(self.root)}

    def run(
        self, *arguments: str, script: Path = SCRIPT
    ) -> subprocess.CompletedProcess[str]:
        """Run it as from cron: no terminal at all."""
        return subprocess.run(
            [script, *arguments],
            env=self.environment,
            cwd=self.root,
            input="y\n",
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=True,
        )

    def answer(
        self, typed: bytes, *arguments: str, through: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run it at a terminal, where this has been typed."""
        master, slave = os.openpty()
        try:
            os.write(master, typed)
            return subprocess.run(
                [*through, str(SCRIPT), *arguments],
                env=self.environment,
                cwd=self.root,
                stdin=slave,
                capture_output=True,
                text=True,
                timeout=60,
                start_new_session=not through,
            )
        finally:
            os.close(master)
            os.close(slave)


def shown_file(output: str) -> str:
    """The file that the output shows, indented by four."""
    return "".join(
        f"{line.removeprefix('    ')}\n"
        for line in output.splitlines()
        if line.startswith("    ")
    )


def fails(result: subprocess.CompletedProcess[str], *expected: str) -> bool:
    """Whether each line of complaint has the script's name, and all that is expected."""
    complaints = [
        line
        for line in result.stderr.splitlines()
        if not line.startswith(("Failed to ", "Job for ", "Starting bluetoothd", "Go on? "))
    ]
    assert complaints
    assert all(line.startswith("bluetooth-experimental: ") for line in complaints)
    for text in expected:
        assert text in result.stderr
    return result.returncode == 1
