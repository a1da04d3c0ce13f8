"""scripts/bluetooth-experimental, run as a person runs it: what it says and installs."""

from __future__ import annotations

import os
import shutil
import sys

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

# -- The command line


def test_without_arguments_it_says_how_it_is_used(machine: Machine) -> None:
    result = machine.run()
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("bluetooth-experimental: say what to do")
    assert "Examples:\n  scripts/bluetooth-experimental show\n" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("-h",), ("install", "--help")],
    ids=" ".join,
)
def test_help_has_examples(machine: Machine, arguments: tuple[str, ...]) -> None:
    result = machine.run(*arguments)
    assert result.returncode == 0
    assert result.stderr == ""
    assert "Examples:\n  scripts/bluetooth-experimental show\n" in result.stdout
    assert str(machine.drop_in) in result.stdout


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("instal", "there is no instal;"),
        ("install --force", "there is no option --force"),
        ("install remove", "not two"),
        ("show --yes", "takes no --yes"),
        ("--yes", "say what to do"),
    ],
)
def test_wrong_arguments_are_said_with_the_usage(
    machine: Machine, arguments: str, complaint: str
) -> None:
    result = machine.run(*arguments.split())
    assert result.returncode == 2
    first, *rest = result.stderr.splitlines()
    assert first.startswith("bluetooth-experimental: ")
    assert complaint in first
    assert "Usage: bluetooth-experimental show" in rest


# -- Where it cannot work


@pytest.mark.parametrize("action", ["show", "install", "remove"])
@pytest.mark.parametrize("missing", ["bin/systemctl", "run/systemd/system"])
def test_without_systemd_it_says_what_to_do_by_hand(
    machine: Machine, missing: str, action: str
) -> None:
    path = machine.root / missing
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    result = machine.run(action)
    assert fails(result, "start bluetoothd with --experimental", '"Experimental = true"')
    assert str(machine.conf) in result.stderr


@pytest.mark.parametrize("action", ["show", "install"])
@pytest.mark.parametrize(
    ("load", "advice"),
    [
        ("not-found", "sudo apt install bluez"),
        ("masked", "sudo systemctl unmask bluetooth"),
    ],
)
def test_without_the_service_it_says_how_to_get_it(
    machine: Machine, load: str, advice: str, action: str
) -> None:
    machine.set(load=load, state="inactive", pid=0)
    assert fails(machine.run(action), advice)
    assert not machine.folder.exists()


def test_a_systemd_that_does_not_answer_is_said(machine: Machine) -> None:
    machine.set(fails={"show": 1})
    assert fails(machine.run("show"), "systemctl show bluetooth.service failed")


def test_a_unit_that_cannot_be_read_is_said(machine: Machine) -> None:
    machine.set(fails={"cat": 1})
    assert fails(machine.run("install", "--yes"), "sudo systemctl daemon-reload")
    assert not machine.folder.exists()


@pytest.mark.usefixtures("unchanged")
def test_only_root_installs(machine: Machine) -> None:
    machine.play("id", "echo 1000")
    assert fails(machine.run("install", "--yes"), f"sudo {SCRIPT} install")


def test_only_root_removes(installed: Machine) -> None:
    installed.play("id", "echo 1000")
    assert fails(installed.run("remove", "--yes"), f"sudo {SCRIPT} remove")
    assert installed.drop_in.read_text() == DROP_IN


@pytest.mark.usefixtures("unchanged")
def test_the_command_to_type_has_the_real_path(machine: Machine) -> None:
    machine.play("id", "echo 1000")
    link = machine.root / "elsewhere"
    link.symlink_to(SCRIPT)
    result = machine.run("install", script=link)
    assert result.returncode == 1
    assert result.stderr.startswith("elsewhere: ")
    assert f"sudo {SCRIPT} install" in result.stderr


# -- show


@pytest.mark.usefixtures("unchanged")
def test_show_tells_of_a_plain_bluetoothd(machine: Machine) -> None:
    machine.play("id", "echo 1000")
    result = machine.run("show")
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "bluetoothd runs, without --experimental:",
        f"    {PLAIN}",
        f"So hk-bridge scans actively. For passive scanning: sudo {SCRIPT} install",
        f"{machine.conf} does not set Experimental.",
        f"The drop-in of hk-bridge is not installed. It would be {machine.drop_in}",
    ]


def test_show_tells_of_the_drop_in(installed: Machine) -> None:
    result = installed.run("show")
    assert result.returncode == 0
    first, second, *rest = result.stdout.splitlines()
    assert first == "bluetoothd runs, with --experimental:"
    assert second == f"    {PLAIN} --experimental"
    assert f"The drop-in of hk-bridge is installed, {installed.drop_in}:" in rest
    assert shown_file("\n".join(rest)) == DROP_IN
    assert "has changed since" not in result.stdout
    assert installed.calls == []


