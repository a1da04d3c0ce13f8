"""The JSON file that survives power cuts: order of steps, modes, faults of the disk."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hk_bridge import files
from hk_bridge.errors import StoreError
from hk_bridge.files import Exposed, JsonFile, Loaded
from tests.fakes.faults import FaultyOs, failing

OLD = {"value": "old"}
NEW = {"value": "new" * 100}


@pytest.fixture
def faulty_os(monkeypatch: pytest.MonkeyPatch) -> FaultyOs:
    replacement = FaultyOs()
    monkeypatch.setattr(files, "os", replacement)
    return replacement


def read_value(data: Any) -> dict[str, str]:
    return {"value": data["value"]}


def opened(directory: Path) -> JsonFile[dict[str, str]]:
    return JsonFile(directory / "state.json", read_value)


@pytest.fixture
def saved(tmp_path: Path) -> JsonFile[dict[str, str]]:
    file = opened(tmp_path / "state")
    file.save(OLD)
    return file


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_saved_is_loaded(saved: JsonFile[dict[str, str]]) -> None:
    assert saved.load() == Loaded({"value": "old"}, ())
    saved.save(NEW)
    assert opened(saved.path.parent).load() == Loaded(NEW, ())
    assert sorted(contents(saved.path.parent)) == ["state.json", "state.json.bak"]


def test_nothing_is_loaded_where_nothing_was_saved(tmp_path: Path) -> None:
    assert opened(tmp_path / "not there").load() is None
    assert opened(tmp_path).load() is None


def test_all_is_on_the_disk_before_anything_is_renamed_and_the_folder_last(
    saved: JsonFile[dict[str, str]], faulty_os: FaultyOs
) -> None:
    names: dict[int, str] = {}
    calls: list[str] = []

    def open_(path: Path, *args: int) -> int:
        descriptor = os.open(path, *args)
        names[descriptor] = path.name
        calls.append(f"open {path.name}")
        return descriptor

    def write(descriptor: int, data: bytes) -> int:
        calls.append(f"write {names[descriptor]}")
        return os.write(descriptor, data)

    def fsync(descriptor: int) -> None:
        calls.append(f"fsync {names[descriptor]}")
        os.fsync(descriptor)

    def replace(source: Path, target: Path) -> None:
        calls.append(f"replace {target.name} by {source.name}")
        source.replace(target)

    for name, call in (
        ("open", open_),
        ("write", write),
        ("fsync", fsync),
        ("replace", replace),
    ):
        setattr(faulty_os, name, call)
    saved.save(NEW)
    assert calls == [
        "open state.json.bak.new",
        "write state.json.bak.new",
        "fsync state.json.bak.new",
        "open state.json.new",
        "write state.json.new",
        "fsync state.json.new",
        "replace state.json.bak by state.json.bak.new",
        "replace state.json by state.json.new",
        "open state",
        "fsync state",
    ]


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_only_the_owner_may_read_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        file = opened(tmp_path / "state")
        file.save(OLD)
        file.save(NEW)
    finally:
        os.umask(before)
    assert mode(file.path.parent) == 0o700
    assert mode(file.path) == 0o600
    assert mode(file.copy) == 0o600


def test_a_file_that_anybody_may_read_is_private_after_the_next_save(
    saved: JsonFile[dict[str, str]],
) -> None:
    saved.path.chmod(0o644)
    saved.copy.chmod(0o644)
    saved.save(NEW)
    assert (mode(saved.path), mode(saved.copy)) == (0o600, 0o600)


def test_two_files_of_a_directory_are_saved_at_once_by_two_threads(tmp_path: Path) -> None:
    def save(name: str) -> None:
        file = JsonFile(tmp_path / "state" / name, lambda data: data)
        for number in range(100):
            file.save({"number": number})

    with ThreadPoolExecutor() as threads:
        for saved in [threads.submit(save, n) for n in ("homekit.json", "devices.json")]:
            saved.result()


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """A file of the state directory, by a name that is this program's own."""
    file = JsonFile(tmp_path / "state" / "homekit.json", read_value)
    file.save(OLD)
    return file.path


