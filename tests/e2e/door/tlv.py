"""TLV8, and the numbers that pairing writes in it."""

from __future__ import annotations

METHOD, IDENTIFIER, SALT, PUBLIC_KEY, PROOF, ENCRYPTED, STATE, ERROR = range(8)
SIGNATURE, PERMISSIONS, SEPARATOR = 0x0A, 0x0B, 0xFF
UNKNOWN, AUTHENTICATION, MAX_PEERS, MAX_TRIES, UNAVAILABLE, BUSY = 1, 2, 4, 5, 6, 7
ADD, REMOVE, LIST = 3, 4, 5

Value = tuple[int, bytes]


def tlv(*values: Value) -> bytes:
    """Pairs of type and value as bytes, in fragments of at most 255."""
    return b"".join(
        bytes([kind, len(part)]) + part
        for kind, value in values
        for part in (value[at : at + 255] for at in range(0, len(value) or 1, 255))
    )


def untlv(data: bytes) -> dict[int, bytes]:
    """The inverse of `tlv`; fragments are put together."""
    values: dict[int, bytes] = {}
    while data:
        kind, length = data[:2]
        assert len(data) >= 2 + length, "truncated TLV"
        values[kind] = values.get(kind, b"") + data[2 : 2 + length]
        data = data[2 + length :]
    return values


def state(number: int) -> Value:
    return STATE, bytes([number])
