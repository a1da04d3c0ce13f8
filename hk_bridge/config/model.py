"""The configuration as the rest of the program sees it: plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from hk_bridge.errors import Problem
from hk_bridge.model import Quantity, parse_address

#: A HomeKit bridge holds 150 accessories, and is one of them itself.
MOST_ACCESSORIES: Final = 149


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """The bridge itself. `bind` holds addresses or interface names, empty for all.

    `max_accessories` (1–149) are on one bridge, further ones on further bridges.
    `remove_after` is how many seconds an accessory without an entry stays in Home.
    """

    name: str = "HK Bridge"
    port: int = 51826
    pin: str | None = field(default=None, repr=False)
    username: str | None = None
    bind: tuple[str, ...] = ()
    max_accessories: int = MOST_ACCESSORIES
    remove_after: float = 600.0


@dataclass(frozen=True, slots=True)
class BluetoothConfig:
    """The radio. `adapter` is a name such as hci0, or an address in upper case with colons.

    "auto" listens passively, and actively only where that cannot be had. None for the
    adapter is any one that is on.
    """

    mode: Literal["auto", "passive", "active"] = "auto"
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class SensorConfig:
    """One Bluetooth sensor.

    `address` is upper case with colons, None for the only sensor that adopts the first
    one heard. `bind_key` is 12 or 16 bytes. `timeout` is in seconds, 0 for never, None
    for the default of the product. Offsets are in °C and %, `low_battery` in %. `names`
    are those of single quantities in Home, where they are given.
    """

    name: str
    address: str | None = None
    id: str | None = None
    bind_key: bytes | None = field(default=None, repr=False)
    timeout: float | None = None
    temperature_offset: float = 0.0
    humidity_offset: float = 0.0
    low_battery: int = 10
    battery: bool = True
    spike_filter: bool = True
    names: Mapping[Quantity, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """What HomeKit's aid hangs on: the `id`, else the address.

        An `id` that is spelled like an address is that address, so that a sensor which
        was known by its address alone can be replaced by another one.
        """
        known_as = self.id or self.address or ""
        return f"sensor:{parse_address(known_as) or known_as}"


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """One lamp of a dimmer; levels are 0–255, None for the whole range.

    `button` is the modem-status line with a push-button.
    """

    channel: int
    name: str
    min_level: int | None = None
    max_level: int | None = None
    gamma: float = 1.0
    button: Literal["cts", "dsr", "ri", "cd"] | None = None


@dataclass(frozen=True, slots=True)
class DimmerConfig:
    """One dimmer board on a serial line.

    `protocol` is a name of `protocols.wxdm2.PROTOCOLS`, ramps are the raw u16 of frames,
    `refresh` is in seconds, 0 for never, and `pause` in seconds, None for what the
    protocol wants.
    """

    name: str
    port: str
    channels: tuple[ChannelConfig, ...]
    id: str | None = None
    protocol: str = "wxdm2"
    baudrate: int = 9600
    ramp: int = 1500
    slide_ramp: int = 0
    repeat: int = 1
    refresh: float = 60.0
    pause: float | None = None
    startup: Literal["restore", "off", "keep"] = "restore"

    def identity(self, channel: int) -> str:
        """What the aid of one of its lamps hangs on: never the port, never the name."""
        return f"lamp:{self.id or ''}:{channel}"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file; `warnings` are worth saying once and stop nothing."""

    bridge: BridgeConfig = BridgeConfig()
    sensors: tuple[SensorConfig, ...] = ()
    dimmers: tuple[DimmerConfig, ...] = ()
    bluetooth: BluetoothConfig = BluetoothConfig()
    warnings: tuple[Problem, ...] = ()
