"""What somebody who asks by HTTP can have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

#: What each number may be.
_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "channel": (1, 2),
    "percent": (0, 100),
    "level": (0, 255),
    "ramp": (0, 65535),
}


@dataclass(frozen=True, slots=True)
class LampRequest:
    """A lamp to be set: the one on `channel` (1 or 2) of the dimmer on `port`.

    Either `percent` (0–100) is given or `level` (0–255). With `on` false, a percent is
    only remembered, and the lamp is off. `ramp` is the raw u16 of the frame, None for the
    usual one.
    """

    port: str
    channel: int
    percent: int | None = None
    level: int | None = None
    ramp: int | None = None
    on: bool | None = None

    @classmethod
    def from_json(cls, data: object) -> LampRequest:
        """What `to_json` makes. Raises ValueError, with words for a person."""
        if not isinstance(data, Mapping) or not isinstance(data.get("port"), str):
            raise ValueError('allowed is an object with a "port"')
        for key in data:
            if key not in ("port", "on", *_RANGES):
                raise ValueError(f'"{key}" is unknown here')
        numbers: dict[str, Any] = {key: data.get(key) for key in _RANGES}
        for key, (low, high) in _RANGES.items():
            value = numbers[key]
            if value is None and key != "channel":
                continue
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f'"{key}" has to be a whole number from {low} to {high}')
        if (numbers["percent"] is None) is (numbers["level"] is None):
            raise ValueError('either "percent" or "level" has to be given')
        on = data.get("on")
        if on is not None and (not isinstance(on, bool) or numbers["percent"] is None):
            raise ValueError('"on" has to be true or false, and goes with a "percent"')
        return cls(data["port"], **numbers, on=on)

    def to_json(self) -> dict[str, Any]:
        """What goes over HTTP."""
        return {
            key: value
            for key in ("port", *_RANGES, "on")
            if (value := getattr(self, key)) is not None
        }


@dataclass(frozen=True, slots=True)
class Actions:
    """What the application does, by whom it is done.

    `reset_pairings` takes the number of a bridge, from 0, or None for all of them.
    `set_lamp` answers with the status of the lamp, and raises LinkError where there is
    none such or it cannot be reached.
    """

    status: Callable[[], dict[str, Any]]
    reset_pairings: Callable[[int | None], Awaitable[int]]
    set_lamp: Callable[[LampRequest], dict[str, Any]]
    reload: Callable[[], Awaitable[dict[str, Any]]]
