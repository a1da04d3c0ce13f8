"""The status and what was found, as tables."""

from __future__ import annotations

import io
import time
from typing import Any, Final

import pytest
from rich.console import Console, RenderableType

from hk_bridge import status_view
from hk_bridge.status_view import (
    age,
    can_redraw,
    clock_time,
    render,
    search_table,
    sensor_table,
)

SENSOR: Final[dict[str, Any]] = {
    "name": "Room 1",
    "address": "4C:64:A8:D0:AE:65",
    "state": "decoding",
    "product": "0x0347",
    "model": "CGG1",
    "rssi": -61,
    "lastHeard": 3.2,
    "values": {
        "temperature": {"value": 20.44, "age": 3.2, "isLive": True},
        "humidity": {"value": 39.4, "age": 3.2, "isLive": True},
        "battery": {"value": 93, "age": 60.0, "isLive": True},
    },
}
FOUND: Final[dict[str, Any]] = {
    "address": "4C:64:A8:D0:AE:65",
    "model": "LYWSDCGQ",
    "product": "0x01AA",
    "rssi": -61,
    "lastHeard": 0.0,
    "bindKey": "does not fit",
    "state": "wrong bind key",
    "configuredAs": "Room 1",
    "temperature": 20.44,
    "humidity": 39.4,
    "battery": 93,
}
STATUS: Final[dict[str, Any]] = {
    "versions": {"hk-bridge": "1.0", "python": "3.11"},
    "uptime": 7300.0,
    "isSimulated": False,
    "bridge": {
        "name": "HK Bridge",
        "port": 51826,
        "addresses": ["192.0.2.1", "192.0.2.2"],
        "controllers": [
            {"id": "A", "isAdmin": True, "connections": 2},
            {"id": "B", "isAdmin": False, "connections": 0},
        ],
    },
    "radio": {
        "isUp": True,
        "text": "listening on hci0",
        "since": 7299.0,
        "mode": "passive",
        "adapter": "hci0",
        "lastHeard": 0.4,
        "adverts": 12,
    },
    "links": [
        {
            "name": "serial port /dev/ttyUSB0",
            "isUp": False,
            "text": "it is not there",
            "since": 60.0,
        }
    ],
    "sensors": [SENSOR],
    "lamps": [
        {
            "name": "Ceiling Light",
            "dimmer": "Dual Dimmer",
            "channel": 1,
            "port": "/dev/ttyUSB0",
            "isReachable": False,
            "isOn": True,
            "brightness": 50,
            "level": 127,
        }
    ],
}


