"""What one frame of a sensor is: opened, closed, or damaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from hk_bridge.devices.sensor_state import SensorState
from hk_bridge.errors import BindKeyError, DecodeError
from hk_bridge.model import Quantity, Reading
from hk_bridge.protocols import advert

#: A battery is not enough, nor is light: many things that are no climate sensor have them.
_CLIMATE: Final[frozenset[Quantity]] = frozenset({"temperature", "humidity", "moisture"})


@dataclass(frozen=True, slots=True)
class OpenedFrame:
    """A frame, and what can be known of it.

    `state` is `DECODING` where it has values, `IDLE` where it has none, or why it says
    nothing that could be shown; `problem` says that in words. `reading` is what anybody can
    read of it, None where it is damaged. What it says counts only if it `is_open`.
    """

    state: SensorState
    reading: Reading | None
    problem: str = ""
    is_open: bool = False


def is_climate(reading: Reading) -> bool:
    """Whether what a frame says is what a climate sensor measures."""
    return not _CLIMATE.isdisjoint(reading.values)


def open_frame(
    service_data: Mapping[int, bytes], address: str | None, bind_key: bytes | None
) -> OpenedFrame | None:
    """What the service data of an advert is; None where nothing in it has a decoder."""
    try:
        reading = advert.decode(service_data, address, bind_key)
    except DecodeError as error:
        is_key = isinstance(error, BindKeyError)
        state = SensorState.WRONG_KEY if is_key else SensorState.UNREADABLE
        return OpenedFrame(state, _outside(service_data, address), str(error))
    if reading is None:
        return None
    if reading.needs_key:
        return OpenedFrame(SensorState.NEEDS_KEY, reading)
    if reading.implausible and not reading.values:
        problem = f"its {' and '.join(reading.implausible)} cannot be"
        return OpenedFrame(SensorState.UNREADABLE, reading, problem, is_open=True)
    state = SensorState.DECODING if reading.values else SensorState.IDLE
    return OpenedFrame(state, reading, is_open=True)


def _outside(service_data: Mapping[int, bytes], address: str | None) -> Reading | None:
    """What a frame says of its sender, though it is not to be opened."""
    try:
        reading = advert.decode(service_data, address, None)
    except DecodeError:
        return None
    return None if reading is None else replace(reading, values={})
