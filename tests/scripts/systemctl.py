"""Plays systemctl, and sleep: `python -IS systemctl.py ROOT VERB…`.

It has one service, whose state is in ROOT/world.json, and writes down in ROOT/calls what it
is told. As systemd does, it knows of files only what it has read at the last daemon-reload.
The keys that tell what goes wrong are described where the world is made, in machine.py.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

root = Path(sys.argv[1])
verb, arguments = sys.argv[2], sys.argv[3:]
world: dict[str, Any] = json.loads((root / "world.json").read_text())


def save() -> None:
    (root / "world.json").write_text(json.dumps(world))


def leave(status: int = 0, complaint: str = "") -> NoReturn:
    save()
    sys.stderr.write(complaint)
    sys.exit(status)


def exec_start(files: list[str]) -> str:
    """The last ExecStart= of all, with the lines joined that go on."""
    found = ""
    for file in files:
        lines = Path(file).read_text().split("\n")
        kept = [line for line in lines if not line.lstrip().startswith(("#", ";"))]
        for line in "\n".join(kept).replace("\\\n", " ").split("\n"):
            key, _, value = line.partition("=")
            if key.strip() == "ExecStart":
                found = value.strip()
    return found


def kill() -> None:
    for cmdline in root.glob("proc/*/cmdline"):
        cmdline.unlink()
        cmdline.parent.rmdir()
    world["pid"] = 0


def start() -> None:
    kill()
    world["state"] = "inactive"
    if not world["condition"]:
        return
    if world["too_many_starts"]:
        leave(1, "Job for bluetooth.service failed: start request repeated too quickly.\n")
    words = [word for word in shlex.split(world["exec_start"]) if word != world["loses"]]
    if world["dislikes"] in words:
        world["state"], world["too_many_starts"] = "failed", True
        leave(1, "Job for bluetooth.service failed because the control process exited.\n")
    world["last_pid"] += 1
    world["pid"], world["state"], world["argv"] = world["last_pid"], "active", words
    process = root / "proc" / str(world["pid"])
    process.mkdir(parents=True)
    (process / "cmdline").write_text("".join(f"{word}\0" for word in words))


def reload() -> None:
    fragment = root / "usr/lib/systemd/system/bluetooth.service"
    drop_ins = sorted(root.glob("etc/systemd/system/bluetooth.service.d/*.conf"))
    world["files"] = [str(file) for file in (fragment, *drop_ins)]
    world["exec_start"] = exec_start(world["files"])


def cat() -> None:
    if world["load"] != "loaded":
        leave(1, "No files found for bluetooth.service.\n")
    texts = (f"# {file}\n{Path(file).read_text()}" for file in world["files"])
    sys.stdout.write("\n".join(texts))


def show() -> None:
    words = " ".join(world["argv"])
    value = {
        "LoadState": world["load"],
        "ActiveState": world["state"],
        "MainPID": world["pid"],
        "ConditionResult": "yes" if world["condition"] else "no",
        "ExecStart": f"{{ path={words.split()[0]} ; argv[]={words} ; ignore_errors=no ; "
        "start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }",
    }[arguments[0].removeprefix("--property=")]
    sys.stdout.write(f"{value}\n")


def restart() -> None:
    if world["hangs"]:
        world["hangs"] = False
        save()
        (root / "hangs").touch()
        time.sleep(60)
    start()


def stop() -> None:
    kill()
    if world["state"] != "failed":
        world["state"] = "inactive"


def reset_failed() -> None:
    world["too_many_starts"] = False
    if world["state"] == "inactive":
        leave(1, "Failed to reset failed state of unit bluetooth.service: not loaded.\n")
    if world["state"] == "failed":
        world["state"] = "inactive"


def let_time_go_by() -> None:
    if world["pid"] and world["dies_with"] in world["argv"]:
        kill()
        world["state"] = "failed"
    elif world["pid"] and world["crashes_with"] in world["argv"]:
        start()


VERBS = {
    "cat": cat,
    "daemon-reload": reload,
    "reset-failed": reset_failed,
    "restart": restart,
    "show": show,
    "sleep": let_time_go_by,
    "stop": stop,
}

with (root / "calls").open("a") as calls:
    calls.write(f"{verb}\n")
if world["fails"].get(verb, 0):
    world["fails"][verb] -= 1
    leave(1, f"Failed to {verb}: Connection timed out\n")
VERBS[verb]()
leave()
