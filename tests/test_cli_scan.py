"""`hk-bridge scan` as a person types it: what it finds, says, asks, and writes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from hk_bridge.cli import cli
from hk_bridge.protocols.mibeacon import MiBeaconFrame
from hk_bridge.protocols.mibeacon_objects import encode_values
from hk_bridge.web import client
from tests.fakes.bluez import FakeAdapter, FakeBluez, PrivateBus
from tests.fakes.terminal import Terminal
from tests.fakes.users import another_user
from tests.test_cli import COMMAND, PATIENCE, SAMPLE, call, environment, running

FE95: Final = 0xFE95
#: What the simulated radio has beside the sensors of the file.
PLAIN, SECRET = "4E:64:A8:00:00:02", "4E:64:A8:00:00:03"
ROOM_1, ROOM_2 = "4C:64:A8:D0:AE:65", "2C:34:B3:D4:A1:61"
KEY: Final = "00112233445566778899aabbccddeeff"
QUICK: Final = ("scan", "--simulate", "--seconds", "1")
#: Far longer than any of these tests takes: what ends earlier has ended for its reason.
LONG: Final = ("scan", "--simulate", "--seconds", "1000")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with the sample configuration, which has two sensors."""
    shutil.copy(SAMPLE, tmp_path)
    return tmp_path


def at_a_terminal(directory: Path, *arguments: str, **how: Any) -> Terminal:
    env = environment(directory, **how.pop("env", {}))
    return Terminal([*COMMAND, *arguments], directory, env, **how)


