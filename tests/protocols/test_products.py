"""Names and time-outs of products."""

import pytest
from xiaomi_ble.devices import DEVICE_TYPES

from hk_bridge.protocols.products import PRODUCTS, product

MINUTE = 60.0


@pytest.mark.parametrize(
    ("product_id", "name", "manufacturer", "minutes"),
    [
        (0x01AA, "LYWSDCGQ", "Xiaomi", 15),
        (0x045B, "LYWSD02", "Xiaomi", 15),
        (0x0347, "CGG1", "Qingping", 15),
        (0x0098, "HHCCJCY01", "HHCC", 15),
        (0x055B, "LYWSD03MMC", "Xiaomi", 120),
        (0x0B48, "CGG1", "Qingping", 120),
        (0x0387, "MHO-C401", "Miaomiaoce", 120),
    ],
)
def test_a_known_product_has_its_name_and_a_time_out_after_its_habits(
    product_id: int, name: str, manufacturer: str, minutes: int
) -> None:
    found = product(product_id)
    assert (found.name, found.manufacturer) == (name, manufacturer)
    assert found.timeout == minutes * MINUTE


@pytest.mark.parametrize(
    ("product_id", "name"), [(0x1234, "0x1234"), (0x000A, "0x000A"), (0, "0x0000")]
)
def test_an_unknown_product_is_named_by_its_id(product_id: int, name: str) -> None:
    assert product(product_id).name == name
    assert product(product_id).timeout == 15 * MINUTE


@pytest.mark.parametrize("product_id", sorted(PRODUCTS), ids=lambda each: f"0x{each:04X}")
def test_a_product_that_xiaomi_ble_knows_has_the_same_name_there(product_id: int) -> None:
    # xiaomi-ble marks the later firmware of one model in its name.
    known = DEVICE_TYPES[product_id].model.removesuffix("-ENCRYPTED")
    assert PRODUCTS[product_id].name == known
