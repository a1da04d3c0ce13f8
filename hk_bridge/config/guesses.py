"""What an accessory without a known type was meant to be.

Without a type nothing else of the entry could be checked, and a slip in one word would
hide every other one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hk_bridge.config.messages import TYPES, nearest
from hk_bridge.config.schema import Dimmer, Part, Sensor


def _keys_of(part: type[Part]) -> frozenset[str]:
    fields = part.model_fields.items()
    return frozenset((info.alias or key).casefold() for key, info in fields)


#: The keys that only one of the types has.
_OWN_KEYS: Mapping[str, frozenset[str]] = {
    "Hygrothermograph": _keys_of(Sensor) - _keys_of(Dimmer),
    "Dimmer": _keys_of(Dimmer) - _keys_of(Sensor),
}


def with_types(document: object, entries: Collection[int]) -> object:
    """A copy of `document` in which these entries of ``accessories`` have a type.

    An entry that nothing tells the type of is left as it is.
    """
    match document:
        case {"accessories": list(accessories), **rest}:
            guessed = [
                _typed(entry) if number in entries else entry
                for number, entry in enumerate(accessories)
            ]
            return {**rest, "accessories": guessed}
    return document


def _typed(entry: dict[str, object]) -> dict[str, object]:
    """With the type that is spelled most like it, else the one with most of the keys."""
    said = entry.get("accessory")
    near = nearest(said, TYPES) if isinstance(said, str) else None
    keys = {key.casefold() for key in entry}
    alike = {name: len(keys & own) for name, own in _OWN_KEYS.items()}
    if near is None and any(alike.values()):
        near = max(TYPES, key=alike.__getitem__)
    return entry if near is None else {**entry, "accessory": near}
