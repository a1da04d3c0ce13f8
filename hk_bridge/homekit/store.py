"""The identity of the bridges: keys, pairings, setup code and id, aids.

One file, ``homekit.json`` in the state directory, written before anything that it holds
is told to a controller: what Home has been told must never be forgotten.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from hk_bridge.errors import StoreError
from hk_bridge.files import Exposed, JsonFile, make_private
from hk_bridge.model import parse_address
from hk_bridge.protocols.setup_code import new_setup_code, new_setup_id

_FORMAT: Final = 1
_BRIDGE_AID: Final = 1

_MOST_AID: Final = 2**53
_MOST_CONFIG_NUMBER: Final = 65535
_SETUP_CODE: Final = re.compile(r"\d{3}-\d{2}-\d{3}", re.ASCII)
_SETUP_ID: Final = re.compile(r"[0-9A-Z]{4}")

#: The identity of the only sensor, while it has neither id nor address.
UNADDRESSED_SENSOR: Final = "sensor:"

#: aid 7 is not shown by some iOS versions (HAP-python avoids it too).
_SKIPPED_AIDS: Final = frozenset({7})


_CONTROLLER_ID: Final = re.compile(rb"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def parse_controller_id(data: bytes) -> UUID:
    """The pairing id of a controller. Raises ValueError for what no controller sends.

    `UUID` alone takes braces, blanks and digits of all alphabets.
    """
    if _CONTROLLER_ID.fullmatch(data) is None:
        raise ValueError("no pairing id")
    return UUID(data.decode())


@dataclass(frozen=True, slots=True)
class Pairing:
    """A controller: its pairing id as it spells it, its Ed25519 public key, its rank."""

    controller_id: bytes
    public_key: bytes = field(repr=False)
    admin: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """All that one bridge must not forget.

    `device_id` looks like a MAC address, `private_key` is a raw Ed25519 key (32 bytes),
    `aids` maps identities of accessories to aids and only ever grows; `next_aid` is
    larger than each of them. `config_number` and `database_hash` belong to mDNS c#.
    """

    device_id: str
    private_key: bytes = field(repr=False)
    setup_code: str = field(repr=False)
    setup_id: str
    config_number: int = 1
    database_hash: str | None = None
    failed_attempts: int = 0
    pairings: tuple[Pairing, ...] = field(default=(), repr=False)
    aids: Mapping[str, int] = field(default_factory=dict)
    next_aid: int = _BRIDGE_AID + 1
    adopted_address: str | None = None

    @classmethod
    def new(cls) -> Self:
        """A bridge that nobody has met yet."""
        octets = bytearray(secrets.token_bytes(6))
        octets[0] = octets[0] & 0xFC | 0x02  # locally administered, unicast
        return cls(
            device_id=octets.hex(":").upper(),
            private_key=Ed25519PrivateKey.generate().private_bytes_raw(),
            setup_code=new_setup_code(),
            setup_id=new_setup_id(),
        )

    def without_pairings(self) -> Identity:
        """The same accessories on a bridge that Home has never seen: new keys and id.

        Setup code and setup id stay, and so does the QR code that somebody has printed.
        """
        fresh = Identity.new()
        return replace(
            fresh,
            setup_code=self.setup_code,
            setup_id=self.setup_id,
            aids=self.aids,
            next_aid=self.next_aid,
            adopted_address=self.adopted_address,
        )

    def with_aids_for(self, accessories: list[str]) -> Identity:
        """The same with an aid for each of these identities."""
        aids, next_aid = dict(self.aids), self.next_aid
        for accessory in accessories:
            if accessory not in aids:
                while next_aid in _SKIPPED_AIDS:
                    next_aid += 1
                aids[accessory] = next_aid
                next_aid += 1
        return replace(self, aids=aids, next_aid=next_aid)

    def with_adopted(self, accessory: str, address: str) -> Identity:
        """The same after the sensor that had no address has found one.

        Its aid goes along, from the identity `accessory` to that of the address, unless
        it hangs on an id of its own, or the address has an aid from an earlier time.
        """
        aids = dict(self.aids)
        if accessory == UNADDRESSED_SENSOR:
            aids.setdefault(f"{UNADDRESSED_SENSOR}{address}", aids.pop(accessory))
        return replace(self, aids=aids, adopted_address=address)

    def to_json(self) -> dict[str, Any]:
        """What stands in the file."""
        return {
            "deviceId": self.device_id,
            "privateKey": self.private_key.hex(),
            "setupCode": self.setup_code,
            "setupId": self.setup_id,
            "configNumber": self.config_number,
            "databaseHash": self.database_hash,
            "failedAttempts": self.failed_attempts,
            "pairings": [
                {
                    "controller": pairing.controller_id.hex(),
                    "publicKey": pairing.public_key.hex(),
                    "admin": pairing.admin,
                }
                for pairing in self.pairings
            ],
            "aids": dict(self.aids),
            "nextAid": self.next_aid,
            "adoptedAddress": self.adopted_address,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises ValueError, TypeError, KeyError or AttributeError for anything else: what
        passes here can be run, shown and saved.
        """
        aids = {
            _text(name): _number(aid, 2, _MOST_AID) for name, aid in data["aids"].items()
        }
        next_aid = _number(data["nextAid"], 2, _MOST_AID)
        if (
            len(set(aids.values())) != len(aids)
            or max(aids.values(), default=1) >= next_aid
        ):
            raise ValueError("aids are not unique")
        private_key = bytes.fromhex(data["privateKey"])
        Ed25519PrivateKey.from_private_bytes(private_key)
        adopted = data["adoptedAddress"]
        return cls(
            device_id=_address(data["deviceId"]),
            private_key=private_key,
            setup_code=_match(_SETUP_CODE, data["setupCode"]),
            setup_id=_match(_SETUP_ID, data["setupId"]),
            config_number=_number(data["configNumber"], 1, _MOST_CONFIG_NUMBER),
            database_hash=None
            if data["databaseHash"] is None
            else _text(data["databaseHash"]),
            failed_attempts=_number(data["failedAttempts"], 0, _MOST_AID),
            pairings=tuple(_pairing(pairing) for pairing in data["pairings"]),
            aids=aids,
            next_aid=next_aid,
            adopted_address=None if adopted is None else _text(adopted),
        )


