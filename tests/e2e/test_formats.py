"""Sensors of every format, on the way from a capture to a controller."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any, Final

import pytest
from aiohomekit.controller.ip import IpController, IpPairing

from hk_bridge.options import Options
from hk_bridge.web import client
from tests.e2e.conftest import LOOPBACK, Bridge, pair, until, until_async
from tests.fakes import captures
from tests.fakes.sensors import (
    atc1441,
    bthome,
    bthome_climate,
    mibeacon,
    mibeacon_climate,
    pvvx,
)

FE95, A181, FCD2 = 0xFE95, 0x181A, 0xFCD2
KEY: Final = bytes(range(16))
LEGACY_KEY: Final = bytes(range(12))
#: Of a btsnoop file.
HEAD_LENGTH: Final = 16
PLANT: Final = "C4:7C:8D:6B:4F:F3"


def address(number: int) -> str:
    return f"A4:C1:38:00:00:{number:02X}"


def sealed_atc(at: str) -> bytes:
    return atc1441(at, -12.5, 39.5, 93, key=KEY)


#: Name → UUID, service data, bind key, and what a controller then reads.
FRAMES: Final[dict[str, tuple[int, bytes, bytes | None, tuple[float, float]]]] = {
    "MiBeacon": (
        FE95,
        mibeacon(0x01AA, 1, address(1), mibeacon_climate(-12.3, 35.2, 93), version=2),
        None,
        (-12.3, 35.2),
    ),
    "MiBeacon 5": (
        FE95,
        mibeacon(0x055B, 1, address(2), mibeacon_climate(-12.3, 35.2, 93), key=KEY),
        KEY,
        (-12.3, 35.2),
    ),
    "MiBeacon 3": (
        FE95,
        mibeacon(
            0x0B48,
            1,
            address(3),
            [(0x4C01, struct.pack("<f", -0.1)), (0x4C02, b"\x00")],
            key=LEGACY_KEY,
            version=3,
            with_mac=False,
        ),
        LEGACY_KEY,
        (-0.1, 0),
    ),
    "ATC1441": (A181, atc1441(address(4), -4.5, 62, 81), None, (-4.5, 62)),
    "ATC1441 sealed": (A181, sealed_atc(address(5)), KEY, (-12.5, 39.5)),
    "pvvx": (A181, pvvx(address(6), -6.7, 50.53, 100), None, (-6.7, 50.5)),
    "pvvx sealed": (A181, pvvx(address(7), 23.45, 41.73, 61, key=KEY), KEY, (23.4, 41.7)),
    "BTHome": (
        FCD2,
        bthome(bthome_climate(1, 25.06, 50.55, 93), address(8)),
        None,
        (25.1, 50.5),
    ),
    "BTHome sealed": (
        FCD2,
        bthome(bthome_climate(1, 0.0, 0.0, 93), address(9), key=KEY, with_mac=True),
        KEY,
        (0.0, 0.0),
    ),
}


def sensors() -> list[dict[str, Any]]:
    keys = {name: key for name, (_, _, key, _) in FRAMES.items()}
    return [
        {
            "accessory": "Hygrothermograph",
            "name": name,
            "address": address(number),
            **({"bindKey": key.hex()} if key else {}),
        }
        for number, (name, key) in enumerate(keys.items(), start=1)
    ] + [{"accessory": "Hygrothermograph", "name": "Fern", "address": PLANT}]


def capture() -> bytes:
    """What a radio hears of all of them, and of somebody else."""
    heard = [
        (address(number), uuid, data)
        for number, (uuid, data, _, _) in enumerate(FRAMES.values(), start=1)
    ]
    plant = [(0x1008, b"\x12"), (0x1007, b"\x0e\x00\x00"), (0x1004, b"\xc4\x00")]
    heard += [
        (PLANT, FE95, mibeacon(0x0098, number, PLANT, [each], version=2))
        for number, each in enumerate(plant)
    ]
    events = [
        captures.event(captures.report(sender, captures.service_data(uuid, data)))
        for sender, uuid, data in heard
    ]
    events.insert(1, captures.STRANGER_EVENT)
    return captures.btsnoop([(b"\x04" + each, 3) for each in events])


async def values(pairing: IpPairing, aids: list[int], iid: int) -> list[Any]:
    found = await pairing.get_characteristics([(aid, iid) for aid in aids])
    return [found[aid, iid].get("value") for aid in aids]


async def test_a_capture_is_shown_in_home_as_if_it_were_the_radio(
    bridge: Bridge, controller: IpController
) -> None:
    bridge.write(sensors())
    file = bridge.file.with_name("night.btsnoop")
    file.write_bytes(capture())
    options = Options(bridge.state, bind=(LOOPBACK,), port=bridge.port)
    await bridge.start(replace(options, replay=file, speed=100.0))

    async def is_over() -> bool:
        status = await client.ask(bridge.state, "GET", "/status")
        return "over" in status["radio"]["text"]

    await until_async(is_over)
    pairing = await pair(controller, bridge.identity)
    aids = bridge.identity.aids
    rooms = [aids[f"sensor:{address(number)}"] for number in range(1, 1 + len(FRAMES))]
    read = zip(
        await values(pairing, rooms, 33), await values(pairing, rooms, 49), strict=True
    )
    assert dict(zip(FRAMES, read, strict=True)) == {
        name: expected for name, (_, _, _, expected) in FRAMES.items()
    }
    fern = aids[f"sensor:{PLANT}"]
    (accessory,) = [
        each
        for each in await pairing.list_accessories_and_characteristics()
        if each["aid"] == fern
    ]
    services = {service["iid"] for service in accessory["services"]}
    assert services == {1, 32, 96, 112}
    plant = await pairing.get_characteristics([(fern, 33), (fern, 97), (fern, 113)])
    assert {iid: plant[fern, iid]["value"] for iid in (33, 97, 113)} == {
        33: 19.6,
        97: 14,
        113: 18,
    }
    status = await client.ask(bridge.state, "GET", "/status")
    assert status["isSimulated"]
    assert {each["state"] for each in status["sensors"]} == {"decoding"}
    assert status["radio"]["text"] == (
        "over. Adverts of configured sensors: 12, of others: 1"
    )
    # Values of a recording are not those of the house.
    await bridge.stop()
    assert not (bridge.state / "devices.json").exists()
    assert (bridge.state / "devices-simulated.json").exists()


async def test_a_sensor_that_a_recording_has_is_not_adopted_for_good(
    bridge: Bridge,
) -> None:
    bridge.write([{"accessory": "Hygrothermograph", "name": "Room"}])
    file = bridge.file.with_name("night.btsnoop")
    file.write_bytes(capture())
    options = Options(bridge.state, bind=(LOOPBACK,), port=bridge.port)
    await bridge.start(replace(options, replay=file, speed=100.0))

    async def is_adopted() -> bool:
        status = await client.ask(bridge.state, "GET", "/status")
        return bool(status["sensors"][0]["address"] == address(1))

    await until_async(is_adopted)
    assert bridge.identity.adopted_address is None


async def test_a_sensor_falls_silent_at_the_time_of_the_recording(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without regard to the speed, it would be looked at after a quarter of an hour.
    monkeypatch.setattr("hk_bridge.house._TICK_SECONDS", 900.0)
    bridge.write([sensors()[0]])
    file = bridge.file.with_name("night.btsnoop")
    uuid, data, _, _ = FRAMES["MiBeacon"]
    sent = captures.event(captures.report(address(1), captures.service_data(uuid, data)))
    stranger = [(b"\x04" + captures.STRANGER_EVENT, 3)]
    hours = captures.btsnoop(stranger, at=captures.NOON + 2 * 3600)[HEAD_LENGTH:]
    file.write_bytes(captures.btsnoop([(b"\x04" + sent, 3)]) + hours)
    options = Options(bridge.state, bind=(LOOPBACK,), port=bridge.port)
    await bridge.start(replace(options, replay=file, speed=1000.0))
    await until(lambda: "MiBeacon is silent for 15 minutes" in bridge.log.text)
