"""What a bridge may say, whatever it was sent."""

from __future__ import annotations

import re

from tests.e2e.door.client import Answer
from tests.e2e.door.expectations import INSUFFICIENT_PRIVILEGES, INVALID_VALUE, expect
from tests.e2e.door.fuzz_bytes import readable, state_in
from tests.e2e.door.tlv import (
    AUTHENTICATION,
    BUSY,
    ERROR,
    MAX_PEERS,
    MAX_TRIES,
    STATE,
    UNAVAILABLE,
    UNKNOWN,
    state,
    tlv,
)

STATUSES = frozenset({200, 204, 207, 400, 404, 405, 413, 470})
REFUSALS = frozenset({UNKNOWN, AUTHENTICATION, MAX_PEERS, MAX_TRIES, UNAVAILABLE, BUSY})

PAIRING = "application/pairing+tlv8"
JSON = "application/hap+json"

_FIRST_LINE = re.compile(rb"(HTTP/1\.1|EVENT/1\.0) (\d{3}) [ -~]*")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([ -~]*)")


def every(data: bytes, *, heads: bool = False) -> list[Answer]:
    """All answers in what was said until the connection was closed.

    `heads` says that some may be to HEAD, and have no body.
    """
    answers = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, f"half an answer: {head!r}"
        first, *lines = head.split(b"\r\n")
        line = _FIRST_LINE.fullmatch(first)
        assert line, f"no answer: {first!r}"
        fields = [_HEADER.fullmatch(each) for each in lines]
        headers = {f[1].decode().lower(): f[2].decode() for f in fields if f}
        assert len(headers) == len(lines), f"odd headers: {head!r}"
        body, data = _body(headers, data, int(line[2]), heads=heads)
        answers.append(Answer(int(line[2]), headers, body, line[1].decode()))
    return answers


def _body(
    headers: dict[str, str], data: bytes, status: int, *, heads: bool
) -> tuple[bytes, bytes]:
    """The body of an answer, and what follows it."""
    if status == 204 or (heads and (not data or data.startswith(b"HTTP/1.1 "))):
        return b"", data
    if "content-length" in headers:
        length = int(headers["content-length"])
        assert len(data) >= length, f"{len(data)} of {length} bytes of an answer"
        return data[:length], data[length:]
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while True:
            size, _, data = data.partition(b"\r\n")
            length = int(size, 16)
            body, end, data = body + data[:length], data[length:][:2], data[length + 2 :]
            assert end == b"\r\n", "half a chunk"
            if not length:
                return body, data
    assert headers.get("connection") == "close", f"an answer without an end: {headers}"
    return data, b""


def check(
    answer: Answer, *, verified: bool, paired: bool = True, heads: bool = False
) -> None:
    """Assert that the bridge may say this at all, on a connection of this kind."""
    if answer.protocol == "EVENT/1.0":
        assert verified, f"an event for a stranger: {answer}"
        assert answer.status == 200, answer
        _check_items(answer)
        return
    assert answer.status in STATUSES, answer
    content = answer.headers.get("content-type")
    if content == PAIRING:
        _check_pairing(answer)
    elif content == JSON and (answer.body or not heads):
        _check_json(answer, verified=verified)
    else:
        assert not answer.body, answer
        assert answer.status in {204, 400, 404, 405, 413} or heads, answer
    if not verified:
        assert answer.status != 207, answer
        assert answer.status != 204 or not paired, answer
    elif answer.status == 470:
        raise AssertionError(f"{answer} after pair-verify")


def _check_pairing(answer: Answer) -> None:
    assert answer.status in {200, 400}, answer
    values = readable(answer.body)
    assert values is not None, answer
    assert len(values.get(STATE, b"")) == 1, answer
    if ERROR in values:
        assert set(values) == {STATE, ERROR}, answer
        assert values[ERROR][0] in REFUSALS, answer
        assert len(values[ERROR]) == 1, answer
    if answer.status == 400:
        assert values.get(ERROR) == bytes([UNKNOWN]), answer


def _check_json(answer: Answer, *, verified: bool) -> None:
    if answer.status == 470:
        assert answer.json == {"status": INSUFFICIENT_PRIVILEGES}, answer
    elif answer.status == 400 or not verified:
        assert answer.status == 400, answer
        statuses = (INVALID_VALUE, INSUFFICIENT_PRIVILEGES, -70407)
        assert answer.json in [{"status": status} for status in statuses], answer
    elif answer.status == 207:
        _check_items(answer)
        assert any(item["status"] for item in answer.json["characteristics"]), answer
    else:
        assert answer.status == 200, answer
        assert answer.json.keys() in (
            {"accessories"},
            {"characteristics"},
            {"status"},
        ), answer


def _check_items(answer: Answer) -> None:
    items = answer.json["characteristics"]
    assert isinstance(items, list), answer
    for item in items:
        assert {"aid", "iid"} < set(item), answer
        assert ("status" in item) == (answer.status == 207), answer


def check_refusal_of_form(answer: Answer, body: bytes, most: int) -> bool:
    """Whether `body` was no message of pairing, and was refused as it should be."""
    if len(body) > most:
        expect(answer, 413)
    elif state_in(body) is None:
        expect(answer, 400)
    else:
        return False
    return True


def expect_step(
    answer: Answer, body: bytes, refused: int | None, status: int = 200
) -> None:
    """Assert that the step of pairing in `body` was done, or `refused` for this reason."""
    number = ((state_in(body) or 0) + 1) % 256
    if refused is None:
        assert answer.status == 200, answer
        assert answer.tlv[STATE] == bytes([number]), answer
        assert answer.error is None, answer
    else:
        expect(answer, status, tlv(state(number), (ERROR, bytes([refused]))))
