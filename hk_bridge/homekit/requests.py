"""HTTP requests out of bytes, one at a time, and none that is too large.

Source: docs/protocols/hap.md, "Limits". h11 does the reading; it has no limit for a body,
and none for headers that come all at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import h11

MOST_HEADERS: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of a target, beyond which it counts as one of the headers, and of a body."""

    target: int
    body: int


#: Before pair-verify there are only messages of pairing.
OF_STRANGERS: Final = Limits(0, 4 * 1024)

#: A controller reads all of a large bridge with one target of many ids.
OF_CONTROLLERS: Final = Limits(32 * 1024, 256 * 1024)

#: What one call does: chunks of a byte each would keep everybody else waiting.
_STEPS: Final = 32


class TooLargeError(Exception):
    """A request with more headers or more body than there may be."""


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request."""

    head: h11.Request
    body: bytes


class RequestReader:
    """What comes in on one connection; `http` is also what answers are written with.

    `limits` may change from one request to the next.
    """

    def __init__(self) -> None:
        self.limits = OF_STRANGERS
        self.http = h11.Connection(
            h11.SERVER, max_incomplete_event_size=MOST_HEADERS + OF_CONTROLLERS.target
        )
        self._inbox = bytearray()
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._needs_more = True
        # Bytes of this request, and of what came behind it, that h11 has been given.
        self._fed = 0

    def put(self, data: bytes) -> None:
        """Take what has come."""
        self._inbox += data
        self._needs_more = False

    @property
    def needs_more(self) -> bool:
        """Whether `take` can do nothing until more comes."""
        return self._needs_more

    @property
    def has_part(self) -> bool:
        """Whether anything has come that belongs to a request not taken yet."""
        return bool(self._head or self._inbox or self.http.trailing_data[0])

    def take(self) -> Request | None:
        """The next request, if it is whole within a few steps.

        Raises TooLargeError, and h11.ProtocolError for what is no HTTP.
        """
        for _ in range(_STEPS):
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                if self._head is None and self._is_too_long():
                    raise TooLargeError
                if not self._inbox:
                    self._needs_more = True
                    return None
                # No more at once, or headers of any length would pass.
                part = bytes(self._inbox[:MOST_HEADERS])
                self.http.receive_data(part)
                self._fed += len(part)
                del self._inbox[:MOST_HEADERS]
            elif event is h11.PAUSED:
                self.http.start_next_cycle()
            elif isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data):
                self._add(event.data)
            elif self._head is not None:
                request = Request(self._head, bytes(self._body))
                self._head = None
                self._body.clear()
                self._fed = len(self.http.trailing_data[0])
                return request
        return None

    def _is_too_long(self) -> bool:
        """Whether headers that are not whole yet are too many already."""
        begun = self.http.trailing_data[0]
        line = begun.find(b"\n") + 1 or len(begun)
        return len(begun) - min(line, self.limits.target) > MOST_HEADERS

    def _begin(self, head: h11.Request) -> None:
        size = self._fed - len(self.http.trailing_data[0])
        size -= min(len(head.target), self.limits.target)
        declared = int(dict(head.headers).get(b"content-length", b"0"))
        if size > MOST_HEADERS or declared > self.limits.body:
            raise TooLargeError
        self._head = head

    def _add(self, data: bytes) -> None:
        if len(self._body) + len(data) > self.limits.body:
            raise TooLargeError
        self._body += data


def is_too_large(error: h11.ProtocolError) -> bool:
    """Whether h11 has given up on headers without an end."""
    return bool(error.error_status_hint == 431)
