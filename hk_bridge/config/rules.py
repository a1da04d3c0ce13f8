"""What must hold between the entries of accessories.json."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass

from hk_bridge.config.entries import Entry, House
from hk_bridge.config.lines import Path
from hk_bridge.config.messages import Finding
from hk_bridge.config.model import MOST_ACCESSORIES
from hk_bridge.config.names import comparable
from hk_bridge.model import parse_address
from hk_bridge.protocols.wxdm2 import PROTOCOLS, WXDM2

#: Each has a port, and is added to Home by hand.
_MOST_BRIDGES = 100

_CHANNELS = range(1, 3)
_Keyed = Iterable[tuple[Path, Hashable]]
_Rule = Callable[[House], Iterable[Finding]]


def findings(house: House) -> list[Finding]:
    """Every broken rule, the first one only where several name the same path."""
    found: dict[Path, Finding] = {}
    for rule in _RULES:
        for finding in rule(house):
            found.setdefault(finding.path, finding)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Unique:
    """No two of `values` may be equal; in `text`, {other} is the place of the first."""

    values: Callable[[House], _Keyed]
    text: str

    def __call__(self, house: House) -> Iterator[Finding]:
        first: dict[Hashable, Path] = {}
        for path, value in self.values(house):
            other = first.setdefault(value, path)
            if other != path:
                yield Finding(path, self.text.format(other=house.place(other)))


def _addresses(house: House) -> _Keyed:
    for sensor in house.sensors:
        if address := sensor.text("address"):
            yield sensor.at("address"), parse_address(address)


def _sensor_identities(house: House) -> _Keyed:
    for sensor in house.sensors:
        key = "id" if "id" in sensor.given else "address"
        if value := sensor.text(key):
            yield sensor.at(key), parse_address(value) or value


def _dimmer_ids(house: House) -> _Keyed:
    for dimmer in house.dimmers:
        if value := dimmer.text("id"):
            yield dimmer.at("id"), value


def _ports(house: House) -> _Keyed:
    for dimmer in house.dimmers:
        if value := dimmer.text("port"):
            yield dimmer.at("port"), value


def _channels(house: House) -> _Keyed:
    for lamp in house.lamps:
        if number := lamp.number("channel"):
            dimmer = lamp.path[:2]
            yield lamp.at("channel"), (dimmer, number)


def _buttons(house: House) -> _Keyed:
    for lamp in house.lamps:
        if line := lamp.text("button"):
            yield lamp.at("button"), (lamp.path[:2], line)


def _names_in_home(house: House) -> _Keyed:
    return _names(sorted((*house.sensors, *house.lamps), key=house.offset))


def _names_of_dimmers(house: House) -> _Keyed:
    return _names(house.dimmers)


def _names(entries: Iterable[Entry]) -> _Keyed:
    for entry in entries:
        if name := entry.text("name"):
            yield entry.at("name"), comparable(name)


def _addresses_given(house: House) -> Iterator[Finding]:
    if len(house.sensors) > 1:
        for sensor in house.sensors:
            if "address" not in sensor.given:
                yield Finding(
                    sensor.path,
                    '"address" is missing, with more than one sensor each needs an address',
                )


def _dimmer_ids_given(house: House) -> Iterator[Finding]:
    without = [dimmer for dimmer in house.dimmers if "id" not in dimmer.given]
    taken = {dimmer.text("id") for dimmer in house.dimmers}
    free = (name for n in range(2, 1_000_000) if (name := f"dimmer-{n}") not in taken)
    for dimmer in without[1:]:
        other = house.place(without[0].path)
        yield Finding(
            dimmer.path,
            f'"id" is missing, as in {other}; only one dimmer may go without, Home tells '
            f'their lamps apart by it; give the newer one for example "id": "{next(free)}"',
        )


def _levels(house: House) -> Iterator[Finding]:
    for lamp in house.lamps:
        low, high = lamp.number("minLevel"), lamp.number("maxLevel")
        if low is not None and high is not None and low >= high:
            yield Finding(
                lamp.at("minLevel"),
                f"found {low:g}, allowed is less than maxLevel, which is {high:g}",
            )


def _channel_counts(house: House) -> Iterator[Finding]:
    for dimmer in house.dimmers:
        channels = dimmer.items("channels")
        if channels is not None and len(channels) not in _CHANNELS:
            yield Finding(
                dimmer.at("channels"),
                f"found {len(channels)} channels, allowed are 1 or 2",
            )


def _channels_of_protocols(house: House) -> Iterator[Finding]:
    protocols = {
        dimmer.path: PROTOCOLS.get(dimmer.text("protocol") or "", WXDM2)
        for dimmer in house.dimmers
    }
    for lamp in house.lamps:
        protocol, number = protocols[lamp.path[:2]], lamp.number("channel")
        if number in _CHANNELS and number not in protocol.channels:
            allowed = " or ".join(map(str, protocol.channels))
            yield Finding(
                lamp.at("channel"),
                f"found {number:g}, allowed is {allowed} with the protocol {protocol.name}",
            )


def _fits_on_bridges(house: House) -> Iterator[Finding]:
    count = len(house.sensors) + len(house.lamps)
    each = house.bridge.number("maxAccessories") or MOST_ACCESSORIES
    if count > each * _MOST_BRIDGES:
        yield Finding(
            house.file.at("accessories"),
            f"found {count} sensors and lamps, {_MOST_BRIDGES} bridges of {each:g} hold "
            f"{each * _MOST_BRIDGES:g}",
        )


_RULES: tuple[_Rule, ...] = (
    _addresses_given,
    _Unique(_addresses, "the same address as {other}, each sensor stands here once"),
    _Unique(
        _sensor_identities,
        "Home would take this sensor for the one at {other}, which has the same id or "
        "address; give this one an id of its own",
    ),
    _dimmer_ids_given,
    _Unique(_dimmer_ids, "the same id as {other}, each dimmer needs its own"),
    _Unique(_ports, "the same port as {other}, each dimmer needs its own"),
    _channel_counts,
    _Unique(_channels, "the same channel as {other}, each has one lamp"),
    _channels_of_protocols,
    _Unique(_buttons, "the same line as {other}, each button needs its own"),
    _levels,
    _Unique(_names_in_home, "the same name as {other}, Siri could not tell them apart"),
    _Unique(_names_of_dimmers, "the same name as {other}, each dimmer needs its own"),
    _fits_on_bridges,
)