def test_what_others_could_read_is_told_once_and_closed(identity: Path) -> None:
    identity.parent.chmod(0o755)
    identity.chmod(0o640)
    exposed = files.make_private(identity.parent)
    assert set(exposed.closed) == {identity.parent, identity}
    assert exposed.still_open == ()
    assert (mode(identity.parent), mode(identity)) == (0o700, 0o600)
    assert files.make_private(identity.parent) == Exposed()


def test_a_file_in_a_directory_that_nobody_else_may_enter_is_closed_and_not_told(
    identity: Path,
) -> None:
    identity.chmod(0o644)
    assert files.make_private(identity.parent) == Exposed()
    assert mode(identity) == 0o600


def refuses(*_: object) -> None:
    raise PermissionError(errno.EPERM, "not yours")


@pytest.mark.parametrize("chmod", [lambda *_: None, refuses])
def test_what_cannot_be_closed_is_told_as_well(
    identity: Path, monkeypatch: pytest.MonkeyPatch, chmod: Callable[..., None]
) -> None:
    identity.parent.chmod(0o755)
    identity.chmod(0o644)
    monkeypatch.setattr(Path, "chmod", chmod)
    exposed = files.make_private(identity.parent)
    assert exposed.closed == ()
    assert set(exposed.still_open) == {identity.parent, identity}


def test_short_writes_are_completed(
    saved: JsonFile[dict[str, str]], faulty_os: FaultyOs
) -> None:
    writes: list[int] = []

    def short(descriptor: int, data: memoryview) -> int:
        writes.append(len(data))
        return os.write(descriptor, data[:7])

    faulty_os.write = short
    saved.save(NEW)
    assert len(writes) > 80
    assert opened(saved.path.parent).load() == Loaded(NEW, ())
    assert saved.copy.read_bytes() == saved.path.read_bytes()


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("open", 1),
        ("write", 1),
        ("fsync", 1),
        ("open", 2),
        ("write", 2),
        ("fsync", 2),
        ("replace", 1),
        ("replace", 2),
    ],
)
def test_a_full_disk_leaves_the_old_content_and_no_rests(
    saved: JsonFile[dict[str, str]], faulty_os: FaultyOs, call: str, number: int
) -> None:
    setattr(faulty_os, call, failing(getattr(os, call), number))
    with pytest.raises(StoreError) as caught:
        saved.save(NEW)
    assert str(caught.value) == f"{saved.path} cannot be written: No space left on device"
    assert sorted(contents(saved.path.parent)) == ["state.json", "state.json.bak"]
    assert json.loads(saved.path.read_bytes()) == OLD
    assert opened(saved.path.parent).load() == Loaded(OLD, ())
    # There is room again.
    saved.save(NEW)
    assert opened(saved.path.parent).load() == Loaded(NEW, ())


def test_a_disk_that_fills_up_within_a_write_leaves_the_old_content_and_no_rests(
    saved: JsonFile[dict[str, str]], faulty_os: FaultyOs
) -> None:
    room = 10

    def write(descriptor: int, data: memoryview) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = os.write(descriptor, data[:room])
        room -= written
        return written

    faulty_os.write = write
    with pytest.raises(StoreError, match="No space left on device"):
        saved.save(NEW)
    assert sorted(contents(saved.path.parent)) == ["state.json", "state.json.bak"]
    assert opened(saved.path.parent).load() == Loaded(OLD, ())


def test_no_descriptor_is_left_open_by_a_full_disk(
    saved: JsonFile[dict[str, str]], faulty_os: FaultyOs
) -> None:
    open_now: set[int] = set()

    def open_(*args: Any) -> int:
        descriptor = os.open(*args)
        open_now.add(descriptor)
        return descriptor

    def close(descriptor: int) -> None:
        open_now.remove(descriptor)
        os.close(descriptor)

    faulty_os.open, faulty_os.close = open_, close
    faulty_os.fsync = failing(os.fsync, 2, errno.EIO)
    with pytest.raises(StoreError, match="Input/output error"):
        saved.save(NEW)
    assert open_now == set()


def test_rests_of_a_save_that_was_cut_off_are_in_nobody_s_way(
    saved: JsonFile[dict[str, str]],
) -> None:
    for name in ("state.json.new", "state.json.bak.new"):
        (saved.path.parent / name).write_text('{"value": "ha')
    assert saved.load() == Loaded(OLD, ())
    saved.save(NEW)
    assert sorted(contents(saved.path.parent)) == ["state.json", "state.json.bak"]


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreError, match=r"state\.json cannot be written: File exists"):
        opened(tmp_path / "state").save(OLD)


