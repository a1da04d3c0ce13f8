"""`hk-bridge read` as a person, a script or cron types it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from hk_bridge.cli import cli
from tests.fakes import sensors
from tests.fakes.bluez import FakeBluez
from tests.fakes.captures import FLAGS, NOON, btsnoop, event, hcidump, report, service_data
from tests.fakes.terminal import Terminal
from tests.test_cli import COMMAND, PATIENCE, call, environment
from tests.test_cli_scan import broadcasting, listeners, objects

ROOM, OTHER = "4C:65:A8:D0:AE:64", "A4:C1:38:02:83:F4"
KEY: Final = bytes(range(16))
FE95, ATC, FCD2 = 0xFE95, 0x181A, 0xFCD2
LYWSDCGQ, LYWSD03MMC, PLANT, POT = 0x01AA, 0x055B, 0x0098, 0x015D
#: The second of the first advert of a capture; each other comes a second later.
FIRST: Final = int(NOON)

Advert = tuple[str, int, bytes]


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HK_BRIDGE_CONFIG", raising=False)


def events(adverts: Sequence[Advert]) -> list[bytes]:
    return [
        b"\x04" + event(report(address, FLAGS + service_data(uuid, data)))
        for address, uuid, data in adverts
    ]


def record(*adverts: Advert, name: str = "capture") -> str:
    Path(name).write_bytes(btsnoop([(each, 3) for each in events(adverts)]))
    return name


def configure(*entries: dict[str, Any], **sections: Any) -> None:
    accessories = [{"accessory": "Hygrothermograph", **entry} for entry in entries]
    Path("accessories.json").write_text(
        json.dumps({**sections, "accessories": accessories})
    )


def read(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["read", *arguments], prog_name="hk-bridge")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def replay(
    *adverts: Advert, with_: Sequence[str] = (), of: Sequence[str] = (ROOM,)
) -> Result:
    return read("--replay", record(*adverts), *with_, *of)


def climate(
    counter: int, temperature: float, humidity: float, address: str = ROOM
) -> Advert:
    (both, _) = sensors.mibeacon_climate(temperature, humidity, 0)
    return address, FE95, sensors.mibeacon(LYWSDCGQ, counter, address, [both], version=2)


def battery(counter: int, percent: int, address: str = ROOM) -> Advert:
    (_, battery) = sensors.mibeacon_climate(0, 0, percent)
    return address, FE95, sensors.mibeacon(LYWSDCGQ, counter, address, [battery], version=2)


def alone(kind: int, counter: int, tenths: int) -> Advert:
    data = [(kind, struct.pack("<h", tenths))]
    return ROOM, FE95, sensors.mibeacon(LYWSDCGQ, counter, ROOM, data, version=2)


# -- what it prints -----------------------------------------------------------------------


def test_a_line_is_quantity_address_unix_seconds_and_value() -> None:
    result = replay(battery(1, 93), climate(2, 20.4, 39.4))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"T {ROOM} {FIRST + 1} 20.4\nH {ROOM} {FIRST + 1} 39.4\nB {ROOM} {FIRST} 93\n"
    )


@pytest.mark.parametrize(
    ("temperature", "printed"),
    [(-12.3, "-12.3"), (-0.1, "-0.1"), (0.0, "0.0"), (0.1, "0.1"), (-40.0, "-40.0")],
)
def test_below_zero_and_at_zero_it_is_right(temperature: float, printed: str) -> None:
    result = replay(battery(1, 0), climate(2, temperature, 0.0))
    lines = [line.split()[-1] for line in result.stdout.splitlines()]
    assert lines == [printed, "0.0", "0"]


def test_a_mean_just_below_zero_is_not_minus_zero() -> None:
    adverts = [climate(n, t, 50.0) for n, t in enumerate([-0.1, 0.0, 0.0, 0.0])]
    plain = replay(*adverts, with_=["-n", "4"])
    assert plain.stdout.splitlines()[0].endswith(" 0.0")
    (found,) = objects(replay(*adverts, with_=["-n", "4", "--json"]).stdout)
    assert str(found["temperature"]) == "0.0"


def test_the_mean_is_over_all_samples_of_temperature_and_of_humidity() -> None:
    adverts = [
        alone(0x1004, 1, 200),
        alone(0x1006, 2, 500),
        alone(0x1004, 3, 206),
        climate(4, 20.3, 51.0),
    ]
    result = replay(*adverts, climate(5, 99.0, 99.0), with_=["-n", "2"])
    # Two humidities are enough, and then three temperatures have come.
    assert result.stdout == f"T {ROOM} {FIRST + 3} 20.3\nH {ROOM} {FIRST + 3} 50.5\n"


def test_copies_late_frames_and_spikes_count_for_nothing() -> None:
    adverts = [
        climate(7, 20.0, 50.0),
        climate(7, 20.0, 50.0),
        climate(8, 20.2, 50.0),
        climate(7, 20.0, 50.0),
        climate(9, 70.0, 50.0),
        climate(10, 20.4, 50.0),
        climate(10, 20.4, 50.0),
    ]
    (found,) = objects(replay(*adverts, with_=["-n", "9", "--json"]).stdout)
    assert found["samples"] == {"temperature": 3, "humidity": 4}
    assert found["temperature"] == 20.2


def test_sensors_come_in_the_order_of_the_arguments_and_each_once() -> None:
    adverts = [climate(1, 20.0, 50.0, OTHER), climate(1, 21.0, 51.0)]
    spelled = ["a4-c1-38-02-83-f4", ROOM.lower(), OTHER]
    lines = replay(*adverts, of=spelled).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["T", OTHER],
        ["H", OTHER],
        ["T", ROOM],
        ["H", ROOM],
    ]


@pytest.mark.parametrize("key", [None, KEY])
def test_every_format_is_read(key: bytes | None) -> None:
    rooms = [f"A4:C1:38:00:00:0{number}" for number in range(4)]
    mibeacon, atc, pvvx, bthome = rooms
    objects_of = sensors.mibeacon_climate(-3.5, 50.0, 77)
    capture = [
        (mibeacon, FE95, sensors.mibeacon(LYWSD03MMC, 1, mibeacon, objects_of, key=key)),
        (atc, ATC, sensors.atc1441(atc, -3.5, 50.0, 77, key=key)),
        (pvvx, ATC, sensors.pvvx(pvvx, -3.5, 50.0, 77, key=key)),
        (
            bthome,
            FCD2,
            sensors.bthome(sensors.bthome_climate(1, -3.5, 50.0, 77), bthome, key=key),
        ),
    ]
    secret = {} if key is None else {"bindKey": key.hex()}
    configure(*({"name": room, "address": room, **secret} for room in rooms))
    result = replay(*capture, with_=["--json"], of=())
    assert (result.exit_code, result.stderr) == (0, "")
    found = objects(result.stdout)
    assert [each["format"] for each in found] == ["mibeacon", "atc1441", "pvvx", "bthome"]
    values = {(e["temperature"], e["humidity"], e["battery"], e["state"]) for e in found}
    assert values == {(-3.5, 50.0, 77, "decoding")}


def test_as_json_there_is_all_that_a_sensor_says() -> None:
    configure({"name": "Küche", "address": ROOM})
    result = replay(battery(1, 93), climate(2, 20.4, 39.4), with_=["--json"])
    assert objects(result.stdout) == [
        {
            "address": ROOM,
            "name": "Küche",
            "model": "LYWSDCGQ",
            "format": "mibeacon",
            "time": NOON + 1,
            "temperature": 20.4,
            "humidity": 39.4,
            "battery": 93,
            "samples": {"temperature": 1, "humidity": 1},
            "rssi": -60,
            "state": "decoding",
        }
    ]


def test_as_json_one_that_was_not_heard_is_there_too() -> None:
    result = replay(climate(1, 20.0, 50.0), with_=["--json"], of=[OTHER])
    (found,) = objects(result.stdout)
    assert (found["state"], found["time"]) == ("never heard", None)
    assert found["samples"] == {"temperature": 0, "humidity": 0}
    assert "temperature" not in found
    assert result.exit_code == 1


def test_debug_shows_each_advert_of_the_sensors_as_it_was_sent() -> None:
    frame = bytes.fromhex("5020aa01be64aed0a8654c0d1004cc008a01")
    adverts = [(OTHER, FE95, frame), (ROOM, FE95, frame)]
    shown = f"{ROOM} - 15 16 95 FE 50 20 AA 01 BE 64 AE D0 A8 65 4C 0D 10 04 CC 00 8A 01\n"
    plain = replay(*adverts, with_=["-d"])
    assert plain.stdout.startswith(f"{shown}T {ROOM} ")
    as_json = replay(*adverts, with_=["-d", "--json"])
    assert as_json.stderr == shown
    assert len(objects(as_json.stdout)) == 1


# -- when there is enough -----------------------------------------------------------------


def test_a_plant_is_not_waited_for_until_it_has_a_humidity() -> None:
    def plant(counter: int, tenths: int) -> Advert:
        data = [(0x1004, struct.pack("<h", tenths))]
        return ROOM, FE95, sensors.mibeacon(PLANT, counter, ROOM, data, version=2)

    result = replay(plant(1, 210), plant(2, 310))
    assert (result.exit_code, result.stdout) == (0, f"T {ROOM} {FIRST} 21.0\n")


def test_what_has_no_line_is_said_to_be_in_the_json() -> None:
    pot = sensors.mibeacon(POT, 1, ROOM, [(0x1008, b"\x21")], version=2)
    result = replay((ROOM, FE95, pot))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "add --json to see them" in result.stderr
    (found,) = objects(replay((ROOM, FE95, pot), with_=["--json"]).stdout)
    assert found["moisture"] == 33


def test_seconds_are_those_of_the_capture() -> None:
    adverts = [climate(n, 20.0 + n / 10, 50.0) for n in range(9)]
    result = replay(*adverts, with_=["-n", "100", "-t", "4"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"T {ROOM} {FIRST + 4} 20.2"


def test_a_capture_without_times_is_of_now() -> None:
    Path("text").write_bytes(hcidump(events([climate(1, 20.0, 50.0)])))
    before = int(time.time())
    result = read("--replay", "text", ROOM)
    assert before - 1 <= int(result.stdout.split()[2]) <= time.time() + 1


def test_the_offsets_of_the_file_are_applied_once() -> None:
    configure(
        {
            "name": "Room",
            "address": ROOM,
            "temperatureOffset": -0.5,
            "humidityOffset": 2,
        }
    )
    adverts = [climate(n, t, 50.0) for n, t in enumerate([0.2, 0.4])]
    result = replay(*adverts, with_=["-n", "2"], of=())
    assert [line.split()[-1] for line in result.stdout.splitlines()] == ["-0.2", "52.0"]


def test_without_its_spike_filter_a_jump_counts() -> None:
    configure({"name": "Room", "address": ROOM, "spikeFilter": False})
    adverts = [climate(1, 20.0, 50.0), climate(2, 40.0, 50.0)]
    result = replay(*adverts, with_=["-n", "2"])
    assert result.stdout.splitlines()[0].endswith(" 30.0")


def plant(counter: int, tenths: int, product: int = PLANT) -> Advert:
    data = [(0x1004, struct.pack("<h", tenths))]
    return ROOM, FE95, sensors.mibeacon(product, counter, ROOM, data, version=2)


def test_copies_do_not_tell_what_a_sensor_is() -> None:
    known = [climate(n, 20.0 + n / 10, 50.0) for n in range(12)]
    strangers = [plant(99, 210)] * 40
    (found,) = objects(replay(*known, *strangers, with_=["-n", "99", "--json"]).stdout)
    assert found["model"] == "LYWSDCGQ"


def test_a_counter_comes_round_after_the_time_out_of_the_product() -> None:
    # A quarter of an hour for one that does not encrypt, two hours for one that does.
    def heard(product: int) -> dict[str, Any]:
        frame = plant(7, 210, product)
        (packet,) = events([frame])
        later = btsnoop([(packet, 3)], at=NOON + 20 * 60)[16:]
        Path("capture").write_bytes(btsnoop([(packet, 3)]) + later)
        (found,) = objects(read("--replay", "capture", "-n", "9", "--json", ROOM).stdout)
        return found

    assert heard(LYWSDCGQ)["samples"]["temperature"] == 2
    assert heard(LYWSD03MMC)["samples"]["temperature"] == 1


# -- sensors that say nothing -------------------------------------------------------------


def secret(counter: int, key: bytes = KEY) -> Advert:
    values = sensors.mibeacon_climate(20.0, 50.0, 90)
    return OTHER, FE95, sensors.mibeacon(LYWSD03MMC, counter, OTHER, values, key=key)


@pytest.mark.parametrize(
    ("entry", "advert", "said"),
    [
        ({}, secret(1), f'{OTHER}: LYWSD03MMC encrypts its values. Add its "bindKey"'),
        (
            {"bindKey": "ff" * 16},
            secret(1),
            f'Attic ({OTHER}): the "bindKey" in accessories.json is wrong',
        ),
        (
            {"bindKey": KEY.hex()[:24]},
            secret(1),
            f'Attic ({OTHER}): the "bindKey" in accessories.json is wrong: the bind key ',
        ),
        (
            {},
            (OTHER, FE95, b"P"),
            f"{OTHER}: a frame cannot be read: a MiBeacon frame has at least 5 bytes",
        ),
        (
            {"bindKey": KEY.hex()},
            (OTHER, FE95, sensors.mibeacon(LYWSD03MMC, 1, OTHER, [])),
            f"Attic ({OTHER}): LYWSD03MMC is heard and says no value.",
        ),
        ({}, climate(1, 20.0, 50.0), f"{OTHER} was not heard."),
    ],
)
def test_why_a_sensor_gave_nothing_is_said(
    entry: dict[str, str], advert: Advert, said: str
) -> None:
    if entry:
        configure({"name": "Attic", "address": OTHER, **entry})
    result = replay(advert, of=[OTHER])
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"hk-bridge: {said}")
    assert KEY.hex() not in line
    assert "ff" * 16 not in line


def test_what_the_others_say_is_printed_all_the_same() -> None:
    result = replay(secret(1), climate(1, 20.0, 50.0), of=[OTHER, ROOM])
    assert result.exit_code == 1
    assert [line.split()[1] for line in result.stdout.splitlines()] == [ROOM, ROOM]
    assert result.stderr.startswith(f"hk-bridge: {OTHER}: LYWSD03MMC encrypts")


# -- the command line ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["4c:65:a8:d0:ae"], "is no address such as"),
        (["4c:65:a8:d0-ae:64"], "is no address such as"),
        (["-n", "0", ROOM], "'-n' / '--samples'"),
        (["-n", "1001", ROOM], "'-n' / '--samples'"),
        (["-t", "0", ROOM], "'-t' / '--seconds'"),
        (["-t", "1001", ROOM], "'-t' / '--seconds'"),
        (["-f", "", ROOM], "the path is empty"),
        (["-i", "", ROOM], "the name is empty"),
        (["--simulate", "--replay", "x", ROOM], "exclude each other"),
        (["-i", "hci0", "--simulate", ROOM], "--adapter is that of the radio"),
        (["-i", "hci0", "--replay", "x", ROOM], "--adapter is that of the radio"),
        ([], "there is no accessories.json that has some"),
    ],
)
def test_a_wrong_command_line_is_2(arguments: list[str], said: str) -> None:
    result = read(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_file_without_addresses_is_said() -> None:
    configure({"name": "Only"})
    result = read()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "accessories.json: no sensor in it has an address" in result.stderr


def test_a_file_that_is_named_must_be_there() -> None:
    result = read("--config", "gone.json", ROOM)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "gone.json" in result.stderr


@pytest.mark.parametrize("content", [b"", b"\0nothing", None])
def test_what_is_no_capture_is_said(content: bytes | None) -> None:
    if content is not None:
        Path("capture").write_bytes(content)
    result = read("--replay", "capture", "-f", "out", ROOM)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("hk-bridge: capture cannot be ")
    assert not Path("out").exists()


def test_a_capture_that_breaks_off_gives_what_is_in_it_first() -> None:
    whole = Path(record(climate(1, 20.0, 50.0), battery(2, 90))).read_bytes()
    Path("capture").write_bytes(whole[:-3])
    result = read("--replay", "capture", "-n", "2", ROOM)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0].endswith(" 20.0")
    assert "capture cannot be read to its end" in result.stderr


def test_of_a_capture_with_damage_inside_all_else_is_printed() -> None:
    first, damaged, last = events(
        [climate(1, 20.0, 50.0), climate(2, 20.2, 50.0), climate(3, 20.4, 50.0)]
    )
    packets = [(first, 3), (damaged[:-1], 3), (last, 3)]
    Path("capture").write_bytes(btsnoop(packets))
    result = read("--replay", "capture", "-n", "9", ROOM)
    assert result.exit_code == 1
    assert [line.split()[-1] for line in result.stdout.splitlines()] == ["20.2", "50.0"]
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        "hk-bridge: capture was read, but for what is damaged: record 2 at byte "
    )


def test_a_capture_on_stdin_is_refused_with_what_to_do() -> None:
    result = read("--replay", "-", ROOM)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "only a file can be replayed, not stdin" in result.stderr


def test_help_has_examples() -> None:
    examples = read("--help").stdout.partition("Examples:")[2]
    assert examples.splitlines()[1].strip() == "hk-bridge read 4c:64:a8:d0:ae:65"
    assert read("-h").exit_code == 0


# -- into a file --------------------------------------------------------------------------


def test_results_go_into_the_file_in_the_place_of_what_is_in_it() -> None:
    Path("out").write_text("old\n" * 100)
    result = replay(climate(1, 20.0, 50.0), with_=["-f", "out"])
    assert (result.exit_code, result.output) == (0, "")
    assert Path("out").read_text() == f"T {ROOM} {FIRST} 20.0\nH {ROOM} {FIRST} 50.0\n"
    configure({"name": "Küche", "address": ROOM})
    replay(climate(1, 20.0, 50.0), with_=["-f", "out", "--json"])
    (found,) = objects(Path("out").read_text())
    assert found["name"] == "Küche"


@pytest.mark.parametrize("with_", [[], ["--json"]])
def test_where_nothing_came_the_file_is_left_as_it_was(with_: list[str]) -> None:
    Path("out").write_text("old\n")
    result = replay(climate(1, 20.0, 50.0), with_=["-f", "out", *with_], of=[OTHER])
    assert (result.exit_code, result.stdout) == (1, "")
    assert Path("out").read_text() == "old\n"
    assert "there is nothing to write, and out is left as it was" in result.stderr


@pytest.mark.parametrize("path", [".", "gone/out"])
def test_a_file_that_cannot_be_written_is_said_before_anything_else(path: str) -> None:
    # There is no end to this but that.
    result = read("--simulate", "-n", "1000", "-f", path, ROOM)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"hk-bridge: {path} cannot be written: " in result.stderr


def test_what_does_not_go_into_the_file_is_on_stdout() -> None:
    result = replay(climate(1, 20.0, 50.0), with_=["-f", "/dev/full"])
    assert result.exit_code == 1
    assert result.stdout.startswith(f"T {ROOM} ")
    assert "/dev/full was not written: No space left on device" in result.stderr


@contextmanager
def begin(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, which does not outlive the test."""
    with subprocess.Popen(
        [*COMMAND, "read", *arguments],
        env=environment(Path.cwd()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_reader_with_a_lock_is_waited_for() -> None:
    Path("out").write_text("old\n")
    capture = record(climate(1, 20.0, 50.0))
    with Path("out").open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        with begin("--replay", capture, "-f", "out", ROOM) as process:
            assert process.stderr is not None
            assert "out is locked by another program" in process.stderr.readline()
            assert reader.read() == "old\n"
            fcntl.flock(reader, fcntl.LOCK_UN)
            stdout, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stdout) == (0, "")
    assert Path("out").read_text().startswith(f"T {ROOM} {FIRST} 20.0\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_and_loses_nothing(number: int) -> None:
    Path("out").write_text("old\n")
    capture = record(climate(1, 20.0, 50.0))
    with Path("out").open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        with begin("--replay", capture, "-f", "out", ROOM) as process:
            assert process.stderr is not None
            process.stderr.readline()
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert stdout.startswith(f"T {ROOM} {FIRST} 20.0\n")
    assert stderr.endswith("another program has locked it. The results are on stdout\n")
    assert Path("out").read_text() == "old\n"


# -- in a process of its own --------------------------------------------------------------


def test_a_simulated_sensor_is_read(tmp_path: Path) -> None:
    before = int(time.time())
    result = call(tmp_path, "read", "--simulate", ROOM.lower())
    assert (result.returncode, result.stderr) == (0, "")
    temperature, humidity = (line.split() for line in result.stdout.splitlines())
    assert (temperature[:2], humidity[:2]) == (["T", ROOM], ["H", ROOM])
    assert before - 1 <= int(temperature[2]) <= time.time() + 1
    assert 18.0 <= float(temperature[3]) <= 24.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_prints_what_there_is(number: int) -> None:
    with begin("--simulate", "-n", "1000", "-d", ROOM) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"{ROOM} - 15 16 95 FE ")
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stderr) == (0, "")
    assert [line[:1] for line in stdout.splitlines()[-3:]] == ["T", "H", "B"]


