"""What one frame of a sensor is: opened, closed, or damaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hk_bridge.devices.sensor_state import SensorState
from hk_bridge.errors import BindKeyError, DecodeError
from hk_bridge.model import Reading
from hk_bridge.protocols import advert


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, and what can be known of it.

    `state` is `DECODING` where it has values, `IDLE` where it has none, or why it cannot be
    opened; `problem` says that in words. `reading` is what anybody can read of it, None
    where it is damaged; without values where it was not to be opened.
    """

    state: SensorState
    reading: Reading | None
    problem: str = ""

    @property
    def is_open(self) -> bool:
        """Whether what it says counts."""
        return self.state in {SensorState.DECODING, SensorState.IDLE}


def open_frame(
    service_data: Mapping[int, bytes], address: str | None, bind_key: bytes | None
) -> Frame | None:
    """What the service data of an advert is; None where nothing in it has a decoder."""
    try:
        reading = advert.decode(service_data, address, bind_key)
    except DecodeError as error:
        is_key = isinstance(error, BindKeyError)
        state = SensorState.WRONG_KEY if is_key else SensorState.UNREADABLE
        return Frame(state, _outside(service_data, address), str(error))
    if reading is None:
        return None
    if reading.needs_key:
        return Frame(SensorState.NEEDS_KEY, reading)
    return Frame(SensorState.DECODING if reading.values else SensorState.IDLE, reading)


def _outside(service_data: Mapping[int, bytes], address: str | None) -> Reading | None:
    """What a frame says of its sender, though it is not to be opened."""
    try:
        reading = advert.decode(service_data, address, None)
    except DecodeError:
        return None
    return None if reading is None else replace(reading, values={})
