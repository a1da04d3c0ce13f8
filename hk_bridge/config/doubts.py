"""What is worth a word in accessories.json and stops nothing."""

from __future__ import annotations

from collections.abc import Iterator

from hk_bridge.config.entries import House
from hk_bridge.config.messages import Finding, looks_secret, shown
from hk_bridge.config.names import is_welcome, suggestion
from hk_bridge.config.schema import Bridge, Channel, Part, Sensor, without_effect

#: The names that Home shows and Siri hears. That of a dimmer is for the log only.
_NAMES_IN_HOME: dict[type[Part], tuple[str, ...]] = {
    Bridge: ("name",),
    Sensor: ("name", "temperatureName", "humidityName"),
    Channel: ("name",),
}


def findings(house: House) -> Iterator[Finding]:
    """Everything doubtful in what is valid."""
    yield from _empty(house)
    yield from _without_effect(house)
    yield from _names(house)
    yield from _deaf_buttons(house)


def _empty(house: House) -> Iterator[Finding]:
    if house.file.items("accessories") == []:
        yield Finding(
            house.file.at("accessories"), "the list is empty, Home will show no accessory"
        )


def _without_effect(house: House) -> Iterator[Finding]:
    for entry in house.entries:
        for key, description in without_effect(entry.part).items():
            if key in entry.given:
                yield Finding(entry.at(key), description[0].lower() + description[1:])


def _deaf_buttons(house: House) -> Iterator[Finding]:
    ports = {dimmer.path: dimmer.text("port") or "" for dimmer in house.dimmers}
    for lamp in house.lamps:
        if "button" in lamp.values and ports[lamp.path[:2]].lower().startswith("socket://"):
            yield Finding(
                lamp.at("button"),
                "no button can be read by way of socket://, but rfc2217:// can, if the "
                "server knows it",
            )


def _names(house: House) -> Iterator[Finding]:
    for entry in house.entries:
        for key in _NAMES_IN_HOME.get(entry.part, ()):
            name = entry.text(key)
            if name is not None and not is_welcome(name):
                yield Finding(entry.at(key), _advice(name))


def _advice(name: str) -> str:
    better = "" if looks_secret(name) else suggestion(name)
    example = f", for example {shown(better)}" if better else ""
    return (
        f"found {shown(name)}, Home and Siri want letters, digits, spaces and apostrophes "
        f"only, with a letter or a digit at both ends{example}"
    )