@pytest.mark.parametrize(
    ("options", "on"),
    [
        ("--experimental", True),
        ("-E", True),
        ("-nE", True),
        ("-n -E -d", True),
        ("--experimental=*", True),
        ("-n", False),
        ("-p Experimental", False),
        ("--experimental-not", False),
        ("-dE", False),  # -d takes a value: what to debug
    ],
)
def test_show_knows_the_options_of_bluetoothd(
    machine: Machine, options: str, *, on: bool
) -> None:
    machine.write_unit(f"{PLAIN} {options}")
    machine.reread()
    first, second, *_ = machine.run("show").stdout.splitlines()
    assert first == f"bluetoothd runs, {'with' if on else 'without'} --experimental:"
    assert second == f"    {PLAIN} {options}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[General]\nExperimental = true\n", "has Experimental = true"),
        ("[General]\nExperimental=1", "has Experimental = true"),
        ("[Policy]\nAutoEnable=true\n[General]\r\n Experimental = true \r\n", "= true"),
        ("[General]\nExperimental = false\n", "has Experimental = false"),
        ("[General]\nExperimental = true\nExperimental = false\n", "= false"),
        ("[General]\n#Experimental = true\n", "does not set Experimental"),
        ("[General]\n[GATT]\nExperimental = true\n", "does not set Experimental"),
        ("[General]\nKernelExperimental = true\n", "does not set Experimental"),
        ("[General]\nExperimental = yes\n", "does not set Experimental"),
        ("", "does not set Experimental"),
    ],
)
def test_show_reads_main_conf_as_bluetoothd_does(
    machine: Machine, text: str, says: str
) -> None:
    machine.write_conf(text)
    (line,) = (
        line
        for line in machine.run("show").stdout.splitlines()
        if line.startswith(str(machine.conf))
    )
    assert says in line


def test_show_tells_that_the_service_does_not_run(installed: Machine) -> None:
    installed.set(dislikes=PLAIN, state="failed", pid=0)
    result = installed.run("show")
    assert result.returncode == 0
    first, second, *_ = result.stdout.splitlines()
    assert first.startswith("bluetooth.service does not run (failed).")
    assert "journalctl -u bluetooth" in first
    assert second == "When it starts, bluetoothd has --experimental."


def test_show_tells_of_a_change_that_bluetoothd_has_not_seen(machine: Machine) -> None:
    machine.write_drop_in("override.conf", f"[Service]\nExecStart=\nExecStart={PLAIN} -E\n")
    machine.reread(restart=False)
    output = machine.run("show").stdout
    assert output.startswith("bluetoothd runs, without --experimental:")
    assert "sudo systemctl restart bluetooth\n" in output


def test_show_tells_of_a_drop_in_for_another_bluez(installed: Machine) -> None:
    installed.write_unit("/usr/lib/bluetooth/bluetoothd")
    installed.reread(restart=False)
    output = installed.run("show").stdout
    assert f"To make the drop-in anew: sudo {SCRIPT} install\n" in output


def test_show_asks_systemd_where_proc_is_hidden(machine: Machine) -> None:
    machine.write_unit(f"{PLAIN} -n --experimental")
    machine.reread()
    for cmdline in machine.root.glob("proc/*/cmdline"):
        cmdline.unlink()
    result = machine.run("show")
    assert result.stderr == ""
    assert result.stdout.splitlines()[:2] == [
        "bluetoothd runs, with --experimental:",
        f"    {PLAIN} -n --experimental",
    ]


# -- install


def test_install_writes_the_drop_in_and_restarts(machine: Machine) -> None:
    result = machine.run("install", "--yes")
    assert result.returncode == 0
    assert machine.drop_in.read_text() == DROP_IN
    assert machine.drop_in.stat().st_mode & 0o7777 == 0o644
    assert machine.folder.stat().st_mode & 0o7777 == 0o755
    assert [path.name for path in machine.folder.iterdir()] == [machine.drop_in.name]
    assert machine.calls == ["daemon-reload", "restart"]
    assert machine.command == [PLAIN, "--experimental"]
    assert result.stdout.splitlines()[-1].startswith("bluetoothd runs with --experimental.")


def test_install_shows_what_it_writes_and_says_what_drops(machine: Machine) -> None:
    result = machine.run("install", "-y")
    assert f"This is going to be written, {machine.drop_in}:" in result.stdout
    assert shown_file(result.stdout) == machine.drop_in.read_text() == DROP_IN
    assert CUT_OFF in result.stdout


