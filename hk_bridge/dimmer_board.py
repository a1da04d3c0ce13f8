"""A dimmer of the house: its link, its lamps, and its push-buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hk_bridge.config import ChannelConfig, DimmerConfig
from hk_bridge.devices.dimmer import Lamp
from hk_bridge.devices.push_button import Gesture
from hk_bridge.lamp_station import LampStation
from hk_bridge.links.line_schedule import LineSettings
from hk_bridge.links.serial_port import SerialLink
from hk_bridge.protocols.wxdm2 import PROTOCOLS


class DimmerBoard:
    """One board behind `port`, which is that of its configuration unless it is simulated.

    `remembered` has what lamps were, by their identities, and `lamps` those that are there
    already. `on_change` is called after each change of a lamp that was accepted.
    """

    def __init__(
        self,
        config: DimmerConfig,
        port: str,
        remembered: Mapping[str, Lamp],
        on_change: Callable[[], None],
        lamps: Mapping[str, LampStation] = MappingProxyType({}),
    ) -> None:
        self._remembered = remembered
        self._on_change = on_change
        self._says_hello = bool(PROTOCOLS[config.protocol].hello)
        # The line of a simulated board has none that a button could be on.
        buttons = buttons_of(config) if port == config.port else {}
        self.link = SerialLink(port, line_settings(config), buttons, self._pressed)
        self.lamps: list[LampStation] = []
        self.change(config, lamps)

    def change(self, config: DimmerConfig, lamps: Mapping[str, LampStation]) -> None:
        """Have the lamps that the configuration says, on the same line.

        `lamps` are those that were ever there, by their identities.
        """
        gone = {lamp.config.channel for lamp in self.lamps}
        self.config = config
        self.lamps = [self._lamp(channel, lamps) for channel in config.channels]
        for channel in gone - {lamp.config.channel for lamp in self.lamps}:
            self.link.forget(channel)

    def _lamp(
        self, channel: ChannelConfig, lamps: Mapping[str, LampStation]
    ) -> LampStation:
        identity = self.config.identity(channel.channel)
        lamp = lamps.get(identity)
        if lamp is None:
            remembered = self._remembered.get(identity)
            return LampStation(self.config, channel, self.link, remembered, self._on_change)
        lamp.change(self.config, channel, self.link)
        return lamp

    def resend(self) -> None:
        """Send the last accepted levels again, after the port has been opened.

        A board that wants a hello wants a frame for each channel behind it, and is told
        "off" of those of which nothing is known, unless it should be left alone.
        """
        for lamp in self.lamps:
            level = lamp.channel.level
            if level is None and self._says_hello and self.config.startup != "keep":
                level = 0
            if level is not None:
                self.link.submit(lamp.config.channel, level)

    def lamp_on(self, channel: int) -> LampStation | None:
        """The lamp on `channel`; None where none is configured."""
        here = (lamp for lamp in self.lamps if lamp.config.channel == channel)
        return next(here, None)

    def _pressed(self, channel: int, gesture: Gesture) -> None:
        lamp = self.lamp_on(channel)
        if lamp is not None:
            lamp.press(gesture)


def buttons_of(config: DimmerConfig) -> dict[int, str]:
    """The modem-status lines with a push-button, by channel."""
    return {
        channel.channel: channel.button
        for channel in config.channels
        if channel.button is not None
    }


def is_same_line(one: DimmerConfig, other: DimmerConfig) -> bool:
    """Whether a port that is open for `one` can stay open for `other`."""
    return (
        one.port == other.port
        and line_settings(one) == line_settings(other)
        and buttons_of(one) == buttons_of(other)
    )


def line_settings(config: DimmerConfig) -> LineSettings:
    """How frames go out to a dimmer."""
    return LineSettings(
        protocol=PROTOCOLS[config.protocol],
        baudrate=config.baudrate,
        ramp=config.ramp,
        slide_ramp=config.slide_ramp,
        repeat=config.repeat,
        refresh=config.refresh,
        pause=config.pause,
    )
