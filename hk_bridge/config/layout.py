"""How a JSON text is laid out: where its values stand, and what stands between them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from hk_bridge.config.lines import WORD, printable_key


@dataclass(slots=True)
class Span:
    """Where a value stands; `inside` are its items, or its keys and values by turns.

    Both ends are offsets in characters from the start of the text.
    """

    start: int
    end: int
    inside: list[Span] = field(default_factory=list)

    @property
    def members(self) -> Iterator[tuple[Span, Span]]:
        """The keys of an object, each with its value."""
        return zip(self.inside[::2], self.inside[1::2], strict=True)


class Style(NamedTuple):
    """What stands around the keys and the values of an object, brackets and all."""

    first: str
    colon: str
    comma: str
    last: str


#: As in the accessories.json that hk-bridge comes with.
SHIPPED: Final = Style("{ ", ": ", ", ", " }")


def document(text: str) -> Span:
    """What `text` holds, which is JSON, perhaps behind a byte order mark."""
    top = Span(0, len(text))
    # A stack, as it may be nested deep.
    around = [top]
    for match in WORD.finditer(text):
        word = match[0]
        if word in ("}", "]"):
            around.pop().end = match.end()
        elif word not in (",", ":"):
            span = Span(match.start(), match.end())
            around[-1].inside.append(span)
            if word in ("{", "["):
                around.append(span)
    return top.inside[-1]


def value_at(text: str, span: Span) -> object:
    """The value of what stands at `span`."""
    return json.loads(text[span.start : span.end])


def keys(text: str, thing: Span) -> dict[object, Span]:
    """The values of an object by their keys; none where `thing` is no object."""
    if text[thing.start] != "{":
        return {}
    return {value_at(text, key): value for key, value in thing.members}


def style(text: str, thing: Span) -> Style:
    """How an object is laid out: over several lines only where each key begins one."""
    key, value, *others = thing.inside
    colon = text[key.end : value.start]
    own = Style(
        first=text[thing.start : key.start],
        colon=colon,
        comma=text[value.end : others[0].start]
        if others
        else colon.lstrip().replace(":", ","),
        last=text[thing.inside[-1].end : thing.end],
    )
    return own if has_line_break(own.comma) else in_one_line(own)


def in_one_line(style: Style) -> Style:
    """`style`, with what the shipped file has for all that breaks a line."""
    return Style(
        *(
            shipped if has_line_break(own) else own
            for own, shipped in zip(style, SHIPPED, strict=True)
        )
    )


def has_line_break(blank: str) -> bool:
    """Whether a line ends in `blank`."""
    return "\n" in blank or "\r" in blank


def separator(text: str, thing: Span, items: Sequence[Span], comma: str) -> str:
    """What stands between the last two `items` of `thing`, or would: comma and blanks.

    With a single item it is made from the blank before that, and is `comma` without one.
    """
    if len(items) > 1:
        return text[items[-2].end : items[-1].start]
    blank = text[thing.start + 1 : items[0].start]
    return f",{blank}" if blank else comma


def written(value: object, style: Style = SHIPPED) -> str:
    """`value` in JSON; an object in `style`, and what is in it in one line."""
    if isinstance(value, Mapping) and value:
        members = (
            written(key) + style.colon + written(inner) for key, inner in value.items()
        )
        return style.first + style.comma.join(members) + style.last
    if isinstance(value, list | tuple) and value:
        return f"[ {', '.join(map(written, value))} ]"
    return printable_key(json.dumps(value, ensure_ascii=False))
