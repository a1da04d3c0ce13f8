"""One payload of the `decode` command: hex in, a JSON object or a line out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from hk_bridge.errors import DecodeError
from hk_bridge.model import Quantity, parse_address
from hk_bridge.protocols.advert import decode_payload
from hk_bridge.protocols.products import product

_SEPARATORS: Final = re.compile(r"[\s:,-]+")
_UUID: Final = re.compile(
    r"(?:0x)?([0-9a-f]{4})|0000([0-9a-f]{4})-0000-1000-8000-00805f9b34fb"
)
_BIND_KEY_LENGTHS: Final = (12, 16)

#: Longer than any advert: what is longer is refused before it is copied around.
_MOST_DIGITS: Final = 4096

UNITS: Final[Mapping[Quantity, str]] = {
    "temperature": " °C",
    "humidity": " %",
    "battery": " % battery",
}


def parse_uuid(text: str) -> int:
    """A 16-bit UUID, short (``FE95``, ``0xfe95``) or in 128 bits. Raises ValueError."""
    match = _UUID.fullmatch(text.lower())
    if match is None:
        raise ValueError(f'"{text}" is no 16-bit UUID such as FE95')
    return int(match[1] or match[2], 16)


def parse_advertiser(text: str | None) -> str | None:
    """An address as the stack spells it. Raises ValueError."""
    address = parse_address(text) if text else None
    if text is not None and address is None:
        raise ValueError(f'"{text}" is no address such as 4c:64:a8:d0:ae:65')
    return address


def parse_bind_key(text: str | None) -> bytes | None:
    """A bind key of 12 or 16 bytes. Raises ValueError, which does not show it."""
    if text is None:
        return None
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) not in _BIND_KEY_LENGTHS:
        raise ValueError("the bind key has 24 or 32 hex digits; this one has not")
    return key


def decode(
    payload: str, uuid: int, advertiser: str | None, bind_key: bytes | None
) -> dict[str, Any]:
    """What is in one payload; ``error`` says why, where that cannot be told."""
    digits = _SEPARATORS.sub("", payload).lower().removeprefix("0x")
    try:
        if len(digits) > _MOST_DIGITS:
            raise ValueError
        data = bytes.fromhex(digits)
    except ValueError:
        return {"error": f"no hex digits: {payload[:40]!r}"}
    try:
        reading = decode_payload(uuid, data, advertiser, bind_key)
    except DecodeError as error:
        return {"error": str(error)}
    known: dict[str, Any] = {
        "format": reading.format,
        "product": product(reading.product_id).name,
        "address": advertiser or reading.address,
        "counter": reading.counter,
        **{str(quantity): value for quantity, value in reading.values.items()},
        "error": "encrypted: give the bind key with --bindkey"
        if reading.needs_key
        else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def in_words(result: dict[str, Any]) -> str:
    """The same as a line for a person."""
    names = [result[name] for name in ("product", "address") if name in result]
    if "counter" in result:
        names.append(f"#{result['counter']}")
    values = [f"{result[name]}{unit}" for name, unit in UNITS.items() if name in result]
    if "error" in result:
        values.append(f"error: {result['error']}")
    what = ", ".join(values) or "no value in this frame"
    return f"{' '.join(names)}: {what}" if names else what