class Store:
    """The identities of the bridges of one process, on disk and in memory.

    They are saved on the caller's thread on purpose: a pairing that has been confirmed
    to a controller must already be on the disk, and saves are as rare as pairings.
    """

    def __init__(self, directory: Path) -> None:
        self._file = JsonFile(directory / "homekit.json", _read)
        self._bridges: list[Identity] = []
        self.notices: tuple[str, ...] = ()

    @classmethod
    def open(cls, directory: Path) -> Self:
        """What is stored in `directory`; what is not there yet is made and saved.

        `notices` holds what the person should know about it. Raises StoreError.
        """
        store = cls(directory)
        loaded = store._file.load()
        if loaded is None:
            store._bridges = [Identity.new()]
            store._save()
        else:
            store._bridges = loaded.value
            store.notices = loaded.notices
        return store

    @staticmethod
    def exists(directory: Path) -> bool:
        """Whether there is anything to open in `directory`, damaged or not."""
        return any(directory.glob("homekit.json*"))

    def bridge(self, number: int = 0) -> Identity:
        """The identity of one bridge; a process may hold several."""
        return self._bridges[number]

    def put(self, identity: Identity, number: int = 0) -> None:
        """Keep `identity`, of a bridge that is there or the next one.

        On return it is on the disk. Raises StoreError, and keeps what was there, where
        that fails.
        """
        before = self._bridges
        after = [*before[:number], identity, *before[number + 1 :]]
        if after == before:
            return
        self._bridges = after
        try:
            self._save()
        except StoreError:
            self._bridges = before
            raise

    def _save(self) -> None:
        self._file.save(
            {"format": _FORMAT, "bridges": [bridge.to_json() for bridge in self._bridges]}
        )


class StateLock:
    """Holds a state directory for one process; the kernel lets go when that ends.

    `exposed` is what others could read of it until the lock was taken.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self.exposed = Exposed()

    def __enter__(self) -> Self:
        """Take the lock, or raise StoreError where another process holds it."""
        try:
            self.exposed = make_private(self._path.parent)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "r+")
        except OSError as error:
            raise StoreError(
                f"the state directory {self._path.parent} cannot be used "
                f"({error.strerror}). Choose another one with --state-dir"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise StoreError(
                f"the state directory {self._path.parent} is in use by another hk-bridge. "
                "Stop that one first, or give this one a directory of its own with "
                "--state-dir"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _read(data: Any) -> list[Identity]:  # noqa: ANN401 # JSON is anything
    if data["format"] != _FORMAT:
        raise StoreError(
            f"homekit.json has format {data['format']!r}; this version of hk-bridge reads "
            f"format {_FORMAT}. Use the version that wrote it, or a newer one"
        )
    bridges = [Identity.from_json(bridge) for bridge in data["bridges"]]
    if not bridges:
        raise ValueError("no bridge")
    return bridges


def _pairing(data: Mapping[str, Any]) -> Pairing:
    controller_id = bytes.fromhex(data["controller"])
    UUID(controller_id.decode())
    public_key = bytes.fromhex(data["publicKey"])
    Ed25519PublicKey.from_public_bytes(public_key)
    if not isinstance(data["admin"], bool):
        raise TypeError("no boolean")
    return Pairing(controller_id, public_key, data["admin"])


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("no text")
    return value


def _match(pattern: re.Pattern[str], value: object) -> str:
    text = _text(value)
    if pattern.fullmatch(text) is None:
        raise ValueError("not what it should be")
    return text


def _address(value: object) -> str:
    address = parse_address(_text(value))
    if address is None:
        raise ValueError("no device id")
    return address


def _number(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError("no number in range")
    return value
