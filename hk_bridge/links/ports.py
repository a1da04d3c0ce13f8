"""What the system knows of a serial port: a name that stays, and why it cannot be used.

Each reason is explained in docs/troubleshooting.md, "The lamp shows No Response".
"""

from __future__ import annotations

import errno
import os
import socket
import termios
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from hk_bridge.links.serial_device import SerialDevice

_DEVICES: Final = Path("/dev")
_PROCESSES: Final = Path("/proc")

#: What the system raises, and pyserial by it.
_SYSTEM_ERRORS: Final = (OSError, termios.error)

#: URLs of pyserial that stand for a device of this computer.
_DEVICE_SCHEMES: Final = ("spy", "alt")

#: What an error is known by: its number, its class, or what pyserial writes into it.
_Key = int | str | type[Exception]

_HELD: Final = "is {0.holders}"
_UNPLUGGED: Final = "{0.loss}"
_HUNG_UP: Final = (
    "was hung up by the server at {0.place}. Many serve one client at a time: is there "
    "another?"
)
_NO_WAY: Final = (
    "cannot be reached: there is no way to {0.host}. Is it switched on, and is this "
    "computer in its network?"
)
_FORBIDDEN_PLACE: Final = (
    "cannot be reached: this computer forbids connections to {0.place}, by a firewall or "
    "in the unit of the service"
)
_OTHER_SETTINGS: Final = (
    "refuses the baud rate, or 8 data bits without parity. Set them at the server, and "
    "try {0.plain}"
)

#: What is raised of an RFC 2217 server that has answered before.
NO_ANSWER: Final = "no answer"

#: What happened to a device, in words for a SerialDevice.
_DEVICE_WORDS: Final[Mapping[_Key, str]] = {
    errno.ENOENT: "is not there. {0.question} {0.others}",
    errno.EACCES: "may not be opened by this user{0.refusal}",
    errno.EPERM: "is kept from this program by a container or a service. Allow it, with "
    "docker run --device {0.path}, or with DeviceAllow={0.path} in the unit",
    errno.EAGAIN: _HELD,
    errno.EBUSY: _HELD,
    errno.EIO: _UNPLUGGED,
    errno.ENODEV: _UNPLUGGED,
    errno.ENXIO: _UNPLUGGED,
    "but returned no data": _UNPLUGGED,
    errno.ENOTTY: "is no serial port. {0.others}",
    errno.EISDIR: "is a folder, and no serial port. {0.others}",
    "Write timeout": "takes no bytes any more. Pull its plug at the computer, "
    "and plug it in again",
}

#: What happened to a port behind a URL, in words for a _Server.
_SERVER_WORDS: Final[Mapping[_Key, str]] = {
    ConnectionRefusedError: "cannot be reached: nothing listens at {0.place}. Does the "
    "serial server run there?",
    errno.ENETDOWN: _NO_WAY,
    errno.ENETUNREACH: _NO_WAY,
    errno.EHOSTDOWN: _NO_WAY,
    errno.EHOSTUNREACH: _NO_WAY,
    errno.EACCES: _FORBIDDEN_PLACE,
    errno.EPERM: _FORBIDDEN_PLACE,
    socket.gaierror: "cannot be reached: {0.host} is not known. Is the name right, and is "
    "the network up?",
    NO_ANSWER: "does not answer any more. Does the server hang?",
    "Write timeout": "takes no bytes any more. Does the server hang?",
    "socket error): timed out": "takes no bytes any more. Does the server hang?",
    TimeoutError: "does not answer at {0.place}. Is it switched on, and is the address "
    "right?",
    ConnectionResetError: _HUNG_UP,
    ConnectionAbortedError: _HUNG_UP,
    BrokenPipeError: _HUNG_UP,
    "socket disconnected": _HUNG_UP,
    "reader thread died": _HUNG_UP,
    "not seem to support RFC2217": "does not answer as RFC 2217 wants it. Does the server "
    "hang? If it speaks plain TCP alone, use {0.plain}",
    "timeout while waiting for option": "does not speak all of RFC 2217. Try {0.plain}",
    "does not accept parameter change": _OTHER_SETTINGS,
    "remote rejected value": _OTHER_SETTINGS,
}