def test_a_missing_file_is_replaced_by_its_copy_and_said(
    saved: JsonFile[dict[str, str]],
) -> None:
    saved.path.unlink()
    assert saved.load() == Loaded(
        OLD, (f"{saved.path} is missing: its copy {saved.copy} is used",)
    )
    saved.save(NEW)
    assert sorted(contents(saved.path.parent)) == ["state.json", "state.json.bak"]


@pytest.mark.parametrize(
    ("content", "damage"),
    [
        (b"", "empty"),
        (b'{"value":\n', "no JSON at line 2"),
        (b"\0" * 300, "no JSON at line 1"),
        (b"\xff\xfe\xfd", "its content is not what this program writes"),
        (b"[]", "its content is not what this program writes"),
        (b"7", "its content is not what this program writes"),
        (b"{}", "its content is not what this program writes"),
        (b"[" * 100_000, "its content is not what this program writes"),
        (b"1" * 10_000, "its content is not what this program writes"),
    ],
)
def test_a_damaged_file_is_replaced_by_its_copy_and_kept_aside(
    saved: JsonFile[dict[str, str]], content: bytes, damage: str
) -> None:
    saved.path.write_bytes(content)
    file = opened(saved.path.parent)
    assert file.load() == Loaded(
        OLD,
        (f"{saved.path} is damaged ({damage})", f"its copy {saved.copy} is used"),
    )
    assert saved.path.read_bytes() == content
    file.save(NEW)
    file.save(OLD)
    aside = list(saved.path.parent.glob("state.json.damaged-*"))
    assert [path.read_bytes() for path in aside] == [content]
    assert opened(saved.path.parent).load() == Loaded(OLD, ())


def test_a_damaged_copy_is_made_good_by_the_next_save(
    saved: JsonFile[dict[str, str]],
) -> None:
    saved.copy.write_bytes(b"{")
    assert saved.load() == Loaded(OLD, ())
    saved.save(NEW)
    assert saved.copy.read_bytes() == saved.path.read_bytes()


@pytest.mark.parametrize("damage_of_the_file", [b"", b"{", None])
def test_two_damaged_files_are_an_error_that_says_what_to_do(
    saved: JsonFile[dict[str, str]], damage_of_the_file: bytes | None
) -> None:
    if damage_of_the_file is None:
        saved.path.unlink()
    else:
        saved.path.write_bytes(damage_of_the_file)
    saved.copy.write_bytes(b"[]")
    before = contents(saved.path.parent)
    with pytest.raises(StoreError) as caught:
        opened(saved.path.parent).load()
    said = str(caught.value)
    words = {b"": "empty", b"{": "no JSON at line 1", None: "missing"}
    assert said.startswith(f"{saved.path} is damaged ({words[damage_of_the_file]}), and ")
    assert f"its copy {saved.copy} cannot help" in said
    assert "Put a backup of state.json there, or move both files away" in said
    assert contents(saved.path.parent) == before


def test_a_folder_in_the_file_s_place_is_a_store_error(
    saved: JsonFile[dict[str, str]],
) -> None:
    saved.path.unlink()
    saved.path.mkdir()
    with pytest.raises(StoreError) as caught:
        saved.load()
    assert str(caught.value) == f"{saved.path} cannot be read: Is a directory"
    assert saved.path.is_dir()


def test_content_that_must_not_be_used_is_not_taken_for_damage(
    saved: JsonFile[dict[str, str]],
) -> None:
    def refuse(data: object) -> object:
        raise StoreError("not this one")

    with pytest.raises(StoreError, match=r"^not this one$"):
        JsonFile(saved.path, refuse).load()


