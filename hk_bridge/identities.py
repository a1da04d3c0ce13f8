"""What the configuration and the kept identities of the bridges make of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from hk_bridge.config import MOST_ACCESSORIES, Config
from hk_bridge.errors import StoreError
from hk_bridge.homekit.identity import UNADDRESSED_SENSOR, Identity
from hk_bridge.model import Quantity

#: The name of an accessory, and those of what it measures.
Names = tuple[str, Mapping[Quantity, str]]


def settle(bridges: Sequence[Identity], config: Config) -> tuple[Identity, ...]:
    """The identities that the bridges have with this configuration, new ones at the end.

    Each accessory has an aid on one of them, on which it stays for ever. What Home shows
    and has no entry is `gone`, from now on if not before. Raises StoreError where a paired
    bridge would become another one.
    """
    first, *others = bridges
    first = _as_configured(first, config)
    names = names_of(with_adopted_address(config, first))
    placed = place((first, *others), [*names], config.bridge.max_accessories)
    return tuple(_with_names(_with_gone(each, names), names) for each in placed)


def names_of(config: Config) -> dict[str, Names]:
    """What each accessory is called, by its identity, sensors first."""
    sensors = {each.identity: (each.name, each.names) for each in config.sensors}
    lamps: dict[str, Names] = {
        dimmer.identity(channel.channel): (channel.name, {})
        for dimmer in config.dimmers
        for channel in dimmer.channels
    }
    return sensors | lamps


def place(
    bridges: Sequence[Identity], accessories: Sequence[str], most: int
) -> tuple[Identity, ...]:
    """The same bridges with an aid for each of `accessories`.

    A new one comes to the first bridge that has given fewer than `most` aids (1–149), or
    else to a new bridge: the place of one that is gone stays free for it, as it may come
    back.
    """
    after = list(_without_surplus(bridges, accessories))
    placed = {accessory for bridge in after for accessory in bridge.aids}
    number = 0
    for accessory in accessories:
        if accessory in placed:
            continue
        while number < len(after) and len(after[number].aids) >= most:
            number += 1
        if number == len(after):
            after.append(Identity.new())
        after[number] = after[number].with_aids_for([accessory])
        placed.add(accessory)
    return tuple(after)


def homes(bridges: Sequence[Identity]) -> Mapping[str, int]:
    """On which bridge each accessory is that ever had an aid."""
    return {
        accessory: number
        for number, bridge in enumerate(bridges)
        for accessory in bridge.aids
    }


def with_adopted_address(config: Config, identity: Identity) -> Config:
    """The configuration with the address that the only sensor has adopted."""
    if identity.adopted_address is None:
        return config
    sensors = tuple(
        replace(sensor, address=sensor.address or identity.adopted_address)
        for sensor in config.sensors
    )
    return replace(config, sensors=sensors)


def with_adopted(
    bridges: Sequence[Identity], accessory: str, address: str
) -> tuple[Identity, ...]:
    """The same bridges after the sensor that had no address has found one."""
    known = homes(bridges)
    after = list(bridges)
    # Home may still show what had that address before: that place is taken at the next
    # start, and the one of now is given up for it.
    if f"{UNADDRESSED_SENSOR}{address}" not in known:
        number = known.get(accessory, 0)
        after[number] = after[number].with_adopted(accessory, address)
    # Where it is looked for.
    after[0] = replace(after[0], adopted_address=address)
    return tuple(after)


def _as_configured(identity: Identity, config: Config) -> Identity:
    device_id = config.bridge.username or identity.device_id
    if identity.pairings and device_id != identity.device_id:
        raise StoreError(
            f"the bridge is paired as {identity.device_id}, but bridge.username is "
            f"{device_id}. Take bridge.username out, or forget the pairing first with: "
            "hk-bridge pairing reset (with the --state-dir of this bridge, if it has one)"
        )
    return replace(
        identity, device_id=device_id, setup_code=config.bridge.pin or identity.setup_code
    )


def _with_gone(identity: Identity, configured: Collection[str]) -> Identity:
    """The same with what Home shows and has no entry marked as gone."""
    return replace(
        identity,
        gone={
            accessory: identity.gone.get(accessory, 0.0)
            for accessory in identity.shown
            if accessory not in configured and accessory in identity.aids
        },
    )


def _with_names(identity: Identity, names: Mapping[str, Names]) -> Identity:
    """The same without names given in Home to what was renamed in the file since."""
    renamed = {
        f"{identity.aids[accessory]}"
        for accessory, shown in identity.shown.items()
        if accessory in names
        and accessory in identity.aids
        and names[accessory] != (shown.information.name, shown.names)
    }
    return replace(
        identity,
        names={
            topic: name
            for topic, name in identity.names.items()
            if topic.partition(".")[0] not in renamed
        },
    )


def _without_surplus(
    bridges: Iterable[Identity], accessories: Iterable[str]
) -> Iterable[Identity]:
    """The bridges without those of `accessories` that no bridge can hold beside others.

    Earlier versions gave aids on their only bridge without end, one configuration after
    the other.
    """
    wanted, live = set(accessories), Counter[int]()
    for number, bridge in enumerate(bridges):
        surplus = set()
        for accessory in sorted(bridge.aids, key=bridge.aids.__getitem__):
            if accessory in wanted and live[number] >= MOST_ACCESSORIES:
                surplus.add(accessory)
            live[number] += accessory in wanted
        yield bridge.without(surplus) if surplus else bridge
