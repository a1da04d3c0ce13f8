"""What `hk-bridge decode` shows where a long capture is waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.live import Live

#: Seconds after which progress is shown, and between two looks at it.
_PATIENCE: Final = 2.0
_REDRAW: Final = 0.2


class Progress:
    """How far a file has been read, on stderr, where somebody may wait for it.

    It must be hidden before anything else is printed, and comes back by itself.
    """

    def __init__(self, name: str, size: int | None) -> None:
        self._name = name
        self._size = size
        self._done = 0
        self._next = time.monotonic() + _PATIENCE
        self._live: Live | None = None

    def tell(self, more: int) -> None:
        """Note that `more` bytes have been read."""
        self._done += more
        if self._size and time.monotonic() >= self._next:
            self._next = time.monotonic() + _REDRAW
            self._draw(self._size)

    def hide(self) -> None:
        """Take it away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, size: int) -> None:
        from rich.progress_bar import ProgressBar  # noqa: PLC0415 # slow, and rarely needed
        from rich.table import Table  # noqa: PLC0415 # slow, and rarely needed
        from rich.text import Text  # noqa: PLC0415 # slow, and rarely needed

        from hk_bridge import status_view  # noqa: PLC0415 # slow, and rarely needed

        console = status_view.error_console()
        if not status_view.can_redraw(console):
            return
        if self._live is None:
            self._live = status_view.passing(console)
            self._live.start()
        row = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(total=size, completed=self._done, width=20)
        row.add_row(bar, f"{self._done / size:.0%} of", Text(self._name))
        self._live.update(row, refresh=True)
