"""A flood of one complaint is one line a minute, with a count."""

import logging

import pytest

from hk_bridge.complaints import Complaints

LOGGER = logging.getLogger("complaints.of.tests")


@pytest.fixture(autouse=True)
def _warnings_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, LOGGER.name)


class Clock:
    """A clock that stands still until somebody turns it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


def test_a_complaint_is_logged_at_once_as_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Complaints(LOGGER, clock=Clock()).say("kind", "Room 1: a frame cannot be read")
    assert caplog.record_tuples == [
        ("complaints.of.tests", logging.WARNING, "Room 1: a frame cannot be read")
    ]


def test_the_same_kind_is_logged_once_in_an_interval_with_a_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    complaints = Complaints(LOGGER, clock=clock)
    complaints.say("kind", "first")
    for _ in range(3):
        clock.now += 19.0
        complaints.say("kind", "held back")
    assert said(caplog) == ["first"]
    clock.now = 1060.0
    complaints.say("kind", "last")
    assert said(caplog) == ["last (3 more like this since)"]


def test_the_count_begins_anew_after_each_line(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    complaints = Complaints(LOGGER, interval=10.0, clock=clock)
    for now in (0.0, 1.0, 10.0, 11.0, 19.9, 20.0, 30.0):
        clock.now = now
        complaints.say("kind", f"at {now:g}")
    assert said(caplog) == [
        "at 0",
        "at 10 (1 more like this since)",
        "at 20 (2 more like this since)",
        "at 30",
    ]


def test_the_clock_may_begin_at_zero(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    clock.now = 0.0
    complaints = Complaints(LOGGER, clock=clock)
    complaints.say("kind", "first")
    complaints.say("kind", "second")
    assert said(caplog) == ["first"]


def test_one_kind_does_not_hold_back_another(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(LOGGER, clock=Clock())
    complaints.say(("room", "refused"), "a")
    complaints.say(("room", "key"), "b")
    complaints.say(None, "c")
    complaints.say(("room", "key"), "b")
    assert said(caplog) == ["a", "b", "c"]


def test_a_percent_sign_is_only_a_percent_sign(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    complaints = Complaints(LOGGER, interval=1.0, clock=clock)
    complaints.say("kind", "at 100 %s")
    complaints.say("kind", "at 100 %s")
    clock.now += 1.0
    complaints.say("kind", "at 100 %s")
    assert said(caplog) == ["at 100 %s", "at 100 %s (1 more like this since)"]


def test_256_kinds_are_remembered_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(LOGGER, clock=Clock())
    for kind in range(256):
        complaints.say(kind, f"{kind}")
    said(caplog)
    for kind in range(256):
        complaints.say(kind, "again")
    assert said(caplog) == []
    complaints.say(256, "one too many")
    complaints.say(0, "the oldest, forgotten")
    complaints.say(255, "the youngest, remembered")
    assert said(caplog) == ["one too many", "the oldest, forgotten"]


def test_a_complaint_that_goes_on_is_not_forgotten_among_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    complaints = Complaints(LOGGER, clock=Clock())
    complaints.say("flood", "flood")
    for kind in range(1000):
        complaints.say(kind, "other")
        complaints.say("flood", "flood")
    assert said(caplog).count("flood") == 1


def test_a_flood_of_kinds_does_not_fill_the_memory() -> None:
    complaints = Complaints(LOGGER, clock=Clock())
    for kind in range(5000):
        complaints.say(kind, "other")
    assert (
        sum(len(each) for each in vars(complaints).values() if isinstance(each, dict))
        == 256
    )
