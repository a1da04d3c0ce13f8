"""A Bluetooth service that fails as the real one does, on a private D-Bus daemon.

What it models was measured with BlueZ 5.66 and 5.82: who has scanned before a restart or
an unplugging is deaf for ever and is not told; an active scan does not outlive a power
cycle; a monitor that is registered while the adapter is off stays deaf; an eighth pattern
kills the service; an active scan of 5.82 without a `Pattern` hears nobody without flags.
The real thing is in scripts/test-bluetooth.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"""

_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_ADAPTER = "org.bluez.Adapter1"
_MONITORS = "org.bluez.AdvertisementMonitorManager1"
_MONITOR = "org.bluez.AdvertisementMonitor1"
_DEVICE = "org.bluez.Device1"

_FLAGS = 0x01
_SERVICE_DATA = 0x16
_MOST_PATTERNS = 7

_BUFFER = 8 * 1024 * 1024

#: How a version of BlueZ matches patterns with a service data structure: from its UUID
#: on, or with what follows the UUID.
Reading = int
READS_UUID: Reading = 0
READS_DATA: Reading = 2

Pattern = tuple[int, int, bytes]


class PrivateBus:
    """A D-Bus daemon of the test's own, that can be ended and started again."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="hkb"))
        self._socket = self._directory / "bus"
        self.address = f"unix:path={self._socket}"
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        configuration = self._directory / "bus.conf"
        configuration.write_text(_CONFIGURATION.format(socket=self._socket))
        self._daemon = subprocess.Popen(
            [
                "dbus-daemon",
                "--nofork",
                "--nopidfile",
                "--print-address",
                f"--config-file={configuration}",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._daemon.stdout is not None
        assert self._daemon.stdout.readline()  # it listens now

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.communicate()
            self._daemon = None
        self._socket.unlink(missing_ok=True)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._directory)


@dataclass
class FakeAdapter:
    """An adapter, and who scans on it."""

    address: str
    powered: bool = True
    roles: tuple[str, ...] = ("central", "peripheral")
    has_monitors: bool = True
    #: Monitors by (client, path); None until their patterns are known.
    monitors: dict[tuple[str, str], list[Pattern] | None] = field(default_factory=dict)
    deaf: set[tuple[str, str]] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)
    #: What each client has set as its discovery filter.
    filters: dict[str, Mapping[str, Variant]] = field(default_factory=dict)
    devices: dict[str, dict[str, Variant]] = field(default_factory=dict)

    def properties(self) -> dict[str, Variant]:
        return {
            "Address": Variant("s", self.address),
            "Powered": Variant("b", self.powered),
            "Discovering": Variant("b", bool(self.sessions)),
            "Roles": Variant("as", list(self.roles)),
        }

    def interfaces(self) -> dict[str, dict[str, Variant]]:
        more: dict[str, dict[str, Variant]] = {_MONITORS: {}} if self.has_monitors else {}
        return {_ADAPTER: self.properties(), **more}

    def hears(
        self,
        service_data: Mapping[int, bytes],
        reading: Reading,
        flags: int | None = None,
    ) -> bool:
        """Whether anybody has asked for such an advert."""
        if not self.powered:
            return False
        structures = [
            (_SERVICE_DATA, (uuid.to_bytes(2, "little") + data)[reading:])
            for uuid, data in service_data.items()
        ]
        if flags is not None:
            structures.append((_FLAGS, bytes([flags])))
        is_told_all = reading == READS_UUID or flags is not None
        if any(is_told_all or "Pattern" in self.filters[each] for each in self.sessions):
            return True
        return any(
            _matches(pattern, *structure)
            for monitor, patterns in self.monitors.items()
            if monitor not in self.deaf
            for pattern in patterns or ()
            for structure in structures
        )


def _matches(pattern: Pattern, kind: int, data: bytes) -> bool:
    offset, wanted, content = pattern
    return kind == wanted and data[offset:].startswith(content)


class FakeBluez:
    """The service org.bluez; `adapters` stay when it is stopped and started again."""

    def __init__(self, bus: PrivateBus, reading: Reading = READS_UUID) -> None:
        self.adapters: dict[str, FakeAdapter] = {}
        self._queue: list[Message] | None = None
        self.calls: list[str] = []
        self.refusals: dict[str, str] = {}
        #: What happens in the moment behind an answer to GetManagedObjects.
        self.right_behind: Callable[[], None] | None = None
        self._reading = reading
        self._address = bus.address
        self._bus: MessageBus | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._something = asyncio.Event()

    # -- what befalls it --------------------------------------------------------------

    async def start(self) -> None:
        """Own the name, as a bluetoothd that has just been started."""
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._take)
        # dbus-fast takes a full socket for a lost one.
        assert self._bus._sock is not None
        self._bus._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        rules = (
            f"type='signal',interface='{_OBJECTS}',member='InterfacesAdded'",
            "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'",
        )
        for rule in rules:
            await self._bus.call(
                Message(
                    destination="org.freedesktop.DBus",
                    path="/org/freedesktop/DBus",
                    interface="org.freedesktop.DBus",
                    member="AddMatch",
                    signature="s",
                    body=[rule],
                )
            )
        await self._bus.request_name("org.bluez")
        for name, adapter in self.adapters.items():
            self._added(name, adapter)

    async def kill(self) -> None:
        """Be gone, without a word; what clients had asked for is forgotten."""
        bus, self._bus = self._bus, None
        for adapter in self.adapters.values():
            adapter.monitors.clear()
            adapter.sessions.clear()
            adapter.devices.clear()
            adapter.deaf.clear()
        if bus is not None:
            bus.disconnect()
            with contextlib.suppress(EOFError, OSError):  # the daemon may be gone too
                await bus.wait_for_disconnect()

    async def terminate(self) -> None:
        """Be gone after having taken everything down, as with SIGTERM."""
        for name, adapter in self.adapters.items():
            self._removed(name, adapter)
        await self.kill()

    def hang(self) -> None:
        """Answer nobody; what is asked waits."""
        self._queue = []

    def go_on(self) -> None:
        """Answer all who have waited, and from now on at once."""
        queue, self._queue = self._queue or [], None
        for message in queue:
            reply = self._answer(message)
            if self._bus is not None and isinstance(reply, Message):
                self._bus.send(reply)

    def plug(self, name: str = "hci0", **how: Any) -> FakeAdapter:
        """Plug in an adapter, which is new to everybody."""
        number = int(name.removeprefix("hci"))
        adapter = FakeAdapter(f"00:1A:7D:DA:71:{number:02X}", **how)
        self.adapters[name] = adapter
        self._added(name, adapter)
        return adapter

    def unplug(self, name: str = "hci0") -> None:
        """Pull out an adapter; who scanned on it is not told."""
        self._removed(name, self.adapters.pop(name))

    def power(self, on: bool, name: str = "hci0") -> None:
        """Switch an adapter, as bluetoothctl or rfkill do."""
        adapter = self.adapters[name]
        adapter.powered = on
        if on:
            adapter.deaf.clear()
        else:
            adapter.sessions.clear()
        self._changed(_path(name), _ADAPTER, {"Powered": Variant("b", on)})

    def advertise(
        self,
        address: str,
        service_data: Mapping[int, bytes],
        rssi: int | None = -60,
        name: str = "hci0",
        flags: int | None = None,
    ) -> bool:
        """Let a device be heard; whether anybody was told."""
        adapter = self.adapters.get(name)
        if self._bus is None or adapter is None:
            return False
        if not adapter.hears(service_data, self._reading, flags):
            return False
        path = f"{_path(name)}/dev_{address.replace(':', '_')}"
        data = {
            f"0000{uuid:04x}-0000-1000-8000-00805f9b34fb": Variant("ay", value)
            for uuid, value in service_data.items()
        }
        if path in adapter.devices:
            # What it has ever said stays with it, under every UUID.
            data = {**adapter.devices[path]["ServiceData"].value, **data}
        changes = {"ServiceData": Variant("a{sv}", data)}
        if rssi is not None:
            changes["RSSI"] = Variant("n", rssi)
        if path in adapter.devices:
            adapter.devices[path].update(changes)
            self._changed(path, _DEVICE, changes)
            return True
        adapter.devices[path] = device = {
            "Address": Variant("s", address),
            "Alias": Variant("s", address.replace(":", "-")),
            "Adapter": Variant("o", _path(name)),
            **changes,
        }
        self._signal(
            "/", _OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [path, {_DEVICE: device}]
        )
        return True

    async def until(self, condition: Callable[[], Any]) -> None:
        """Return once a call or a monitor has made `condition` true."""
        while not condition():
            self._something.clear()
            await self._something.wait()

    @property
    def is_scanned(self) -> str:
        """How somebody scans on any adapter and would hear: "passive", "active" or ""."""
        for adapter in self.adapters.values():
            if not adapter.powered:
                continue
            if adapter.sessions:
                return "active"
            ready = [m for m, p in adapter.monitors.items() if p and m not in adapter.deaf]
            if ready and len(ready) == len(adapter.monitors):
                return "passive"
        return ""

    # -- what it is asked -------------------------------------------------------------

    def _take(self, message: Message) -> Message | bool | None:
        if message.message_type is MessageType.SIGNAL:
            self._take_signal(message)
            return None
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        self.calls.append(message.member or "")
        if self._queue is not None:
            self._queue.append(message)
            self._something.set()
            return True
        try:
            return self._answer(message)
        finally:
            self._something.set()

    def _take_signal(self, message: Message) -> None:
        match message.member, message.body:
            case "InterfacesAdded", [str(path), dict(interfaces)] if _MONITOR in interfaces:
                patterns = [
                    (offset, kind, bytes(content))
                    for offset, kind, content in interfaces[_MONITOR]["Patterns"].value
                ]
                for adapter in self.adapters.values():
                    if (message.sender, path) in adapter.monitors:
                        adapter.monitors[message.sender, path] = patterns
                if len(patterns) > _MOST_PATTERNS:
                    self._run(self.kill())
                self._something.set()
            case "NameOwnerChanged", [str(name), _, ""]:
                for adapter in self.adapters.values():
                    adapter.sessions.discard(name)
                    for monitor in [m for m in adapter.monitors if m[0] == name]:
                        del adapter.monitors[monitor]

    def _answer(self, message: Message) -> Message | bool:
        if (error := self.refusals.get(message.member or "")) is not None:
            return Message.new_error(message, error, "refused by the test")
        if message.member == "GetManagedObjects":
            self._something.set()
            objects = {_path(n): a.interfaces() for n, a in self.adapters.items()}
            for each in self.adapters.values():
                objects |= {path: {_DEVICE: d} for path, d in each.devices.items()}
            answer = Message.new_method_return(message, "a{oa{sa{sv}}}", [objects])
            if self.right_behind is not None and self._bus is not None:
                self._bus.send(answer)
                self.right_behind()
                return True
            return answer
        adapter = self.adapters.get((message.path or "").rpartition("/")[2])
        if adapter is None:
            return _error(message, "org.freedesktop.DBus.Error.UnknownObject")
        if message.interface == _MONITORS and not adapter.has_monitors:
            return _error(message, "org.freedesktop.DBus.Error.UnknownMethod")
        answers = {
            "SetDiscoveryFilter": self._set_filter,
            "StartDiscovery": self._start_discovery,
            "StopDiscovery": self._stop_discovery,
            "RegisterMonitor": self._register,
            "UnregisterMonitor": self._unregister,
        }
        problem = answers[message.member or ""](adapter, message)
        if problem is None:
            return Message.new_method_return(message)
        return _error(message, f"org.bluez.Error.{problem}")

    def _set_filter(self, adapter: FakeAdapter, message: Message) -> str | None:
        adapter.filters[message.sender or ""] = message.body[0]
        return None

    def _start_discovery(self, adapter: FakeAdapter, message: Message) -> str | None:
        if not adapter.powered:
            return "NotReady"
        if message.sender in adapter.sessions:
            return "InProgress"
        adapter.sessions.add(message.sender)
        return None

    def _stop_discovery(self, adapter: FakeAdapter, message: Message) -> str | None:
        if not adapter.powered:
            return "NotReady"
        if message.sender not in adapter.sessions:
            return "Failed"
        adapter.sessions.remove(message.sender)
        return None

    def _register(self, adapter: FakeAdapter, message: Message) -> str | None:
        monitor = (message.sender, message.body[0])
        adapter.monitors[monitor] = None
        if not adapter.powered:
            adapter.deaf.add(monitor)
        return None

    def _unregister(self, adapter: FakeAdapter, message: Message) -> str | None:
        if adapter.monitors.pop((message.sender, message.body[0]), "none") == "none":
            return "DoesNotExist"
        return None

    # -- what it tells ----------------------------------------------------------------

    def _added(self, name: str, adapter: FakeAdapter) -> None:
        body = [_path(name), adapter.interfaces()]
        self._signal("/", _OBJECTS, "InterfacesAdded", "oa{sa{sv}}", body)

    def _removed(self, name: str, adapter: FakeAdapter) -> None:
        for path in (*adapter.devices, _path(name)):
            interfaces = (
                [_DEVICE] if path in adapter.devices else list(adapter.interfaces())
            )
            self._signal("/", _OBJECTS, "InterfacesRemoved", "oas", [path, interfaces])

    def _changed(self, path: str, interface: str, changes: dict[str, Variant]) -> None:
        self._signal(
            path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changes, []]
        )

    def _signal(
        self, path: str, interface: str, member: str, signature: str, body: Sequence[Any]
    ) -> None:
        if self._bus is not None:
            self._bus.send(
                Message.new_signal(path, interface, member, signature, list(body))
            )

    def _run(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _path(name: str) -> str:
    return f"/org/bluez/{name}"


def _error(message: Message, name: str) -> Message:
    return Message.new_error(message, name, "")