def objects(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


# -- what it finds ------------------------------------------------------------------------


def test_it_lists_new_sensors_first_and_says_what_to_do(house: Path) -> None:
    result = call(house, *QUICK)
    assert (result.returncode, result.stderr) == (
        0,
        "listening for 1 s; Ctrl-C ends it earlier\n",
    )
    head, plain, secret, room_2, room_1, end = result.stdout.splitlines()
    assert head.split()[:3] == ["address", "model", "temp."]
    assert plain.startswith(f"{PLAIN}  LYWSDCGQ ")
    assert " °C " in plain
    assert plain.rstrip().endswith("not yet")
    assert secret.startswith(f"{SECRET}  LYWSD03MMC  – ")
    assert "needs a bind key" in secret
    assert room_2.startswith(ROOM_2)
    assert room_2.rstrip().endswith("Room 2")
    assert room_1.startswith(ROOM_1)
    assert room_1.rstrip().endswith("Room 1")
    assert end == "2 sensors not in accessories.json yet. To add: hk-bridge scan --add."


def test_as_json_it_is_an_object_per_sensor_and_nothing_else(house: Path) -> None:
    result = call(house, *QUICK, "--json")
    assert result.returncode == 0
    found = {each["address"]: each for each in objects(result.stdout)}
    names = {address: each["configuredAs"] for address, each in found.items()}
    assert names == {PLAIN: None, SECRET: None, ROOM_2: "Room 2", ROOM_1: "Room 1"}
    keys = {"address", "model", "format", "product", "state"}
    keys |= {"rssi", "lastHeard", "bindKey", "configuredAs"}
    assert found[SECRET].keys() == keys
    assert found[PLAIN].keys() == keys | {"temperature", "humidity", "battery"}
    assert (found[SECRET]["bindKey"], found[PLAIN]["bindKey"]) == ("yes", "no")
    assert 0 <= found[PLAIN]["lastHeard"] < PATIENCE


def test_json_can_be_written_in_any_encoding(house: Path) -> None:
    file = house / "accessories.json"
    file.write_text(file.read_text().replace("Room 1", "Küche"))
    for encoding, spelled in (("ascii", "K\\u00fcche"), ("utf-8", "Küche")):
        result = call(house, *QUICK, "--json", PYTHONIOENCODING=encoding)
        names = {each["configuredAs"] for each in objects(result.stdout)}
        assert names == {None, "Küche", "Room 2"}
        assert spelled in result.stdout


def test_a_table_in_an_encoding_without_its_signs_has_the_rest(house: Path) -> None:
    result = call(house, *QUICK, PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert f"{SECRET}  LYWSD03MMC  ?" in result.stdout


@pytest.mark.parametrize("stdout", ["/dev/full", "closed"])
def test_a_stdout_that_takes_nothing_is_said_in_a_line(house: Path, stdout: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("w") if stdout == "/dev/full" else open(writer, "w") as out:  # noqa: PTH123 # of a pipe
        result = subprocess.run(
            [*COMMAND, *QUICK, "--json"],
            cwd=house,
            env=environment(house),
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    assert result.returncode == 1
    told = result.stderr.splitlines()[1:]
    full = ["hk-bridge: cannot print: No space left on device"]
    assert told == (full if stdout == "/dev/full" else [])


# -- the command line, and the file -------------------------------------------------------


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "86401", "9" * 400, "x"])
def test_how_long_is_a_number_within_reason(tmp_path: Path, seconds: str) -> None:
    result = call(tmp_path, "scan", "--simulate", f"--seconds={seconds}")
    assert (result.returncode, result.stdout) == (2, "")
    assert "Invalid value for '--seconds'" in result.stderr


def test_it_needs_no_file_unless_one_is_named(tmp_path: Path) -> None:
    result = call(tmp_path, *QUICK, "--json")
    assert result.returncode == 0
    assert [each["configuredAs"] for each in objects(result.stdout)] == [None, None]
    for arguments, env in (
        (["--config", "gone.json"], {}),
        ([], {"HK_BRIDGE_CONFIG": "gone.json"}),
    ):
        refused = call(tmp_path, *QUICK, *arguments, **env)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "gone.json" in refused.stderr
        assert "listening" not in refused.stderr


def test_a_file_with_problems_is_told_before_anything_else(house: Path) -> None:
    (house / "accessories.json").write_text(
        '{"accessories": [\n'
        '{"accessory": "Hygrothermograph", "name": "A", "bindkey": "x"},\n'
        '{"accessory": "Dimmer", "name": "B", "channels": []}]}'
    )
    result = call(house, *LONG)
    assert (result.returncode, result.stdout) == (1, "")
    assert "accessories.json:2: accessories[0].bindkey" in result.stderr
    assert "accessories.json:3: accessories[1]" in result.stderr
    assert "listening" not in result.stderr


def test_help_has_examples(tmp_path: Path) -> None:
    examples = call(tmp_path, "scan", "--help").stdout.partition("Examples:")[2]
    assert examples.splitlines()[1].strip() == "hk-bridge scan"


# -- while it listens ---------------------------------------------------------------------


def test_on_a_terminal_there_is_a_live_table_until_ctrl_c(house: Path) -> None:
    with at_a_terminal(house, *LONG) as terminal:
        terminal.shows(" s left, Ctrl-C: enough")
        terminal.shows(PLAIN)
        terminal.shows(ROOM_1)
        assert terminal.interrupts() == 0
    # The live table is gone, the last one stays.
    assert "\x1b[2K" in terminal.raw.decode()
    last = terminal.raw.decode().rpartition("\x1b[2K")[2]
    for words in (PLAIN, SECRET, "Room 1", "2 sensors not in accessories.json yet"):
        assert words in last
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")
    assert "Aborted" not in terminal.text


def test_on_a_narrow_terminal_the_addresses_are_still_whole(house: Path) -> None:
    with at_a_terminal(house, *LONG, columns=80) as terminal:
        for address in (PLAIN, SECRET, ROOM_2, ROOM_1):
            terminal.shows(address)
        assert terminal.interrupts() == 0
    last = terminal.raw.decode().rpartition("\x1b[2K")[2]
    for address in (PLAIN, SECRET, ROOM_2, ROOM_1):
        assert address in last


def test_a_terminal_that_cannot_go_back_is_told_how_long_it_takes(house: Path) -> None:
    with at_a_terminal(house, *QUICK, env={"TERM": "dumb"}) as terminal:
        terminal.shows("listening for 1 s; Ctrl-C ends it earlier")
        assert terminal.ends() == 0
    assert ROOM_1 in terminal.text
    assert b"\x1b" not in terminal.raw


def test_the_live_table_is_not_in_what_is_piped_on(house: Path) -> None:
    with at_a_terminal(house, *LONG, "--json", stdout=subprocess.PIPE) as terminal:
        terminal.shows(ROOM_1)
        assert terminal.interrupts() == 0
        assert terminal.process.stdout is not None
        found = objects(terminal.process.stdout.read().decode())
    assert {each["address"] for each in found} == {PLAIN, SECRET, ROOM_1, ROOM_2}


def test_an_interrupt_from_another_program_ends_it_with_what_was_found(house: Path) -> None:
    with at_a_terminal(house, *LONG) as terminal:
        terminal.shows(ROOM_1)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ends() == 0
    assert "2 sensors not in accessories.json yet" in terminal.text


# -- adding -------------------------------------------------------------------------------


def names(directory: Path) -> list[str]:
    found = json.loads((directory / "accessories.json").read_text())["accessories"]
    return [entry["name"] for entry in found]


def added(directory: Path) -> list[dict[str, Any]]:
    """What stands behind the sample; everything of that is still there."""
    before, after = SAMPLE.read_text(), (directory / "accessories.json").read_text()
    # One insertion: what is before it and behind it are the two ends of the old text.
    pairs = enumerate(zip(before, after, strict=False))
    place = next((place for place, (old, new) in pairs if old != new), len(before))
    assert after.endswith(before[place:])
    entries: list[dict[str, Any]] = json.loads(after)["accessories"][3:]
    return entries


def test_it_asks_for_names_and_keys_and_writes_them_into_the_file(house: Path) -> None:
    with at_a_terminal(house, *LONG, "--add") as terminal:
        terminal.shows(SECRET)
        terminal.presses(b"\x03")
        terminal.shows("An empty name leaves it out.")
        terminal.shows(f"Name of LYWSDCGQ {PLAIN} (")
        terminal.shows(": ")
        terminal.types("room 1")
        terminal.shows("the same name as accessories[0].name")
        terminal.shows("Name of LYWSDCGQ")
        terminal.types("x" * 65)
        terminal.shows("allowed is a name of 1 to 64")
        terminal.shows("Name of LYWSDCGQ")
        terminal.types("  Balcony ")
        terminal.shows(f"Name of LYWSD03MMC {SECRET}: ")
        terminal.types("Küche")
        terminal.shows("32 hex digits (not shown; empty: add it to the file later): ")
        terminal.types(KEY[:30])
        terminal.shows("the bind key has 24 or 32 hex digits; this one has not")
        terminal.shows("later): ")
        terminal.types(KEY)
        terminal.shows("2 sensors added to accessories.json. A bridge that runs takes them")
        assert terminal.ends() == 0
    assert KEY[:30] not in terminal.text
    kind = "Hygrothermograph"
    assert added(house) == [
        {"accessory": kind, "name": "Balcony", "address": PLAIN.lower()},
        {
            "accessory": kind,
            "name": "Küche",
            "address": SECRET.lower(),
            "bindKey": KEY,
        },
    ]
    assert call(house, "check").returncode == 0


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    result = call(tmp_path, *QUICK, "--add", stdin="Balcony\nKitchen\n\n")
    assert result.returncode == 0
    assert "2 sensors added to accessories.json" in result.stderr
    assert names(tmp_path) == ["Balcony", "Kitchen"]
    assert call(tmp_path, "check").stdout.endswith("is fine: 2 sensors, 0 lamps\n")
    again = call(tmp_path, *QUICK, "--add")
    assert again.returncode == 0
    assert again.stdout.endswith("2 sensors, 0 not configured yet.\n")


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("\n\n", []),
        ("\nKitchen\n\n", ["Kitchen"]),  # no key: it is added later
        ("Balcony\n\n", ["Balcony"]),
        ("\t\n  \n", []),
    ],
)
def test_an_empty_answer_leaves_out(house: Path, typed: str, written: list[str]) -> None:
    result = call(house, *QUICK, "--add", stdin=typed)
    assert result.returncode == 0
    assert [entry["name"] for entry in added(house)] == written
    assert all("bindKey" not in entry for entry in added(house))
    assert ("added to" in result.stderr) is bool(written)