def test_install_works_through_a_link_and_from_any_folder(machine: Machine) -> None:
    (machine.root / "a folder").mkdir()
    link = machine.root / "a folder" / "a link"
    link.symlink_to(os.path.relpath(SCRIPT, link.parent.resolve()))
    assert machine.run("--yes", "install", script=link).returncode == 0
    assert machine.drop_in.read_text() == DROP_IN


@pytest.mark.parametrize("typed", [b"y\n", b"Y\n", b"yes\n", b" YES \n"])
def test_install_goes_on_at_a_yes(machine: Machine, typed: bytes) -> None:
    result = machine.answer(typed, "install")
    assert result.returncode == 0
    assert "Go on? [y/N] " in result.stderr
    assert machine.drop_in.read_text() == DROP_IN


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("typed", [b"n\n", b"\n", b"yep\n", b"\x04"], ids=repr)
def test_install_changes_nothing_at_anything_else(machine: Machine, typed: bytes) -> None:
    result = machine.answer(typed, "install")
    assert result.returncode == 1
    assert shown_file(result.stdout) == DROP_IN
    assert result.stderr.endswith("bluetooth-experimental: nothing was changed\n")


def test_install_asks_at_the_terminal_where_stdin_is_another(machine: Machine) -> None:
    setsid = shutil.which("setsid")
    bash = shutil.which("bash")
    assert setsid
    assert bash
    through = (setsid, "--ctty", "--wait", bash, "-c", 'exec "$@" </dev/null', "bash")
    assert machine.answer(b"n\n", "install", through=through).returncode == 1
    assert not machine.drop_in.exists()
    assert machine.answer(b"y\n", "install", through=through).returncode == 0
    assert machine.drop_in.read_text() == DROP_IN


@pytest.mark.usefixtures("unchanged")
def test_install_does_not_go_on_without_a_terminal(machine: Machine) -> None:
    result = machine.run("install")
    assert fails(result, "nothing was changed", f"sudo {SCRIPT} install --yes")
    assert shown_file(result.stdout) == DROP_IN


def test_install_a_second_time_changes_nothing(installed: Machine) -> None:
    before = installed.drop_in.stat()
    result = installed.run("install")
    assert result.returncode == 0
    assert (
        "bluetoothd runs with --experimental already. Nothing was changed." in result.stdout
    )
    assert installed.drop_in.stat() == before
    assert installed.calls == []


@pytest.mark.usefixtures("unchanged")
def test_install_has_nothing_to_do_where_main_conf_has_it(machine: Machine) -> None:
    machine.write_conf("[General]\nExperimental = true\n")
    machine.play("id", "echo 1000")
    result = machine.run("install")
    assert result.returncode == 0
    assert result.stdout == (
        f"Experimental is on already, by {machine.conf}. Nothing was changed.\n"
        "If hk-bridge scans actively all the same: sudo systemctl restart bluetooth\n"
    )
    machine.conf.unlink()
    machine.conf.parent.rmdir()


def test_install_says_that_the_service_does_not_run_though_main_conf_is_right(
    machine: Machine,
) -> None:
    machine.write_conf("[General]\nExperimental = true\n")
    machine.set(state="inactive", pid=0)
    result = machine.run("install")
    assert result.returncode == 0
    assert "bluetooth.service does not run (inactive)" in result.stdout
    assert machine.calls == []


def test_install_has_nothing_to_do_where_the_unit_has_it(machine: Machine) -> None:
    machine.write_unit(f"{PLAIN} -nE")
    machine.reread()
    result = machine.run("install")
    assert result.returncode == 0
    assert "already. Nothing was changed." in result.stdout
    assert not machine.folder.exists()
    assert machine.calls == []


def test_install_says_that_the_service_does_not_run_though_all_is_set(
    installed: Machine,
) -> None:
    installed.set(state="failed", pid=0)
    result = installed.run("install")
    assert result.returncode == 0
    assert "bluetooth.service does not run (failed)" in result.stdout
    assert installed.calls == []


