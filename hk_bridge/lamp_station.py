"""A lamp of the house, tied to its configuration, its accessory and its link."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final

from hk_bridge.complaints import Complaints
from hk_bridge.config import ChannelConfig, DimmerConfig
from hk_bridge.devices.dimmer import Change, DimmerChannel, Lamp, LevelCurve
from hk_bridge.devices.push_button import Gesture
from hk_bridge.errors import LinkError
from hk_bridge.homekit.accessories import LampAccessory
from hk_bridge.homekit.appearance import Appearance, Information
from hk_bridge.homekit.bridge import BridgeDriver
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.status import LampStatus

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

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
            _curve(config),
            remembered,
            dimmer.startup,
        )
        link.assume(config.channel, self.channel.assumed)
        self._on_change = on_change
        self._blinking: asyncio.Task[None] | None = None

    def change(self, dimmer: DimmerConfig, config: ChannelConfig, link: SerialLink) -> None:
        """Be what the configuration says from now on, behind `link`.

        A lamp that is on is set anew where its curve is another one.
        """
        self._dimmer, self.config, self.link = dimmer, config, link
        change = self.channel.bend(_curve(config))
        link.assume(config.channel, self.channel.assumed)
        if change is not None:
            self.channel.accept(change, time.monotonic())
            # Where the port is not open, it is sent as soon as it is.
            with contextlib.suppress(LinkError):
                link.submit(config.channel, change.level)

    @property
    def appearance(self) -> Appearance:
        """What Home is to be told of it."""
        number = self.config.channel
        maker = self._dimmer.protocol.upper()
        serial = f"{self._dimmer.id or 'WXDM2'}-{number}"
        return Appearance(
            Information(self.config.name, maker, f"Dimmer channel {number}", serial)
        )

    def make_accessory(self, driver: BridgeDriver, aid: int) -> LampAccessory:
        """The accessory on which this lamp is shown from now on."""
        self.accessory = LampAccessory(
            driver,
            self.appearance.information,
            aid,
            self.identify,
            apply=self.apply,
            reachable=lambda: self.link.is_open,
        )
        self.accessory.show(self.channel.lamp)
        return self.accessory

    def apply(self, on: bool | None, brightness: int | None) -> Lamp:  # noqa: FBT001 # HomeKit's own pair
        """Carry out one write. Raises LinkError, with nothing changed, without a port."""
        now = time.monotonic()
        self._carry_out(self.channel.write(now, on=on, brightness=brightness))
        return self.channel.lamp

    def press(self, gesture: Gesture) -> None:
        """Do what its push-button means."""
        change = self.channel.press(gesture)
        if change is None:
            return
        try:
            self._carry_out(change)
        except LinkError as error:
            _complaints.say(
                (self.identity, str(error)),
                f"{self.config.name} was not set by its button: {error}",
            )
        self.accessory.show(self.channel.lamp)

    def set_percent(
        self, percent: int, *, on: bool | None = None, ramp: int | None = None
    ) -> None:
        """Set it to `percent` (0–100) from elsewhere, with the usual ramp unless given.

        As by a write of Home, which sees it. Raises LinkError, with nothing changed,
        without a port.
        """
        change = self.channel.write(time.monotonic(), on=on, brightness=percent)
        self._carry_out(change, ramp)
        self.accessory.show(self.channel.lamp)

    def set_level(self, level: int, ramp: int | None = None) -> None:
        """Set it to this very `level` (0–255); see `set_percent`."""
        self._carry_out(self.channel.observe(level), ramp)
        self.accessory.show(self.channel.lamp)

    def _carry_out(self, change: Change, ramp: int | None = None) -> None:
        self.link.submit(self.config.channel, change.level, slide=change.slide, ramp=ramp)
        self._stop_blinking()
        self.channel.accept(change, time.monotonic())
        self._on_change()

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

    def identify(self) -> None:
        """Blink, and then put the lamp back. Raises LinkError without a port."""
        self.link.require_open()
        self._stop_blinking()
        if self.channel.level is None:
            # From the first blink on it is known what it is to be put back to.
            change = self.channel.observe(self.channel.assumed)
            self.channel.accept(change, time.monotonic())
        self._blinking = asyncio.get_running_loop().create_task(self._blink())

    async def close(self) -> None:
        """End what is under way, with the lamp as it should be, on the wire."""
        task = self._blinking
        self._stop_blinking()
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await task
            with contextlib.suppress(LinkError):
                self.link.submit(self.config.channel, self.channel.assumed)
        await self.link.drain()

    def _stop_blinking(self) -> None:
        if self._blinking is not None:
            self._blinking.cancel()
            self._blinking = None

    async def _blink(self) -> None:
        own = self.channel.assumed
        other = 0 if own else self.channel.level_of(Lamp(on=True))
        with contextlib.suppress(LinkError):
            for level in (other, own) * _BLINKS:
                self.link.submit(self.config.channel, level)
                await asyncio.sleep(_BLINK_SECONDS)
        self._blinking = None


def _curve(config: ChannelConfig) -> LevelCurve:
    return LevelCurve(config.min_level, config.max_level, config.gamma)
