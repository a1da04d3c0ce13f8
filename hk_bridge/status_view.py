"""The status of a running bridge for a person: tables in a terminal.

Takes the JSON of ``GET /status``, of which a bridge of another version may have more or
less: what is missing is left out.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

#: Heading, unit and decimals of each quantity that has a column.
_QUANTITIES: Final = {
    "temperature": ("temp.", "°C", 1),
    "humidity": ("hum.", "%", 1),
    "battery": ("bat.", "%", 0),
}
#: What few sensors measure shares one column, in these words.
_MORE: Final = {
    "moisture": "soil {:.0f} %",
    "illuminance": "{:.0f} lx",
    "conductivity": "{:.0f} µS/cm",
    "formaldehyde": "{:.2f} mg/m³",
    "voltage": "{:.2f} V",
}
_HEADINGS: Final = tuple(heading for heading, _, _ in _QUANTITIES.values())
_NOTHING: Final = "–"

#: Columns that are not folded where a terminal is narrow: they are there to be copied.
_WHOLE: Final = frozenset({"address"})
_PIPE_WIDTH: Final = 200

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

#: The state of a sensor in which nothing has to be done.
_GOOD: Final = "decoding"
_SILENT: Final = "silent"

#: A value as old as this came with the last frame but a few.
_RECENT: Final = _MINUTE


def render(status: Mapping[str, Any]) -> RenderableType:
    """Everything, one part below the other."""
    parts: list[RenderableType] = [_bridge(status), _links(status)]
    if sensors := status.get("sensors"):
        parts += [sensor_table(sensors), *_advice(sensors)]
    if lamps := status.get("lamps"):
        parts.append(_lamps(lamps))
    return Group(*parts)


def age(seconds: float | None) -> str:
    """How long ago, or for how long: ``3 s``, ``12 min``, ``5 h``, ``4 d``."""
    if seconds is None:
        return _NOTHING
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def console() -> Console:
    """Where tables go: in a pipe, rows are not folded to a width that nobody has.

    A character that the encoding of stdout does not have becomes a question mark.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def error_console() -> Console:
    """Where is shown how something goes: beside what was asked for."""
    return Console(stderr=True, highlight=False)


def passing(console: Console) -> Live:
    """Shows one thing in the place of another on `console`, and nothing afterwards."""
    return Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)


def can_redraw(console: Console) -> bool:
    """Whether `console` can show something new in the place of something old."""
    return console.is_terminal and not console.is_dumb_terminal


def clock_time(seconds: float | None, now: float | None = None) -> str:
    """When something was that is so many seconds ago: ``14:03``, ``24 Nov 14:03``.

    `now` is in seconds since 1970.
    """
    if seconds is None:
        return _NOTHING
    at = time.localtime((time.time() if now is None else now) - seconds)
    return time.strftime("%H:%M" if seconds < _DAY else "%d %b %H:%M", at)


def sensor_table(sensors: Sequence[Mapping[str, Any]]) -> Table:
    """Sensors, a row each."""
    more = [
        _more({q: v.get("value") for q, v in _values(each).items()}) for each in sensors
    ]
    also = ("also",) if any(more) else ()
    columns = ("sensor", "state", *_HEADINGS, *also, "dBm", "heard", "model", "address")
    table = plain_table(*columns)
    for sensor, others in zip(sensors, more, strict=True):
        is_good = sensor.get("state") == _GOOD
        table.add_row(
            Text(known(sensor.get("name"))),
            Text(_state(sensor), style="" if is_good else "yellow"),
            *(_value(sensor, quantity) for quantity in _QUANTITIES),
            *([others] if also else []),
            known(sensor.get("rssi")),
            age(sensor.get("lastHeard")),
            Text(known(sensor.get("model"))),
            Text(known(sensor.get("address"))),
        )
    return table


def _state(sensor: Mapping[str, Any]) -> str:
    """The state, and since when where that is not now."""
    state, last_value = known(sensor.get("state")), sensor.get("lastValue")
    if state == _SILENT:
        return f"{state} since {clock_time(sensor.get('lastHeard'))}"
    if state == _GOOD and last_value is not None and last_value > _RECENT:
        return f"{state}, last value at {clock_time(last_value)}"
    return state


def _advice(sensors: Sequence[Mapping[str, Any]]) -> list[Text]:
    """What can be done, about each sensor of which no value comes."""
    lines = [
        f"{known(each.get('name'))}: {each['advice']}"
        for each in sensors
        if each.get("advice")
    ]
    return [Text("\n" + "\n".join(lines), style="yellow")] if lines else []


