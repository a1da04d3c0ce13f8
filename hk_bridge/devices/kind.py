"""Which product a sensor is, learnt from the ids in its frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hk_bridge.model import Reading

#: Frames of another kind in a row, with none of the known one in between, before that one
#: counts: what Home shows hangs on the kind, and anybody could send a frame.
_CONVINCING: Final = 10

#: The same where a product id would be lost: a sensor may speak several formats in turn,
#: and the one with the id may be the one that is heard the least.
_VERY_CONVINCING: Final = 100


@dataclass(frozen=True, slots=True)
class Kind:
    """What a frame says of its sender: a product id, or only the format it speaks."""

    format: str
    product_id: int | None


class Recognition:
    """Learns the `kind` of one sensor, None as long as nothing was heard of it."""

    def __init__(self, kind: Kind | None = None) -> None:
        self.kind = kind
        self._other: Kind | None = None
        self._count = 0

    def heard(self, reading: Reading) -> bool:
        """Take note of a frame; whether the kind is another one since."""
        known = self.kind
        if known is None:
            self.kind = Kind(reading.format, reading.product_id)
            return True
        if reading.product_id == known.product_id and reading.format == known.format:
            self._count = 0
            return False
        kind = Kind(reading.format, reading.product_id)
        self._count = self._count + 1 if kind == self._other else 1
        self._other = kind
        loses_id = known.product_id is not None and kind.product_id is None
        if self._count < (_VERY_CONVINCING if loses_id else _CONVINCING):
            return False
        self.kind, self._other, self._count = kind, None, 0
        return True