def test_questions_are_not_in_what_is_piped_on(house: Path) -> None:
    result = call(house, *QUICK, "--add", "--json", stdin="Balcony\n\n")
    assert result.returncode == 0
    assert [each["address"] for each in objects(result.stdout)][:2] == [PLAIN, SECRET]
    assert result.stdout.endswith("}\n")
    assert f"Name of LYWSDCGQ {PLAIN}" in result.stderr


@pytest.mark.parametrize(
    ("typed", "written"),
    [("", []), ("Balcony\n", ["Balcony"]), ("Balcony\nKitchen\n", ["Balcony"])],
)
def test_answers_that_end_early_keep_what_was_added(
    house: Path, typed: str, written: list[str]
) -> None:
    result = call(house, *QUICK, "--add", stdin=typed)
    assert result.returncode == 1
    assert [entry["name"] for entry in added(house)] == written
    assert result.stderr.endswith("Aborted!\n")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("key", [b"\x03", b"\x04"])
def test_ctrl_c_and_ctrl_d_at_a_question_keep_what_was_added(
    house: Path, key: bytes
) -> None:
    with at_a_terminal(house, *QUICK, "--add") as terminal:
        terminal.shows("Name of LYWSDCGQ")
        terminal.shows("): ")
        terminal.types("Balcony")
        terminal.shows("Name of LYWSD03MMC")
        terminal.shows(": ")
        terminal.types("Kitchen")
        terminal.shows("later): ")
        terminal.presses(key)
        terminal.shows("Aborted!")
        assert terminal.ends() == 1
    assert [entry["name"] for entry in added(house)] == ["Balcony"]
    assert "Traceback" not in terminal.text