@pytest.mark.usefixtures("unchanged")
def test_install_does_not_work_against_main_conf(machine: Machine) -> None:
    machine.write_conf("[General]\nExperimental = false\n")
    assert fails(machine.run("install", "--yes"), str(machine.conf), "Take that line out")
    machine.conf.unlink()
    machine.conf.parent.rmdir()


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("/usr/lib/bluetooth/bluetoothd", "/usr/lib/bluetooth/bluetoothd"),
        (f"{PLAIN} -n -d", f"{PLAIN} -n -d"),
        (f"  {PLAIN}   -n \t", f"{PLAIN}   -n"),
        (f"-{PLAIN} --noplugin=sap,avrcp", f"-{PLAIN} --noplugin=sap,avrcp"),
        (f"@{PLAIN} bluetoothd -n", f"@{PLAIN} bluetoothd -n"),
        (f'"{PLAIN}" -f "/etc/my conf"', f'"{PLAIN}" -f "/etc/my conf"'),
        (
            f"{PLAIN} -f %E/%%x/main.conf '-p a' \\x20b $$c ${{D}}",
            f"{PLAIN} -f %E/%%x/main.conf '-p a' \\x20b $$c ${{D}}",
        ),
        (f"{PLAIN} \\\n    -n \\\n# no\n  ; nor this\n  -d", f"{PLAIN}  -n  -d"),
        (f"{PLAIN} -p a\\\\", f"{PLAIN} -p a\\\\"),
    ],
)
def test_install_keeps_what_the_unit_says(machine: Machine, line: str, start: str) -> None:
    machine.write_unit(line)
    machine.reread(restart=False)
    machine.set(argv=[PLAIN])
    assert machine.run("install", "--yes").returncode == 0
    assert machine.drop_in.read_text() == DROP_IN.replace(PLAIN, start)


def test_install_builds_upon_the_drop_ins_of_others(machine: Machine) -> None:
    machine.write_drop_in(
        "10-debug.conf",
        f"[Unit]\nExecStart=/no\n[Service]\nExecStart=\nExecStart = {PLAIN} -d",
    )
    machine.write_drop_in(
        "20-no-section.conf", "ExecStart=/no\n[Service]\nRestart=always\n"
    )
    machine.reread(restart=False)
    assert machine.run("install", "--yes").returncode == 0
    assert machine.drop_in.read_text() == DROP_IN.replace(PLAIN, f"{PLAIN} -d")
    assert machine.command == [PLAIN, "-d", "--experimental"]


def test_install_gives_way_to_a_drop_in_that_is_read_later(machine: Machine) -> None:
    other = machine.write_drop_in(
        "zzz.conf", f"[Service]\nExecStart=\nExecStart={PLAIN} -d\n"
    )
    machine.reread()
    assert fails(
        machine.run("install", "--yes"), f"sudoedit {other}", "Nothing was changed"
    )
    assert list(machine.folder.iterdir()) == [other]
    assert machine.calls == []


def test_what_systemctl_edit_has_written_is_read_before_ours(machine: Machine) -> None:
    machine.write_drop_in("override.conf", f"[Service]\nExecStart=\nExecStart={PLAIN} -d\n")
    machine.reread()
    assert machine.run("install", "--yes").returncode == 0
    assert machine.command == [PLAIN, "-d", "--experimental"]


def test_a_drop_in_that_is_read_later_and_leaves_the_start_alone_is_no_hindrance(
    machine: Machine,
) -> None:
    machine.write_drop_in("zzz.conf", "[Service]\nRestart=always\n")
    machine.reread()
    assert machine.run("install", "--yes").returncode == 0
    assert machine.command == [PLAIN, "--experimental"]


@pytest.mark.parametrize(
    "line", [f"/bin/sh -c 'exec {PLAIN} -n'", "/usr/bin/env bluetoothd"]
)
def test_install_does_not_touch_a_start_that_it_does_not_understand(
    machine: Machine, line: str
) -> None:
    machine.write_unit(line)
    machine.reread()
    assert fails(machine.run("install", "--yes"), line, "Nothing was changed")
    assert not machine.folder.exists()
    assert machine.calls == []


def test_install_makes_a_drop_in_for_another_bluez_anew(installed: Machine) -> None:
    other = "/usr/lib/bluetooth/bluetoothd"
    installed.write_unit(other)
    installed.set(state="failed", pid=0, too_many_starts=True)
    installed.reread(restart=False)
    result = installed.run("install", "--yes")
    assert result.returncode == 0
    assert "Then bluetoothd is started; it does not run now (failed)." in result.stdout
    assert installed.drop_in.read_text() == DROP_IN.replace(PLAIN, other)
    assert installed.calls == ["daemon-reload", "stop", "restart"]
    assert installed.command == [other, "--experimental"]


def test_install_only_restarts_where_that_is_all_that_is_missing(machine: Machine) -> None:
    machine.write_drop_in("override.conf", f"[Service]\nExecStart=\nExecStart={PLAIN} -E\n")
    machine.reread(restart=False)
    before = machine.files
    result = machine.run("install", "--yes")
    assert result.returncode == 0
    assert "the one that runs was started without" in result.stdout
    assert machine.files == before
    assert machine.command == [PLAIN, "-E"]


def test_install_stays_where_there_is_no_adapter(machine: Machine) -> None:
    machine.set(condition=False, state="inactive", pid=0)
    result = machine.run("install", "--yes")
    assert result.returncode == 0
    assert "there is no Bluetooth adapter" in result.stdout
    assert machine.drop_in.read_text() == DROP_IN
