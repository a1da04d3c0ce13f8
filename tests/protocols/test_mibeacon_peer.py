"""The same frames read by xiaomi-ble, and where the two differ on purpose."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.mibeacon import decode
from tests.fakes.sensors import Object, mibeacon

Peer = Callable[[bytes, str, bytes | None], dict[str, object]]

ADDRESS = "A4:C1:38:02:83:F4"
MAC = bytes.fromhex("f4830238c1a4")
KEY = bytes.fromhex("e9ea895fac7cca6d30532432a516f3a8")
LEGACY_KEY = bytes.fromhex("b853075158487ca39a5b5ea9")

LYWSDCGQ, CGG1, LYWSD02, CGDK3 = 0x01AA, 0x0347, 0x045B, 0x4F59
HHCCJCY01 = 0x0098
LYWSD03MMC, MHO_C401 = 0x055B, 0x0387

#: Request timing, registered, solicited, authentication mode: bits that move nothing.
OTHER_BITS = 0x0F01


def packed(
    kind: int, layout: str, numbers: st.SearchStrategy[int]
) -> st.SearchStrategy[Object]:
    return numbers.map(lambda number: (kind, struct.pack(layout, number)))


def floats(kind: int, low: int, high: int) -> st.SearchStrategy[Object]:
    """Tenths, which it takes a float to say: the two round to different digits."""
    tenths = st.integers(low, high)
    return tenths.map(lambda number: (kind, struct.pack("<f", number / 10)))


temperatures = st.integers(-400, 850)
humidities = st.integers(0, 1000)
percents = st.integers(0, 100)
an_object = st.one_of(
    packed(0x1004, "<h", temperatures),
    packed(0x1006, "<H", humidities),
    packed(0x100A, "<B", percents),
    st.tuples(temperatures, humidities).map(
        lambda both: (0x100D, struct.pack("<hH", *both))
    ),
    st.integers(0, 200_000).map(lambda lux: (0x1007, lux.to_bytes(3, "little"))),
    packed(0x1008, "<B", percents),
    packed(0x1009, "<H", st.integers(0, 20_000)),
    packed(0x1010, "<H", st.integers(0, 10_000)),
    floats(0x4801, -400, 850),
    packed(0x4802, "<B", percents),
    packed(0x4803, "<B", percents),
    floats(0x4808, 0, 1000),
    floats(0x4C01, -400, 850),
    packed(0x4C02, "<B", percents),
    packed(0x4C03, "<B", percents),
    floats(0x4C08, 0, 1000),
    packed(0x5003, "<B", percents),
)


@st.composite
def frames(draw: st.DrawFn, *, versions: range, key: bytes | None = None) -> bytes:
    """Built by the tests' own hand, without the code under test."""
    capability = b""
    if draw(st.booleans()):
        first = draw(st.integers(0, 255))
        capability = bytes([first])
        if first & 0x20:
            capability += draw(st.binary(min_size=1, max_size=1))
    objects = draw(st.lists(an_object, min_size=1, max_size=4))
    # xiaomi-ble takes an illuminance from plant sensors alone.
    has_light = any(kind == 0x1007 for kind, _ in objects)
    products = [HHCCJCY01] if has_light else [LYWSDCGQ, CGG1, LYWSD02, CGDK3, HHCCJCY01]
    return mibeacon(
        draw(st.sampled_from(products)),
        draw(st.integers(0, 255)),
        ADDRESS,
        objects,
        key=key,
        version=draw(st.sampled_from(versions)),
        capability=capability,
        with_mac=draw(st.booleans()),
        extended_counter=draw(st.integers(0, 0xFFFFFF)),
        control=draw(st.integers(0, 0xFFFF)) & OTHER_BITS,
    )


def values(frame: bytes, key: bytes | None = None) -> dict[str, float]:
    return {str(name): value for name, value in decode(frame, ADDRESS, key).values.items()}


def rounded(found: dict[str, object]) -> dict[str, object]:
    """xiaomi-ble leaves the humidity of 0x4C08 as the float has it."""
    return {
        name: round(value, 2) if isinstance(value, float) else value
        for name, value in found.items()
    }


