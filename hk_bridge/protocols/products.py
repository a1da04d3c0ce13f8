"""What broadcasts: products by their MiBeacon product id, and what only shows its format.

Source: docs/protocols/mibeacon.md, "Product ids", and docs/sensors.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hk_bridge.model import Quantity

_CLIMATE: Final[frozenset[Quantity]] = frozenset({"temperature", "humidity", "battery"})
_AIR: Final[frozenset[Quantity]] = _CLIMATE | {"formaldehyde"}
_POT: Final[frozenset[Quantity]] = frozenset({"moisture", "conductivity"})
_PLANT: Final[frozenset[Quantity]] = _POT | {"temperature", "illuminance"}

#: Minutes of silence after which a value is no longer live. A plain sensor speaks every
#: few seconds; an encrypted one every 10 to 60 minutes when nothing changes.
_PLAIN_MINUTES: Final = 15
_ENCRYPTED_MINUTES: Final = 120

#: Many who speak BTHome do so every few seconds, others only when something changes.
_BTHOME_MINUTES: Final = 60

_MINUTE: Final = 60.0

#: The same in seconds, of a sensor of which nothing more is known than whether it has a
#: bind key.
PLAIN_TIMEOUT: Final = _MINUTE * _PLAIN_MINUTES
ENCRYPTED_TIMEOUT: Final = _MINUTE * _ENCRYPTED_MINUTES


@dataclass(frozen=True, slots=True)
class Product:
    """A model: `name` as printed on it, and whether it encrypts what it broadcasts.

    `quantities` is all that it measures; where it `is_open`, others may turn up.
    `minutes` of silence make its values too old.
    """

    name: str
    manufacturer: str
    quantities: frozenset[Quantity] = _CLIMATE
    encrypted: bool = False
    minutes: int = _PLAIN_MINUTES
    is_open: bool = False

    @property
    def timeout(self) -> float:
        """Seconds of silence after which its values are too old to be shown."""
        return _MINUTE * self.minutes


def _encrypting(name: str, manufacturer: str) -> Product:
    return Product(name, manufacturer, encrypted=True, minutes=_ENCRYPTED_MINUTES)


PRODUCTS: Final[Mapping[int, Product]] = {
    0x0098: Product("HHCCJCY01", "HHCC", _PLANT),
    0x015D: Product("HHCCPOT002", "HHCC", _POT),
    0x01AA: Product("LYWSDCGQ", "Xiaomi"),
    0x02DF: Product("JQJCY01YM", "Honeywell", _AIR),
    0x0347: Product("CGG1", "Qingping"),
    0x0387: _encrypting("MHO-C401", "Miaomiaoce"),
    0x03BC: Product("GCLS002", "HHCC", _PLANT),
    0x045B: Product("LYWSD02", "Xiaomi"),
    0x055B: _encrypting("LYWSD03MMC", "Xiaomi"),
    0x0576: _encrypting("CGD1", "Qingping"),
    0x066F: _encrypting("CGDK2", "Qingping"),
    0x06D3: Product("MHO-C303", "Miaomiaoce"),
    0x0B48: _encrypting("CGG1", "Qingping"),
    0x0C3C: Product("CGC1", "Qingping"),
    0x1203: _encrypting("XMWSDJ04MMC", "Xiaomi"),
    0x16E4: _encrypting("LYWSD02MMC", "Xiaomi"),
    0x2542: _encrypting("LYWSD02MMC", "Xiaomi"),
    0x2832: _encrypting("MJWSD05MMC", "Xiaomi"),
    0x4C47: _encrypting("MJWSD05MMC", "Xiaomi"),
    0x4F59: _encrypting("CGDK3", "Qingping"),
    0x520B: _encrypting("KS2BB", "Linptech"),
    0x55B5: _encrypting("MJWSD06MMC", "Xiaomi"),
    0x5BEA: _encrypting("MJWSD06MMC", "Xiaomi"),
    0x5DB1: _encrypting("MBS17", "Xiaomi"),
    0x78DB: _encrypting("ESM787", "Yanmi"),
}

#: Formats that name no product. The firmwares of the first two run on thermometers alone.
_FORMATS: Final[Mapping[str, Product]] = {
    "atc1441": Product("ATC1441 thermometer", "Xiaomi"),
    "pvvx": Product("pvvx thermometer", "Xiaomi"),
    "bthome": Product("BTHome sensor", "BTHome", minutes=_BTHOME_MINUTES, is_open=True),
}

#: What a sensor is until its first frame says more.
UNKNOWN: Final = Product("Bluetooth sensor", "Unknown")


def product_of(frame_format: str, product_id: int | None) -> Product:
    """What broadcasts in that format; one of no known id is named by it (``0x1234``)."""
    if product_id is None:
        return _FORMATS.get(frame_format, UNKNOWN)
    return PRODUCTS.get(product_id) or Product(
        f"0x{product_id:04X}", "Xiaomi", is_open=True
    )
