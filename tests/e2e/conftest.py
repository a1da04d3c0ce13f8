"""A running bridge, a radio to speak on, a dimmer board, and a real controller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohomekit.characteristic_cache import CharacteristicCacheMemory
from aiohomekit.controller.ip import IpController, IpPairing
from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

from hk_bridge import config
from hk_bridge.app import App
from hk_bridge.homekit.identity import Identity
from hk_bridge.homekit.store import Store
from hk_bridge.links import bluetooth, scans
from hk_bridge.links.bluetooth import BluetoothLink
from hk_bridge.links.stack import Unnamed
from hk_bridge.options import Options
from tests.fakes.board import BoardEmulator
from tests.fakes.ports import free_port

LOOPBACK = "127.0.0.1"
SERVICE = "_hap._tcp.local."
ROOM_1 = "4C:64:A8:D0:AE:65"
ROOM_2 = "2C:34:B3:D4:A1:61"
FE95 = "0000fe95-0000-1000-8000-00805f9b34fb"

#: Long enough for the slowest machine; what is waited for takes milliseconds.
PATIENCE = 20.0


class FakeRadio:
    """Stands where bleak's scanner stands; adverts enter as bleak hands them over."""

    instances: list[FakeRadio]

    def __init__(self, detection_callback: Callable[..., None], **_: object) -> None:
        self._callback = detection_callback

    async def start(self) -> None:
        type(self).instances.append(self)

    async def stop(self) -> None:
        type(self).instances.remove(self)

    def hear(self, address: str, payload: str, uuid: str = FE95) -> None:
        self._callback(
            SimpleNamespace(address=address),
            SimpleNamespace(service_data={uuid: bytes.fromhex(payload)}, rssi=-60),
        )


class Bridge:
    """The program in this process, as `hk-bridge run` starts it, and its surroundings."""

    def __init__(self, directory: Path, board: BoardEmulator) -> None:
        self.board = board
        self.state = directory / "state"
        self.file = directory / "accessories.json"
        self.port = free_port()
        self.radio: type[FakeRadio]
        self.log: pytest.LogCaptureFixture
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    def write(self, accessories: list[dict[str, Any]], **bridge: Any) -> None:
        """Write accessories.json."""
        self.file.write_text(json.dumps({"bridge": bridge, "accessories": accessories}))

    async def start(self, options: Options | None = None) -> None:
        """Start, and return once controllers can connect."""
        up = asyncio.Event()
        self._stop = asyncio.Event()
        options = options or Options(
            self.state, bind=(LOOPBACK,), port=self.port, config=self.file
        )
        app = App(config.load(self.file), options)
        self._task = asyncio.create_task(app.run(self._stop, lambda *_: up.set()))
        waiting = asyncio.create_task(up.wait())
        await asyncio.wait({self._task, waiting}, return_when="FIRST_COMPLETED")
        if self._task.done():
            await self._task

    async def stop(self) -> None:
        """Stop, as SIGTERM does."""
        self._stop.set()
        if self._task is not None:
            await self._task
            self._task = None

    @property
    def identity(self) -> Identity:
        """What stands in the state directory."""
        return Store.open(self.state).bridge()

    async def hear(self, address: str, payload: str) -> None:
        """Let the radio hear an advert."""
        await until(lambda: self.radio.instances)
        self.radio.instances[0].hear(address, payload)


SENSORS: list[dict[str, Any]] = [
    {"accessory": "Hygrothermograph", "name": "Room 1", "address": ROOM_1.lower()},
    {"accessory": "Hygrotermograph", "name": "Room 2", "address": ROOM_2.replace(":", "-")},
]


def dimmer(port: str, **more: Any) -> dict[str, Any]:
    """A dimmer with two lamps, which sends each frame once unless told otherwise.

    Its ramps are the same, so that no frame depends on how quickly a test goes on.
    """
    return {
        "accessory": "Dimmer",
        "name": "Dual Dimmer",
        "port": port,
        "repeat": 0,
        "slideRamp": 1500,
        "channels": [
            {"channel": 1, "name": "Ceiling Light"},
            {"channel": 2, "name": "Mirror Light"},
        ],
        **more,
    }


def no_stack(*, wake: bool) -> AbstractAsyncContextManager[Unnamed]:
    """A system where nothing can be told of Bluetooth, awake or not."""
    assert wake is True
    return nullcontext(Unnamed())


@pytest.fixture
async def bridge(
    tmp_path: Path,
    board: BoardEmulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[Bridge]:
    """A bridge with two sensors and a dimmer, not started yet."""
    radio = type("Radio", (FakeRadio,), {"instances": []})
    monkeypatch.setattr(scans, "BleakScanner", radio)
    how = partial(BluetoothLink, stack=no_stack)
    monkeypatch.setattr(bluetooth, "BluetoothLink", how)
    running = Bridge(tmp_path, board)
    running.radio = radio
    running.log = caplog
    caplog.set_level("INFO")
    running.write([*SENSORS, dimmer(board.port)])
    yield running
    await running.stop()


@pytest.fixture
async def controller() -> AsyncIterator[IpController]:
    """A real HomeKit controller that looks for bridges by mDNS on loopback."""
    zeroconf = AsyncZeroconf(interfaces=[LOOPBACK])
    browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[lambda **_: None])
    controller = IpController(CharacteristicCacheMemory(), zeroconf)
    await controller.async_start()
    yield controller
    for pairing in controller.pairings.values():
        await pairing.close()
    await controller.async_stop()
    await browser.async_cancel()
    await zeroconf.async_close()


async def pair(controller: IpController, identity: Identity) -> IpPairing:
    """Discover the bridge, and pair with it by its setup code."""
    discovery = await controller.async_find(identity.device_id, timeout=PATIENCE)
    finish = await discovery.async_start_pairing("home")
    pairing = await finish(identity.setup_code)
    assert isinstance(pairing, IpPairing)
    return pairing


def events(pairing: IpPairing) -> dict[tuple[int, int], Any]:
    """What `pairing` is told from now on: the last value by aid and iid."""
    told: dict[tuple[int, int], Any] = {}
    pairing.dispatcher_connect(
        lambda event: told.update({key: item["value"] for key, item in event.items()})
    )
    return told


async def until(condition: Callable[[], Any]) -> Any:
    """What `condition` says once it is true."""
    async with asyncio.timeout(PATIENCE):
        while not (result := condition()):  # noqa: ASYNC110 # of no one event
            await asyncio.sleep(0.005)
    return result


async def until_async(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once `condition` is true."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 # of no one event
            await asyncio.sleep(0.02)
