"""Every exception that the project raises on purpose.

A caller that catches `HkBridgeError` has caught them all; the message of each is a
sentence for the person in front of the terminal and never contains a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class HkBridgeError(Exception):
    """Base of all: the message says what happened, where, and what to do next."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or doubtful, in a configuration file.

    `path` is the JSON path as a person would write it (``accessories[0].bindKey``,
    empty for the file as a whole), `line` counts from 1 (0: no line is known).
    """

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


class ConfigError(HkBridgeError):
    """The configuration file cannot be used; `problems` lists everything at once."""

    def __init__(
        self, file: str, problems: Sequence[Problem], warnings: Sequence[Problem] = ()
    ) -> None:
        self.file = file
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """Each problem as `locate` has it."""
        return tuple(locate(self.file, problem) for problem in self.problems)


def locate(file: str, problem: Problem) -> str:
    """`problem` as one line that editors can jump to: ``file:line: path: text``."""
    place = f"{file}:{problem.line}" if problem.line else file
    return f"{place}: {problem}"


class DecodeError(HkBridgeError):
    """Bytes that are not what their format says; the only kind that `protocols` raises."""


class BindKeyError(DecodeError):
    """An encrypted frame that the given bind key does not open, or cannot."""


class LinkError(HkBridgeError):
    """A radio or a serial line is not there, or has gone away."""


class StoreError(HkBridgeError):
    """The state directory or a file in it cannot be read or written."""