@settings(deadline=None, max_examples=300)
@given(frame=frames(versions=range(2, 6)))
def test_xiaomi_ble_reads_the_same_values(peer: Peer, frame: bytes) -> None:
    found = values(frame)
    assert found
    assert found == rounded(peer(frame, ADDRESS, None))


@settings(deadline=None, max_examples=300)
@given(frame=frames(versions=range(4, 6), key=KEY))
def test_xiaomi_ble_reads_the_same_in_sealed_frames(peer: Peer, frame: bytes) -> None:
    found = values(frame, KEY)
    assert found
    assert found == rounded(peer(frame, ADDRESS, KEY))


@settings(deadline=None, max_examples=300)
@given(frame=frames(versions=range(2, 4), key=LEGACY_KEY))
def test_xiaomi_ble_reads_the_same_in_frames_of_the_older_scheme(
    peer: Peer, frame: bytes
) -> None:
    found = values(frame, LEGACY_KEY)
    assert found
    assert found == rounded(peer(frame, ADDRESS, LEGACY_KEY))


def test_a_hundredth_of_a_degree_that_xiaomi_ble_drops_of_one_object_is_kept(
    peer: Peer,
) -> None:
    for kind, theirs in ((0x4801, 21.3), (0x4C01, 21.34)):
        data = struct.pack("<f", 21.34)
        frame = mibeacon(CGDK3, 1, ADDRESS, [(kind, data)])
        assert values(frame) == {"temperature": 21.34}
        assert peer(frame, ADDRESS, None) == {"temperature": theirs}


@pytest.mark.parametrize("product", [LYWSD03MMC, MHO_C401])
def test_the_tenth_of_humidity_that_xiaomi_ble_drops_is_kept(
    peer: Peer, product: int
) -> None:
    frame = struct.pack("<HHB", 0x5050, product, 1) + MAC + bytes.fromhex("061002d301")
    assert decode(frame).values == {"humidity": 46.7}
    assert peer(frame, ADDRESS, None) == {"humidity": 46}


@pytest.mark.parametrize("product", [LYWSD03MMC, MHO_C401])
def test_xiaomi_ble_drops_no_tenth_of_the_combined_object(peer: Peer, product: int) -> None:
    frame = struct.pack("<HHB", 0x5050, product, 1) + MAC + bytes.fromhex("0d1004cc00d301")
    assert decode(frame).values == {"temperature": 20.4, "humidity": 46.7}
    assert peer(frame, ADDRESS, None) == {"temperature": 20.4, "humidity": 46.7}


def test_a_truncated_frame_which_xiaomi_ble_reads_in_part_is_refused(peer: Peer) -> None:
    frame = struct.pack("<HHB", 0x2050, LYWSDCGQ, 1) + MAC
    frame += bytes.fromhex("041002d500 0a1001")
    assert peer(frame, ADDRESS, None) == {"temperature": 21.3}
    with pytest.raises(DecodeError, match="object 0x100A has 0 bytes instead of 1"):
        decode(frame)


def test_a_frame_with_the_mac_of_another_which_xiaomi_ble_drops_is_read(peer: Peer) -> None:
    # Whose frame it is, the address that it was heard from decides.
    frame = struct.pack("<HHB", 0x2050, LYWSDCGQ, 1) + MAC + bytes.fromhex("041002d500")
    assert peer(frame, "4C:65:A8:D0:AE:64", None) == {}
    assert decode(frame, "4C:65:A8:D0:AE:64").values == {"temperature": 21.3}


def test_an_io_capability_of_two_bytes_is_read_which_xiaomi_ble_is_not(peer: Peer) -> None:
    frame = struct.pack("<HHB", 0x2070, LYWSDCGQ, 1) + MAC
    frame += bytes.fromhex("207788 041002d500")
    assert peer(frame, ADDRESS, None) == {}
    assert decode(frame).values == {"temperature": 21.3}
