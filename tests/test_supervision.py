"""A link is kept running: said once, tried again ever more patiently, ended cleanly."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Final

import pytest

from hk_bridge import supervision
from hk_bridge.errors import LinkError
from hk_bridge.model import LinkState
from hk_bridge.supervision import Supervisor

#: Longer than anything here takes.
PATIENCE: Final = 20.0

CONNECTS: Final = "connects"
ENDS: Final = "ends"

#: What one run of a link does, in order: an exception to raise, or one of the above.
Run = list[Exception | str]


class ScriptedLink:
    """Does in each run what it is told, and then stays up for ever."""

    name = "serial port x"

    def __init__(self, *runs: Run) -> None:
        self.runs = list(runs)
        self.started = 0
        self.running = asyncio.Event()
        self.up = asyncio.Event()
        self.cleaned_up = False

    async def run(self, report: Callable[[LinkState], None]) -> None:
        self.started += 1
        self.running.set()
        for step in self.runs.pop(0) if self.runs else ():
            if isinstance(step, Exception):
                raise step
            if step == ENDS:
                return
            report(LinkState(is_up=True, text="open"))
        self.up.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cleaned_up = True


class Sleeps:
    """asyncio.sleep as the module sees it: written down, and soon over."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    async def __call__(self, delay: float) -> None:
        self.delays.append(delay)
        await asyncio.sleep(0.002)


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> Sleeps:
    recorder = Sleeps()
    mine = SimpleNamespace(sleep=recorder, get_running_loop=asyncio.get_running_loop)
    monkeypatch.setattr(supervision, "asyncio", mine)
    monkeypatch.setattr(supervision, "_ENDING_SECONDS", 0.0)
    return recorder


