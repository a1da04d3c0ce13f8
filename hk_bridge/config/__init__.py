"""accessories.json → one frozen `Config`, or every problem in it at once."""

from __future__ import annotations

from hk_bridge.config.append import add, appended
from hk_bridge.config.edit import change, changed
from hk_bridge.config.model import (
    MOST_ACCESSORIES,
    BluetoothConfig,
    BridgeConfig,
    ChannelConfig,
    Config,
    DimmerConfig,
    SensorConfig,
)
from hk_bridge.config.reader import json_schema, load, parse

__all__ = [
    "MOST_ACCESSORIES",
    "BluetoothConfig",
    "BridgeConfig",
    "ChannelConfig",
    "Config",
    "DimmerConfig",
    "SensorConfig",
    "add",
    "appended",
    "change",
    "changed",
    "json_schema",
    "load",
    "parse",
]
