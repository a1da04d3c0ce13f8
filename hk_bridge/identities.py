"""What the configuration and the kept identity of the bridge make of each other."""

from __future__ import annotations

from dataclasses import replace

from hk_bridge.config import Config
from hk_bridge.errors import StoreError
from hk_bridge.homekit.store import Identity


def settle(identity: Identity, config: Config) -> Identity:
    """The identity that a bridge has with this configuration.

    Raises StoreError where a paired bridge would become another one.
    """
    device_id = config.bridge.username or identity.device_id
    if identity.pairings and device_id != identity.device_id:
        raise StoreError(
            f"the bridge is paired as {identity.device_id}, but bridge.username is "
            f"{device_id}. Take bridge.username out, or forget the pairing first with: "
            "hk-bridge pairing reset (with the --state-dir of this bridge, if it has one)"
        )
    identity = replace(
        identity, device_id=device_id, setup_code=config.bridge.pin or identity.setup_code
    )
    return identity.with_aids_for(
        [sensor.identity for sensor in with_adopted_address(config, identity).sensors]
        + [dimmer.identity(c.channel) for dimmer in config.dimmers for c in dimmer.channels]
    )


def with_adopted_address(config: Config, identity: Identity) -> Config:
    """The configuration with the address that the only sensor has adopted."""
    if identity.adopted_address is None:
        return config
    sensors = tuple(
        replace(sensor, address=sensor.address or identity.adopted_address)
        for sensor in config.sensors
    )
    return replace(config, sensors=sensors)
