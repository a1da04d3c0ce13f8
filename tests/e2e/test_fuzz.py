"""Ten thousand fuzzed messages: each is answered as it may be, and the bridge lives on.

What is sent and what may be answered is in tests/e2e/door/fuzz.py, and how to run a case
that has failed once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.door import fuzz_crowd, fuzz_json, fuzz_requests, fuzz_setup
from tests.e2e.door.client import BUSY, IDENTIFIER, REMOVE, Controller, Setup, accepted
from tests.e2e.door.expectations import expect_status
from tests.e2e.door.fuzz import CaseError, chance, fuzz
from tests.e2e.door.servers import CODE, BareHapPython, HkBridge

# It calls the same lines thousands of times: counting them would take longer than they do.
pytestmark = pytest.mark.no_cover

BATCH = 500

#: How many batches of each kind there are: twenty together.
BATCHES = {
    "setup": 3,
    "late-setup": 1,
    "verify": 3,
    "verify-unpaired": 1,
    "pairings": 1,
    "json": 3,
    "http": 2,
    "http-unpaired": 3,
    "http-sealed": 1,
    "frames": 2,
}

UNPAIRED = {"setup", "verify-unpaired", "http-unpaired"}

#: How much a batch may leave behind: some buffers that are kept for the next one.
GROWTH = 8 * 2**20

#: What a batch may have the log say; as many kinds of complaints as there are.
LINES = 20

#: What a bridge says of what a controller has asked for, and of what it simulates.
ORDINARY = ("simulated dimmer", "paired with controller", "removed controller", "identify")

ALL = [
    pytest.param(kind, number, id=f"{kind} {number}")
    for kind, count in BATCHES.items()
    for number in range(count)
]


class Talkative(HkBridge):
    """Says everything, and each error with its traceback."""

    def _command(self) -> list[str]:
        return [*super()._command(), "-vv"]


@pytest.fixture(scope="module")
def bridges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., HkBridge]]:
    """Bridges that tests share, by whether they are paired."""
    running: dict[bool, HkBridge] = {}

    def bridge(*, paired: bool) -> HkBridge:
        if paired not in running:
            running[paired] = HkBridge(tmp_path_factory.mktemp("bridge"))
            running[paired].start()
        return running[paired]

    yield bridge
    for each in running.values():
        each.stop()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[HkBridge]:
    bridge = HkBridge(tmp_path)
    bridge.start()
    yield bridge
    bridge.stop()


@contextlib.asynccontextmanager
async def unharmed(bridge: HkBridge) -> AsyncIterator[None]:
    """Assert that a bridge is afterwards what it was before, and serves as it did."""
    said, memory, descriptors = len(bridge.log()), bridge.resident, count_files(bridge)
    yield
    grown = bridge.resident - memory
    assert grown < GROWTH, f"took {grown >> 10} KiB"
    await live(bridge)
    async with asyncio.timeout(bridge.patience):
        # One that was told why it was hung up on may linger for a moment.
        while count_files(bridge) > descriptors:  # noqa: ASYNC110 # of another process
            await asyncio.sleep(0.02)
    log = bridge.log()[said:]
    lines = [line for line in log.splitlines() if not any(o in line for o in ORDINARY)]
    assert len(lines) < LINES, log
    assert "Traceback" not in log, log
    # Without -vv a traceback is kept to a line.
    assert " ERROR " not in log, log
    assert bridge.failed_attempts == 0


def count_files(bridge: HkBridge) -> int:
    assert bridge._process is not None
    return len(list(Path(f"/proc/{bridge._process.pid}/fd").iterdir()))


async def live(bridge: HkBridge) -> None:
    """Be a controller that behaves: one that is paired, or pairs and leaves again."""
    controller = await bridge.home() if bridge.controllers() else await pair(bridge)
    async with await bridge.session(controller) as client:
        expect_status(await client.get("/accessories"), 200)
        if bridge._home is None:
            accepted(await client.pairings(REMOVE, (IDENTIFIER, controller.identifier)))


async def pair(bridge: HkBridge) -> Controller:
    """Pair as soon as those who have hung up are seen to be gone."""
    controller = Controller()
    async with asyncio.timeout(bridge.patience), await bridge.connect() as client:
        setup = Setup(client, CODE)
        while (answer := await setup.m1()).error == BUSY:  # noqa: ASYNC110 # as above
            await asyncio.sleep(0.02)
        accepted(answer)
        accepted(await setup.m3())
        accepted(await setup.m5(controller))
    return controller


@pytest.mark.parametrize(("kind", "number"), ALL)
async def test_fuzzed_messages_do_no_harm(
    bridges: Callable[..., HkBridge], kind: str, number: int
) -> None:
    bridge = bridges(paired=kind not in UNPAIRED)
    # What is made only once should not count.
    await fuzz(bridge, kind, range(-50, 0))
    async with unharmed(bridge):
        await fuzz(bridge, kind, range(number * BATCH, (number + 1) * BATCH))


async def test_fuzzed_proofs_and_keys_do_no_harm(fresh: HkBridge) -> None:
    await fuzz(fresh, "proof", range(-3, 0))
    async with unharmed(fresh):
        await fuzz(fresh, "proof", range(30))


async def test_1500_fuzzed_connections_do_no_harm(fresh: HkBridge) -> None:
    await fuzz(fresh, "crowd", range(-50, 0))
    async with unharmed(fresh):
        await fuzz(fresh, "crowd", range(1500))


async def test_fuzzed_connections_leave_no_traceback_in_a_log_of_everything(
    tmp_path: Path,
) -> None:
    bridge = Talkative(tmp_path)
    bridge.start()
    try:
        for kind in ("crowd", "setup", "http-unpaired", "verify", "json", "frames"):
            await fuzz(bridge, kind, range(10_000, 10_100))
    finally:
        bridge.stop()
    assert " DEBUG " in bridge.log()
    assert "Traceback" not in bridge.log()
    assert " ERROR " not in bridge.log()


def test_the_same_seed_gives_the_same_bytes_on_every_python() -> None:
    places = [(1, 2), (2, 9)]
    digest = hashlib.sha256()
    for seed in range(200):
        digest.update(fuzz_setup.setup_message(chance("setup", seed)))
        digest.update(fuzz_requests.wrong(chance("http", seed)))
        right = fuzz_requests.right(chance("http", seed), fuzz_requests.OF_STRANGER, 4096)
        digest.update(right.data)
        digest.update(fuzz_json.write_text(chance("json", seed), places))
        digest.update(fuzz_json.query_text(chance("json", seed), places).encode())
        digest.update(fuzz_crowd.message(chance("crowd", seed)))
    # Another one, where the generators are changed: seeds in old reports are then void.
    assert digest.hexdigest()[:16] == "fd1b7b72560d651e"


@pytest.mark.bare
@pytest.mark.parametrize("kind", ["setup", "verify", "pairings", "json", "http", "frames"])
async def test_the_same_cases_get_through_to_bare_hap_python(
    tmp_path: Path, kind: str
) -> None:
    server = BareHapPython(tmp_path)
    server.start()
    try:
        with pytest.raises(CaseError):
            await fuzz(server, kind, range(100))
    finally:
        server.stop()
    assert "Traceback" in server.log()
