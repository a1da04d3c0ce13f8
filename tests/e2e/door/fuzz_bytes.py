"""Bytes and TLV that are almost right.

All chance comes from a `random.Random` of the caller, by methods that give the same on
every Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.e2e.door.tlv import PROOF, PUBLIC_KEY, SEPARATOR, STATE, Value, tlv, untlv

#: The most that anybody may send before pair-verify.
MOST_BODY_OF_STRANGER = 4096


# -- bytes -----------------------------------------------------------------------------


def spoil(rng: Random, data: bytes, most: int = 3) -> bytes:
    """`data` after one change or a few."""
    for _ in range(rng.randrange(1, most + 1)):
        data = _spoil_once(rng, data)
    return data


def _spoil_once(rng: Random, data: bytes) -> bytes:
    begin, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    part = data[begin:end]
    match rng.randrange(8):
        case 0:
            part = b""
        case 1:
            part = part + part
        case 2:
            part = part + rng.randbytes(rng.randrange(1, 9))
        case 3:
            return data[:end]
        case 4:
            part = rng.choice([b"\0", b"\r\n", b"\n", b" ", b"\xff", b":", b"%00"])
        case _:
            return _flip(rng, data)
    return data[:begin] + part + data[end:]


def _flip(rng: Random, data: bytes) -> bytes:
    if not data:
        return rng.randbytes(1)
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def pieces(rng: Random, data: bytes, most: int = 6) -> list[bytes]:
    """`data` cut at random places."""
    count = rng.randrange(most)
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(count))
    ends = [*cuts, len(data)]
    return [data[begin:end] for begin, end in zip([0, *cuts], ends, strict=True)]


# -- TLV -------------------------------------------------------------------------------


def spoil_tlv(rng: Random, values: Sequence[Value]) -> bytes:
    """A message that is almost the one of these values, or is it."""
    chance = rng.random()
    if chance < 0.05:
        return rng.randbytes(rng.randrange(200))
    if chance < 0.2:
        return spoil(rng, tlv(*values))
    changed = list(values)
    for _ in range(rng.randrange(3)):
        changed = _spoil_values(rng, changed)
    if chance < 0.3:
        return _in_small_fragments(rng, changed)
    return tlv(*changed)


def _spoil_values(rng: Random, values: list[Value]) -> list[Value]:
    """The values after one change that keeps the form of TLV."""
    at = rng.randrange(len(values) + 1)
    if at == len(values):
        return [*values, _odd_value(rng)]
    kind, value = values[at]
    match rng.randrange(8):
        case 0:
            put: list[Value] = []
        case 1:
            put = [(kind, value), (kind, value)]
        case 2:
            put = [(rng.randrange(256), value)]
        case 3:
            put = [(kind, value), _odd_value(rng)]
        case 4:
            rest = values[:at] + values[at + 1 :]
            where = rng.randrange(len(rest) + 1)
            return [*rest[:where], (kind, value), *rest[where:]]
        case 5:
            put = [(STATE, bytes([rng.choice([*range(8), 127, 128, 255])]))]
        case _:
            put = [(kind, _other(rng, value))]
    return [*values[:at], *put, *values[at + 1 :]]


def _other(rng: Random, value: bytes) -> bytes:
    match rng.randrange(8):
        case 0:
            return b""
        case 1:
            return value[: rng.randrange(len(value) + 1)]
        case 2:
            return value + rng.randbytes(rng.randrange(1, 40))
        case 3:
            return bytes(len(value))
        case 4:
            return rng.randbytes(len(value))
        case 5:
            return bytes(rng.choice([254, 255, 256, 510, 511]))
        case 6:
            # Now and then more than there may be.
            return rng.randbytes(rng.choice([600, 1500, 3000, 5000]))
        case _:
            return _flip(rng, value)


def _odd_value(rng: Random) -> Value:
    kind = rng.choice([SEPARATOR, STATE, 7, 8, 0x13, rng.randrange(256)])
    return kind, rng.randbytes(rng.choice([0, 0, 1, 2, 32, 255]))


def _in_small_fragments(rng: Random, values: Sequence[Value]) -> bytes:
    """The values in fragments that are shorter than they need be, some of them empty."""
    body = b""
    for kind, value in values:
        for part in pieces(rng, value):
            body += b"".join(
                bytes([kind, len(some)]) + some
                for some in (part[at : at + 255] for at in range(0, len(part) or 1, 255))
            )
    return body


def readable(body: bytes) -> dict[int, bytes] | None:
    """The values of a message; None where it is no TLV."""
    try:
        return untlv(body)
    except (AssertionError, ValueError):
        return None


def state_in(body: bytes) -> int | None:
    """The state of a message that can be read and has one."""
    value = (readable(body) or {}).get(STATE, b"")
    return value[0] if len(value) == 1 else None


def is_guess(body: bytes) -> bool:
    """Whether this would count as an attempt at the setup code behind an M1."""
    values = readable(body) or {}
    return state_in(body) == 3 and PUBLIC_KEY in values and PROOF in values
