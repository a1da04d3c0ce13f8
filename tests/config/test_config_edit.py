"""Other values in one object of a file, of which all else stays as it is."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hk_bridge.config import add, change, changed, load, parse
from hk_bridge.config.edit import Where
from hk_bridge.config.lines import Path as ConfigPath
from hk_bridge.config.lines import Positions
from hk_bridge.errors import ConfigError, StoreError
from tests.config.layouts import texts, values
from tests.fakes.faults import FaultyOs, failing

SAMPLE = (Path(__file__).parents[2] / "accessories.json").read_bytes()


def lamp(port: str, channel: int) -> Where:
    return ("accessories", {"port": port}, "channels", {"channel": channel})


MIRROR = lamp("/dev/ttyUSB0", 2)
LEVELS = {"minLevel": 12, "maxLevel": 200}
PLAIN = b'{ "channel": 2, "name": "Mirror Light" }'
WITH_LEVELS = SAMPLE.replace(
    PLAIN, b'{ "channel": 2, "name": "Mirror Light", "minLevel": 12, "maxLevel": 200 }'
)

# -- the text -----------------------------------------------------------------------------

#: One object, what is set in it, and the object that a person would have made of it.
LAYOUTS: dict[str, tuple[str, dict[str, object], str]] = {
    "new keys in one line": (
        '{ "channel": 1, "name": "L" }',
        {"minLevel": 5, "maxLevel": 9},
        '{ "channel": 1, "name": "L", "minLevel": 5, "maxLevel": 9 }',
    ),
    "new keys without blanks inside of brackets": (
        '{"channel": 1, "name": "L"}',
        {"minLevel": 5, "maxLevel": 9},
        '{"channel": 1, "name": "L", "minLevel": 5, "maxLevel": 9}',
    ),
    "new keys without any blank": (
        '{"channel":1,"name":"L"}',
        {"minLevel": 5, "maxLevel": 9},
        '{"channel":1,"name":"L","minLevel":5,"maxLevel":9}',
    ),
    "a new key behind the only one": (
        '{ "channel" :1 }',
        {"a": 5},
        '{ "channel" :1, "a" :5 }',
    ),
    "a new key behind the only one without blanks inside of brackets": (
        '{"channel": 1}',
        {"a": 5},
        '{"channel": 1, "a": 5}',
    ),
    "a new key behind the only one without any blank": (
        '{"channel":1}',
        {"a": 5},
        '{"channel":1,"a":5}',
    ),
    "a new key behind the only one in a line of its own": (
        '{\n\t"channel": 1\n}',
        {"a": 5},
        '{\n\t"channel": 1,\n\t"a": 5\n}',
    ),
    "one key a line": (
        '{\n        "channel": 1,\n        "name": "L"\n      }',
        {"minLevel": 5, "maxLevel": 9},
        (
            '{\n        "channel": 1,\n        "name": "L",\n        "minLevel": 5,\n'
            '        "maxLevel": 9\n      }'
        ),
    ),
    "one key a line, CRLF and tabs": (
        '{\r\n\t"channel" : 1,\r\n\t"name" : "L"\r\n}',
        {"minLevel": 5},
        '{\r\n\t"channel" : 1,\r\n\t"name" : "L",\r\n\t"minLevel" : 5\r\n}',
    ),
    "one key a line, the first beside the bracket": (
        '{ "channel": 1,\n  "name": "L" }',
        {"minLevel": 5},
        '{ "channel": 1,\n  "name": "L",\n  "minLevel": 5 }',
    ),
    "a comma before each key": (
        '{ "channel": 1\n, "name": "L"\n}',
        {"minLevel": 5},
        '{ "channel": 1\n, "name": "L"\n, "minLevel": 5\n}',
    ),
    "a line for each bracket, and one for all keys": (
        '{\n  "channel": 1, "name": "L"\n}',
        {"minLevel": 5},
        '{\n  "channel": 1, "name": "L", "minLevel": 5\n}',
    ),
    "a colon that ends a line": (
        '{ "channel": 1, "name":\n  "L" }',
        {"minLevel": 5},
        '{ "channel": 1, "name":\n  "L", "minLevel": 5 }',
    ),
    "a colon that ends a line, and a bracket that hugs its key": (
        '{"channel":\n1}',
        {"a": 5},
        '{"channel":\n1, "a": 5}',
    ),
    "other values in their places": (
        '{"minLevel" :1,\n "channel": 1,"maxLevel":  255 , "name": "L"}',
        {"maxLevel": 9, "minLevel": 5},
        '{"minLevel" :5,\n "channel": 1,"maxLevel":  9 , "name": "L"}',
    ),
    "one value in its place and one behind": (
        '{ "maxLevel": 255, "name": "L" }',
        {"minLevel": 5, "maxLevel": 9},
        '{ "maxLevel": 9, "name": "L", "minLevel": 5 }',
    ),
    "a key in escapes": ('{ "\\u0061": 1, "b": 2 }', {"a": 5}, '{ "\\u0061": 5, "b": 2 }'),
    "a text, a list and an object": (
        '{ "a": [ 1, { "a": 2 } ], "b": { "a": 3 } }',
        {"b": 'ü"', "a": {"c": [1, "d"]}},
        '{ "a": { "c": [ 1, "d" ] }, "b": "ü\\"" }',
    ),
    "a text instead of a list": (
        '{ "a": [ "a", 2 ], "b": 3 }',
        {"a": "x"},
        '{ "a": "x", "b": 3 }',
    ),
    "without the first": ('{ "a": 1, "b": 2 }', {"a": None}, '{ "b": 2 }'),
    "without the last": ('{ "a": 1, "b": [ 2 ] }', {"b": None}, '{ "a": 1 }'),
    "without one in the middle": (
        '{ "a": 1, "b": 2, "c": 3 }',
        {"b": None},
        '{ "a": 1, "c": 3 }',
    ),
    "without the only one": ('{ "a": 1 }', {"a": None}, "{}"),
    "without any": ('{\n  "a": 1,\n  "b": 2\n}', {"a": None, "b": None}, "{}"),
    "without one that is not there": ('{ "a": 1 }', {"b": None}, '{ "a": 1 }'),
    "without the first line": ('{\n  "a": 1,\n  "b": 2\n}', {"a": None}, '{\n  "b": 2\n}'),
    "without the last line": ('{\n  "a": 1,\n  "b": 2\n}', {"b": None}, '{\n  "a": 1\n}'),
    "without a line in the middle": (
        '{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}',
        {"b": None},
        '{\n  "a": 1,\n  "c": 3\n}',
    ),
    "without a line in the middle, a comma before each": (
        '{ "a": 1\n, "b": 2\n, "c": 3\n}',
        {"b": None},
        '{ "a": 1\n, "c": 3\n}',
    ),
    "without the first of the second line": (
        '{ "a": 1,\n  "b": 2, "c": 3 }',
        {"b": None},
        '{ "a": 1,\n  "c": 3 }',
    ),
    "without the last of the first line": (
        '{ "a": 1, "b": 2,\n  "c": 3 }',
        {"b": None},
        '{ "a": 1,\n  "c": 3 }',
    ),
    "one for the other": ('{ "a":1 }', {"a": None, "b": 2}, '{ "b":2 }'),
    "nothing": ('{ "a":1 }', {}, '{ "a":1 }'),
}


@pytest.mark.parametrize(
    "around", ['{ "x": [ 0, %s, { "a": 0 } ] }\n', '\ufeff{\n"x" : [%s]}']
)
@pytest.mark.parametrize(("before", "given", "after"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_an_object_is_changed_as_a_person_would_do_it(
    around: str, before: str, given: dict[str, object], after: str
) -> None:
    first = {key: value for key, value in json.loads(before).items() if key == "a"}
    where = ("x", {"channel": 1} if "channel" in before else first)
    assert changed(around % before, where, given) == around % after


NAMED = '{ "b": {A}, "l": [ {"n": 1B}, {"n": 2, "m": 1C}, {"n": 2} ]D }'


@pytest.mark.parametrize(
    ("where", "place", "inserted"),
    [
        ((), "D", ', "k": 5'),
        (("b",), "A", ' "k": 5 '),
        (("l", {"n": 1}), "B", ', "k": 5'),
        (("l", {"n": 2}), "C", ', "k": 5'),
        (("l", {"m": 1, "n": 2}), "C", ', "k": 5'),
        (("l", {"m": 1}), "C", ', "k": 5'),
    ],
)
def test_an_object_is_named_by_keys_and_by_what_stands_in_it(
    where: Where, place: str, inserted: str
) -> None:
    text = expected = NAMED
    for letter in "ABCD":
        text = text.replace(letter, "")
        expected = expected.replace(letter, inserted if letter == place else "")
    assert changed(text, where, {"k": 5}) == expected


@pytest.mark.parametrize(
    "where",
    [
        ("l", {"n": 3}),
        ("l", {"n": 1, "m": 1}),
        ("l", {"x": 1}),
        ("l", "n"),
        ("l",),
        ("x",),
        ({"n": 1},),
        ("b", {"n": 1}),
        ("b", {}),
        ("l", {"n": 1}, "n"),
        ("l", {"n": 1}, "n", "k"),
    ],
)
def test_what_is_not_there_or_no_object_is_not_changed(where: Where) -> None:
    text = '{ "b": {"n": {"n": 1}}, "l": [ {"n": 1}, {"n": 2, "m": 1}, {"n": 2}, [], 1 ] }'
    assert changed(text, where, {"k": 5}) is None


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('{"b":{},"accessories":[]}', '{"b":{"k":5},"accessories":[]}'),
        ('{\n\t"b" : {\n\t},\n\t"c": 1\n}', '{\n\t"b" : { "k" : 5 },\n\t"c": 1\n}'),
    ],
)
def test_an_object_that_was_empty_is_written_as_the_document_is(
    text: str, after: str
) -> None:
    assert changed(text, ("b",), {"k": 5}) == after


def test_the_object_may_lose_what_it_was_named_by() -> None:
    text = '{ "l": [ { "n": 1, "m": 2 } ] }'
    given = {"n": None, "m": 3, "o": 4}
    assert changed(text, ("l", {"n": 1}), given) == '{ "l": [ { "m": 3, "o": 4 } ] }'


def test_what_is_nested_as_deep_as_can_be_read_is_no_obstacle() -> None:
    deep = "[" * 900 + "]" * 900
    text = SAMPLE.decode().replace('"name": "Room 1"', f'"name": "Room 1", "mqtt": {deep}')
    assert parse(text, "f").sensors
    expected = WITH_LEVELS.decode().replace(
        '"name": "Room 1"', f'"name": "Room 1", "mqtt": {deep}'
    )
    assert changed(text, MIRROR, LEVELS) == expected


def objects(text: str) -> list[tuple[Where, ConfigPath]]:
    """Every object of a file that a caller may name, and where it stands."""
    document = values(text)
    found: list[tuple[Where, ConfigPath]] = [((), ())]
    if "bridge" in document:
        found.append((("bridge",), ("bridge",)))
    for index, entry in enumerate(document["accessories"]):
        found.append((("accessories", {"name": entry["name"]}), ("accessories", index)))
        found += [
            (lamp(entry["port"], each["channel"]), ("accessories", index, "channels", at))
            for at, each in enumerate(entry.get("channels", []))
        ]
    return found


def at(document: Any, path: ConfigPath) -> dict[str, Any]:
    for step in path:
        document = document[step]
    assert isinstance(document, dict)
    return document


def ends(text: str, path: ConfigPath) -> tuple[int, int]:
    """Where an object begins and ends, as Python's own parser sees it."""
    mark = text.startswith("\ufeff")
    start = text.index("{", Positions(text[mark:]).offset(path) + mark)
    return start, json.JSONDecoder().raw_decode(text, start)[1]


