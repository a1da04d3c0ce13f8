"""One connection whose transport does what transports do on a bad day."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from hk_bridge.homekit.connection import GuardedProtocol
from hk_bridge.homekit.frames import Frames
from tests.e2e.door.client import PROOF, PUBLIC_KEY, request, state, tlv
from tests.homekit.house import TEMPERATURE, Clock, House, until
from tests.homekit.visit import said

GET = request("GET", "/nowhere")
ADDRESS = ("192.0.2.1", 50000)
SHARED = bytes(32)
M1 = tlv(state(1))
WRONG_M3 = tlv(state(3), (PUBLIC_KEY, b"\2" * 384), (PROOF, bytes(64)))
SENSOR_TOPIC = f"3.{TEMPERATURE}"


class Transport(asyncio.Transport):
    """Keeps what is written.

    `half_close_fails` where the other side is gone; `lingers` where it does not take
    what is on its way to it, so that only an abort ends the connection.
    """

    def __init__(
        self,
        protocol: GuardedProtocol,
        *,
        half_close_fails: bool = False,
        lingers: bool = False,
        peername: tuple[str, int] | None = ADDRESS,
    ) -> None:
        super().__init__({"peername": peername})
        self._lingers = lingers
        self._protocol = protocol
        self._half_close_fails = half_close_fails
        self.written = b""
        self.reads = True
        self.ended = ""

    def set_write_buffer_limits(self, high: int | None = None, low: Any = None) -> None:
        pass

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def write_eof(self) -> None:
        if self._half_close_fails:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        if not self._lingers:
            self._end("closed")

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        if not self.ended:
            self.ended = how
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


class Plain(Frames):
    """Frames of which a test reads what goes out."""

    def encrypt(self, data: bytes) -> Iterator[bytearray]:
        yield bytearray(data)


class End:
    """The bridge's end of a connection that no network is behind."""

    def __init__(self, house: House, **faults: Any) -> None:
        loop = asyncio.get_running_loop()
        self.protocol = GuardedProtocol(loop, house.server)
        self.transport = Transport(self.protocol, **faults)
        self.protocol.connection_made(self.transport)

    def verify(self) -> None:
        """Make it a controller's."""
        self.protocol.hap_crypto = Plain(SHARED)
        handler = self.protocol.handler
        handler.is_encrypted, handler.client_uuid = True, UUID(int=1)
        handler.state.paired_clients[UUID(int=1)] = bytes(32)

    @property
    def answers(self) -> list[int]:
        """The statuses of what was answered."""
        parts = self.transport.written.split(b"HTTP/1.1 ")[1:]
        return [int(part[:3]) for part in parts]

    @property
    def events(self) -> list[Any]:
        """What was told of changes."""
        parts = self.transport.written.split(b"EVENT/1.0 ")[1:]
        return [
            json.loads(part.split(b"\r\n\r\n", 1)[1])["characteristics"] for part in parts
        ]


@pytest.fixture
async def end(door: House) -> End:
    return End(door)


async def test_the_answer_is_all_that_matters_where_the_half_close_fails(
    door: House,
) -> None:
    end = End(door, half_close_fails=True)
    end.protocol.data_received(b"nonsense\r\n\r\n")
    await until(lambda: end.answers == [400])
    end.protocol.data_received(GET)
    assert end.transport.ended == ""
    end.protocol.close()
    end.protocol.close()
    await until(lambda: not door.connections)
    assert end.answers == [400]


async def test_a_mebibyte_is_forgotten_behind_the_last_answer_and_no_more(
    end: End,
) -> None:
    end.protocol.data_received(b"nonsense\r\n\r\n")
    await until(lambda: end.answers == [400])
    for _ in range(16):
        end.protocol.data_received(bytes(2**16))
    assert end.transport.ended == ""
    end.protocol.data_received(b"x")
    assert end.transport.ended == "aborted"


async def test_nothing_is_read_while_there_is_enough_to_do(end: End) -> None:
    end.protocol.data_received(GET * 3)
    assert not end.transport.reads
    await until(lambda: end.transport.reads)
    assert end.answers == [404] * 3


async def test_what_comes_although_nothing_should_is_kept_for_later(end: End) -> None:
    for _ in range(3):
        end.protocol.data_received(GET)
    await until(lambda: end.transport.reads)
    assert end.answers == [404] * 3


async def test_one_that_does_not_read_its_answers_gets_no_more_of_them(end: End) -> None:
    end.protocol.data_received(GET)
    end.protocol.pause_writing()
    for _ in range(5):
        await asyncio.sleep(0)
    assert end.answers == []
    assert not end.transport.reads
    end.protocol.resume_writing()
    await until(lambda: end.transport.reads)
    assert end.answers == [404]
    assert end.transport.ended == ""


