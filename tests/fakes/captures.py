"""Captures as tools write them, put together from adverts byte by byte.

Independent of the package: what it reads here, it has not written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

#: A sensor with 20.4 °C and 39.4 %, and a stranger.
SENSOR: Final = "4C:65:A8:D0:AE:64"
STRANGER: Final = "4C:32:75:97:3B:AE"
FRAME: Final = bytes.fromhex("5020aa01be64aed0a8654c0d1004cc008a01")
#: Seconds since 1970; it has a part that floats hold exactly.
NOON: Final = 1_700_000_000.25

ADVERTISING: Final = bytes.fromhex("d6be898e")
_SNOOP_EPOCH: Final = 0x00DCDDB30F2F8000


def backwards(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))[::-1]


# AD structures -----------------------------------------------------------------------


def structure(kind: int, data: bytes) -> bytes:
    return bytes([len(data) + 1, kind]) + data


def service_data(uuid: int, data: bytes) -> bytes:
    return structure(0x16, uuid.to_bytes(2, "little") + data)


FLAGS: Final = structure(0x01, b"\x06")
SENSOR_DATA: Final = FLAGS + service_data(0xFE95, FRAME)
STRANGER_DATA: Final = FLAGS + structure(0xFF, bytes.fromhex("4c0010020b00"))


# HCI ---------------------------------------------------------------------------------


def report(address: str, data: bytes, rssi: int = -60, kind: int = 0) -> bytes:
    head = bytes([kind, 0]) + backwards(address) + bytes([len(data)])
    return head + data + struct.pack("b", rssi)


def extended_report(
    address: str,
    data: bytes,
    *,
    rssi: int = -60,
    kind: int = 0x0013,
    status: int = 0,
    set_id: int = 0,
) -> bytes:
    head = struct.pack("<HB", kind | status << 5, 0) + backwards(address)
    radio = struct.pack("<BBBbbH", 1, 0, set_id, 127, rssi, 0)
    return head + radio + bytes(7) + bytes([len(data)]) + data


def le_event(subevent: int, reports: Sequence[bytes]) -> bytes:
    parameters = bytes([subevent, len(reports)]) + b"".join(reports)
    return bytes([0x3E, len(parameters)]) + parameters


def event(*reports: bytes) -> bytes:
    return le_event(0x02, reports)


def extended_event(*reports: bytes) -> bytes:
    return le_event(0x0D, reports)


SENSOR_EVENT: Final = event(report(SENSOR, SENSOR_DATA))
STRANGER_EVENT: Final = event(report(STRANGER, STRANGER_DATA, -70))
COMMAND_COMPLETE: Final = bytes.fromhex("0e0401052000")


# Link layer --------------------------------------------------------------------------


def pdu(address: str, data: bytes, kind: int = 0) -> bytes:
    body = backwards(address) + data
    return ADVERTISING + bytes([kind, len(body)]) + body + b"crc"


def radio_header(rssi: int = -60, flags: int = 0x0C03) -> bytes:
    return struct.pack("<BbbB4sH", 37, rssi, 0, 0, ADVERTISING, flags)


def nordic_header(
    loss: int = 60, flags: int = 1, version: int = 3, packet_id: int = 2
) -> bytes:
    head = struct.pack("<BHBHB", 0, 60, version, 1, packet_id)
    return head + struct.pack("<BBBBHI", 10, flags, 37, loss, 0, 0)


# Files -------------------------------------------------------------------------------


def btsnoop(
    packets: Iterable[tuple[bytes, int]], datalink: int = 1002, at: float = NOON
) -> bytes:
    """`packets` are bytes and flags; one follows the other by a second."""
    records = [
        struct.pack(">IIIIq", len(data), len(data), flags, 0, _snoop_time(at + number))
        + data
        for number, (data, flags) in enumerate(packets)
    ]
    return struct.pack(">8sII", b"btsnoop\0", 1, datalink) + b"".join(records)


def _snoop_time(at: float) -> int:
    return int(at * 1_000_000) + _SNOOP_EPOCH


def pcap(
    packets: Iterable[bytes],
    link_type: int,
    *,
    order: str = "<",
    nanoseconds: bool = False,
    at: float = NOON,
) -> bytes:
    """One packet follows the other by a second."""
    magic, parts = (0xA1B23C4D, 10**9) if nanoseconds else (0xA1B2C3D4, 10**6)
    part = int(at % 1 * parts)
    head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    return head + b"".join(
        struct.pack(order + "IIII", int(at) + number, part, len(data), len(data)) + data
        for number, data in enumerate(packets)
    )


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(
    link_type: int, order: str = "<", options: bytes = b"", snapshot: int = 0
) -> bytes:
    head = struct.pack(order + "HHI", link_type, 0, snapshot)
    end = option(0, b"", order) if options else b""
    return block(1, head + options + end, order)


def enhanced_packet(
    data: bytes, time: int = int(NOON * 10**6), order: str = "<", number: int = 0
) -> bytes:
    head = struct.pack(
        order + "IIIII", number, time >> 32, time & 0xFFFFFFFF, len(data), len(data)
    )
    return block(6, head + data + bytes(-len(data) % 4), order)


def simple_packet(data: bytes, order: str = "<") -> bytes:
    return block(3, struct.pack(order + "I", len(data)) + data, order)


def hcidump(packets: Iterable[bytes], at: float | None = None, end: str = "\n") -> bytes:
    """``hcidump --raw``, with `at` as ``hcidump --raw -t`` in the local time."""
    lines = [
        "HCI sniffer - Bluetooth packet analyzer ver 5.43",
        "device: hci0 snap_len: 1500 filter: 0xffffffff",
    ]
    time = ""
    if at is not None:
        local = datetime.fromtimestamp(at, UTC).astimezone()
        time = f"{local:%Y-%m-%d %H:%M:%S.%f} "
    for packet in packets:
        rows = [packet[start : start + 20] for start in range(0, len(packet), 20)]
        marks = [f"{time}> ", *["  "] * (len(rows) - 1)]
        lines += [
            f"{mark}{row.hex(' ').upper()} " for mark, row in zip(marks, rows, strict=True)
        ]
    return end.join([*lines, ""]).encode()


def pcapng_of(packets: Iterable[bytes], link_type: int, order: str = "<") -> bytes:
    """A file of one interface; one packet follows the other by a second."""
    return (section(order) + interface(link_type, order)) + b"".join(
        enhanced_packet(packet, int((NOON + number) * 10**6), order)
        for number, packet in enumerate(packets)
    )
