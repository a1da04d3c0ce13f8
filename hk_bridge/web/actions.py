"""What somebody who asks by HTTP can have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Actions:
    """What the application does, by whom it is done."""

    status: Callable[[], dict[str, Any]]
    reset_pairings: Callable[[], Awaitable[int]]
