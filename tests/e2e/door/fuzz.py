"""A fuzzer: whatever it is sent, a bridge says what it may, or hangs up, and lives on.

A case is the kind of its connections and a seed, and what it sends comes of these alone
(and of what the bridge has said before, where that has keys in it). To run some of them
again, in this order and on one connection for as long as it stays open:

    python -m tests.e2e.door.fuzz KIND SEED ...
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from cryptography.exceptions import InvalidTag

from tests.e2e.door.fuzz_characteristics import CharacteristicsKind
from tests.e2e.door.fuzz_crowd import CrowdKind
from tests.e2e.door.fuzz_frames import FramesKind
from tests.e2e.door.fuzz_http import HttpKind, SealedHttpKind, UnpairedHttpKind
from tests.e2e.door.fuzz_pairings import PairingsKind
from tests.e2e.door.fuzz_setup import LateSetupKind, ProofKind, SetupKind
from tests.e2e.door.fuzz_verify import UnpairedVerifyKind, VerifyKind
from tests.e2e.door.fuzz_wire import Kind, Wire
from tests.e2e.door.servers import HkBridge, Server

KINDS: dict[str, type[Kind]] = {
    "setup": SetupKind,
    "late-setup": LateSetupKind,
    "proof": ProofKind,
    "verify": VerifyKind,
    "verify-unpaired": UnpairedVerifyKind,
    "pairings": PairingsKind,
    "json": CharacteristicsKind,
    "http": HttpKind,
    "http-unpaired": UnpairedHttpKind,
    "http-sealed": SealedHttpKind,
    "frames": FramesKind,
    "crowd": CrowdKind,
}


class CaseError(AssertionError):
    """A case that came out as it must not, and how to see it again."""


async def fuzz(server: Server, name: str, seeds: Iterable[int]) -> None:
    """Play the cases of one kind. Raises CaseError for the first that fails."""
    kind = KINDS[name](server)
    await kind.prepare()
    waiting = iter(seeds)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(kind.lanes):
                group.create_task(_lane(kind, name, waiting))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    await kind.finish()


async def _lane(kind: Kind, name: str, seeds: Iterator[int]) -> None:
    """Play cases for as long as there are any, on one connection after the other."""
    wire: Wire | None = None
    for seed in seeds:
        if wire is None or kind.is_used_up(wire):
            try:
                wire = await kind.open()
            except (AssertionError, OSError) as error:
                raise CaseError(f"no connection for {name} {seed}: {error!r}") from error
        await _case(kind, name, seed, wire)
    if wire is not None:
        wire.close()


async def _case(kind: Kind, name: str, seed: int, wire: Wire) -> None:
    wire.seeds.append(seed)
    wire.said.clear()
    try:
        async with asyncio.timeout(kind.patience):
            await kind.play(wire, chance(name, seed))
    except (AssertionError, ConnectionError, InvalidTag, LookupError, ValueError) as error:
        raise CaseError(_report(name, wire, error)) from error
    except TimeoutError as error:
        raise CaseError(_report(name, wire, "it takes too long")) from error


def chance(name: str, seed: int) -> Random:
    """The chance of one case: the same on every Python."""
    return Random(f"{name} {seed}")


def _report(name: str, wire: Wire, what: object) -> str:
    said = "\n".join(f"  {data!r}" for data in wire.said)
    seeds = " ".join(map(str, wire.seeds))
    return (
        f"{name} {wire.seeds[-1]}: {type(what).__name__} {what}\nsent:\n{said}\n"
        f"again: python -m tests.e2e.door.fuzz {name} {seeds}"
    )


def main(name: str, *seeds: str) -> None:
    """Play some cases against a bridge of their own, and show its log."""
    with tempfile.TemporaryDirectory() as directory:
        bridge = HkBridge(Path(directory))
        bridge.start()
        try:
            asyncio.run(fuzz(bridge, name, map(int, seeds)))
        except CaseError as error:
            sys.exit(str(error))
        finally:
            bridge.stop()
            sys.stderr.write(bridge.log())


if __name__ == "__main__":
    main(*sys.argv[1:])
