"""`hk-bridge status` and `pairing reset` as a person types them, beside a real bridge."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hk_bridge.cli import cli
from hk_bridge.homekit.identity import Pairing
from hk_bridge.homekit.store import StateLock, Store
from hk_bridge.web import client
from tests.fakes.terminal import Terminal
from tests.fakes.users import another_user
from tests.test_cli import PATIENCE, SAMPLE, call, environment, running

#: The program as always, but that it asks again at once when it watches.
IMPATIENT: Final = """
from hk_bridge import __main__, cli_status
cli_status._WATCH_SECONDS = 0.05
__main__.main()
"""
STATE: Final = ("--state-dir", "state")
STATUS: Final = ("status", *STATE)
WATCH: Final = (*STATUS, "--watch")


@dataclass(frozen=True)
class Bridge:
    """A simulated bridge that runs, and the folder in which it does."""

    directory: Path
    process: subprocess.Popen[str]

    def status(self) -> dict[str, Any]:
        return asyncio.run(client.ask(self.directory / "state", "GET", "/status"))


@contextmanager
def a_bridge(directory: Path) -> Iterator[Bridge]:
    """A bridge with the sample configuration, all of whose sensors have been heard."""
    if not (directory / "accessories.json").exists():
        shutil.copy(SAMPLE, directory)
    with running(directory, "--simulate", *STATE) as process:
        bridge = Bridge(directory, process)
        end = time.monotonic() + PATIENCE
        while any(each["state"] != "decoding" for each in bridge.status()["sensors"]):
            assert time.monotonic() < end, bridge.status()
            time.sleep(0.01)
        yield bridge


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """One that all tests ask which leave it as it is."""
    with a_bridge(tmp_path_factory.mktemp("house")) as running_bridge:
        yield running_bridge
        # Nothing that it was asked has made it say that something is wrong.
        assert running_bridge.process.poll() is None
        running_bridge.process.terminate()
        _, log = running_bridge.process.communicate(timeout=PATIENCE)
        assert "Traceback" not in log
        assert "ERROR" not in log


def watching(directory: Path, *arguments: str, **how: Any) -> Terminal:
    env = environment(directory, **how.pop("env", {}))
    return Terminal(
        [sys.executable, "-c", IMPATIENT, *WATCH, *arguments], directory, env, **how
    )


@contextmanager
def piped(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, *WATCH, *arguments],
        cwd=directory,
        env=environment(directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)


# -- what it shows ------------------------------------------------------------------------


def test_it_shows_bridge_radio_links_sensors_and_lamps(bridge: Bridge) -> None:
    result = call(bridge.directory, *STATUS)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("HK Bridge: up for ")
    assert ", simulated, port " in lines[0]
    assert lines[1] == "controllers: 0 paired, 0 connected"
    assert lines[2].startswith("hk-bridge ")
    for words in ("Bluetooth ", "simulated dimmer Dual Dimmer ", "serial port /dev/pts/"):
        assert any(line.startswith(f"●  {words}") for line in lines), words
    for name in ("Room 1", "Room 2"):
        (line,) = [line for line in lines if line.startswith(name)]
        assert " decoding " in line
        assert " °C " in line
    for name in ("Ceiling Light", "Mirror Light"):
        (line,) = [line for line in lines if line.startswith(name)]
        assert " –  " in line  # it has never been set


def keys(value: Any) -> Any:
    """What is in an object, without its values; one item stands for a list."""
    if isinstance(value, Mapping):
        return {key: keys(item) for key, item in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else None


def test_as_json_it_is_one_object_with_everything(bridge: Bridge) -> None:
    result = call(bridge.directory, *STATUS, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    (line,) = result.stdout.splitlines()
    status = json.loads(line)
    measured = {"value": None, "age": None, "isLive": None}
    bridge_ = dict.fromkeys(
        ["name", "port", "isListening", "addresses", "controllers", "accessories", "number"]
    ) | {"addresses": [None], "leaving": None}
    assert keys(status) == {
        "versions": dict.fromkeys(
            ["hk-bridge", "python", "HAP-python", "bleak", "pyserial", "zeroconf"]
        ),
        "uptime": None,
        "isSimulated": None,
        "bridge": bridge_,
        "bridges": [bridge_],
        "radio": dict.fromkeys(
            ["isUp", "text", "since", "mode", "adapter", "lastHeard", "adverts"]
        ),
        "links": [dict.fromkeys(["name", "isUp", "text", "since"])],
        "sensors": [
            dict.fromkeys(
                [
                    *("name", "address", "state", "product", "model", "rssi", "lastHeard"),
                    *("format", "lastValue", "advice", "refused", "replays"),
                ]
            )
            | {"unknown": {}}
            | {"values": dict.fromkeys(["temperature", "humidity", "battery"], measured)}
        ],
        "lamps": [
            dict.fromkeys(
                [
                    "name",
                    "dimmer",
                    "channel",
                    "port",
                    "isReachable",
                    "isOn",
                    "brightness",
                    "level",
                ]
            )
        ],
    }
    assert status["bridge"]["addresses"] == ["127.0.0.1"]
    assert [each["name"] for each in status["sensors"]] == ["Room 1", "Room 2"]
    assert 0 <= status["sensors"][0]["lastHeard"] <= status["uptime"]


def test_no_secret_is_in_what_it_shows(bridge: Bridge) -> None:
    identity = Store.open(bridge.directory / "state").bridge()
    for arguments in ([], ["--json"]):
        shown = call(bridge.directory, *STATUS, *arguments).stdout
        assert identity.setup_code not in shown
        assert identity.private_key.hex() not in shown


def test_many_who_ask_at_once_are_all_answered(bridge: Bridge) -> None:
    with ThreadPoolExecutor(5) as people:
        results = list(
            people.map(lambda _: call(bridge.directory, *STATUS, "--json"), range(5))
        )
    assert {result.returncode for result in results} == {0}
    assert len({json.loads(result.stdout)["bridge"]["port"] for result in results}) == 1


def test_any_encoding_will_do(bridge: Bridge) -> None:
    result = call(bridge.directory, *STATUS, PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert "?  Bluetooth " in result.stdout


def test_a_reader_that_goes_early_is_no_noise(bridge: Bridge) -> None:
    for arguments in ("", "--json", "--watch"):
        command = f'"$0" -m hk_bridge status --state-dir state {arguments} | head -n 1'
        result = subprocess.run(
            ["sh", "-c", command, sys.executable],
            cwd=bridge.directory,
            env=environment(bridge.directory),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert len(result.stdout.splitlines()) == 1
        assert result.stderr == ""


def test_help_has_examples(tmp_path: Path) -> None:
    examples = call(tmp_path, "status", "--help").stdout.partition("Examples:")[2]
    assert examples.splitlines()[1].strip() == "hk-bridge status"


# -- watching -----------------------------------------------------------------------------


def test_on_a_terminal_it_shows_each_change_in_its_place(bridge: Bridge) -> None:
    with watching(bridge.directory) as terminal:
        for _ in range(3):
            terminal.shows("HK Bridge: up for ")
            terminal.shows("Mirror Light")
        assert terminal.interrupts() == 0
    # The screen is left as it was, with the cursor.
    assert terminal.raw.index(b"\x1b[?1049h") < terminal.raw.index(b"HK Bridge")
    assert terminal.raw.rindex(b"\x1b[?1049l") > terminal.raw.rindex(b"HK Bridge")
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")
    for words in ("Traceback", "Aborted"):
        assert words not in terminal.text


def test_on_a_terminal_that_cannot_go_back_it_shows_one_after_the_other(
    bridge: Bridge,
) -> None:
    with watching(bridge.directory, env={"TERM": "dumb"}) as terminal:
        for _ in range(3):
            terminal.shows("HK Bridge: up for ")
        assert terminal.interrupts() == 0
    assert b"\x1b" not in terminal.raw


def test_as_json_it_is_an_object_per_line_on_a_terminal_too(bridge: Bridge) -> None:
    with watching(bridge.directory, "--json", columns=200) as terminal:
        for _ in range(3):
            terminal.shows('{"versions"')
        assert terminal.interrupts() == 0
    assert b"\x1b" not in terminal.raw


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_piped_on_ends_with_ctrl_c_and_is_whole(
    bridge: Bridge, as_json: bool
) -> None:
    with piped(bridge.directory, *["--json"] * as_json) as process:
        assert process.stdout is not None
        first = '{"versions"' if as_json else "HK Bridge: up for "
        begun = ""
        while begun.count(first) < 2:
            begun += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert err.strip() == ""
    if as_json:
        for line in (begun + rest).splitlines():
            assert json.loads(line)["isSimulated"]


# -- where no bridge runs -----------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--watch"]])
def test_where_no_bridge_runs_it_says_how_to_start_one(
    tmp_path: Path, arguments: list[str]
) -> None:
    result = call(tmp_path, *STATUS, *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("hk-bridge: no bridge runs with the state directory state. ")
    assert "Start it with: hk-bridge run" in line
    assert "--state-dir DIR" in line


def test_where_the_state_is_hangs_on_options_and_environment(bridge: Bridge) -> None:
    directory = bridge.directory
    assert call(directory, "status", STATE_DIRECTORY="state").returncode == 0
    told = call(directory, "status", "--simulate").stderr
    assert "hk-bridge-simulated" in told
    assert call(directory, "status", "--state-dir", "").returncode == 2


def test_a_killed_bridge_leaves_nothing_that_keeps_the_next_one_away(
    tmp_path: Path,
) -> None:
    with a_bridge(tmp_path) as killed, watching(tmp_path) as terminal:
        terminal.shows("Mirror Light")
        with piped(tmp_path, "--json") as lines:
            assert lines.stdout is not None
            lines.stdout.readline()
            killed.process.send_signal(signal.SIGKILL)
            killed.process.wait(PATIENCE)
            _, err = lines.communicate(timeout=PATIENCE)
        # What is piped on has an end, a person who watches need not begin anew.
        assert lines.returncode == 1
        assert "hk-bridge: no bridge runs with" in err
        terminal.shows("not any more: no bridge runs with the state directory state.")
        assert (tmp_path / "state" / "bridge.sock").is_socket()
        assert call(tmp_path, *STATUS).returncode == 1
        terminal.shows("not any more")
        with a_bridge(tmp_path) as after:
            terminal.shows(f"port {after.status()['bridge']['port']} on ")
            assert terminal.interrupts() == 0
            after.process.terminate()
            assert after.process.wait(PATIENCE) == 0
    assert not (tmp_path / "state" / "bridge.sock").exists()


# -- the socket ---------------------------------------------------------------------------


def test_the_socket_is_its_owner_s_alone(bridge: Bridge) -> None:
    mode = (bridge.directory / "state" / "bridge.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_another_user_is_told_whose_bridge_it_is(bridge: Bridge) -> None:
    state = str(bridge.directory / "state")
    person = CliRunner()
    commands = (["status"], ["status", "--watch"], ["pairing", "reset", "--yes"])
    # Everything is imported then.
    assert person.invoke(cli, ["status", "--state-dir", state]).exit_code == 0
    for command in commands:
        with another_user():
            result = person.invoke(cli, [*command, "--state-dir", state])
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == (
            f"hk-bridge: the bridge in {state} belongs to another user. Type: sudo "
            "hk-bridge …, or become that user\n"
        )


def test_a_state_directory_may_have_a_long_path(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path)
    long = str(tmp_path.joinpath(*["d" * 60] * 3))
    assert len(os.fsencode(long)) > 150
    assert call(tmp_path, "status", "--state-dir", long).returncode == 1
    with running(tmp_path, "--simulate", "--state-dir", long) as process:
        assert call(tmp_path, "status", "--state-dir", long).returncode == 0
        reset = call(tmp_path, "pairing", "reset", "--yes", "--state-dir", long)
        assert reset.returncode == 0
        assert process.poll() is None


# -- pairing reset ------------------------------------------------------------------------


def pair(directory: Path, controllers: int) -> None:
    """Have the state say that so many have paired."""
    state = directory / "state"
    with StateLock(state):
        store = Store.open(state)
        pairings = tuple(
            Pairing(
                f"{number:08X}-0000-4000-8000-000000000000".encode(),
                Ed25519PrivateKey.generate().public_key().public_bytes_raw(),
                admin=number == 0,
            )
            for number in range(controllers)
        )
        store.put(replace(store.bridge(), pairings=pairings))


def test_a_pairing_is_reset_while_the_bridge_runs_on(tmp_path: Path) -> None:
    pair(tmp_path, 2)
    with a_bridge(tmp_path) as bridge:
        before = bridge.status()
        assert [each["isAdmin"] for each in before["bridge"]["controllers"]] == [
            True,
            False,
        ]
        # Who asks is asked back, with how many there are.
        reset = ("pairing", "reset", *STATE)
        for answer in ("\n", ""):
            refused = call(tmp_path, *reset, stdin=answer)
            assert refused.returncode == 1
            assert refused.stdout.startswith(
                "Forget all paired controllers (2)? Home loses"
            )
            assert refused.stderr.endswith("Aborted!\n")
        assert bridge.status()["bridge"]["controllers"] == before["bridge"]["controllers"]
        done = call(tmp_path, *reset, stdin="y\n")
        assert done.returncode == 0
        assert done.stdout.endswith(
            "Forgotten. Remove the bridge in the Home app, then add it again.\n"
        )
        after = bridge.status()
        assert after["bridge"]["controllers"] == []
        assert after["uptime"] > before["uptime"]
        assert [each["state"] for each in after["sensors"]] == ["decoding"] * 2
        again = call(tmp_path, *reset, stdin="n\n")
        assert again.stdout.startswith("Forget all paired controllers (none)?")
        assert call(tmp_path, *reset, "--yes").returncode == 0
        assert bridge.process.poll() is None
        bridge.process.terminate()
        _, log = bridge.process.communicate(timeout=PATIENCE)
        assert bridge.process.returncode == 0
    assert "all controllers were forgotten (2): pairing reset" in log
    assert "Traceback" not in log


def test_a_pairing_can_be_reset_after_the_bridge_was_killed(tmp_path: Path) -> None:
    pair(tmp_path, 1)
    with a_bridge(tmp_path) as bridge:
        bridge.process.send_signal(signal.SIGKILL)
        bridge.process.wait(PATIENCE)
    assert (tmp_path / "state" / "bridge.sock").is_socket()
    done = call(tmp_path, "pairing", "reset", *STATE, stdin="y\n")
    assert done.returncode == 0
    assert done.stdout.startswith("Forget all paired controllers (1)?")
    assert Store.open(tmp_path / "state").bridge().pairings == ()


def test_where_there_is_no_pairing_there_is_nothing_to_reset(tmp_path: Path) -> None:
    done = call(tmp_path, "pairing", "reset", *STATE)
    assert (done.returncode, done.stdout) == (
        0,
        "Nothing to forget: state holds no pairing.\n",
    )
    assert not (tmp_path / "state").exists()
