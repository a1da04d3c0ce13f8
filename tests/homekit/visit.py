"""One connection's handler, asked directly, and what it answers."""

from __future__ import annotations

import json
import logging
from typing import Any
from uuid import UUID

import h11
import pytest

from hk_bridge.homekit import tlv
from hk_bridge.homekit.handler import GuardedHandler, Response
from hk_bridge.homekit.tlv import TlvError
from tests.e2e.door.client import Controller
from tests.homekit.house import House

CLIENT, OTHER = ("192.0.2.1", 50000), ("192.0.2.2", 50000)


class Visit:
    """One connection's handler, asked directly."""

    def __init__(self, house: House, address: tuple[str, int] = CLIENT) -> None:
        self.handler = GuardedHandler(house.driver, address)

    @classmethod
    def of(cls, controller: Controller, house: House) -> Visit:
        """A connection that has been through pair-verify."""
        visit = cls(house)
        visit.handler.is_encrypted = True
        visit.handler.client_uuid = UUID(controller.identifier.decode())
        return visit

    def ask(self, method: str, target: str, body: bytes = b"") -> Response:
        head = h11.Request(method=method, target=target, headers=[("Host", "bridge")])
        return self.handler.dispatch(head, body)

    def pair_setup(self, message: bytes) -> Response:
        return self.ask("POST", "/pair-setup", message)

    def pairings(self, *values: tuple[bytes, bytes]) -> Response:
        message = tlv.encode((tlv.STATE, b"\x01"), *values)
        return self.ask("POST", "/pairings", message)


def status(response: Response) -> tuple[int, Any]:
    """HTTP's status, and HAP's where there is one."""
    body = json.loads(response.body) if response.body else {}
    return response.status_code, body.get("status")


def is_bare(response: Response) -> bool:
    headers: list[tuple[str, str]] = response.headers
    return not response.body and headers == [("Content-Length", "0")]


def refused(response: Response, state: int, error: TlvError) -> bool:
    body: bytes = response.body
    return body == tlv.refusal(state - 1, error)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings since the last call."""
    records = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert not any(record.exc_info for record in records)
    caplog.clear()
    return [record.getMessage() for record in records]
