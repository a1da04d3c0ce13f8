"""A real controller over real sockets and mDNS: what a person with an iPhone would do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from aiohomekit.controller.ip import IpController, IpPairing
from aiohomekit.exceptions import AuthenticationError
from zeroconf.asyncio import AsyncServiceInfo

from hk_bridge.homekit.identity import Identity
from hk_bridge.options import Options
from tests.e2e.conftest import (
    PATIENCE,
    ROOM_1,
    ROOM_2,
    SENSORS,
    Bridge,
    dimmer,
    events,
    pair,
    until,
    until_async,
)

BRIDGE, ROOM_1_AID, ROOM_2_AID, CEILING, MIRROR = 1, 2, 3, 4, 5

NAME, MODEL, SERIAL, FIRMWARE, IDENTIFY = 5, 4, 6, 7, 2
TEMPERATURE, TEMPERATURE_ACTIVE, TEMPERATURE_LOW_BATTERY = 33, 35, 36
HUMIDITY, HUMIDITY_ACTIVE = 49, 51
BATTERY, LOW_BATTERY = 65, 67
ON, BRIGHTNESS = 81, 82

NO_RESPONSE = -70402

#: LYWSDCGQ, counter 190: 20.4 °C and 39.4 %; 191: 20.5 °C; 192: battery 93 %.
CLIMATE = "5020aa01be65aed0a8654c0d1004cc008a01"
WARMER = "5020aa01bf65aed0a8654c041002cd00"
FULL_BATTERY = "5020aa01c065aed0a8654c0a10015d"


async def read(pairing: IpPairing, *ids: tuple[int, int]) -> list[Any]:
    """The values, or the status of those that have none."""
    answer = await pairing.get_characteristics(ids)
    return [answer[i].get("value", answer[i].get("status")) for i in ids]


def database(accessories: list[dict[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    return {
        (accessory["aid"], characteristic["iid"]): characteristic
        for accessory in accessories
        for service in accessory["services"]
        for characteristic in service["characteristics"]
    }


async def test_a_person_pairs_lists_and_reads_the_whole_house(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)

    listed = database(await pairing.list_accessories_and_characteristics())
    names = {aid: listed[aid, NAME]["value"] for aid, iid in listed if iid == NAME}
    assert names == {
        BRIDGE: "HK Bridge",
        ROOM_1_AID: "Room 1",
        ROOM_2_AID: "Room 2",
        CEILING: "Ceiling Light",
        MIRROR: "Mirror Light",
    }
    # Nothing has been heard: unknown values are null here and no response when read.
    for iid in (TEMPERATURE, HUMIDITY, BATTERY, LOW_BATTERY, TEMPERATURE_LOW_BATTERY):
        assert listed[ROOM_1_AID, iid]["value"] is None
    unknown = await read(
        pairing, (ROOM_1_AID, TEMPERATURE), (ROOM_1_AID, HUMIDITY), (ROOM_1_AID, BATTERY)
    )
    assert unknown == [NO_RESPONSE] * 3
    assert await read(pairing, (ROOM_1_AID, TEMPERATURE_ACTIVE)) == [False]

    await bridge.hear(ROOM_1, CLIMATE)
    await bridge.hear(ROOM_1, FULL_BATTERY)
    ids = [
        (ROOM_1_AID, iid)
        for iid in (TEMPERATURE, HUMIDITY, BATTERY, LOW_BATTERY, TEMPERATURE_ACTIVE)
    ]
    assert await read(pairing, *ids) == [20.4, 39.4, 93, 0, True]
    # Only the sensor with that address was meant.
    assert await read(pairing, (ROOM_2_AID, TEMPERATURE)) == [NO_RESPONSE]
    about = [(ROOM_1_AID, iid) for iid in (MODEL, SERIAL, FIRMWARE)]
    assert await read(pairing, *about) == ["LYWSDCGQ", ROOM_1, "0.1.0"]

    temperature = listed[ROOM_1_AID, TEMPERATURE]
    assert (temperature["minValue"], temperature["maxValue"]) == (-40, 85)
    assert temperature["minStep"] == listed[ROOM_1_AID, HUMIDITY]["minStep"] == 0.1


async def test_a_stranger_and_nonsense_change_nothing(
    bridge: Bridge, controller: IpController, caplog: pytest.LogCaptureFixture
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await bridge.hear("AA:BB:CC:DD:EE:FF", CLIMATE)
    for nonsense in ("", "50", "5020aa01be65aed0a8654c0d1004cc", "ff" * 31):
        await bridge.hear(ROOM_1, nonsense)
    assert await read(pairing, (ROOM_1_AID, TEMPERATURE)) == [NO_RESPONSE]
    await bridge.hear(ROOM_1, CLIMATE)
    assert await read(pairing, (ROOM_1_AID, TEMPERATURE)) == [20.4]
    complaints = [r.message for r in caplog.records if "cannot be read" in r.message]
    assert len(complaints) == 1
    assert complaints[0].startswith("Room 1: ")


async def test_writes_come_out_of_the_serial_port_as_exact_frames(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    frames = bridge.board.frames
    steps: list[tuple[list[tuple[int, int, Any]], list[str], list[Any]]] = [
        ([(CEILING, ON, True)], ["0a ff 55 01 ff 00 05 dc 0a"], [True, 100, False, 100]),
        (
            [(CEILING, BRIGHTNESS, 40)],
            ["0a ff 55 01 66 00 05 dc 0a"],
            [True, 40, False, 100],
        ),
        ([(MIRROR, BRIGHTNESS, 1)], ["0a ff 55 02 66 03 05 dc 0a"], [True, 40, True, 1]),
        ([(CEILING, ON, False)], ["0a ff 55 01 00 03 05 dc 0a"], [False, 40, True, 1]),
        ([(CEILING, ON, 1)], ["0a ff 55 01 66 03 05 dc 0a"], [True, 40, True, 1]),
        (
            [(CEILING, ON, True), (CEILING, BRIGHTNESS, 80)],
            ["0a ff 55 01 cc 03 05 dc 0a"],
            [True, 80, True, 1],
        ),
        (
            [(MIRROR, ON, False), (MIRROR, BRIGHTNESS, 70)],
            ["0a ff 55 02 cc 00 05 dc 0a"],
            [True, 80, False, 70],
        ),
        (
            [(CEILING, BRIGHTNESS, 0)],
            ["0a ff 55 01 00 00 05 dc 0a"],
            [False, 80, False, 70],
        ),
        (
            [(CEILING, ON, True)],
            ["0a ff 55 01 cc 00 05 dc 0a"],
            [True, 80, False, 70],
        ),
        ([(MIRROR, ON, True)], ["0a ff 55 02 cc b2 05 dc 0a"], [True, 80, True, 70]),
        # The same again is sent again: perhaps the lamp has not heard it.
        (
            [(CEILING, ON, True), (CEILING, BRIGHTNESS, 80)],
            ["0a ff 55 01 cc b2 05 dc 0a"],
            [True, 80, True, 70],
        ),
    ]
    lamps = [(CEILING, ON), (CEILING, BRIGHTNESS), (MIRROR, ON), (MIRROR, BRIGHTNESS)]
    expected: list[str] = []
    for writes, sent, state in steps:
        assert await pairing.put_characteristics(writes) == {}
        expected += sent
        await until(partial(_reached, frames, len(expected)))
        assert [frame.hex(" ") for frame in frames] == expected
        assert await read(pairing, *lamps) == state


def _reached(frames: list[bytes], count: int) -> bool:
    return len(frames) >= count


async def test_a_lamp_without_its_line_refuses_and_keeps_its_old_value(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await pairing.put_characteristics([(CEILING, BRIGHTNESS, 40)])
    await until(lambda: bridge.board.frames)
    bridge.board.unplug()

    async def refused() -> bool:
        answer = await pairing.put_characteristics([(CEILING, BRIGHTNESS, 90)])
        return answer.get((CEILING, BRIGHTNESS), {}).get("status") == NO_RESPONSE

    async with asyncio.timeout(PATIENCE):
        while not await refused():  # noqa: ASYNC110 # each try is a write
            await asyncio.sleep(0.05)
    assert await read(pairing, (CEILING, ON)) == [NO_RESPONSE]
    # The sensors do not care.
    await bridge.hear(ROOM_1, CLIMATE)
    assert await read(pairing, (ROOM_1_AID, TEMPERATURE)) == [20.4]


async def test_identify_blinks_the_lamp_and_puts_it_back(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await pairing.put_characteristics([(CEILING, BRIGHTNESS, 40)])
    await until(lambda: bridge.board.frames)
    await pairing.put_characteristics([(CEILING, IDENTIFY, True)])
    await until(lambda: len(bridge.board.frames) == 7)
    levels = [frame[4] for frame in bridge.board.frames]
    assert levels == [0x66, 0, 0x66, 0, 0x66, 0, 0x66]
    assert await read(pairing, (CEILING, ON), (CEILING, BRIGHTNESS)) == [True, 40]


async def test_a_write_ends_the_blinking(bridge: Bridge, controller: IpController) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await until(lambda: bridge.board.opened)
    await pairing.put_characteristics([(CEILING, IDENTIFY, True)])
    await until(lambda: bridge.board.frames)
    await pairing.put_characteristics([(CEILING, BRIGHTNESS, 20)])
    await until(lambda: bridge.board.frames[-1][4] == 0x33)
    count = len(bridge.board.frames)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.2):
            await until(lambda: len(bridge.board.frames) > count)


async def test_a_restart_keeps_pairing_aids_code_and_last_values(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    before = bridge.identity
    pairing = await pair(controller, before)
    await bridge.hear(ROOM_1, CLIMATE)
    await pairing.put_characteristics([(MIRROR, BRIGHTNESS, 30)])
    listed = await pairing.list_accessories_and_characteristics()
    await until(lambda: bridge.board.frames)
    config_number = bridge.identity.config_number
    await bridge.stop()
    bridge.board.frames.clear()

    await bridge.start()
    after = bridge.identity
    assert (after.device_id, after.setup_code, after.setup_id, after.aids) == (
        before.device_id,
        before.setup_code,
        before.setup_id,
        before.aids,
    )
    assert after.config_number == config_number
    again = await pairing.list_accessories_and_characteristics()
    assert list(database(again)) == list(database(listed))
    assert await read(pairing, (ROOM_1_AID, TEMPERATURE), (MIRROR, BRIGHTNESS)) == [
        20.4,
        30,
    ]
    # What was last accepted is sent again; of the other lamp nothing was ever accepted.
    await until(lambda: bridge.board.frames)
    assert [frame.hex(" ") for frame in bridge.board.frames] == [
        "0a ff 55 02 00 4c 05 dc 0a"
    ]


async def test_unpairing_opens_the_bridge_for_another_home(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    assert [p.admin for p in bridge.identity.pairings] == [True]
    await pairing.remove_pairing(pairing.pairing_data["iOSPairingId"])
    assert not bridge.identity.pairings
    discovery = await controller.async_find(bridge.identity.device_id)
    await until(lambda: controller.discoveries[discovery.description.id].paired is False)
    again = await pair(controller, bridge.identity)
    assert await again.list_accessories_and_characteristics()


async def test_a_wrong_code_does_not_pair_and_is_counted(
    bridge: Bridge, controller: IpController
) -> None:
    bridge.write(SENSORS, pin="031-45-154")
    await bridge.start()
    identity = bridge.identity
    assert identity.setup_code == "031-45-154"
    discovery = await controller.async_find(identity.device_id, timeout=PATIENCE)
    finish = await discovery.async_start_pairing("thief")
    with pytest.raises(AuthenticationError):
        await finish("031-45-155")
    assert bridge.identity.pairings == ()
    assert bridge.identity.failed_attempts == 1
    await pair(controller, identity)
    assert bridge.identity.failed_attempts == 0


async def test_a_value_that_is_too_old_is_no_longer_shown(
    bridge: Bridge, controller: IpController
) -> None:
    bridge.write([{**SENSORS[0], "timeout": 1 / 60}, dimmer(bridge.board.port)])
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    pushed = events(pairing)
    await pairing.list_accessories_and_characteristics()
    await bridge.hear(ROOM_1, FULL_BATTERY)
    await bridge.hear(ROOM_1, CLIMATE)
    await pairing.subscribe([(ROOM_1_AID, TEMPERATURE_ACTIVE), (ROOM_1_AID, TEMPERATURE)])
    await until(lambda: pushed.get((ROOM_1_AID, TEMPERATURE_ACTIVE)) is False)
    ids = [(ROOM_1_AID, iid) for iid in (TEMPERATURE, HUMIDITY, HUMIDITY_ACTIVE, BATTERY)]
    assert await read(pairing, *ids) == [NO_RESPONSE, NO_RESPONSE, False, 93]
    listed = database(await pairing.list_accessories_and_characteristics())
    assert listed[ROOM_1_AID, TEMPERATURE]["value"] is None
    await bridge.hear(ROOM_1, WARMER)
    assert await read(pairing, (ROOM_1_AID, TEMPERATURE)) == [20.5]


async def test_the_only_sensor_adopts_the_first_one_heard_and_keeps_it(
    bridge: Bridge, controller: IpController, caplog: pytest.LogCaptureFixture
) -> None:
    bridge.write([{"accessory": "Hygrotermograph", "name": "Temperature & Humidity"}])
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await bridge.hear(ROOM_1, "1020aa01a664aed0a8654c04")  # no value: nothing to adopt
    assert await read(pairing, (ROOM_1_AID, TEMPERATURE)) == [NO_RESPONSE]
    await bridge.hear(ROOM_1, CLIMATE)
    await bridge.hear(ROOM_2, "5020aa010061a1d4b3342c041002ff00")
    ids = [(ROOM_1_AID, TEMPERATURE), (ROOM_1_AID, SERIAL)]
    assert await read(pairing, *ids) == [20.4, ROOM_1]
    aid: Identity = bridge.identity
    assert aid.aids == {f"sensor:{ROOM_1}": ROOM_1_AID}
    await bridge.stop()
    await bridge.start()
    await bridge.hear(ROOM_2, "5020aa010161a1d4b3342c041002ff00")
    await bridge.hear(ROOM_1, WARMER)
    assert await read(pairing, (ROOM_1_AID, TEMPERATURE)) == [20.5]
    # Written into the file, it is still the same accessory.
    await bridge.stop()
    bridge.write(SENSORS)
    await bridge.start()
    assert bridge.identity.aids == {f"sensor:{ROOM_1}": ROOM_1_AID, f"sensor:{ROOM_2}": 3}


async def test_temperature_and_humidity_are_active_each_by_itself(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await bridge.hear(ROOM_1, WARMER)
    active = [(ROOM_1_AID, TEMPERATURE_ACTIVE), (ROOM_1_AID, HUMIDITY_ACTIVE)]
    assert await read(pairing, *active) == [True, False]


async def test_mdns_says_who_it_is_and_whether_it_is_paired(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    identity = bridge.identity
    discovery = await controller.async_find(identity.device_id, timeout=PATIENCE)
    service = f"{discovery.description.name}._hap._tcp.local."
    zeroconf = controller._async_zeroconf_instance.zeroconf

    async def txt() -> dict[str, str | None]:
        info = AsyncServiceInfo("_hap._tcp.local.", service)
        assert await info.async_request(zeroconf, 5000)
        return info.decoded_properties

    material = (identity.setup_id + identity.device_id).encode()
    expected_hash = base64.b64encode(hashlib.sha512(material).digest()[:4]).decode()
    found = await txt()
    assert (found["sf"], found["ci"], found["sh"]) == ("1", "2", expected_hash)
    assert found["c#"] == str(identity.config_number)
    pairing = await pair(controller, identity)
    await until_async(lambda: _says(txt, "sf", "0"))
    # A sensor that tells its model changes the database, and so the number.
    await bridge.hear(ROOM_1, CLIMATE)
    assert bridge.identity.config_number == identity.config_number + 1
    await until_async(lambda: _says(txt, "c#", str(identity.config_number + 1)))
    await pairing.remove_pairing(pairing.pairing_data["iOSPairingId"])
    await until_async(lambda: _says(txt, "sf", "1"))


async def _says(
    txt: Callable[[], Awaitable[dict[str, str | None]]], key: str, value: str
) -> bool:
    return (await txt())[key] == value


async def test_a_removed_controller_loses_its_sessions(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await pairing.list_accessories_and_characteristics()
    other = IpPairing(controller, pairing.pairing_data)
    await other.list_accessories_and_characteristics()
    assert other.is_connected
    await pairing.remove_pairing(pairing.pairing_data["iOSPairingId"])
    await until(lambda: not other.connection.is_connected)
    await other.close()


async def test_a_new_entry_raises_the_configuration_number_and_moves_no_other(
    bridge: Bridge,
) -> None:
    await bridge.start()
    before = bridge.identity
    await bridge.stop()
    third = {
        "accessory": "Hygrothermograph",
        "name": "Attic",
        "address": "4c:65:a8:00:00:03",
    }
    bridge.write([third, *SENSORS, dimmer(bridge.board.port)])
    await bridge.start()
    assert bridge.identity.config_number == before.config_number + 1
    assert bridge.identity.aids == {**before.aids, "sensor:4C:65:A8:00:00:03": 6}


async def test_lamp_levels_are_on_the_disk_soon_after_a_write(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await pairing.put_characteristics([(MIRROR, BRIGHTNESS, 30)])
    file = bridge.state / "devices.json"
    await until(file.exists)
    assert json.loads(file.read_text())["lamps"] == {
        "lamp::2": {"on": True, "brightness": 30}
    }


async def test_stopping_while_a_lamp_blinks_puts_it_back(
    bridge: Bridge, controller: IpController
) -> None:
    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await pairing.put_characteristics([(CEILING, BRIGHTNESS, 40)])
    await until(lambda: bridge.board.frames)
    await pairing.put_characteristics([(CEILING, IDENTIFY, True), (MIRROR, IDENTIFY, True)])
    await until(lambda: len(bridge.board.frames) >= 3)
    await bridge.stop()
    await until(lambda: bridge.board.levels == {1: 0x66, 2: 0})


async def test_it_listens_only_where_it_is_told_to(bridge: Bridge) -> None:
    await bridge.start()
    for address in ("127.0.0.2", "::1"):
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection(address, bridge.port)


async def test_port_and_addresses_of_the_configuration_count(bridge: Bridge) -> None:
    bridge.write(SENSORS, port=bridge.port, bind=["127.0.0.1"])
    await bridge.start(Options(bridge.state))
    _, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
    writer.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.2", bridge.port)


async def test_a_radio_that_hangs_does_not_hold_up_the_end(
    bridge: Bridge, controller: IpController, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: object) -> None:
        await asyncio.Event().wait()

    await bridge.start()
    pairing = await pair(controller, bridge.identity)
    await pairing.put_characteristics([(MIRROR, BRIGHTNESS, 30)])
    await until(lambda: bridge.radio.instances)
    monkeypatch.setattr(bridge.radio, "stop", hang)
    async with asyncio.timeout(PATIENCE):
        await bridge.stop()
    assert (bridge.state / "devices.json").exists()


async def test_a_simulation_in_a_real_state_directory_leaves_no_trace_of_its_values(
    bridge: Bridge,
) -> None:
    bridge.write([{"accessory": "Hygrothermograph", "name": "Alone"}])
    options = Options(bridge.state, simulate=True, bind=("127.0.0.1",), port=bridge.port)
    await bridge.start(options)
    await until(lambda: "Alone" in str(bridge.log.messages))
    await bridge.stop()
    assert bridge.identity.adopted_address is None
    assert not (bridge.state / "devices.json").exists()
    assert (bridge.state / "devices-simulated.json").exists()
