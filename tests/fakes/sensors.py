"""What sensors of every format broadcast: service data, plain or encrypted.

Built here field by field, so that nothing of the code under test has a hand in it. An
address is written ``A4:C1:38:02:83:F4``, temperatures are in °C, humidities and batteries
in %, a bind key is the bytes of one (12 for MiBeacon 2 and 3, 16 everywhere else).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

#: An id or type and the data that follows it.
Object = tuple[int, bytes]

TAG_LENGTH: Final = 4
MIBEACON_ENCRYPTED: Final = 0x0008
MIBEACON_OBJECT: Final = 0x0040


def mibeacon(
    product_id: int,
    counter: int,
    address: str,
    objects: Iterable[Object],
    *,
    key: bytes | None = None,
    version: int = 5,
    capability: bytes = b"",
    with_mac: bool = True,
    extended_counter: int = 1,
    control: int = 0,
) -> bytes:
    """Service data of FE95; without objects it is what an idle sensor sends.

    With `key` it is encrypted, by 12 bytes in versions 2 and 3 and by 16 in 4 and 5.
    `capability` is the byte and what it says that follows; `control` are further bits.
    """
    plain = b"".join(struct.pack("<HB", kind, len(data)) + data for kind, data in objects)
    control |= version << 12 | (0x10 if with_mac else 0) | (0x20 if capability else 0)
    control |= MIBEACON_OBJECT if plain else 0
    sealed = key if plain else None
    control |= MIBEACON_ENCRYPTED if sealed else 0
    mac = _mac(address)[::-1]
    start = struct.pack("<HHB", control, product_id, counter)
    head = start + (mac if with_mac else b"") + capability
    if sealed is None:
        return head + plain
    more = extended_counter.to_bytes(3, "little")
    if version < 4:
        # What CCM without its tag encrypts is what CCM with one does.
        nonce = start + more + mac[:5]
        aes = sealed[:6] + bytes.fromhex("8d3d3c97") + sealed[6:]
        return head + _seal(aes, nonce, plain, b"\x11")[0] + more + b"\x00"
    text, tag = _seal(sealed, mac + start[2:5] + more, plain, b"\x11")
    return head + text + more + tag


def atc1441(
    address: str,
    temperature: float,
    humidity: float,
    battery: int,
    millivolts: int = 2900,
    counter: int = 1,
    *,
    key: bytes | None = None,
) -> bytes:
    """Service data of 181A, 13 bytes; with `key` 8, in half degrees and without mV."""
    if key is None:
        numbers = (round(temperature * 10), round(humidity), battery, millivolts, counter)
        return _mac(address) + struct.pack(">hBBHB", *numbers)
    plain = bytes([round(temperature * 2) + 80, round(humidity * 2), battery])
    return _sealed_181a(address, counter, plain, key)


def pvvx(
    address: str,
    temperature: float,
    humidity: float,
    battery: int,
    millivolts: int = 2900,
    counter: int = 1,
    *,
    flags: int | None = 0x0F,
    key: bytes | None = None,
) -> bytes:
    """Service data of 181A, 15 bytes, or 14 without flags; with `key` 11, without mV."""
    climate = (round(temperature * 100), round(humidity * 100))
    if key is None:
        numbers = struct.pack("<hHHBB", *climate, millivolts, battery, counter)
        end = b"" if flags is None else bytes([flags])
        return _mac(address)[::-1] + numbers + end
    plain = struct.pack("<hHBB", *climate, battery, flags or 0)
    return _sealed_181a(address, counter, plain, key)


def bthome(
    objects: Iterable[Object],
    address: str,
    *,
    key: bytes | None = None,
    counter: int = 1,
    with_mac: bool = False,
    version: int = 2,
    trigger_based: bool = False,
) -> bytes:
    """Service data of FCD2; `counter` is that of the encryption, 32 bits.

    An object is its id and all that follows it, a length byte too where it has one.
    """
    plain = b"".join(bytes([kind]) + data for kind, data in objects)
    info = version << 5 | (key is not None) | with_mac << 1 | trigger_based << 2
    mac = _mac(address)
    head = bytes([info]) + (mac[::-1] if with_mac else b"")
    if key is None:
        return head + plain
    count = struct.pack("<I", counter)
    text, tag = _seal(key, mac + b"\xd2\xfc" + head[:1] + count, plain, None)
    return head + text + count + tag


def mibeacon_climate(temperature: float, humidity: float, battery: int) -> list[Object]:
    """The objects 0x100D and 0x100A."""
    both = struct.pack("<hH", round(temperature * 10), round(humidity * 10))
    return [(0x100D, both), (0x100A, bytes([battery]))]


def bthome_climate(
    packet_id: int, temperature: float, humidity: float, battery: int
) -> list[Object]:
    """The objects 0x00, 0x01, 0x02 and 0x03."""
    return [
        (0x00, bytes([packet_id])),
        (0x01, bytes([battery])),
        (0x02, struct.pack("<h", round(temperature * 100))),
        (0x03, struct.pack("<H", round(humidity * 100))),
    ]


def _sealed_181a(address: str, counter: int, plain: bytes, key: bytes) -> bytes:
    """The nonce holds the head of the AD structure: length, type and UUID."""
    count = bytes([counter])
    length = 3 + len(count) + len(plain) + TAG_LENGTH
    nonce = _mac(address)[::-1] + bytes([length, 0x16, 0x1A, 0x18]) + count
    return count + b"".join(_seal(key, nonce, plain, b"\x11"))


def _seal(
    key: bytes, nonce: bytes, plain: bytes, associated: bytes | None
) -> tuple[bytes, bytes]:
    """Ciphertext and tag."""
    both = AESCCM(key, tag_length=TAG_LENGTH).encrypt(nonce, plain, associated)
    return both[:-TAG_LENGTH], both[-TAG_LENGTH:]


def _mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))