def test_bytes_that_are_no_text_are_asked_for_again(house: Path) -> None:
    with at_a_terminal(
        house, *QUICK, "--add", env={"PYTHONIOENCODING": "utf-8:strict"}
    ) as terminal:
        terminal.shows("Name of LYWSDCGQ")
        terminal.shows("): ")
        terminal.presses(b"Balc\xf6ny\n")
        terminal.shows("this is not UTF-8")
        terminal.shows("Name of LYWSDCGQ")
        terminal.types("Balcony")
        terminal.shows("Name of LYWSD03MMC")
        terminal.types("")
        assert terminal.ends() == 0
    assert [entry["name"] for entry in added(house)] == ["Balcony"]


def test_a_file_that_gets_problems_meanwhile_is_left_as_it_is(house: Path) -> None:
    with at_a_terminal(house, *QUICK, "--add") as terminal:
        terminal.shows("Name of LYWSDCGQ")
        (house / "accessories.json").write_text("{")
        terminal.types("Balcony")
        terminal.shows("Name of LYWSDCGQ")
        terminal.types("")
        terminal.shows("Name of LYWSD03MMC")
        terminal.types("")
        assert terminal.ends() == 0
    assert (house / "accessories.json").read_text() == "{"
    assert "Traceback" not in terminal.text


def test_a_file_that_may_not_be_written_is_said(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        shutil.copy(SAMPLE, directory)
        monkeypatch.chdir(directory)
        person = CliRunner()
        # Everything is imported then.
        assert person.invoke(cli, QUICK).exit_code == 0
        with another_user():
            result = person.invoke(cli, [*QUICK, "--add"], input="Balcony\n")
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1].startswith(
            "hk-bridge: accessories.json cannot be written: this user may not write it"
        )
        assert [entry["name"] for entry in added(directory)] == []
        assert list(directory.iterdir()) == [directory / "accessories.json"]


def test_a_file_in_a_directory_that_is_missing_is_said(tmp_path: Path) -> None:
    (tmp_path / "accessories.json").symlink_to("gone/accessories.json")
    result = call(tmp_path, *QUICK, "--add", stdin="Balcony\n")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith(
        f"its directory is missing; make it: mkdir -p {tmp_path}/gone"
    )


# -- beside others ------------------------------------------------------------------------


def test_two_searches_and_a_simulated_bridge_do_not_mind_each_other(house: Path) -> None:
    with running(house, "--simulate", "--state-dir", "state") as bridge:
        with at_a_terminal(house, *LONG) as one, at_a_terminal(house, *LONG) as other:
            one.shows(ROOM_1)
            other.shows(ROOM_1)
            assert (one.interrupts(), other.interrupts()) == (0, 0)
        assert bridge.poll() is None
        assert call(house, "status", "--state-dir", "state").returncode == 0


@asynccontextmanager
async def broadcasting(bluez: FakeBluez, *addresses: str) -> AsyncIterator[None]:
    """Sensors that each speak fifty times a second."""
    values = encode_values(temperature=20.4, humidity=39.4)

    async def speak() -> None:
        counter = 0
        while True:
            counter = (counter + 1) % 256
            for address in addresses:
                frame = MiBeaconFrame(0x01AA, counter, address, objects=values)
                bluez.advertise(address, {FE95: frame.to_bytes()})
            await asyncio.sleep(0.02)

    task = asyncio.create_task(speak())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def listeners(adapter: FakeAdapter) -> set[str]:
    """The programs that listen passively."""
    return {program for (program, _), patterns in adapter.monitors.items() if patterns}


