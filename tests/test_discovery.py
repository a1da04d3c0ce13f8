"""What a search makes of adverts: sensors, keys, order, and floods."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.devices.sensor_state import SensorState
from hk_bridge.discovery import MOST, Discovery, Found, Key, Known
from hk_bridge.model import Advertisement
from hk_bridge.protocols.mibeacon import MiBeaconFrame
from hk_bridge.protocols.mibeacon_objects import encode_values
from tests.fakes.sensors import atc1441, bthome, mibeacon, pvvx

FE95 = 0xFE95
ROOM = "4C:64:A8:D0:AE:65"
OTHER = "A4:C1:38:00:11:22"
KEY = bytes(range(16))
WRONG_KEY = bytes(16)
PLAIN, ENCRYPTING, UNKNOWN = 0x01AA, 0x055B, 0x1234
NEEDS = "needs a bind key"


def frame(
    product: int = PLAIN,
    address: str = ROOM,
    key: bytes | None = None,
    **values: Any,
) -> bytes:
    """One frame; without values an idle one."""
    objects = encode_values(**values)
    return MiBeaconFrame(product, 7, address, objects=objects).to_bytes(key)


def advert(
    data: bytes, address: str = ROOM, rssi: int | None = -60, at: float = 100.0
) -> Advertisement:
    return Advertisement(address, {FE95: data}, rssi, at)


def search(*adverts: Advertisement, **known: Known) -> Discovery:
    """A search that has heard these; `known` are the sensors of the file."""
    addresses = {"room": ROOM, "other": OTHER}
    discovery = Discovery({addresses[name]: sensor for name, sensor in known.items()})
    for each in adverts:
        discovery.heard(each)
    return discovery


def only(discovery: Discovery) -> Found:
    (found,) = discovery.found
    return found


# -- sensors ------------------------------------------------------------------------------


def test_a_sensor_is_found_with_what_it_says() -> None:
    found = only(search(advert(frame(temperature=20.4, humidity=39.4))))
    assert found == Found(
        ROOM,
        "LYWSDCGQ",
        "mibeacon",
        "0x01AA",
        at=100.0,
        state=SensorState.DECODING,
        rssi=-60,
        key=Key.NO,
        configured_as=None,
        values={"temperature": 20.4, "humidity": 39.4},
    )


@pytest.mark.parametrize(
    ("uuid", "data", "model", "product", "state", "values"),
    [
        (
            0x181A,
            atc1441(ROOM, 20.4, 39, 93),
            "ATC1441 thermometer",
            None,
            "decoding",
            {"temperature": 20.4, "humidity": 39, "battery": 93, "voltage": 2.9},
        ),
        (0x181A, pvvx(ROOM, 20, 39, 93, key=KEY), "pvvx thermometer", None, NEEDS, {}),
        (
            0xFCD2,
            bthome([(0x02, b"\xf8\x07")], ROOM),
            "BTHome sensor",
            None,
            "decoding",
            {"temperature": 20.4},
        ),
        (
            0xFCD2,
            bthome([(0x2F, b"\x12")], ROOM, key=KEY),
            "BTHome sensor",
            None,
            NEEDS,
            {},
        ),
        (
            0xFE95,
            mibeacon(0x0098, 1, ROOM, [(0x1008, b"\x12")]),
            "HHCCJCY01",
            "0x0098",
            "decoding",
            {"moisture": 18},
        ),
        (
            0xFE95,
            mibeacon(0x055B, 1, ROOM, []),
            "LYWSD03MMC",
            "0x055B",
            "heard, idle frames only",
            {},
        ),
    ],
)
def test_sensors_of_every_format_are_found(
    uuid: int,
    data: bytes,
    model: str,
    product: str | None,
    state: str,
    values: dict[str, float],
) -> None:
    found = only(search(Advertisement(ROOM, {uuid: data}, -60, 100.0)))
    assert (found.model, found.product, str(found.state)) == (model, product, state)
    assert found.values == values


def test_a_button_that_speaks_bthome_is_no_sensor() -> None:
    button = Advertisement(ROOM, {0xFCD2: bthome([(0x3A, b"\x01")], ROOM)}, -60, 100.0)
    discovery = search(button)
    assert (discovery.found, discovery.others) == ([], 1)


def test_a_sensor_that_speaks_two_formats_is_what_its_product_id_says() -> None:
    both = [
        Advertisement(ROOM, {0x181A: atc1441(ROOM, 20.4, 39, 93)}, -60, 100.0),
        advert(mibeacon(0x055B, 1, ROOM, [(0x1004, b"\xcd\x00")])),
    ]
    for adverts in (both, both[::-1]):
        found = only(search(*adverts))
        assert (found.model, found.product) == ("LYWSD03MMC", "0x055B")
        assert found.values["temperature"] in {20.4, 20.5}


def test_a_wrong_key_and_an_open_frame_despite_a_key_are_told_apart() -> None:
    known = Known("Room 1", WRONG_KEY)
    sealed = search(advert(frame(ENCRYPTING, key=KEY, temperature=20.4)), room=known)
    assert str(only(sealed).state) == "wrong bind key"
    opened = Advertisement(ROOM, {0xFCD2: bthome([(0x02, b"\xf8\x07")], ROOM)}, -60, 100.0)
    found = only(search(opened, room=known))
    assert (str(found.state), found.values) == ("cannot be read", {})


def test_its_json_has_these_keys_and_what_it_has_said() -> None:
    found = only(search(advert(frame(temperature=20.4, humidity=39.4))))
    assert found.to_json(now=103.25) == {
        "address": ROOM,
        "model": "LYWSDCGQ",
        "format": "mibeacon",
        "product": "0x01AA",
        "state": "decoding",
        "rssi": -60,
        "lastHeard": 3.25,
        "bindKey": "no",
        "configuredAs": None,
        "temperature": 20.4,
        "humidity": 39.4,
    }


def test_values_of_several_frames_add_up_and_the_last_one_counts() -> None:
    found = only(
        search(
            advert(frame(temperature=20.4, humidity=39.4)),
            advert(frame(battery=93), at=101.0),
            advert(frame(temperature=20.5), at=102.0),
            advert(frame(), at=103.0),
        )
    )
    assert found.values == {"temperature": 20.5, "humidity": 39.4, "battery": 93}
    assert found.at == 103.0


def test_zero_is_a_value() -> None:
    data = frame(temperature=0.0, humidity=0.0, battery=0)
    found = only(search(advert(data, rssi=0)))
    shown = found.to_json(now=found.at)
    for name in ("temperature", "humidity", "battery", "rssi", "lastHeard"):
        assert shown[name] == 0, name


def test_an_advert_without_signal_strength_does_not_take_the_last_one_away() -> None:
    data = frame(temperature=20.4)
    assert only(search(advert(data, rssi=None))).rssi is None
    assert only(search(advert(data), advert(data, rssi=None))).rssi == -60


def test_a_model_that_nobody_knows_is_a_sensor_once_it_tells_the_climate() -> None:
    battery = advert(frame(UNKNOWN, battery=50))
    assert search(battery).found == []
    found = only(search(battery, advert(frame(UNKNOWN, humidity=40.0))))
    assert (found.model, found.product, found.key) == ("0x1234", "0x1234", Key.NO)


def test_those_of_the_file_are_told_by_name() -> None:
    discovery = search(
        advert(frame(temperature=20.4)),
        advert(frame(address=OTHER, temperature=20.4), OTHER),
        room=Known("Room 1"),
    )
    names = {found.address: found.configured_as for found in discovery.found}
    assert names == {ROOM: "Room 1", OTHER: None}


# -- bind keys ----------------------------------------------------------------------------

READABLE: dict[str, Any] = {"temperature": 20.4, "humidity": 39.4}


def test_one_that_encrypts_needs_a_key() -> None:
    found = only(search(advert(frame(ENCRYPTING, key=KEY, **READABLE))))
    assert (found.key, found.values) == (Key.YES, {})


def test_with_its_key_it_is_read() -> None:
    secret = advert(frame(ENCRYPTING, key=KEY, **READABLE))
    found = only(search(secret, room=Known("Room 1", KEY)))
    assert (found.key, found.values) == (Key.GIVEN, READABLE)


def test_a_key_that_does_not_fit_is_told_by_name() -> None:
    secret = advert(frame(ENCRYPTING, key=KEY, **READABLE))
    found = only(search(secret, room=Known("Room 1", WRONG_KEY)))
    assert (found.key, found.values) == (Key.DOES_NOT_FIT, {})
    assert found.configured_as == "Room 1"
    assert found.to_json(100.0)["bindKey"] == "does not fit"


def test_an_idle_frame_says_nothing_of_the_key() -> None:
    secret = advert(frame(ENCRYPTING, key=KEY, **READABLE))
    idle = advert(frame(ENCRYPTING))
    for key, expected in (
        (None, Key.YES),
        (KEY, Key.GIVEN),
        (WRONG_KEY, Key.DOES_NOT_FIT),
    ):
        found = only(search(idle, secret, idle, room=Known("Room 1", key)))
        assert found.key is expected


@pytest.mark.parametrize(
    ("product", "given", "expected"),
    [
        (PLAIN, None, Key.NO),
        (ENCRYPTING, None, Key.YES),
        (PLAIN, KEY, Key.GIVEN),
        (ENCRYPTING, KEY, Key.GIVEN),
    ],
)
def test_as_long_as_there_are_only_idle_frames_the_model_tells(
    product: int, given: bytes | None, expected: Key
) -> None:
    idle = advert(frame(product))
    found = only(search(idle, idle, room=Known("Room 1", given)))
    assert (found.key, found.values) == (expected, {})


def test_a_model_that_should_encrypt_and_does_not_needs_no_key() -> None:
    idle, plain = advert(frame(ENCRYPTING)), advert(frame(ENCRYPTING, temperature=1.0))
    assert only(search(idle, plain)).key is Key.NO
    assert only(search(idle, plain, idle)).key is Key.NO


def test_a_key_is_in_no_representation() -> None:
    known = Known("Room 1", KEY)
    secret = advert(frame(ENCRYPTING, key=KEY, **READABLE))
    found = only(search(secret, room=known))
    for text in (repr(known), repr(found), json.dumps(found.to_json(100.0))):
        assert KEY.hex() not in text
        assert repr(KEY) not in text


# -- strangers ----------------------------------------------------------------------------


def test_what_speaks_the_same_format_and_is_no_sensor_is_counted_once() -> None:
    strangers = [f"0A:00:00:00:00:{number:02X}" for number in range(3)]
    payloads = [
        frame(UNKNOWN),
        frame(UNKNOWN, battery=50),
        frame(UNKNOWN, key=KEY, temperature=20.0),  # nobody can tell what it says
    ]
    adverts = [
        advert(data, address)
        for address, data in zip(strangers, payloads, strict=True)
        for _ in range(2)
    ]
    discovery = search(*adverts)
    assert (discovery.found, discovery.others) == ([], 3)


def test_who_turns_out_to_be_a_sensor_is_no_stranger_any_more() -> None:
    stranger, sensor = advert(frame(UNKNOWN)), advert(frame(UNKNOWN, temperature=20.0))
    discovery = search(stranger, sensor, stranger)
    assert (len(discovery.found), discovery.others) == (1, 0)


@pytest.mark.parametrize(
    "service_data",
    [
        {},
        {0xFCD2: bytes(20)},
        {FE95: b""},
        {FE95: frame(temperature=20.0)[:3]},
        {FE95: frame(temperature=20.0)[:-1]},
    ],
)
def test_what_is_no_frame_is_nobody(service_data: dict[int, bytes]) -> None:
    for key in (None, KEY):
        discovery = search(room=Known("Room 1", key))
        discovery.heard(Advertisement(ROOM, service_data, -60, 100.0))
        assert (discovery.found, discovery.others) == ([], 0)


@given(st.binary(max_size=40), st.sampled_from([None, KEY, bytes(12)]))
def test_no_bytes_make_it_fail(data: bytes, key: bytes | None) -> None:
    discovery = search(room=Known("Room 1", key))
    discovery.heard(advert(data))
    for found in discovery.found:
        json.dumps(found.to_json(100.0))


# -- order and floods ---------------------------------------------------------------------


def test_the_strongest_come_first_and_those_of_the_file_last() -> None:
    strengths: list[int | None] = [-90, None, 0, -40, -90]
    adverts = [
        advert(frame(temperature=20.0), f"00:00:00:00:00:0{number}", rssi)
        for number, rssi in enumerate(strengths)
    ]
    discovery = search(advert(frame(temperature=20.0), rssi=4), *adverts, room=Known("A"))
    order = [int(found.address[-1]) for found in discovery.found]
    assert order == [2, 3, 0, 4, 1, 5]


def made_up(number: int) -> str:
    return (b"\x0a\x00" + number.to_bytes(4, "big")).hex(":").upper()


def test_ten_thousand_made_up_sensors_leave_room_for_those_of_the_file() -> None:
    discovery = search(room=Known("Room 1"))
    data = frame(temperature=20.0)
    for number in range(10_000):
        discovery.heard(advert(data, made_up(number)))
    discovery.heard(advert(data, rssi=-99))
    assert len(discovery.found) == MOST + 1
    assert discovery.found[-1].configured_as == "Room 1"
    # What was there before goes on.
    discovery.heard(dataclasses.replace(advert(data, made_up(0)), at=200.0))
    assert max(found.at for found in discovery.found) == 200.0


def test_ten_thousand_made_up_strangers_leave_room_for_sensors() -> None:
    discovery = search()
    for number in range(10_000):
        discovery.heard(advert(frame(UNKNOWN), made_up(number)))
    discovery.heard(advert(frame(temperature=20.0)))
    assert discovery.others == MOST
    assert only(discovery).address == ROOM
