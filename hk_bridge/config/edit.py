"""Other values in one object of accessories.json, of which all else stays byte for byte.

As `append` does, this leaves the layout of the file to its owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from hk_bridge.config.layout import (
    SHIPPED,
    Span,
    Style,
    document,
    has_line_break,
    in_one_line,
    keys,
    separator,
    style,
    value_at,
    written,
)
from hk_bridge.config.rewrite import rewrite
from hk_bridge.errors import StoreError

#: The keys that lead from the top of the file to an object. An item of a list is named by
#: values that stand in it: ``("accessories", {"port": "/dev/ttyUSB0"})``. Its index would
#: be another one's as soon as somebody puts an entry before it.
Where: TypeAlias = tuple[str | Mapping[str, object], ...]


def change(path: Path, where: Where, values: Mapping[str, object]) -> None:
    """Set the keys in `values` in one object of the file at `path`; None removes a key.

    A lamp is ``("accessories", {"port": port}, "channels", {"channel": channel})``, with
    the port as the file spells it. It is looked for in the very text that is replaced:
    whatever became of the file since the caller has read it, no other lamp is changed.
    How the object is laid out says `changed`, and what holds for the file, `rewrite`.
    `where` is repeated in messages: name nothing by a secret.

    Raises `ConfigError` where the file, as it is or with the new values, is not one that
    `load` takes, and `StoreError` where the object is not in it any more, or it cannot be
    written.
    """

    def new(text: str) -> str:
        done = changed(text, where, values)
        if done is None:
            raise StoreError(
                f"{path} was not changed: it has no {_spelled(where)} any more; somebody "
                "edited it meanwhile, look at it and start again"
            )
        return done

    rewrite(path, new)


def changed(text: str, where: Where, values: Mapping[str, object]) -> str | None:
    """`text`, which `parse` takes, with `values` in the first object that `where` names.

    A key that is there gets its new value in its place. A new one goes behind the last
    one, spaced as that is from the one before it. One with None goes, and its comma with
    it. An object that was empty is written in one line. None where there is no such object.
    """
    whole = document(text)
    place = _found(text, whole, where)
    if place is None:
        return None
    alone = in_one_line(style(text, whole))
    inner = text[place.start : place.end]
    # Removed last: until then each new key has the neighbours that it had in the file.
    for key, value in sorted(values.items(), key=lambda item: item[1] is None):
        inner = _without(inner, key) if value is None else _with(inner, key, value, alone)
    return text[: place.start] + inner + text[place.end :]


def _found(text: str, whole: Span, where: Where) -> Span | None:
    places = [whole]
    for step in where:
        places = [inner for place in places for inner in _inside(text, place, step)]
    return next((place for place in places if text[place.start] == "{"), None)


def _inside(text: str, place: Span, step: str | Mapping[str, object]) -> Iterator[Span]:
    """What one step of a `Where` leads to."""
    if isinstance(step, str):
        members = keys(text, place)
        if step in members:
            yield members[step]
    elif text[place.start] == "[":
        for item in place.inside:
            members = keys(text, item)
            if step.keys() <= members.keys() and all(
                value_at(text, members[key]) == value for key, value in step.items()
            ):
                yield item


def _with(text: str, key: str, value: object, alone: Style) -> str:
    """The object that is `text`, with `key`, which is laid out as `alone` if it is that."""
    thing = document(text)
    if not thing.inside:
        return written({key: value}, alone)
    old = keys(text, thing).get(key)
    if old is not None:
        return text[: old.start] + written(value) + text[old.end :]
    *_, (last_key, last) = thing.members
    comma = separator(text, thing, _items(thing), in_one_line(style(text, thing)).comma)
    colon = text[last_key.end : last.start]
    if has_line_break(colon):
        colon = SHIPPED.colon
    member = comma + written(key) + colon + written(value)
    return text[: last.end] + member + text[last.end :]


def _without(text: str, key: str) -> str:
    """The object that is `text`, without `key`, its value, and one comma with its blanks.

    It is the comma behind, or the one before where the one behind ends a line: what
    begins a line goes on to do so.
    """
    thing = document(text)
    names = list(keys(text, thing))
    if key not in names:
        return text
    if len(names) == 1:
        return "{}"
    items, at = _items(thing), names.index(key)
    own, behind = items[at], items[at + 1 :]
    if behind and not (at and has_line_break(text[own.end : behind[0].start])):
        return text[: own.start] + text[behind[0].start :]
    return text[: items[at - 1].end] + text[own.end :]


def _items(thing: Span) -> list[Span]:
    """The members of an object, each from its key to the end of its value."""
    return [Span(key.start, value.end) for key, value in thing.members]


def _spelled(where: Where) -> str:
    """`where` for a person: ``accessories[port: "/dev/ttyUSB0"].channels[channel: 1]``."""
    return "".join(map(_step, where)).removeprefix(".")


def _step(step: str | Mapping[str, object]) -> str:
    if isinstance(step, str):
        return f".{step}"
    return f"[{', '.join(f'{key}: {written(value)}' for key, value in step.items())}]"
