"""Accessories whose entry is gone: Home still knows them, and they do not respond."""

from __future__ import annotations

from typing import NoReturn

from hk_bridge.errors import LinkError
from hk_bridge.homekit.accessories import LampAccessory, SensorAccessory
from hk_bridge.homekit.appearance import Appearance
from hk_bridge.homekit.bridge import BridgeDriver


def make_absent(
    driver: BridgeDriver, aid: int, appearance: Appearance
) -> SensorAccessory | LampAccessory:
    """An accessory that looks as it did; what it measured, or was set to, is unknown."""
    information = appearance.information

    def refuse(*_: object) -> NoReturn:
        raise LinkError("its entry is gone from accessories.json; put it back to use it")

    if appearance.quantities is None:
        lamp = LampAccessory(
            driver,
            information,
            aid,
            refuse,
            apply=refuse,
            reachable=lambda: False,
        )
        lamp.forget()
        return lamp
    return SensorAccessory(
        driver,
        information,
        aid,
        refuse,
        quantities=appearance.quantities,
        names=appearance.names,
    )
