"""Any sequence of edits, in a program that runs: no accessory that stays becomes another.

The devices, accessories, identities and files are the real ones; only links are not run.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.accessory_server import AccessoryServer
from hk_bridge.bridges import Bridges
from hk_bridge.config import Config, parse
from hk_bridge.homekit.identity import Identity
from hk_bridge.homekit.network import Network
from hk_bridge.homekit.store import Store
from hk_bridge.house import House
from hk_bridge.identities import names_of, settle
from hk_bridge.memory import DeviceMemory
from hk_bridge.options import Options

Json = dict[str, Any]

LOOPBACK: Final = Network(("127.0.0.1",), ("127.0.0.1",))

#: Accessories that a file may have; each may stand in it in several ways.
ADDRESSES: Final = [f"58:2D:34:00:00:{number:02X}" for number in range(6)]
BOARDS: Final = ["north", "south"]


class StillHouse(House):
    """Devices whose links do not run."""

    def _start(self, *links: object) -> None: ...

    async def _stop(self, *links: object) -> None: ...


class StillBridges(Bridges):
    """Bridges that take note of what controllers would be told, and listen nowhere."""

    async def listen(self) -> None:
        for number, server in self._servers.items():
            await self._open(number, server)

    async def _open(self, _number: int, server: AccessoryServer) -> None:
        server._driver._take_note_of_database()


class Program:
    """What App makes, without sockets, links and a network."""

    def __init__(self, folder: Path, file: Config) -> None:
        self.store = Store.open(folder)
        self.store.put_all(settle(self.store.bridges, file))
        self.house = StillHouse(
            file, Options(folder), self.store, DeviceMemory(), lambda: None
        )
        mdns: Any = None
        self.bridges = StillBridges(
            self.store, file, LOOPBACK, 0, mdns, self.house.devices, lambda *_: None
        )

    async def reload(self, file: Config) -> None:
        self.store.put_all(settle(self.store.bridges, file))
        await self.house.change(file)
        await self.bridges.change(file, self.house.devices)

    def database(self) -> dict[str, dict[str, Any]]:
        """Bridge, aid and iids of each accessory, by its identity."""
        found = {}
        for number, server in self.bridges._servers.items():
            accessories = server._driver.accessory.accessories
            for identity, aid in self.store.bridge(number).aids.items():
                if aid in accessories:
                    found[identity] = {"bridge": number, "aid": aid} | _iids(
                        accessories[aid]
                    )
        return found


def _iids(accessory: Any) -> dict[str, Any]:
    return {
        f"{service.unique_id}.{characteristic.display_name}": (
            accessory.iid_manager.get_iid(service),
            accessory.iid_manager.get_iid(characteristic),
        )
        for service in accessory.services
        for characteristic in service.characteristics
    }


def sensor(address: str, word: str, offset: float) -> Json:
    return {
        "accessory": "Hygrothermograph",
        "name": f"{word} {address[-2:]}",
        "address": address,
        "temperatureOffset": offset,
    }


def board(name: str, port: int, channels: Iterable[int], word: str) -> Json:
    return {
        "accessory": "Dimmer",
        "name": name,
        "id": name,
        "port": f"/dev/{name}{port}",
        "channels": [{"channel": c, "name": f"{word} {name} {c}"} for c in channels],
    }


WORD: Final = st.sampled_from(["Room", "Zimmer", "部屋"])
SENSOR: Final = st.builds(
    sensor, st.sampled_from(ADDRESSES), WORD, st.sampled_from([0.0, -1.5])
)
BOARD: Final = st.builds(
    board,
    st.sampled_from(BOARDS),
    st.integers(0, 1),
    st.sampled_from([(1,), (2,), (1, 2), (2, 1)]),
    WORD,
)


def _one_of_each(entries: list[Json]) -> list[Json]:
    known = {entry.get("address", entry.get("id")): entry for entry in entries}
    return list(known.values())


FILE: Final = st.builds(
    lambda entries, most, name: parse(
        json.dumps(
            {
                "bridge": {"maxAccessories": most, "removeAfter": 0, "name": name},
                "accessories": _one_of_each(entries),
            }
        ),
        "f",
    ),
    st.lists(st.one_of(SENSOR, BOARD), max_size=7),
    st.integers(1, 5),
    WORD,
)
STEP: Final = st.tuples(FILE, st.sampled_from(["reload", "expire", "restart"]))


def numbers(bridges: Iterable[Identity]) -> list[int]:
    return [bridge.config_number for bridge in bridges]


# Counting lines would take longer than the edits do.
@pytest.mark.no_cover
@given(FILE, st.lists(STEP, min_size=1, max_size=5))
def test_whatever_is_edited_the_others_stay_what_and_where_they_were(
    first: Config, steps: list[tuple[Config, str]]
) -> None:
    async def edit() -> None:
        with tempfile.TemporaryDirectory() as name:
            program = Program(Path(name), first)
            await program.bridges.listen()
            every: dict[str, dict[str, Any]] = {}
            for file, how in steps:
                shown = program.database()
                if how == "restart":
                    program = Program(Path(name), file)
                    await program.bridges.listen()
                else:
                    counts = numbers(program.store.bridges)
                    await program.reload(file)
                    # c# rises once at most, however much has changed.
                    after = numbers(program.store.bridges)
                    rises = [b - a for a, b in zip(counts, after, strict=False)]
                    assert set(rises) <= {0, 1}
                now = program.database()
                assert now.keys() >= names_of(file).keys()
                # What has lost its entry is still there, and as it was.
                assert now.keys() >= (shown.keys() if how != "restart" else set())
                for identity in shown.keys() & now.keys():
                    assert now[identity] == shown[identity]
                for identity, what in now.items():
                    assert every.setdefault(identity, what) == what
                if how == "expire":
                    for server in program.bridges._servers.values():
                        server.expire()
                    assert program.database().keys() == names_of(file).keys()

    asyncio.run(edit())
