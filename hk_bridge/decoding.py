"""What the `decode` command prints: payloads and adverts in, JSON objects or lines out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from hk_bridge.errors import DecodeError
from hk_bridge.model import Quantity, Reading
from hk_bridge.protocols import advert
from hk_bridge.protocols.hci import Heard
from hk_bridge.protocols.products import product_of

_SEPARATORS: Final = re.compile(r"[\s:,-]+")
_UUID: Final = re.compile(
    r"(?:0x)?([0-9a-f]{4})|0000([0-9a-f]{4})-0000-1000-8000-00805f9b34fb"
)
_BIND_KEY_LENGTHS: Final = (12, 16)

#: Longer than any advert: what is longer is refused before it is copied around.
_MOST_DIGITS: Final = 4096

_NEEDS_KEY: Final = "encrypted: give the bind key with --bindkey or --config"

UNITS: Final[Mapping[Quantity, str]] = {
    "temperature": " °C",
    "humidity": " %",
    "moisture": " % moisture",
    "illuminance": " lx",
    "conductivity": " µS/cm",
    "formaldehyde": " mg/m³",
    "battery": " % battery",
    "voltage": " V",
}
_LOW_BATTERY: Final[Quantity] = "lowBattery"


@dataclass(frozen=True, slots=True)
class Decoded:
    """What is in one payload or advert.

    `values` is the JSON object; in it, ``error`` says why something cannot be told. In
    words there are also the ids of objects that are `unknown`. Of what is not even hex it
    is no `is_payload`.
    """

    values: Mapping[str, Any]
    unknown: tuple[int, ...] = ()
    is_payload: bool = True

    @property
    def has_error(self) -> bool:
        """Whether something could not be told."""
        return "error" in self.values


@dataclass(frozen=True, slots=True)
class Keys:
    """The bind keys of a capture: by address, and one for whoever has none there."""

    by_address: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    for_others: bytes | None = field(default=None, repr=False)

    def of(self, address: str | None) -> bytes | None:
        """The key of the sensor at `address`; None where there is none."""
        return self.by_address.get(address or "", self.for_others)


def parse_uuid(text: str) -> int:
    """A 16-bit UUID, short (``FE95``, ``0xfe95``) or in 128 bits. Raises ValueError."""
    match = _UUID.fullmatch(text.lower())
    if match is None:
        raise ValueError(f'"{text}" is no 16-bit UUID such as FE95')
    return int(match[1] or match[2], 16)


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
) -> Decoded:
    """What is in one payload, given in hex."""
    digits = _SEPARATORS.sub("", payload).lower().removeprefix("0x")
    try:
        if len(digits) > _MOST_DIGITS:
            raise ValueError
        data = bytes.fromhex(digits)
    except ValueError:
        error = f"neither hex digits nor the name of a file: {payload[:40]!r}"
        return Decoded({"error": error}, is_payload=False)
    try:
        reading = advert.decode_payload(uuid, data, advertiser, bind_key)
    except DecodeError as problem:
        return Decoded({"error": str(problem)})
    return _decoded({"address": advertiser or reading.address}, reading)


def decode_heard(heard: Heard, uuid: int | None, keys: Keys) -> Decoded | None:
    """What is in one advert of a capture; None where nothing in it has a decoder.

    With a `uuid`, only service data of that one is looked at.
    """
    source = {"time": heard.at, "address": heard.address, "rssi": heard.rssi}
    service_data = {
        found: data
        for found, data in heard.service_data.items()
        if uuid is None or found == uuid
    }
    try:
        reading = _read(service_data, heard.address, keys)
    except DecodeError as error:
        return Decoded(_known({**source, "error": str(error)}))
    return None if reading is None else _decoded(source, reading)


def in_words(decoded: Decoded) -> str:
    """The same as a line for a person."""
    values = decoded.values
    names = [values[name] for name in ("product", "address") if name in values]
    if "product" not in values and "format" in values:
        names.insert(0, values["format"])
    if "counter" in values:
        names.append(f"#{values['counter']}")
    parts = [f"{values[name]}{unit}" for name, unit in UNITS.items() if name in values]
    if _LOW_BATTERY in values:
        parts.append("battery low" if values[_LOW_BATTERY] else "battery not low")
    parts += [f"object 0x{kind:02X} is not known" for kind in decoded.unknown]
    if "error" in values:
        parts.append(f"error: {values['error']}")
    what = ", ".join(parts) or "no value in this frame"
    line = f"{' '.join(names)}: {what}" if names else what
    if "time" in values:
        clock = datetime.fromtimestamp(values["time"], UTC).astimezone()
        line = f"{clock.isoformat(timespec='milliseconds')[11:23]} {line}"
    return f"{line} ({values['rssi']} dBm)" if "rssi" in values else line


def _read(service_data: Mapping[int, bytes], address: str, keys: Keys) -> Reading | None:
    """The reading of an advert, with the sensor's own key, or the one for all others."""
    key = keys.by_address.get(address)
    reading = advert.decode(service_data, address, key)
    # A sensor that has no key of its own may as well send openly.
    if reading is not None and reading.needs_key and keys.for_others is not None:
        return advert.decode(service_data, address, keys.for_others)
    return reading


def _decoded(source: Mapping[str, Any], reading: Reading) -> Decoded:
    """`reading` behind what is known of its `source`."""
    product = product_of(reading.format, reading.product_id).name
    result = {
        **source,
        "format": reading.format,
        "product": None if reading.product_id is None else product,
        "counter": reading.counter,
        **{str(quantity): value for quantity, value in reading.values.items()},
        "error": _NEEDS_KEY if reading.needs_key else _implausible(reading),
    }
    return Decoded(_known(result), reading.unknown)


def _implausible(reading: Reading) -> str | None:
    """Which of the values of a frame cannot be."""
    if not reading.implausible:
        return None
    verb = "is" if len(reading.implausible) == 1 else "are"
    return f"{' and '.join(reading.implausible)} {verb} beyond what can be"


def _known(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if value is not None}
