"""`hk-bridge dim` as a person types it, with and without a bridge that runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import serial
from click.testing import CliRunner, Result

from hk_bridge import dimming
from hk_bridge.cli import cli
from hk_bridge.web import client
from tests.fakes.board import BoardEmulator
from tests.fakes.serial_servers import Rfc2217Server, SocketServer
from tests.fakes.terminal import Terminal
from tests.test_cli import COMMAND, PATIENCE, call, environment, running

PORT: Final = "/dev/ttyUSB0"
STATE: Final = ("--state-dir", "state")
NOWHERE: Final = ("--state-dir", "nowhere")
FRAME: Final = bytes.fromhex("0A FF 55 01 66 00 05 DC 0A")

#: The program as always, but that it shows at once what it waits for.
IMPATIENT: Final = """
from hk_bridge import __main__, cli_lamp
cli_lamp._PATIENCE = 0.01
__main__.main()
"""


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HK_BRIDGE_CONFIG", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def dim(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["dim", *arguments], prog_name="hk-bridge")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def configure(directory: Path, port: str, *channels: dict[str, Any], **more: Any) -> Path:
    """Write accessories.json with a dimmer that has these channels, or two plain ones."""
    plain = ({"channel": 1, "name": "Ceiling"}, {"channel": 2, "name": "Mirror"})
    dimmer = {"accessory": "Dimmer", "name": "Dual Dimmer", "port": port, **more}
    file = directory / "accessories.json"
    accessories = [{**dimmer, "channels": channels or plain}]
    file.write_text(json.dumps({"accessories": accessories}, indent=2))
    return file


def until(condition: Callable[[], Any]) -> Any:
    """What `condition` says once it is true."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end
        time.sleep(0.005)
    return result


def until_at(levels: dict[int, int], channel: int, level: int) -> None:
    """Return once a channel is at that level."""
    until(lambda: levels.get(channel) == level)


@dataclass(frozen=True)
class House:
    """A bridge that runs in a folder, and the dimmer board that it has open."""

    directory: Path
    board: BoardEmulator
    process: subprocess.Popen[str]

    @property
    def state(self) -> tuple[str, str]:
        return "--state-dir", str(self.directory / "state")

    def lamp(self, channel: int) -> dict[str, Any]:
        """The status of a lamp."""
        status = asyncio.run(client.ask(Path(self.state[1]), "GET", "/status"))
        lamp: dict[str, Any] = status["lamps"][channel - 1]
        return lamp


@contextmanager
def a_house(directory: Path) -> Iterator[House]:
    """A real bridge with a board on a real line."""
    with BoardEmulator() as board:
        ceiling = {"channel": 1, "name": "Ceiling", "minLevel": 20, "maxLevel": 200}
        mirror = {"channel": 2, "name": "Mirror"}
        configure(directory, board.port, ceiling, mirror, ramp=9)
        with running(directory, *STATE) as process:
            house = House(directory, board, process)
            until(lambda: house.lamp(1)["isReachable"])
            yield house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with a_house(tmp_path_factory.mktemp("house")) as house:
        yield house
        assert house.process.poll() is None


# -- the command line ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument 'PORT'"),
        ([PORT], "Missing argument 'CHANNEL'"),
        ([PORT, "1"], "how bright? Give a PERCENT from 0 to 100, or --sweep"),
        ([PORT, "1", "40", "--sweep"], "a PERCENT and --sweep exclude each other"),
        ([PORT, "0", "40"], "'CHANNEL'"),
        ([PORT, "3", "40"], "'CHANNEL'"),
        ([PORT, "1", "101"], "'[PERCENT]'"),
        ([PORT, "1", "1.5"], "'[PERCENT]'"),
        ([PORT, "1", "--", "-1"], "'[PERCENT]'"),
        ([" ", "1", "40"], "the port is empty"),
        ([PORT, "1", "40", "--ramp", "65536"], "'--ramp'"),
        ([PORT, "1", "40", "--baudrate", "0"], "'--baudrate'"),
        ([PORT, "1", "40", "--protocol", "dmx"], "'wxdm2', 'girier', 'qs-d01'"),
        ([PORT, "2", "40", "--protocol", "qs-d01"], "qs-d01 has only channel 1"),
        ([PORT, "1", "40", "--state-dir", ""], "the path is empty"),
    ],
)
def test_a_wrong_command_line_is_2(arguments: list[str], said: str) -> None:
    result = dim(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize("command", ["dim", "calibrate"])
def test_help_warns_before_it_says_anything_else(command: str) -> None:
    shown = CliRunner().invoke(cli, [command, "--help"], prog_name="hk-bridge").output
    _, _, text = shown.partition("\n\n")
    assert text.startswith("  DANGER: the serial line of the dimmer is at mains potential.")
    warning, _, rest = text.partition("\n\n  Sets" if command == "dim" else "\n\n  Finds")
    assert "Read docs/wiring.md before anything is connected" in " ".join(warning.split())
    assert f"hk-bridge {command} " in rest.partition("Examples:")[2]


def test_a_configuration_that_is_wrong_is_said() -> None:
    Path("accessories.json").write_text("{")
    result = dim(PORT, "1", "40", "--dry-run")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "1 problem in accessories.json" in result.stderr


# -- dry run ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "frame"),
    [
        (["1", "40"], "0A FF 55 01 66 00 05 DC 0A"),
        (["2", "100", "--ramp", "0"], "0A FF 55 02 00 FF 00 00 0A"),
        (["1", "0", "--ramp", "65535"], "0A FF 55 01 00 00 FF FF 0A"),
        (["1", "1", "--protocol", "girier"], "00 00 FF 55 01 03 00 05 DC 0A 00 00"),
        (["1", "40", "--protocol", "QS-D01"], "FF 55 66 05 DC 0A"),
    ],
)
def test_a_dry_run_prints_the_frame_and_opens_nothing(
    board: BoardEmulator, arguments: list[str], frame: str
) -> None:
    result = dim(board.port, *arguments, "--dry-run")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{frame}\n", "")
    assert not board.received
    assert dim("/nowhere", *arguments, "--dry-run").stdout == result.stdout


def test_a_dry_run_of_a_sweep_prints_each_frame_in_a_line() -> None:
    lines = dim(PORT, "1", "--sweep", "--dry-run").stdout.splitlines()
    levels = [bytes.fromhex(line)[4] for line in lines]
    assert (len(levels), max(levels), levels[0], levels[-1]) == (201, 255, 0, 0)
    assert lines[100] == "0A FF 55 01 FF 00 00 00 0A"
    assert levels == levels[::-1]


def test_what_the_file_says_of_the_dimmer_counts(tmp_path: Path) -> None:
    lamp = {"channel": 1, "name": "Lamp", "minLevel": 20, "maxLevel": 200}
    configure(tmp_path, PORT, lamp, ramp=9, protocol="girier", slideRamp=3)
    dry = ("--dry-run", "1", "100")
    assert dim(PORT, *dry).stdout == "00 00 FF 55 01 C8 00 00 09 0A 00 00\n"
    assert dim(PORT, *dry, "--protocol", "qs-d01", "--ramp", "1").stdout == (
        "FF 55 C8 00 01 0A\n"
    )
    assert dim("/dev/ttyUSB1", *dry).stdout == "0A FF 55 01 FF 00 05 DC 0A\n"
    swept = dim(PORT, "1", "--sweep", "--dry-run").stdout.splitlines()
    assert swept[1] == "00 00 FF 55 01 14 00 00 03 0A 00 00"


# -- without a bridge ---------------------------------------------------------------------


def test_it_opens_the_port_itself_where_no_bridge_runs(board: BoardEmulator) -> None:
    result = dim(board.port, "1", "40", *NOWHERE)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "channel 1 is at 40 % (level 102), written to the port directly\n"
    )
    # The frame, and the copy of it.
    assert board.frames == [FRAME] * 2
    assert not board.opened
    assert not Path("nowhere").exists()


def test_a_lamp_is_switched_off_with_0(board: BoardEmulator) -> None:
    assert "is at 0 % (level 0)" in dim(board.port, "2", "0", *NOWHERE).stdout
    assert board.levels == {2: 0}


def test_a_port_can_be_behind_a_url() -> None:
    with SocketServer() as plain, Rfc2217Server() as full:
        for server in (plain, full):
            assert dim(server.url, "2", "100", *NOWHERE).exit_code == 0
            until_at(server.board.levels, 2, 255)
        assert full.serial_port.baudrate == 9600


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("/nowhere/ttyUSB0", "is not there. Is the adapter plugged in?"),
        ("/", "is a folder"),
        ("socket://127.0.0.1:1", "nothing listens at 127.0.0.1, TCP port 1"),
        ("nonsense://", "is no port"),
    ],
)
def test_a_port_that_cannot_be_opened_is_said_in_a_line(port: str, said: str) -> None:
    result = dim(port, "1", "40", *NOWHERE)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"hk-bridge: serial port {port} ")
    assert said in line


def test_a_port_that_another_program_has_open_is_left_alone(
    board: BoardEmulator, tmp_path: Path
) -> None:
    with serial.Serial(board.port, exclusive=True):
        result = call(tmp_path, "dim", board.port, "1", "40", *NOWHERE)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"(pid {os.getpid()})" in result.stderr
    assert "--state-dir" not in result.stderr
    assert not board.received


def test_a_port_that_hangs_is_said(board: BoardEmulator) -> None:
    board.stall()
    result = dim(board.port, "1", "40", *NOWHERE)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "takes no bytes any more" in result.stderr


def test_an_opening_that_takes_long_is_shown_and_can_be_ended(tmp_path: Path) -> None:
    with Rfc2217Server() as server:
        server.hang()
        command = [sys.executable, "-c", IMPATIENT, "dim", server.url, "1", "40", *NOWHERE]
        with Terminal(command, tmp_path, environment(tmp_path)) as terminal:
            terminal.shows(f"opening {server.url} for 0 s, Ctrl-C ends it")
            assert terminal.interrupts() == 1
        assert terminal.text.rstrip().endswith("Aborted!")
        assert "Traceback" not in terminal.text


def test_a_sweep_goes_up_and_down_again(
    board: BoardEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimming, "SWEEP_SECONDS", 0.5)
    result = dim(board.port, "1", "--sweep", "--ramp", "3", *NOWHERE)
    assert result.exit_code == 0
    assert result.stdout == "channel 1 was swept and is off, written to the port directly\n"
    assert (
        result.stderr == f"sweeping channel 1 of {board.port} for 0.5 s; Ctrl-C: enough\n"
    )
    levels = [frame[4] for frame in board.frames]
    peak = levels.index(max(levels))
    assert levels[:peak] == sorted(levels[:peak])
    assert levels[peak:] == sorted(levels[peak:], reverse=True)
    assert (levels[-1], board.frames[0][6:8]) == (0, b"\0\3")


def test_a_sweep_that_is_ended_switches_the_lamp_off(
    board: BoardEmulator, tmp_path: Path
) -> None:
    command = [*COMMAND, "dim", board.port, "1", "--sweep", *NOWHERE]
    with Terminal(command, tmp_path, environment(tmp_path)) as terminal:
        terminal.shows("2 % (level 5), Ctrl-C: enough")
        assert terminal.interrupts() == 0
    assert "channel 1 was swept and is off" in terminal.text
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")
    assert board.levels == {1: 0}
    assert 0 < max(frame[4] for frame in board.frames) < 255


# -- with a bridge ------------------------------------------------------------------------


def test_a_bridge_that_has_the_port_sets_the_lamp(house: House) -> None:
    board = house.board
    before = len(board.frames)
    # The port by another name, and the curve and the ramp of the bridge.
    result = dim(board.tty, "1", "100", *house.state)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "channel 1 is at 100 % (level 200), by way of the running bridge\n"
    )
    # Lamp 2, whose level is in it, may have been set by another test.
    head, tail = bytes.fromhex("0A FF 55 01 C8"), bytes.fromhex("00 09 0A")
    until(lambda: any(f[:5] == head and f[6:] == tail for f in board.frames[before:]))
    lamp = house.lamp(1)
    assert (lamp["isOn"], lamp["brightness"], lamp["level"]) == (True, 100, 200)
    assert dim(board.port, "1", "50", "--ramp", "4", *house.state).exit_code == 0
    until(lambda: board.frames[-1][6:8] == b"\0\4")


def test_a_sweep_puts_a_lamp_of_a_bridge_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimming, "SWEEP_SECONDS", 0.0)
    port = house.board.port
    for percents in (["30"], ["60", "0"]):
        for percent in percents:
            assert dim(port, "2", percent, *house.state).exit_code == 0
        before = house.lamp(2)
        result = dim(port, "2", "--sweep", *house.state)
        assert (result.exit_code, result.stdout) == (
            0,
            "channel 2 was swept and is as it was before, by way of the running bridge\n",
        )
        # And so is the brightness that Home remembers of one that is off.
        assert house.lamp(2) == before
        until_at(house.board.levels, 2, before["level"])


def test_how_frames_look_is_the_business_of_the_bridge(house: House) -> None:
    for option in (("--protocol", "girier"), ("--baudrate", "300")):
        result = dim(house.board.port, "1", "40", *option, *house.state)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "Leave out --protocol and --baudrate, or stop the bridge" in result.stderr


def test_a_bridge_that_has_another_port_has_nothing_to_do_with_it(
    house: House, board: BoardEmulator
) -> None:
    result = dim(board.port, "1", "40", *house.state)
    assert result.stdout.endswith("written to the port directly\n")
    assert board.levels == {1: 102}


def test_a_bridge_with_another_state_directory_is_named(house: House) -> None:
    result = dim(house.board.port, "1", "40", *NOWHERE)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert f"in use by the bridge that runs (pid {house.process.pid})" in line
    assert line.endswith("--state-dir DIR, with its state directory")


def test_a_lamp_that_the_bridge_does_not_have_is_said(tmp_path: Path) -> None:
    with BoardEmulator() as board:
        configure(tmp_path, board.port, {"channel": 1, "name": "Only"})
        with running(tmp_path, *STATE):
            for arguments in (["40"], ["--sweep"]):
                result = dim(board.port, "2", *arguments, *STATE)
                assert (result.exit_code, result.stdout) == (1, "")
                assert "there is no lamp on channel 2" in result.stderr
        assert not board.levels


def test_a_simulated_dimmer_is_set_only_when_it_is_asked_for(
    tmp_path: Path, board: BoardEmulator, house: House
) -> None:
    configure(tmp_path, board.port)
    with running(tmp_path, "--simulate", *STATE):
        result = dim(board.port, "1", "40", "--simulate", *STATE)
        assert result.stdout.endswith("(level 102), by way of the running bridge\n")
        result = dim(PORT, "1", "40", "--simulate", *STATE)
        assert result.exit_code == 1
        assert f"the simulated bridge has no dimmer on {PORT}" in result.stderr
        assert not board.received
        assert dim(board.port, "1", "40", *STATE).exit_code == 0
        assert board.levels == {1: 102}
    result = dim(board.port, "1", "40", "--simulate", *STATE)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no bridge runs with the state directory state" in result.stderr
    result = dim(house.board.port, "1", "40", "--simulate", *house.state)
    assert (result.exit_code, result.stdout) == (1, "")
