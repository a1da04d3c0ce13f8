"""Bad files and the exact words that a person reads about them."""

from pathlib import Path

import pytest

from hk_bridge.config import parse
from hk_bridge.errors import ConfigError

A = "4C:64:A8:D0:AE:65"
KEY = "00112233445566778899aabbccddeeff"


def sensor(rest: str = "", name: str = "Room", address: str = A) -> str:
    keys = f'"accessory": "Hygrothermograph", "name": "{name}", "address": "{address}"'
    return f"{{ {keys}{', ' if rest else ''}{rest} }}"


def lamp(rest: str = "", name: str = "Lamp", channel: int = 1) -> str:
    return f'{{ "channel": {channel}, "name": "{name}"{", " if rest else ""}{rest} }}'


def dimmer(
    rest: str = "", name: str = "Board", port: str = "/dev/ttyUSB0", channels: str = lamp()
) -> str:
    keys = f'"accessory": "Dimmer", "name": "{name}", "port": "{port}"'
    return f'{{ {keys}, "channels": [ {channels} ]{", " if rest else ""}{rest} }}'


def house(*accessories: str) -> str:
    """One accessory per line, the first in line 2."""
    return '{ "accessories": [\n' + ",\n".join(accessories) + "\n] }"


def bridge(keys: str) -> str:
    return f'{{ "accessories": [{sensor()}],\n"bridge": {{ {keys} }} }}'


def channels(text: str) -> str:
    return house(dimmer(channels=text))


SYNTAX = [
    ('{"a": 1,}', 1, 8, "one comma too many, delete it"),
    ('{"a": [1,\n ]}', 1, 9, "one comma too many, delete it"),
    ('{"a": [1,,2]}', 1, 10, "one comma too many, delete it"),
    ("{\n'a': 1}", 2, 1, 'text stands in double quotes, as in "Room 1"'),
    ('{"a": “x”}', 1, 7, 'text stands in double quotes, as in "Room 1"'),
    ('{"a": x}', 1, 7, 'text stands in double quotes, as in "Room 1"'),
    ('{"a": 1\n "b": 2}', 1, 8, "a comma is missing here"),
    ('[{"a": 1}\n{"b": 2}]', 1, 10, "a comma is missing here"),
    ('{"a": 1, // one\n"b": 2}', 1, 10, "JSON has no comments, delete this one"),
    ("# hi\n{}", 1, 1, "JSON has no comments, delete this one"),
    ('{"a": 1 /* one */}', 1, 9, "JSON has no comments, delete this one"),
    ("{a: 1}", 1, 2, 'a key stands in double quotes, as in "name"'),
    ('{"a": True}', 1, 7, "true, false and null are written in small letters"),
    ('{"a" 1}', 1, 5, "a colon is missing between a key and its value"),
    ('{"a": "b\n"}', 1, 9, 'the closing " of this text is missing'),
    ('{"a": "b', 1, 7, 'the closing " of this text is missing'),
    ('{"a": "b\tc"}', 1, 9, "a text holds a tab or another control character"),
    ('{"a": "C:\\x"}', 1, 10, "in a text, a backslash is written twice: \\\\"),
    ('{"a": [1', 1, 9, "the file ends too early, a closing } or ] is missing"),
    ('{"a": [1}', 1, 9, "another closing bracket was due here"),
    ("{}\n{}", 2, 1, "more follows after the end of the object, delete it"),
    ('{"a": 01}', 1, 8, "a number does not begin with 0"),
    ('{"a": }', 1, 7, "a value is missing here"),
    ('{"a": +1}', 1, 7, "a number is written like 0.5 or -3, without a plus"),
    ('{"a": \\}', 1, 7, "this is not JSON"),
]


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("text", "line", "column", "hint"), SYNTAX)
def test_text_that_is_no_json_gets_one_problem_with_place_and_hint(
    text: str, line: int, column: int, hint: str
) -> None:
    place = f"line {line}, column {column}"
    assert problems_of(text) == [f"f:{line}: not JSON in {place}: {hint}"]


@pytest.mark.parametrize("text", ["", " \n\t", "\ufeff"])
def test_an_empty_text_says_what_the_smallest_is(text: str) -> None:
    assert problems_of(text) == [
        'f: the file is empty; the smallest is { "accessories": [] }'
    ]


def test_nesting_without_end_is_a_problem_and_no_crash() -> None:
    expected = "f: brackets are nested too deep for accessories.json"
    assert problems_of("[" * 200_000) == [expected]


