"""Requests out of bytes: one at a time, however they come, and none too large."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.homekit.requests import (
    MOST_HEADERS,
    OF_CONTROLLERS,
    OF_STRANGERS,
    Limits,
    Request,
    RequestReader,
    TooLargeError,
    is_too_large,
)

GET = b"GET /accessories HTTP/1.1\r\nHost: bridge\r\n\r\n"
POST = b"POST /pair-setup HTTP/1.1\r\nHost: bridge\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

#: For strangers, and for controllers.
LIMITS = [OF_STRANGERS, OF_CONTROLLERS]


def declared(length: int) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n" % length


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Connection:
    """Reads as a connection does, and says at once that nothing is to be found."""

    def __init__(self, limits: Limits = OF_STRANGERS) -> None:
        self.reader = RequestReader()
        self.reader.limits = limits

    def take(self) -> Request | None:
        """The next request, however many calls it takes."""
        while (request := self.reader.take()) is None and not self.reader.needs_more:
            pass
        return request

    def answer(self) -> None:
        http = self.reader.http
        http.send(h11.Response(status_code=204, headers=[]))
        http.send(h11.EndOfMessage())

    def requests(self, pieces: Iterable[bytes]) -> list[Request]:
        """All requests in `pieces`, each answered before the next is taken."""
        found = []
        for piece in pieces:
            self.reader.put(piece)
            while (request := self.take()) is not None:
                found.append(request)
                self.answer()
        return found


def drips(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


def test_the_limits_are_those_of_the_documentation() -> None:
    assert (MOST_HEADERS, OF_STRANGERS.body, OF_CONTROLLERS.body) == (8192, 4096, 262144)
    assert RequestReader().limits == OF_STRANGERS


def test_a_request_is_taken_with_its_body() -> None:
    (request,) = Connection().requests([declared(3) + b"abc"])
    assert (request.head.method, request.head.target) == (b"POST", b"/pair-setup")
    assert (b"host", b"bridge") in request.head.headers
    assert request.body == b"abc"


@given(st.data())
def test_requests_may_come_in_any_pieces(draw: st.DataObject) -> None:
    data = GET + declared(5) + b"first" + CHUNKED + chunk(b"sec") + chunk(b"ond")
    data += b"0\r\n\r\n" + declared(0) + GET
    cuts = sorted(draw.draw(st.sets(st.integers(1, len(data) - 1), max_size=10)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    found = Connection().requests(pieces)
    assert [request.body for request in found] == [b"", b"first", b"second", b"", b""]


@pytest.mark.parametrize("limits", LIMITS)
def test_a_body_may_have_as_many_bytes_as_are_allowed(limits: Limits) -> None:
    most = limits.body
    body = bytes(most)
    pieces = [declared(most), body[:-1], body[-1:]]
    assert [request.body for request in Connection(limits).requests(pieces)] == [body]
    halves = chunk(body[: most // 2]) + chunk(body[most // 2 :])
    (request,) = Connection(limits).requests([CHUNKED + halves + b"0\r\n\r\n"])
    assert request.body == body


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("more", [1, 10**11, 10**19])
def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(
    limits: Limits, more: int
) -> None:
    connection = Connection(limits)
    connection.reader.put(declared(limits.body + more))
    with pytest.raises(TooLargeError):
        connection.take()


@pytest.mark.parametrize("limits", LIMITS)
def test_chunks_are_refused_as_soon_as_they_are_too_many(limits: Limits) -> None:
    connection = Connection(limits)
    connection.reader.put(CHUNKED + chunk(bytes(limits.body)))
    assert connection.take() is None
    connection.reader.put(b"1\r\nx")
    with pytest.raises(TooLargeError):
        connection.take()


def test_chunks_of_a_byte_each_are_too_many_too() -> None:
    connection = Connection()
    with pytest.raises(TooLargeError):
        connection.requests([CHUNKED, chunk(b"x") * 4097])


def test_the_limit_may_change_between_requests() -> None:
    connection = Connection()
    connection.requests([GET])
    connection.reader.limits = OF_CONTROLLERS
    (request,) = connection.requests(
        [declared(OF_CONTROLLERS.body), bytes(OF_CONTROLLERS.body)]
    )
    assert len(request.body) == OF_CONTROLLERS.body


def head(length: int, name: bytes = b"X", value: bytes = b"x") -> bytes:
    """A head of exactly so many bytes, in one long header, or many."""
    start = GET[:-2]
    line = name + b": " + value + b"\r\n"
    count, rest = divmod(length - len(start) - 2, len(line))
    lines = line * (count - 1) + line[:-2] + b"x" * rest + b"\r\n"
    return start + lines + b"\r\n"


HEADS = {
    "one header": lambda length: head(length, value=b"x" * 8000),
    "many headers": head,
    "a path": lambda length: GET[:5] + b"x" * (length - len(GET)) + GET[5:],
}

#: Bytes of a head that are counted in one way of coming and not in another.
SLACK = 64


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("pieces", [lambda data: [data], drips], ids=["at once", "drips"])
def test_headers_of_8_kib_are_taken_and_more_are_not(make: object, pieces: object) -> None:
    assert callable(make)
    assert callable(pieces)
    data = make(MOST_HEADERS)
    assert len(data) == MOST_HEADERS
    assert len(Connection().requests(pieces(data))) == 1
    for more in (SLACK, MOST_HEADERS, 10 * MOST_HEADERS):
        with pytest.raises((TooLargeError, h11.RemoteProtocolError)) as refused:
            Connection().requests(pieces(make(MOST_HEADERS + more)))
        error = refused.value
        assert not isinstance(error, h11.RemoteProtocolError) or is_too_large(error)


def test_headers_without_an_end_are_not_kept() -> None:
    connection = Connection()
    connection.reader.put(GET[:-2] + b"X: " + b"x" * 10**6)
    with pytest.raises(TooLargeError):
        connection.take()
    assert len(connection.reader.http.trailing_data[0]) <= 2 * MOST_HEADERS


def get(target: int, fields: int = 0) -> bytes:
    """A request with a target and header fields of so many bytes."""
    head = b"GET /" + b"x" * (target - 1) + b" HTTP/1.1\r\nHost: bridge\r\nX: "
    return head + b"y" * (fields - len(b"Host: bridge\r\nX: \r\n")) + b"\r\n\r\n"


@pytest.mark.parametrize("pieces", [lambda data: [data], drips])
def test_a_controller_may_ask_for_all_of_a_large_bridge_at_once(
    pieces: Callable[[bytes], list[bytes]],
) -> None:
    (request,) = Connection(OF_CONTROLLERS).requests(pieces(get(32_000, 8_000)))
    assert len(request.head.target) == 32_000
    for data in (get(42_000), get(100, 20_000)):
        with pytest.raises((TooLargeError, h11.RemoteProtocolError)):
            Connection(OF_CONTROLLERS).requests(pieces(data))
    with pytest.raises(TooLargeError):
        Connection().requests(pieces(get(9_000)))


def test_trailers_behind_a_body_are_limited_too() -> None:
    with pytest.raises(h11.RemoteProtocolError) as refused:
        Connection().requests([CHUNKED + chunk(b"x") + b"0\r\n" + b"X: y\r\n" * 9000])
    assert is_too_large(refused.value)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\x80 HTTP/1.1\r\nHost: bridge\r\n\r\n",
        POST + b"Content-Length: x\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        POST + b"Transfer-Encoding: gzip\r\n\r\n",
        CHUNKED + b"x\r\n",
        CHUNKED + b"f" * 21 + b"\r\n",
    ],
)
def test_what_is_no_http_is_an_error_and_not_too_large(data: bytes) -> None:
    with pytest.raises(h11.ProtocolError) as refused:
        Connection().requests([data])
    assert not is_too_large(refused.value)


def test_pipelined_requests_come_one_at_a_time() -> None:
    connection = Connection()
    connection.reader.put(declared(1) + b"1" + declared(1) + b"2" + declared(1) + b"3")
    for body in (b"1", b"2", b"3"):
        request = connection.take()
        assert request is not None
        assert request.body == body
        connection.answer()
    assert connection.take() is None
    assert not connection.reader.has_part


def test_one_call_takes_a_few_steps_only() -> None:
    reader = RequestReader()
    reader.put(CHUNKED + chunk(b"x") * 1000 + b"0\r\n\r\n")
    calls = 1
    while (request := reader.take()) is None:
        assert not reader.needs_more
        calls += 1
    assert len(request.body) == 1000
    assert calls > 20


def test_more_is_needed_once_all_that_came_has_been_read() -> None:
    reader = RequestReader()
    needs = [reader.needs_more]
    for piece in (GET[:20], GET[20:]):
        reader.put(piece)
        needs.append(reader.needs_more)
        reader.take()
        needs.append(reader.needs_more)
    # Whether a request was the last one turns out at the next call.
    assert needs == [True, False, True, False, False]


@pytest.mark.parametrize(
    "data", [GET, declared(4) + b"body", CHUNKED + b"1\r\nx\r\n0\r\n\r\n"]
)
def test_it_is_known_whether_a_request_has_come_in_part(data: bytes) -> None:
    connection = Connection()
    has_part = [connection.reader.has_part]
    for byte in drips(data)[:-1]:
        connection.reader.put(byte)
        has_part.append(connection.reader.has_part)
        assert connection.take() is None
        has_part.append(connection.reader.has_part)
    assert has_part == [False] + [True] * (len(has_part) - 1)
    assert len(connection.requests([data[-1:]])) == 1
    assert not connection.reader.has_part


@pytest.mark.parametrize("more", [b"G", GET])
def test_what_follows_a_request_is_a_part_of_the_next(more: bytes) -> None:
    connection = Connection()
    connection.reader.put(GET + more)
    assert connection.take() is not None
    assert connection.reader.has_part


def test_what_is_too_long_for_one_step_is_a_part_as_well() -> None:
    connection = Connection(OF_CONTROLLERS)
    connection.reader.put(
        declared(4) + b"body" + declared(OF_CONTROLLERS.body) + bytes(OF_CONTROLLERS.body)
    )
    assert connection.take() is not None
    assert connection.reader.has_part
