"""What a running bridge says of itself: plain values, and the JSON made of them.

Times are seconds: ages count back from now, None is for what has never been.
"""

from __future__ import annotations

import contextlib
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from importlib import metadata
from typing import Any, Final

from hk_bridge import __version__
from hk_bridge.devices.sensor import LastValue
from hk_bridge.model import LinkState, Quantity

_PACKAGES: Final = ("HAP-python", "bleak", "pyserial", "zeroconf")


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """A link of the bridge to the outside, and for how long it has been so."""

    name: str
    is_up: bool
    text: str
    since: float


@dataclass(frozen=True, slots=True)
class RadioStatus:
    """The radio. `adverts` counts those of configured sensors."""

    is_up: bool
    text: str
    since: float
    mode: str
    adapter: str
    last_heard: float | None
    adverts: int

    @classmethod
    def of(
        cls, state: LinkState, since: float, last_heard: float | None, adverts: int
    ) -> RadioStatus:
        """From what the link has reported."""
        return cls(
            state.is_up, state.text, since, state.mode, state.adapter, last_heard, adverts
        )


@dataclass(frozen=True, slots=True)
class SensorStatus:
    """One sensor. `state` is one of `devices.sensor_state.SensorState`, `product` an id.

    `last_value` is how long ago the last value came that becomes too old one day, `advice`
    what can be done where none comes. `refused` counts values that cannot be, `replays`
    sealed frames from before the last, `unknown` objects that nobody knows, by type.
    """

    name: str
    address: str | None
    state: str
    product: str | None
    model: str | None
    rssi: int | None
    last_heard: float | None
    values: Mapping[Quantity, LastValue]
    format: str | None = None
    last_value: float | None = None
    advice: str | None = None
    refused: int = 0
    replays: int = 0
    unknown: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LampStatus:
    """One lamp. `level` (0–255) is None as long as nobody knows what it is set to."""

    name: str
    dimmer: str
    channel: int
    port: str
    is_reachable: bool
    is_on: bool
    brightness: int
    level: int | None


@dataclass(frozen=True, slots=True)
class ControllerStatus:
    """Somebody who is paired, and how many connections of them are open."""

    id: str
    is_admin: bool
    connections: int


@dataclass(frozen=True, slots=True)
class LeavingStatus:
    """An accessory without an entry, and in how many seconds Home forgets it."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BridgeStatus:
    """A bridge as Home sees it; whether it `is_listening` on `port`.

    Those that are `leaving` count among its `accessories`. Its `number`, from 1, stays the
    same for ever.
    """

    name: str
    port: int
    is_listening: bool
    addresses: tuple[str, ...]
    controllers: tuple[ControllerStatus, ...]
    accessories: int = 0
    leaving: tuple[LeavingStatus, ...] = ()
    number: int = 1


@dataclass(frozen=True, slots=True)
class Status:
    """Everything; `versions` are those of the program and what it stands on.

    `bridge` is the first of `bridges`.
    """

    versions: Mapping[str, str]
    uptime: float
    is_simulated: bool
    bridge: BridgeStatus
    bridges: tuple[BridgeStatus, ...]
    radio: RadioStatus | None
    links: tuple[LinkStatus, ...]
    sensors: tuple[SensorStatus, ...]
    lamps: tuple[LampStatus, ...]


@cache
def versions() -> Mapping[str, str]:
    """Of the program, and of what it stands on, as installed."""
    found = {"hk-bridge": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def to_json(value: object) -> Any:  # noqa: ANN401 # JSON is anything
    """`value`, made of dataclasses, as `json` takes it: keys in camelCase, no infinity."""
    if is_dataclass(value):
        return {
            _camel_case(field.name): to_json(getattr(value, field.name))
            for field in fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return value


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))
