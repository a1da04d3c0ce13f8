"""A flood against a HAP server, in a process of its own.

    python -m scripts.benches.flooder FLOOD PORT SOURCE_ADDRESS

Reads a line from stdin (the keys of a paired controller as JSON; {} for nobody), says
"flooding", goes on until stdin is closed, and prints what it has done as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from scripts.benches.attacks import FLOODS, Flooder


def _again_and_again(flood: Callable[[Flooder], None], flooder: Flooder) -> None:
    while True:
        try:
            flood(flooder)
        except OSError:
            time.sleep(0)
        except Exception:  # noqa: BLE001 # an answer that makes no sense is not ours to judge
            time.sleep(0.001)


def main() -> None:
    name, port, source = sys.argv[1:]
    # It gives way to who is measured: a real flood comes from another machine.
    os.nice(10)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    keys = json.loads(sys.stdin.readline())
    flood, threads = FLOODS[name]
    flooders = [Flooder(int(port), source, keys) for _ in range(threads)]
    for flooder in flooders:
        threading.Thread(
            target=_again_and_again, args=(flood, flooder), daemon=True
        ).start()
    print("flooding", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.read()
    parts = [asdict(flooder.done) for flooder in flooders]
    done = {key: sum(part[key] for part in parts) for key in parts[0]}
    print(json.dumps(done), flush=True)
    # The threads may be in the middle of anything.
    os._exit(0)


if __name__ == "__main__":
    main()
