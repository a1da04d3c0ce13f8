"""A file that readers lock: they see all of what is in it, or what was there before."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from hk_bridge.locked_file import LockedFile


def nobody() -> None:
    raise AssertionError("nobody has locked it")


def test_what_was_in_it_stays_until_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "results"
    path.write_text("old, and longer than the new\n")
    with LockedFile(path) as file:
        assert path.read_text() == "old, and longer than the new\n"
        file.replace("new\n", nobody)
        assert path.read_text() == "new\n"
        file.replace("newer\n", nobody)
    assert path.read_text() == "newer\n"


def test_one_that_is_not_there_is_made_at_once(tmp_path: Path) -> None:
    with LockedFile(tmp_path / "results"):
        assert (tmp_path / "results").read_text() == ""


@pytest.mark.parametrize("name", [".", "gone/results"])
def test_one_that_cannot_be_written_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match=r"Is a directory|No such file"):
        LockedFile(tmp_path / name)


def test_a_reader_with_a_shared_lock_never_sees_half_of_it(tmp_path: Path) -> None:
    path = tmp_path / "results"
    contents = {"": 0, "short\n": 0, "long\n" * 20_000: 0}
    path.write_text("")
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            with path.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                contents[file.read()] += 1  # another content is a KeyError

    seen: list[BaseException] = []

    def guarded() -> None:
        try:
            read()
        except KeyError as error:
            seen.append(error)

    reader = threading.Thread(target=guarded)
    reader.start()
    try:
        with LockedFile(path) as file:
            for _ in range(100):
                for content in contents:
                    file.replace(content, lambda: None)
    finally:
        over.set()
        reader.join()
    assert seen == []
    assert sum(contents.values()) > 0


class FullDisk:
    """A file on a disk that has room for some bytes, and others who take what is freed."""

    def __init__(self, file: object, room: int) -> None:
        self._file = file
        self._room = room

    def truncate(self, size: int | None = None) -> object:
        self._room = 0
        return self._file.truncate(size)  # type: ignore[attr-defined]  # it is one

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        piece = data[: self._room]
        self._room -= len(piece)
        return int(self._file.write(piece))  # type: ignore[attr-defined]  # it is one


@pytest.mark.parametrize(("room", "left"), [(0, "old\n"), (3, ""), (6, "")])
def test_a_write_that_fails_leaves_nothing_that_is_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, left: str
) -> None:
    path = tmp_path / "results"
    path.write_text("old\n")
    with LockedFile(path) as file:
        monkeypatch.setattr(file, "_file", FullDisk(file._file, room))
        with pytest.raises(OSError, match="No space left"):
            file.replace("new content\n", nobody)
    assert path.read_text() == left


def test_a_disk_that_is_full_has_room_for_what_is_not_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results"
    path.write_text("old content\n")
    with LockedFile(path) as file:
        monkeypatch.setattr(file, "_file", FullDisk(file._file, len("old content\n")))
        file.replace("new\n", nobody)
    assert path.read_text() == "new\n"


def test_a_pipe_takes_it_as_it_is(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with LockedFile(Path(f"/dev/fd/{writer}")) as file:
        file.replace("new\n", nobody)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "new\n"
