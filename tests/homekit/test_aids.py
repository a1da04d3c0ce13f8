"""Home knows an accessory by its aid: no edit of accessories.json moves one.

Whatever happens to one entry, each other accessory keeps its aid, and an entry that comes
back gets its old one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition
from hypothesis.stateful import rule as edit

from hk_bridge.app import App
from hk_bridge.config import BluetoothConfig, Config, parse
from hk_bridge.errors import StoreError
from hk_bridge.homekit.appearance import Appearance, Information
from hk_bridge.homekit.identity import Identity, Pairing
from hk_bridge.homekit.store import Store
from hk_bridge.identities import settle
from hk_bridge.model import Advertisement
from hk_bridge.options import Options
from hk_bridge.sensor_radio import SensorRadio

Json = dict[str, Any]

A: Final = "4C:64:A8:D0:AE:65"
B: Final = "2C:34:B3:D4:A1:61"
C: Final = "A4:C1:38:00:11:22"
ADDRESSES: Final = [A, B, C, *(f"58:2D:34:00:00:{number:02X}" for number in range(6))]
IDS: Final = ["kitchen", "Kitchen", "cellar", "1", "2", ":", "sensor:a", "é"]
PORTS: Final = [f"/dev/ttyUSB{number}" for number in range(9)]
SPELLINGS: Final[list[Callable[[str], str]]] = [
    str.upper,
    str.lower,
    lambda address: address.replace(":", "-"),
    lambda address: address.lower().replace(":", "-"),
]

spelling = st.sampled_from(SPELLINGS)
choice = st.integers(0, 1000)


def configured(*accessories: Json, **more: object) -> Config:
    return parse(json.dumps({"accessories": accessories, **more}), "accessories.json")


def sensor(name: str, **more: object) -> Json:
    return {"accessory": "Hygrothermograph", "name": name, **more}


def dimmer(name: str, port: str, *channels: int, **more: object) -> Json:
    return {
        "accessory": "Dimmer",
        "name": name,
        "port": port,
        "channels": [
            {"channel": number, "name": f"{name} lamp {number}"} for number in channels
        ],
        **more,
    }


def restarted(identity: Identity) -> Identity:
    return Identity.from_json(json.loads(json.dumps(identity.to_json())))


#: On which bridge an accessory is, and which aid it has there.
Place = tuple[int, int]


def places(bridges: Sequence[Identity]) -> dict[str, Place]:
    return {
        accessory: (number, aid)
        for number, bridge in enumerate(bridges)
        for accessory, aid in bridge.aids.items()
    }


class Edits(RuleBasedStateMachine):
    """A person with an editor, over years. Each entry is known to the test by a tag."""

    def __init__(self) -> None:
        super().__init__()
        self.bridges: tuple[Identity, ...] = (Identity.new(),)
        self.most = 3
        self.entries: dict[int, Json] = {}
        self.order: list[int] = []
        self.drawer: dict[int, Json] = {}
        self.places: dict[tuple[int, int], Place] = {}
        self.ever: dict[tuple[int, int], Place] = {}
        self.last_tag = 0

    # What is in the file

    def of_kind(self, accessory: str) -> list[int]:
        return [tag for tag in self.order if self.entries[tag]["accessory"] == accessory]

    @property
    def sensors(self) -> list[int]:
        return self.of_kind("Hygrothermograph")

    @property
    def dimmers(self) -> list[int]:
        return self.of_kind("Dimmer")

    def taken(self, *keys: str) -> set[str]:
        """What may not be used again: also that of entries which may come back."""
        entries = [*self.entries.values(), *self.drawer.values()]
        found = {str(entry[key]) for entry in entries for key in keys if key in entry}
        return found | {text.upper().replace("-", ":") for text in found}

    def free(self, pool: list[str], number: int, *keys: str) -> str | None:
        left = [each for each in pool if each not in self.taken(*keys)]
        return left[number % len(left)] if left else None

    def new_tag(self) -> int:
        self.last_tag += 1
        return self.last_tag

    def put(self, tag: int, entry: Json, at: int) -> None:
        self.entries[tag] = entry
        self.order.insert(at % (len(self.order) + 1), tag)

    # What the program makes of it

    def settle(self, forgotten: int | None = None) -> None:
        """Start the program with the file, in which `forgotten` may have other aids."""
        config = configured(
            *(self.entries[tag] for tag in self.order), bridge={"maxAccessories": self.most}
        )
        before, counts = places(self.bridges), [len(each.aids) for each in self.bridges]
        settled_ = settle(self.bridges, config)
        self.bridges = tuple(restarted(each) for each in settled_)
        after = places(self.bridges)
        assert before.items() <= after.items()
        for number, bridge in enumerate(self.bridges):
            was = counts[number] if number < len(counts) else 0
            assert len(bridge.aids) <= max(self.most, was)
        now: dict[tuple[int, int], Place] = {}
        for tag, each in zip(self.sensors, config.sensors, strict=True):
            now[tag, 0] = after[each.identity]
        for tag, board in zip(self.dimmers, config.dimmers, strict=True):
            for lamp in board.channels:
                now[tag, lamp.channel] = after[board.identity(lamp.channel)]
        if forgotten is not None:
            self.ever = {key: at for key, at in self.ever.items() if key[0] != forgotten}
        for key, at in now.items():
            assert self.ever.setdefault(key, at) == at
        self.places = now

    @initialize()
    def start(self) -> None:
        self.put(self.new_tag(), sensor("Room 1", address=A), 0)
        self.put(self.new_tag(), dimmer("Board", PORTS[0], 1), 1)
        self.settle()

    @invariant()
    def each_accessory_has_an_aid_of_its_own(self) -> None:
        assert len(set(self.places.values())) == len(self.places)
        assert not {0, 1, 7} & {aid for _, aid in self.places.values()}
        for number, aid in self.ever.values():
            assert self.bridges[number].next_aid > aid

    @invariant()
    def each_bridge_is_another_one(self) -> None:
        assert len({bridge.device_id for bridge in self.bridges}) == len(self.bridges)

    # What a person does

    @edit(number=choice, at=choice, spell=spelling, with_id=st.booleans())
    def add_a_sensor(
        self, number: int, at: int, spell: Callable[[str], str], with_id: bool
    ) -> None:
        address = self.free(ADDRESSES, number, "address", "id")
        name = self.free(IDS, number, "id")
        if address is not None:
            tag = self.new_tag()
            entry = sensor(f"Sensor {tag}", address=spell(address))
            if with_id and name is not None:
                entry["id"] = name
            self.put(tag, entry, at)
            self.settle()

    @edit(number=choice, at=choice, channels=st.sampled_from([(1,), (2,), (1, 2), (2, 1)]))
    def add_a_dimmer(self, number: int, at: int, channels: tuple[int, ...]) -> None:
        name, port = self.free(IDS, number, "id"), self.free(PORTS, number, "port")
        if name is not None and port is not None:
            tag = self.new_tag()
            self.put(tag, dimmer(f"Board {tag}", port, *channels, id=name), at)
            self.settle()

    @precondition(lambda self: self.order)
    @edit(number=choice)
    def remove_an_entry(self, number: int) -> None:
        tag = self.order.pop(number % len(self.order))
        self.drawer[tag] = self.entries.pop(tag)
        self.settle()

    @precondition(lambda self: self.drawer)
    @edit(number=choice, at=choice)
    def bring_an_entry_back(self, number: int, at: int) -> None:
        tag = sorted(self.drawer)[number % len(self.drawer)]
        self.put(tag, self.drawer.pop(tag), at)
        self.settle()

    @edit(order=st.randoms(use_true_random=False))
    def reorder(self, order: Any) -> None:
        order.shuffle(self.order)
        for tag in self.dimmers:
            order.shuffle(self.entries[tag]["channels"])
        self.settle()

    @precondition(lambda self: self.order)
    @edit(number=choice)
    def rename(self, number: int) -> None:
        entry = self.entries[self.order[number % len(self.order)]]
        entry["name"] = f"New name {self.new_tag()}"
        for lamp in entry.get("channels", ()):
            lamp["name"] = f"New lamp {self.new_tag()}"
        self.settle()

    @edit(most=st.integers(1, 5))
    def have_more_or_less_on_a_bridge(self, most: int) -> None:
        self.most = most
        self.settle()

    @precondition(lambda self: self.sensors)
    @edit(number=choice, offset=st.floats(-20, 20), timeout=st.integers(0, 100))
    def adjust_a_sensor(self, number: int, offset: float, timeout: int) -> None:
        entry = self.entries[self.sensors[number % len(self.sensors)]]
        entry |= {"temperatureOffset": offset, "timeout": timeout, "lowBattery": 20}
        self.settle()

    @precondition(lambda self: self.sensors)
    @edit(number=choice, spell=spelling)
    def spell_an_address_in_another_way(
        self, number: int, spell: Callable[[str], str]
    ) -> None:
        entry = self.entries[self.sensors[number % len(self.sensors)]]
        entry["address"] = spell(entry["address"])
        self.settle()

    @precondition(lambda self: self.sensors)
    @edit(number=choice, spell=spelling)
    def replace_a_broken_sensor(self, number: int, spell: Callable[[str], str]) -> None:
        """The new one takes the old one's place, with its address as the id."""
        entry = self.entries[self.sensors[number % len(self.sensors)]]
        address = self.free(ADDRESSES, number, "address", "id")
        if address is not None:
            entry.setdefault("id", spell(entry["address"]))
            entry["address"] = address
            self.settle()

    @precondition(lambda self: self.order)
    @edit(number=choice)
    def give_another_id(self, number: int) -> None:
        """Only the accessories of this entry become others."""
        tag = self.order[number % len(self.order)]
        name = self.free(IDS, number, "id")
        if name is not None:
            self.entries[tag]["id"] = name
            self.settle(forgotten=tag)

    @precondition(lambda self: self.dimmers)
    @edit(number=choice)
    def move_a_dimmer_to_another_port(self, number: int) -> None:
        entry = self.entries[self.dimmers[number % len(self.dimmers)]]
        port = self.free(PORTS, number, "port")
        if port is not None:
            entry |= {"port": port, "baudrate": 115200, "ramp": 0}
            self.settle()

    @precondition(lambda self: self.dimmers)
    @edit(number=choice)
    def add_or_remove_a_channel(self, number: int) -> None:
        entry = self.entries[self.dimmers[number % len(self.dimmers)]]
        channels = entry["channels"]
        if len(channels) == 2:
            del channels[number % 2]
        else:
            other = 3 - channels[0]["channel"]
            channels.append({"channel": other, "name": f"Lamp {self.new_tag()}"})
        self.settle()