new_values: st.SearchStrategy[object] = (
    st.integers() | st.text('aй🍳"\\\u2028{}[],:', max_size=5) | st.just([{"a": {}}])
)
Case = tuple[str, Where, ConfigPath, dict[str, Any]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A file, one of its objects, and what is to be set in that."""
    text = draw(texts())
    # The deeper ones are the more interesting ones.
    where, path = draw(st.sampled_from(objects(text)[::-1]))
    keys = [*at(values(text), path), "minLevel", "maxLevel", 'n"ew', "ü"]
    return (
        text,
        where,
        path,
        draw(st.dictionaries(st.sampled_from(keys), st.none() | new_values)),
    )


@pytest.mark.no_cover
@given(cases())
def test_in_any_layout_one_object_says_what_it_should_and_all_else_is_as_it_was(
    case: Case,
) -> None:
    text, where, path, given = case
    new = changed(text, where, given)
    assert new is not None
    expected = values(text)
    thing = at(expected, path)
    for key, value in given.items():
        if value is None:
            thing.pop(key, None)
        else:
            thing[key] = value
    # As texts, for the order of the keys.
    assert json.dumps(values(new)) == json.dumps(expected)
    start, end = ends(text, path)
    behind = len(text) - end
    assert (new[:start], new[len(new) - behind :]) == (text[:start], text[end:])
    # Lines end as they did.
    assert ("\r\n" in text) or ("\r" not in new)
    assert new.count("\n") == new.count("\r\n") or "\r" not in text


@given(cases())
def test_in_any_layout_a_new_key_that_is_removed_again_leaves_no_trace(case: Case) -> None:
    text, where, path, given = case
    thing = at(values(text), path)
    new = {key: value for key, value in given.items() if key not in thing and value}
    with_them = changed(text, where, new)
    assert with_them is not None
    without = changed(with_them, where, dict.fromkeys(new))
    if thing or not new:
        assert without == text
    else:
        start, end = ends(text, path)
        assert without == f"{text[:start]}{{}}{text[end:]}"


@settings(max_examples=50)
@given(cases(), st.data())
def test_in_any_layout_the_text_of_a_value_is_all_that_another_value_changes(
    case: Case, data: st.DataObject
) -> None:
    text, where, path, _ = case
    thing = at(values(text), path)
    key = data.draw(st.sampled_from([*thing, "new"]))
    marked = changed(text, where, {key: "«»"})
    assert marked is not None
    before, after = marked.split('"«»"')
    if key in thing:
        assert text.startswith(before)
        assert text.endswith(after)
        assert json.loads(text[len(before) : len(text) - len(after)]) == thing[key]
    assert changed(text, where, {key: 5}) == f"{before}5{after}"


# -- the file -----------------------------------------------------------------------------


def untouched(path: Path, content: bytes = SAMPLE) -> bool:
    """Whether `content` stands in the file, and nothing else in its directory."""
    return path.read_bytes() == content and list(path.parent.iterdir()) == [path]


def levels(path: Path) -> dict[str, tuple[int | None, int | None]]:
    return {
        each.name: (each.min_level, each.max_level)
        for dimmer in load(path).dimmers
        for each in dimmer.channels
    }


def test_the_levels_of_a_lamp_are_written_behind_its_name(file: Path) -> None:
    file.chmod(0o640)
    change(file, MIRROR, LEVELS)
    assert untouched(file, WITH_LEVELS)
    assert levels(file) == {"Ceiling Light": (None, None), "Mirror Light": (12, 200)}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    change(file, MIRROR, {"minLevel": None, "maxLevel": None})
    assert untouched(file)


def test_of_a_symlink_the_file_that_it_points_to_is_changed(
    file: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(file)
    change(link, MIRROR, LEVELS)
    assert link.is_symlink()
    assert untouched(file, WITH_LEVELS)


def moved(text: bytes) -> bytes:
    """The file after somebody has put another dimmer before the one that it had."""
    other = (
        b'{ "accessory": "Dimmer", "name": "Other", "port": "p", "id": "o", "channels": '
        b'[ { "channel": 2, "name": "O" } ] },\n    '
    )
    before, mark, after = text.partition(b'{ "accessory": "Dimmer"')
    # And has laid out the lamp anew, with its channels the other way round.
    first = b'{ "channel": 1, "name": "Ceiling Light" }'
    after = after.replace(PLAIN, b"%").replace(first, PLAIN).replace(b"%", first)
    return before + other + mark + after


def saved_meanwhile(faulty_os: FaultyOs, save: Callable[[], object]) -> None:
    """Have others call `save` once while the disk is waited for."""
    saves = [save]

    def fsync(descriptor: int) -> None:
        if saves:
            saves.pop()()
        os.fsync(descriptor)

    faulty_os.fsync = fsync


def test_a_lamp_that_has_moved_in_the_meantime_is_found_where_it_is_now(
    file: Path, faulty_os: FaultyOs
) -> None:
    saved_meanwhile(faulty_os, lambda: file.write_bytes(moved(SAMPLE)))
    change(file, MIRROR, LEVELS)
    assert levels(file) == {
        "O": (None, None),
        "Ceiling Light": (None, None),
        "Mirror Light": (12, 200),
    }
    with_levels = (
        b'{ "channel": 2, "name": "Mirror Light", "minLevel": 12, "maxLevel": 200 }'
    )
    assert untouched(file, moved(SAMPLE).replace(PLAIN, with_levels))


@pytest.mark.parametrize(
    "edited",
    [
        SAMPLE.replace(b"ttyUSB0", b"ttyUSB1"),
        SAMPLE.replace(b", " + PLAIN, b""),
        b'{ "accessories": [] }',
    ],
)
def test_a_lamp_that_is_gone_in_the_meantime_is_said_and_nothing_is_changed(
    file: Path, faulty_os: FaultyOs, edited: bytes
) -> None:
    saved_meanwhile(faulty_os, lambda: file.write_bytes(edited))
    with pytest.raises(StoreError) as caught:
        change(file, MIRROR, LEVELS)
    assert str(caught.value) == (
        f'{file} was not changed: it has no accessories[port: "/dev/ttyUSB0"].'
        "channels[channel: 2] any more; somebody edited it meanwhile, look at it and start "
        "again"
    )
    assert untouched(file, edited)


def refused(path: Path, given: Mapping[str, object]) -> str:
    with pytest.raises(ConfigError) as caught:
        change(path, MIRROR, given)
    return str(caught.value)


def test_values_that_would_be_wrong_are_refused_with_their_line(file: Path) -> None:
    assert refused(file, {"minLevel": 200, "maxLevel": 100}) == (
        f"{file}:7: accessories[2].channels[1].minLevel: found 200, allowed is less than "
        "maxLevel, which is 100"
    )
    assert "maxLevel: found 256" in refused(file, {"maxLevel": 256})
    assert '"name" is missing' in refused(file, {"name": None})
    assert "minLevle" in refused(file, {"minLevle": 1})
    assert untouched(file)


@pytest.mark.parametrize("content", [None, b"", b"{", b'{ "accessories": [5] }', b"\xff"])
def test_a_file_with_problems_is_refused_as_it_is_when_it_is_read(
    file: Path, content: bytes | None
) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert refused(file, LEVELS) == str(caught.value)
    assert list(file.parent.iterdir()) == ([] if content is None else [file])
    assert content is None or untouched(file, content)


def test_a_full_disk_leaves_the_old_content_and_is_said_as_for_a_new_entry(
    file: Path, faulty_os: FaultyOs
) -> None:
    faulty_os.write = failing(os.write, 1, errno.ENOSPC)
    with pytest.raises(StoreError) as caught:
        change(file, MIRROR, LEVELS)
    assert str(caught.value) == (
        f"{file} cannot be written: there is no room left; how much there is, says: df -h "
        f"{file.parent}"
    )
    assert untouched(file)


def test_of_entries_and_levels_that_are_written_at_once_none_is_lost(file: Path) -> None:
    start = Barrier(2)

    def add_entries() -> None:
        start.wait()
        for number in range(6):
            address = f"FF:00:00:00:00:{number:02X}"
            entry = {"accessory": "Hygrothermograph", "name": f"N {number}"}
            add(file, {**entry, "address": address})

    def change_levels() -> None:
        start.wait()
        for number in range(1, 7):
            change(file, MIRROR, {"minLevel": number})
            assert levels(file)["Mirror Light"] == (number, None)

    with ThreadPoolExecutor(2) as threads:
        for running in [threads.submit(add_entries), threads.submit(change_levels)]:
            running.result()
    names = [sensor.name for sensor in load(file).sensors]
    assert names == ["Room 1", "Room 2", *(f"N {number}" for number in range(6))]
    assert levels(file)["Mirror Light"] == (6, None)
