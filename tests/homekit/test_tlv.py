"""TLV8: what is written can be read, and what cannot be read is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyhap import tlv as pyhap_tlv

from hk_bridge.homekit.tlv import (
    ERROR,
    IDENTIFIER,
    PUBLIC_KEY,
    SEPARATOR,
    STATE,
    RefusedError,
    TlvError,
    answer,
    decode,
    encode,
    malformed,
    refusal,
    state_of,
)

#: Around where a fragment ends.
LENGTHS = [0, 1, 254, 255, 256, 509, 510, 511, 765]

KINDS = st.binary(min_size=1, max_size=1)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_value_is_cut_into_fragments_of_255_and_none_is_empty_but_an_empty_one(
    length: int,
) -> None:
    value = bytes(i % 251 for i in range(length))
    data = encode((PUBLIC_KEY, value))
    sizes = [255] * (length // 255) + [length % 255] * (length % 255 > 0) or [0]
    expected, rest = b"", value
    for size in sizes:
        expected += PUBLIC_KEY + bytes([size]) + rest[:size]
        rest = rest[size:]
    assert data == expected
    assert decode(data) == {PUBLIC_KEY: value}


@pytest.mark.parametrize("length", LENGTHS)
def test_it_is_what_hap_python_writes_but_for_multiples_of_255(length: int) -> None:
    value = bytes(i % 251 for i in range(length))
    same = encode((PUBLIC_KEY, value)) == pyhap_tlv.encode(PUBLIC_KEY, value)
    assert same == (length <= 255 or length % 255 > 0)


@given(st.dictionaries(KINDS, st.binary(max_size=800), max_size=5))
def test_what_is_written_is_read_again(values: dict[bytes, bytes]) -> None:
    data = encode(*values.items())
    assert decode(data) == values
    assert pyhap_tlv.decode(data) == values


@given(st.binary(max_size=600))
def test_bytes_are_read_whole_or_not_at_all(data: bytes) -> None:
    try:
        values = decode(data)
    except ValueError:
        return
    assert values == pyhap_tlv.decode(data)
    # Two bytes in front of each fragment, and nothing is lost.
    fragments = (len(data) - sum(map(len, values.values()))) / 2
    assert fragments.is_integer()
    assert fragments >= len(values)


@given(st.dictionaries(KINDS, st.binary(max_size=600), min_size=1, max_size=3), st.data())
def test_what_is_cut_off_within_a_fragment_is_refused(
    values: dict[bytes, bytes], draw: st.DataObject
) -> None:
    data = encode(*values.items())
    ends, offset = set(), 0
    while offset < len(data):
        ends.add(offset)
        offset += 2 + data[offset + 1]
    length = draw.draw(st.integers(1, len(data) - 1).filter(lambda at: at not in ends))
    with pytest.raises(ValueError, match="truncated"):
        decode(data[:length])


@pytest.mark.parametrize(
    "data", [b"\x06", b"\x06\x01", b"\x06\x05\x01", b"\x06\x01\x01\x03"]
)
def test_truncated_tlv_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="truncated"):
        decode(data)


def test_fragments_are_put_together() -> None:
    data = b"\x03\xff" + b"a" * 255 + b"\x03\x02bb" + b"\x06\x01\x02"
    assert decode(data) == {PUBLIC_KEY: b"a" * 255 + b"bb", STATE: b"\x02"}


def test_the_same_type_may_come_again_behind_a_separator() -> None:
    data = encode((IDENTIFIER, b"a"), (SEPARATOR, b""), (IDENTIFIER, b"b"))
    assert data == b"\x01\x01a\xff\x00\x01\x01b"


@pytest.mark.parametrize(
    ("message", "state"),
    [
        ({STATE: b"\x01"}, 1),
        ({STATE: b"\xff"}, 255),
        ({STATE: b"\x00"}, 0),
        ({STATE: b""}, None),
        ({STATE: b"\x01\x01"}, None),
        ({}, None),
    ],
)
def test_a_state_is_one_byte(message: dict[bytes, bytes], state: int | None) -> None:
    assert state_of(message) == state


def test_an_answer_says_which_step_comes_next() -> None:
    assert answer(1, (PUBLIC_KEY, b"key")) == b"\x06\x01\x02\x03\x03key"
    assert answer(127) == b"\x06\x01\x80"
    assert answer(255) == b"\x06\x01\x00"


@pytest.mark.parametrize("error", TlvError)
def test_a_refusal_says_why(error: TlvError) -> None:
    assert decode(refusal(3, error)) == {STATE: b"\x04", ERROR: bytes([error])}


def test_what_is_malformed_has_no_error_of_its_own_and_is_no_wrong_code() -> None:
    error = malformed()
    assert (error.error, error.malformed, error.wrong_code) == (
        TlvError.UNKNOWN,
        True,
        False,
    )
    assert not RefusedError(TlvError.BUSY).malformed
    assert str(RefusedError(TlvError.BUSY)) == "BUSY"
