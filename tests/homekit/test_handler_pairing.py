"""What is answered to the messages of pairing, by whoever sends them."""

from __future__ import annotations

from uuid import UUID

import pytest

from hk_bridge.homekit import tlv
from hk_bridge.homekit.tlv import TlvError
from tests.e2e.door.client import Controller
from tests.homekit.house import House
from tests.homekit.visit import OTHER, Visit, is_bare, refused, said

M1 = tlv.encode((tlv.STATE, b"\x01"), (tlv.METHOD, b"\x00"))
WRONG_M3 = tlv.encode(
    (tlv.STATE, b"\x03"), (tlv.PUBLIC_KEY, b"\x02" * 384), (tlv.PROOF, bytes(64))
)


@pytest.fixture
def visit(house: House) -> Visit:
    return Visit(house)


# -- pair-setup ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/pair-setup", "/pair-verify"])
@pytest.mark.parametrize("body", [b"", b"\x06", b"\x06\x02\x01\x01", b"\x00\x01\x00"])
async def test_a_message_without_a_state_is_a_bare_400(
    visit: Visit, path: str, body: bytes
) -> None:
    response = visit.ask("POST", path, body)
    assert (response.status_code, is_bare(response)) == (400, True)


@pytest.mark.parametrize("path", ["/pair-setup", "/pair-verify"])
@pytest.mark.parametrize("state", [0, 2, 3, 5, 9, 255])
async def test_a_message_out_of_order_is_a_400_with_its_state(
    visit: Visit, path: str, state: int
) -> None:
    response = visit.ask("POST", path, bytes([6, 1, state]))
    assert response.status_code == 400
    assert response.body == bytes([6, 1, (state + 1) % 256, 7, 1, 1])
    assert ("Content-Type", "application/pairing+tlv8") in response.headers


async def test_a_second_exchange_is_busy_until_the_first_has_failed(
    house: House, visit: Visit
) -> None:
    second = Visit(house, OTHER)
    assert tlv.PUBLIC_KEY in tlv.decode(visit.pair_setup(M1).body)
    response = second.pair_setup(M1)
    assert (response.status_code, refused(response, 2, TlvError.BUSY)) == (200, True)
    # What the second does wrong does not end the first.
    assert second.pair_setup(WRONG_M3).status_code == 400
    assert refused(second.pair_setup(M1), 2, TlvError.BUSY)
    assert visit.pair_setup(b"\x06\x01\x05").status_code == 400
    assert tlv.PUBLIC_KEY in tlv.decode(second.pair_setup(M1).body)


