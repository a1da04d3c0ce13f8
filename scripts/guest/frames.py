"""Frames of every format, as sensors have sent them: what is broadcast, and what it says.

They stand in frames.jsonl, one JSON object per line, with the keys of tests/vectors and
`uuid`, `expect` in the units of `hk-bridge decode --json`, and `flags`: the AD structure
of that name, empty where the advert has none. The address of a frame that encrypts is part
of what it is; others have been given one of their own, so that no two formats share any.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.guest.air import Hears

_FILE: Final = Path(__file__).with_name("frames.jsonl")

_FLAGS: Final = 0x01
_SERVICE_DATA: Final = 0x16

#: Between two adverts, in seconds.
_PAUSE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `entry` is its line."""

    entry: Mapping[str, Any]

    @property
    def address(self) -> str:
        """Who sends it, upper case with colons."""
        return str(self.entry["address"])

    @property
    def uuid(self) -> str:
        """The UUID of the service data, four hex digits."""
        return str(self.entry["uuid"])

    @property
    def service_data(self) -> bytes:
        """What follows the UUID."""
        return bytes.fromhex(self.entry["payload_hex"])

    @property
    def expect(self) -> Mapping[str, float]:
        """The values in it, which may be none."""
        values: Mapping[str, float] = self.entry["expect"]
        return values

    @property
    def advert(self) -> bytes:
        """All AD structures."""
        flags = bytes.fromhex(self.entry["flags"])
        data = bytes.fromhex(self.uuid)[::-1] + self.service_data
        return (_structure(_FLAGS, flags) if flags else b"") + _structure(
            _SERVICE_DATA, data
        )


def _structure(kind: int, data: bytes) -> bytes:
    return bytes([len(data) + 1, kind]) + data


def load() -> list[Frame]:
    """All frames, in the order in which they are sent."""
    return [Frame(json.loads(line)) for line in _FILE.read_text().splitlines()]


async def broadcast(frames: Sequence[Frame], adapters: Iterable[Hears], times: int) -> None:
    """Send each frame so many times in a row, one frame after the other."""
    for frame in frames:
        sender = bytes.fromhex(frame.address.replace(":", ""))[::-1]
        for _ in range(times):
            for adapter in adapters:
                adapter.hear(sender, frame.advert, b"")
            await asyncio.sleep(_PAUSE)
