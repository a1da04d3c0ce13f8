"""What is attacked: this bridge and bare HAP-python, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from hk_bridge.homekit.identity import Identity
from hk_bridge.homekit.store import Store
from tests.e2e.door.client import (
    LOOPBACK,
    PATIENCE,
    Client,
    Controller,
    Setup,
    accepted,
    session,
)
from tests.e2e.door.places import Place, Places
from tests.fakes.board import BoardEmulator
from tests.fakes.ports import free_port

__all__ = [
    "CODE",
    "Attack",
    "BareHapPython",
    "HkBridge",
    "Place",
    "Places",
    "Server",
]

CODE = "031-45-154"


class Server(ABC):
    """A bridge with a lamp and a thermometer; `start` returns once it listens."""

    #: How long an attack waits for what the server should do.
    patience: ClassVar[float]

    #: How many wrong codes are left until pairing must be shut.
    guesses = 100

    def __init__(self, directory: Path, files: int | None = None) -> None:
        """`files` is how many descriptors the process may have."""
        self.directory = directory
        self.port = 0
        self._files = files
        self._home: Controller | None = None
        self._places: Places | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """The arguments behind `python`."""

    @abstractmethod
    def controllers(self) -> dict[bytes, bytes]:
        """The public keys of those who are paired, by pairing id, as they are stored."""

    @abstractmethod
    def break_lamp(self) -> None:
        """Have all writes to the lamp fail from now on."""

    @abstractmethod
    def mend_lamp(self) -> None:
        """Take `break_lamp` back."""

    @property
    def failed_attempts(self) -> int:
        """How many wrong codes in a row are on the disk."""
        return 0

    # -- the process ------------------------------------------------------------------

    def start(self) -> None:
        self.port = self.port or free_port()
        command = [sys.executable, *self._command()]
        if self._files is not None:
            limited = f'ulimit -n {self._files}; exec "$@"'
            command = ["sh", "-c", limited, "sh", *command]
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "HOME": str(self.directory)},
            )
        end = time.monotonic() + PATIENCE
        while not self._listens():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.01)

    def stop(self) -> None:
        """End it as a service is ended; a second time does nothing."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process = None
        assert code in {0, -signal.SIGTERM}, self.log()

    def restart(self) -> None:
        self.stop()
        self.start()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.port)) == 0

    @property
    def _log_file(self) -> Path:
        return self.directory / "log"

    def log(self) -> str:
        """All that it has said on stderr."""
        return self._log_file.read_text(errors="replace")

    def complaints(self) -> int:
        """How many lines of it are no mere information."""
        return sum(" INFO " not in line for line in self.log().splitlines())

    @property
    def resident(self) -> int:
        """Bytes of memory that it holds."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) * 1024

    # -- its clients ------------------------------------------------------------------

    async def connect(self, source: str = LOOPBACK) -> Client:
        client = await Client.connect(self.port, source)
        client.patience = self.patience
        return client

    def settle(self, controller: Controller) -> None:
        """Take note that it is paired with `controller` already."""
        self._home = controller

    async def home(self) -> Controller:
        """The controller that it is paired with, an admin; pairs at the first call."""
        if self._home is None:
            self._home = await self._pair()
        return self._home

    async def _pair(self) -> Controller:
        controller = Controller()
        async with await self.connect() as client:
            accepted(await (await self.proven(client)).m5(controller))
        return controller

    async def proven(self, client: Client) -> Setup:
        """An exchange on `client` that has come to M4 by the right code."""
        for _ in range(5):
            setup = Setup(client, CODE)
            accepted(await setup.m1())
            # A part of all right codes fails with HAP-python.
            if (m4 := await setup.m3()).error is None:
                accepted(m4)
                return setup
        raise AssertionError("the right code does not pair")

    async def session(
        self, controller: Controller | None = None, source: str = LOOPBACK
    ) -> Client:
        """An encrypted connection of `controller`, or of the one at home."""
        client = await session(self.port, controller or await self.home(), source)
        client.patience = self.patience
        return client

    async def places(self, controller: Controller | None = None) -> Places:
        """Where the characteristics are, as `controller`, or the one at home, reads it."""
        if self._places is None:
            async with await self.session(controller) as client:
                self._places = Places.of((await client.get("/accessories")).json)
        return self._places


class HkBridge(Server):
    """`hk-bridge run`; with a board of its own it is on the line, else simulated."""

    patience = PATIENCE

    def __init__(
        self,
        directory: Path,
        files: int | None = None,
        failed_attempts: int = 0,
        board: BoardEmulator | None = None,
    ) -> None:
        """`failed_attempts` is how many wrong codes have been tried in earlier years."""
        super().__init__(directory, files)
        self.guesses = 100 - failed_attempts
        self._board = board
        self.state = directory / "state"
        self._write_config()
        if failed_attempts:
            store = self._store()
            store.put(replace(store.bridge(), failed_attempts=failed_attempts))

    def _write_config(self) -> None:
        port = "/dev/ttyUSB0" if self._board is None else self._board.port
        accessories: list[Mapping[str, Any]] = [
            {
                "accessory": "Hygrothermograph",
                "name": "Room",
                "address": "4c:64:a8:d0:ae:65",
            },
            {
                "accessory": "Dimmer",
                "name": "Dimmer",
                "port": port,
                "channels": [{"channel": 1, "name": "Lamp"}],
            },
        ]
        config = {"bridge": {"pin": CODE}, "accessories": accessories}
        (self.directory / "accessories.json").write_text(json.dumps(config))

    def _command(self) -> list[str]:
        return [
            *("-m", "hk_bridge", "run", "--bind", LOOPBACK, "--port", str(self.port)),
            *("--state-dir", str(self.state)),
            *("--config", str(self.directory / "accessories.json")),
            *(["--simulate"] if self._board is None else []),
        ]

    def _store(self) -> Store:
        self.state.mkdir(mode=0o700, exist_ok=True)
        return Store.open(self.state)

    @property
    def identity(self) -> Identity:
        """What is on the disk."""
        return self._store().bridge()

    def controllers(self) -> dict[bytes, bytes]:
        return {p.controller_id: p.public_key for p in self.identity.pairings}

    @property
    def failed_attempts(self) -> int:
        return self.identity.failed_attempts

    def reset(self) -> None:
        """`hk-bridge pairing reset`, while it does not run."""
        subprocess.run(
            [
                *(sys.executable, "-m", "hk_bridge", "pairing", "reset", "--yes"),
                *("--state-dir", str(self.state)),
            ],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )

    def break_lamp(self) -> None:
        assert self._board is not None
        self._board.unplug()

    def mend_lamp(self) -> None:
        assert self._board is not None
        self._board.replug()


class BareHapPython(Server):
    """HAP-python without anything in front; see bare.py."""

    patience = 2.0

    def _command(self) -> list[str]:
        script = Path(__file__).with_name("bare.py")
        return [str(script), str(self.port), str(self.directory), CODE]

    def controllers(self) -> dict[bytes, bytes]:
        with contextlib.suppress(FileNotFoundError):
            stored = json.loads((self.directory / "accessory.state").read_text())
            return {
                bytes.fromhex(stored["client_uuid_to_bytes"][client]): bytes.fromhex(key)
                for client, key in stored["paired_clients"].items()
            }
        return {}

    def break_lamp(self) -> None:
        (self.directory / "broken").touch()

    def mend_lamp(self) -> None:
        (self.directory / "broken").unlink()


#: Does something to a server that it must not be able to do, and asserts that.
Attack = Callable[[Server], Awaitable[None]]
