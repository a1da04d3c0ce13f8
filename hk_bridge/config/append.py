"""A new entry in accessories.json, of which everything else stays byte for byte.

The file is not written anew from its values: that would lose how its owner has laid it
out. The entry goes behind the last one, spaced and laid out as its neighbours are.
"""

from __future__ import annotations

import errno
import json
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from hk_bridge.config.lines import WORD, printable_key
from hk_bridge.config.reader import decoded, parse, read
from hk_bridge.errors import StoreError
from hk_bridge.files import replace

_NEW_FILE: Final = '{\n  "accessories": [\n  ]\n}\n'
_INDENT: Final = "  "
_LINE_START: Final = re.compile(r"(\r\n|\n|\r)([ \t]*)\Z")

#: Whoever saves the file in between is done long before the last of these.
_MOST_TRIES: Final = 100
_PAUSE_SECONDS: Final = 0.05

_FULL: Final = "there is no room left; how much there is, says: df -h {directory}"
_UNWRITABLE: Final = {
    errno.EACCES: "this user may not write it; who may, says: ls -ld {directory} {file}",
    errno.EPERM: "this user may not replace it and have its owner and group kept; which "
    "they are, says: ls -ld {directory} {file}",
    errno.EROFS: "its file system is read-only; which one, says: findmnt -T {directory}",
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ENOENT: "its directory is missing; make it: mkdir -p {directory}",
    errno.EBUSY: "the file is mounted by itself, as into a container; mount its directory",
}


@dataclass(slots=True)
class _Span:
    """Where a value stands; `inside` are its items, or its keys and values by turns."""

    start: int
    end: int
    inside: list[_Span] = field(default_factory=list)

    @property
    def members(self) -> Iterator[tuple[_Span, _Span]]:
        """The keys of an object, each with its value."""
        return zip(self.inside[::2], self.inside[1::2], strict=True)


class _Style(NamedTuple):
    """What stands around the keys and the values of an object, brackets and all."""

    first: str
    colon: str
    comma: str
    last: str


#: As in the accessories.json that hk-bridge comes with.
_SHIPPED: Final = _Style("{ ", ": ", ", ", " }")


def add(path: Path, entry: Mapping[str, object]) -> None:
    """Append `entry` to the accessories in the file at `path`, which it makes if missing.

    On return it is on the disk; whatever happens, the file is whole, with the entry or
    without, and what others save meanwhile is kept. The file keeps its owner and mode. Of
    a symlink, what it points to is replaced. Blocks for the disk, and for other writers.

    Raises `ConfigError` where the file, as it is or with the entry in it, is not one that
    `load` takes, and `StoreError` where it cannot be written.
    """
    file = str(path)
    for _ in range(_MOST_TRIES):
        old = _text(path)
        text = _NEW_FILE if old is None else old
        parse(text, file)
        new = appended(text, entry).encode("utf-8")
        parse(decoded(new, file), file)
        if _replaced(path, new, None if old is None else old.encode("utf-8")):
            return
        time.sleep(_PAUSE_SECONDS)
    raise StoreError(
        f"{path} cannot be written: another program changes it all the time, or keeps its "
        "directory locked; end that one, and try again"
    )


def appended(text: str, entry: Mapping[str, object]) -> str:
    """`text`, which `parse` takes, with `entry` behind the last of its accessories.

    Something is inserted in one place, and nothing else is changed.
    """
    place, insertion = _insertion(text, entry)
    return text[:place] + insertion + text[place:]


def _text(path: Path) -> str | None:
    """What stands in the file, None where there is none."""
    try:
        path.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        # What is wrong is said where it is read.
        pass
    return read(path)


def _replaced(path: Path, text: bytes, old: bytes | None) -> bool:
    file = path
    try:
        file = path.resolve()
        return replace(file, text, old)
    except OSError as error:
        words = _UNWRITABLE.get(error.errno or 0, error.strerror or str(error)).format(
            file=shlex.quote(str(file)), directory=shlex.quote(str(file.parent))
        )
        raise StoreError(f"{path} cannot be written: {words}") from error


