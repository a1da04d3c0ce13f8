"""What a person is told of a sensor: its values, or what can be done where none comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hk_bridge.devices.sensor import LastValue
from hk_bridge.devices.sensor_state import SensorState
from hk_bridge.model import Quantity
from hk_bridge.protocols.products import Product

_MINUTE: Final = 60.0

_WORDS: Final[Mapping[Quantity, str]] = {
    "temperature": "{:.1f} °C",
    "humidity": "{:.1f} %",
    "moisture": "soil {:.0f} %",
    "illuminance": "{:.0f} lx",
    "conductivity": "{:.0f} µS/cm",
    "formaldehyde": "{:.2f} mg/m³",
}

_ADVICE: Final[Mapping[SensorState, str]] = {
    SensorState.IDLE: "{model} is heard and says no value. {wait}",
    SensorState.NEEDS_KEY: '{model} encrypts its values. Add its "bindKey" to '
    "accessories.json; docs/sensors.md tells how to get it",
    SensorState.WRONG_KEY: 'the "bindKey" in accessories.json is wrong: {problem}. A '
    "sensor that is bound anew has a new key; docs/sensors.md tells how to get it",
    SensorState.UNREADABLE: "a frame cannot be read: {problem}",
    SensorState.SILENT: "is silent for {minutes:.0f} minutes and shows No Response. Is it "
    "in range, is its battery good?",
}

#: What to do about idle frames, of a product that encrypts and of one that does not.
_WAIT: Final = {
    True: "It may take an hour. If it stays so, the sensor is not bound: add it to the "
    "Xiaomi Home app once; docs/sensors.md tells how",
    False: "If it stays so, take its battery out for a moment",
}


def in_words(values: Mapping[Quantity, LastValue]) -> str:
    """Those that are live, and will not be one day: ``21.3 °C, 40.3 %``."""
    live = (
        (words, values[quantity])
        for quantity, words in _WORDS.items()
        if quantity in values
    )
    return ", ".join(words.format(last.value) for words, last in live if last.is_live)


def advice(
    state: SensorState, product: Product, problem: str, timeout: float
) -> str | None:
    """What can be done about a state, None where nothing has to.

    `problem` is why the last frame could not be opened, `timeout` in seconds. A sentence
    that begins with "is" goes on behind the name of the sensor.
    """
    known = _ADVICE.get(state)
    if known is None:
        return None
    return known.format(
        model=product.name,
        problem=problem,
        minutes=timeout / _MINUTE,
        wait=_WAIT[product.encrypted],
    )