async def test_one_that_stalls_in_the_middle_of_its_answers_gets_the_rest_later(
    end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = end.transport.write

    def is_full(data: bytes) -> None:
        write(data)
        if len(end.answers) == 2:
            end.protocol.pause_writing()

    monkeypatch.setattr(end.transport, "write", is_full)
    end.protocol.data_received(GET * 5)
    await until(lambda: len(end.answers) == 2)
    for _ in range(5):
        await asyncio.sleep(0)
    assert end.answers == [404] * 2
    assert not end.transport.reads
    end.protocol.resume_writing()
    await until(lambda: end.transport.reads)
    assert end.answers == [404] * 5


async def test_one_that_never_reads_is_cut_off_after_30_seconds(
    door: House, end: End, clock: Clock
) -> None:
    end.protocol.pause_writing()
    clock.forward(29)
    await asyncio.sleep(0.01)
    assert end.transport.ended == ""
    clock.forward(1.1)
    await until(lambda: end.transport.ended)
    assert end.transport.ended == "aborted"
    await until(lambda: not door.connections)
    end.protocol.resume_writing()


async def test_one_that_reads_again_in_time_may_stall_again(end: End, clock: Clock) -> None:
    for _ in range(3):
        end.protocol.pause_writing()
        clock.forward(20)
        await asyncio.sleep(0.01)
        end.protocol.resume_writing()
    clock.forward(20)
    await asyncio.sleep(0.01)
    assert end.transport.ended == ""


async def test_events_wait_for_one_that_does_not_read_and_are_told_as_they_are_then(
    door: House, end: End, clock: Clock
) -> None:
    end.verify()
    door.driver.topics[SENSOR_TOPIC] = {ADDRESS}
    end.protocol.pause_writing()
    for value in (20.0, 21.0, 22.0):
        door.measure(value)
        clock.forward(1)
        await until(lambda: end.protocol._event_timer is None)
    assert end.events == []
    end.protocol.resume_writing()
    assert end.events == [[{"aid": 3, "iid": TEMPERATURE, "value": 22.0}]]


async def test_an_answer_that_is_held_back_for_one_that_is_hung_up_on_is_not_said(
    door: House, clock: Clock
) -> None:
    end = End(door, lingers=True)
    door.driver.count_attempts(19)
    for message in (M1, WRONG_M3):
        end.protocol.data_received(request("POST", "/pair-setup", message))
    await until(lambda: end.protocol._held)
    end.protocol.close()
    before = end.transport.written
    clock.forward(1.1)
    await until(lambda: end.protocol._held is None)
    assert (end.transport.written, end.transport.ended) == (before, "")
    clock.forward(1)
    await until(lambda: not door.connections)
    assert end.transport.ended == "aborted"


async def test_writing_that_goes_on_without_having_stopped_does_no_harm(end: End) -> None:
    end.protocol.resume_writing()
    end.protocol.data_received(GET)
    await until(lambda: end.answers == [404])


async def test_what_a_handler_does_not_expect_ends_the_connection_in_a_line(
    door: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    for _ in range(3):
        end = End(door)
        monkeypatch.setattr(end.protocol.handler, "dispatch", fail)
        end.protocol.data_received(GET)
        await until(lambda: not door.connections)
        assert (end.transport.ended, end.answers) == ("aborted", [])
    (line,) = said(caplog)
    assert "192.0.2.1 was hung up on (RuntimeError at test_connection_faults.py:" in line


async def test_one_that_is_hung_up_on_while_it_waits_for_its_turn_is_not_answered(
    door: House, end: End
) -> None:
    end.protocol.data_received(GET)
    end.protocol.abort()
    await until(lambda: not door.connections)
    assert end.answers == []


async def test_no_timer_is_left_of_a_connection_that_is_gone(
    door: House, end: End, clock: Clock
) -> None:
    door.driver.timed_writes.prepare(ADDRESS, {"pid": 1, "ttl": 60_000}, clock.now)
    end.protocol.pause_writing()
    end.protocol.data_received(b"nonsense\r\n\r\n")
    end.protocol.connection_lost(ConnectionResetError())
    assert end.protocol._stalled is not None
    assert end.protocol._leaving is not None
    assert end.protocol._stalled.cancelled()
    assert end.protocol._leaving.cancelled()
    assert not door.driver.timed_writes.claim(ADDRESS, 1, clock.now)
    assert door.connections == []


async def test_what_a_controller_sends_while_it_waits_does_not_overtake(end: End) -> None:
    end.verify()
    controller = Frames(SHARED)
    controller._out_cipher = controller._in_cipher
    paths = ("/nowhere", "/accessories", "/nowhere", "/characteristics")
    for path in paths:
        end.protocol.data_received(b"".join(controller.encrypt(request("GET", path))))
    await until(lambda: end.transport.reads and len(end.answers) == len(paths))
    assert end.answers == [404, 200, 404, 400]


async def test_one_that_has_hung_up_is_told_nothing_and_not_waited_for(
    house: House, clock: Clock
) -> None:
    end = End(house, lingers=True)
    end.verify()
    end.protocol.eof_received()
    assert not end.protocol.is_verified
    clock.forward(2.1)
    await until(lambda: end.transport.ended == "aborted")


async def test_one_that_was_gone_before_it_was_there_is_forgotten(house: House) -> None:
    protocol = GuardedProtocol(asyncio.get_running_loop(), house.server)
    transport = Transport(protocol, peername=None)
    protocol.connection_made(transport)
    await until(lambda: transport.ended == "aborted")
    await asyncio.sleep(0)
    assert house.server.connections == {}
    assert house.connections == []
