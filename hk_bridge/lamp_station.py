"""A lamp of the house, tied to its configuration, its accessory and its link."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from hk_bridge.config import ChannelConfig, DimmerConfig
from hk_bridge.devices.dimmer import DimmerChannel, Lamp, LevelCurve
from hk_bridge.errors import LinkError
from hk_bridge.homekit.accessories import Information, LampAccessory
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.status import LampStatus

_BLINKS: Final = 3
_BLINK_SECONDS: Final = 0.5


class LampStation:
    """A dimmer channel: from its accessory to the link.

    `on_change` is called after each write that was accepted.
    """

    accessory: LampAccessory

    def __init__(
        self,
        dimmer: DimmerConfig,
        config: ChannelConfig,
        link: SerialLink,
        remembered: Lamp | None,
        on_change: Callable[[], None],
    ) -> None:
        self.config = config
        self._dimmer = dimmer
        self.identity = dimmer.identity(config.channel)
        self.link = link
        self.channel = DimmerChannel(
            LevelCurve(config.min_level, config.max_level), remembered
        )
        self._on_change = on_change
        self._blinking: asyncio.Task[None] | None = None

    def make_accessory(self, driver: BridgeDriver, aid: int) -> LampAccessory:
        """The accessory on which this lamp is shown from now on."""
        number = self.config.channel
        serial = f"{self._dimmer.id or 'WXDM2'}-{number}"
        self.accessory = LampAccessory(
            driver,
            Information(self.config.name, "WXDM2", f"Dimmer channel {number}", serial),
            aid,
            self.identify,
            apply=self.apply,
            reachable=lambda: self.link.is_open,
        )
        self.accessory.show(self.channel.lamp)
        return self.accessory

    def apply(self, on: bool | None, brightness: int | None) -> Lamp:  # noqa: FBT001 # HomeKit's own pair
        """Carry out one write. Raises LinkError, with nothing changed, without a port."""
        lamp = self.channel.lamp.set(on=on, brightness=brightness)
        level = self.channel.level_of(lamp)
        if (
            level != self.channel.level
            or self._blinking is not None
            or not self.link.is_open
        ):
            self._stop_blinking()
            self.link.submit(self.config.channel, level)
        self.channel.accept(lamp)
        self._on_change()
        return lamp

    def status(self) -> LampStatus:
        """What it is set to."""
        lamp = self.channel.lamp
        return LampStatus(
            self.config.name,
            self._dimmer.name,
            self.config.channel,
            self._dimmer.port,
            self.link.is_open,
            lamp.on,
            lamp.brightness,
            self.channel.level,
        )

    def resend(self) -> None:
        """Send the last accepted level again, after the port has come back."""
        if self.channel.level is not None:
            self.link.submit(self.config.channel, self.channel.level)

    def identify(self) -> None:
        """Blink, and then put the lamp back. Raises LinkError without a port."""
        if not self.link.is_open:
            raise LinkError(f"{self.link.name} is not there")
        self._stop_blinking()
        self._blinking = asyncio.get_running_loop().create_task(self._blink())

    async def close(self) -> None:
        """End what is under way, with the lamp as it should be, on the wire."""
        task = self._blinking
        self._stop_blinking()
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await task
            with contextlib.suppress(LinkError):
                self.link.submit(self.config.channel, self.channel.level or 0)
        await self.link.drain()

    def _stop_blinking(self) -> None:
        if self._blinking is not None:
            self._blinking.cancel()
            self._blinking = None

    async def _blink(self) -> None:
        own = self.channel.level or 0
        other = 0 if own else self.channel.level_of(Lamp(on=True))
        with contextlib.suppress(LinkError):
            for level in (other, own) * _BLINKS:
                self.link.submit(self.config.channel, level)
                await asyncio.sleep(_BLINK_SECONDS)
        self._blinking = None
