"""A file is watched: each of its states is read once, when it has come to rest."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from hk_bridge import config_file
from hk_bridge.config_file import ConfigWatch

PATIENCE: Final = 20.0


class Reads:
    """What the file said each time that it was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: list[str | None] = []
        self._more = asyncio.Event()

    async def read(self) -> None:
        self.texts.append(self.path.read_text() if self.path.exists() else None)
        self._more.set()

    async def count(self, number: int) -> None:
        """Return once it was read so many times."""
        async with asyncio.timeout(PATIENCE):
            while len(self.texts) < number:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def watched(path: Path) -> AsyncIterator[tuple[ConfigWatch, Reads]]:
    """A file that is watched, after its first reading."""
    reads = Reads(path)
    watch = ConfigWatch(path, reads.read)
    task = asyncio.create_task(watch.run())
    try:
        await reads.count(1)
        yield watch, reads
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(config_file, "_LOOK_SECONDS", 0.02)
    path = tmp_path / "accessories.json"
    path.write_text("first")
    return path


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def link_to(path: Path, other: Path) -> None:
    path.symlink_to(other)


def remove(path: Path) -> None:
    path.unlink()


def by_renaming(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def with_the_old_time_and_size(path: Path, text: str) -> None:
    """As a copy that keeps times does, of a file that happens to be as long."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("save", [in_place, by_renaming, with_the_old_time_and_size])
async def test_each_way_of_saving_is_noticed(
    file: Path, save: Callable[[Path, str], None]
) -> None:
    async with watched(file) as (_, reads):
        save(file, "other")
        await reads.count(2)
    assert reads.texts == ["first", "other"]


async def test_a_file_that_goes_and_comes_is_read_both_times(file: Path) -> None:
    async with watched(file) as (_, reads):
        remove(file)
        await reads.count(2)
        in_place(file, "again")
        await reads.count(3)
    assert reads.texts == ["first", None, "again"]


async def test_what_a_link_leads_to_is_watched(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link_to(link, file)
    async with watched(link) as (_, reads):
        in_place(file, "other")
        await reads.count(2)
        other = tmp_path / "other.json"
        in_place(other, "elsewhere")
        remove(link)
        link_to(link, other)
        await reads.count(3)
    assert reads.texts == ["first", "other", "elsewhere"]


async def test_a_file_that_is_written_in_steps_is_read_when_it_is_whole(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signatures = iter([(1,), (1,), (2,), (3,), (3,), *[(3,)] * 100_000])
    monkeypatch.setattr(config_file, "_signature", lambda _: next(signatures))
    async with watched(file) as (_, reads):
        in_place(file, "whole")
        await reads.count(2)
    assert len(reads.texts) == 2


async def test_a_file_that_is_written_all_the_time_is_read_nevertheless(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(100_000))
    monkeypatch.setattr(config_file, "_signature", lambda _: (next(numbers),))
    async with watched(file) as (_, reads):
        await reads.count(3)


async def test_one_who_asks_has_it_read_at_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watched(file) as (watch, reads):
        monkeypatch.setattr(config_file, "_LOOK_SECONDS", 1000.0)
        watch.look()
        await reads.count(2)
        watch.look()
        await reads.count(3)
