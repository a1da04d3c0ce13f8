"""What `hk-bridge dim` and `hk-bridge calibrate` have in common, and show on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from hk_bridge.dimming import Output, ReachedLamp

#: Who waits for longer than this wants to know what for.
_PATIENCE: Final = 2.0
_REDRAW: Final = 0.25

#: These commands simulate nothing themselves.
simulated_option = click.option(
    "--simulate", is_flag=True, help="Take the bridge that runs with --simulate."
)


@asynccontextmanager
async def lamp_of(
    output: Output, directory: Path, *, simulate: bool
) -> AsyncIterator[ReachedLamp]:
    """`dimming.reached`; what takes a while on the way there or back is shown."""
    from hk_bridge.dimming import reached  # noqa: PLC0415 # slow, and needed here alone

    async with AsyncExitStack() as stack:
        entering = reached(output, directory, simulate=simulate)
        async with _telling(f"opening {output.port}"):
            lamp = await stack.enter_async_context(entering)
        yield lamp
        async with _telling("sending the last frame again"):
            await stack.aclose()


@asynccontextmanager
async def _telling(what: str) -> AsyncIterator[None]:
    """Show that `what` is being done, once it takes long."""
    telling = asyncio.create_task(_tell_of(what))
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell_of(what: str) -> None:
    begun = time.monotonic()
    await asyncio.sleep(_PATIENCE)
    from rich.text import Text  # noqa: PLC0415 # slow, and rarely needed

    from hk_bridge import status_view  # noqa: PLC0415 # slow, and rarely needed

    console = status_view.error_console()
    if not status_view.can_redraw(console):
        click.echo(f"{what} takes long; Ctrl-C ends it", err=True)
        return
    with status_view.passing(console) as live:
        while True:
            over = time.monotonic() - begun
            live.update(Text(f"{what} for {over:.0f} s, Ctrl-C ends it"), refresh=True)
            await asyncio.sleep(_REDRAW)
