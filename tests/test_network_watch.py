"""The bridges go along when the network of the machine changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from hk_bridge.errors import LinkError
from hk_bridge.homekit.network import Network
from hk_bridge.network_watch import NetworkWatch, say_change
from tests.homekit.house import until

HOME = Network((), ("192.0.2.7",), (("192.0.2.7", 2),))
OTHER = Network((), ("192.0.2.9",), (("192.0.2.9", 2),))
ALONE = Network((), ("127.0.0.1",), (("127.0.0.1", 1),), is_waiting=True)


class Machine:
    """What is there, and what was made of it."""

    def __init__(self) -> None:
        self.there = HOME
        self.looks = 0
        self.followed: list[Network] = []
        self.lacks: tuple[str, ...] = ()
        self.error: Exception | None = None
        self.watch = NetworkWatch(HOME, self.find, self.follow, lambda: self.lacks, 0.001)

    def find(self) -> Network:
        self.looks += 1
        return self.there

    async def follow(self, network: Network) -> None:
        self.followed.append(network)
        if self.error is not None:
            raise self.error

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.watch.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def look_twice(self) -> None:
        seen = self.looks
        await until(lambda: self.looks >= seen + 2)


@pytest.fixture
async def machine(caplog: pytest.LogCaptureFixture) -> Machine:
    caplog.set_level("INFO", "hk_bridge")
    return Machine()


async def test_what_stays_as_it_is_is_not_followed(machine: Machine) -> None:
    async with machine.watched():
        await machine.look_twice()
    assert machine.followed == []


async def test_a_change_is_followed_once_and_said_in_a_line(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    async with machine.watched():
        machine.there = OTHER
        await until(lambda: machine.watch.network == OTHER)
        await machine.look_twice()
    assert machine.followed == [OTHER]
    assert caplog.messages == ["network: new: 192.0.2.9; gone: 192.0.2.7"]


@pytest.mark.parametrize("error", [LinkError("no port"), OSError(19, "no device")])
async def test_what_fails_is_tried_again_and_ends_nothing(
    machine: Machine, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    machine.error, machine.there = error, OTHER
    async with machine.watched():
        await until(lambda: len(machine.followed) >= 3)
        assert machine.watch.network == HOME
        machine.error = None
        await until(lambda: machine.watch.network == OTHER)
    complaints = [each for each in caplog.messages if "cannot be followed" in each]
    assert len(complaints) == 1


async def test_what_lacks_is_tried_until_it_is_there_and_said_once(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.lacks = ("mDNS cannot be spoken from 192.0.2.7",)
    async with machine.watched():
        await until(lambda: len(machine.followed) >= 3)
        machine.lacks = ()
        await machine.look_twice()
        followed = len(machine.followed)
        await machine.look_twice()
    assert len(machine.followed) == followed
    assert caplog.messages == [
        "mDNS cannot be spoken from 192.0.2.7. Trying again until it works"
    ]


async def test_who_changes_the_network_otherwise_is_not_undone(machine: Machine) -> None:
    async with machine.watched():
        async with machine.watch.lock:
            machine.watch.network = machine.there = OTHER
        await machine.look_twice()
    assert machine.followed == []


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (None, HOME, []),
        (None, Network(("127.0.0.1",), ("127.0.0.1",)), ["it is on loopback alone"]),
        (None, ALONE, ["nothing but loopback. Waiting for one"]),
        (HOME, ALONE, ["gone: 192.0.2.7", "Waiting for one"]),
        (ALONE, ALONE, []),
        (ALONE, HOME, ["new: 192.0.2.7"]),
        (
            HOME,
            Network((), (), (), ("eth0",), is_waiting=True),
            ["gone: 192.0.2.7", "eth0, from --bind or bridge.bind, is down"],
        ),
    ],
)
def test_a_person_is_told_what_has_changed_and_what_is_waited_for(
    before: Network | None,
    now: Network,
    said: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "hk_bridge")
    say_change(before, now)
    assert len(caplog.messages) == len(said)
    for message, part in zip(caplog.messages, said, strict=True):
        assert part in message
