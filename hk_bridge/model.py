"""The values that more than one layer speaks of."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

#: Of characters; HomeKit takes no more for a text.
LONGEST_NAME: Final = 64

#: What is measured, in the order in which it is shown: temperature in °C (signed),
#: humidity and soil moisture in %, battery in %, a battery that calls itself low as 1 (and
#: as 0 where it does not), voltage in V, illuminance in lx, conductivity of soil in µS/cm,
#: formaldehyde in mg/m³.
Quantity = Literal[
    "temperature",
    "humidity",
    "moisture",
    "illuminance",
    "conductivity",
    "formaldehyde",
    "battery",
    "voltage",
    "lowBattery",
]

#: What each can be. A value outside is damage, not weather.
PLAUSIBLE: Final[Mapping[Quantity, tuple[float, float]]] = MappingProxyType(
    {
        "temperature": (-40.0, 85.0),
        "humidity": (0.0, 100.0),
        "moisture": (0.0, 100.0),
        "illuminance": (0.0, 200_000.0),
        "conductivity": (0.0, 20_000.0),
        "formaldehyde": (0.0, 100.0),
        "battery": (0.0, 100.0),
        "voltage": (0.0, 1000.0),
        "lowBattery": (0.0, 1.0),
    }
)

_ADDRESS = re.compile(r"[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}")


def parse_address(text: str) -> str | None:
    """A Bluetooth address as the stack spells it (``4C:64:A8:D0:AE:65``).

    Any case, ``:`` or ``-`` between the six bytes; None where `text` is no address.
    """
    if _ADDRESS.fullmatch(text) is None:
        return None
    return text.upper().replace("-", ":")


class _Everyone:
    def __contains__(self, address: object) -> bool:
        return True


#: Contains every address: to look for sensors, or for the one that has none yet.
EVERYONE: Final[Container[str]] = _Everyone()


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What a radio heard of one device.

    `service_data` maps 16-bit UUIDs to the bytes that follow the UUID, `rssi` is in
    dBm, `at` in seconds of the monotonic clock.
    """

    address: str
    service_data: Mapping[int, bytes]
    rssi: int | None
    at: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What one broadcast frame says.

    `format` is "mibeacon", "atc1441", "pvvx" or "bthome"; only the first has a
    `product_id`. `values` holds what the frame carries, and nothing else, in the units of
    `Quantity` and at the resolution of the frame; `implausible` names what it carries and
    cannot be, `unknown` the ids of objects that are in no table.

    `counter` is the frame counter (0–255). `mac` is the sender's, in the order in which it
    is written, where the frame has it: six bytes or none. `needs_key` tells an encrypted
    frame for which no bind key was given. `encryption_counter` (32 bits) is there where a
    sender must never use one twice: an older one is somebody else's replay.
    """

    format: str
    product_id: int | None
    counter: int | None
    mac: bytes = b""
    values: Mapping[Quantity, float] = field(default_factory=dict)
    needs_key: bool = False
    implausible: tuple[Quantity, ...] = ()
    unknown: tuple[int, ...] = ()
    encryption_counter: int | None = None

    @property
    def address(self) -> str | None:
        """The address inside the frame, as Bluetooth stacks spell it."""
        return self.mac.hex(":").upper() or None

    @property
    def temperature(self) -> float | None:
        """In °C, where the frame carries it."""
        return self.values.get("temperature")

    @property
    def humidity(self) -> float | None:
        """In %, where the frame carries it."""
        return self.values.get("humidity")

    @property
    def battery(self) -> float | None:
        """In %, where the frame carries it."""
        return self.values.get("battery")


@dataclass(frozen=True, slots=True)
class LinkState:
    """Whether a link works.

    `text` says how, or why not and what to do about it, in a person's words. A radio also
    says its `mode` ("passive" or "active") and its `adapter`. What `is_passing` by itself
    is no news.
    """

    is_up: bool
    text: str
    mode: str = ""
    adapter: str = ""
    is_passing: bool = False


def can_be_a_name(name: str) -> bool:
    """Whether `name` has 1 to 64 characters, not all blank, none a control character."""
    return (
        len(name) <= LONGEST_NAME
        and bool(name.strip())
        and not any(unicodedata.category(character) == "Cc" for character in name)
    )