async def test_an_exchange_that_was_taken_over_cannot_go_on(
    house: House, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, second = house.driver.loop, Visit(house, OTHER)
    now = loop.time()
    visit.pair_setup(M1)
    monkeypatch.setattr(loop, "time", lambda: now + 31)
    assert tlv.PUBLIC_KEY in tlv.decode(second.pair_setup(M1).body)
    response = visit.pair_setup(WRONG_M3)
    assert (response.status_code, refused(response, 4, TlvError.BUSY)) == (200, True)
    assert house.driver.failed_attempts == 0
    assert refused(second.pair_setup(WRONG_M3), 4, TlvError.AUTHENTICATION)


async def test_each_wrong_code_is_counted_and_answered_later(
    house: House,
    visit: Visit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop, other = house.driver.loop, Visit(house, OTHER)
    now = loop.time()
    for count in (1, 2, 3):
        monkeypatch.setattr(loop, "time", lambda count=count: now + 10 * count)
        visit.pair_setup(M1)
        response = visit.pair_setup(WRONG_M3)
        assert (response.status_code, refused(response, 4, TlvError.AUTHENTICATION)) == (
            200,
            True,
        )
        assert response.delay == pytest.approx(count * 0.05)
        assert house.store.bridge().failed_attempts == count
        assert refused(other.pair_setup(M1), 2, TlvError.BUSY)
    (line,) = said(caplog)
    assert "192.0.2.1 tried a wrong setup code (1 in a row" in line


async def test_after_a_hundred_wrong_codes_pairing_is_shut_for_all(
    house: House, visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    visit.pair_setup(M1)
    house.driver.count_attempts(99)
    assert refused(visit.pair_setup(WRONG_M3), 4, TlvError.AUTHENTICATION)
    said(caplog)
    for number in range(5):
        response = Visit(house, ("192.0.2.9", number)).pair_setup(M1)
        assert (response.status_code, refused(response, 2, TlvError.MAX_TRIES)) == (
            200,
            True,
        )
    assert refused(visit.pair_setup(WRONG_M3), 4, TlvError.MAX_TRIES)
    assert house.driver.failed_attempts == 100
    (line,) = said(caplog)
    assert "hk-bridge pairing reset" in line


async def test_once_it_is_paired_nobody_else_pairs_this_way(
    house: House, visit: Visit
) -> None:
    visit.pair_setup(M1)
    house.pair()
    assert refused(visit.pair_setup(WRONG_M3), 4, TlvError.UNAVAILABLE)
    response = Visit(house, OTHER).pair_setup(M1)
    assert (response.status_code, refused(response, 2, TlvError.UNAVAILABLE)) == (200, True)
    assert house.driver.failed_attempts == 0


@pytest.mark.parametrize("path", ["/pair-setup", "/pair-verify"])
async def test_nobody_pairs_or_verifies_on_an_encrypted_connection(
    house: House, path: str
) -> None:
    visit = Visit.of(house.pair(), house)
    message = tlv.encode((tlv.STATE, b"\x01"), (tlv.PUBLIC_KEY, b"\x09" * 32))
    response = visit.ask("POST", path, message)
    assert (response.status_code, refused(response, 2, TlvError.UNKNOWN)) == (400, True)
    assert not visit.handler.is_verifying


# -- pair-verify --------------------------------------------------------------------------


async def test_nobody_verifies_while_nobody_is_paired(
    house: House, visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    message = tlv.encode((tlv.STATE, b"\x01"), (tlv.PUBLIC_KEY, b"\x09" * 32))
    for _ in range(3):
        response = visit.ask("POST", "/pair-verify", message)
        assert response.status_code == 200
        assert refused(response, 2, TlvError.AUTHENTICATION)
        assert not visit.handler.is_verifying
    assert said(caplog) == ["192.0.2.1 is not paired with this bridge"]
    house.pair()
    assert tlv.ENCRYPTED_DATA in tlv.decode(visit.ask("POST", "/pair-verify", message).body)
    assert visit.handler.is_verifying


# -- pairings -----------------------------------------------------------------------------

ADD, REMOVE, LIST = ((tlv.METHOD, bytes([method])) for method in (3, 4, 5))


def identity(controller: Controller) -> list[tuple[bytes, bytes]]:
    return [
        (tlv.IDENTIFIER, controller.identifier),
        (tlv.PUBLIC_KEY, controller.public_key),
        (tlv.PERMISSIONS, b"\x00"),
    ]


async def test_an_admin_adds_lists_and_removes_pairings(house: House) -> None:
    admin, guest = house.pair(), Controller()
    visit = Visit.of(admin, house)
    for _ in range(2):
        response = visit.pairings(ADD, *identity(guest))
        assert (response.status_code, response.body) == (200, b"\x06\x01\x02")
    assert len(house.controllers) == 2
    listed = visit.pairings(LIST).body
    assert admin.identifier in listed
    assert guest.public_key in listed
    for _ in range(2):
        response = visit.pairings(REMOVE, (tlv.IDENTIFIER, guest.identifier))
        assert (response.status_code, response.body) == (200, b"\x06\x01\x02")
        assert not response.pairing_changed
    assert house.controllers == {UUID(admin.identifier.decode())}
    assert visit.pairings(REMOVE, (tlv.IDENTIFIER, admin.identifier)).pairing_changed
    assert house.controllers == set()


async def test_one_that_is_no_admin_or_no_more_is_refused(house: House) -> None:
    house.pair()
    guest = Visit.of(house.pair(admin=False), house)
    former = Visit.of(Controller(), house)
    for method in (ADD, REMOVE, LIST):
        response = guest.pairings(method, *identity(Controller()))
        assert response.status_code == 200
        assert refused(response, 2, TlvError.AUTHENTICATION)
        assert former.pairings(method, *identity(Controller())).status_code == 470
    assert len(house.controllers) == 2


async def test_what_is_malformed_for_an_admin_is_400(house: House) -> None:
    visit = Visit.of(house.pair(), house)
    for response in (
        visit.pairings((tlv.METHOD, b"\x07")),
        visit.pairings(ADD),
        visit.pairings(REMOVE, (tlv.IDENTIFIER, b"nobody")),
    ):
        assert (response.status_code, refused(response, 2, TlvError.UNKNOWN)) == (400, True)
    assert len(house.controllers) == 1


async def test_a_change_that_cannot_be_kept_is_refused(
    house: House, request: pytest.FixtureRequest
) -> None:
    admin = house.pair()
    visit = Visit.of(admin, house)
    request.getfixturevalue("disk_is_full")
    for response in (
        visit.pairings(ADD, *identity(Controller())),
        visit.pairings(REMOVE, (tlv.IDENTIFIER, admin.identifier)),
    ):
        assert (response.status_code, refused(response, 2, TlvError.UNKNOWN)) == (200, True)
        assert not response.pairing_changed
    assert house.controllers == {UUID(admin.identifier.decode())}
