"""Waits for what links do, however slow the machine is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from hk_bridge.errors import LinkError
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.model import LinkState

#: Longer than anything here takes, in seconds.
PATIENCE: Final = 20.0


async def until(condition: Callable[[], Any]) -> None:
    """Return once `condition` is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 # what happens in threads sets no event
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(link: SerialLink) -> AsyncIterator[asyncio.Task[None]]:
    """The task of a link whose port is open."""
    how: list[LinkState] = []
    task = asyncio.create_task(link.run(how.append))
    await until(lambda: how or task.done())
    try:
        if task.done():
            await task
        assert how == [LinkState(is_up=True, text="open")]
        assert link.is_open
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not link.is_open


async def loss(task: asyncio.Task[None]) -> str:
    """Why the link was lost."""
    with pytest.raises(LinkError) as caught:
        async with asyncio.timeout(PATIENCE):
            await task
    return str(caught.value)
