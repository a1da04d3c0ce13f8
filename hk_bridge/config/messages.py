"""What pydantic found wrong, in a person's words, and never with a secret in them."""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

from hk_bridge.config.fields import TRIVIAL_CODE
from hk_bridge.config.lines import Path
from hk_bridge.config.schema import file_schema
from hk_bridge.protocols.setup_code import parse_setup_code

TYPES = ("Hygrothermograph", "Dimmer")

_LONGEST_SHOWN = 40
_PLAIN_KEY = re.compile(r"[$A-Za-z_][$\w-]{0,39}", re.ASCII)
_LENGTHS_OF_KEYS = (24, 32)
_BIND_KEY = re.compile(r"[0-9A-Fa-f]{24}")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said about `path`."""

    path: Path
    text: str


def finding(details: ErrorDetails, document: object) -> Finding:
    """One error of pydantic about `document` as a finding.

    Whatever the type of the error is: what is not in the table is said as what was
    found and what is allowed.
    """
    error = _located(details["loc"], document)
    return _FINDINGS.get(details["type"], _refused)(error)


def written(path: Path) -> str:
    """`path` as a person writes it: ``accessories[0].channels[1].name``."""
    return "".join(map(_step, path)).removeprefix(".")


def shown(value: object) -> str:
    """`value` in JSON's notation, short, printable; no lists, no objects, no secrets."""
    return _SHOWN.get(type(value), lambda _: "something else")(value)


def looks_secret(text: str) -> bool:
    """Whether `text` could be a bind key or a setup code that went to a wrong place."""
    return bool(_BIND_KEY.search(text) or parse_setup_code(text))


