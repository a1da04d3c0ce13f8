"""What decoding takes."""

from __future__ import annotations

import itertools
import statistics
import timeit
from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from home_assistant_bluetooth import BluetoothServiceInfo
from xiaomi_ble import XiaomiBluetoothDeviceData

from hk_bridge.devices.sensor import Sensor
from hk_bridge.protocols import advert, atc, bthome, mibeacon
from tests.fakes import sensors

ADDRESS = "4C:65:A8:D0:AE:64"
PAYLOAD = bytes.fromhex("5020aa01be64aed0a8654c0d1004cc008a01")
UUID = "0000fe95-0000-1000-8000-00805f9b34fb"
RUNS = 5

#: An LYWSD03MMC with its key, a frame of the older scheme, and the other formats.
SQUARE = "A4:C1:38:02:83:F4"
SEALED = bytes.fromhex("58585b0550f4830238c1a495ef58763c26000097e2abb5")
KEY = bytes.fromhex("e9ea895fac7cca6d30532432a516f3a8")
OLDER = bytes.fromhex("5830b603d28b98c54124f8c3491476757e00000099")
OLDER_KEY = bytes.fromhex("b853075158487ca39a5b5ea9")
THERMOMETER = "A4:C1:38:8D:18:B2"
THERMOMETER_KEY = bytes(range(16))
CLIMATE = [(0x00, b"\x09"), (0x01, b"\x5d"), (0x02, b"\x5d\x09"), (0x03, b"\xb7\x18")]

Row = tuple[str, str, str]
Key = bytes | None


def micros(call: Callable[[], object]) -> float:
    """Median microseconds of one call."""
    timer = timeit.Timer(call)
    number, _ = timer.autorange()
    return (
        statistics.median(timer.repeat(RUNS, max(number // 4, 1)))
        / max(number // 4, 1)
        * 1e6
    )


def bench_decode(say: Callable[[str], None]) -> list[Row]:
    """One advert to its values, in every format, and beside others where they know it."""
    say("decoding")
    plain = _ours(mibeacon.UUID, PAYLOAD, ADDRESS)
    sealed = _ours(mibeacon.UUID, SEALED, SQUARE, KEY)
    sensor = Sensor(900.0)
    taken = micros(lambda: sensor.update(mibeacon.decode(PAYLOAD, ADDRESS), 0.0))
    rows = [
        ("plain FE95 advert to Reading", f"{plain:.2f} µs", "≤ 3 µs"),
        ("  the same, taken by its sensor", f"{taken:.2f} µs", ""),
        _beside("xiaomi-ble", _xiaomi(PAYLOAD, ADDRESS), plain),
        ("encrypted FE95 advert to Reading", f"{sealed:.2f} µs", "≤ 8 µs"),
        _beside("xiaomi-ble", _xiaomi(SEALED, SQUARE, KEY), sealed),
        _beside("AES-CCM alone", _floor(), sealed),
    ]
    for name, uuid, data, key, limit in _others():
        took = _ours(uuid, data, SQUARE if key is OLDER_KEY else THERMOMETER, key)
        rows.append((name, f"{took:.2f} µs", limit))
    return rows


def _ours(uuid: int, data: bytes, address: str, key: Key = None) -> float:
    service_data = {uuid: data}
    assert advert.decode(service_data, address, key) is not None
    return micros(lambda: advert.decode(service_data, address, key))


def _others() -> Iterator[tuple[str, int, bytes, Key, str]]:
    """The other formats, plain and encrypted."""
    yield "  FE95, the older scheme", mibeacon.UUID, OLDER, OLDER_KEY, "≤ 8 µs"
    for key, how, limit in (
        (None, "plain", "≤ 3 µs"),
        (THERMOMETER_KEY, "encrypted", "≤ 8 µs"),
    ):
        climate = (THERMOMETER, 23.45, 41.5, 61)
        yield f"  ATC1441, {how}", atc.UUID, sensors.atc1441(*climate, key=key), key, limit
        yield f"  pvvx, {how}", atc.UUID, sensors.pvvx(*climate, key=key), key, limit
        frame = sensors.bthome(CLIMATE, THERMOMETER, key=key)
        yield f"  BTHome, {how}", bthome.UUID, frame, key, limit


def _beside(name: str, theirs: float, ours: float) -> Row:
    return (f"  {name}", f"{theirs:.2f} µs, {theirs / ours:.1f}×", "")


def _xiaomi(payload: bytes, address: str, key: Key = None) -> float:
    """xiaomi-ble, from an advert to its values."""
    infos = [
        BluetoothServiceInfo(
            name="",
            address=address,
            rssi=-60,
            manufacturer_data={},
            # Others in between: xiaomi-ble passes over the last frame again.
            service_data={UUID: data},
            service_uuids=[],
            source="",
        )
        for data in (payload, payload[:4] + bytes([payload[4] ^ 1]) + payload[5:])
    ]
    if key is not None:
        infos = infos[:1]
    parser = XiaomiBluetoothDeviceData(bindkey=key)
    turns = itertools.cycle(infos)
    return micros(lambda: parser.update(next(turns)))


def _floor() -> float:
    """What OpenSSL takes for the same frame."""
    cipher = AESCCM(KEY, tag_length=4)
    nonce, sealed = SEALED[5:11] + SEALED[2:5] + SEALED[-7:-4], SEALED[11:16] + SEALED[-4:]
    assert cipher.decrypt(nonce, sealed, b"\x11").hex() == "061002d301"
    return micros(lambda: cipher.decrypt(nonce, sealed, b"\x11"))