_NO_URL: Final = (
    "is no port: a device such as /dev/ttyUSB0 is, or a URL such as socket://host:7000 or "
    "rfc2217://host:7000"
)


def stable_name(port: str, devices: Path = _DEVICES) -> str | None:
    """The path by which the device `port` is found again after it was unplugged.

    That is its link in /dev/serial/by-id, else in /dev/serial/by-path, which names the
    socket that it is in. None for URLs, for links, which stay already, and where there is
    none. `devices` is what is looked at in place of /dev.
    """
    device = Path(port)
    if device.parent != devices or device.is_symlink():
        return None
    by_id = _links(devices / "serial" / "by-id")
    by_path = _links(devices / "serial" / "by-path")
    # Adapters of one kind that have no serial numbers share a name by id. Which of them
    # has it depends on the order of plugging in, and the others have none.
    adapters = {target for target, link in by_path.items() if "-usb" in link}
    names = by_path | by_id if adapters <= by_id.keys() else by_id | by_path
    return names.get(_resolved(port))


def is_same(port: str, other: str) -> bool:
    """Whether two ports, paths or URLs, are one: by one name, or as one device."""
    first, second = _device_path(port), _device_path(other)
    if first is None or second is None:
        return port == other
    return _resolved(first) == _resolved(second)


def _resolved(path: str) -> str:
    """Where links lead to; the path itself if it is none that can be."""
    try:
        return os.path.realpath(path)
    except ValueError:  # a null byte in it
        return path


def better_name(name: str) -> str:
    """What to say of a port that has a stable `name`: the words after its own name."""
    return (
        "can be another adapter after the next start, as these names are given in the "
        f'order of plugging in. Write "port": "{name}" instead'
    )


def _links(directory: Path) -> dict[str, str]:
    """The links in a directory by what they point to, of several the first."""
    try:
        links = sorted(map(str, directory.iterdir()), reverse=True)
    except OSError:
        return {}
    return {_resolved(link): link for link in links}


def reason(
    port: str, error: Exception, devices: Path = _DEVICES, processes: Path = _PROCESSES
) -> str:
    """Why `port`, a path or a URL, cannot be used: the words behind "serial port …".

    `error` is what pyserial or the system has raised. It asks the system for users and
    processes, which may take a while: not to be called on an event loop. `devices` and
    `processes` are what is looked at in place of /dev and /proc.
    """
    path = _device_path(port)
    thing: SerialDevice | _Server
    if path is None:
        thing, table = _Server(port), _SERVER_WORDS
    else:
        thing, table = SerialDevice(path, devices, processes), _DEVICE_WORDS
    errors = list(_chain(error))
    for each in errors:
        if isinstance(each, OSError) and each.filename not in (None, path):
            continue  # it is about a file that the options of a URL name
        for key, words in table.items():
            if _is(each, key):
                return words.format(thing)
    is_of_system = all(isinstance(each, _SYSTEM_ERRORS) for each in errors)
    return f"cannot be used: {error}" if is_of_system or "://" not in port else _NO_URL


def _device_path(port: str) -> str | None:
    """The device that a port stands for, None behind another URL."""
    scheme, separator, rest = port.partition("://")
    if not separator:
        return port
    return rest.partition("?")[0] if scheme.lower() in _DEVICE_SCHEMES else None


def _chain(error: BaseException | None) -> Iterator[Exception]:
    """An error, and what it was made of: pyserial keeps that in different ways."""
    while isinstance(error, Exception):
        yield error
        error = error.__cause__ or error.__context__


def _is(error: Exception, key: _Key) -> bool:
    match key:
        case int():
            # errors of termios have no errno
            return isinstance(error, _SYSTEM_ERRORS) and error.args[:1] == (key,)
        case str():
            return key in str(error)
        case _:
            return isinstance(error, key)


@dataclass(frozen=True, slots=True)
class _Server:
    """What can be said of a port behind a URL."""

    url: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or "its host"

    @property
    def place(self) -> str:
        return f"{self.host}, TCP port {urlsplit(self.url).port}"

    @property
    def plain(self) -> str:
        return f"socket://{urlsplit(self.url).netloc}"
