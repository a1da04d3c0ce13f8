"""A thousand sensors in one process, each heard every two seconds, with Home subscribed.

    python -m scripts.benches.many FOLDER PORT

runs the whole program, with adverts that come as from bleak's scanner.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohomekit.model.characteristics import CharacteristicsTypes

from hk_bridge import config
from hk_bridge.app import App
from hk_bridge.homekit.store import Store
from hk_bridge.links import bluetooth, scans
from hk_bridge.links.bluetooth import BluetoothLink
from hk_bridge.links.stack import Unnamed
from hk_bridge.options import Options
from scripts.benches.decode import PAYLOAD, UUID, Row
from scripts.benches.home import Home, Place
from scripts.benches.servers import CODE, LOOPBACK, Server, free_port

SENSORS = 1000
PER_SECOND = 500
TICKS_PER_SECOND = 50
SECONDS = 20.0
BRIDGES = 7


def bench_many(say: Callable[[str], None]) -> list[Row]:
    """Memory and processor, from outside."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        accessories = [
            {"accessory": "Hygrothermograph", "name": f"Room {n}", "address": address}
            for n, address in enumerate(_addresses())
        ]
        document = {"bridge": {"pin": CODE}, "accessories": accessories}
        (folder / "accessories.json").write_text(json.dumps(document))
        port = free_port()
        arguments = ["-m", "scripts.benches.many", name, str(port)]
        with Server("hk-bridge", folder, port, arguments) as server:
            share, events = asyncio.run(_measure(server, folder, say))
            return [
                ("start to HAP accept, 1,000 sensors", f"{server.start_seconds:.2f} s", ""),
                (
                    f"1,000 sensors, 500 adverts and {events:,.0f} values told in a second",
                    f"{share:.1%} of a core",
                    "≤ 25 %",
                ),
                (
                    "resident memory, 1,000 sensors",
                    f"{server.resident:.0f} MiB",
                    "≤ 120 MiB",
                ),
            ]


async def _measure(
    server: Server, folder: Path, say: Callable[[str], None]
) -> tuple[float, float]:
    """The share of a core, and how many values controllers were told per second."""
    told = 0

    def count(event: dict[Any, Any]) -> None:
        nonlocal told
        told += len(event)

    connections = []
    for number in range(BRIDGES):
        say(f"a thousand sensors: pairing with bridge {number + 1} of {BRIDGES}")
        code = Store.open(folder / "state").bridge(number).setup_code
        home = await Home.pair(server.port + number, code)
        connection = home.connection()
        await connection.list_accessories_and_characteristics()
        assert connection.accessories is not None
        await _subscribe(
            connection,
            [
                (accessory.aid, characteristic.iid)
                for accessory in connection.accessories
                for service in accessory.services
                for characteristic in service.characteristics
                if characteristic.type
                in (
                    CharacteristicsTypes.TEMPERATURE_CURRENT,
                    CharacteristicsTypes.RELATIVE_HUMIDITY_CURRENT,
                )
            ],
        )
        connection.dispatcher_connect(count)
        connections.append(connection)
    say("a thousand sensors")
    told, used, begun = 0, server.processor_seconds, time.perf_counter()
    await asyncio.sleep(SECONDS)
    passed = time.perf_counter() - begun
    share = (server.processor_seconds - used) / passed
    events = told / passed
    for connection in connections:
        await connection.close()
    return share, events


async def _subscribe(connection: Any, places: list[Place]) -> None:  # noqa: ANN401 # it has no types
    await connection.subscribe(places)


def _addresses() -> list[str]:
    return [f"4C:65:A8:D0:{n >> 8:02X}:{n & 255:02X}" for n in range(SENSORS)]


# -- the program -------------------------------------------------------------------------


class _Scanner:
    """Stands where bleak's scanner stands."""

    hear: Callable[[SimpleNamespace, SimpleNamespace], None] | None = None

    def __init__(self, detection_callback: Callable[..., None], **_: object) -> None:
        self._callback = detection_callback

    async def start(self) -> None:
        type(self).hear = self._callback

    async def stop(self) -> None:
        type(self).hear = None


def _no_stack(*, wake: bool) -> AbstractAsyncContextManager[Unnamed]:  # noqa: ARG001 # its interface
    return nullcontext(Unnamed())


async def _run(folder: Path, port: int) -> None:
    setattr(scans, "BleakScanner", _Scanner)  # noqa: B010 # in the place of a class
    setattr(bluetooth, "BluetoothLink", partial(BluetoothLink, stack=_no_stack))  # noqa: B010 # see above
    file = folder / "accessories.json"
    options = Options(folder / "state", bind=(LOOPBACK,), port=port, config=file)
    app = App(config.load(file), options)
    async with asyncio.TaskGroup() as group:
        group.create_task(app.run(asyncio.Event(), lambda *_: None))
        group.create_task(_speak())


async def _speak() -> None:
    """Each sensor in turn, with a new frame and another value each time."""
    loop = asyncio.get_running_loop()
    begun, adverts = loop.time(), _adverts()
    for tick in itertools.count(1):
        if _Scanner.hear is not None:
            for device, data in itertools.islice(adverts, PER_SECOND // TICKS_PER_SECOND):
                _Scanner.hear(device, data)
        await asyncio.sleep(max(begun + tick / TICKS_PER_SECOND - loop.time(), 0))


def _adverts() -> itertools.chain[tuple[SimpleNamespace, SimpleNamespace]]:
    devices = [SimpleNamespace(address=address) for address in _addresses()]

    def round_of(counter: int) -> Iterator[tuple[SimpleNamespace, SimpleNamespace]]:
        tenths = (200 + counter % 50).to_bytes(2, "little")
        humidity = (400 + counter % 90).to_bytes(2, "little")
        for device in devices:
            mac = bytes.fromhex(device.address.replace(":", ""))[::-1]
            head = PAYLOAD[:4] + bytes([counter % 256]) + mac + PAYLOAD[11:14]
            data = head + tenths + humidity
            yield device, SimpleNamespace(service_data={UUID: data}, rssi=-60)

    return itertools.chain.from_iterable(round_of(n) for n in itertools.count())


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), int(sys.argv[2])))
