"""The guest's own daemons and switches: D-Bus, bluetoothd, power, rfkill."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from dbus_fast import BusType, Message, MessageType, Variant, unpack_variants
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError

BUS_SOCKET: Final = Path("/run/dbus/system_bus_socket")
_BLUETOOTHD: Final = "/usr/libexec/bluetooth/bluetoothd"
_RFKILL: Final = Path("/sys/class/rfkill")
_BLUEZ: Final = "org.bluez"
_ADAPTER: Final = "org.bluez.Adapter1"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"

#: The guest's processor is slow.
_PATIENCE: Final = 30.0
_POLL_SECONDS: Final = 0.1


async def until(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it `holds`; TimeoutError says `what` did not come."""
    end = time.monotonic() + _PATIENCE
    while not await holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {_PATIENCE:.0f} s")
        await asyncio.sleep(_POLL_SECONDS)


class Daemon:
    """A program that runs in the background, with all it says added to `log`."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def _start(self, *options: str) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, *options, stdout=log, stderr=log
            )

    async def terminate(self) -> None:
        """End it as systemd would, and wait until it has ended."""
        await self._end(asyncio.subprocess.Process.terminate)

    async def kill(self) -> None:
        """End it without its doing, and wait until it has ended."""
        await self._end(asyncio.subprocess.Process.kill)

    async def _end(self, signal: Callable[[asyncio.subprocess.Process], None]) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal(process)
        try:
            async with asyncio.timeout(_PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


class Bus(Daemon):
    """The system bus."""

    def __init__(self, log: Path) -> None:
        super().__init__(["dbus-daemon", "--system", "--nofork", "--nopidfile"], log)

    async def start(self) -> None:
        """Start it, and wait until others can connect."""
        BUS_SOCKET.parent.mkdir(exist_ok=True)
        await self._start()
        await until("the D-Bus socket", self._is_open)

    async def terminate(self) -> None:
        """End it, and have nothing left to connect to."""
        await super().terminate()
        BUS_SOCKET.unlink(missing_ok=True)

    async def _is_open(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(BUS_SOCKET)
        except OSError:
            return False
        writer.close()
        return True


class BlueZ(Daemon):
    """bluetoothd, and its adapters as it shows them."""

    def __init__(self, log: Path) -> None:
        super().__init__([_BLUETOOTHD, "--nodetach"], log)

    async def start(self, *, is_experimental: bool = True) -> None:
        """Start it, with what makes passive scans possible or as Debian does.

        It takes its time until it has an adapter.
        """
        await self._start(*(["--experimental"] if is_experimental else []))

    async def is_powered(self, adapter: str) -> bool | None:
        """Whether `adapter` (such as hci0) is on; None where BlueZ has none such."""
        try:
            reply = await self._ask(adapter, "Get", "ss", [_ADAPTER, "Powered"])
        except (DBusFastError, OSError, EOFError):
            return None
        return None if reply is None else bool(reply)

    async def power(self, adapter: str, *, on: bool) -> None:
        """Switch `adapter` on or off as bluetoothctl does; it has to be there."""
        body = [_ADAPTER, "Powered", Variant("b", on)]
        await self._ask(adapter, "Set", "ssv", body)

    async def wait_for(self, adapter: str) -> None:
        """Wait until `adapter` is there and on, which it becomes by itself."""

        async def is_on() -> bool:
            return bool(await self.is_powered(adapter))

        await until(f"{adapter} with its power on", is_on)

    async def _ask(self, adapter: str, member: str, signature: str, body: list[Any]) -> Any:  # noqa: ANN401 # whatever the property is
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        try:
            reply = await bus.call(
                Message(
                    destination=_BLUEZ,
                    path=f"/org/bluez/{adapter}",
                    interface=_PROPERTIES,
                    member=member,
                    signature=signature,
                    body=body,
                )
            )
        finally:
            bus.disconnect()
        if reply.message_type is MessageType.ERROR:
            return None
        return unpack_variants(reply.body[0]) if reply.body else None


def rfkill(*, block: bool) -> None:
    """Block or unblock all radios, as `rfkill` does."""
    for switch in _RFKILL.iterdir():
        (switch / "soft").write_text("1" if block else "0")
