"""An entry added to a file: atomic, beside others who write, and on a disk that fails."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest

from hk_bridge.config import add, append, appended, load, rewrite
from hk_bridge.errors import ConfigError, StoreError
from tests.config import kills
from tests.fakes.faults import FaultyOs, failing

ROOT = Path(__file__).parents[2]
SAMPLE = (ROOT / "accessories.json").read_bytes()
ENTRY = kills.ENTRY
WITH_ENTRY = appended(SAMPLE.decode(), ENTRY).encode()


def numbered(number: int) -> dict[str, object]:
    return {**ENTRY, "name": f"N {number}", "address": f"FF:00:00:00:00:{number:02X}"}


def names(path: Path) -> list[str]:
    return [sensor.name for sensor in load(path).sensors]


def untouched(path: Path, content: bytes = SAMPLE) -> bool:
    """Whether `content` stands in the file, and nothing else in its directory."""
    return path.read_bytes() == content and list(path.parent.iterdir()) == [path]


# -- what is written ----------------------------------------------------------------------


def test_the_entry_is_added_and_nothing_else_is_left_in_the_directory(file: Path) -> None:
    add(file, ENTRY)
    assert untouched(file, WITH_ENTRY)
    assert names(file) == ["Room 1", "Room 2", "New"]


def test_bytes_of_every_kind_stay_as_they_are(file: Path) -> None:
    old = '\ufeff{\r\n\t"description": "é\u2028🍳\\u00e9",\r\n\t"accessories": []}'.encode()
    file.write_bytes(old)
    add(file, {**ENTRY, "name": "Küche"})
    new = file.read_bytes()
    size = len(new) - len(old)
    assert (new[: -2 - size], new[-2:]) == (old[:-2], old[-2:])
    assert '"name": "Küche"'.encode() in new


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    path = tmp_path / "accessories.json"
    add(path, ENTRY)
    assert path.read_text(encoding="utf-8") == (
        '{\n  "accessories": [\n    { "accessory": "Hygrothermograph", "name": "New", '
        '"address": "00:00:00:00:00:01" }\n  ]\n}\n'
    )
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_new_file_is_as_readable_as_the_umask_says(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        add(tmp_path / "accessories.json", ENTRY)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "accessories.json").stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o664, 0o666])
def test_the_mode_is_kept_whatever_the_umask(file: Path, mode: int) -> None:
    file.chmod(mode)
    before = os.umask(0o077)
    try:
        add(file, ENTRY)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_kept(file: Path) -> None:
    os.chown(file, 12345, 54321)
    add(file, ENTRY)
    status = file.stat()
    assert (status.st_uid, status.st_gid) == (12345, 54321)
    assert untouched(file, WITH_ENTRY)


def test_of_a_symlink_the_file_that_it_points_to_is_replaced(
    file: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.symlink_to("second.json")
    second.symlink_to("house/accessories.json")
    add(first, ENTRY)
    assert first.readlink() == Path("second.json")
    assert second.readlink() == Path("house/accessories.json")
    assert untouched(file, WITH_ENTRY)


def test_what_a_symlink_points_to_is_made_where_it_is_missing(
    file: Path, tmp_path: Path
) -> None:
    file.unlink()
    link = tmp_path / "link.json"
    link.symlink_to(file)
    add(link, ENTRY)
    assert link.is_symlink()
    assert names(file) == ["New"]


def test_a_file_of_the_current_directory_is_found(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    add(Path("accessories.json"), ENTRY)
    assert untouched(file, WITH_ENTRY)


# -- files that cannot be used ------------------------------------------------------------


def refused(path: Path, entry: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        add(path, entry)
    assert caught.value.file == str(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff", b'{ "accessories": [5] }', b" " * 2**21]
)
def test_a_file_with_problems_is_refused_as_it_is_when_it_is_read(
    file: Path, content: bytes
) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert refused(file, ENTRY) == str(caught.value)
    assert untouched(file, content)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"address": "4C-64-A8-D0-AE-65"}, "address: the same address as accessories[0]."),
        ({"name": "ROOM 2"}, "name: the same name as accessories[1].name (line 5), Siri"),
        ({"name": "\ud800"}, 'name: found "\\ud800", allowed is a name of 1 to 64'),
        ({"timeout": float("nan")}, "timeout: found NaN, allowed is a number from 0 to"),
        ({"bindKey": "00"}, "bindKey: found 2 characters, allowed is 32 (or 24) hexa"),
    ],
)
def test_an_entry_that_would_be_wrong_is_refused_with_the_line_that_it_would_have(
    file: Path, change: dict[str, Any], problem: str
) -> None:
    said = refused(file, {**ENTRY, **change})
    assert said.startswith(f"{file}:8: accessories[3].{problem}")
    assert said.count("\n") == 0
    assert untouched(file)


def test_an_entry_beside_which_another_one_would_be_wrong_is_refused(file: Path) -> None:
    old = b'{ "accessories": [\n{ "accessory": "Hygrothermograph", "name": "A" }\n] }'
    file.write_bytes(old)
    assert refused(file, ENTRY) == (
        f'{file}:2: accessories[0]: "address" is missing, with more than one sensor each '
        "needs an address"
    )
    assert untouched(file, old)


def test_a_wrong_entry_makes_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "accessories.json", {**ENTRY, "name": ""})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_would_become_too_large_to_be_read_is_refused(file: Path) -> None:
    old = SAMPLE.ljust(1024 * 1024)
    file.write_bytes(old)
    assert "the file is larger than 1 MiB" in refused(file, ENTRY)
    assert untouched(file, old)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert "it is a pipe" in refused(tmp_path / "pipe", ENTRY)
    assert "this is a directory" in refused(tmp_path, ENTRY)
    assert "Too many levels of symbolic links" in refused(tmp_path / "loop", ENTRY)
    assert "Not a directory" in refused(ROOT / "accessories.json" / "x", ENTRY)
    assert "null byte" in refused(tmp_path / "a\0b", ENTRY)


# -- disks and directories that cannot be written -----------------------------------------


def unwritable(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        add(path, ENTRY)
    return str(caught.value).removeprefix(f"{path} cannot be written: ")


@pytest.mark.parametrize(
    ("call", "number"), [("open", 2), ("write", 1), ("fsync", 1), ("replace", 1)]
)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_content_and_no_rests(
    file: Path, faulty_os: FaultyOs, call: str, number: int, code: int
) -> None:
    setattr(faulty_os, call, failing(getattr(os, call), number, code))
    assert unwritable(file) == (
        f"there is no room left; how much there is, says: df -h {file.parent}"
    )
    assert untouched(file)
    # There is room again.
    add(file, ENTRY)
    assert untouched(file, WITH_ENTRY)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_full_disk_leaves_no_file_where_there_was_none(
    file: Path, faulty_os: FaultyOs, call: str
) -> None:
    file.unlink()
    number = 2 if call == "open" else 1
    setattr(faulty_os, call, failing(getattr(os, call), number))
    assert unwritable(file).startswith("there is no room left")
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (
            "open",
            errno.EROFS,
            "its file system is read-only; which one, says: findmnt -T {directory}",
        ),
        (
            "replace",
            errno.EBUSY,
            "the file is mounted by itself, as into a container; mount its directory",
        ),
        (
            "replace",
            errno.EPERM,
            (
                "this user may not replace it and have its owner and group kept; which "
                "they are, says: ls -ld {directory} {file}"
            ),
        ),
        ("fsync", errno.EIO, "Input/output error"),
    ],
)
def test_what_a_disk_refuses_is_said_with_what_to_do(
    file: Path, faulty_os: FaultyOs, call: str, code: int, words: str
) -> None:
    setattr(faulty_os, call, failing(getattr(os, call), 1, code))
    assert unwritable(file) == words.format(directory=file.parent, file=file)
    assert untouched(file)


def test_what_is_to_be_typed_is_quoted_and_names_the_real_place(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to("my house/accessories.json")
    assert unwritable(link) == (
        f"its directory is missing; make it: mkdir -p '{tmp_path}/my house'"
    )


def test_an_owner_that_cannot_be_kept_is_no_reason_to_take_the_file_away_from_him(
    file: Path, faulty_os: FaultyOs
) -> None:
    mine = file.stat()
    given: list[tuple[int, int]] = []

    def fchown(_: int, user: int, group: int) -> None:
        given.append((user, group))
        raise PermissionError(errno.EPERM, "Operation not permitted")

    faulty_os.fchown = fchown
    faulty_os.fstat = lambda _: SimpleNamespace(st_uid=mine.st_uid + 1, st_gid=mine.st_gid)
    assert "may not replace it and have its owner and group kept" in unwritable(file)
    assert given == [(mine.st_uid, mine.st_gid)]
    assert untouched(file)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A file of a user who is not root, as which the test runs."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = directory / "accessories.json"
        path.write_bytes(SAMPLE)
        user, group = os.geteuid(), os.getegid()
        if user == 0:
            os.chown(path, 65534, 65534)
            os.chown(directory, 65534, 65534)
            os.setegid(65534)
            os.seteuid(65534)
        yield path
        directory.chmod(0o700)
        os.seteuid(user)
        os.setegid(group)


def test_in_a_directory_that_may_not_be_written_nothing_is_touched(
    unprivileged: Path,
) -> None:
    directory = unprivileged.parent
    directory.chmod(0o555)
    assert unwritable(unprivileged) == (
        f"this user may not write it; who may, says: ls -ld {directory} {unprivileged}"
    )
    assert untouched(unprivileged)
    unprivileged.chmod(0o000)
    assert "this user may not read the file" in refused(unprivileged, ENTRY)


def test_a_file_that_may_not_be_written_is_not_replaced_by_one_that_may(
    unprivileged: Path,
) -> None:
    unprivileged.chmod(0o444)
    assert unwritable(unprivileged).startswith("this user may not write it")
    assert untouched(unprivileged)
    unprivileged.chmod(0o644)
    add(unprivileged, ENTRY)
    assert untouched(unprivileged, WITH_ENTRY)


# -- others who write ---------------------------------------------------------------------

OTHERS = b'{ "description": "by another", "accessories": [] }'


def test_what_is_saved_while_the_new_text_is_made_is_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def made_slowly(text: str, entry: dict[str, Any]) -> str:
        if not made:
            file.write_bytes(OTHERS)
        made.append(text)
        return appended(text, entry)

    monkeypatch.setattr(append, "appended", made_slowly)
    add(file, ENTRY)
    assert made == [SAMPLE.decode(), OTHERS.decode()]
    assert untouched(file, appended(OTHERS.decode(), ENTRY).encode())


def saved_in_place(file: Path) -> None:
    file.write_bytes(OTHERS)


def saved_by_rename(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(OTHERS)
    other.replace(file)


def saved_with_the_same_size_and_time(file: Path) -> None:
    before = file.stat()
    file.write_bytes(OTHERS.ljust(before.st_size))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "save", [saved_in_place, saved_by_rename, saved_with_the_same_size_and_time]
)
def test_what_is_saved_while_the_disk_is_waited_for_is_kept(
    file: Path, faulty_os: FaultyOs, save: Callable[[Path], None]
) -> None:
    saves = [save]

    def fsync(descriptor: int) -> None:
        if saves:
            saves.pop()(file)
        os.fsync(descriptor)

    faulty_os.fsync = fsync
    add(file, ENTRY)
    assert names(file) == ["New"]
    assert file.read_bytes().startswith(b'{ "description": "by another", "accessories": [')
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_is_made_meanwhile_is_kept(file: Path, faulty_os: FaultyOs) -> None:
    file.unlink()

    def fsync(descriptor: int) -> None:
        if not file.exists():
            file.write_bytes(SAMPLE)
        os.fsync(descriptor)

    faulty_os.fsync = fsync
    add(file, ENTRY)
    assert untouched(file, WITH_ENTRY)


def test_who_gives_up_on_a_file_that_changes_all_the_time_has_changed_nothing(
    file: Path, faulty_os: FaultyOs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite, "_PAUSE_SECONDS", 0)

    def fsync(descriptor: int) -> None:
        file.write_bytes(file.read_bytes() + b"\n")

    faulty_os.fsync = fsync
    assert unwritable(file) == (
        "another program changes it all the time, or keeps its directory locked; end that "
        "one, and try again"
    )
    assert untouched(file, SAMPLE + b"\n" * 100)


def test_who_is_before_us_is_waited_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        assert untouched(file)
        waits.append(seconds)
        if len(waits) == 3:
            os.close(lock)

    monkeypatch.setattr(rewrite, "time", SimpleNamespace(sleep=sleep))
    add(file, ENTRY)
    assert len(waits) == 3
    assert untouched(file, WITH_ENTRY)


@pytest.mark.parametrize("there", [True, False])
def test_of_entries_that_are_added_at_once_none_is_lost(file: Path, there: bool) -> None:
    if not there:
        file.unlink()
    start = Barrier(2)

    def run(first: int) -> None:
        start.wait()
        for number in range(first, first + 8):
            add(file, numbered(number))

    with ThreadPoolExecutor(2) as threads:
        for running in [threads.submit(run, 0), threads.submit(run, 100)]:
            running.result()
    added = [name for name in names(file) if name.startswith("N ")]
    assert sorted(added) == sorted(f"N {n}" for n in (*range(8), *range(100, 108)))
    assert list(file.parent.iterdir()) == [file]


def test_of_entries_that_two_programs_add_at_once_none_is_lost(file: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from hk_bridge.config import add\n"
        "from tests.config.test_config_add import numbered\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for n in range(8): add(Path(sys.argv[1]), numbered(int(sys.argv[2]) + n))\n"
    )
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", program, file, first],
            env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for first in ("0", "100")
    ]
    for each in programs:
        assert each.stdout is not None
        assert each.stdout.readline() == b"ready\n"
    for each in programs:
        assert each.stdin is not None
        each.stdin.write(b"\n")
        each.stdin.flush()
    for each in programs:
        with each:
            assert each.wait(60) == 0
    assert sorted(names(file)[2:]) == sorted(
        f"N {n}" for n in (*range(8), *range(100, 108))
    )


# -- kill -9 at every step ----------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_a_kill_at_any_step_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, there: bool
) -> None:
    start = tmp_path / "start"
    start.mkdir()
    if there:
        (start / "accessories.json").write_bytes(SAMPLE)
        (start / "accessories.json").chmod(0o640)
    ended = subprocess.run(
        [sys.executable, kills.__file__],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (ended.stderr, ended.returncode) == ("", 0)
    after = [line.split() for line in ended.stdout.splitlines()]
    # Opened, written, flushed, closed, renamed, and the directory: each was cut off.
    assert len(after) > 10
    assert [name for name, *_ in after if name.startswith("half")] == ["half-1", "half-2"]
    old = [SAMPLE] if there else [None]
    seen = []
    for name, *done in after:
        path = tmp_path / name / "accessories.json"
        found = path.read_bytes() if path.exists() else None
        seen.append(found)
        assert found in ([] if done else old) or names(path)[-1] == "New"
        if there:
            assert found in (SAMPLE, WITH_ENTRY)
            assert stat.S_IMODE(path.stat().st_mode) == 0o640
        # Rests of what was cut off are in nobody's way, and do not stay.
        add(path, numbered(0))
        assert names(path)[-1] == "N 0"
        assert list(path.parent.iterdir()) == [path]
    assert set(seen) > set(old)
