"""The setup code, and the payload of the QR code, read back by other means."""

import re
import secrets
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.protocols.setup_code import (
    new_setup_code,
    new_setup_id,
    parse_setup_code,
    setup_payload,
)

TRIVIAL = [
    "000-00-000",
    "111-11-111",
    "222-22-222",
    "333-33-333",
    "444-44-444",
    "555-55-555",
    "666-66-666",
    "777-77-777",
    "888-88-888",
    "999-99-999",
    "123-45-678",
    "876-54-321",
]


@pytest.mark.parametrize("text", ["03145154", "031-45-154"])
def test_a_code_is_read_with_and_without_its_dashes(text: str) -> None:
    assert parse_setup_code(text) == "031-45-154"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0314515",
        "031451544",
        "031-45-15",
        "031-45-1544",
        "0314-5-154",
        "03145-154-",
        "-031-45-154",
        "031--45-154",
        "031 45 154",
        " 031-45-154",
        "031-45-154\n",
        "031-45-15a",
        "٠٣١-٤٥-١٥٤",
    ],
)
def test_anything_else_is_no_code(text: str) -> None:
    assert parse_setup_code(text) is None


@given(st.integers(0, 99_999_999))
def test_every_eight_digits_are_a_code(number: int) -> None:
    digits = str(number).rjust(8, "0")
    code = parse_setup_code(digits)
    assert code is not None
    assert re.fullmatch(r"\d{3}-\d{2}-\d{3}", code)
    assert code.replace("-", "") == digits
    assert parse_setup_code(code) == code


def test_a_new_code_is_never_a_trivial_one(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [int(code.replace("-", "")) for code in TRIVIAL] + [3145154, 0]
    bounds = []

    def draw(bound: int) -> int:
        bounds.append(bound)
        return drawn[len(bounds) - 1]

    monkeypatch.setattr(secrets, "randbelow", draw)
    assert new_setup_code() == "031-45-154"
    # Every eight digits can be drawn, and the first that will do is taken.
    assert bounds == [100_000_000] * 13


def test_a_new_code_has_the_form_of_one() -> None:
    for _ in range(100):
        code = new_setup_code()
        assert parse_setup_code(code) == code
        assert code not in TRIVIAL


def test_new_codes_differ() -> None:
    # Twenty equal draws out of 10^8 do not happen.
    assert len({new_setup_code() for _ in range(20)}) > 1


def test_a_new_setup_id_is_four_of_thirty_six_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    characters = iter("7OSX")
    alphabets = []

    def choose(alphabet: Sequence[str]) -> str:
        alphabets.append("".join(sorted(alphabet)))
        return next(characters)

    monkeypatch.setattr(secrets, "choice", choose)
    assert new_setup_id() == "7OSX"
    assert alphabets == ["0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"] * 4


def read_back(payload: str) -> dict[str, int | str]:
    """The fields of a payload, by Python's own base 36 and slices of binary text."""
    match = re.fullmatch(r"X-HM://([0-9A-Z]{9})([0-9A-Z]{4})", payload)
    assert match is not None
    bits = f"{int(match[1], 36):046b}"
    assert len(bits) == 46
    return {
        "version": int(bits[0:3], 2),
        "reserved": int(bits[3:7], 2),
        "category": int(bits[7:15], 2),
        "flags": int(bits[15:19], 2),
        "code": int(bits[19:46], 2),
        "id": match[2],
    }


def test_the_payload_of_the_documentation_comes_out() -> None:
    # 2 × 2^31 + 2 × 2^27 + 3145154
    assert int("0023ISYWY", 36) == 4294967296 + 268435456 + 3145154
    assert setup_payload("031-45-154", "7OSX", 2) == "X-HM://0023ISYWY7OSX"


@pytest.mark.parametrize(
    ("code", "number"),
    [("031-45-154", 3145154), ("000-00-001", 1), ("999-99-998", 99_999_998)],
)
def test_a_payload_holds_the_code_of_a_bridge_that_pairs_over_ip(
    code: str, number: int
) -> None:
    assert read_back(setup_payload(code, "OSX1", 2)) == {
        "version": 0,
        "reserved": 0,
        "category": 2,
        "flags": 2,
        "code": number,
        "id": "OSX1",
    }


@given(
    st.integers(0, 99_999_999),
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=4),
    st.integers(1, 255),
)
def test_every_payload_can_be_read_back(number: int, setup_id: str, category: int) -> None:
    code = parse_setup_code(str(number).rjust(8, "0"))
    assert code is not None
    assert read_back(setup_payload(code, setup_id, category)) == {
        "version": 0,
        "reserved": 0,
        "category": category,
        "flags": 2,
        "code": number,
        "id": setup_id,
    }