def table() -> list[tuple[str, list[str]]]:
    """The blocks of problems.txt: a file, then a line with ``=>`` for each problem."""
    text = Path(__file__).with_name("problems.txt").read_text(encoding="utf-8")
    blocks = [block.partition("\n=> ") for block in text.rstrip().split("\n\n")]
    return [(file, messages.split("\n=> ")) for file, _, messages in blocks]


@pytest.mark.parametrize(("text", "messages"), table())
def test_every_problem_is_told_at_once_in_the_order_of_the_file(
    text: str, messages: list[str]
) -> None:
    assert problems_of(text) == [f"f:{message}" for message in messages]


def test_a_number_of_5000_digits_is_too_large_and_no_crash() -> None:
    (problem,) = problems_of(house(sensor(f'"timeout": {"9" * 5000}')))
    assert problem.endswith(
        "found a number that is too large, allowed is a number from 0 to 525600"
    )


def test_more_than_a_hundred_bridges_are_too_many() -> None:
    sensors = [sensor("", f"R {n}", f"4C:64:A8:D0:AE:{n:02X}") for n in range(201)]
    text = house(*sensors).replace("{", '{"bridge": {"maxAccessories": 2}, ', 1)
    assert problems_of(text) == [
        "f:1: accessories: found 201 sensors and lamps, 100 bridges of 2 hold 200"
    ]


TRIVIAL = [f"{digit * 3}-{digit * 2}-{digit * 3}" for digit in "0123456789"]


@pytest.mark.parametrize("pin", [*TRIVIAL, "123-45-678", "87654321"])
def test_a_trivial_setup_code_is_refused_without_being_repeated(pin: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(bridge(f'"pin": "{pin}"'), "f")
    assert str(caught.value) == (
        "f:2: bridge.pin: found a code that HomeKit refuses because it is easy to guess; "
        "choose another one, or leave the key out and the bridge makes one"
    )


SECRET = "f00dfeed0123456789abcdefcafe"
LEAKS = [
    sensor(f'"bindKey": "{SECRET}"'),
    sensor(f'"bindKey": ["{SECRET}"]'),
    sensor(f'"bindKey": {{ "{SECRET}": "{SECRET}" }}'),
    sensor(f'"bindKey": "{SECRET}", "bindKey": "{SECRET}"'),
    sensor(f'"bindkey": "{SECRET}"'),
    sensor(f'"key": "{SECRET}"'),
    sensor(f'"{SECRET}": "{SECRET}"'),
    sensor(f'"id": 5, "timeout": "{SECRET}"'),
    sensor(address=SECRET),
    sensor(name=f"{SECRET}\\n"),
    sensor(f'"bindKey": "{SECRET}" "id": "{SECRET}"'),
    sensor(f"\"bindKey\": '{SECRET}'"),
    sensor(f'"bindKey": "{SECRET}'),
    dimmer(f'"bindKey": "{SECRET}"'),
    f'{{ "accessory": "{SECRET}", "bindKey": "{SECRET}" }}',
    f'"{SECRET}"',
]


@pytest.mark.parametrize("accessory", LEAKS)
def test_no_message_repeats_a_bind_key(accessory: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(house(accessory), "f")
    assert SECRET[:8] not in str(caught.value)
    assert SECRET[:8] not in repr(caught.value.problems + caught.value.warnings)
    assert caught.value.__context__ is None, "the parser's own error holds the text"


@pytest.mark.parametrize(
    "keys",
    [
        '"pin": "271-82-81"',
        '"pin": 27182818',
        '"pin": ["271-82-818"]',
        '"Pin": "271-82-818"',
        '"pin": "271-82-818", "pin": "271-82-818"',
        '"username": "271-82-818"',
        '"port": "27182818"',
        '"pin": "271-82-818" "x": 1',
    ],
)
def test_no_message_repeats_a_setup_code(keys: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(bridge(keys), "f")
    assert "271" not in str(caught.value)


def test_the_values_of_secrets_are_not_in_the_repr_of_the_configuration() -> None:
    text = house(sensor(f'"bindKey": "{KEY}"')).replace(
        "{ ", '{ "bridge": { "pin": "27182818" }, ', 1
    )
    config = parse(text, "f")
    assert config.bridge.pin == "271-82-818"
    assert config.sensors[0].bind_key == bytes.fromhex(KEY)
    assert "271" not in repr(config)
    assert repr(bytes.fromhex(KEY)) not in repr(config)
