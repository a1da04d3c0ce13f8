"""Products that broadcast MiBeacon frames, by product id.

Source: docs/protocols/mibeacon.md, "Product ids".
"""

from __future__ import annotations

from dataclasses import dataclass

#: Minutes of silence after which a value is no longer live. A plain sensor speaks every
#: few seconds; an encrypted one every 10 to 60 minutes when nothing changes.
_PLAIN_TIMEOUT = 15
_ENCRYPTED_TIMEOUT = 120


@dataclass(frozen=True, slots=True)
class Product:
    """A model: `name` as printed on it, and whether it encrypts what it broadcasts."""

    name: str
    manufacturer: str
    encrypted: bool = False

    @property
    def timeout(self) -> float:
        """Seconds of silence after which its values are too old to be shown."""
        return 60.0 * (_ENCRYPTED_TIMEOUT if self.encrypted else _PLAIN_TIMEOUT)


PRODUCTS: dict[int, Product] = {
    0x0098: Product("HHCCJCY01", "HHCC"),
    0x01AA: Product("LYWSDCGQ", "Xiaomi"),
    0x0347: Product("CGG1", "Qingping"),
    0x0387: Product("MHO-C401", "Miaomiaoce", encrypted=True),
    0x045B: Product("LYWSD02", "Xiaomi"),
    0x055B: Product("LYWSD03MMC", "Xiaomi", encrypted=True),
    0x0576: Product("CGD1", "Qingping", encrypted=True),
    0x066F: Product("CGDK2", "Qingping", encrypted=True),
    0x06D3: Product("MHO-C303", "Miaomiaoce"),
    0x0B48: Product("CGG1", "Qingping", encrypted=True),
    0x0C3C: Product("CGC1", "Qingping"),
    0x1203: Product("XMWSDJ04MMC", "Xiaomi", encrypted=True),
    0x16E4: Product("LYWSD02MMC", "Xiaomi", encrypted=True),
    0x2542: Product("LYWSD02MMC", "Xiaomi", encrypted=True),
    0x2832: Product("MJWSD05MMC", "Xiaomi", encrypted=True),
    0x4C47: Product("MJWSD05MMC", "Xiaomi", encrypted=True),
    0x4F59: Product("CGDK3", "Qingping", encrypted=True),
    0x55B5: Product("MJWSD06MMC", "Xiaomi", encrypted=True),
    0x5BEA: Product("MJWSD06MMC", "Xiaomi", encrypted=True),
    0x5DB1: Product("MBS17", "Xiaomi", encrypted=True),
    0x78DB: Product("ESM787", "Xiaomi", encrypted=True),
}


def product(product_id: int) -> Product:
    """The product with that id; an unknown one is named by the id (``0x1234``)."""
    return PRODUCTS.get(product_id) or Product(f"0x{product_id:04X}", "Xiaomi")
