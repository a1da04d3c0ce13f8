"""The log, and where the state is."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from hk_bridge import terminal


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Puts the root logger back as it was."""
    root = logging.getLogger()
    level, filters = root.level, list(logging.getLogger("asyncio").filters)
    yield
    root.setLevel(level)
    logging.getLogger("asyncio").filters[:] = filters
    for name in ("hk_bridge", "bleak", "dbus_fast", "zeroconf"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def start(verbose: int) -> None:
    """Start logging as in a process of its own, without the handlers of pytest."""
    logging.getLogger().handlers.clear()
    logging.getLogger("asyncio").filters.clear()
    terminal.start_logging(verbose)


def complain() -> None:
    try:
        raise OSError(101, "Network is unreachable")
    except OSError:
        logging.getLogger("pyhap").warning("Error with socket", exc_info=True)


def test_an_exception_that_a_library_logs_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start(verbose=0)
    complain()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "WARNING Error with socket | OSError: [Errno 101] Network is unreachable"
    )


def test_with_everything_asked_for_the_traceback_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start(verbose=2)
    complain()
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def lose_the_bus() -> None:
    """What bleak, dbus-fast and asyncio say where the D-Bus daemon ends."""
    logging.getLogger("bleak.backends.bluezdbus.manager").warning("connection was lost")
    logging.getLogger("dbus_fast.message_bus").warning("could not shut down socket")
    error = OSError(9, "Bad file descriptor")
    logging.getLogger("asyncio").error(
        "Future exception was never retrieved\nfuture: <Future>", exc_info=error
    )


def test_a_lost_bus_is_left_to_the_one_who_tells_it_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start(verbose=0)
    lose_the_bus()
    assert capsys.readouterr().err == ""
    error = ValueError("of our own")
    logging.getLogger("asyncio").error(
        "Future exception was never retrieved", exc_info=error
    )
    logging.getLogger("dbus_fast").error("A message handler raised an exception")
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_with_everything_asked_for_a_lost_bus_is_all_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start(verbose=2)
    lose_the_bus()
    err = capsys.readouterr().err
    for words in ("connection was lost", "could not shut down", "Bad file descriptor"):
        assert words in err


def test_what_is_said_hangs_on_verbosity(capsys: pytest.CaptureFixture[str]) -> None:
    for verbose, expected in ((0, "A"), (1, "ABC"), (2, "ABCD")):
        start(verbose)
        logging.getLogger("hk_bridge.x").info("A")
        logging.getLogger("hk_bridge.x").debug("B")
        logging.getLogger("pyhap.x").info("C")
        logging.getLogger("pyhap.x").debug("D")
        lines = capsys.readouterr().err.splitlines()
        assert "".join(line[-1] for line in lines) == expected
