"""Where the results of `hk-bridge read` go: to stdout, or into a file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hk_bridge.cli_options import print_json
from hk_bridge.devices.sensor_state import SensorState
from hk_bridge.errors import HkBridgeError
from hk_bridge.locked_file import LockedFile
from hk_bridge.sampling import SampledSensor

#: A line, or an object that becomes one.
Result = str | dict[str, Any]


def results_of(
    sensors: Sequence[SampledSensor], *, as_json: bool, is_unix: bool
) -> list[Result]:
    """What they have said; `is_unix` is whether their clock is the time of day already."""
    ahead = 0.0 if is_unix else time.time() - time.monotonic()

    def to_unix(at: float) -> float:
        return at + ahead

    if as_json:
        return [sensor.to_json(to_unix) for sensor in sensors]
    return [line for sensor in sensors for line in sensor.lines(to_unix)]


def print_all(results: Sequence[Result]) -> None:
    """Print them on stdout."""
    for result in results:
        if isinstance(result, str):
            click.echo(result)
        else:
            print_json(result)


def say_what_is_missing(
    sensors: Sequence[SampledSensor], *, as_json: bool, has_failed: bool
) -> None:
    """Say on stderr of which sensors there is nothing, and why.

    Where the radio `has_failed`, that is why the others were not heard.
    """
    for sensor in sensors:
        if not sensor.samples.last:
            if not has_failed or sensor.state is not SensorState.NEVER_HEARD:
                complain(sensor.why_nothing())
        elif not as_json and not sensor.lines(float):
            complain(f"{sensor.address} says other things; add --json to see them")


def complain(text: str) -> None:
    """Say on stderr what is wrong."""
    click.echo(f"hk-bridge: {text}", err=True)


def opened(path: Path) -> LockedFile:
    """The file for the results. Raises HkBridgeError where it cannot be written."""
    try:
        return LockedFile(path)
    except OSError as error:
        raise HkBridgeError(f"{path} cannot be written: {error.strerror}") from error


def write(file: LockedFile, results: Sequence[Result]) -> None:
    """Write the results. Raises HkBridgeError where they are on stdout instead."""
    lines = (
        result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        for result in results
    )
    try:
        file.replace(
            "".join(f"{line}\n" for line in lines),
            lambda: complain(
                f"{file.path} is locked by another program. Waiting until it lets go; "
                "Ctrl-C ends the wait"
            ),
        )
    except OSError as error:
        reason = error.strerror
    except KeyboardInterrupt:
        reason = "another program has locked it"
    else:
        return
    print_all(results)
    raise HkBridgeError(f"{file.path} was not written: {reason}. The results are on stdout")
