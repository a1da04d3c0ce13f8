"""The serial servers of the tests are real ones, for pyserial."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import serial

from tests.fakes.serial_servers import Rfc2217Server, SocketServer

FRAME = bytes.fromhex("0aff5501ff0005dc0a")

# pyserial names its threads as it always did.
pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def write_without_end(port: serial.SerialBase, data: bytes) -> None:
    while True:
        port.write(data)


@pytest.mark.parametrize("kind", [SocketServer, Rfc2217Server])
def test_frames_reach_the_board_until_the_server_is_killed_and_when_it_is_back(
    kind: type[SocketServer],
) -> None:
    before = threading.active_count()
    with kind() as server:
        for frames in (1, 2):
            with serial.serial_for_url(server.url, 9600) as port:
                port.write(FRAME)
                until(lambda frames=frames: len(server.board.frames) == frames)  # type: ignore[misc] # the default binds it
                server.kill(reset=True)
                with pytest.raises(serial.SerialException):
                    write_without_end(port, FRAME)
            assert server.clients == 0
            with pytest.raises(serial.SerialException, match="refused"):
                serial.serial_for_url(server.url, 9600)
            server.start()
        assert server.board.frames == [FRAME] * 2
        assert server.board.levels == {1: 255}
    assert threading.active_count() == before


def test_a_server_that_hangs_reads_nothing_and_goes_on_later() -> None:
    with SocketServer() as server, serial.serial_for_url(server.url) as port:
        until(lambda: server.clients)
        server.hang()
        port.write_timeout = 0.1
        with pytest.raises(serial.SerialTimeoutException):
            write_without_end(port, bytes(65536))
        assert not server.board.received
        server.resume()
        until(lambda: server.board.received)


def test_modem_lines_and_settings_pass_through_the_network() -> None:
    with (
        Rfc2217Server("qs-d01") as server,
        serial.serial_for_url(server.url, 9600) as port,
    ):
        assert server.serial_port.baudrate == 9600
        for line in ("cts", "dsr", "ri", "cd"):
            assert not getattr(port, line)
            server.press(line)
            until(lambda line=line: getattr(port, line))  # type: ignore[misc] # the default binds it
            server.release(line)
            until(lambda line=line: not getattr(port, line))  # type: ignore[misc] # the default binds it
