"""Frames of the custom firmware for Xiaomi thermometers: the service data of UUID 0x181A.

Source: docs/protocols/atc.md. Two layouts, ATC1441 and pvvx, each plain and encrypted.
Nothing in a frame says which one it is: its length does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hk_bridge.errors import DecodeError
from hk_bridge.model import Quantity, Reading
from hk_bridge.protocols.cipher import MAC_LENGTH, mac_of, open_sealed
from hk_bridge.protocols.quantities import sift

UUID: Final = 0x181A

_ASSOCIATED_DATA: Final = b"\x11"
_COUNTER_LENGTH: Final = 1

#: How the AD structure with this service data begins, behind its length: type and UUID.
_AD_HEAD: Final = b"\x16" + UUID.to_bytes(2, "little")


def _atc1441(
    tenths: int, humidity: int, battery: int, millivolts: int, _counter: int
) -> Mapping[Quantity, float]:
    return {
        "temperature": tenths / 10,
        "humidity": humidity,
        "battery": battery,
        "voltage": millivolts / 1000,
    }


def _pvvx(
    temperature: int, humidity: int, millivolts: int, battery: int, _counter: int
) -> Mapping[Quantity, float]:
    """The first two in hundredths."""
    return {
        "temperature": temperature / 100,
        "humidity": humidity / 100,
        "battery": battery,
        "voltage": millivolts / 1000,
    }


def _encrypted_atc1441(
    halves: int, half_percents: int, battery: int
) -> Mapping[Quantity, float]:
    """The highest bit of the third is the output of the sensor's trigger."""
    return {
        "temperature": halves / 2 - 40,
        "humidity": half_percents / 2,
        "battery": battery & 0x7F,
    }


def _encrypted_pvvx(
    temperature: int, humidity: int, battery: int
) -> Mapping[Quantity, float]:
    """The first two in hundredths."""
    return {
        "temperature": temperature / 100,
        "humidity": humidity / 100,
        "battery": battery,
    }


@dataclass(frozen=True, slots=True)
class _Layout:
    """The numbers in a frame, and what they say.

    A plain frame has its MAC before them, where `mac_step` is -1 reversed, and the counter
    as the last of them. An encrypted one has the counter before the ciphertext.
    """

    format: str
    numbers: struct.Struct
    values_of: Callable[..., Mapping[Quantity, float]]
    mac_step: int = 1


#: Length of the service data → layout. The flags of pvvx, of its inputs and outputs, are
#: passed over (``x``).
_PLAIN: Final = {
    13: _Layout("atc1441", struct.Struct(">hBBHB"), _atc1441),
    14: _Layout("pvvx", struct.Struct("<hHHBB"), _pvvx, mac_step=-1),
    15: _Layout("pvvx", struct.Struct("<hHHBBx"), _pvvx, mac_step=-1),
}

#: The same of encrypted frames, with the layout of the plaintext.
_ENCRYPTED: Final = {
    8: _Layout("atc1441", struct.Struct("<BBB"), _encrypted_atc1441),
    11: _Layout("pvvx", struct.Struct("<hHBx"), _encrypted_pvvx),
}


def decode(
    data: bytes, address: str | None = None, bind_key: bytes | None = None
) -> Reading:
    """The values in one frame (service data without the UUID).

    `address` is the advertiser's and `bind_key` has 16 bytes; only an encrypted frame
    needs them. Without a key such a one is marked `needs_key`. The voltage is there where
    the frame has it, which an encrypted one never does.
    Raises DecodeError for bytes that are no frame and for an encrypted one without
    `address`, BindKeyError for a wrong key.
    """
    layout = _PLAIN.get(len(data))
    if layout is not None:
        numbers = layout.numbers.unpack_from(data, MAC_LENGTH)
        mac = data[:MAC_LENGTH][:: layout.mac_step]
        return _reading(layout, numbers, numbers[-1], mac)
    layout = _ENCRYPTED.get(len(data))
    if layout is None:
        known = ", ".join(str(length) for length in sorted(_PLAIN | _ENCRYPTED))
        raise DecodeError(
            f"a frame of ATC1441 or pvvx firmware has {known} bytes, this has {len(data)}"
        )
    if bind_key is None:
        return Reading(layout.format, None, data[0], needs_key=True)
    plain = _open(data, mac_of(address), bind_key)
    return _reading(layout, layout.numbers.unpack(plain), data[0])


def address_in(data: bytes) -> str | None:
    """The sender's address, as Bluetooth stacks spell it: every plain frame has it."""
    layout = _PLAIN.get(len(data))
    if layout is None:
        return None
    return data[:MAC_LENGTH][:: layout.mac_step].hex(":").upper()


def _reading(
    layout: _Layout, numbers: tuple[int, ...], counter: int, mac: bytes = b""
) -> Reading:
    values, implausible = sift(layout.values_of(*numbers))
    return Reading(layout.format, None, counter, mac, values, False, implausible)


def _open(data: bytes, mac: bytes, key: bytes) -> bytes:
    """The plaintext of an encrypted frame; `mac` is in the order in which it is written."""
    counter, sealed = data[:_COUNTER_LENGTH], data[_COUNTER_LENGTH:]
    nonce = mac[::-1] + bytes((len(data) + len(_AD_HEAD),)) + _AD_HEAD + counter
    return open_sealed(key, nonce, sealed, _ASSOCIATED_DATA)