def search_table(sensors: Sequence[Mapping[str, Any]]) -> Table:
    """What `hk-bridge scan` has found, as its JSON has it, a row each."""
    more = [_more(sensor) for sensor in sensors]
    also = ("also",) if any(more) else ()
    columns = ("address", "model", *_HEADINGS, *also, "dBm", "heard", "state")
    table = plain_table(*columns, "configured as")
    for sensor, others in zip(sensors, more, strict=True):
        name = sensor.get("configuredAs")
        table.add_row(
            Text(sensor["address"]),
            Text(sensor["model"]),
            *(_measured(sensor.get(quantity), quantity) for quantity in _QUANTITIES),
            *([others] if also else []),
            known(sensor.get("rssi")),
            age(sensor.get("lastHeard")),
            Text(sensor["state"], style="" if sensor["state"] == _GOOD else "yellow"),
            Text(name or "not yet", style="" if name else "bold"),
        )
    return table


def _more(values: Mapping[str, Any]) -> str:
    """What there is beside the quantities that have a column."""
    return ", ".join(
        words.format(values[quantity])
        for quantity, words in _MORE.items()
        if values.get(quantity) is not None
    )


def plain_table(*columns: str) -> Table:
    """A table without lines, which can be read where there are no colours either."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column in _WHOLE)
    return table


def known(value: object) -> str:
    """What may not be known."""
    return _NOTHING if value is None else str(value)


def _measured(value: float | None, quantity: str) -> str:
    _, unit, decimals = _QUANTITIES[quantity]
    return _NOTHING if value is None else f"{value:.{decimals}f} {unit}"


def _values(sensor: Mapping[str, Any]) -> Mapping[str, Any]:
    values: Mapping[str, Any] = sensor.get("values", {})
    return values


def _value(sensor: Mapping[str, Any], quantity: str) -> Text:
    last = _values(sensor).get(quantity, {})
    text = _measured(last.get("value"), quantity)
    if last and not last.get("isLive"):
        return Text(f"{text}, {age(last.get('age'))} ago", style="dim")
    return Text(text)


def _bridge(status: Mapping[str, Any]) -> Text:
    """The first one with all that holds for the whole program, and then the others."""
    first = status.get("bridge", {})
    versions = status.get("versions", {})
    uptime = age(status.get("uptime"))
    simulated = ", simulated" if status.get("isSimulated") else ""
    addresses = ", ".join(first.get("addresses", [])) or _NOTHING
    program = f"{first.get('name', 'bridge')}: up for {uptime}{simulated}"
    place = f"port {known(first.get('port'))} on {addresses}{_where(first)}"
    lines = [f"{program}, {place}", *_controllers(first)]
    for bridge in status.get("bridges", [])[1:]:
        name, port = known(bridge.get("name")), known(bridge.get("port"))
        lines += [f"{name}: port {port}{_where(bridge)}", *_controllers(bridge)]
    lines.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    return Text("\n".join(lines) + "\n")


def _where(bridge: Mapping[str, Any]) -> str:
    return "" if bridge.get("isListening", True) else ", where Home cannot reach it"


def _controllers(bridge: Mapping[str, Any]) -> list[str]:
    """Who is paired with it, and what leaves it."""
    controllers = bridge.get("controllers", [])
    connected = sum(bool(controller.get("connections")) for controller in controllers)
    return [
        f"controllers: {len(controllers)} paired, {connected} connected",
        *(
            f"{known(each.get('name'))} has no entry any more: Home forgets it in "
            f"{age(each.get('seconds'))}"
            for each in bridge.get("leaving", [])
        ),
    ]


def _links(status: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    radio = status.get("radio")
    links = [{"name": "Bluetooth", **radio}] if radio else []
    for link in (*links, *status.get("links", [])):
        is_up = bool(link.get("isUp"))
        heard_at = link.get("lastHeard")
        heard = "" if heard_at is None else f", last heard {age(heard_at)} ago"
        table.add_row(
            Text("●" if is_up else "○", style="green" if is_up else "red"),
            Text(known(link.get("name"))),
            Text(f"{known(link.get('text'))}{heard}; for {age(link.get('since'))}"),
        )
    table.add_row()
    return table


def _lamps(lamps: Sequence[Mapping[str, Any]]) -> Group:
    table = plain_table("lamp", "set to", "level", "dimmer", "port")
    for lamp in lamps:
        table.add_row(
            Text(known(lamp.get("name"))),
            _set_to(lamp),
            known(lamp.get("level")),
            Text(f"{known(lamp.get('dimmer'))}, channel {known(lamp.get('channel'))}"),
            Text(
                known(lamp.get("port"))
                + ("" if lamp.get("isReachable") else ", not there"),
                style="" if lamp.get("isReachable") else "yellow",
            ),
        )
    return Group(Text(), table)


def _set_to(lamp: Mapping[str, Any]) -> str:
    """Of one that has never been set, nobody knows whether it is off."""
    if lamp.get("level") is None:
        return _NOTHING
    return f"{known(lamp.get('brightness'))} %" if lamp.get("isOn") else "off"
