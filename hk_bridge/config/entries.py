"""What is valid in a configuration file, even where other things in it are not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from hk_bridge.config.lines import Path, Positions
from hk_bridge.config.messages import written
from hk_bridge.config.schema import (
    Bluetooth,
    Bridge,
    Channel,
    ConfigFile,
    Dimmer,
    Part,
    Sensor,
)

#: Every spelling of "accessory" that the schema has.
_PARTS: dict[object, type[Part]] = {
    spelling: part
    for part in (Sensor, Dimmer)
    for spelling in get_args(part.model_fields["accessory"].annotation)
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the file: the keys that are `given`, and the valid `values`."""

    path: Path
    part: type[Part]
    given: frozenset[str]
    values: Mapping[str, object]

    def at(self, key: str) -> Path:
        """The path of one of its keys."""
        return (*self.path, key)

    def text(self, key: str) -> str | None:
        """A valid text; None where there is none."""
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> float | None:
        """A valid number; None where there is none."""
        value = self.values.get(key)
        return value if isinstance(value, int | float) else None

    def items(self, key: str) -> list[object] | None:
        """A list, whose items need not be valid; None where there is none."""
        value = self.values.get(key)
        return value if isinstance(value, list) else None


@dataclass(frozen=True, slots=True)
class House:
    """All objects of a file, in its order; `lamps` are the channels of all dimmers."""

    positions: Positions
    file: Entry
    bridge: Entry
    bluetooth: Entry
    sensors: tuple[Entry, ...]
    dimmers: tuple[Entry, ...]
    lamps: tuple[Entry, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every object."""
        return (
            self.file,
            self.bridge,
            self.bluetooth,
            *self.sensors,
            *self.dimmers,
            *self.lamps,
        )

    def offset(self, entry: Entry) -> int:
        """Where an object begins, to sort by."""
        return self.positions.offset(entry.path)

    def place(self, path: Path) -> str:
        """`path` for a person who looks for it: ``accessories[0].name (line 4)``."""
        line = self.positions.line(self.positions.offset(path))
        return f"{written(path)} (line {line})"


def house(document: object, positions: Positions, broken: Collection[Path]) -> House:
    """The objects of a parsed `document`, without the values at `broken` paths."""

    def entry(path: Path, part: type[Part], value: object) -> Entry:
        members = value if isinstance(value, dict) else {}
        values = {key: members[key] for key in members if (*path, key) not in broken}
        return Entry(path, part, frozenset(members), values)

    file = entry((), ConfigFile, document)
    accessories = [
        entry(("accessories", index), _PARTS[value["accessory"]], value)
        for index, value in _objects(file.items("accessories"))
        if isinstance(value.get("accessory"), str) and value["accessory"] in _PARTS
    ]
    dimmers = tuple(each for each in accessories if each.part is Dimmer)
    return House(
        positions=positions,
        file=file,
        bridge=entry(("bridge",), Bridge, file.values.get("bridge")),
        bluetooth=entry(("bluetooth",), Bluetooth, file.values.get("bluetooth")),
        sensors=tuple(each for each in accessories if each.part is Sensor),
        dimmers=dimmers,
        lamps=tuple(
            entry((*dimmer.path, "channels", index), Channel, value)
            for dimmer in dimmers
            for index, value in _objects(dimmer.items("channels"))
        ),
    )


def _objects(items: list[object] | None) -> Iterator[tuple[int, dict[str, object]]]:
    for index, item in enumerate(items or ()):
        if isinstance(item, dict):
            yield index, item
