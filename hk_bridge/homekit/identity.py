"""What a bridge must not forget: keys, pairings, setup code and id, aids, what is shown."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from hk_bridge.homekit.appearance import Appearance
from hk_bridge.model import parse_address
from hk_bridge.protocols.setup_code import new_setup_code, new_setup_id

_BRIDGE_AID: Final = 1

_MOST_AID: Final = 2**53
_MOST_CONFIG_NUMBER: Final = 65535
_SETUP_CODE: Final = re.compile(r"\d{3}-\d{2}-\d{3}", re.ASCII)
_SETUP_ID: Final = re.compile(r"[0-9A-Z]{4}")
_TOPIC: Final = re.compile(r"\d{1,16}\.\d{1,16}", re.ASCII)

#: The identity of the only sensor, while it has neither id nor address.
UNADDRESSED_SENSOR: Final = "sensor:"

#: The bridge itself, where accessories stand by their identities.
THE_BRIDGE: Final = "bridge"

#: aid 7 is not shown by some iOS versions (HAP-python avoids it too).
_SKIPPED_AIDS: Final = frozenset({7})


Value = TypeVar("Value")

_CONTROLLER_ID: Final = re.compile(rb"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def parse_controller_id(data: bytes) -> UUID:
    """The pairing id of a controller. Raises ValueError for what no controller sends.

    `UUID` alone takes braces, blanks and digits of all alphabets.
    """
    if _CONTROLLER_ID.fullmatch(data) is None:
        raise ValueError("no pairing id")
    return UUID(data.decode())


def bridge_name(name: str, number: int) -> str:
    """What the bridge `number`, from 1, of several is called that are called `name`."""
    return name if number == 1 else f"{name} {number}"


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

    `shown` is what controllers were told of each accessory, by its identity, and `gone`
    for how many seconds of the running program those have had no entry. `names` are what
    somebody has called services in Home, by ``aid.iid`` of the characteristic.
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
    shown: Mapping[str, Appearance] = field(default_factory=dict)
    gone: Mapping[str, float] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

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

    def without(self, accessories: Collection[str]) -> Identity:
        """The same without these accessories; their aids are not given again."""

        def others(mapping: Mapping[str, Value]) -> dict[str, Value]:
            return {key: value for key, value in mapping.items() if key not in accessories}

        return replace(
            self,
            aids=others(self.aids),
            shown=others(self.shown),
            gone=others(self.gone),
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
        aids, shown = dict(self.aids), dict(self.shown)
        if accessory == UNADDRESSED_SENSOR:
            known_as = f"{UNADDRESSED_SENSOR}{address}"
            aids.setdefault(known_as, aids.pop(accessory))
            if accessory in shown:
                shown.setdefault(known_as, shown.pop(accessory))
        return replace(self, aids=aids, shown=shown, adopted_address=address)

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
            "shown": {name: shown.to_json() for name, shown in self.shown.items()},
            "gone": dict(self.gone),
            "names": dict(self.names),
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
            # Earlier versions did not write these.
            shown={
                _text(name): Appearance.from_json(shown)
                for name, shown in data.get("shown", {}).items()
            },
            gone={_text(name): _seconds(at) for name, at in data.get("gone", {}).items()},
            names={
                _match(_TOPIC, topic): _text(name)
                for topic, name in data.get("names", {}).items()
            },
        )


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


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError("no seconds")
    return float(value)


def _number(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError("no number in range")
    return value
