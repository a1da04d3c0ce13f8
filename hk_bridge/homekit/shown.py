"""What Home can show of what a sensor measures: where, how exactly, under which name."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hk_bridge.homekit.services import LIGHT
from hk_bridge.model import LONGEST_NAME, Quantity

_JOINER: Final = "\u200d"


@dataclass(frozen=True, slots=True)
class Shown:
    """Where a quantity is shown, under which name unless another one is wanted.

    `bounds` are what the characteristic can show of it, and `digits` how exactly.
    """

    service: str
    characteristic: str
    name: str
    bounds: tuple[float, float] | None = None
    digits: int | None = None

    def fitting(self, value: float | None) -> float | None:
        """What of `value` the characteristic can show."""
        if value is None:
            return None
        if self.bounds is not None:
            low, high = self.bounds
            value = min(max(value, low), high)
        # Adding 0 makes of -0.0 what it is.
        return value if self.digits is None else round(value, self.digits) + 0

    def name_at(self, place: str) -> str:
        """How it is called in a house where there are more of its kind; 64 characters."""
        return f"{cut(place, LONGEST_NAME - 1 - len(self.name))} {self.name}"


#: By the order of their services; the first one that a sensor has comes first in Home.
TABLE: Final[Mapping[Quantity, Shown]] = {
    "temperature": Shown(
        "TemperatureSensor", "CurrentTemperature", "Temperature", digits=1
    ),
    "humidity": Shown("HumiditySensor", "CurrentRelativeHumidity", "Humidity", digits=1),
    "moisture": Shown("SoilMoisture", "CurrentRelativeHumidity", "Soil Moisture", digits=1),
    "illuminance": Shown("LightSensor", "CurrentAmbientLightLevel", "Light", LIGHT),
    "battery": Shown("BatteryService", "BatteryLevel", "Battery"),
}


def cut(name: str, most: int) -> str:
    """At most so many characters of `name`, none parted from what belongs to it."""
    end = min(most, len(name))
    while 0 < end < len(name) and (_continues(name[end]) or name[end - 1] == _JOINER):
        end -= 1
    return name[: end or most].rstrip()


def _continues(character: str) -> bool:
    """Whether it is an accent, a skin tone, or the like, of the character before it."""
    return (
        unicodedata.category(character).startswith("M")
        or character == _JOINER
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )
