"""`hk-bridge calibrate`, with somebody who looks at the lamp and presses keys."""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from hk_bridge.cli import cli
from tests.fakes.board import BoardEmulator
from tests.fakes.terminal import Terminal
from tests.test_cli import COMMAND, environment
from tests.test_cli_dim import STATE, House, a_house, configure, dim, until, until_at

UP, DOWN, FAR_UP, FAR_DOWN = b"\x1b[A", b"\x1b[B", b"\x1b[5~", b"\x1b[6~"
ENTER, ESCAPE = b"\r", b"\x1b"
LAMP: Final = {"channel": 1, "name": "Ceiling Light"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with a_house(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HK_BRIDGE_CONFIG", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def calibrate(*arguments: str) -> Result:
    """The command where nobody is at a terminal."""
    person = CliRunner()
    result = person.invoke(cli, ["calibrate", *arguments], input="\n\ny")
    assert isinstance(result.exception, SystemExit)
    return result


def calibrating(directory: Path, *arguments: str, **how: Any) -> Terminal:
    command = [*COMMAND, "calibrate", *STATE, *arguments]
    return Terminal(command, directory, environment(directory), **how)


# -- which lamp ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which LAMP? There are: Ceiling, Mirror"),
        (["Miror"], 'no lamp is called "Miror". Did you mean "Mirror"? There are: '),
        (["Xyz"], 'no lamp is called "Xyz". There are: Ceiling, Mirror'),
        (["Ceiling", "Mirror"], "unexpected extra argument"),
    ],
)
def test_which_lamp_has_to_be_clear(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    configure(tmp_path, "/dev/ttyUSB0")
    result = calibrate(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_without_a_file_or_a_lamp_in_it_it_says_so(tmp_path: Path) -> None:
    result = calibrate()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "accessories.json: there is no such file" in result.stderr
    (tmp_path / "accessories.json").write_text('{"accessories": []}')
    result = calibrate()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "accessories.json: there is no lamp in it" in result.stderr


def test_it_needs_somebody_at_a_terminal(tmp_path: Path, board: BoardEmulator) -> None:
    configure(tmp_path, board.port, LAMP)
    result = calibrate("ceiling  light")
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("hk-bridge: calibrate needs a terminal")
    assert not board.received


# -- with keys ----------------------------------------------------------------------------


def test_both_levels_are_found_and_written(tmp_path: Path, board: BoardEmulator) -> None:
    file = configure(tmp_path, board.port, LAMP, {"channel": 2, "name": "Mirror"})
    before = file.read_text()
    with calibrating(tmp_path, "Ceiling Light") as person:
        person.shows("Ceiling Light: channel 1, written to the port directly.")
        person.shows("1. The lowest level at which the lamp lights well.")
        for key, level in ((b"", 64), (DOWN, 63), (FAR_DOWN, 53), (b"]", 63), (UP, 64)):
            person.presses(key)
            person.shows(f"level  {level}")
            until_at(board.levels, 1, level)
        person.presses(b"o")
        person.shows("level  64, off")
        until_at(board.levels, 1, 0)
        # What has to be seen is whether it starts, as it does when it is switched.
        person.presses(b"o")
        until(lambda: board.frames[-1] == bytes.fromhex("0A FF 55 01 40 00 05 DC 0A"))
        person.presses(b"-")
        until(lambda: board.frames[-1] == bytes.fromhex("0A FF 55 01 3F 00 00 00 0A"))
        person.presses(ENTER)
        person.shows("2. The highest level that makes a difference.")
        person.shows("level 255")
        person.presses(FAR_DOWN + b"+")
        person.shows("level 246")
        person.presses(ENTER)
        person.shows("minLevel 63 (was not set) and maxLevel 246 (was not set).")
        person.shows("Write that into accessories.json? y or n")
        person.presses(b"y")
        assert person.ends() == 0
    assert "The lamp stays as it is: what it was before is not known." in person.text
    *_, last = person.text.splitlines()
    assert last.startswith(
        "minLevel 63 and maxLevel 246 of Ceiling Light are in accessories.json now."
    )
    changed = file.read_text()
    assert '"minLevel": 63' in changed
    assert '"maxLevel": 246' in changed
    old = [line for line in changed.splitlines() if "Level" not in line]
    assert [line.rstrip(",") for line in old] == [
        line.rstrip(",") for line in before.splitlines()
    ]


def presses(*keys: bytes) -> Callable[[Terminal], None]:
    def leave(person: Terminal) -> None:
        for key in keys:
            person.presses(key)

    return leave


@pytest.mark.parametrize(
    "leave",
    [
        presses(ESCAPE),
        presses(ENTER, ENTER, b"n"),
        presses(b"\x03"),
        lambda person: person.process.send_signal(signal.SIGTERM),
    ],
    ids=["Esc", "n", "Ctrl-C", "SIGTERM"],
)
def test_who_leaves_finds_file_and_terminal_as_they_were(
    tmp_path: Path, board: BoardEmulator, leave: Callable[[Terminal], None]
) -> None:
    file = configure(tmp_path, board.port, LAMP)
    before = file.read_bytes()
    with calibrating(tmp_path) as person:
        # Somebody who keeps the terminal, as a shell does.
        person.shows("level  64")
        line = os.open(f"/proc/{person.process.pid}/fd/0", os.O_RDWR | os.O_NOCTTY)
        assert not termios.tcgetattr(line)[3] & (termios.ECHO | termios.ICANON)
        leave(person)
        person.shows("accessories.json is as it was.")
        assert person.process.wait() == 1
        assert termios.tcgetattr(line)[3] & termios.ECHO
        assert termios.tcgetattr(line)[3] & termios.ICANON
        os.close(line)
    assert file.read_bytes() == before
    assert "Traceback" not in person.text


def test_a_port_that_is_lost_meanwhile_is_said(
    tmp_path: Path, board: BoardEmulator
) -> None:
    configure(tmp_path, board.port, LAMP)
    with calibrating(tmp_path) as person:
        person.shows("level  64")
        until(lambda: board.levels)
        board.unplug()
        # Without a key, it is noticed when the port is looked at.
        person.presses(DOWN)
        assert person.ends() == 1
    assert f"hk-bridge: serial port {board.port} was unplugged" in person.text
    assert "Traceback" not in person.text


def test_levels_that_cannot_be_written_are_said(
    tmp_path: Path, board: BoardEmulator
) -> None:
    file = configure(tmp_path, board.port, LAMP)
    with calibrating(tmp_path) as person:
        person.presses(ENTER + ENTER)
        person.shows("y or n")
        file.write_text(file.read_text().replace('"channel": 1', '"channel": 2'))
        person.presses(b"y")
        assert person.ends() == 1
    assert "minLevel 64 and maxLevel 255 of Ceiling Light could not be written" in (
        person.text
    )
    assert "somebody edited it meanwhile" in person.text


# -- with a bridge ------------------------------------------------------------------------


def test_a_lamp_of_a_running_bridge_is_put_back(house: House) -> None:
    port = house.board.port
    for percent in ("40", "0"):
        assert dim(port, "1", percent, *house.state).exit_code == 0
    before = house.lamp(1)
    file = house.directory / "accessories.json"
    text = file.read_text()
    with calibrating(house.directory, "Ceiling") as person:
        person.shows("Ceiling: channel 1, by way of the running bridge.")
        person.shows("level  20")
        until_at(house.board.levels, 1, 20)
        assert house.lamp(1)["isOn"]
        person.presses(UP + ENTER)
        person.shows("level 200")
        until_at(house.board.levels, 1, 200)
        person.presses(ENTER)
        person.shows("minLevel 21 (was 20) and maxLevel 200 (was 200).")
        person.presses(b"y")
        assert person.ends() == 0
    assert "The lamp is as it was before." in person.text
    assert house.lamp(1) == before
    until_at(house.board.levels, 1, 0)
    assert file.read_text() == text.replace('"minLevel": 20', '"minLevel": 21')


def test_a_lamp_of_a_running_bridge_is_put_back_by_who_leaves(house: House) -> None:
    assert dim(house.board.port, "2", "40", *house.state).exit_code == 0
    before = house.lamp(2)
    with calibrating(house.directory, "Mirror") as person:
        person.shows("level  64")
        until_at(house.board.levels, 2, 64)
        assert person.interrupts() == 1
    assert "The lamp is as it was before." in person.text
    assert house.lamp(2) == before
    until_at(house.board.levels, 2, 102)


def test_a_lamp_of_a_running_bridge_is_put_back_when_the_window_is_closed(
    house: House,
) -> None:
    assert dim(house.board.port, "2", "30", *house.state).exit_code == 0
    before = house.lamp(2)
    with calibrating(house.directory, "Mirror") as person:
        person.shows("level  64")
        until_at(house.board.levels, 2, 64)
        assert person.hangs_up() == 1
    assert house.lamp(2) == before
    until_at(house.board.levels, 2, 76)


def test_a_bridge_that_ends_meanwhile_is_said(tmp_path: Path) -> None:
    with a_house(tmp_path) as house:
        with calibrating(tmp_path, "Mirror") as person:
            person.shows("level  64")
            house.process.terminate()
            house.process.wait()
            person.presses(DOWN)
            assert person.ends() == 1
        assert "hk-bridge: no bridge runs with the state directory state." in person.text
        assert "Traceback" not in person.text
