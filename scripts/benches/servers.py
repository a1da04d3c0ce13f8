"""The programs that are measured, each in a process of its own, and what they use."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

LOOPBACK = "127.0.0.1"
CODE = "031-45-154"
PATIENCE = 30.0

#: What systemd gives a service unless it is told otherwise.
_FILES = 1024

#: So that whatever takes memory without end fails, and not the whole machine.
_MEMORY = 2**30

SENSORS: list[dict[str, Any]] = [
    {
        "accessory": "Hygrothermograph",
        "name": f"Room {number}",
        "address": f"4C:65:A8:D0:AE:{number:02}",
    }
    for number in range(10)
]


def dimmer(port: str) -> dict[str, Any]:
    """Two lamps."""
    lamps = [{"channel": channel, "name": f"Lamp {channel}"} for channel in (1, 2)]
    return {"accessory": "Dimmer", "name": "Dimmer", "port": port, "channels": lamps}


class Server:
    """One of them; runs within a `with`."""

    def __init__(self, name: str, folder: Path, port: int, arguments: list[str]) -> None:
        self.name = name
        self.port = port
        #: From the start until it accepted, the last time.
        self.start_seconds = 0.0
        self._arguments = arguments
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and return once it accepts connections."""
        begin = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = process = subprocess.Popen(
                [sys.executable, *self._arguments], stdout=subprocess.DEVNULL, stderr=log
            )
        try:
            for kind, most in (
                (resource.RLIMIT_NOFILE, _FILES),
                (resource.RLIMIT_AS, _MEMORY),
            ):
                resource.prlimit(process.pid, kind, (most, most))
            while not self._accepts():
                if process.poll() is not None or time.perf_counter() - begin > PATIENCE:
                    raise SystemExit(f"{self.name} did not start:\n{self._log.read_text()}")
                time.sleep(0.002)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.perf_counter() - begin

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.port)) == 0

    def stop(self) -> None:
        """End it, by force if it does not end by itself."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except BaseException:
            process.kill()
            process.wait()
            raise

    def restart(self) -> None:
        """Stop it, in whatever state it is, and start it again with what it has stored."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
        self.start()

    @property
    def resident(self) -> float:
        """MiB of memory that it holds; 0 where it has ended."""
        if self._process is None or self._process.poll() is not None:
            return 0.0
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(x for x in status.splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    @property
    def processor_seconds(self) -> float:
        """How long it has kept a processor busy since its start."""
        assert self._process is not None, "it runs"
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2]
        user, system = (int(field) for field in fields.split()[11:13])
        return (user + system) / os.sysconf("SC_CLK_TCK")

    @property
    def log_lines(self) -> int:
        """Lines logged so far, without what the simulated board says of each command."""
        with self._log.open(errors="replace") as log:
            return sum("simulated dimmer" not in line for line in log)


def simulated(folder: Path) -> Server:
    """hk-bridge with a radio and a board in the process."""
    return _hk_bridge(folder, [*SENSORS, dimmer("/dev/ttyUSB0")], "--simulate")


def many_simulated(folder: Path, sensors: int, dimmers: int) -> Server:
    """The same with so many sensors, each of which changes every second."""
    accessories = [
        {
            "accessory": "Hygrothermograph",
            "name": f"Room {number}",
            "address": f"4C:65:A8:D0:{number >> 8:02X}:{number & 255:02X}",
        }
        for number in range(sensors)
    ]
    for number in range(dimmers):
        lamps = [
            {"channel": channel, "name": f"Lamp {number} {channel}"} for channel in (1, 2)
        ]
        accessories.append(
            dimmer(f"/dev/ttyUSB{number}")
            | {"name": f"Dimmer {number}", "id": f"{number}", "channels": lamps}
        )
    return _hk_bridge(folder, accessories, "--simulate")


def on_line(folder: Path, line: str) -> Server:
    """hk-bridge with the real radio, and a dimmer on `line`."""
    return _hk_bridge(folder, [*SENSORS, dimmer(line)])


def dimmer_alone(folder: Path, line: str) -> Server:
    """hk-bridge with a dimmer on `line`, and without a radio."""
    return _hk_bridge(folder, [dimmer(line)])


def _hk_bridge(folder: Path, accessories: list[dict[str, Any]], *options: str) -> Server:
    folder.mkdir()
    config = folder / "accessories.json"
    config.write_text(json.dumps({"bridge": {"pin": CODE}, "accessories": accessories}))
    port = free_port()
    arguments = ["-m", "hk_bridge", "run", "--bind", LOOPBACK, "--port", str(port)]
    arguments += ["--config", str(config), "--state-dir", str(folder / "state")]
    return Server("hk-bridge", folder, port, [*arguments, *options])


def bare(folder: Path, *line: str, sensors: int = 10, lamps: int = 2) -> Server:
    """HAP-python alone, with as many accessories; its lamps on the `line` if given."""
    folder.mkdir()
    port = free_port()
    script = Path(__file__).with_name("bare.py")
    arguments = [str(script), str(port), str(folder / "accessory.state"), CODE]
    arguments += [str(sensors), str(lamps), *line]
    return Server("bare HAP-python", folder, port, arguments)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
