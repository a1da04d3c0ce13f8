"""Names as the Home app and Siri want them."""

from __future__ import annotations

import unicodedata

#: What stands in names often and can be said in a word, or written with a plain key.
_SPOKEN = str.maketrans({"&": " and ", "+": " and ", "’": "'", "‘": "'", "`": "'"})
_LETTERS_AND_DIGITS = ("L", "N")
_INSIDE_A_WORD = (*_LETTERS_AND_DIGITS, "M")


def is_welcome(name: str) -> bool:
    """Whether HomeKit's rule holds.

    Letters of any script, digits, spaces and apostrophes only; a letter or a digit at
    both ends (a letter may carry marks).
    """
    return bool(name) and name == _trimmed(name) and all(map(_is_allowed, name))


def suggestion(name: str) -> str:
    """The nearest welcome name, empty where nothing is left of `name`."""
    spoken = unicodedata.normalize("NFC", name).translate(_SPOKEN)
    kept = "".join(character if _is_allowed(character) else " " for character in spoken)
    return _trimmed(" ".join(kept.split()))


def comparable(name: str) -> str:
    """Equal for names that people and Siri take for the same."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def _is_allowed(character: str) -> bool:
    return character in " '" or unicodedata.category(character).startswith(_INSIDE_A_WORD)


def _trimmed(name: str) -> str:
    start, end = 0, len(name)
    while start < end and not _begins_a_word(name[start]):
        start += 1
    while end > start and not _ends_a_word(name[end - 1]):
        end -= 1
    return name[start:end]


def _begins_a_word(character: str) -> bool:
    return unicodedata.category(character).startswith(_LETTERS_AND_DIGITS)


def _ends_a_word(character: str) -> bool:
    return unicodedata.category(character).startswith(_INSIDE_A_WORD)
