"""accessories.json → `Config`: the file, the text, and all problems in their order."""

from __future__ import annotations

import copy
import errno
import json
import shlex
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path as FilePath

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hk_bridge.config import doubts, rules
from hk_bridge.config.entries import house
from hk_bridge.config.guesses import with_types
from hk_bridge.config.lines import Path, Positions, printable_key
from hk_bridge.config.messages import Finding, finding, written
from hk_bridge.config.model import (
    BluetoothConfig,
    BridgeConfig,
    ChannelConfig,
    Config,
    DimmerConfig,
    SensorConfig,
)
from hk_bridge.config.schema import (
    Bluetooth,
    Bridge,
    ConfigFile,
    Dimmer,
    Sensor,
    file_schema,
)
from hk_bridge.config.syntax import problem
from hk_bridge.errors import ConfigError, Problem
from hk_bridge.model import Quantity

_LARGEST = 1024 * 1024
_SECONDS_PER_MINUTE = 60
_NO_TYPE = frozenset({"union_tag_not_found", "union_tag_invalid"})
#: As many digits as surely fit a float; longer numbers are infinite for every range.
_MOST_DIGITS = 300

#: The offset that a finding is sorted by, its path, its text.
_Place = tuple[int, Path, str]

_OTHER_FILE = "name another file with --config FILE or in $HK_BRIDGE_CONFIG"
_UNREADABLE: tuple[tuple[type[Exception], str], ...] = (
    (FileNotFoundError, f"there is no such file in {{directory}}; {_OTHER_FILE}"),
    (IsADirectoryError, "this is a directory; name the file in it: --config {inside}"),
    (PermissionError, "this user may not read the file; who may, says: ls -l {quoted}"),
    (OSError, f"the file cannot be read: {{error}}; {_OTHER_FILE}"),
    (ValueError, f"the file cannot be read: {{error}}; {_OTHER_FILE}"),
)


def load(path: FilePath) -> Config:
    """The configuration in the file at `path`.

    Raises `ConfigError` with everything that is wrong: with the file (missing,
    unreadable, empty, not UTF-8, larger than 1 MiB), or else with what it says.
    """
    return parse(read(path), str(path))


def read(path: FilePath) -> str:
    """The text of the file at `path`, character for character.

    Raises `ConfigError` with what is wrong with the file itself.
    """
    file = str(path)
    try:
        if path.is_fifo():
            # It would be waited for without end where nobody writes to it.
            raise OSError(errno.EINVAL, "it is a pipe")
        with path.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ConfigError(file, [Problem("", 0, _unreadable(path, error))]) from error
    return decoded(content, file)


def decoded(content: bytes, file: str) -> str:
    """`content` as text; raises `ConfigError` where it is too much, or not UTF-8."""
    if len(content) > _LARGEST:
        text = f"the file is larger than 1 MiB, no accessories.json is; {_OTHER_FILE}"
        raise ConfigError(file, [Problem("", 0, text)])
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        wrong = error.start
    line = content.count(b"\n", 0, wrong) + 1
    text = "the file is not UTF-8 text from this line on; save it again as UTF-8"
    raise ConfigError(file, [Problem("", line, text)])


def parse(text: str, file: str) -> Config:
    """The configuration in `text`; `file` is what the messages call it.

    Raises `ConfigError` with every problem, in the order of the text, and nothing else.
    """
    text = text.removeprefix("\ufeff")
    document = _document(text, file)
    positions = Positions(text)
    checked, findings = _checked(document)
    broken = {positions.nearest(found.path) for found in findings}
    inside = house(document, positions, broken)
    findings += rules.findings(inside)
    told = {found.path for found in findings}
    located = [*_located(positions, findings), *_not_json(positions, told)]
    warnings = _problems(positions, _located(positions, doubts.findings(inside)))
    if located or checked is None:
        raise ConfigError(file, _problems(positions, located), warnings)
    return _config(checked, warnings)


def json_schema() -> dict[str, object]:
    """JSON Schema (2020-12) of the file, for editors; the caller may change it."""
    return copy.deepcopy(file_schema())


def _unreadable(path: FilePath, error: Exception) -> str:
    sentence = next(text for kind, text in _UNREADABLE if isinstance(error, kind))
    return sentence.format(
        directory=path.absolute().parent,
        inside=shlex.quote(str(path / "accessories.json")),
        quoted=shlex.quote(str(path)),
        error=getattr(error, "strerror", None) or error,
    )


def _document(text: str, file: str) -> object:
    found = Problem("", 0, 'the file is empty; the smallest is { "accessories": [] }')
    if text.strip():
        # Raised outside of the handlers: the parser's errors hold the text, keys and all.
        try:
            return json.loads(text, object_pairs_hook=_members, parse_int=_number)
        except json.JSONDecodeError as error:
            found = problem(error)
        except RecursionError:
            found = Problem("", 0, "brackets are nested too deep for accessories.json")
    raise ConfigError(file, [found])


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return {printable_key(key): value for key, value in pairs}


