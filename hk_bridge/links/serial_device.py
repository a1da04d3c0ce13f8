"""A serial port as a device of this computer: who has it, who may, which others are there.

It asks the system for users and processes, which may take a while.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

#: How a holder of a port is called that is, or may be, a bridge.
BRIDGE: Final = "the bridge that runs"
UNSEEN: Final = "another program"

#: How ports that were plugged in are called, the best names first.
_NAMES: Final = ("serial/by-id/*", "cu.usb*", "ttyUSB*", "ttyACM*")

#: A list of more ports than this helps nobody.
_MOST_PORTS: Final = 3

#: How programs that take ports by themselves are made to let go.
_TO_END: Final[Mapping[str, str]] = {
    "ModemManager": "sudo systemctl disable --now ModemManager",
    "gpsd": "sudo systemctl disable --now gpsd.socket gpsd",
    "agetty": "sudo systemctl disable --now serial-getty@{device}",
}
_TO_END_OTHERS: Final = "kill {pid}"


@dataclass(frozen=True, slots=True)
class SerialDevice:
    """A device by its path, and what is looked at in place of /dev and /proc.

    What it says are parts of a sentence about the port, with what to type.
    """

    path: str
    devices: Path
    processes: Path

    @property
    def question(self) -> str:
        """What may be the matter where it is not there."""
        if PurePath(self.path).is_absolute():
            return "Is the adapter plugged in?"
        return f"Is {self.devices / self.path} meant?"

    @property
    def others(self) -> str:
        """Which ports there are."""
        lists = (self.devices.glob(pattern) for pattern in _NAMES)
        found = next((names for names in map(sorted, lists) if names), [])
        names = [str(name) for name in found if str(name) != self.path]
        if not names:
            return "No USB serial port is there"
        more = len(names) - _MOST_PORTS
        end = f" and {more} more" if more > 0 else ""
        return f"USB serial ports that are there: {', '.join(names[:_MOST_PORTS])}{end}"

    @property
    def loss(self) -> str:
        """Why it fails: names of ports on a mainboard are there without the ports."""
        is_of_board = PurePath(self.path).name.startswith("ttyS")
        return "has no hardware behind its name" if is_of_board else "was unplugged"

    @property
    def holders(self) -> str:
        """By whom it is in use, and what to do about that."""
        programs = dict(sorted(_holders(self.path, self.processes)))
        if os.getpid() in programs:
            return (
                "open in this program already. Is it in accessories.json under another "
                "name too?"
            )
        if not programs:
            return (
                f"in use by {UNSEEN}. To see which, type: sudo fuser -v "
                f"{shlex.quote(self.path)}"
            )
        names = " and ".join(f"{name} (pid {pid})" for pid, name in programs.items())
        device = PurePath(os.path.realpath(self.path)).name
        commands = (
            _TO_END.get(name, _TO_END_OTHERS).format(pid=pid, device=device)
            for pid, name in programs.items()
        )
        return f"in use by {names}. To free it, type: {' && '.join(commands)}"

    @property
    def refusal(self) -> str:
        """Who may open it instead, and what to do about that."""
        path = shlex.quote(self.path)
        try:
            found = Path(self.path).stat()
        except PermissionError:
            return f", nor the folder that it is in. See: namei -l {path}"
        except OSError:
            return ""  # it has been unplugged meanwhile
        mode, is_own = found.st_mode, found.st_uid == os.geteuid()
        group = _group_name(found.st_gid)
        is_group_s = mode & stat.S_IRGRP and mode & stat.S_IWGRP and found.st_gid != 0
        if is_own and not (mode & stat.S_IRUSR and mode & stat.S_IWUSR):
            return f", whose it is. Type: chmod u+rw {path}"
        if is_own or (is_group_s and found.st_gid in {os.getegid(), *os.getgroups()}):
            return (
                f", though {stat.filemode(mode)} lets it. AppArmor, SELinux or an access "
                f"list forbids it. See: getfacl {path}"
            )
        if not is_group_s:
            return (
                f", but by {_user_name(found.st_uid)} alone. Until it is plugged in again "
                f"this helps: sudo chown $USER {path} (and for good, a udev rule)"
            )
        if found.st_gid in _groups_of_user():
            return (
                f" yet, who has joined the group {group} meanwhile: log in again, or "
                "restart the service"
            )
        return f". Type: sudo usermod -aG {group} $USER, then log in again"


def _holders(path: str, processes: Path) -> Iterator[tuple[int, str]]:
    """Each process that is seen to have a device open: its id, and what it is called."""
    device = os.path.realpath(path)
    for process in processes.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if any(_target(file) == device for file in (process / "fd").iterdir()):
                yield int(process.name), _program(process)


def _target(link: Path) -> str | None:
    with contextlib.suppress(OSError):  # it has been closed
        return str(link.readlink())
    return None


def _program(process: Path) -> str:
    arguments = os.fsdecode((process / "cmdline").read_bytes()).split("\0")
    if {PurePath(each).name for each in arguments} & {"hk-bridge", "hk_bridge"}:
        return BRIDGE if "run" in arguments else "another hk-bridge"
    return (process / "comm").read_text(errors="replace").strip()


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _groups_of_user() -> list[int]:
    """The groups that this user is in now, which a program learns when it is begun."""
    try:
        user = pwd.getpwuid(os.geteuid())
        return os.getgrouplist(user.pw_name, user.pw_gid)
    except KeyError:
        return []
