"""Text that is no JSON: where it goes wrong, and what a person most likely meant."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from hk_bridge.errors import Problem

_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True)
class _Hint:
    """Holds where the parser's `message` begins so and both sides of the error match.

    `before` is what precedes, without blanks, `here` what follows. With `earlier` the
    mistake is the last character before the place where the parser noticed it, and with
    `after` it is just behind that character.
    """

    text: str
    message: str = ""
    before: str = ""
    here: str = ""
    earlier: bool = False
    after: bool = False


_NO_COMMA = "Expecting ',' delimiter"
_NO_VALUE = "Expecting value"
_TOO_MANY = "one comma too many, delete it"
_UNCLOSED = 'the closing " of this text is missing'
_HINTS = (
    _Hint("JSON has no comments, delete this one", here=r"//|/\*|#"),
    _Hint(_TOO_MANY, before=r",\Z", here=r"[}\]]", earlier=True),
    _Hint(_TOO_MANY, here=r",\s*[}\]]"),
    _Hint(_TOO_MANY, before=r"[,\[{]\Z", here=","),
    _Hint('text stands in double quotes, as in "Room 1"', here="['`‘’“”„«]"),
    _Hint("the file ends too early, a closing } or ] is missing", here=r"\Z"),
    _Hint(_UNCLOSED, "Unterminated string"),
    _Hint(_UNCLOSED, "Invalid control character", here=r"[\r\n]"),
    _Hint("a text holds a tab or another control character", "Invalid control"),
    _Hint("in a text, a backslash is written twice: \\\\", "Invalid \\"),
    _Hint("a colon is missing between a key and its value", "Expecting ':'", after=True),
    _Hint("more follows after the end of the object, delete it", "Extra data"),
    _Hint("a number does not begin with 0", _NO_COMMA, r"(?<![\w.])0\Z", r"\w"),
    _Hint("another closing bracket was due here", _NO_COMMA, here=r"[}\]]"),
    _Hint("a comma is missing here", _NO_COMMA, here=r'["{\[\w-]', after=True),
    _Hint('a key stands in double quotes, as in "name"', "Expecting property", here=r"\w"),
    _Hint(
        "true, false and null are written in small letters",
        _NO_VALUE,
        here=r"(?i:true|false|null|none)\b",
    ),
    _Hint('text stands in double quotes, as in "Room 1"', _NO_VALUE, here=r"[^\W\d]"),
    _Hint("a value is missing here", _NO_VALUE, here=r"[,}\]]"),
    _Hint("a number is written like 0.5 or -3, without a plus", _NO_VALUE, here=r"[.+]"),
    _Hint("this is not JSON"),
)


def problem(error: json.JSONDecodeError) -> Problem:
    """What `json.loads` said, with a hint; nothing of the text itself is repeated."""
    text = error.doc
    before, here = text[: error.pos].rstrip(_BLANK), text[error.pos :]
    hint = next(hint for hint in _HINTS if _holds(hint, error.msg, before, here))
    place = error.pos
    if hint.earlier or hint.after:
        place = len(before) - hint.earlier
    line = text.count("\n", 0, place) + 1
    column = place - text.rfind("\n", 0, place)
    return Problem("", line, f"not JSON in line {line}, column {column}: {hint.text}")


def _holds(hint: _Hint, message: str, before: str, here: str) -> bool:
    return (
        message.startswith(hint.message)
        and re.search(hint.before, before[-2:]) is not None
        and re.match(hint.here, here) is not None
    )
