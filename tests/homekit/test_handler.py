"""What is answered to a request, without the connection that it comes on."""

from __future__ import annotations

import json

import pytest

from hk_bridge.homekit.handler import origin
from tests.homekit.house import BRIGHTNESS, HUMIDITY, LAMP, ON, SENSOR, House
from tests.homekit.visit import Visit, is_bare, said, status

PROTECTED = ("/accessories", "/characteristics", "/prepare", "/pairings")
NO_PRIVILEGES, NO_RESPONSE, OUT_OF_RESOURCES, INVALID = -70401, -70402, -70407, -70410


@pytest.fixture
def visit(house: House) -> Visit:
    return Visit(house)


# -- what is there, and for whom ----------------------------------------------------------


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "HEAD", "DELETE", "BREW"])
async def test_before_pair_verify_what_is_protected_is_470_whatever_the_method(
    visit: Visit, method: str, path: str
) -> None:
    response = visit.ask(method, f"{path}?id=2.81", b"{")
    assert status(response) == (470, NO_PRIVILEGES)
    assert response.reason == "Connection Authorization Required"


@pytest.mark.parametrize("path", ["/", "/resource", "/pair-setup/", "*", "/%61ccessories"])
async def test_what_is_not_there_is_404(visit: Visit, path: str) -> None:
    response = visit.ask("POST", path)
    assert (response.status_code, is_bare(response)) == (404, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/pair-setup"),
        ("PUT", "/pair-verify"),
        ("GET", "/identify"),
        ("BREW", "/identify"),
    ],
)
async def test_another_method_is_405(visit: Visit, method: str, path: str) -> None:
    response = visit.ask(method, path)
    assert (response.status_code, is_bare(response)) == (405, True)


async def test_another_method_is_405_behind_pair_verify_too(house: House) -> None:
    visit = Visit.of(house.pair(), house)
    assert visit.ask("DELETE", "/accessories").status_code == 405
    assert visit.ask("GET", "/prepare").status_code == 405
    assert visit.ask("GET", "/accessories").status_code == 200


async def test_the_bridge_identifies_itself_until_it_is_paired(
    house: House, visit: Visit
) -> None:
    response = visit.ask("POST", "/identify")
    assert (response.status_code, response.body) == (204, b"")
    assert house.identified == 1
    house.pair()
    assert status(visit.ask("POST", "/identify")) == (400, NO_PRIVILEGES)
    assert house.identified == 1


# -- characteristics ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PUT", "/characteristics", b""),
        ("PUT", "/characteristics", b"{"),
        ("PUT", "/characteristics", b"\xff"),
        ("PUT", "/characteristics", b"[]"),
        ("PUT", "/characteristics", b"{}"),
        ("PUT", "/characteristics", b'{"characteristics": 7}'),
        ("PUT", "/characteristics", b'{"characteristics": [7]}'),
        ("PUT", "/characteristics", b'{"characteristics": [{"aid": 2, "value": 1}]}'),
        ("PUT", "/characteristics", b'{"characteristics": [{"iid": 81, "value": 1}]}'),
        ("PUT", "/prepare", b"{"),
        ("PUT", "/prepare", b"null"),
        ("PUT", "/prepare", b'{"pid": 1}'),
        ("GET", "/characteristics", b""),
        ("GET", "/characteristics?id=", b""),
        ("GET", "/characteristics?id=2", b""),
        ("GET", "/characteristics?id=2.81.3", b""),
        ("GET", "/characteristics?id=a.b", b""),
    ],
)
async def test_what_cannot_be_read_is_400(
    house: House,
    caplog: pytest.LogCaptureFixture,
    method: str,
    target: str,
    body: bytes,
) -> None:
    response = Visit.of(house.pair(), house).ask(method, target, body)
    assert status(response) == (400, INVALID)
    assert house.calls == []
    assert sum("cannot be answered" in line for line in said(caplog)) <= 1


async def test_reads_and_writes_are_answered_item_by_item(house: House) -> None:
    visit = Visit.of(house.pair(), house)
    response = visit.ask("GET", f"/characteristics?id={LAMP}.{ON},{LAMP}.{BRIGHTNESS}")
    assert response.status_code == 200
    items = json.loads(response.body)["characteristics"]
    assert [item["value"] for item in items] == [True, 40]
    response = visit.ask("GET", f"/characteristics?id={LAMP}.{ON},{SENSOR}.{HUMIDITY}")
    assert response.status_code == 207
    items = json.loads(response.body)["characteristics"]
    assert [item["status"] for item in items] == [0, NO_RESPONSE]
    item = {"aid": LAMP, "iid": BRIGHTNESS, "value": 70}
    body = json.dumps({"characteristics": [item]}).encode()
    response = visit.ask("PUT", "/characteristics", body)
    assert (response.status_code, response.body) == (204, b"")
    assert house.calls == [(None, 70)]


async def test_a_timed_write_is_announced_and_no_more_than_sixteen_are(
    house: House,
) -> None:
    visit = Visit.of(house.pair(), house)
    answers = [
        status(visit.ask("PUT", "/prepare", b'{"pid": %d, "ttl": 60000}' % pid))
        for pid in range(17)
    ]
    assert answers == [(200, 0)] * 16 + [(400, OUT_OF_RESOURCES)]
    item = {"aid": LAMP, "iid": ON, "value": False}
    for pid, expected in ((0, (204, None)), (0, (207, None)), (16, (207, None))):
        body = json.dumps({"characteristics": [item], "pid": pid}).encode()
        assert status(visit.ask("PUT", "/characteristics", body)) == expected
    assert house.calls == [(False, None)]


async def test_what_fails_for_a_reason_of_ours_is_one_line_without_a_traceback(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a secret")

    visit = Visit.of(house.pair(), house)
    caplog.clear()
    monkeypatch.setattr(house.driver.accessory, "encode", fail)
    for _ in range(3):
        assert status(visit.ask("GET", "/accessories")) == (400, INVALID)
    (line,) = said(caplog)
    assert "192.0.2.1" in line
    assert "RuntimeError at test_handler.py:" in line
    assert "a secret" not in line


def test_an_error_that_was_never_raised_has_no_origin() -> None:
    assert origin(ValueError("text")) == "ValueError"