# Counting lines would take longer than the edits do.
TestEdits = pytest.mark.no_cover(Edits.TestCase)
TestEdits.settings = settings(deadline=None, stateful_step_count=30)


def settled(identity: Identity, *accessories: Json, **more: object) -> Identity:
    (bridge,) = settle((identity,), configured(*accessories, **more))
    return restarted(bridge)


def test_aids_are_given_in_the_order_of_the_first_file_and_stay() -> None:
    first = settled(
        Identity.new(),
        sensor("Room 1", address=A),
        dimmer("Board", "p", 1, 2),
        sensor("Room 2", address=B),
    )
    assert first.aids == {
        f"sensor:{A}": 2,
        f"sensor:{B}": 3,
        "lamp::1": 4,
        "lamp::2": 5,
    }
    second = settled(first, dimmer("Other", "q", 2), sensor("New", address=C))
    assert second.aids == {**first.aids, f"sensor:{C}": 6}


@pytest.mark.parametrize("spell", SPELLINGS)
def test_an_id_that_is_spelled_like_an_address_is_that_address(
    spell: Callable[[str], str],
) -> None:
    before = settled(Identity.new(), sensor("Room", address=A), sensor("Two", address=B))
    after = settled(
        before, sensor("Room", address=C, id=spell(A)), sensor("Two", address=B)
    )
    assert after.aids == before.aids == {f"sensor:{A}": 2, f"sensor:{B}": 3}


