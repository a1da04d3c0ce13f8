"""A thousand sensors in one process: seven bridges, each of which can be paired."""

from __future__ import annotations

import json
import time
from pathlib import Path

from hk_bridge.homekit.store import Store
from tests.e2e.door import client as raw
from tests.fakes.ports import free_ports
from tests.test_cli import PATIENCE, running

SENSORS = 1000
#: A bridge is one of the 150 accessories that it may have.
MOST = 150
#: The measured figure is for scripts/bench; this is far from it.
MOST_MEBIBYTES = 250


def resident(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def test_each_of_their_bridges_is_small_enough_and_can_be_paired(
    tmp_path: Path,
) -> None:
    accessories = [
        {
            "accessory": "Hygrothermograph",
            "name": f"Room {number}",
            "address": f"58:2D:34:00:{number >> 8:02X}:{number & 255:02X}",
        }
        for number in range(SENSORS)
    ]
    (tmp_path / "accessories.json").write_text(json.dumps({"accessories": accessories}))
    begun = time.monotonic()
    port = free_ports()
    options = ("--simulate", "--state-dir", "state", "--port", str(port))
    with running(tmp_path, *options) as process:
        assert time.monotonic() - begun < PATIENCE
        seen: list[str] = []
        for number, identity in enumerate(Store.open(tmp_path / "state").bridges):
            controller = await raw.pair(port + number, identity.setup_code)
            client = await raw.session(port + number, controller)
            listed = (await client.get("/accessories")).json["accessories"]
            assert len(listed) <= MOST
            seen += [
                characteristic["value"]
                for accessory in listed
                if accessory["aid"] != 1
                for service in accessory["services"][:1]
                for characteristic in service["characteristics"]
                if characteristic["iid"] == 5
            ]
            client.close()
        assert seen == [f"Room {number}" for number in range(SENSORS)]
        assert resident(process.pid) < MOST_MEBIBYTES
        process.terminate()
        _, log = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "Traceback" not in log
