"""`hk-bridge decode` as a person types it, and as a pipe feeds it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from hk_bridge.cli import cli
from tests.fakes.captures import (
    FLAGS,
    FRAME,
    NOON,
    SENSOR,
    SENSOR_EVENT,
    STRANGER,
    STRANGER_EVENT,
    btsnoop,
    event,
    hcidump,
    pcapng_of,
    report,
    service_data,
)
from tests.fakes.terminal import Terminal
from tests.test_cli import COMMAND, PATIENCE, call, environment

H4: Final = 187
PAYLOAD: Final = FRAME.hex()
SEALED: Final = bytes.fromhex("58585b0550f4830238c1a495ef58763c26000097e2abb5")
SEALER: Final = "A4:C1:38:02:83:F4"
KEY: Final = "e9ea895fac7cca6d30532432a516f3a8"
SEALED_EVENT: Final = event(report(SEALER, FLAGS + service_data(0xFE95, SEALED)))
DAMAGED_EVENT: Final = event(report(STRANGER, service_data(0xFE95, b"P")))
VALUES: Final = {
    "format": "mibeacon",
    "product": "LYWSDCGQ",
    "address": SENSOR,
    "counter": 190,
    "temperature": 20.4,
    "humidity": 39.4,
}
WORDS: Final = f"LYWSDCGQ {SENSOR} #190: 20.4 °C, 39.4 %"


def snoop(*events: bytes) -> bytes:
    return btsnoop([(b"\x04" + each, 3) for each in events])


CAPTURE: Final = snoop(SENSOR_EVENT, STRANGER_EVENT, SENSOR_EVENT)


def decode(*arguments: object, stdin: bytes = b"") -> Result:
    """The command in this process, with a pipe for its stdin."""
    return CliRunner().invoke(cli, ["decode", *map(str, arguments)], input=stdin)


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "capture.btsnoop"
    path.write_bytes(CAPTURE)
    return path


# -- payloads -----------------------------------------------------------------------------


def test_it_prints_an_object_per_payload_and_fails_if_one_did(tmp_path: Path) -> None:
    fine = call(tmp_path, "decode", "--json", PAYLOAD, "1020aa01a664aed0a8654c04")
    assert (fine.returncode, fine.stderr) == (0, "")
    assert [json.loads(line) for line in fine.stdout.splitlines()] == [
        VALUES,
        {
            "format": "mibeacon",
            "product": "LYWSDCGQ",
            "address": SENSOR,
            "counter": 166,
        },
    ]
    mixed = call(tmp_path, "decode", "--json", "5020", PAYLOAD)
    assert mixed.returncode == 1
    first, second = (json.loads(line) for line in mixed.stdout.splitlines())
    assert set(first) == {"error"}
    assert second["temperature"] == 20.4
    assert call(tmp_path, "decode", PAYLOAD).stdout == f"{WORDS}\n"


@pytest.mark.parametrize("name", ["capture.gone", "x" * 5000, "50 2g"])
def test_what_is_neither_hex_nor_a_file_is_told_both(name: str) -> None:
    result = decode(name)
    error = f"neither hex digits nor the name of a file: {name[:40]!r}"
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"hk-bridge: {error}. What can be given: hk-bridge decode --help\n"
    )
    as_json = decode("--json", name)
    assert (as_json.exit_code, as_json.stderr) == (1, "")
    assert objects(as_json) == [{"error": error}]


def test_the_uuid_of_a_payload_is_fe95_unless_another_is_given() -> None:
    pvvx = "f4830238c1a4ca091b1d8f0b5a010e"
    assert decode(pvvx).exit_code == 1
    result = decode("--json", "--uuid", "181a", pvvx)
    assert result.exit_code == 0
    assert objects(result)[0]["format"] == "pvvx"
    assert "product" not in objects(result)[0]


def test_a_payload_takes_the_key_of_its_address_from_the_configuration(
    tmp_path: Path,
) -> None:
    config = write_config(tmp_path)
    fine = decode("--json", "--config", config, "--address", SEALER.lower(), SEALED.hex())
    assert (fine.exit_code, objects(fine)[0]["humidity"]) == (0, 46.7)
    without = decode("--config", config, SEALED.hex())
    assert without.exit_code == 1
    assert "give the bind key with --bindkey or --config" in without.stdout


# -- captures -----------------------------------------------------------------------------


def test_a_capture_is_a_line_for_each_advert_of_a_sensor(capture: Path) -> None:
    result = decode(capture)
    assert (result.exit_code, result.stderr) == (0, "2 adverts shown, 1 other left out\n")
    lines = result.stdout.splitlines()
    assert [line[12:] for line in lines] == [f" {WORDS} (-60 dBm)"] * 2
    assert [line[5:12] for line in lines] == [":20.250", ":22.250"]


def test_in_json_time_and_signal_are_beside_the_values(capture: Path) -> None:
    result = decode("--json", capture)
    assert result.exit_code == 0
    assert objects(result) == [
        {"time": at, "rssi": -60, **VALUES} for at in (NOON, NOON + 2)
    ]


@pytest.mark.parametrize(
    "data",
    [
        pcapng_of([b"\x04" + SENSOR_EVENT], H4),
        hcidump([b"\x04" + SENSOR_EVENT]),
        (b"\x04" + SENSOR_EVENT).hex(" ").encode(),
    ],
    ids=["pcapng", "hcidump", "hex"],
)
def test_captures_of_other_kinds_are_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "capture"
    path.write_bytes(data)
    result = decode("--json", path)
    assert (result.exit_code, len(objects(result))) == (0, 1)
    assert objects(result)[0]["temperature"] == 20.4


def test_a_file_goes_before_a_payload_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(PAYLOAD).write_bytes(CAPTURE)
    assert len(decode(PAYLOAD).stdout.splitlines()) == 2


def test_several_captures_and_payloads_come_in_their_order(
    tmp_path: Path, capture: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(snoop(STRANGER_EVENT, STRANGER_EVENT, SENSOR_EVENT))
    result = decode("--json", capture, PAYLOAD, other)
    assert result.exit_code == 0
    assert [each.get("time") for each in objects(result)] == [
        NOON,
        NOON + 2,
        None,
        NOON + 2,
    ]
    assert result.stderr == "3 adverts shown, 3 others left out\n"


def test_only_the_sensor_of_the_given_address_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(snoop(SENSOR_EVENT, SEALED_EVENT, STRANGER_EVENT))
    result = decode("--json", "--address", SENSOR.lower().replace(":", "-"), path)
    assert [each["address"] for each in objects(result)] == [SENSOR]
    assert result.stderr == "1 advert shown, 2 others left out\n"


def test_only_service_data_of_the_given_uuid_is_shown(capture: Path) -> None:
    assert decode("--uuid", "fcd2", capture).stdout == ""
    assert len(decode("--uuid", "fe95", capture).stdout.splitlines()) == 2


def write_config(directory: Path) -> Path:
    path = directory / "accessories.json"
    entry = {"accessory": "Hygrothermograph", "name": "Bath", "bindKey": KEY}
    path.write_text(json.dumps({"accessories": [{**entry, "address": SEALER.lower()}]}))
    return path


@pytest.mark.parametrize("way", ["--bindkey", "--config"])
def test_keys_open_encrypted_adverts_and_are_not_shown(tmp_path: Path, way: str) -> None:
    given = KEY if way == "--bindkey" else write_config(tmp_path)
    path = tmp_path / "capture"
    path.write_bytes(snoop(SEALED_EVENT, SENSOR_EVENT))
    result = decode("--json", way, given, path)
    assert (result.exit_code, len(objects(result))) == (0, 2)
    assert objects(result)[0]["humidity"] == 46.7
    assert objects(result)[1]["humidity"] == 39.4
    assert KEY not in result.output


def test_adverts_of_strangers_that_cannot_be_read_are_lines_and_no_failure(
    tmp_path: Path,
) -> None:
    path = tmp_path / "capture"
    path.write_bytes(snoop(SEALED_EVENT, DAMAGED_EVENT, SENSOR_EVENT))
    result = decode("--json", path)
    assert result.exit_code == 0
    sealed, damaged, good = objects(result)
    assert sealed["error"] == "encrypted: give the bind key with --bindkey or --config"
    assert damaged["error"] == "a MiBeacon frame has at least 5 bytes, this has 1"
    assert good["temperature"] == 20.4


# -- what goes wrong ----------------------------------------------------------------------


def test_a_capture_that_ends_too_early_is_printed_as_far_as_it_goes(
    capture: Path,
) -> None:
    capture.write_bytes(CAPTURE[:-1])
    begun = len(snoop(SENSOR_EVENT, STRANGER_EVENT))
    result = decode(capture)
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 1)
    assert result.stderr == (
        f"hk-bridge: {capture}: the file ends inside record 3 at byte {begun}\n"
        "1 advert shown, 1 other left out\n"
    )


def test_one_bad_capture_does_not_stop_the_next(tmp_path: Path, capture: Path) -> None:
    empty, packed = tmp_path / "empty", tmp_path / "packed.gz"
    empty.write_bytes(b"")
    packed.write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\0")
    result = decode(empty, tmp_path, packed, capture)
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 2)
    of_empty, of_directory, of_packed, _ = result.stderr.splitlines()
    assert of_empty.startswith(f"hk-bridge: {empty}: there is nothing in it. A capture is")
    assert of_directory == f"hk-bridge: {tmp_path}: it cannot be read: Is a directory"
    assert of_packed.endswith("packed.gz: it is packed; unpack it first: gunzip")


def test_a_configuration_that_cannot_be_used_is_said_before_anything_is_read(
    tmp_path: Path, capture: Path
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for config in (broken, tmp_path / "gone.json"):
        result = decode("--config", config, capture)
        assert (result.exit_code, result.stdout) == (1, "")
        assert config.name in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--uuid", "xyz"],
        ["--address", "xyz"],
        ["--bindkey", "ab"],
        ["--config", ""],
        ["-x"],
    ],
)
def test_a_wrong_option_is_wrong_use(capture: Path, arguments: list[str]) -> None:
    result = decode(*arguments, capture)
    assert (result.exit_code, result.stdout) == (2, "")


def test_an_empty_argument_is_wrong_use_and_nothing_is_printed(capture: Path) -> None:
    for arguments in ([""], [capture, ""], ["--json", PAYLOAD, ""]):
        result = decode(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "a PAYLOAD or FILE is empty" in result.stderr


def test_a_terminal_without_a_character_gets_another(tmp_path: Path) -> None:
    result = call(tmp_path, "decode", PAYLOAD, PYTHONIOENCODING="iso8859-5")
    assert (result.returncode, result.stdout) == (0, WORDS.replace("°", "?") + "\n")


# -- stdin --------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["-"], ["--json", "-"]])
def test_a_capture_may_come_on_stdin(arguments: list[str]) -> None:
    result = decode(*arguments, stdin=CAPTURE)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2)
    assert result.stderr == "2 adverts shown, 1 other left out\n"


def test_without_arguments_an_empty_stdin_is_wrong_use() -> None:
    result = decode()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Missing argument 'PAYLOAD, FILE or -'" in result.stderr


def test_an_empty_stdin_that_was_asked_for_is_a_failure() -> None:
    result = decode("-")
    assert result.exit_code == 1
    assert "hk-bridge: stdin: there is nothing in it" in result.stderr


def test_without_arguments_a_terminal_is_not_waited_for(tmp_path: Path) -> None:
    with Terminal([*COMMAND, "decode"], tmp_path, environment(tmp_path)) as terminal:
        terminal.shows("Missing argument")
        assert terminal.ends() == 2


def test_a_closed_stdin_is_an_empty_one(tmp_path: Path) -> None:
    for arguments, code in (("", 2), ("-", 1)):
        result = subprocess.run(
            ["sh", "-c", f'"$0" -m hk_bridge decode {arguments} <&-', sys.executable],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert result.returncode == code
        assert "Traceback" not in result.stderr


@contextmanager
def listening(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command with a live capture on its stdin."""
    process = subprocess.Popen(
        [*COMMAND, "decode", "--json", "-"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def feed(process: subprocess.Popen[bytes], data: bytes) -> dict[str, Any]:
    """What it prints while its stdin stays open."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(data)
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def test_a_live_capture_is_printed_as_it_comes(tmp_path: Path) -> None:
    first = snoop(SENSOR_EVENT)
    with listening(tmp_path) as process:
        assert feed(process, first)["time"] == NOON
        assert feed(process, CAPTURE[len(first) :])["time"] == NOON + 2
        _, stderr = process.communicate(timeout=PATIENCE)
        assert (process.returncode, stderr) == (0, b"2 adverts shown, 1 other left out\n")


@pytest.mark.parametrize(
    ("number", "code", "before"), [(signal.SIGINT, 130, b"\n"), (signal.SIGTERM, 143, b"")]
)
def test_a_signal_ends_it_with_what_was_printed(
    tmp_path: Path, number: int, code: int, before: bytes
) -> None:
    with listening(tmp_path) as process:
        feed(process, snoop(SENSOR_EVENT))
        process.send_signal(number)
        assert process.wait(PATIENCE) == code
        assert process.stderr is not None
        assert process.stderr.read() == before + b"1 advert shown, 0 others left out\n"


def test_what_sigterm_does_is_as_before_when_it_is_over(capture: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        decode(capture)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_closed_pipe_ends_it_without_a_word(tmp_path: Path, capture: Path) -> None:
    capture.write_bytes(snoop(*[SENSOR_EVENT] * 20_000))
    result = subprocess.run(
        ["sh", "-c", f'"$0" -m hk_bridge decode {capture} | head -n 1', sys.executable],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


# -- progress -----------------------------------------------------------------------------

#: The command of somebody who has no patience at all.
IMPATIENT: Final = (
    "import hk_bridge.cli_decode_progress as command; from hk_bridge.__main__ import main; "
    "command._PATIENCE = command._REDRAW = 0; main()"
)


def test_a_long_file_shows_on_a_terminal_how_far_it_is(
    tmp_path: Path, capture: Path
) -> None:
    capture.write_bytes(snoop(*[STRANGER_EVENT] * 4000, SENSOR_EVENT))
    command = [sys.executable, "-c", IMPATIENT, "decode", str(capture)]
    with Terminal(command, tmp_path, environment(tmp_path)) as terminal:
        terminal.shows("% of")
        terminal.shows(f"{WORDS} (-60 dBm)")
        terminal.shows("1 advert shown, 4000 others left out")
        assert terminal.ends() == 0


def test_sigterm_takes_the_progress_away_and_brings_the_cursor_back(
    tmp_path: Path, capture: Path
) -> None:
    capture.write_bytes(snoop(*[STRANGER_EVENT] * 400_000))
    command = [sys.executable, "-c", IMPATIENT, "decode", str(capture)]
    with Terminal(command, tmp_path, environment(tmp_path)) as terminal:
        terminal.shows("% of")
        terminal.process.send_signal(signal.SIGTERM)
        terminal.shows("0 adverts shown, ")
        assert terminal.ends() == 143
    hidden, shown = (terminal.raw.rfind(f"\x1b[?25{way}".encode()) for way in "lh")
    assert 0 <= hidden < shown


def test_where_nobody_watches_there_is_no_progress(tmp_path: Path, capture: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", IMPATIENT, "decode", str(capture)],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (result.returncode, result.stderr) == (0, "2 adverts shown, 1 other left out\n")
