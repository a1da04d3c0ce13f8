"""What is answered to the requests of one connection.

A subclass of HAP-python's handler; each override says what the base does and why that is
not enough. The rules themselves stand in modules of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlparse
from uuid import UUID

import h11
from pyhap.const import HAP_SERVER_STATUS
from pyhap.hap_handler import HAPResponse, HAPServerHandler
from pyhap.util import from_hap_json, to_hap_json

from hk_bridge.complaints import Complaints
from hk_bridge.errors import StoreError
from hk_bridge.homekit import pairings, tlv
from hk_bridge.homekit.identity import Pairing
from hk_bridge.homekit.pair_setup import M1, PairSetup
from hk_bridge.homekit.pair_verify import PairVerify, Verified
from hk_bridge.homekit.setup_turn import MAX_FAILED_ATTEMPTS, delay_of
from hk_bridge.homekit.tlv import RefusedError, TlvError, malformed

if TYPE_CHECKING:
    from hk_bridge.homekit.bridge import BridgeDriver

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

#: Only a controller that has been through pair-verify may see these.
_PROTECTED: Final = frozenset({"/accessories", "/characteristics", "/prepare", "/pairings"})

#: HAP's own status, for a request to one of these before pair-verify.
_AUTHORIZATION_REQUIRED: Final = (470, "Connection Authorization Required")
_BAD_REQUEST: Final = (400, "Bad Request")


class Response(HAPResponse):  # type: ignore[misc] # HAP-python has no types
    """An answer, and for how many seconds it is held back."""

    delay = 0.0


class GuardedHandler(HAPServerHandler):  # type: ignore[misc] # HAP-python has no types
    """Answers the requests of one connection."""

    #: The base lacks /identify, and has a camera's /resource.
    HANDLERS: Final = {
        "POST": {
            "/pair-setup": "handle_pairing",
            "/pair-verify": "handle_pair_verify",
            "/pairings": "handle_pairings",
            "/identify": "handle_identify",
        },
        "GET": HAPServerHandler.HANDLERS["GET"],
        "PUT": HAPServerHandler.HANDLERS["PUT"],
    }

    def __init__(self, driver: BridgeDriver, client_address: tuple[str, int]) -> None:
        super().__init__(driver, client_address)
        self._driver = driver
        device_id, signer = driver.identity.device_id, self.state.private_key
        self._pair_setup = PairSetup(driver.turn.challenge, device_id, signer)
        self._pair_verify = PairVerify(device_id, signer, self._key_of)

    @property
    def is_verifying(self) -> bool:
        """Whether it is in the middle of pair-verify."""
        return self.state.paired and self._pair_verify.begun

    def _key_of(self, controller: UUID) -> bytes | None:
        key: bytes | None = self.state.paired_clients.get(controller)
        return key

    def dispatch(self, request: h11.Request, body: bytes | None = None) -> Response:
        """Answer one request.

        The base answers 500, with a traceback in the log, to everything that it does not
        expect a stranger to send; here that is 400 and a line. It answers 401 where the
        specification has 470 (§4.15), and only on some of the protected paths.
        """
        self.response: Response = Response()
        try:
            self._dispatch(request, body or b"")
        except Exception as error:  # noqa: BLE001 # the boundary to the network
            host = self.client_address[0]
            _complaints.say(
                ("request", type(error)),
                f"{host} sent a request that cannot be answered ({origin(error)})",
            )
            self._refuse(_BAD_REQUEST, HAP_SERVER_STATUS.INVALID_VALUE_IN_REQUEST)
        return self.response

    def _dispatch(self, request: h11.Request, body: bytes) -> None:
        self.command = request.method.decode()
        self.path = request.target.decode()
        self.parsed_url = urlparse(self.path)
        self.request_body = body
        path = self.parsed_url.path
        if path in _PROTECTED and self.client_uuid not in self.state.paired_clients:
            self._refuse(_AUTHORIZATION_REQUIRED, HAP_SERVER_STATUS.INSUFFICIENT_PRIVILEGES)
        elif (name := self.HANDLERS.get(self.command, {}).get(path)) is not None:
            getattr(self, name)()
        elif any(path in paths for paths in self.HANDLERS.values()):
            self._send_bare(HTTPStatus.METHOD_NOT_ALLOWED)
        else:
            self._send_bare(HTTPStatus.NOT_FOUND)

    def handle_identify(self) -> None:
        """Identify the bridge to a controller that is about to pair (§7.4.2)."""
        if self.state.paired:
            self._refuse(_BAD_REQUEST, HAP_SERVER_STATUS.INSUFFICIENT_PRIVILEGES)
        else:
            self._driver.accessory.identify()
            self.send_response(HTTPStatus.NO_CONTENT)

    def handle_accessories(self) -> None:
        """Answer with the whole database; the base makes it anew each time."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.JSON_RESPONSE_TYPE)
        self.end_response(self._driver.accessory.encode())

    def handle_prepare(self) -> None:
        """Announce a timed write; the base takes any number of anything."""
        status = self._driver.timed_writes.prepare(
            self.client_address, from_hap_json(self.request_body), self._driver.loop.time()
        )
        if status == HAP_SERVER_STATUS.SUCCESS:
            self.send_response_with_status(HTTPStatus.OK, status)
        else:
            self._refuse(_BAD_REQUEST, status)

    # -- pairing ----------------------------------------------------------------------

    def handle_pairing(self) -> None:
        """Take one step of pair-setup.

        The base pairs a client that sends an SRP key of 0 modulo N without knowing the
        code (RFC 5054 §2.5.4), lets codes be guessed without end, shares one exchange
        between all connections, and fails one right code in a hundred.
        """
        self._take_step(self._pair_setup_step)

    def handle_pair_verify(self) -> None:
        """Take one step of pair-verify.

        The base answers keys that it cannot use with a traceback, and logs each failure
        with the keys of all paired controllers. After a pairing was reset every phone
        and hub of the home comes here again and again.
        """
        self._take_step(self._pair_verify_step)

    def handle_pairings(self) -> None:
        """Add, remove or list pairings; the base checks nothing of what it stores."""
        self._take_step(self._pairings_step)

    def _take_step(self, step: Callable[[int, Mapping[bytes, bytes]], bytes]) -> None:
        """Answer one message of pairing by `step`, or say why it is refused."""
        try:
            request = tlv.decode(self.request_body)
        except ValueError:
            request = {}
        state = tlv.state_of(request)
        if state is None:
            self._send_bare(HTTPStatus.BAD_REQUEST)
            return
        try:
            self._send_tlv_pairing_response(step(state, request))
        except RefusedError as refused:
            self._send_tlv_pairing_response(tlv.refusal(state, refused.error))
            if refused.malformed:
                self.send_response(HTTPStatus.BAD_REQUEST)

    def _pair_setup_step(self, state: int, request: Mapping[bytes, bytes]) -> bytes:
        turn, now = self._driver.turn, self._driver.loop.time()
        if self.is_encrypted:
            raise malformed()
        if self.state.paired:
            raise RefusedError(TlvError.UNAVAILABLE)
        if self._driver.failed_attempts >= MAX_FAILED_ATTEMPTS:
            self._complain_that_it_is_shut()
            raise RefusedError(TlvError.MAX_TRIES)
        try:
            if state == M1:
                turn.begin(self, now)
            elif self._pair_setup.begun:
                turn.go_on(self)
            answer = self._pair_setup.answer(request)
        except RefusedError as refused:
            turn.end(self)
            if refused.wrong_code:
                self._count_wrong_code(now)
            raise
        if answer.proven:
            self._driver.count_attempts(0)
            turn.proven(now)
        if answer.pairing is not None:
            turn.end(self)
            self._add(answer.pairing)
            self.response.pairing_changed = True
        return answer.body

    def _count_wrong_code(self, now: float) -> None:
        count = self._driver.failed_attempts + 1
        self._driver.count_attempts(count)
        self.response.delay = delay_of(count)
        self._driver.turn.shut(self.response.delay, now)
        _complaints.say(
            "code",
            f"{self.client_address[0]} tried a wrong setup code ({count} in a row; after "
            f"{MAX_FAILED_ATTEMPTS} pairing is shut)",
        )

    def _complain_that_it_is_shut(self) -> None:
        _complaints.say(
            "shut",
            f"pairing is shut after {MAX_FAILED_ATTEMPTS} wrong setup codes. To open it "
            "again, stop the bridge and run: hk-bridge pairing reset",
        )

    def _pair_verify_step(self, _state: int, request: Mapping[bytes, bytes]) -> bytes:
        if self.is_encrypted:
            raise malformed()
        try:
            answer = self._pair_verify.answer(request)
            if not self.state.paired:
                raise RefusedError(TlvError.AUTHENTICATION)
        except RefusedError as refused:
            if refused.error is TlvError.AUTHENTICATION:
                host = self.client_address[0]
                _complaints.say("verify", f"{host} is not paired with this bridge")
            raise
        if answer.verified is not None:
            self._open(answer.verified)
        return answer.body

    def _open(self, verified: Verified) -> None:
        """Let the connection in; what follows the answer is encrypted."""
        self.response.shared_key = verified.shared_key
        self.is_encrypted = True
        self.client_uuid = verified.controller

    def _pairings_step(self, _state: int, request: Mapping[bytes, bytes]) -> bytes:
        if not self.state.is_admin(self.client_uuid):
            raise RefusedError(TlvError.AUTHENTICATION)
        known = self._driver.identity.pairings
        method = pairings.method_of(request)
        if method == pairings.LIST:
            return pairings.listing(known)
        if method == pairings.ADD:
            self._add(pairings.added(request, known))
        else:
            self._remove(pairings.controller_of(request))
        return tlv.answer(1)

    def _add(self, pairing: Pairing) -> None:
        if not self._driver.add_pairing(pairing):
            raise RefusedError(TlvError.UNKNOWN)

    def _remove(self, controller: UUID) -> None:
        """Remove a pairing; that there is none is success too."""
        if controller not in self.state.paired_clients:
            return
        try:
            self._driver.unpair(controller)
        except StoreError:
            raise RefusedError(TlvError.UNKNOWN) from None
        # Announced only with the last one, or Home would not remove the others.
        self.response.pairing_changed = not self.state.paired

    # -- answers ----------------------------------------------------------------------

    def _send_bare(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")

    def _refuse(self, status: tuple[int, str], hap_status: int) -> None:
        self.response = Response()
        self.response.status_code, self.response.reason = status
        self.send_header("Content-Type", self.JSON_RESPONSE_TYPE)
        self.end_response(to_hap_json({"status": hap_status}))


def origin(error: Exception) -> str:
    """Which exception, and where it came from, in a few words."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    file = PurePath(trace.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {file}:{trace.tb_lineno}"
