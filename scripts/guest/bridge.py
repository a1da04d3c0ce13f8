"""The bridge under test: `hk-bridge run`, what it logs, and what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_LOOPBACK: Final = "127.0.0.1"
_PORT: Final = 51826
_SOCKET: Final = "bridge.sock"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_ANSWER_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.2
_MOST_BYTES: Final = 1 << 20

#: A line of the log that a person is to read: what follows the level.
_WARNING: Final = re.compile(r"^\S+ (?:WARNING|ERROR|CRITICAL) +(.*)$", re.MULTILINE)


class Visit:
    """A connection to the HomeKit port, open for as long as the bridge lets it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def is_answered(self) -> bool:
        """Whether the bridge still answers on it, if only that this visitor is nobody."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                self._writer.write(b"GET /accessories HTTP/1.1\r\nHost: bridge\r\n\r\n")
                await self._writer.drain()
                head = await self._reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
                await self._reader.readexactly(int(length[1]) if length else 0)
        except (OSError, EOFError):
            return False
        return head.startswith(b"HTTP/1.1 ")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Bridge:
    """One run of the bridge, with one sensor and a dimmer on a line that takes all.

    `log` is where it writes, `config` its configuration with `mode` and `adapter` in it.
    """

    SENSOR_NAME: Final = "Room"

    def __init__(
        self, directory: Path, log: Path, sensor: str, mode: str, adapter: str | None
    ) -> None:
        self.mode = mode
        self.adapter = adapter
        self.log = log
        self.sensor = sensor
        self.config = directory / "accessories.json"
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self._board, self._line = os.openpty()
        tty.setraw(self._board)

    @property
    def is_running(self) -> bool:
        """Whether its process is the one that was started."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it; returns once it answers. Raises RuntimeError or TimeoutError."""
        self._directory.mkdir(parents=True)
        self.config.write_text(json.dumps(self._config()))
        asyncio.get_running_loop().add_reader(self._board, self._drain)
        # Where its output goes to a file, others can have the file's end at any time.
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hk_bridge", "run", "--config", self.config,
                "--state-dir", self._directory, "--bind", _LOOPBACK, "--port", str(_PORT),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        async with asyncio.timeout(_START_SECONDS):
            while True:
                with contextlib.suppress(OSError):
                    (await self.visit()).close()
                    await self.status()
                    return
                if not self.is_running:
                    raise RuntimeError(f"hk-bridge did not start: {self.log.read_text()}")
                await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """Stop it as systemd would."""
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._process is not None:
            asyncio.get_running_loop().remove_reader(self._board)
        os.close(self._board)
        os.close(self._line)

    async def visit(self) -> Visit:
        """A new connection to HomeKit's port. Raises OSError."""
        return Visit(*await asyncio.open_connection(_LOOPBACK, _PORT))

    # -- what it says -----------------------------------------------------------------

    def said(self) -> int:
        """How many bytes it has logged: what comes later is after that."""
        return self.log.stat().st_size

    def lines(self, after: int) -> str:
        """All that it has logged after the first `after` bytes."""
        return self.log.read_bytes()[after:].decode(errors="replace")

    def warnings(self, after: int) -> list[str]:
        """The warnings and errors among these."""
        return _WARNING.findall(self.lines(after))

    async def status(self) -> dict[str, Any]:
        """What `hk-bridge status --json` prints. Raises OSError, EOFError, ValueError."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(
                self._directory / _SOCKET, limit=_MOST_BYTES
            )
            try:
                writer.write(b"GET /status HTTP/1.0\r\nHost: bridge\r\n\r\n")
                _, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            finally:
                writer.close()
        status: dict[str, Any] = json.loads(body)
        return status

    async def shows(
        self, is_fresh: Callable[[float], bool], seconds: float
    ) -> float | None:
        """Wait until the temperature of the sensor in the status `is_fresh`.

        Returns when that was seen (monotonic), None where it is not within `seconds`.
        """
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            temperature = self.temperature(await self.status())
            if temperature is not None and is_fresh(temperature):
                return now
            await asyncio.sleep(_POLL_SECONDS)
        return None

    @staticmethod
    def temperature(status: dict[str, Any]) -> float | None:
        """That of the only sensor, in °C, as a `status` has it."""
        (sensor,) = status["sensors"]
        value = sensor["values"].get("temperature")
        return None if value is None else value["value"]

    def _config(self) -> dict[str, Any]:
        bluetooth = {"mode": self.mode}
        if self.adapter is not None:
            bluetooth["adapter"] = self.adapter
        return {
            "bluetooth": bluetooth,
            "accessories": [
                {
                    "accessory": "Hygrothermograph",
                    "name": self.SENSOR_NAME,
                    "address": self.sensor,
                },
                {
                    "accessory": "Dimmer",
                    "name": "Dimmer",
                    "port": os.ttyname(self._line),
                    "channels": [{"channel": 1, "name": "Lamp"}],
                },
            ],
        }

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            os.read(self._board, _MOST_BYTES)
