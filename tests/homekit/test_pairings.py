"""What may be done with the list of pairings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest

from hk_bridge.homekit import tlv
from hk_bridge.homekit.identity import Pairing
from hk_bridge.homekit.pairings import (
    ADD,
    LIST,
    MOST_PAIRINGS,
    REMOVE,
    added,
    controller_of,
    listing,
    method_of,
)
from hk_bridge.homekit.tlv import RefusedError, TlvError

ID = b"F31C6685-9FDD-4869-8F65-3A102FF2534F"
OTHER_ID = b"0A1C6685-9FDD-4869-8F65-3A102FF2534F"
KEY, OTHER_KEY = b"\x01" * 32, b"\x02" * 32
ADMIN, USER = b"\x01", b"\x00"
KNOWN = Pairing(ID, KEY, admin=True)

Message = dict[bytes, bytes]


def add(
    controller: bytes = OTHER_ID, key: bytes = OTHER_KEY, permissions: bytes = USER
) -> Message:
    return {
        tlv.STATE: b"\x01",
        tlv.METHOD: b"\x03",
        tlv.IDENTIFIER: controller,
        tlv.PUBLIC_KEY: key,
        tlv.PERMISSIONS: permissions,
    }


def without(kind: bytes) -> Message:
    return {k: value for k, value in add().items() if k != kind}


def refusal(step: Callable[[], object]) -> tuple[TlvError, bool]:
    """The error, and whether the message was malformed."""
    with pytest.raises(RefusedError) as refused:
        step()
    return refused.value.error, refused.value.malformed


MALFORMED = (TlvError.UNKNOWN, True)


@pytest.mark.parametrize("method", [ADD, REMOVE, LIST])
def test_a_method_is_what_the_message_says(method: int) -> None:
    assert method_of({tlv.STATE: b"\x01", tlv.METHOD: bytes([method])}) == method


@pytest.mark.parametrize(
    "message",
    [
        {},
        {tlv.STATE: b"\x01"},
        {tlv.METHOD: b"\x05"},
        {tlv.STATE: b"\x02", tlv.METHOD: b"\x05"},
        {tlv.STATE: b"\x01\x01", tlv.METHOD: b"\x05"},
        {tlv.STATE: b"\x01", tlv.METHOD: b""},
        {tlv.STATE: b"\x01", tlv.METHOD: b"\x05\x05"},
        {tlv.STATE: b"\x01", tlv.METHOD: b"\x02"},
        {tlv.STATE: b"\x01", tlv.METHOD: b"\x06"},
    ],
)
def test_another_method_or_state_is_malformed(message: Message) -> None:
    assert refusal(lambda: method_of(message)) == MALFORMED


@pytest.mark.parametrize(("permissions", "admin"), [(ADMIN, True), (USER, False)])
def test_a_new_controller_has_the_rank_that_it_is_given(
    permissions: bytes, admin: bool
) -> None:
    pairing = added(add(permissions=permissions), [KNOWN])
    assert pairing == Pairing(OTHER_ID, OTHER_KEY, admin)


@pytest.mark.parametrize("spelling", [ID, ID.lower()])
def test_a_known_controller_with_its_key_gets_another_rank_and_keeps_its_spelling(
    spelling: bytes,
) -> None:
    other = Pairing(OTHER_ID, OTHER_KEY, admin=True)
    pairing = added(add(spelling, KEY, USER), [KNOWN, other])
    assert pairing == Pairing(ID, KEY, admin=False)


def test_the_only_admin_stays_one() -> None:
    guest = Pairing(OTHER_ID, OTHER_KEY, admin=False)
    error = refusal(lambda: added(add(ID, KEY, USER), [KNOWN, guest]))
    assert error == (TlvError.UNKNOWN, False)
    assert added(add(ID, KEY, ADMIN), [KNOWN, guest]) == KNOWN


@pytest.mark.parametrize(
    "spelling",
    [b"{%b}" % ID, b"urn:uuid:" + ID, ID.replace(b"-", b""), ID + b"\n", b"-" * 9 + ID],
)
def test_an_id_is_spelt_as_controllers_spell_it(spelling: bytes) -> None:
    assert refusal(lambda: added(add(spelling, KEY), [])) == MALFORMED


@pytest.mark.parametrize("spelling", [ID, ID.lower()])
def test_a_known_controller_keeps_its_key(spelling: bytes) -> None:
    error = refusal(lambda: added(add(spelling, OTHER_KEY), [KNOWN]))
    assert error == (TlvError.UNKNOWN, False)


def many(count: int) -> list[Pairing]:
    return [
        Pairing(str(UUID(int=number)).encode(), KEY, admin=True) for number in range(count)
    ]


def test_there_may_be_sixteen_pairings() -> None:
    assert MOST_PAIRINGS == 16
    assert added(add(), many(15)).controller_id == OTHER_ID
    for count in (16, 17):
        error = refusal(partial(added, add(), many(count)))
        assert error == (TlvError.MAX_PEERS, False)


def test_a_known_controller_may_change_where_there_are_sixteen() -> None:
    known = many(16)
    assert added(add(known[3].controller_id, KEY, USER), known).admin is False
    error = refusal(lambda: added(add(known[3].controller_id, OTHER_KEY), known))
    assert error == (TlvError.UNKNOWN, False)


@pytest.mark.parametrize(
    "message",
    [
        without(tlv.IDENTIFIER),
        without(tlv.PUBLIC_KEY),
        without(tlv.PERMISSIONS),
        add(controller=b""),
        add(controller=b"F31C6685"),
        add(controller=b"\xff" * 36),
        add(controller="Ｆ31C6685-9FDD-4869-8F65-3A102FF2534F".encode()),
        add(key=b""),
        add(key=bytes(31)),
        add(key=bytes(33)),
        add(permissions=b""),
        add(permissions=b"\x02"),
        add(permissions=b"\x01\x00"),
        add(ID, KEY, b"\x02"),
    ],
)
def test_what_cannot_be_read_adds_nothing(message: Message) -> None:
    assert refusal(lambda: added(message, [KNOWN])) == MALFORMED
    # Nor does it tell whether there would have been room.
    assert refusal(lambda: added(message, many(16))) == MALFORMED


def test_a_controller_is_known_by_its_id_however_it_is_spelt() -> None:
    for spelling in (ID, ID.lower()):
        assert controller_of({tlv.IDENTIFIER: spelling}) == UUID(ID.decode())


@pytest.mark.parametrize(
    "message", [{}, add(controller=b"nobody"), add(controller=b"\xff")]
)
def test_an_id_that_is_none_is_malformed(message: Message) -> None:
    assert refusal(lambda: controller_of(message)) == MALFORMED


def test_the_list_has_a_separator_between_pairings_and_none_at_the_end() -> None:
    pairings = [KNOWN, Pairing(OTHER_ID, OTHER_KEY, admin=False)]
    assert listing(pairings) == (
        b"\x06\x01\x02"
        + (b"\x01\x24" + ID + b"\x03\x20" + KEY + b"\x0b\x01\x01")
        + b"\xff\x00"
        + (b"\x01\x24" + OTHER_ID + b"\x03\x20" + OTHER_KEY + b"\x0b\x01\x00")
    )


def test_the_list_of_one_has_no_separator_and_that_of_none_is_empty() -> None:
    assert tlv.SEPARATOR not in tlv.decode(listing([KNOWN]))
    assert listing([]) == b"\x06\x01\x02"


def test_no_key_is_shown_by_a_pairing() -> None:
    assert KEY.hex() not in repr(KNOWN)
    assert repr(KEY) not in repr(KNOWN)
