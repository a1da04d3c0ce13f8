"""What an attack expects; what fails says what happened instead."""

from __future__ import annotations

from collections.abc import Mapping

from tests.e2e.door.client import ERROR, UNKNOWN, Answer, Client, Value, state, tlv

INSUFFICIENT_PRIVILEGES = -70401
NO_RESPONSE = -70402
READ_ONLY = -70404
WRITE_ONLY = -70405
NO_NOTIFICATION = -70406
OUT_OF_RESOURCES = -70407
NO_RESOURCE = -70409
INVALID_VALUE = -70410


def error(code: int) -> Value:
    return ERROR, bytes([code])


def expect(answer: Answer, status: int, body: bytes = b"") -> None:
    """Assert an answer to the byte."""
    assert (answer.status, answer.body) == (status, body), (
        f"{answer.status} {answer.body!r} instead of {status} {body!r}"
    )


def expect_status(answer: Answer, status: int) -> None:
    assert answer.status == status, f"{answer.status} {answer.body!r} instead of {status}"


def expect_json(answer: Answer, status: int, value: object) -> None:
    expect_status(answer, status)
    assert answer.json == value, f"{answer.body!r} instead of {value!r}"


def expect_error(answer: Answer, number: int, code: int, status: int = 200) -> None:
    """Assert that a step of pairing was refused: State and Error, and nothing else."""
    expect(answer, status, tlv(state(number), error(code)))


def expect_malformed(answer: Answer, number: int) -> None:
    """Assert what is answered to a step that is out of order or cannot be read."""
    expect_error(answer, number, UNKNOWN, status=400)


def expect_items(answer: Answer, status: int, items: Mapping[tuple[int, int], int]) -> None:
    """Assert the status of each characteristic."""
    expect_status(answer, status)
    told = {(i["aid"], i["iid"]): i["status"] for i in answer.json["characteristics"]}
    assert told == dict(items), f"{answer.body!r} instead of {items}"


async def expect_closed(client: Client, what: str) -> None:
    """Assert that the server closes without a word."""
    try:
        said = await client.closed()
    except TimeoutError:
        said = client.unread
        assert said, f"still open after {what}"
    assert said == b"", f"answered {said[:200]!r} to {what}"


async def expect_answer(client: Client, what: str) -> Answer:
    """The answer; an assertion fails where there is none."""
    try:
        return await client.receive()
    except TimeoutError:
        raise AssertionError(f"no answer to {what}") from None
    except ConnectionError:
        raise AssertionError(f"closed without an answer to {what}") from None


async def expect_too_large(client: Client, what: str) -> None:
    """Assert 413 and the end of the connection."""
    answer = await expect_answer(client, what)
    expect_status(answer, 413)
    assert answer.headers.get("connection") == "close", f"kept alive after {what}"
    await expect_closed(client, what)