def test_a_stdout_that_takes_no_more_ends_it_and_the_file_is_written() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as out:  # noqa: PTH123 # of a pipe
        result = subprocess.run(
            [*COMMAND, "read", "--simulate", "-n", "1000", "-d", "-f", "out", ROOM],
            env=environment(Path.cwd()),
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    assert (result.returncode, result.stderr) == (1, "")
    assert Path("out").read_text().startswith(f"T {ROOM} ")


def test_on_a_terminal_it_shows_how_far_it_is(tmp_path: Path) -> None:
    command = [*COMMAND, "read", "--simulate", "-n", "1000", ROOM]
    with Terminal(command, tmp_path, environment(tmp_path)) as terminal:
        terminal.shows("Ctrl-C: enough")
        terminal.shows("1 of 1000")
        assert terminal.interrupts() == 0
    # The live table is gone, the lines stay.
    assert f"T {ROOM} " in terminal.raw.decode().rpartition("\x1b[2K")[2]


# -- real bleak ---------------------------------------------------------------------------


async def test_it_hears_the_sensors_over_the_adapter_that_is_named(
    bluez: FakeBluez,
) -> None:
    adapter, other = bluez.plug("hci0"), bluez.plug("hci1")
    await bluez.start()
    configure(bluetooth={"adapter": "hci1"})
    with begin("-i", "hci0", "-n", "3", ROOM) as process:
        async with asyncio.timeout(PATIENCE):
            await bluez.until(lambda: bool(listeners(adapter)))
        assert not listeners(other)
        async with broadcasting(bluez, ROOM, OTHER):
            stdout, stderr = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    assert (process.returncode, stderr) == (0, "")
    lines = [line.split() for line in stdout.splitlines()]
    assert [(line[0], line[1], line[3]) for line in lines] == [
        ("T", ROOM, "20.4"),
        ("H", ROOM, "39.4"),
    ]
    assert not listeners(adapter)


async def test_what_was_heard_before_the_radio_was_lost_is_printed_first(
    bluez: FakeBluez,
) -> None:
    adapter = bluez.plug()
    await bluez.start()
    with begin("-n", "1000", "-d", ROOM, OTHER) as process:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            await bluez.until(lambda: bool(listeners(adapter)))
        async with broadcasting(bluez, ROOM):
            await asyncio.to_thread(process.stdout.readline)
            bluez.power(on=False)
            stdout, stderr = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    assert process.returncode == 1
    assert stdout.partition("T ")[2].startswith(f"{ROOM} ")
    assert stderr == (
        "hk-bridge: the Bluetooth adapter hci0 is switched off. Type: bluetoothctl power "
        "on\n"
    )
