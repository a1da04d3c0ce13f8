"""TLV8, the form of every message of pairing.

Source: docs/protocols/hap.md, "TLV types". HAP-python's own encoder repeats data where a
length is a multiple of 255, and its decoder takes what is truncated.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

METHOD: Final = b"\x00"
IDENTIFIER: Final = b"\x01"
SALT: Final = b"\x02"
PUBLIC_KEY: Final = b"\x03"
PROOF: Final = b"\x04"
ENCRYPTED_DATA: Final = b"\x05"
STATE: Final = b"\x06"
ERROR: Final = b"\x07"
SIGNATURE: Final = b"\x0a"
PERMISSIONS: Final = b"\x0b"
SEPARATOR: Final = b"\xff"

_MOST: Final = 255


class TlvError(IntEnum):
    """Why a step of pairing was refused."""

    UNKNOWN = 1
    AUTHENTICATION = 2
    MAX_PEERS = 4
    MAX_TRIES = 5
    UNAVAILABLE = 6
    BUSY = 7


class RefusedError(Exception):
    """A step of pairing was refused.

    `malformed` where it could not be read or came out of order, so that HTTP says so
    too; `wrong_code` where the controller does not know the setup code.
    """

    def __init__(
        self, error: TlvError, *, malformed: bool = False, wrong_code: bool = False
    ) -> None:
        super().__init__(error.name)
        self.error = error
        self.malformed = malformed
        self.wrong_code = wrong_code


def malformed() -> RefusedError:
    """The refusal of what could not be read or came out of order."""
    return RefusedError(TlvError.UNKNOWN, malformed=True)


def encode(*values: tuple[bytes, bytes]) -> bytes:
    """Pairs of type and value as bytes, in fragments of at most 255."""
    return b"".join(
        kind + bytes([len(part)]) + part
        for kind, value in values
        for part in (
            value[start : start + _MOST] for start in range(0, len(value) or 1, _MOST)
        )
    )


def decode(data: bytes) -> dict[bytes, bytes]:
    """TLV bytes as a mapping by type, fragments put together.

    Raises ValueError where they are truncated.
    """
    values: dict[bytes, bytes] = {}
    offset = 0
    while offset < len(data):
        kind, value_at = data[offset : offset + 1], offset + 2
        if value_at > len(data) or value_at + data[offset + 1] > len(data):
            raise ValueError("truncated TLV")
        offset = value_at + data[offset + 1]
        values[kind] = values.get(kind, b"") + data[value_at:offset]
    return values


def state_of(message: Mapping[bytes, bytes]) -> int | None:
    """Which step (1–6) a message is; None where it does not say."""
    state = message.get(STATE, b"")
    return state[0] if len(state) == 1 else None


def answer(state: int, *values: tuple[bytes, bytes]) -> bytes:
    """The message that answers the step `state`."""
    return encode((STATE, bytes([(state + 1) % 256])), *values)


def refusal(state: int, error: TlvError) -> bytes:
    """The message that refuses the step `state`."""
    return answer(state, (ERROR, bytes([error])))