def _number(digits: str) -> float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _checked(document: object) -> tuple[ConfigFile | None, list[Finding]]:
    try:
        return ConfigFile.model_validate(document), []
    except ValidationError as error:
        errors = error.errors()
    findings = [finding(details, document) for details in errors]
    untyped = {int(each["loc"][1]) for each in errors if each["type"] in _NO_TYPE}
    if untyped:
        guessed = with_types(document, untyped)
        findings += [
            finding(details, guessed)
            for details in _errors(guessed)
            if details["loc"][1:2]
            and details["loc"][1] in untyped
            and details["type"] not in _NO_TYPE
        ]
    return None, findings


def _errors(document: object) -> list[ErrorDetails]:
    try:
        ConfigFile.model_validate(document)
    except ValidationError as error:
        return error.errors()
    return []


def _located(positions: Positions, findings: Iterable[Finding]) -> list[_Place]:
    """Of a path that the text does not have (a single `bind` is no list), what it has."""
    return [
        (positions.offset(found.path), positions.nearest(found.path), found.text)
        for found in findings
    ]


def _not_json(positions: Positions, told: Collection[Path]) -> Iterator[_Place]:
    """What Python reads and JSON does not have, or has no meaning for."""
    for repeat in positions.repeats:
        text = f"this key stands in line {positions.line(repeat.first)} already, delete one"
        yield repeat.offset, repeat.path, text
    for literal in positions.no_numbers:
        if literal.path not in told:
            text = f"found {literal.word}, which is no number in JSON"
            yield literal.offset, literal.path, text


def _problems(positions: Positions, located: Iterable[_Place]) -> tuple[Problem, ...]:
    return tuple(
        Problem(written(path), positions.line(offset), text)
        for offset, path, text in sorted(located, key=lambda each: each[0])
    )


def _config(file: ConfigFile, warnings: tuple[Problem, ...]) -> Config:
    return Config(
        bridge=_bridge(file.bridge),
        bluetooth=_bluetooth(file.bluetooth),
        sensors=tuple(
            _sensor(each) for each in file.accessories if isinstance(each, Sensor)
        ),
        dimmers=tuple(
            _dimmer(each) for each in file.accessories if isinstance(each, Dimmer)
        ),
        warnings=warnings,
    )


def _bridge(bridge: Bridge) -> BridgeConfig:
    return BridgeConfig(
        name=bridge.name,
        port=bridge.port,
        pin=bridge.pin,
        username=bridge.username,
        bind=tuple(bridge.bind),
        max_accessories=bridge.max_accessories,
        remove_after=bridge.remove_after * _SECONDS_PER_MINUTE,
    )


def _bluetooth(bluetooth: Bluetooth) -> BluetoothConfig:
    return BluetoothConfig(mode=bluetooth.mode, adapter=bluetooth.adapter)


def _sensor(sensor: Sensor) -> SensorConfig:
    minutes = sensor.timeout
    return SensorConfig(
        name=sensor.name,
        address=sensor.address,
        id=sensor.id,
        bind_key=None if sensor.bind_key is None else bytes.fromhex(sensor.bind_key),
        timeout=None if minutes is None else minutes * _SECONDS_PER_MINUTE,
        temperature_offset=sensor.temperature_offset,
        humidity_offset=sensor.humidity_offset,
        low_battery=sensor.low_battery,
        battery=not sensor.disable_battery_level,
        spike_filter=sensor.spike_filter,
        names=_names(sensor),
    )


def _names(sensor: Sensor) -> dict[Quantity, str]:
    names: dict[Quantity, str | None] = {
        "temperature": sensor.temperature_name,
        "humidity": sensor.humidity_name,
        "moisture": sensor.moisture_name,
        "illuminance": sensor.illuminance_name,
    }
    return {quantity: name for quantity, name in names.items() if name is not None}


def _dimmer(dimmer: Dimmer) -> DimmerConfig:
    milliseconds = dimmer.min_interval
    return DimmerConfig(
        name=dimmer.name,
        port=dimmer.port,
        channels=tuple(
            ChannelConfig(
                channel=each.channel,
                name=each.name,
                min_level=each.min_level,
                max_level=each.max_level,
                gamma=each.gamma,
                button=each.button,
            )
            for each in dimmer.channels
        ),
        id=dimmer.id,
        protocol=dimmer.protocol,
        baudrate=dimmer.baudrate,
        ramp=dimmer.ramp,
        slide_ramp=dimmer.slide_ramp,
        repeat=dimmer.repeat,
        refresh=dimmer.refresh,
        pause=None if milliseconds is None else milliseconds / 1000,
        startup=dimmer.startup,
    )
