"""What an admin may ask of the list of pairings.

Source: docs/protocols/hap.md, "Pairings". HAP-python stores whatever comes: another key
for a controller that it knows, keys of any length, pairings without end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from hk_bridge.homekit import tlv
from hk_bridge.homekit.identity import Pairing, parse_controller_id
from hk_bridge.homekit.tlv import RefusedError, TlvError, malformed

ADD, REMOVE, LIST = 3, 4, 5

MOST_PAIRINGS: Final = 16

_KEY_LENGTH: Final = 32
_RANKS: Final = {b"\x00": False, b"\x01": True}


def method_of(request: Mapping[bytes, bytes]) -> int:
    """ADD, REMOVE or LIST. Raises RefusedError for anything else."""
    method = request.get(tlv.METHOD, b"")
    if tlv.state_of(request) != 1 or method not in {b"\x03", b"\x04", b"\x05"}:
        raise malformed()
    return method[0]


def added(request: Mapping[bytes, bytes], known: Sequence[Pairing]) -> Pairing:
    """The pairing that ADD asks for: a new one, or another rank for a `known` one.

    Raises RefusedError where it cannot be read, would replace the key of a known
    controller, would leave none that is an admin, or would be one too many.
    """
    key = request.get(tlv.PUBLIC_KEY, b"")
    admin = _RANKS.get(request.get(tlv.PERMISSIONS, b""))
    controller = controller_of(request)
    if admin is None or len(key) != _KEY_LENGTH:
        raise malformed()
    for pairing in known:
        if parse_controller_id(pairing.controller_id) == controller:
            if pairing.public_key != key:
                raise RefusedError(TlvError.UNKNOWN)
            if not admin and [p for p in known if p.admin] == [pairing]:
                # Nobody could change anything any more.
                raise RefusedError(TlvError.UNKNOWN)
            return Pairing(pairing.controller_id, key, admin)
    if len(known) >= MOST_PAIRINGS:
        raise RefusedError(TlvError.MAX_PEERS)
    return Pairing(request[tlv.IDENTIFIER], key, admin)


def controller_of(request: Mapping[bytes, bytes]) -> UUID:
    """The controller that ADD or REMOVE is about. Raises RefusedError."""
    try:
        return parse_controller_id(request[tlv.IDENTIFIER])
    except (KeyError, ValueError):
        raise malformed() from None


def listing(pairings: Sequence[Pairing]) -> bytes:
    """The message that answers LIST."""
    separator = [(tlv.SEPARATOR, b"")]
    values: list[tuple[bytes, bytes]] = []
    for pairing in pairings:
        # iOS takes an id only as it was spelt when it paired.
        values += separator if values else []
        values += [
            (tlv.IDENTIFIER, pairing.controller_id),
            (tlv.PUBLIC_KEY, pairing.public_key),
            (tlv.PERMISSIONS, bytes([pairing.admin])),
        ]
    return tlv.answer(1, *values)