def lines(shown: RenderableType, width: int = 200) -> list[str]:
    """What is shown on a terminal of that many columns."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    with console.capture() as captured:
        console.print(shown)
    return [line.rstrip() for line in captured.get().splitlines()]


def cells(shown: RenderableType, row: int) -> dict[str, str]:
    """One row of a table by the names of its columns."""
    head, *rows = lines(shown)
    names = [name for name in head.split("  ") if name]
    starts = [head.index(name.strip()) for name in names] + [None]
    return {
        name.strip(): rows[row][start:end].strip()
        for name, start, end in zip(names, starts, starts[1:], strict=False)
    }


# -- everything ---------------------------------------------------------------------------


def test_everything_is_there() -> None:
    assert lines(render(STATUS)) == [
        "HK Bridge: up for 2 h, port 51826 on 192.0.2.1, 192.0.2.2",
        "controllers: 2 paired, 1 connected",
        "hk-bridge 1.0, python 3.11",
        "",
        "●  Bluetooth                 listening on hci0, last heard 0 s ago; for 2 h",
        "○  serial port /dev/ttyUSB0  it is not there; for 60 s",
        "",
        *lines(sensor_table([SENSOR])),
        "",
        "lamp           set to  level  dimmer                  port",
        "Ceiling Light  50 %    127    Dual Dimmer, channel 1  /dev/ttyUSB0, not there",
    ]


def test_a_simulation_is_called_one() -> None:
    assert (
        "up for 2 h, simulated, port" in lines(render({**STATUS, "isSimulated": True}))[0]
    )


def test_a_house_without_sensors_has_no_table_of_them() -> None:
    shown = lines(render({**STATUS, "radio": None, "sensors": []}))
    assert not any("Bluetooth" in line or "address" in line for line in shown)


def without(known: Any, path: tuple[Any, ...]) -> Any:
    first, *rest = path
    if isinstance(known, list):
        return [without(known[0], tuple(rest))] if rest else []
    if not rest:
        return {key: value for key, value in known.items() if key != first}
    return {**known, first: without(known[first], tuple(rest))}


def paths(known: Any) -> list[tuple[Any, ...]]:
    """Where something can be missing."""
    if isinstance(known, list):
        return [(0, *path) for path in paths(known[0])]
    if not isinstance(known, dict):
        return []
    inside = [(key, *path) for key, value in known.items() for path in paths(value)]
    return [(key,) for key in known] + inside


@pytest.mark.parametrize("path", [*paths(STATUS), ()])
def test_what_a_bridge_of_another_version_does_not_say_is_left_out(
    path: tuple[Any, ...],
) -> None:
    shown = lines(render(without(STATUS, path) if path else {}))
    assert shown
    assert not any("None" in line for line in shown)


def test_further_bridges_and_what_leaves_them_are_shown() -> None:
    second = {
        "name": "HK Bridge 2",
        "port": 51827,
        "isListening": False,
        "controllers": [],
        "leaving": [{"name": "Attic", "seconds": 480.0}],
    }
    shown = lines(render({**STATUS, "bridges": [STATUS["bridge"], second]}))
    assert shown[:6] == [
        "HK Bridge: up for 2 h, port 51826 on 192.0.2.1, 192.0.2.2",
        "controllers: 2 paired, 1 connected",
        "HK Bridge 2: port 51827, where Home cannot reach it",
        "controllers: 0 paired, 0 connected",
        "Attic has no entry any more: Home forgets it in 8 min",
        "hk-bridge 1.0, python 3.11",
    ]


def test_what_a_bridge_of_another_version_says_more_is_passed_over() -> None:
    more = {**STATUS, "moon": {"phase": 3}, "sensors": [{**SENSOR, "moon": [1]}]}
    assert lines(render(more)) == lines(render(STATUS))


# -- sensors ------------------------------------------------------------------------------


def test_a_sensor_has_a_row() -> None:
    assert cells(sensor_table([SENSOR]), 0) == {
        "sensor": "Room 1",
        "state": "decoding",
        "temp.": "20.4 °C",
        "hum.": "39.4 %",
        "bat.": "93 %",
        "dBm": "-61",
        "heard": "3 s",
        "model": "CGG1",
        "address": "4C:64:A8:D0:AE:65",
    }


def test_zero_is_shown_and_what_is_not_known_is_a_dash() -> None:
    live = {"value": 0, "age": 0, "isLive": True}
    zero = dict.fromkeys(("temperature", "humidity", "battery"), live)
    table = sensor_table(
        [
            {**SENSOR, "rssi": 0, "lastHeard": 0.0, "values": zero},
            {
                **SENSOR,
                "address": None,
                "model": None,
                "rssi": None,
                "lastHeard": None,
                "values": {},
            },
        ]
    )
    columns = ("temp.", "hum.", "bat.", "dBm", "heard")
    frost, nothing = cells(table, 0), cells(table, 1)
    assert [frost[name] for name in columns] == ["0.0 °C", "0.0 %", "0 %", "0", "0 s"]
    assert {nothing[name] for name in (*columns, "model", "address")} == {"–"}


def test_a_value_that_is_too_old_says_how_old() -> None:
    old = {"temperature": {"value": 0.0, "age": 7200.0, "isLive": False}}
    table = sensor_table([{**SENSOR, "state": "silent", "values": old}])
    row = cells(table, 0)
    assert row["temp."] == "0.0 °C, 2 h ago"


def test_a_silent_sensor_says_since_when() -> None:
    silent = {**SENSOR, "state": "silent"}
    now = time.time()
    for seconds, form in ((3600.0, "%H:%M"), (3 * 86400.0, "%d %b %H:%M")):
        row = cells(sensor_table([{**silent, "lastHeard": seconds}]), 0)
        # A minute may have passed.
        since = {time.strftime(form, time.localtime(now - seconds + d)) for d in (0, 60)}
        assert row["state"].removeprefix("silent since ") in since
    assert cells(sensor_table([{**silent, "lastHeard": None}]), 0)["state"] == (
        "silent since –"
    )


def test_a_sensor_that_seldom_says_a_value_tells_when_it_did() -> None:
    recent = cells(sensor_table([{**SENSOR, "lastValue": 59.0}]), 0)["state"]
    assert recent == "decoding"
    row = cells(sensor_table([{**SENSOR, "lastValue": 1800.0}]), 0)
    assert row["state"].startswith("decoding, last value at ")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (0.0, "12:00"),
        (3600.0, "11:00"),
        (86399.0, "12:00"),
        (86400.0, "24 Nov 12:00"),
    ],
)
def test_a_time_of_another_day_has_its_date(
    seconds: float | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert clock_time(seconds, now=1_795_608_000.0) == shown
    monkeypatch.undo()
    time.tzset()


def test_what_few_sensors_measure_shares_a_column() -> None:
    values = {
        "moisture": {"value": 18, "age": 1.0, "isLive": True},
        "illuminance": {"value": 14, "age": 1.0, "isLive": True},
        "conductivity": {"value": 599, "age": 1.0, "isLive": True},
        "formaldehyde": {"value": 1.25, "age": 1.0, "isLive": True},
        "voltage": {"value": 2.939, "age": 1.0, "isLive": True},
    }
    table = sensor_table([SENSOR, {**SENSOR, "values": values}])
    words = "soil 18 %, 14 lx, 599 µS/cm, 1.25 mg/m³, 2.94 V"
    assert cells(table, 0)["also"] == ""
    assert cells(table, 1)["also"] == words
    plant = {**FOUND, **{name: value["value"] for name, value in values.items()}}
    assert cells(search_table([plant]), 0)["also"] == words


def test_what_can_be_done_stands_below_the_sensors() -> None:
    sensors = [SENSOR, {**SENSOR, "name": "Cellar", "advice": "add its key"}]
    shown = lines(render({**STATUS, "sensors": sensors}))
    assert "Cellar: add its key" in shown


def test_names_stay_as_they_are() -> None:
    name = "[red]Küche[/] :house: 100 %"
    assert cells(sensor_table([{**SENSOR, "name": name}]), 0)["sensor"] == name
    found = {**FOUND, "configuredAs": name}
    assert cells(search_table([found]), 0)["configured as"] == name
    bridge = {**STATUS["bridge"], "name": name}
    assert lines(render({**STATUS, "bridge": bridge}))[0].startswith(name)


# -- what a search has found --------------------------------------------------------------


def test_what_was_found_has_a_row_each() -> None:
    new = {
        key: value
        for key, value in FOUND.items()
        if key not in {"temperature", "humidity", "battery"}
    }
    table = search_table([FOUND, {**new, "rssi": None, "configuredAs": None}])
    assert cells(table, 0) == {
        "address": "4C:64:A8:D0:AE:65",
        "model": "LYWSDCGQ",
        "temp.": "20.4 °C",
        "hum.": "39.4 %",
        "bat.": "93 %",
        "dBm": "-61",
        "heard": "0 s",
        "state": "wrong bind key",
        "configured as": "Room 1",
    }
    row = cells(table, 1)
    assert (row["temp."], row["bat."], row["dBm"]) == ("–", "–", "–")
    assert row["configured as"] == "not yet"


@pytest.mark.parametrize("width", [60, 80, 100])
def test_an_address_is_never_cut_nor_broken(width: int) -> None:
    long = "A sensor whose name goes on for quite a while, as people like it"
    for table in (
        search_table([{**FOUND, "configuredAs": long}]),
        sensor_table([{**SENSOR, "name": long}]),
    ):
        shown = lines(table, width)
        assert any("4C:64:A8:D0:AE:65" in line for line in shown)
        assert max(map(len, shown)) <= width


# -- ages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.4, "0 s"),
        (119.4, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (47.9 * 3600, "48 h"),
        (48 * 3600, "2 d"),
        (1000 * 86400, "1000 d"),
    ],
)
def test_an_age_has_the_unit_that_fits(seconds: float | None, text: str) -> None:
    assert age(seconds) == text


# -- terminals ----------------------------------------------------------------------------


def test_a_pipe_has_room_for_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    status_view.console().print(sensor_table([{**SENSOR, "name": "x" * 64}]))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_only_a_terminal_that_can_go_back_can_show_something_new_in_its_place() -> None:
    terminal = Console(force_terminal=True, _environ={"TERM": "xterm"})
    dumb = Console(force_terminal=True, _environ={"TERM": "dumb"})
    pipe = Console(file=io.StringIO(), force_terminal=False)
    assert [can_redraw(each) for each in (terminal, dumb, pipe)] == [True, False, False]
