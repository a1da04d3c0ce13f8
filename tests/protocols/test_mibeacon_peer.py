"""The same frames read by xiaomi-ble, and where the two differ on purpose."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hk_bridge.errors import DecodeError
from hk_bridge.protocols.mibeacon import decode

Peer = Callable[[bytes, str, bytes | None], dict[str, object]]

ADDRESS = "A4:C1:38:02:83:F4"
MAC = bytes.fromhex("f4830238c1a4")

LYWSDCGQ, CGG1, LYWSD02 = 0x01AA, 0x0347, 0x045B
LYWSD03MMC, MHO_C401 = 0x055B, 0x0387

#: Request timing, registered, solicited, authentication mode: bits that move nothing.
OTHER_BITS = 0x0F01


temperatures = st.integers(-400, 850)
humidities = st.integers(0, 1000)
an_object = (
    temperatures.map(lambda tenths: struct.pack("<HBh", 0x1004, 2, tenths))
    | humidities.map(lambda tenths: struct.pack("<HBH", 0x1006, 2, tenths))
    | st.integers(0, 100).map(lambda percent: struct.pack("<HBB", 0x100A, 1, percent))
    | st.tuples(temperatures, humidities).map(
        lambda both: struct.pack("<HBhH", 0x100D, 4, *both)
    )
)


@st.composite
def plain_frames(draw: st.DrawFn) -> bytes:
    """Built field by field, without the code under test."""
    control = draw(st.integers(2, 5)) << 12 | 0x0050
    control |= draw(st.integers(0, 0xFFFF)) & OTHER_BITS
    capability = draw(st.none() | st.integers(0, 255))
    tail = b""
    if capability is not None:
        control |= 0x0020
        tail = bytes([capability])
        if capability & 0x20:
            tail += draw(st.binary(min_size=1, max_size=1))
    product = draw(st.sampled_from([LYWSDCGQ, CGG1, LYWSD02]))
    head = struct.pack("<HHB", control, product, draw(st.integers(0, 255)))
    body = b"".join(draw(st.lists(an_object, min_size=1, max_size=4)))
    return head + MAC + tail + body


@settings(deadline=None, max_examples=300)
@given(frame=plain_frames())
def test_xiaomi_ble_reads_the_same_values(peer: Peer, frame: bytes) -> None:
    found = decode(frame, ADDRESS).values
    assert found
    assert found == peer(frame, ADDRESS, None)


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
