"""What is said of a device that cannot be used: others, who has it, who may have it."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import serial

from hk_bridge.links.ports import reason
from tests.fakes.serial_ports import CH340, FTDI, failure, plug_in, pseudo_terminal, wrapped
from tests.fakes.users import NOBODY, another_user

#: Longer than anything here takes.
PATIENCE: Final = 20.0


# -- what is there instead ----------------------------------------------------------------


def test_a_missing_port_is_said_with_those_that_are_there(devices: Path) -> None:
    port = str(devices / "ttyUSB7")
    error = failure(port)
    assert reason(port, error, devices) == (
        "is not there. Is the adapter plugged in? No USB serial port is there"
    )
    plug_in(devices, "ttyUSB0")
    assert reason(port, error, devices).endswith(
        f"? USB serial ports that are there: {devices}/ttyUSB0"
    )
    plug_in(devices, "ttyUSB0", FTDI)
    plug_in(devices, "ttyUSB1", CH340)
    by_id = devices / "serial/by-id"
    assert reason(port, error, devices) == (
        "is not there. Is the adapter plugged in? USB serial ports that are there: "
        f"{by_id / CH340}, {by_id / FTDI}"
    )


@pytest.mark.parametrize(
    ("ports", "more"), [(3, ""), (4, " and 1 more"), (9, " and 6 more")]
)
def test_of_many_ports_a_few_are_said(devices: Path, ports: int, more: str) -> None:
    for number in range(ports):
        plug_in(devices, f"ttyUSB{number}", f"usb-{number}")
    port = str(devices / "serial/by-id/usb-9")
    assert reason(port, failure(port), devices).endswith(
        "".join(f"{devices}/serial/by-id/usb-{number}, " for number in range(2))
        + f"{devices}/serial/by-id/usb-2{more}"
    )


def test_a_name_whose_device_is_gone_is_not_among_those_that_are_there(
    devices: Path,
) -> None:
    Path(plug_in(devices, "ttyUSB0", FTDI)).unlink()
    port = str(devices / "serial/by-id" / FTDI)
    assert reason(port, failure(port), devices).endswith("No USB serial port is there")


def test_a_port_without_its_directory_is_said_with_it() -> None:
    said = reason("ttyUSB99", failure("ttyUSB99"))
    assert said.startswith("is not there. Is /dev/ttyUSB99 meant? ")


def test_a_port_of_the_mainboard_that_was_never_there_was_not_unplugged() -> None:
    error = wrapped(termios.error(errno.EIO, "Input/output error"))
    assert reason("/dev/ttyS3", error) == "has no hardware behind its name"


# -- ports in use -------------------------------------------------------------------------

HOLD: Final = """
import fcntl, os, sys
port = os.open(sys.argv[-1], os.O_RDWR | os.O_NOCTTY)
fcntl.flock(port, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def another_program(port: str, *words: str) -> Iterator[int]:
    """A process that holds a port, and has these words on its command line; its id."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", HOLD, *words, port],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], None),
        (["/usr/bin/hk-bridge", "run"], "the bridge that runs"),
        (["hk-bridge", "calibrate"], "another hk-bridge"),
    ],
)
def test_the_program_that_holds_a_port_is_named(
    tmp_path: Path, words: list[str], name: str | None
) -> None:
    with pseudo_terminal() as port:
        link = tmp_path / "by-id"
        link.symlink_to(port)
        os.close(os.open(port, os.O_RDWR | os.O_NOCTTY))
        with another_program(port, *words) as pid:
            name = name or Path(f"/proc/{pid}/comm").read_text().strip()
            error = failure(str(link), exclusive=True)
            # The test has the line open too, to have it at all.
            said = reason(str(link), error, processes=only(tmp_path, pid))
        assert said == f"is in use by {name} (pid {pid}). To free it, type: kill {pid}"
        assert reason(str(link), error) == (
            "is open in this program already. Is it in accessories.json under another "
            "name too?"
        )


def only(directory: Path, pid: int) -> Path:
    """A table of processes with that one alone."""
    processes = directory / "proc"
    processes.mkdir()
    (processes / str(pid)).symlink_to(f"/proc/{pid}")
    return processes


def process(
    processes: Path, pid: int, name: str, *opened: str, words: str | None = None
) -> None:
    """A process as /proc shows it."""
    directory = processes / str(pid)
    (directory / "fd").mkdir(parents=True)
    for number, path in enumerate(opened):
        (directory / "fd" / str(number)).symlink_to(path)
    (directory / "comm").write_text(f"{name}\n")
    (directory / "cmdline").write_text((words or name).replace(" ", "\0") + "\0")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("minicom", "kill 4711"),
        ("ModemManager", "sudo systemctl disable --now ModemManager"),
        ("gpsd", "sudo systemctl disable --now gpsd.socket gpsd"),
        ("agetty", "sudo systemctl disable --now serial-getty@ttyUSB0"),
    ],
)
@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EBUSY])
def test_how_a_port_is_freed_depends_on_who_holds_it(
    devices: Path, tmp_path: Path, name: str, command: str, number: int
) -> None:
    port = plug_in(devices, "ttyUSB0", FTDI)
    process(tmp_path, 1, "init", "/dev/null", "socket:[1]")
    process(tmp_path, 4711, name, "/dev/null", port)
    (tmp_path / "4712").mkdir()
    (tmp_path / "self").symlink_to("4711")
    error = serial.SerialException(number, "could not open port")
    for way in (port, f"{devices}/serial/by-id/{FTDI}", f"spy://{port}?all"):
        assert reason(way, error, devices, tmp_path) == (
            f"is in use by {name} (pid 4711). To free it, type: {command}"
        )


def test_all_programs_that_hold_a_port_are_named(devices: Path, tmp_path: Path) -> None:
    port = plug_in(devices, "ttyUSB0")
    pids = [71, 303, 1000, 98, 202]
    for pid in pids:
        process(tmp_path, pid, "screen", port)
    process(tmp_path, 8, "python3", port, port, words="python3 -m hk_bridge run")
    others = [f" and screen (pid {pid})" for pid in sorted(pids)]
    commands = [f" && kill {pid}" for pid in sorted(pids)]
    assert reason(port, BlockingIOError(errno.EAGAIN, ""), devices, tmp_path) == (
        f"is in use by the bridge that runs (pid 8){''.join(others)}. "
        f"To free it, type: kill 8{''.join(commands)}"
    )


def test_files_that_are_closed_while_they_are_looked_at_hide_no_others(
    devices: Path, tmp_path: Path
) -> None:
    port = plug_in(devices, "ttyUSB0")
    process(tmp_path, 5, "screen", port)
    for number in range(100, 120):
        (tmp_path / f"5/fd/{number}").touch()  # cannot be read as a link
    (tmp_path / "5/comm").write_bytes(b"scr\xffen\n")
    said = reason(port, OSError(errno.EBUSY, ""), devices, tmp_path)
    assert (
        said
        == "is in use by scr\N{REPLACEMENT CHARACTER}en (pid 5). To free it, type: kill 5"
    )


def test_a_program_that_is_not_seen_is_to_be_looked_for(
    devices: Path, tmp_path: Path
) -> None:
    port = plug_in(devices, "tty USB")
    for processes in (tmp_path, tmp_path / "none"):
        assert reason(port, OSError(errno.EBUSY, ""), devices, processes) == (
            f"is in use by another program. To see which, type: sudo fuser -v '{port}'"
        )


# -- ports that are not allowed -----------------------------------------------------------

DIALOUT: Final = 20
ME: Final = 1000
ROOT: Final = 0


@pytest.fixture
def me(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """A user of another computer; the groups of the process, and those in the database."""
    groups: dict[str, list[int]] = {"process": [ME], "database": [ME]}
    names = {ROOT: "root", ME: "pi"}

    def user(number: int) -> pwd.struct_passwd:
        return pwd.struct_passwd((names[number], "x", number, number, "", "/", "/bin/sh"))

    def group(number: int) -> grp.struct_group:
        return grp.struct_group(
            ({ROOT: "root", DIALOUT: "dialout"}[number], "x", number, [])
        )

    monkeypatch.setattr(os, "geteuid", lambda: ME)
    monkeypatch.setattr(os, "getegid", lambda: ME)
    monkeypatch.setattr(os, "getgroups", lambda: groups["process"])
    monkeypatch.setattr(os, "getgrouplist", lambda *_: groups["database"])
    monkeypatch.setattr(pwd, "getpwuid", user)
    monkeypatch.setattr(grp, "getgrgid", group)
    return groups


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, me: Mapping[str, list[int]]) -> Any:
    """What is said of a device with this mode and these owners that may not be opened."""

    def said(mode: int, owner: int, group: int) -> str:
        found = os.stat_result((stat.S_IFCHR | mode, 0, 0, 0, owner, group, 0, 0, 0, 0))
        with monkeypatch.context() as patch:
            patch.setattr(Path, "stat", lambda _path: found)
            error = serial.SerialException(errno.EACCES, "could not open port")
            return reason("/dev/ttyUSB0", error)

    return said


def test_the_group_that_owns_the_port_is_to_be_joined(refused: Any) -> None:
    assert refused(0o660, ROOT, DIALOUT) == (
        "may not be opened by this user. Type: sudo usermod -aG dialout $USER, then log "
        "in again"
    )


def test_what_the_owner_may_is_of_no_interest_to_others(refused: Any) -> None:
    assert refused(0o060, ROOT, DIALOUT) == refused(0o660, ROOT, DIALOUT)


def test_a_group_without_a_name_is_said_by_its_number(refused: Any) -> None:
    assert "usermod -aG 986 $USER" in refused(0o660, ROOT, 986)


def test_a_group_that_was_joined_counts_after_logging_in(
    refused: Any, me: dict[str, list[int]]
) -> None:
    me["database"] = [ME, DIALOUT]
    assert refused(0o660, ROOT, DIALOUT) == (
        "may not be opened by this user yet, who has joined the group dialout meanwhile: "
        "log in again, or restart the service"
    )


@pytest.mark.parametrize(
    ("mode", "owner", "group", "alone"),
    [
        (0o600, ROOT, ROOT, "root"),
        (0o660, ROOT, ROOT, "root"),
        (0o600, ROOT, DIALOUT, "root"),
        (0o620, ROOT, DIALOUT, "root"),
        (0o640, ROOT, DIALOUT, "root"),
        (0o600, 1234, DIALOUT, "user 1234"),
    ],
)
def test_a_port_that_one_user_alone_may_open_is_no_matter_of_groups(
    refused: Any, mode: int, owner: int, group: int, alone: str
) -> None:
    assert refused(mode, owner, group) == (
        f"may not be opened by this user, but by {alone} alone. Until it is plugged in "
        "again this helps: sudo chown $USER /dev/ttyUSB0 (and for good, a udev rule)"
    )


def test_a_port_that_was_closed_to_its_owner_is_opened_by_him(refused: Any) -> None:
    assert refused(0o060, ME, DIALOUT) == (
        "may not be opened by this user, whose it is. Type: chmod u+rw /dev/ttyUSB0"
    )


def test_a_port_that_the_mode_lets_be_opened_is_forbidden_by_something_else(
    refused: Any, me: dict[str, list[int]]
) -> None:
    assert refused(0o660, ME, DIALOUT).startswith(
        "may not be opened by this user, though crw-rw---- lets it. AppArmor, "
    )
    me["process"] = [ME, DIALOUT]
    assert "though crw-rw---- lets it" in refused(0o660, ROOT, DIALOUT)
    assert "but by root alone" in refused(0o600, ROOT, DIALOUT)


def test_the_first_group_of_a_user_is_one_of_his_groups(
    refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getegid", lambda: DIALOUT)
    assert "though crw-rw---- lets it" in refused(0o660, ROOT, DIALOUT)


def test_a_user_who_is_in_no_database_is_in_no_more_groups(
    refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert "usermod -aG dialout" in refused(0o660, ROOT, DIALOUT)


def test_of_a_port_that_is_gone_meanwhile_nobody_can_say_whose_it_was(
    tmp_path: Path,
) -> None:
    error = serial.SerialException(errno.EACCES, "could not open port")
    assert reason(f"{tmp_path}/ttyUSB0", error) == "may not be opened by this user"


def test_a_port_that_a_container_keeps_back_is_said() -> None:
    error = serial.SerialException(errno.EPERM, "could not open port")
    assert reason("/dev/ttyUSB0", error) == (
        "is kept from this program by a container or a service. Allow it, with docker "
        "run --device /dev/ttyUSB0, or with DeviceAllow=/dev/ttyUSB0 in the unit"
    )


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_another_user_hears_who_may_open_a_port(open_directory: Path) -> None:
    theirs = {NOBODY, os.getegid(), *os.getgroups(), 0}
    group = next(each for each in grp.getgrall() if each.gr_gid not in theirs)
    port = open_directory / "ttyUSB0"
    port.touch()
    port.chmod(0o660)
    failure(str(port))  # whatever it imports, it has then
    with another_user():
        alone = reason(str(port), failure(str(port)))
    os.chown(port, 0, group.gr_gid)
    with another_user():
        in_a_group = reason(str(port), failure(str(port)))
    assert alone.startswith("may not be opened by this user, but by root alone. ")
    assert in_a_group == (
        f"may not be opened by this user. Type: sudo usermod -aG {group.gr_name} $USER, "
        "then log in again"
    )


def test_another_user_hears_that_a_folder_is_closed(open_directory: Path) -> None:
    port = open_directory / "closed" / "ttyUSB0"
    port.parent.mkdir(mode=0o700)
    port.touch()
    failure(str(port))
    with another_user():
        said = reason(str(port), failure(str(port)))
    assert said == (
        "may not be opened by this user, nor the folder that it is in. See: namei -l "
        f"{port}"
    )