# -- any file, replaced in one step -------------------------------------------------------


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file that says "old", alone in its directory."""
    path = tmp_path / "house" / "text"
    path.parent.mkdir()
    path.write_bytes(b"old")
    return path


def test_a_file_is_replaced_while_it_holds_what_was_read(text: Path) -> None:
    assert files.replace(text, b"new", b"old")
    assert contents(text.parent) == {"text": b"new"}
    assert files.replace(text, b"", b"new")
    assert contents(text.parent) == {"text": b""}
    assert files.replace(text, b"newer", b"")
    assert contents(text.parent) == {"text": b"newer"}


def test_a_file_is_made_while_there_is_none(tmp_path: Path) -> None:
    assert files.replace(tmp_path / "text", b"new", None)
    assert contents(tmp_path) == {"text": b"new"}


@pytest.mark.parametrize("old", [b"", b"ol", b"old ", b"Old", None])
def test_a_file_that_holds_something_else_is_left_alone(
    text: Path, old: bytes | None
) -> None:
    assert not files.replace(text, b"new", old)
    assert contents(text.parent) == {"text": b"old"}


def test_a_file_that_is_gone_is_not_made_again(text: Path) -> None:
    text.unlink()
    assert not files.replace(text, b"new", b"old")
    assert contents(text.parent) == {}


def test_the_new_content_is_on_the_disk_before_the_rename_and_the_folder_after_it(
    text: Path, faulty_os: FaultyOs
) -> None:
    names: dict[int, str] = {}
    calls: list[str] = []

    def open_(path: Path, *args: int) -> int:
        descriptor = os.open(path, *args)
        names[descriptor] = path.name
        return descriptor

    def fsync(descriptor: int) -> None:
        calls.append(f"fsync {names[descriptor]}")
        os.fsync(descriptor)

    def rename(source: Path, target: Path) -> None:
        assert source.read_bytes() == b"new"
        calls.append(f"replace {target.name} by {source.name}")
        source.replace(target)

    faulty_os.open, faulty_os.fsync, faulty_os.replace = open_, fsync, rename
    assert files.replace(text, b"new", b"old")
    assert calls == ["fsync .text.new", "replace text by .text.new", "fsync house"]


def test_the_new_content_is_never_more_open_than_the_old_one(
    text: Path, faulty_os: FaultyOs
) -> None:
    text.chmod(0o640)
    modes: list[int] = []

    def write(descriptor: int, data: bytes) -> int:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return os.write(descriptor, data)

    faulty_os.write = write
    assert files.replace(text, b"new", b"old")
    assert (modes, mode(text)) == ([0o640], 0o640)


def test_attributes_such_as_access_lists_are_kept_and_the_time_is_not(text: Path) -> None:
    try:
        os.setxattr(text, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system has no attributes")
    os.utime(text, (0, 0))
    assert files.replace(text, b"new", b"old")
    assert os.getxattr(text, "user.note") == b"mine"
    assert text.stat().st_mtime > 0


def test_the_mode_is_kept_where_attributes_cannot_be(
    text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "copystat", refuse)
    text.chmod(0o664)
    assert files.replace(text, b"new", b"old")
    assert mode(text) == 0o664


def test_rests_of_a_replacement_that_was_cut_off_are_swept_and_other_files_are_not(
    text: Path,
) -> None:
    text.with_name(".text.new").write_text("ne")
    text.with_name("text.new").write_text("somebody's own")
    assert files.replace(text, b"new", b"old")
    assert contents(text.parent) == {"text": b"new", "text.new": b"somebody's own"}


def test_one_replacement_in_a_directory_is_under_way_at_a_time(
    text: Path, faulty_os: FaultyOs
) -> None:
    second: list[bool] = []

    def fsync(descriptor: int) -> None:
        if not second:
            second.append(files.replace(text, b"newer", b"old"))
        os.fsync(descriptor)

    faulty_os.fsync = fsync
    assert files.replace(text, b"new", b"old")
    assert second == [False]
    assert contents(text.parent) == {"text": b"new"}
    assert files.replace(text, b"newer", b"new")


def test_no_descriptor_is_left_open_by_a_replacement(
    text: Path, faulty_os: FaultyOs
) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 # a Path would have one open
    for call in ("open", "write", "fsync", "replace"):
        setattr(faulty_os, call, failing(getattr(os, call), 2 if call == "open" else 1))
        with pytest.raises(OSError, match="No space left"):
            files.replace(text, b"new", b"old")
        setattr(faulty_os, call, getattr(os, call))
    assert not files.replace(text, b"new", b"other")
    assert files.replace(text, b"new", b"old")
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208 # as above
    assert contents(text.parent) == {"text": b"new"}
