"""Which product a sensor is, learnt from the ids in its frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hk_bridge.model import Reading

#: Different frames of another kind in a row, with none of the known one in between, before
#: that one counts: what Home shows hangs on the kind, and anybody could send a frame. It
#: is less where the known one has hardly been heard itself, and twice as many after each
#: change.
_CONVINCING: Final = 10

#: How many times that, where a product id would be lost: a sensor may speak several
#: formats in turn, and the one with the id may be the one that is heard the least.
_WITHOUT_ID: Final = 10


@dataclass(frozen=True, slots=True)
class Kind:
    """What a frame says of its sender: a product id, or only the format it speaks."""

    format: str
    product_id: int | None


class Recognition:
    """Learns the `kind` of one sensor, None as long as nothing was heard of it."""

    def __init__(self, kind: Kind | None = None) -> None:
        self.kind = kind
        self._known = 0 if kind is None else _CONVINCING
        self._other: Kind | None = None
        self._count = 0
        self._doubt = 1

    def heard(self, reading: Reading) -> bool:
        """Take note of a frame, but of no copy; whether the kind is another one since."""
        kind = Kind(reading.format, reading.product_id)
        if self.kind is None:
            self.kind, self._known = kind, 1
            return True
        if kind == self.kind:
            self._known = min(self._known + 1, _CONVINCING)
            self._count = 0
            return False
        self._count = self._count + 1 if kind == self._other else 1
        self._other = kind
        loses_id = self.kind.product_id is not None and kind.product_id is None
        enough = min(self._known + 1, _CONVINCING) * (_WITHOUT_ID if loses_id else 1)
        if self._count < enough * self._doubt:
            return False
        self.kind, self._known = kind, self._count
        self._other, self._count = None, 0
        self._doubt *= 2
        return True
