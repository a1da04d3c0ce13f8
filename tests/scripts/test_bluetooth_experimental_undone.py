"""scripts/bluetooth-experimental: how it is removed, and how an error undoes all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.scripts.machine import (
    CUT_OFF,
    DROP_IN,
    PLAIN,
    SCRIPT,
    Machine,
    fails,
    shown_file,
)

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="systemd is there on Linux only"
)

# -- install, and something goes wrong


def test_a_folder_that_cannot_be_made_is_said(machine: Machine) -> None:
    machine.folder.write_text("")  # a file is in the way
    before = machine.files
    result = machine.run("install", "--yes")
    assert result.returncode == 1
    assert f"{machine.drop_in} could not be changed; the reason is above" in result.stderr
    assert machine.files == before
    assert "restart" not in machine.calls


@pytest.mark.parametrize("others", [True, False])
def test_a_failing_reload_leaves_nothing_behind(machine: Machine, *, others: bool) -> None:
    if others:
        machine.write_drop_in("10-restart.conf", "[Service]\nRestart=always\n")
        machine.reread()
    before = machine.files
    machine.set(fails={"daemon-reload": 1})
    assert fails(
        machine.run("install", "--yes"),
        "(systemctl daemon-reload); the reason is above",
        "the files are as before, and bluetoothd was not restarted",
    )
    assert machine.files == before
    assert machine.calls == ["daemon-reload", "daemon-reload"]
    assert machine.command == [PLAIN]


def test_a_reload_that_fails_again_says_what_to_type(machine: Machine) -> None:
    before = machine.files
    machine.set(fails={"daemon-reload": 2})
    assert fails(machine.run("install", "--yes"), "sudo systemctl daemon-reload && ")
    assert machine.files == before


@pytest.mark.parametrize("trouble", ["dislikes", "dies_with", "crashes_with"])
def test_a_bluetoothd_that_does_not_come_back_is_started_as_before(
    machine: Machine, trouble: str
) -> None:
    before = machine.files
    machine.set(**{trouble: "--experimental"})
    assert fails(
        machine.run("install", "--yes"),
        "with --experimental. What it said: journalctl -u bluetooth -n 50",
        "the files are as before, and bluetoothd runs again as before",
    )
    assert machine.files == before
    assert machine.calls == ["daemon-reload", "restart"] * 2
    assert machine.command == [PLAIN]


def test_a_bluetoothd_that_comes_back_without_the_option_is_started_as_before(
    machine: Machine,
) -> None:
    before = machine.files
    machine.set(loses="--experimental")
    assert fails(machine.run("install", "--yes"), "came back without --experimental")
    assert machine.files == before
    assert machine.command == [PLAIN]


def test_a_bluetoothd_that_never_comes_back_is_said(machine: Machine) -> None:
    before = machine.files
    machine.set(dislikes=PLAIN)
    assert fails(
        machine.run("install", "--yes"), "bluetoothd does not run again. What it said"
    )
    assert machine.files == before


def test_a_service_that_did_not_run_before_does_not_run_after_a_failure(
    machine: Machine,
) -> None:
    before = machine.files
    machine.set(dislikes="--experimental", state="inactive", pid=0)
    assert fails(machine.run("install", "--yes"), "does not run, as before")
    assert machine.files == before
    assert machine.world["state"] == "inactive"


def test_an_earlier_drop_in_is_put_back_after_a_failure(installed: Machine) -> None:
    before = installed.files
    installed.write_unit(f"{PLAIN} --new")
    installed.reread(restart=False)
    installed.set(dislikes="--new")
    assert fails(installed.run("install", "--yes"), "bluetoothd runs again as before")
    assert installed.files == before
    assert installed.command == [PLAIN, "--experimental"]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_a_person_who_stops_it_finds_all_as_before(
    machine: Machine, number: signal.Signals
) -> None:
    before = machine.files
    machine.set(hangs=True)
    process = subprocess.Popen(
        [SCRIPT, "install", "--yes"],
        env=machine.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (machine.root / "hangs").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "bluetoothd runs again as before" in stderr
    assert machine.files == before
    assert machine.command == [PLAIN]


# -- remove


def test_remove_takes_all_away_and_restarts(installed: Machine) -> None:
    result = installed.run("remove", "--yes")
    assert result.returncode == 0
    assert shown_file(result.stdout) == DROP_IN
    assert CUT_OFF in result.stdout
    assert (
        result.stdout.splitlines()[-1] == "Removed. bluetoothd runs without --experimental."
    )
    assert not installed.folder.exists()
    assert installed.calls == ["daemon-reload", "restart"]
    assert installed.command == [PLAIN]


def test_remove_leaves_the_drop_ins_of_others(installed: Machine) -> None:
    other = installed.write_drop_in("10-restart.conf", "[Service]\nRestart=always\n")
    assert installed.run("remove", "--yes").returncode == 0
    assert list(installed.folder.iterdir()) == [other]


@pytest.mark.usefixtures("unchanged")
def test_remove_has_nothing_to_do_where_nothing_is_installed(machine: Machine) -> None:
    machine.play("id", "echo 1000")
    result = machine.run("remove")
    assert result.returncode == 0
    assert result.stdout == (
        "The drop-in of hk-bridge is not installed. Nothing was changed.\n"
    )


@pytest.mark.parametrize(("typed", "status"), [(b"y\n", 0), (b"n\n", 1), (b"\x04", 1)])
def test_remove_asks(installed: Machine, typed: bytes, status: int) -> None:
    assert installed.answer(typed, "remove").returncode == status
    assert installed.drop_in.exists() == bool(status)
    assert len(installed.calls) == (0 if status else 2)


def test_remove_does_not_go_on_without_a_terminal(installed: Machine) -> None:
    assert fails(installed.run("remove"), "nothing was changed", f"{SCRIPT} remove --yes")
    assert installed.drop_in.read_text() == DROP_IN
    assert installed.calls == []


@pytest.mark.parametrize("load", ["loaded", "not-found"])
def test_remove_does_not_start_what_does_not_run(installed: Machine, load: str) -> None:
    installed.set(state="inactive", pid=0, load=load)
    result = installed.run("remove", "--yes")
    assert result.returncode == 0
    assert "was not started" in result.stdout
    assert "Then bluetoothd" not in result.stdout
    assert not installed.folder.exists()
    assert installed.calls == ["daemon-reload"]


def test_remove_says_that_experimental_comes_from_elsewhere_too(installed: Machine) -> None:
    installed.write_conf("[General]\nExperimental = true\n")
    result = installed.run("remove", "--yes")
    assert result.returncode == 0
    assert "bluetoothd still has --experimental, from elsewhere" in result.stdout


def test_remove_mends_a_service_that_failed(installed: Machine) -> None:
    installed.set(dislikes="--experimental", state="failed", pid=0)
    assert installed.run("remove", "--yes").returncode == 0
    assert installed.command == [PLAIN]


def test_remove_works_though_the_service_fails_without_it_too(installed: Machine) -> None:
    installed.set(dislikes=PLAIN, state="failed", pid=0)
    result = installed.run("remove", "--yes")
    assert result.returncode == 0
    assert "still does not. What it said: journalctl" in result.stderr
    assert not installed.folder.exists()


def test_remove_works_where_the_adapter_is_gone(installed: Machine) -> None:
    installed.set(condition=False)
    result = installed.run("remove", "--yes")
    assert result.returncode == 0
    assert "there is no Bluetooth adapter" in result.stdout
    assert not installed.folder.exists()


def test_remove_puts_the_drop_in_back_where_the_reload_fails(installed: Machine) -> None:
    installed.set(fails={"daemon-reload": 1})
    assert fails(installed.run("remove", "--yes"), "bluetoothd was not restarted")
    assert installed.drop_in.read_text() == DROP_IN
    assert installed.drop_in.stat().st_mode & 0o7777 == 0o644
    assert installed.command == [PLAIN, "--experimental"]


def test_remove_puts_the_drop_in_back_where_bluetoothd_does_not_come_back(
    installed: Machine,
) -> None:
    before = installed.files
    installed.set(fails={"restart": 1})
    assert fails(
        installed.run("remove", "--yes"),
        "did not come back without --experimental",
        "runs again as before",
    )
    assert installed.files == before
    assert installed.command == [PLAIN, "--experimental"]