async def test_two_searches_and_a_bridge_hear_the_same_sensor_over_one_adapter(
    tmp_path: Path, bluez: FakeBluez
) -> None:
    adapter = bluez.plug()
    await bluez.start()
    entry = {"accessory": "Hygrothermograph", "name": "Room 1", "address": ROOM_1}
    (tmp_path / "accessories.json").write_text(json.dumps({"accessories": [entry]}))
    state = tmp_path / "state"

    async def bridge_hears() -> None:
        end = time.monotonic() + PATIENCE
        while True:
            status = await client.ask(state, "GET", "/status")
            (sensor,) = status["sensors"]
            if sensor["state"] == "decoding":
                assert sensor["values"]["temperature"]["value"] == 20.4
                assert status["radio"]["mode"] == "passive"
                return
            assert time.monotonic() < end, status

    async with AsyncExitStack() as stack:
        await asyncio.to_thread(
            stack.enter_context, running(tmp_path, "--state-dir", str(state))
        )
        scan = ("scan", "--seconds", "1000")
        table = stack.enter_context(at_a_terminal(tmp_path, *scan))
        lines = stack.enter_context(
            at_a_terminal(tmp_path, *scan, "--json", stdout=subprocess.PIPE)
        )
        # They begin to listen before the sensors speak: bleak can lose a device for good
        # that is new to BlueZ in the moment in which it asks for the devices there are.
        async with asyncio.timeout(PATIENCE):
            await bluez.until(lambda: len(listeners(adapter)) == 3)
        await stack.enter_async_context(broadcasting(bluez, ROOM_1, ROOM_2))
        await asyncio.gather(
            bridge_hears(),
            asyncio.to_thread(table.shows, ROOM_2),
            asyncio.to_thread(lines.shows, ROOM_2),
        )
        assert await asyncio.to_thread(table.interrupts) == 0
        assert await asyncio.to_thread(lines.interrupts) == 0
        # The bridge hears on.
        await bridge_hears()
        assert len(listeners(adapter)) == 1
        assert lines.process.stdout is not None
        found = objects(lines.process.stdout.read().decode())
    assert "1 sensor not in accessories.json yet" in table.text
    names = [(each["address"], each["configuredAs"]) for each in found]
    assert names == [(ROOM_2, None), (ROOM_1, "Room 1")]
    assert {each["temperature"] for each in found} == {20.4}


# -- a radio that fails -------------------------------------------------------------------


def test_without_dbus_it_says_what_to_do(tmp_path: Path) -> None:
    nowhere = "unix:path=/nowhere/dbus"
    for json_or_not in ([], ["--json"]):
        result = call(tmp_path, "scan", *json_or_not, DBUS_SYSTEM_BUS_ADDRESS=nowhere)
        assert (result.returncode, result.stdout) == (1, "")
        (told,) = result.stderr.splitlines()[1:]
        assert told.startswith("hk-bridge: there is no D-Bus, by which Bluetooth is")
        assert "Install dbus and bluez" in told


async def test_with_the_adapter_off_it_says_what_to_do(
    tmp_path: Path, bluez: FakeBluez
) -> None:
    bluez.plug(powered=False)
    await bluez.start()
    result = await asyncio.to_thread(call, tmp_path, "scan")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[1:] == [
        "hk-bridge: the Bluetooth adapter hci0 is switched off. Type: bluetoothctl power on"
    ]


async def test_what_was_found_before_the_radio_was_lost_is_printed_first(
    tmp_path: Path, bluez: FakeBluez
) -> None:
    bluez.plug()
    await bluez.start()
    with at_a_terminal(tmp_path, "scan") as terminal:
        async with broadcasting(bluez, ROOM_1):
            await asyncio.to_thread(terminal.shows, ROOM_1)
            bluez.power(on=False)
            assert await asyncio.to_thread(terminal.ends) == 1
    last = terminal.raw.decode().rpartition("\x1b[2K")[2]
    table, _, problem = last.partition("1 sensor not in accessories.json yet")
    assert ROOM_1 in table
    assert "hk-bridge: the Bluetooth adapter hci0 is switched off. Type: " in problem


async def test_a_bus_that_is_lost_is_one_line(
    tmp_path: Path, bus: PrivateBus, bluez: FakeBluez
) -> None:
    bluez.plug()
    await bluez.start()
    with at_a_terminal(tmp_path, "scan", "--json", stdout=subprocess.PIPE) as terminal:
        async with broadcasting(bluez, ROOM_1):
            await asyncio.to_thread(terminal.shows, ROOM_1)
            bus.stop()
            assert await asyncio.to_thread(terminal.ends) == 1
        assert terminal.process.stdout is not None
        (found,) = objects(terminal.process.stdout.read().decode())
    assert found["address"] == ROOM_1
    last = terminal.raw.decode().rpartition("\x1b[2K")[2]
    assert last.strip().startswith("hk-bridge: there is no D-Bus")
    assert "Traceback" not in terminal.text