def nearest(word: str, words: Sequence[str]) -> str | None:
    """The one of `words` that was meant by `word`, None where none comes close."""
    folded = {known.casefold(): known for known in words}
    close = get_close_matches(word.casefold()[:100], folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else None


@dataclass(frozen=True, slots=True)
class _Error:
    """`path` is the whole one, `schema` that of its last part which the schema knows."""

    path: Path
    schema: Mapping[str, Any]
    document: object

    @property
    def value(self) -> object:
        return value_at(self.document, self.path)


def value_at(document: object, path: Path) -> object:
    """What stands at `path`, or at the longest part of it that exists."""
    value = document
    for part in path:
        match value, part:
            case dict(), _ if part in value:
                value = value[part]
            case list(), int():
                value = value[part]
            case _:
                break
    return value


def _located(location: Sequence[str | int], document: object) -> _Error:
    """Pydantic puts the type of an accessory into its location: no part of the path."""
    path: list[str | int] = []
    schema: Mapping[str, Any] = file_schema()
    for part in location:
        if "discriminator" in schema:
            schema = _resolved({"$ref": schema["discriminator"]["mapping"][part]})
            continue
        path.append(part)
        below = schema.get("properties", {}).get(part) or schema.get("items")
        schema = _resolved(below) if below else schema
    return _Error(tuple(path), schema, document)


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference: str | None = schema.get("$ref")
    if reference is None:
        return schema
    definition: Mapping[str, Any] = file_schema()["$defs"][reference.rpartition("/")[2]]
    return definition


def _refused(error: _Error) -> Finding:
    found = _shown_secret if error.schema.get("writeOnly") else shown
    text = f"found {found(error.value)}, {_allowed(error.schema)}"
    return Finding(error.path, text)


def _missing(error: _Error) -> Finding:
    *above, key = error.path
    text = f'"{key}" is missing, {_allowed(error.schema)}'
    return Finding(tuple(above), text)


def _unknown_key(error: _Error) -> Finding:
    known = error.schema["properties"]
    useful = [key for key, schema in known.items() if not schema.get("deprecated")]
    near = nearest(str(error.path[-1]), [*known])
    text = f'did you mean "{near}"?' if near else f"allowed are {', '.join(useful)}"
    return Finding(error.path, f"unknown key, {text}")


def _no_type(error: _Error) -> Finding:
    return Finding(error.path, f'"accessory" is missing, {_one_of(TYPES)}')


def _unknown_type(error: _Error) -> Finding:
    path = (*error.path, "accessory")
    value = value_at(error.document, path)
    return Finding(path, _not_among(value, TYPES))


def _unknown_word(error: _Error) -> Finding:
    return Finding(error.path, _not_among(error.value, error.schema["enum"]))


def _trivial_code(error: _Error) -> Finding:
    text = (
        "found a code that HomeKit refuses because it is easy to guess; choose another "
        "one, or leave the key out and the bridge makes one"
    )
    return Finding(error.path, text)


_FINDINGS: dict[str, Callable[[_Error], Finding]] = {
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "union_tag_not_found": _no_type,
    "union_tag_invalid": _unknown_type,
    "literal_error": _unknown_word,
    TRIVIAL_CODE: _trivial_code,
}


def _not_among(value: object, words: Sequence[str]) -> str:
    near = nearest(value, words) if isinstance(value, str) else None
    question = f'did you mean "{near}"? ' if near else ""
    return f"found {shown(value)}, {question}{_one_of(words)}"


def _one_of(words: Sequence[str]) -> str:
    *others, last = (f'"{word}"' for word in words)
    return f"allowed is {', '.join(others)} or {last}"


def _allowed(schema: Mapping[str, Any]) -> str:
    message: str | None = schema.get("errorMessage")
    if message is not None:
        return message
    return f"allowed is {_WORDS[schema.get('type', 'object')](schema)}"


def _number(kind: str) -> Callable[[Mapping[str, Any]], str]:
    def words(schema: Mapping[str, Any]) -> str:
        low, high = schema["minimum"], schema["maximum"]
        if kind == "a whole number" and high - low == 1:
            return f"{low} or {high}"
        return f"{kind} from {low:.15g} to {high:.15g}"

    return words


def _text(schema: Mapping[str, Any]) -> str:
    if "maxLength" in schema:
        return f"a text of {schema['minLength']} to {schema['maxLength']} characters"
    return "a text that is not empty" if "minLength" in schema else "a text"


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "integer": _number("a whole number"),
    "number": _number("a number"),
    "string": _text,
    "boolean": lambda _: "true or false",
    "array": lambda _: "a list in [ ]",
    "object": lambda _: "an object in { }",
}


def _shown_text(value: str) -> str:
    if looks_secret(value):
        return f"a text of {len(value)} characters"
    text = "".join(
        character if character.isprintable() else json.dumps(character)[1:-1]
        for character in json.dumps(_cut(value), ensure_ascii=False)
    )
    return _cut(text) + '"' if len(text) > _LONGEST_SHOWN else text


def _shown_number(value: float) -> str:
    if math.isinf(value):
        return "a number that is too large"
    if math.isnan(value):
        return "NaN"
    return _cut(str(value).removesuffix(".0"))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


_SHOWN: dict[type, Callable[[Any], str]] = {
    str: _shown_text,
    bool: lambda value: "true" if value else "false",
    int: _shown_number,
    float: _shown_number,
    type(None): lambda _: "null",
    list: lambda value: "a list" if value else "an empty list",
    dict: lambda _: "an object",
}
_KINDS: dict[type, str] = {int: "a number", float: "a number"}


def _shown_secret(value: object) -> str:
    if not isinstance(value, str):
        return _KINDS.get(type(value)) or shown(value)
    strange = sum(character not in string.hexdigits for character in value)
    of_right_length = len(value) in _LENGTHS_OF_KEYS
    beside = f", {strange} of them no hexadecimal digit" if of_right_length else ""
    return f"{_counted(len(value), 'character')}{beside}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    plain = _PLAIN_KEY.fullmatch(part) and not looks_secret(part)
    return f".{part}" if plain else f"[{shown(part)}]"