def test_any_other_id_is_told_apart_by_every_letter() -> None:
    identity = settled(
        Identity.new(), sensor("1", address=A, id="x"), sensor("2", address=B, id="X")
    )
    assert identity.aids == {"sensor:x": 2, "sensor:X": 3}


def test_ids_of_dimmers_and_sensors_do_not_meet() -> None:
    identity = settled(
        Identity.new(),
        sensor("S", address=A, id="x:1"),
        dimmer("D", "p", 1, id="x"),
        dimmer("E", "q", 1, id="x:1"),
        dimmer("F", "r", 1),
    )
    assert sorted(identity.aids.values()) == [2, 3, 4, 5]


# -- the sensor without an address --------------------------------------------------------

TEMPERATURE: Final = bytes.fromhex("5020aa010165aed0a8644c0410020d01")
OF_OTHER: Final = bytes.fromhex("5020aa010261a1d4b3342c0410020d01")
SILENT: Final = bytes.fromhex("1020aa010365aed0a8644c")
UUID: Final = 0xFE95
ALONE: Final = sensor("Room")
LAMPS: Final = dimmer("Board", "loop://", 1, 2)


def adopts(app: App, address: str, service_data: bytes, uuid: int = UUID) -> bool:
    """Whether the sensor without an address becomes the one that is heard."""
    heard = Advertisement(address, {uuid: service_data}, rssi=-60, at=0.0)
    sensors = app._house.sensors
    radio = SensorRadio(BluetoothConfig(), sensors, app._store, simulate=False)
    return radio._adopt(heard) is not None


def adopted(state: Path, *accessories: Json) -> App:
    """A program that was started without an address in the file, and has heard A."""
    app = App(configured(*accessories), Options(state))
    assert adopts(app, A, TEMPERATURE)
    return app


def aids_after(state: Path, *accessories: Json) -> dict[str, int]:
    App(configured(*accessories), Options(state))
    return dict(Store.open(state).bridge().aids)


