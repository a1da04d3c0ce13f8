"""Push-buttons on the modem-status lines of an open port (docs/wiring.md)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from hk_bridge.devices.push_button import Gesture, PushButton
from hk_bridge.links.open_port import Line, OpenPort

_LOG = logging.getLogger(__name__)

#: Three times as often as a contact is asked for to be the same.
_SAMPLE_SECONDS: Final = 0.01

#: Where the lines cannot be read, how long until they are tried again.
_PAUSE_SECONDS: Final = 1.0

#: A server tells of its lines a moment after it was connected to, and of a port that was
#: pulled out others say more.
_PATIENCE_SECONDS: Final = 3.0


class Contacts:
    """The buttons of one port: `lines` has the channel and the name of the line of each.

    `on_gesture` is called in the loop of the port. A contact counts as pressed while its
    line is active.
    """

    def __init__(
        self,
        port_name: str,
        lines: Mapping[int, str],
        on_gesture: Callable[[int, Gesture], None],
    ) -> None:
        self._port_name = port_name
        self._lines = lines
        self._on_gesture = on_gesture
        self._read_at = 0.0

    def watch(self, line: Line, port: OpenPort) -> None:
        """Sample the lines until the port is to be closed; blocks, for a thread."""
        self._read_at = time.monotonic()
        is_said = False
        while not port.stopping.is_set():
            try:
                self._sample(line, port)
            except (OSError, AttributeError) as error:
                silent = time.monotonic() - self._read_at
                if silent >= _PATIENCE_SECONDS and not is_said:
                    is_said = True
                    _LOG.warning(
                        "%s has no lines that push-buttons could be read from: %s",
                        self._port_name,
                        error,
                    )
            port.stopping.wait(_PAUSE_SECONDS)

    def _sample(self, line: Line, port: OpenPort) -> None:
        """Sample the lines for as long as they can be read; see `watch`."""
        buttons = {channel: PushButton() for channel in self._lines}
        while not port.stopping.wait(_SAMPLE_SECONDS):
            for channel, name in self._lines.items():
                is_pressed = bool(getattr(line, name))
                self._read_at = time.monotonic()
                gesture = buttons[channel].feed(self._read_at, is_pressed)
                if gesture is not None:
                    port.tell(self._on_gesture, channel, gesture)
