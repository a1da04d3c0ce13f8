"""What Home is told of an accessory, but for its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, get_args

from hk_bridge.model import Quantity

_QUANTITIES: Final[frozenset[str]] = frozenset(get_args(Quantity))


@dataclass(frozen=True, slots=True)
class Information:
    """What the accessory says of itself. `serial` is never empty."""

    name: str
    manufacturer: str
    model: str
    serial: str


@dataclass(frozen=True, slots=True)
class Appearance:
    """Equal ones make equal accessories in the database.

    `quantities` are what a sensor shows, None for a lamp; `names` are those of single
    quantities that are wanted.
    """

    information: Information
    quantities: frozenset[Quantity] | None = None
    names: Mapping[Quantity, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What stands in a file."""
        information = self.information
        return {
            "name": information.name,
            "manufacturer": information.manufacturer,
            "model": information.model,
            "serial": information.serial,
            "quantities": None if self.quantities is None else sorted(self.quantities),
            "names": dict(self.names),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse. Raises ValueError, TypeError or KeyError for anything else."""
        texts = [data[key] for key in ("name", "manufacturer", "model", "serial")]
        quantities, names = data["quantities"], dict(data["names"])
        if not all(isinstance(text, str) for text in (*texts, *names.values())):
            raise TypeError("no text")
        if not {*(quantities or ()), *names} <= _QUANTITIES:
            raise ValueError("no quantity")
        return cls(
            Information(*texts),
            None if quantities is None else frozenset(quantities),
            names,
        )