def test_a_sensor_keeps_its_aid_when_it_adopts_an_address(tmp_path: Path) -> None:
    before = aids_after(tmp_path, ALONE, LAMPS)
    assert before == {"sensor:": 2, "lamp::1": 3, "lamp::2": 4}
    adopted(tmp_path, ALONE, LAMPS)
    after = Store.open(tmp_path).bridge()
    assert after.aids == {f"sensor:{A}": 2, "lamp::1": 3, "lamp::2": 4}
    assert after.adopted_address == A
    # After a restart it is known at once.
    assert aids_after(tmp_path, ALONE, LAMPS) == after.aids


@pytest.mark.parametrize(
    "written", [sensor("Room", address=A.lower()), sensor("Other name", address=A)]
)
def test_a_sensor_keeps_its_aid_when_the_adopted_address_is_written_down(
    tmp_path: Path, written: Json
) -> None:
    adopted(tmp_path, ALONE, LAMPS)
    kept = {f"sensor:{A}": 2, "lamp::1": 3, "lamp::2": 4}
    assert aids_after(tmp_path, written, LAMPS) == kept
    # Now that it has an address, there may be a second one.
    assert aids_after(tmp_path, sensor("Two", address=B), written, LAMPS) == {
        **kept,
        f"sensor:{B}": 5,
    }
    # And the address may be taken out again.
    assert aids_after(tmp_path, ALONE, LAMPS)[f"sensor:{A}"] == 2


def test_a_sensor_with_an_id_keeps_its_aid_when_it_adopts_an_address(
    tmp_path: Path,
) -> None:
    adopted(tmp_path, sensor("Room", id="room"))
    identity = Store.open(tmp_path).bridge()
    assert (identity.aids, identity.adopted_address) == ({"sensor:room": 2}, A)
    written = sensor("Room", id="room", address=B)
    assert aids_after(tmp_path, written) == {"sensor:room": 2}


def test_the_first_sensor_that_says_something_is_adopted_for_good(tmp_path: Path) -> None:
    app = App(configured(ALONE), Options(tmp_path))
    assert not adopts(app, A, SILENT)
    assert not adopts(app, A, b"\0")
    assert not adopts(app, A, TEMPERATURE, uuid=0x181A)
    assert Store.open(tmp_path).bridge().aids == {"sensor:": 2}
    assert adopts(app, A, TEMPERATURE)
    assert not adopts(app, B, OF_OTHER)
    assert Store.open(tmp_path).bridge().adopted_address == A


# -- the bridge itself --------------------------------------------------------------------


def test_a_paired_bridge_does_not_become_another_one_by_an_edit() -> None:
    mine = Pairing(b"F31C6685-9FDD-4869-8F65-3A102FF2534F", bytes(32), admin=True)
    paired = settled(replace(Identity.new(), pairings=(mine,)), sensor("Room", address=A))
    other = {"username": "CC:22:3D:E3:CE:30"}
    with pytest.raises(StoreError, match=r"Take bridge\.username out, or forget the pair"):
        settled(paired, sensor("Room", address=A), bridge=other)
    same = settled(paired, sensor("Room", address=A), bridge={"username": paired.device_id})
    assert same.aids == paired.aids
    # One that nobody has met may still become another one.
    fresh = settled(paired.without_pairings(), sensor("Room", address=A), bridge=other)
    assert (fresh.device_id, fresh.aids) == ("CC:22:3D:E3:CE:30", paired.aids)


def test_the_name_the_port_and_the_code_of_the_bridge_move_no_aid() -> None:
    before = settled(Identity.new(), sensor("Room", address=A), dimmer("D", "p", 1))
    after = settled(
        before,
        sensor("Room", address=A),
        dimmer("D", "p", 1),
        bridge={"name": "New", "port": 12345, "pin": "031-45-154"},
    )
    assert after.aids == before.aids
    assert after.setup_code == "031-45-154"
    assert after.device_id == before.device_id


def test_an_address_that_home_still_shows_keeps_its_place_when_it_is_adopted(
    tmp_path: Path,
) -> None:
    shown = Appearance(Information("Room", "Xiaomi", "LYWSDCGQ", A))
    App(configured(sensor("Room", address=A), LAMPS), Options(tmp_path))
    store = Store.open(tmp_path)
    store.put(replace(store.bridge(), shown={f"sensor:{A}": shown}))
    app = adopted(tmp_path, ALONE, LAMPS)
    before = dict(Store.open(tmp_path).bridge().aids)
    assert before[f"sensor:{A}"] == 2
    assert "sensor:" in before
    del app
    # What was shown without an address may stay for a while, too.
    after = aids_after(tmp_path, ALONE, LAMPS)
    assert after == before
    assert Store.open(tmp_path).bridge().gone == {}
