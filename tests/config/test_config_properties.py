"""What holds for every document, not only for those that somebody thought of."""

import json
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.config import Config, json_schema, parse
from hk_bridge.config.lines import Path, Positions, printable_key
from hk_bridge.config.names import is_welcome, suggestion
from hk_bridge.errors import ConfigError
from hk_bridge.model import can_be_a_name

# It calls the same lines thousands of times: counting them would take longer than they do.
pytestmark = pytest.mark.no_cover

SAMPLE = (FilePath(__file__).parents[2] / "accessories.json").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = json_schema()
DEFINITIONS = SCHEMA["$defs"]
KEYS = sorted(
    {key for part in DEFINITIONS.values() for key in part["properties"]}
    | set(SCHEMA["properties"])
)

any_text = st.text(st.characters())
key = st.sampled_from(KEYS) | any_text
number = st.integers() | st.floats()
scalar = (
    st.none()
    | st.booleans()
    | number
    | any_text
    | st.sampled_from(["Dimmer", "Hygrothermograph", "4C:64:A8:D0:AE:65", "031-45-154"])
)
document = st.recursive(
    scalar, lambda inner: st.lists(inner) | st.dictionaries(key, inner), max_leaves=30
)
likely = st.fixed_dictionaries(
    {
        "accessories": st.lists(
            st.dictionaries(key, document).map(lambda each: {"accessory": "Dimmer", **each})
            | st.fixed_dictionaries(
                {"accessory": st.sampled_from(["Hygrothermograph", "Dimmer"])},
                optional={name: document for name in KEYS if name != "accessory"},
            ),
            max_size=4,
        )
    },
    optional={
        "bridge": st.dictionaries(key, document),
        "bluetooth": st.dictionaries(key, document),
    },
)


def outcome(text: str) -> Config | ConfigError:
    try:
        return parse(text, "f")
    except ConfigError as error:
        return error


def check(text: str) -> None:
    found = outcome(text)
    if isinstance(found, Config):
        return
    lines = [each.line for each in found.problems]
    assert lines
    assert lines == sorted(lines)
    assert all(0 <= line <= text.count("\n") + 1 for line in lines)
    for problem in (*found.problems, *found.warnings):
        assert str(problem).isprintable()
        assert "Input should" not in str(problem)


@given(any_text)
def test_any_text_is_a_configuration_or_a_configuration_error(text: str) -> None:
    check(text)


@given(document)
def test_any_document_is_a_configuration_or_a_configuration_error(value: object) -> None:
    check(json.dumps(value))


@given(likely)
def test_any_likely_document_is_a_configuration_or_a_configuration_error(
    value: object,
) -> None:
    check(json.dumps(value, indent=1))


@given(st.data())
def test_no_change_of_the_sample_s_text_raises_anything_else(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(SAMPLE)))
    end = data.draw(st.integers(start, min(len(SAMPLE), start + 20)))
    check(SAMPLE[:start] + data.draw(any_text) + SAMPLE[end:])


def members(value: object) -> list[tuple[str | int, object]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def places(value: object, path: Path = ()) -> Iterator[Path]:
    yield path
    for part, inner in members(value):
        yield from places(inner, (*path, part))


@given(st.data())
def test_no_change_of_the_sample_s_values_raises_anything_else(data: st.DataObject) -> None:
    value: Any = {"": json.loads(SAMPLE)}
    *above, last = data.draw(st.sampled_from(list(places(value))[1:]))
    target = value
    for part in above:
        target = target[part]
    target[last] = data.draw(document)
    check(json.dumps(value[""], indent=2))


def expected_lines(
    value: object, path: Path = (), line: int = 1
) -> tuple[dict[Path, int], int]:
    """Where `json.dumps` with an indent puts everything; returns the last line too."""
    found = {path: line}
    if not members(value):
        return found, line
    for part, inner in members(value):
        below, line = expected_lines(inner, (*path, part), line + 1)
        found.update(below)
    return found, line + 1


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(plain, st.integers(0, 4) | st.sampled_from(["\t", " \r", ""]), st.booleans())
def test_every_path_is_found_in_its_line(
    value: object, indent: int | str, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    positions = Positions(text)
    expected, _ = expected_lines(value)
    for path, line in expected.items():
        assert positions.nearest(path) == path
        assert positions.line(positions.offset(path)) == line


@given(plain)
def test_a_document_in_one_line_is_all_in_line_1(value: object) -> None:
    positions = Positions(json.dumps(value))
    for path in expected_lines(value)[0]:
        assert positions.line(positions.offset(path)) == 1


@given(st.lists(st.text(max_size=2), min_size=1))
def test_every_repeated_key_is_found(keys: list[str]) -> None:
    text = "{" + ",\n".join(f"{json.dumps(name)}: 0" for name in keys) + "}"
    names = [printable_key(name) for name in keys]
    repeated = [(name, n + 1) for n, name in enumerate(names) if name in names[:n]]
    positions = Positions(text)
    assert [
        (each.path[0], positions.line(each.offset)) for each in positions.repeats
    ] == repeated


def test_deep_documents_are_indexed_in_little_time_and_memory() -> None:
    depth = 100_000
    positions = Positions("[" * depth + "]" * depth)
    assert positions.offset((0,) * 1000) == 1000


@given(any_text)
def test_a_suggested_name_is_welcome(name: str) -> None:
    better = suggestion(name)
    assert not better or is_welcome(better)
    if is_welcome(name) and can_be_a_name(name) and "  " not in name:
        assert better
