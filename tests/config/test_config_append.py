"""A new entry in the text of a file: one insertion, laid out as what stands there."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.config import appended, parse
from tests.config.layouts import texts, values

ENTRY = {"accessory": "Hygrothermograph", "name": "N", "address": "4c:64:a8:d0:ae:65"}
#: The entry as it is written in one line.
E = '{ "accessory": "Hygrothermograph", "name": "N", "address": "4c:64:a8:d0:ae:65" }'
#: And without blanks inside of the brackets.
TIGHT = E.replace("{ ", "{").replace(" }", "}")
A = '{ "accessory": "Hygrothermograph", "name": "A", "address": "00:00:00:00:00:0A" }'
B = '{ "accessory": "Hygrothermograph", "name": "B", "address": "00:00:00:00:00:0B" }'
TIGHT_A = A.replace("{ ", "{").replace(" }", "}")
MINIFIED_A, MINIFIED = A.replace(" ", ""), E.replace(" ", "")
LAMP = (
    '{ "accessory": "Dimmer", "name": "D", "port": "p",\n'
    '      "channels": [ { "channel": 1, "name": "L" } ] }'
)

#: A file, with « » around what is inserted.
STYLES = {
    "the shipped one": f'{{\n  "accessories": [\n    {A},\n    {B}«,\n    {E}»\n  ]\n}}\n',
    "one entry": f'{{\n  "accessories": [\n    {A}«,\n    {E}»\n  ]\n}}\n',
    "no line break at the end": f'{{\n  "accessories": [\n    {A}«,\n    {E}»\n  ]\n}}',
    "a tab for each level": f'{{\n\t"accessories": [\n\t\t{A}«,\n\t\t{E}»\n\t]\n}}\n',
    "lines that end with CRLF": (
        f'{{\r\n  "accessories": [\r\n    {A}«,\r\n    {E}»\r\n  ]\r\n}}\r\n'
    ),
    "a byte order mark": f'\ufeff{{ "accessories": [\n{A}«,\n{E}»\n] }}',
    "a list in one line": f'{{ "accessories": [ {A}«, {E}» ] }}',
    "two entries in one line": f'{{ "accessories": [ {A},  {B}«,  {E}» ] }}',
    "no blanks inside of brackets": f'{{"accessories": [{TIGHT_A}«, {TIGHT}»]}}',
    "no blanks at all": f'{{"accessories":[{MINIFIED_A}«,{MINIFIED}»]}}\n',
    "brackets that hug the list": (
        '{\n  "accessories": [{\n    "accessory": "Hygrothermograph",\n    "name": "A"\n  }'
        '«, {\n    "accessory": "Hygrothermograph",\n    "name": "N",\n'
        '    "address": "4c:64:a8:d0:ae:65"\n  }»]\n}\n'
    ),
    "a comma before each entry": f'{{ "accessories": [\n    {A}\n  , {B}«\n  , {E}»\n] }}',
    "a blank line between entries": f'{{ "accessories": [\n{A},\n\n{B}«,\n\n{E}»\n] }}',
    "the list before other keys": f'{{ "accessories": [\n{A}«,\n{E}»\n], "bridge": {{}} }}',
    "a dimmer last": f'{{ "accessories": [\n    {A},\n    {LAMP}«,\n    {E}»\n  ] }}',
    "a dimmer alone": f'{{ "accessories": [\n    {LAMP}«,\n    {E}»\n  ] }}',
    "one key a line": (
        '{ "accessories": [\r\n\t{\r\n\t\t"accessory" : "Hygrothermograph",\r\n'
        '\t\t"name" : "A"\r\n\t}«,\r\n\t{\r\n\t\t"accessory" : "Hygrothermograph",\r\n'
        '\t\t"name" : "N",\r\n\t\t"address" : "4c:64:a8:d0:ae:65"\r\n\t}»\r\n] }'
    ),
    "one key a line, the first beside the bracket": (
        '{ "accessories": [\n{ "accessory": "Hygrothermograph",\n  "name": "A" }«,\n'
        '{ "accessory": "Hygrothermograph",\n  "name": "N",\n'
        '  "address": "4c:64:a8:d0:ae:65" }»\n] }'
    ),
    "a line for each bracket, and one for all keys": (
        '{ "accessories": [\n{\n  "accessory": "Hygrothermograph", "name": "A"\n}«,\n'
        f"{E}»\n] }}"
    ),
    "sensors in one line and a dimmer in many": (
        f'{{ "accessories": [\n{A},\n{{\n  "accessory": "Dimmer",\n  "name": "D",\n'
        '  "port": "p",\n  "channels": [\n    { "channel": 1, "name": "L" }\n  ]\n}«,\n'
        f"{E}»\n] }}"
    ),
    "an empty list": f'{{\n  "accessories": [«\n    {E}\n  »]\n}}\n',
    "an empty list with a blank in it": f'{{\n  "accessories": [ «\n    {E}\n  »]\n}}\n',
    "an empty list over two lines": f'{{\n  "accessories": [«\n    {E}»\n  ]\n}}\n',
    "an empty list, CRLF and tabs": (
        f'{{\r\n\t"bridge": {{}},\r\n\t"accessories": [«\r\n\t\t{E}\r\n\t»]\r\n}}\r\n'
    ),
    "an empty list over two lines, CRLF and tabs": (
        f'{{\r\n\t"accessories": [«\r\n\t\t{E}»\r\n\t]\r\n}}\r\n'
    ),
    "an empty list without indents": f'{{\n"accessories": [«\n{E}\n»]\n}}\n',
    "an empty list over two lines in one object": f'{{ "accessories": [«\n  {E}»\n] }}',
    "an empty list in one line": f'{{ "accessories": [« {E} »] }}',
    "an empty list with a blank in one line": f'{{ "accessories": [« {E}» ] }}',
    "an empty list without blanks inside of brackets": f'{{"accessories": [«{TIGHT}»]}}',
    "an empty list without any blank": f'{{"bridge":{{}},"accessories":[«{MINIFIED}»]}}',
    "an empty list behind a colon with a blank": (
        f'{{ "accessories" :[« {E.replace(": ", " :").replace(", ", ",")} »] }}'
    ),
    "an empty list in the one line of several": (
        f'{{\n  "bridge": {{}}, "accessories": [« {E} »]\n}}\n'
    ),
    "lists of the same name elsewhere": (
        '{ "platforms": [{ "accessories": [1] }], "mdns": { "accessories": [] },\n'
        f'  "accessories": [ {A}«, {E}» ],\n  "plugins": {{ "accessories": [2] }} }}'
    ),
    "a key in escapes": f'{{ "\\u0061ccessories": [ {A}«, {E}» ] }}',
    "brackets and quotes in texts": (
        f'{{ "description": "]}}\\"accessories\\": [\\\\", "accessories": [ {A}«, {E}» ] }}'
    ).replace('"A"', '"]}\\""'),
}


@pytest.mark.parametrize("marked", STYLES.values(), ids=STYLES.keys())
def test_an_entry_is_laid_out_as_the_file_is(marked: str) -> None:
    before, _, rest = marked.partition("«")
    inserted, _, after = rest.partition("»")
    assert appended(before + after, ENTRY) == before + inserted + after


def test_the_sample_gets_a_fourth_line_like_its_others() -> None:
    sample = (Path(__file__).parents[2] / "accessories.json").read_text(encoding="utf-8")
    *lines, last, bracket, brace = sample.splitlines()
    expected = [*lines, f"{last},", f"    {E}", bracket, brace, ""]
    assert appended(sample, ENTRY) == "\n".join(expected)


def test_several_entries_make_the_list_that_a_person_would_write() -> None:
    text = '{\n  "accessories": []\n}\n'
    for number in range(3):
        text = appended(text, {**ENTRY, "name": f"N{number}", "address": number})
    lines = [
        E.replace('"N"', f'"N{n}"').replace('"4c:64:a8:d0:ae:65"', str(n)) for n in range(3)
    ]
    assert text == '{\n  "accessories": [\n    ' + ",\n    ".join(lines) + "\n  ]\n}\n"


@pytest.mark.parametrize("name", ["Küche", "寝室", "नमस्ते", "🍳", "\u2028", "\ufeff", "é"])
def test_names_are_written_as_they_are(name: str) -> None:
    assert f'"name": "{name}"' in appended('{"accessories": []}', {**ENTRY, "name": name})


@pytest.mark.parametrize("name", ['"', "\\", "\n", "\0", "\ud800"])
def test_what_cannot_stand_in_a_file_as_it_is_is_escaped(name: str) -> None:
    text = appended('{"accessories": []}', {**ENTRY, "name": name})
    assert json.loads(text.encode())["accessories"][0]["name"] == name


def test_a_dimmer_is_written_with_its_channels_in_its_line() -> None:
    dimmer = {
        "accessory": "Dimmer",
        "name": "D",
        "port": "p",
        "ramp": 0,
        "channels": [{"channel": 1, "name": "L"}, {"channel": 2, "name": "M"}],
    }
    expected = (
        '{ "accessory": "Dimmer", "name": "D", "port": "p", "ramp": 0, "channels": '
        '[ { "channel": 1, "name": "L" }, { "channel": 2, "name": "M" } ] }'
    )
    assert expected in appended(f'{{ "accessories": [ {A} ] }}', dimmer)


def test_what_is_nested_as_deep_as_can_be_read_is_no_obstacle() -> None:
    depth = 900
    deep = "[" * depth + "]" * depth
    item = f'{{ "accessory": "Hygrothermograph", "name": "A", "mqtt": {deep} }}'
    text = f'{{ "platforms": {deep}, "accessories": [ {item} ] }}'
    assert parse(text, "f").sensors
    assert appended(text, ENTRY) == text.replace("} ] }", f"}}, {E} ] }}")


entries = st.fixed_dictionaries(
    {
        "accessory": st.just("Hygrothermograph"),
        "name": st.text('aй🍳"\\\u2028', max_size=63).map("N{}".format),
    },
    optional={
        "timeout": st.integers(0, 9) | st.floats(0, 9),
        "bindKey": st.just("00" * 16),
    },
).map(lambda keys: {**keys, "address": "FF:FF:FF:FF:FF:FF"})


@pytest.mark.no_cover
@given(texts(), entries)
def test_in_any_layout_something_is_inserted_and_nothing_changed(
    text: str, entry: dict[str, Any]
) -> None:
    new = appended(text, entry)
    size = len(new) - len(text)
    # It shares its last bracket with the entry before it: of two readings, the later one.
    before = max(n for n in range(len(new)) if new[:n] + new[n + size :] == text)
    inserted = new[before : before + size]
    # What is inserted is the entry, with a comma at most, and blanks.
    own = inserted[inserted.index("{") : inserted.rindex("}") + 1]
    assert json.loads(own) == entry
    assert inserted.replace(own, "").strip() in ("", ",")
    # Lines end as they did.
    assert ("\r\n" in text) or ("\r" not in inserted)
    assert inserted.count("\n") == inserted.count("\r\n") or "\r" not in text


@given(texts(), entries)
def test_in_any_layout_the_entry_is_the_last_one_and_all_else_is_as_it_was(
    text: str, entry: dict[str, Any]
) -> None:
    old, new = values(text), values(appended(text, entry))
    assert new == {**old, "accessories": [*old["accessories"], entry]}
    assert [*new] == [*old]
    before, after = parse(text, "f"), parse(appended(text, entry), "f")
    *others, last = after.sensors
    assert (tuple(others), after.dimmers) == (before.sensors, before.dimmers)
    assert (last.name, last.address) == (entry["name"], entry["address"])


@pytest.mark.no_cover
@given(texts(), st.integers(2, 5))
def test_one_entry_after_the_other_can_be_appended(text: str, count: int) -> None:
    old = values(text)["accessories"]
    for number in range(count):
        text = appended(text, {**ENTRY, "name": f"N{number}"})
    names = [each["name"] for each in values(text)["accessories"]]
    assert names == [each["name"] for each in old] + [f"N{n}" for n in range(count)]
