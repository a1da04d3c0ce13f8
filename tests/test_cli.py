"""The commands as a person types them, in processes of their own."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner

from hk_bridge.cli import cli
from hk_bridge.homekit.store import Store
from hk_bridge.links import ports
from tests.fakes.ports import free_port, free_ports

SAMPLE = Path(__file__).parent.parent / "accessories.json"
COMMAND = [sys.executable, "-m", "hk_bridge"]
PATIENCE = 30


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """A home of its own, and nothing of ours in the environment."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in {"STATE_DIRECTORY", "HK_BRIDGE_CONFIG", "XDG_STATE_HOME"}
    }
    return {**clean, "HOME": str(tmp_path), **more}


def call(
    tmp_path: Path, *arguments: str, stdin: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        env=environment(tmp_path, **env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@contextmanager
def running(tmp_path: Path, *arguments: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """`hk-bridge run`, once it accepts controllers on the port that it is given, or any."""
    given = "--port" in arguments
    port = int(arguments[arguments.index("--port") + 1]) if given else free_port()
    process = subprocess.Popen(
        [*COMMAND, "run", "--bind", "127.0.0.1", "--port", str(port), *arguments],
        cwd=tmp_path,
        env=environment(tmp_path, **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for_port(port, process)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)


def wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError(f"not listening: {process.communicate()}")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with the sample configuration."""
    (tmp_path / "accessories.json").write_text(SAMPLE.read_text())
    return tmp_path


# -- run ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_with_exit_code_0(house: Path, number: int) -> None:
    with running(house, "--simulate", "--state-dir", "state") as process:
        begin = time.monotonic()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, stderr
        # Two seconds are promised; a busy machine gets more.
        assert time.monotonic() - begin < 10
    assert stdout == ""
    assert "Traceback" not in stderr
    assert stderr.rstrip().endswith("stopped")


def test_the_log_says_what_was_found_and_shows_no_setup_code(house: Path) -> None:
    with running(house, "--simulate", "--state-dir", "state", "-vv") as process:
        time_out = time.monotonic() + PATIENCE
        assert process.stderr is not None
        log = ""
        while "Room 2: " not in log and time.monotonic() < time_out:
            log += process.stderr.readline()
        process.terminate()
        log += process.communicate(timeout=PATIENCE)[1]
    store = json.loads((house / "state" / "homekit.json").read_text())["bridges"][0]
    assert "HK Bridge: sensors 2, lamps 2, port" in log
    assert re.search(r"Room 1: \d+\.\d °C, \d+\.\d %", log)
    assert "hk-bridge pairing show" in log
    assert store["setupCode"] not in log
    assert store["privateKey"] not in log


def test_on_a_terminal_it_shows_setup_code_and_qr_code(house: Path) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "run", "--simulate", "--bind", "127.0.0.1", "--port", str(free_port())],
        cwd=house,
        env=environment(house),
        stdout=terminal,
        stderr=subprocess.DEVNULL,
    )
    os.close(terminal)
    shown = b""
    end = time.monotonic() + PATIENCE
    while b"Setup payload" not in shown and time.monotonic() < end:
        if select.select([controller], [], [], 1)[0]:
            shown += os.read(controller, 65536)
    process.terminate()
    assert process.wait(PATIENCE) == 0
    os.close(controller)
    text = shown.decode()
    assert "HK Bridge is ready" in text
    assert "▀" in text
    assert re.search(r"Setup code: +\d{3}-\d{2}-\d{3}", text)


def test_a_second_bridge_on_the_same_state_is_a_clear_error(house: Path) -> None:
    with running(house, "--simulate", "--state-dir", "state"):
        second = call(house, "run", "--simulate", "--state-dir", "state")
    assert second.returncode == 1
    assert "in use by another hk-bridge" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_in_use_is_a_clear_error(house: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        result = call(house, "run", "--simulate", "--bind", "127.0.0.1", "--port", port)
    assert result.returncode == 1
    assert f"port {port} is in use by another program" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_is_neither_interface_nor_address_is_a_clear_error(house: Path) -> None:
    result = call(house, "run", "--simulate", "--bind", "nowhere0")
    assert result.returncode == 1
    assert '"nowhere0" is neither' in result.stderr
    assert "lo (127.0.0.1" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_address_that_no_interface_has_is_waited_for(house: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", "--simulate", "--bind", "198.51.100.77", "--state-dir", "state"],
        cwd=house,
        env=environment(house),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    log = ""
    try:
        while "198.51.100.77, from --bind or bridge.bind, is down" not in log:
            line = process.stderr.readline()
            assert line, log
            log += line
    finally:
        process.terminate()
        log += process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0
    assert "Waiting for it" in log
    assert "Traceback" not in log


def test_without_radio_and_serial_port_homekit_is_up_and_says_what_is_missing(
    house: Path,
) -> None:
    env = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere/dbus"}
    with running(house, "--state-dir", "state", **env) as process:
        assert process.stderr is not None
        log = ""
        end = time.monotonic() + PATIENCE
        while not ("ttyUSB0 is not there" in log and "D-Bus" in log):
            assert time.monotonic() < end, log
            log += process.stderr.readline()
        process.terminate()
        log += process.communicate(timeout=PATIENCE)[1]
        assert process.returncode == 0
    assert "Traceback" not in log
    assert log.count("ttyUSB0 is not there") == 1


def test_a_bad_configuration_ends_run_with_every_problem(tmp_path: Path) -> None:
    (tmp_path / "accessories.json").write_text(
        '{"accessories": [\n'
        '{"accessory": "Hygrothermograph", "name": "A", "bindkey": "x"},\n'
        '{"accessory": "Dimmer", "name": "B", "channels": []}]}'
    )
    result = call(tmp_path, "run", "--simulate")
    assert result.returncode == 1
    assert "accessories.json:2: accessories[0].bindkey" in result.stderr
    assert "accessories.json:3: accessories[1]" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_wrong_option_is_wrong_use(house: Path) -> None:
    assert call(house, "run", "--nonsense").returncode == 2
    assert call(house, "run", "--port", "0").returncode == 2
    assert call(house, "decode").returncode == 2
    assert call(house, "decode", "--uuid", "xyz", "00").returncode == 2
    assert call(house, "decode", "--bindkey", "ab", "00").returncode == 2


@pytest.mark.parametrize("speed", ["nan", "-nan", "inf", "-inf", "0", "-1", "1001", "x"])
def test_a_speed_is_a_number_up_to_a_thousand(speed: str) -> None:
    result = CliRunner().invoke(cli, ["run", "--replay", "gone", "--speed", speed])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Invalid value for '--speed'" in result.stderr


# -- where the state is ---------------------------------------------------------------


def test_the_state_is_where_the_option_says_else_the_environment_else_the_user(
    house: Path,
) -> None:
    for arguments, env, place in (
        (["--state-dir", "mine"], {"STATE_DIRECTORY": "systemd"}, "mine"),
        ([], {"STATE_DIRECTORY": f"{house}/systemd:/other"}, "systemd"),
        (["--simulate"], {"STATE_DIRECTORY": f"{house}/unit"}, "unit"),
        ([], {"XDG_STATE_HOME": str(house / "xdg")}, "xdg/hk-bridge"),
        (["--simulate"], {"XDG_STATE_HOME": str(house / "xdg")}, "xdg/hk-bridge-simulated"),
    ):
        assert call(house, "pairing", "show", *arguments, **env).returncode == 0
        directory = house / place
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert stat.S_IMODE((directory / "homekit.json").stat().st_mode) == 0o600


def test_a_directory_of_its_own_is_closed_to_others_and_one_of_the_user_s_is_not(
    house: Path,
) -> None:
    own, shared = house / "own", house / "shared"
    for directory in (own, shared):
        directory.mkdir()
        directory.chmod(0o755)
    (shared / "letter.txt").touch()
    for directory, mode in ((own, 0o700), (shared, 0o755)):
        assert call(house, "pairing", "show", "--state-dir", str(directory)).returncode == 0
        assert stat.S_IMODE(directory.stat().st_mode) == mode
        for name in ("homekit.json", "homekit.json.bak", "lock"):
            assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600


def test_an_empty_path_is_wrong_use_and_a_wrong_one_a_failure(house: Path) -> None:
    assert call(house, "check", "--config", "").returncode == 2
    assert call(house, "pairing", "show", "--state-dir", "").returncode == 2
    for arguments in (["--state-dir", "accessories.json"], ["--state-dir", "/dev/null/x"]):
        result = call(house, "pairing", "show", *arguments)
        assert result.returncode == 1
        assert "cannot be used" in result.stderr
        assert "Traceback" not in result.stderr


# -- output ---------------------------------------------------------------------------


def test_a_terminal_that_cannot_show_the_qr_code_shows_the_rest(house: Path) -> None:
    result = call(
        house, "pairing", "show", "--state-dir", "state", PYTHONIOENCODING="ascii"
    )
    assert result.returncode == 0
    assert "needs a terminal with UTF-8" in result.stdout
    assert "Setup code:" in result.stdout


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only Linux has a full disk to try"
)
@pytest.mark.parametrize("arguments", [["schema"], ["check"], ["--help"], ["decode", "00"]])
def test_output_that_cannot_be_written_is_said_in_a_line(
    house: Path, arguments: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*COMMAND, *arguments],
            cwd=house,
            env=environment(house),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    assert result.returncode == 1
    assert result.stderr == "hk-bridge: cannot print: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs_are_no_failure(house: Path, closed: str) -> None:
    command = f'"$0" -m hk_bridge pairing show --state-dir state {closed}'
    result = subprocess.run(
        ["sh", "-c", command, sys.executable],
        cwd=house,
        env=environment(house),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_reader_that_goes_early_is_no_noise(house: Path) -> None:
    result = subprocess.run(
        ["sh", "-c", '"$0" -m hk_bridge schema | head -n 1', sys.executable],
        cwd=house,
        env=environment(house),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (result.stdout, result.stderr) == ("{\n", "")


# -- pairing --------------------------------------------------------------------------


def test_pairing_show_gives_the_same_code_payload_and_qr_code_each_time(
    house: Path,
) -> None:
    first = call(house, "pairing", "show", "--state-dir", "state")
    second = call(house, "pairing", "show", "--state-dir", "state")
    assert first.returncode == 0
    assert first.stdout == second.stdout
    assert re.search(r"X-HM://[0-9A-Z]{9}[0-9A-Z]{4}\n", first.stdout)
    assert "Not paired." in first.stdout
    assert first.stderr == ""


def test_pairing_show_takes_the_code_of_the_configuration(house: Path) -> None:
    (house / "accessories.json").write_text(
        '{"bridge": {"pin": "031-45-154"}, "accessories": []}'
    )
    shown = call(house, "pairing", "show", "--state-dir", "state").stdout
    assert "Setup code:    031-45-154" in shown


@pytest.mark.parametrize("runs", [False, True])
def test_pairing_reset_asks_first_whether_or_not_the_bridge_runs(
    house: Path,
    runs: bool,
) -> None:
    state = ["--state-dir", "state"]
    call(house, "pairing", "show", *state)
    before = json.loads((house / "state" / "homekit.json").read_text())
    with running(house, "--simulate", *state) if runs else nullcontext():
        refused = call(house, "pairing", "reset", *state, stdin="n\n")
        assert (refused.returncode, refused.stdout[:10]) == (1, "Forget all")
        kept = json.loads((house / "state" / "homekit.json").read_text())
        assert kept["bridges"][0]["deviceId"] == before["bridges"][0]["deviceId"]
        assert call(house, "pairing", "reset", "--yes", *state).returncode == 0
    after = json.loads((house / "state" / "homekit.json").read_text())
    assert after["bridges"][0]["deviceId"] != before["bridges"][0]["deviceId"]
    for kept in ("setupCode", "setupId"):
        assert after["bridges"][0][kept] == before["bridges"][0][kept]


def test_a_damaged_store_is_an_error_that_names_the_file(house: Path) -> None:
    state = house / "state"
    call(house, "pairing", "show", "--state-dir", "state")
    for name in ("homekit.json", "homekit.json.bak"):
        (state / name).write_text("{")
    for arguments in (
        ["pairing", "show"],
        ["run", "--simulate"],
        ["pairing", "reset", "--yes"],
    ):
        result = call(house, *arguments, "--state-dir", "state")
        assert result.returncode == 1
        assert "homekit.json is damaged" in result.stderr
        assert "Traceback" not in result.stderr
    assert (state / "homekit.json").read_text() == "{"


def test_a_store_saved_by_its_copy_is_used_and_said(house: Path) -> None:
    shown = call(house, "pairing", "show", "--state-dir", "state").stdout
    (house / "state" / "homekit.json").write_text("")
    again = call(house, "pairing", "show", "--state-dir", "state")
    assert again.stdout == shown
    assert "homekit.json is damaged" in again.stderr
    assert "homekit.json.bak is used" in again.stderr


# -- check, schema --------------------------------------------------------------------


def test_check_hints_at_a_name_of_a_port_that_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "accessories.json"
    channels = [{"channel": 1, "name": "Lamp"}]
    entry = {"accessory": "Dimmer", "name": "D", "port": "/dev/ttyUSB0"}
    file.write_text(json.dumps({"accessories": [{**entry, "channels": channels}]}))
    stable = {"/dev/ttyUSB0": "/dev/serial/by-id/usb-FTDI-port0"}
    monkeypatch.setattr(ports, "stable_name", stable.get)
    result = CliRunner().invoke(cli, ["check", "--config", str(file)])
    hint, summary = result.stdout.splitlines()
    assert hint.startswith(f"hint: {file}: /dev/ttyUSB0 can be another adapter")
    assert hint.endswith('Write "port": "/dev/serial/by-id/usb-FTDI-port0" instead')
    assert summary == f"{file} is fine: 0 sensors, 1 lamp"
    assert result.exit_code == 0


def test_check_says_what_is_there_or_what_is_wrong(house: Path) -> None:
    fine = call(house, "check")
    assert (fine.returncode, fine.stderr) == (0, "")
    assert fine.stdout == "accessories.json is fine: 2 sensors, 2 lamps\n"
    (house / "bad.json").write_text('{"accessories": [{"accessory": "Dimmer"}]}')
    for arguments, env in (
        (["--config", "bad.json"], {}),
        ([], {"HK_BRIDGE_CONFIG": "bad.json"}),
    ):
        bad = call(house, "check", *arguments, **env)
        assert bad.returncode == 1
        assert bad.stdout.startswith("error: bad.json:1: accessories[0]")
        assert bad.stderr == ""
    missing = call(house, "check", "--config", "gone.json")
    assert missing.returncode == 1
    assert "gone.json" in missing.stdout
    assert "--config" in missing.stdout


def test_the_homebridge_sample_runs_with_a_warning_and_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "accessories.json").write_text(
        '{"accessories": '
        '[{"accessory": "Hygrotermograph", "name": "Temperature & Humidity"}]}'
    )
    result = call(tmp_path, "check")
    assert result.returncode == 0
    assert result.stdout.startswith("warning: accessories.json:1: accessories[0].name: ")
    assert "Temperature and Humidity" in result.stdout
    with running(tmp_path, "--simulate", "--state-dir", "state"):
        pass


def test_schema_prints_json(tmp_path: Path) -> None:
    result = call(tmp_path, "schema")
    assert result.returncode == 0
    assert json.loads(result.stdout)["properties"]["accessories"]


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["run"],
        ["check"],
        ["schema"],
        ["decode"],
        ["pairing"],
        ["pairing", "show"],
        ["pairing", "reset"],
    ],
)
def test_every_command_has_help_with_examples(tmp_path: Path, command: list[str]) -> None:
    result = call(tmp_path, *command, "--help")
    assert result.returncode == 0
    # Each example stands on a line of its own, ready to be copied.
    examples = result.stdout.partition("Example")[2].splitlines()[1:]
    assert examples[0].strip().startswith(" ".join(["hk-bridge", *command]))


def test_each_of_several_bridges_has_its_own_code_and_is_reset_by_its_number(
    house: Path,
) -> None:
    document = json.loads((house / "accessories.json").read_text())
    document["bridge"] = {"maxAccessories": 2, "name": "Our House"}
    (house / "accessories.json").write_text(json.dumps(document))
    state = ("--state-dir", "state")
    with running(house, "--simulate", *state, "--port", str(free_ports())):
        shown = call(house, "pairing", "show", *state).stdout
    assert [line for line in shown.splitlines() if line.startswith("==")] == [
        "== Our House",
        "== Our House 2",
    ]
    codes = re.findall(r"\d{3}-\d{2}-\d{3}", shown)
    assert len(set(codes)) == 2
    second = call(house, "pairing", "show", *state, "--bridge", "2").stdout
    assert codes[1] in second
    assert codes[0] not in second
    before = Store.open(house / "state").bridges
    assert call(house, "pairing", "reset", "--yes", *state, "--bridge", "2").returncode == 0
    after = Store.open(house / "state").bridges
    assert after[0] == before[0]
    assert after[1].device_id != before[1].device_id
    assert after[1].setup_code == before[1].setup_code
    for command in (["show"], ["reset", "--yes"]):
        refused = call(house, "pairing", *command, *state, "--bridge", "3")
        assert refused.returncode == 1
        assert "there is no bridge 3; there are: 1, 2" in refused.stderr
