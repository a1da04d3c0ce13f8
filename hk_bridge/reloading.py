"""Another configuration for the program that runs: all of it, or nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hk_bridge import config
from hk_bridge.config import Config
from hk_bridge.errors import ConfigError, HkBridgeError, LinkError, Problem, locate
from hk_bridge.identities import names_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a configuration has made other, by name; `warnings` are those of the file."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """All in a line."""
        parts = [
            f"{verb} {', '.join(names)}"
            for verb, names in (
                ("added", self.added),
                ("changed", self.changed),
                ("gone from it", self.gone),
            )
            if names
        ]
        return "; ".join(parts) or "nothing has changed"


class Reloader:
    """Reads the configuration at `path` anew, and has `apply` bring it into force.

    `apply` raises StoreError or LinkError, with nothing changed, where that cannot be.
    """

    def __init__(
        self, path: Path, current: Config, apply: Callable[[Config], Awaitable[None]]
    ) -> None:
        self._path = path
        self._current = current
        self._apply = apply
        self._reloading = asyncio.Lock()

    async def reload(self) -> Changes:
        """Have what the file says now in force; returns what that changed.

        Raises ConfigError for a file with mistakes, StoreError or LinkError for what cannot
        be brought into force; then everything is as it was.
        """
        async with self._reloading:
            new = await asyncio.to_thread(config.load, self._path)
            warnings = tuple(locate(str(self._path), each) for each in new.warnings)
            before = self._current
            if replace(new, warnings=()) == replace(before, warnings=()):
                return Changes(warnings=warnings)
            swaps = swapped(before, new)
            changes = replace(changes_between(before, new), warnings=(*warnings, *swaps))
            await self._apply(new)
            self._current = new
        for warning in new.warnings:
            if not _is_known(warning, before):
                _LOG.warning("%s", locate(str(self._path), warning))
        for swap in swaps:
            _LOG.warning("%s", swap)
        _LOG.info("%s is in force: %s", self._path, changes)
        return changes

    async def reload_and_say(self) -> None:
        """The same for a file that has changed by itself; what is wrong goes to the log."""
        try:
            await self.reload()
        except ConfigError as error:
            for line in error.lines:
                _LOG.error("%s", line)
            _LOG.error("%s is not used: %s", self._path, STAYS)
        except HkBridgeError as error:
            _LOG.error("%s is not used: %s. %s", self._path, error, STAYS.capitalize())


#: What becomes of a configuration that is refused.
STAYS: Final = "the configuration from before stays in force"


def no_file() -> LinkError:
    """Why a program that was given no file cannot read it anew."""
    return LinkError("this bridge was started without a file that could be read anew")


def changes_between(before: Config, after: Config) -> Changes:
    """What of the accessories is other, and which parts beside them."""
    old, new = _parts(before), _parts(after)
    return Changes(
        added=tuple(name for key, (name, _) in new.items() if key not in old),
        changed=tuple(
            name for key, (name, part) in new.items() if key in old and part != old[key][1]
        ),
        gone=tuple(name for key, (name, _) in old.items() if key not in new),
    )


def swapped(before: Config, after: Config) -> tuple[str, ...]:
    """What to do about each sensor that has another address, and so is new to Home."""
    known = {sensor.identity for sensor in before.sensors}
    stays = {sensor.identity for sensor in after.sensors}
    gone = {each.name: each for each in before.sensors if each.identity not in stays}
    return tuple(
        f"{sensor.name} is a new sensor to Home, in no room. If it is in the place of the "
        f'old one, give its entry "id": "{old.id or old.address}"'
        for sensor in after.sensors
        if sensor.identity not in known
        and (old := gone.get(sensor.name)) is not None
        and (old.id or old.address)
    )


def _parts(of: Config) -> dict[str, tuple[str, object]]:
    """Everything that can change by itself: its name, and what it is set to."""
    settings: dict[str, object] = {each.identity: each for each in of.sensors}
    for dimmer in of.dimmers:
        line = replace(dimmer, channels=())
        for channel in dimmer.channels:
            settings[dimmer.identity(channel.channel)] = (line, channel)
    names = names_of(of)
    parts: dict[str, tuple[str, object]] = {
        identity: (names[identity][0], setting) for identity, setting in settings.items()
    }
    return {
        "bridge": ("bridge", of.bridge),
        "bluetooth": ("bluetooth", of.bluetooth),
        **parts,
    }


def _is_known(warning: Problem, before: Config) -> bool:
    """Whether it was said of the configuration before, on whichever line it stood."""
    return any(
        (each.path, each.text) == (warning.path, warning.text) for each in before.warnings
    )