def _insertion(text: str, entry: Mapping[str, object]) -> tuple[int, str]:
    """Where to insert what."""
    # Before the document there may be a byte order mark.
    document = _spans(text)[-1]
    before = document.start + 1
    for key, value in document.members:
        if _read(text, key) == "accessories":
            break
        before = value.end
    else:
        raise ValueError("a text without accessories")
    if value.inside:
        return value.inside[-1].end, _behind_others(text, value, entry)
    return _as_the_first(text, document, text[before : key.start], value, entry)


def _behind_others(text: str, accessories: _Span, entry: Mapping[str, object]) -> str:
    """The comma, what stands between entries in this file, and the entry."""
    items = accessories.inside
    style = _style(text, _most_like(text, items, entry))
    if len(items) > 1:
        separator = text[items[-2].end : items[-1].start]
    else:
        blank = text[accessories.start + 1 : items[0].start]
        separator = f",{blank}" if blank else _in_one_line(style).comma
    return separator + _written(entry, style)


def _most_like(text: str, items: list[_Span], entry: Mapping[str, object]) -> _Span:
    """The last of `items` with the type of `entry`, or else the last."""
    wanted = entry.get("accessory")
    alike = (item for item in reversed(items) if _type(text, item) == wanted)
    return next(alike, items[-1])


def _type(text: str, item: _Span) -> object:
    return next(
        _read(text, value) for key, value in item.members if _read(text, key) == "accessory"
    )


def _as_the_first(
    text: str, document: _Span, lead: str, accessories: _Span, entry: Mapping[str, object]
) -> tuple[int, str]:
    """Into an empty list, whose key has the blanks `lead` before it: where, and what."""
    start, end = accessories.start + 1, accessories.end - 1
    blank = text[start:end]
    key_line, last_line = _LINE_START.search(lead), _LINE_START.search(blank)
    if last_line:
        indent = key_line[2] if key_line else _INDENT
        return start, last_line[0] + indent + _written(entry, _SHIPPED)
    if key_line:
        return end, key_line[0] + key_line[2] + _written(entry, _SHIPPED) + key_line[0]
    style = _in_one_line(_style(text, document))
    if blank:
        return start, blank + _written(entry, style)
    pad = style.first[1:]
    return start, pad + _written(entry, style) + pad


def _style(text: str, thing: _Span) -> _Style:
    """How an object is laid out: over several lines only where each key begins one."""
    key, value, *others = thing.inside
    colon = text[key.end : value.start]
    style = _Style(
        first=text[thing.start : key.start],
        colon=colon,
        comma=text[value.end : others[0].start]
        if others
        else colon.lstrip().replace(":", ","),
        last=text[thing.inside[-1].end : thing.end],
    )
    return style if _has_line_break(style.comma) else _in_one_line(style)


def _in_one_line(style: _Style) -> _Style:
    return _Style(
        *(
            shipped if _has_line_break(own) else own
            for own, shipped in zip(style, _SHIPPED, strict=True)
        )
    )


def _has_line_break(blank: str) -> bool:
    return "\n" in blank or "\r" in blank


def _written(value: object, style: _Style = _SHIPPED) -> str:
    """`value` in JSON; an object in `style`, and what is in it in one line."""
    if isinstance(value, Mapping) and value:
        members = (
            _written(key) + style.colon + _written(inner) for key, inner in value.items()
        )
        return style.first + style.comma.join(members) + style.last
    if isinstance(value, list | tuple) and value:
        return f"[ {', '.join(map(_written, value))} ]"
    return printable_key(json.dumps(value, ensure_ascii=False))


def _read(text: str, span: _Span) -> object:
    return json.loads(text[span.start : span.end])


def _spans(text: str) -> list[_Span]:
    """What stands in `text`, which is JSON; by a stack, as it may be nested deep."""
    top = _Span(0, len(text))
    around = [top]
    for match in WORD.finditer(text):
        word = match[0]
        if word in ("}", "]"):
            around.pop().end = match.end()
        elif word not in (",", ":"):
            span = _Span(match.start(), match.end())
            around[-1].inside.append(span)
            if word in ("{", "["):
                around.append(span)
    return top.inside
