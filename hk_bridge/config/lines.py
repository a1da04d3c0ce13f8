"""Where in the text of a JSON document each key and each list item stands."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TypeAlias

#: The keys and list indices that lead from the top of a document to a value.
Path: TypeAlias = tuple[str | int, ...]

#: What Python's parser takes for a number although JSON has no such thing.
NO_JSON_NUMBERS = frozenset(["NaN", "Infinity", "-Infinity"])

#: Every text, bracket, comma and colon of a JSON document, and what stands between.
WORD = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s"{}\[\],:]+')


@dataclass(slots=True)
class _Place:
    """A tree, and no table of paths: deep documents would make that quadratic."""

    offset: int
    inside: dict[str | int, _Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A key that its object already has; offsets are characters from the start."""

    path: Path
    first: int
    offset: int


@dataclass(frozen=True, slots=True)
class NoNumber:
    """One of `NO_JSON_NUMBERS` where a value should be."""

    path: Path
    offset: int
    word: str


class Positions:
    """Offsets and lines of everything in one JSON text that `json.loads` accepts.

    An object's member stands where its key stands, a list item where it begins. Of a
    repeated key the last one counts, as for `json.loads`.
    """

    def __init__(self, text: str) -> None:
        self.repeats: list[Repeat] = []
        self.no_numbers: list[NoNumber] = []
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._root = _Place(0)
        self._places: list[_Place] = []
        self._keys: list[str | int | None] = []
        for match in WORD.finditer(text):
            self._take(match[0], match.start())

    def nearest(self, path: Path) -> Path:
        """The longest part of `path` that exists in the document."""
        return path[: len(self._walk(path)) - 1]

    def offset(self, path: Path) -> int:
        """Characters before what `path` (or the longest existing part of it) names."""
        return self._walk(path)[-1].offset

    def line(self, offset: int) -> int:
        """The line of the character at `offset`, counted from 1."""
        return bisect_left(self._newlines, offset) + 1

    def _walk(self, path: Path) -> list[_Place]:
        steps = [self._root]
        for part in path:
            place = steps[-1].inside.get(part)
            if place is None:
                break
            steps.append(place)
        return steps

    def _take(self, word: str, offset: int) -> None:
        if word in "}]":
            self._places.pop()
            self._keys.pop()
        elif word == ",":
            last = self._keys[-1]
            self._keys[-1] = last + 1 if isinstance(last, int) else None
        elif self._keys and self._keys[-1] is None:
            self._take_key(printable_key(json.loads(word)), offset)
        elif word != ":":
            self._take_value(word, offset)

    def _take_key(self, key: str, offset: int) -> None:
        self._keys[-1] = key
        members = self._places[-1].inside
        if key in members:
            self.repeats.append(Repeat(self._path(), members[key].offset, offset))
        members[key] = _Place(offset)

    def _take_value(self, word: str, offset: int) -> None:
        place = self._place_of_value(offset)
        if word in "{[":
            self._places.append(place)
            self._keys.append(None if word == "{" else 0)
        elif word in NO_JSON_NUMBERS:
            self.no_numbers.append(NoNumber(self._path(), offset, word))

    def _place_of_value(self, offset: int) -> _Place:
        if not self._keys:
            self._root.offset = offset
            return self._root
        members, key = self._places[-1].inside, self._keys[-1]
        if isinstance(key, str):
            return members[key]
        place = members[key or 0] = _Place(offset)
        return place

    def _path(self) -> Path:
        return tuple(key for key in self._keys if key is not None)


def printable_key(key: str) -> str:
    """`key` with half characters (lone surrogates) spelled out, so that it is Unicode."""
    return key.encode("utf-8", "backslashreplace").decode("utf-8")
