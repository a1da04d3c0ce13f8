"""The values that more than one layer speaks of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Quantity = Literal["temperature", "humidity", "battery"]

_ADDRESS = re.compile(r"[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}")


def parse_address(text: str) -> str | None:
    """A Bluetooth address as the stack spells it (``4C:64:A8:D0:AE:65``).

    Any case, ``:`` or ``-`` between the six bytes; None where `text` is no address.
    """
    if _ADDRESS.fullmatch(text) is None:
        return None
    return text.upper().replace("-", ":")


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

    `values` holds what the frame carries, and nothing else: temperature in °C (signed),
    humidity in % relative humidity, battery in %, each at the resolution that the frame
    has. `counter` is the frame counter (0–255). `mac` is the sender's, in the order in
    which it is written, where the frame has it: six bytes or none. `needs_key` tells an
    encrypted frame for which no bind key was given.
    """

    format: str
    product_id: int
    counter: int | None
    mac: bytes = b""
    values: Mapping[Quantity, float] = field(default_factory=dict)
    needs_key: bool = False

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
