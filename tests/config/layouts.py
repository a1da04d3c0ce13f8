"""Configuration files that are valid, and laid out in every way that JSON allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
sensors = st.fixed_dictionaries(
    {"accessory": st.sampled_from(["Hygrothermograph", "Hygrotermograph"])},
    optional={"lowBattery": st.integers(0, 100), "mqtt": plain},
)
lamps = st.fixed_dictionaries(
    {}, optional={"minLevel": st.integers(0, 99), "maxLevel": st.integers(100, 255)}
)
dimmers = st.fixed_dictionaries(
    {
        "accessory": st.just("Dimmer"),
        "channels": st.lists(lamps, min_size=1, max_size=2),
    },
    optional={"ramp": st.integers(0, 65535)},
)


def told_apart(number: int, entry: dict[str, Any]) -> dict[str, Any]:
    """`entry` with all that no other entry may have."""
    if entry["accessory"] == "Dimmer":
        lamps = [
            {"channel": channel, "name": f"Lamp {number}.{channel}", **lamp}
            for channel, lamp in enumerate(entry["channels"], 1)
        ]
        own = {"id": str(number), "port": f"p{number}", "channels": lamps}
    else:
        own = {"address": f"00:00:00:00:00:{number:02X}"}
    return {**entry, **own, "name": f"Ж寝ü {number}"}


documents = st.fixed_dictionaries(
    {
        "accessories": st.lists(sensors | dimmers, max_size=4).map(
            lambda entries: [told_apart(*each) for each in enumerate(entries)]
        )
    },
    optional={"platforms": plain, "description": st.text(), "bridge": st.just({})},
).flatmap(lambda document: st.permutations(list(document.items())).map(dict))


def laid_out(value: object, blank: Callable[[], str], ascii_only: bool) -> str:
    """`value` in JSON, with a `blank` wherever there may be one."""
    match value:
        case dict():
            parts = [
                f"{blank()}{json.dumps(key)}{blank()}:{blank()}"
                f"{laid_out(inner, blank, ascii_only)}{blank()}"
                for key, inner in value.items()
            ]
            return f"{{{','.join(parts) or blank()}}}"
        case list():
            parts = [
                f"{blank()}{laid_out(inner, blank, ascii_only)}{blank()}" for inner in value
            ]
            return f"[{','.join(parts) or blank()}]"
    return json.dumps(value, ensure_ascii=ascii_only)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Valid files, laid out as programs do it, or as nobody would."""
    document, ascii_only = draw(documents), draw(st.booleans())
    line_end = draw(st.sampled_from(["\n", "\r\n"]))
    if draw(st.booleans()):
        blanks = st.sampled_from(["", " ", "\t", line_end, f"{line_end}    "])
        text = laid_out(document, lambda: draw(blanks), ascii_only)
    else:
        indent = draw(st.sampled_from([None, 0, 2, 4, "\t"]))
        text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
        text = text.replace("\n", line_end)
    return (
        draw(st.sampled_from(["", "\ufeff"])) + text + draw(st.sampled_from(["", line_end]))
    )


def values(text: str) -> dict[str, Any]:
    """What a file says."""
    document: dict[str, Any] = json.loads(text.removeprefix("\ufeff"))
    return document
