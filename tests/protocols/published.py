"""Frames that others published, and what can become of a frame in the air."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hk_bridge.errors import DecodeError
from hk_bridge.model import PLAUSIBLE, Reading

VECTORS = Path(__file__).parents[1] / "vectors"

#: What sensors that speak MiBeacon measure.
MIBEACON_QUANTITIES = (
    "temperature",
    "humidity",
    "battery",
    "illuminance",
    "moisture",
    "conductivity",
    "formaldehyde",
)

Vector = dict[str, Any]
Decoder = Callable[[bytes, str | None, bytes | None], Reading]


def load(name: str) -> list[Vector]:
    lines = (VECTORS / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def frame_of(vector: Vector) -> bytes:
    return bytes.fromhex(vector["payload_hex"])


def key_of(vector: Vector) -> bytes | None:
    return bytes.fromhex(vector["bindkey"]) if vector["bindkey"] else None


def each_of(vectors: list[Vector]) -> pytest.MarkDecorator:
    """One test for each of them."""
    return pytest.mark.parametrize(
        "vector", vectors, ids=lambda vector: f"{vector['device']}-{vector['payload_hex']}"
    )


def truncated(frame: bytes) -> Iterator[bytes]:
    """`frame` at every length below its own."""
    return (frame[:length] for length in range(len(frame)))


def flipped(frame: bytes) -> Iterator[bytes]:
    """`frame` with each of its bits turned over, one at a time."""
    for bit in range(8 * len(frame)):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)


def plausible_or_refused(
    decode: Decoder, frame: bytes, address: str | None, key: bytes | None
) -> Reading | None:
    """What `frame` is read as, None where it is refused; any other end fails the test."""
    try:
        reading = decode(frame, address, key)
    except DecodeError:
        return None
    for quantity, value in reading.values.items():
        low, high = PLAUSIBLE[quantity]
        assert low <= value <= high
    return reading