@pytest.fixture
def _minutes_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock comes a minute after the one before."""
    clock = itertools.count(step=60.0)
    monkeypatch.setattr(supervision, "time", SimpleNamespace(monotonic=clock.__next__))


async def supervised(*runs: Run) -> tuple[ScriptedLink, int]:
    """Run such a link until its script is over; how often it was connected, too."""
    link, count = ScriptedLink(*runs), 0

    def on_connected() -> None:
        nonlocal count
        count += 1

    task = asyncio.create_task(Supervisor(link, on_connected).run())
    async with asyncio.timeout(PATIENCE):
        await link.up.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert link.runs == []
    assert link.cleaned_up
    return link, count


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def failures(texts: Iterable[str]) -> list[Run]:
    return [[LinkError(text)] for text in texts]


async def test_the_same_failure_again_and_again_is_said_once(
    sleeps: Sleeps, caplog: pytest.LogCaptureFixture
) -> None:
    await supervised(*failures(["the port is not there"] * 5))
    assert said(caplog) == ["the port is not there. Trying again until it works"]


async def test_one_that_comes_and_goes_all_the_time_is_no_flood(
    sleeps: Sleeps, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    flap: Run = [CONNECTS, LinkError("gone")]
    await supervised(*[flap] * 50, [CONNECTS])
    assert [record.getMessage() for record in caplog.records] == [
        "serial port x: open",
        "gone. Trying again until it works",
    ]


async def test_what_has_settled_is_said_in_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Or the last line in the log would be of a failure that is over."""
    monkeypatch.setattr(supervision, "_FIRST_DELAY", 0.01)
    monkeypatch.setattr(supervision, "_LONGEST_DELAY", 0.01)
    monkeypatch.setattr(supervision, "_STABLE_SECONDS", 0.2)
    monkeypatch.setattr(supervision, "_ENDING_SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    flap: Run = [CONNECTS, LinkError("gone")]
    link = ScriptedLink(*[flap] * 5, [CONNECTS])
    task = asyncio.create_task(Supervisor(link).run())
    async with asyncio.timeout(PATIENCE):
        while len(caplog.records) < 3:  # noqa: ASYNC110 # a log sets no event
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [record.getMessage() for record in caplog.records] == [
        "serial port x: open",
        "gone. Trying again until it works",
        "serial port x: open",
    ]


async def test_what_is_over_at_once_is_no_news(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And a daemon that ends does so step by step: only the last step is said."""
    caplog.set_level(logging.INFO)
    down = [LinkState(is_up=False, text=text) for text in ("off", "no adapter", "gone")]
    up = LinkState(is_up=True, text="open")

    class Steps(ScriptedLink):
        async def run(self, report: Callable[[LinkState], None]) -> None:
            for state in (up, down[0], up, *down):
                report(state)
            await super().run(report)

    monkeypatch.setattr(supervision, "_PASSING_SECONDS", 0.02)
    task = asyncio.create_task(Supervisor(Steps()).run())
    await settled(caplog, 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [record.getMessage() for record in caplog.records] == [
        "serial port x: open",
        "gone. Trying again until it works",
    ]


async def test_what_passes_by_itself_is_no_news_but_can_be_seen(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    passing = LinkState(is_up=True, text="another way", is_passing=True)

    class Probing(ScriptedLink):
        async def run(self, report: Callable[[LinkState], None]) -> None:
            report(LinkState(is_up=True, text="open"))
            report(passing)
            await super().run(report)

    link = Probing()
    supervisor = Supervisor(link)
    task = asyncio.create_task(supervisor.run())
    async with asyncio.timeout(PATIENCE):
        await link.up.wait()
    assert supervisor.state == passing
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert caplog.messages == ["serial port x: open"]


async def test_what_passes_begins_nothing_unless_it_is_worse() -> None:
    times: list[float] = []

    class Passing(ScriptedLink):
        async def run(self, report: Callable[[LinkState], None]) -> None:
            report(LinkState(is_up=True, text="open"))
            for is_up in (True, True, False):
                times.append(supervisor.since)
                await asyncio.sleep(0.002)
                text = f"step {len(times)}"
                report(LinkState(is_up=is_up, text=text, is_passing=True))
                assert supervisor.state.text == text
            times.append(supervisor.since)
            await super().run(report)

    link = Passing()
    supervisor = Supervisor(link)
    task = asyncio.create_task(supervisor.run())
    async with asyncio.timeout(PATIENCE):
        await link.up.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    first, second, third, last = times
    assert first == second == third < last


async def test_ever_new_words_are_no_flood_either(
    sleeps: Sleeps, caplog: pytest.LogCaptureFixture
) -> None:
    await supervised(*failures(f"error number {number}" for number in range(200)))
    assert len(said(caplog)) <= 16


async def test_it_can_be_asked_how_its_link_is(sleeps: Sleeps) -> None:
    link = ScriptedLink([LinkError("gone")], [CONNECTS])
    supervisor = Supervisor(link)
    assert supervisor.state == LinkState(is_up=False, text="starting")
    begun = supervisor.since
    task = asyncio.create_task(supervisor.run())
    async with asyncio.timeout(PATIENCE):
        await link.up.wait()
    assert supervisor.state == LinkState(is_up=True, text="open")
    assert supervisor.since >= begun
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def settled(caplog: pytest.LogCaptureFixture, number: int) -> list[str]:
    """What was said, once that is so much."""
    async with asyncio.timeout(PATIENCE):
        while len(said(caplog)) < number:  # noqa: ASYNC110 # a log sets no event
            await asyncio.sleep(0.005)
    return said(caplog)


async def test_another_failure_is_said_once_it_has_lasted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "_FIRST_DELAY", 0.05)
    monkeypatch.setattr(supervision, "_LONGEST_DELAY", 0.05)
    monkeypatch.setattr(supervision, "_PASSING_SECONDS", 0.02)
    link = ScriptedLink(*failures(["not there", "not there", "in use.", "in use."]))
    task = asyncio.create_task(Supervisor(link).run())
    assert await settled(caplog, 2) == [
        "not there. Trying again until it works",
        "in use. Trying again until it works",
    ]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_passes_while_something_else_is_mended_is_not_said(
    sleeps: Sleeps, caplog: pytest.LogCaptureFixture
) -> None:
    """A Bluetooth daemon that starts has no adapter at first, then one without power."""
    caplog.set_level(logging.INFO)
    await supervised(*failures(["no daemon", "no adapter", "is off"]), [CONNECTS])
    assert [record.getMessage() for record in caplog.records] == [
        "no daemon. Trying again until it works",
        "serial port x: open",
    ]


@pytest.mark.usefixtures("_minutes_pass")
async def test_a_failure_after_a_success_is_said_again(
    sleeps: Sleeps, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gone = LinkError("gone")
    _, connections = await supervised([gone], [gone], [CONNECTS, gone], [CONNECTS])
    assert connections == 2
    assert [record.getMessage() for record in caplog.records] == [
        "gone. Trying again until it works",
        "serial port x: open",
        "gone. Trying again until it works",
        "serial port x: open",
    ]


async def test_waiting_grows_up_to_15_seconds_and_no_further(sleeps: Sleeps) -> None:
    await supervised(*failures(["gone"] * 9))
    expected = [1, 2, 4, 8, 15, 15, 15, 15, 15]
    assert len(sleeps.delays) == 9
    for delay, nominal in zip(sleeps.delays, expected, strict=True):
        assert 0.8 * nominal <= delay <= 1.2 * nominal


async def test_waiting_begins_anew_after_the_link_has_run_for_a_while(
    sleeps: Sleeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(supervision, "time", SimpleNamespace(monotonic=lambda: now))

    class Lasting(ScriptedLink):
        async def run(self, report: Callable[[LinkState], None]) -> None:
            nonlocal now
            now += 60.0 if self.started == 6 else 0.0
            await super().run(report)

    link = Lasting(*failures(["gone"] * 8))
    task = asyncio.create_task(Supervisor(link).run())
    async with asyncio.timeout(PATIENCE):
        await link.up.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for delay, nominal in zip(sleeps.delays, [1, 2, 4, 8, 15, 15, 1, 2], strict=True):
        assert 0.8 * nominal <= delay <= 1.2 * nominal


async def test_a_link_that_connects_only_to_fail_is_tried_ever_more_rarely(
    sleeps: Sleeps,
) -> None:
    flap: Run = [CONNECTS, LinkError("gone")]
    await supervised(*[flap] * 7)
    for delay, nominal in zip(sleeps.delays, [1, 2, 4, 8, 15, 15, 15], strict=True):
        assert 0.8 * nominal <= delay <= 1.2 * nominal


async def test_waiting_is_not_the_same_for_all(sleeps: Sleeps) -> None:
    await supervised(*failures(["gone"] * 60))
    assert len(set(sleeps.delays[10:])) > 1


@pytest.mark.usefixtures("_minutes_pass")
async def test_an_unexpected_exception_does_not_end_it(
    sleeps: Sleeps, caplog: pytest.LogCaptureFixture
) -> None:
    flap: list[Run] = [[CONNECTS, error] for error in (ValueError("no"), KeyError("x"))]
    await supervised([EOFError()], *flap)
    assert said(caplog) == [
        "serial port x failed (EOFError: ). Trying again until it works",
        "serial port x failed (ValueError: no). Trying again until it works",
        "serial port x failed (KeyError: 'x'). Trying again until it works",
    ]
    assert len(sleeps.delays) == 3


@pytest.mark.usefixtures("_minutes_pass")
async def test_a_link_that_just_ends_is_started_again(
    sleeps: Sleeps, caplog: pytest.LogCaptureFixture
) -> None:
    await supervised([ENDS], [CONNECTS, ENDS])
    assert said(caplog) == ["serial port x has ended. Trying again until it works"] * 2


async def test_a_failure_of_what_hangs_on_it_is_one_of_the_link(
    sleeps: Sleeps, caplog: pytest.LogCaptureFixture
) -> None:
    link = ScriptedLink([CONNECTS], [])

    def on_connected() -> None:
        raise LinkError("the lamp cannot be set")

    task = asyncio.create_task(Supervisor(link, on_connected).run())
    async with asyncio.timeout(PATIENCE):
        await link.up.wait()
    assert await settled(caplog, 1) == [
        "the lamp cannot be set. Trying again until it works"
    ]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_can_be_ended_while_it_waits() -> None:
    link = ScriptedLink([LinkError("gone")])
    task = asyncio.create_task(Supervisor(link).run())
    async with asyncio.timeout(PATIENCE):
        await link.running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert link.started == 1


async def test_one_link_does_not_take_another_down(sleeps: Sleeps) -> None:
    bad, good = ScriptedLink([RuntimeError("broken")], []), ScriptedLink([CONNECTS])
    tasks = [asyncio.create_task(Supervisor(link).run()) for link in (bad, good)]
    async with asyncio.timeout(PATIENCE):
        await bad.up.wait()
        await good.up.wait()
    assert (bad.started, good.started) == (2, 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
