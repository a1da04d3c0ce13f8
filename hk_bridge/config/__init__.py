"""accessories.json → one frozen `Config`, or every problem in it at once."""

from __future__ import annotations

from hk_bridge.config.model import (
    BridgeConfig,
    ChannelConfig,
    Config,
    DimmerConfig,
    SensorConfig,
)
from hk_bridge.config.reader import json_schema, load, parse

__all__ = [
    "BridgeConfig",
    "ChannelConfig",
    "Config",
    "DimmerConfig",
    "SensorConfig",
    "json_schema",
    "load",
    "parse",
]
