"""What the command line says beside the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """How the program is run.

    `config` is the file of the configuration, which is read again when it changes; None
    for a configuration that stays as it is. `bind` and `port` stand in the place of those
    of the configuration. `replay` is a capture in the place of the radio, and `speed` how
    many times as fast as when it was recorded.
    """

    state_directory: Path
    simulate: bool = False
    bind: tuple[str, ...] = ()
    port: int | None = None
    replay: Path | None = None
    speed: float = 1.0
    config: Path | None = None

    @property
    def is_real(self) -> bool:
        """Whether what sensors say is to be kept as what they said."""
        return not self.simulate and self.replay is None
