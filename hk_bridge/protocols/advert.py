"""From the service data of one advert to a `Reading`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hk_bridge.errors import DecodeError
from hk_bridge.model import Reading
from hk_bridge.protocols import atc, bthome, mibeacon

Decoder = Callable[[bytes, str | None, bytes | None], Reading]

#: 16-bit UUID of the service data → (service data, advertiser's address, bind key).
DECODERS: Final[Mapping[int, Decoder]] = {
    mibeacon.UUID: mibeacon.decode,
    atc.UUID: atc.decode,
    bthome.UUID: bthome.decode,
}

#: 16-bit UUID of the service data → what finds the sender's address in it.
_ADDRESSES: Final[Mapping[int, Callable[[bytes], str | None]]] = {
    mibeacon.UUID: mibeacon.address_in,
    atc.UUID: atc.address_in,
    bthome.UUID: bthome.address_in,
}

#: How a 16-bit UUID is spelled in 128 bits (Bluetooth Core, Vol 3, Part B, 2.5.1).
_BASE_UUID: Final = "0000{:04x}-0000-1000-8000-00805f9b34fb"

#: The same UUIDs as Bluetooth stacks spell them.
UUIDS: Final[Mapping[str, int]] = {_BASE_UUID.format(uuid): uuid for uuid in DECODERS}


def decode(
    service_data: Mapping[int, bytes], address: str | None, bind_key: bytes | None
) -> Reading | None:
    """The reading of the first entry that can be read; None where none has a decoder.

    Raises DecodeError where no service data is what its UUID says.
    """
    problem: DecodeError | None = None
    for uuid, data in service_data.items():
        decoder = DECODERS.get(uuid)
        if decoder is None:
            continue
        try:
            return decoder(data, address, bind_key)
        except DecodeError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None


def address_in(uuid: int, data: bytes) -> str | None:
    """The sender's address that stands in service data of `uuid`; None where none does."""
    finder = _ADDRESSES.get(uuid)
    return None if finder is None else finder(data)


def decode_payload(
    uuid: int, data: bytes, address: str | None, bind_key: bytes | None
) -> Reading:
    """The reading in `data`, which came under `uuid`.

    Raises DecodeError where the UUID has no decoder or `data` is not what it says.
    """
    reading = decode({uuid: data}, address, bind_key)
    if reading is None:
        known = ", ".join(f"{known:04X}" for known in DECODERS)
        raise DecodeError(
            f"no decoder for service data of {uuid:04X}, there is one for {known}"
        )
    return reading
