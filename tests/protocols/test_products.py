"""Names and time-outs of products."""

import pytest
from xiaomi_ble.devices import DEVICE_TYPES

from hk_bridge.protocols.products import PRODUCTS, product_of

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
    found = product_of("mibeacon", product_id)
    assert (found.name, found.manufacturer) == (name, manufacturer)
    assert found.timeout == minutes * MINUTE


@pytest.mark.parametrize(
    ("product_id", "name"), [(0x1234, "0x1234"), (0x000A, "0x000A"), (0, "0x0000")]
)
def test_an_unknown_product_is_named_by_its_id(product_id: int, name: str) -> None:
    assert product_of("mibeacon", product_id).name == name
    assert product_of("mibeacon", product_id).timeout == 15 * MINUTE


@pytest.mark.parametrize("product_id", sorted(PRODUCTS), ids=lambda each: f"0x{each:04X}")
def test_a_product_that_xiaomi_ble_knows_has_the_same_name_there(product_id: int) -> None:
    # xiaomi-ble marks the later firmware of one model in its name.
    known = DEVICE_TYPES[product_id].model.removesuffix("-ENCRYPTED")
    assert PRODUCTS[product_id].name == known


@pytest.mark.parametrize(
    ("frame_format", "name", "minutes"),
    [
        ("atc1441", "ATC1441 thermometer", 15),
        ("pvvx", "pvvx thermometer", 15),
        ("bthome", "BTHome sensor", 60),
        ("another", "Bluetooth sensor", 15),
    ],
)
def test_a_format_without_product_ids_stands_for_its_product(
    frame_format: str, name: str, minutes: int
) -> None:
    found = product_of(frame_format, None)
    assert (found.name, found.timeout) == (name, minutes * MINUTE)


def test_what_a_product_measures() -> None:
    climate = {"temperature", "humidity", "battery"}
    assert PRODUCTS[0x01AA].quantities == climate
    assert PRODUCTS[0x02DF].quantities == climate | {"formaldehyde"}
    assert PRODUCTS[0x015D].quantities == {"moisture", "conductivity"}
    for plant in (0x0098, 0x03BC):
        assert PRODUCTS[plant].quantities == {
            "temperature",
            "illuminance",
            "moisture",
            "conductivity",
        }


def test_only_what_is_in_no_table_may_have_more_than_it_is_known_for() -> None:
    assert not any(product.is_open for product in PRODUCTS.values())
    assert product_of("mibeacon", 0x1234).is_open
    assert product_of("bthome", None).is_open
    assert not product_of("pvvx", None).is_open
