"""A new entry in accessories.json, of which everything else stays byte for byte.

The file is not written anew from its values: that would lose how its owner has laid it
out. The entry goes behind the last one, spaced and laid out as its neighbours are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hk_bridge.config.layout import (
    SHIPPED,
    Span,
    document,
    in_one_line,
    keys,
    separator,
    style,
    value_at,
    written,
)
from hk_bridge.config.rewrite import rewrite

_NEW_FILE: Final = '{\n  "accessories": [\n  ]\n}\n'
_INDENT: Final = "  "
_LINE_START: Final = re.compile(r"(\r\n|\n|\r)([ \t]*)\Z")


def add(path: Path, entry: Mapping[str, object]) -> None:
    """Append `entry` to the accessories in the file at `path`, which it makes if missing.

    How the entry is laid out says `appended`, and what holds for the file, `rewrite`.

    Raises `ConfigError` where the file, as it is or with the entry in it, is not one that
    `load` takes, and `StoreError` where it cannot be written.
    """
    rewrite(path, lambda text: appended(text, entry), missing=_NEW_FILE)


def appended(text: str, entry: Mapping[str, object]) -> str:
    """`text`, which `parse` takes, with `entry` behind the last of its accessories.

    Something is inserted in one place, and nothing else is changed.
    """
    place, insertion = _insertion(text, entry)
    return text[:place] + insertion + text[place:]


def _insertion(text: str, entry: Mapping[str, object]) -> tuple[int, str]:
    """Where to insert what."""
    whole = document(text)
    before = whole.start + 1
    for key, value in whole.members:
        if value_at(text, key) == "accessories":
            break
        before = value.end
    else:
        raise ValueError("a text without accessories")
    if value.inside:
        return value.inside[-1].end, _behind_others(text, value, entry)
    return _as_the_first(text, whole, text[before : key.start], value, entry)


def _behind_others(text: str, accessories: Span, entry: Mapping[str, object]) -> str:
    """The comma, what stands between entries in this file, and the entry."""
    items = accessories.inside
    own = style(text, _most_like(text, items, entry))
    comma = separator(text, accessories, items, in_one_line(own).comma)
    return comma + written(entry, own)


def _most_like(text: str, items: list[Span], entry: Mapping[str, object]) -> Span:
    """The last of `items` with the type of `entry`, or else the last."""
    wanted = entry.get("accessory")
    alike = (item for item in reversed(items) if _type(text, item) == wanted)
    return next(alike, items[-1])


def _type(text: str, item: Span) -> object:
    return value_at(text, keys(text, item)["accessory"])


def _as_the_first(
    text: str, whole: Span, lead: str, accessories: Span, entry: Mapping[str, object]
) -> tuple[int, str]:
    """Into an empty list, whose key has the blanks `lead` before it: where, and what."""
    start, end = accessories.start + 1, accessories.end - 1
    blank = text[start:end]
    key_line, last_line = _LINE_START.search(lead), _LINE_START.search(blank)
    if last_line:
        indent = key_line[2] if key_line else _INDENT
        return start, last_line[0] + indent + written(entry, SHIPPED)
    if key_line:
        return end, key_line[0] + key_line[2] + written(entry, SHIPPED) + key_line[0]
    own = in_one_line(style(text, whole))
    if blank:
        return start, blank + written(entry, own)
    pad = own.first[1:]
    return start, pad + written(entry, own) + pad
