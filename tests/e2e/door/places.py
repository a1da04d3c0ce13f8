"""Where the characteristics are that attacks need, whatever the server numbers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

#: The short form of the types of HomeKit's characteristics.
TYPES = {
    "on": "25",
    "brightness": "8",
    "temperature": "11",
    "identify": "14",
    "name": "23",
    "model": "21",
}

#: aid and iid.
Place = tuple[int, int]


@dataclass(frozen=True)
class Places:
    """Where the characteristics of the lamp, and of a thermometer, are."""

    on: Place
    brightness: Place
    temperature: Place
    identify: Place
    name: Place
    model: Place

    @classmethod
    def of(cls, database: Mapping[str, Any]) -> Self:
        """From the answer to GET /accessories; the bridge itself comes first there."""
        found = {
            characteristic["type"]: (accessory["aid"], characteristic["iid"])
            for accessory in database["accessories"]
            for service in accessory["services"]
            for characteristic in service["characteristics"]
        }
        return cls(**{name: found[kind] for name, kind in TYPES.items()})
