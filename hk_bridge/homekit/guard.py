"""The front door: what HAP-python lets in and the specification does not.

Subclasses at the places that HAP-python offers: server → protocol → handler. Each
override says what the base does and why that is not enough.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlparse

import h11
from pyhap.const import HAP_SERVER_STATUS
from pyhap.hap_handler import HAPResponse, HAPServerHandler
from pyhap.hap_protocol import HAPServerProtocol
from pyhap.hap_server import HAPServer
from pyhap.util import to_hap_json

from hk_bridge.complaints import Complaints
from hk_bridge.homekit.pair_setup import (
    ERROR,
    PairSetup,
    PairSetupRefusedError,
    TlvError,
    decode,
    refusal,
    state_of,
)

if TYPE_CHECKING:
    from hk_bridge.homekit.bridge import BridgeDriver

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

#: A code has 10⁸ values; after this many wrong ones pair-setup stays shut.
MAX_FAILED_ATTEMPTS: Final = 100

#: Only a controller that has been through pair-verify may see these.
_PROTECTED: Final = frozenset({"/accessories", "/characteristics", "/prepare", "/pairings"})

#: HAP's own status, for a request to one of these before pair-verify.
_AUTHORIZATION_REQUIRED: Final = (470, "Connection Authorization Required")

#: Larger than any request of a controller.
_MOST_BODY: Final = 256 * 1024

_BAD_REQUEST: Final = (400, "Bad Request")


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
        self._pair_setup: PairSetup | None = None

    def dispatch(self, request: h11.Request, body: bytes | None = None) -> HAPResponse:
        """Answer one request.

        The base answers 500, with a traceback in the log, to everything that it does not
        expect a stranger to send; here that is 400 and a line. It answers 401 where the
        specification has 470 (§4.15), and only on some of the protected paths.
        """
        self.response = HAPResponse()
        try:
            self._dispatch(request, body or b"")
        except Exception as error:  # noqa: BLE001 # the boundary to the network
            host = self.client_address[0]
            _complaints.say(
                (host, type(error)),
                f"{host} sent a request that cannot be answered ({_origin(error)})",
            )
            self._refuse(_BAD_REQUEST, HAP_SERVER_STATUS.INVALID_VALUE_IN_REQUEST)
        response, self.response = self.response, None
        return response

    def _dispatch(self, request: h11.Request, body: bytes) -> None:
        self.command = request.method.decode()
        self.path = request.target.decode()
        self.parsed_url = urlparse(self.path)
        self.request_body = body
        path = self.parsed_url.path
        if path in _PROTECTED and not self.is_encrypted:
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

    def handle_pairing(self) -> None:
        """Take one step of pair-setup.

        The base pairs a client that sends an SRP key of 0 modulo N without knowing the
        code (RFC 5054 §2.5.4), lets codes be guessed without end, shares one exchange
        between all connections, and fails one right code in a hundred.
        """
        request = self._decoded()
        state = state_of(request)
        if state is None:
            self._send_bare(HTTPStatus.BAD_REQUEST)
            return
        try:
            self._send_tlv_pairing_response(self._pair_setup_step(state, request))
        except PairSetupRefusedError as refused:
            self._pair_setup = None
            if refused.wrong_code:
                self._count_wrong_code()
            self._send_tlv_pairing_response(refusal(state, refused.error))
            if refused.error is TlvError.UNKNOWN:
                self.send_response(HTTPStatus.BAD_REQUEST)

    def handle_pair_verify(self) -> None:
        """Take one step of pair-verify.

        The base logs each failure with the keys of all paired controllers. After a
        pairing was reset every phone and hub of the home comes here again and again.
        """
        if state_of(self._decoded()) is None:
            self._send_bare(HTTPStatus.BAD_REQUEST)
            return
        super().handle_pair_verify()
        if ERROR in decode(self.response.body):
            host = self.client_address[0]
            _complaints.say((host, "verify"), f"{host} is not paired with this bridge")

    def _decoded(self) -> dict[bytes, bytes]:
        """The TLV of the request; empty where it is none."""
        try:
            return decode(self.request_body)
        except ValueError:
            return {}

    def _pair_setup_step(self, state: int, request: dict[bytes, bytes]) -> bytes:
        identity = self._driver.identity
        if self.state.paired:
            raise PairSetupRefusedError(TlvError.UNAVAILABLE)
        if self._driver.failed_attempts >= MAX_FAILED_ATTEMPTS:
            _complaints.say(
                "shut",
                f"pairing is shut after {MAX_FAILED_ATTEMPTS} wrong setup codes. To open "
                "it again, stop the bridge and run: hk-bridge pairing reset",
            )
            raise PairSetupRefusedError(TlvError.MAX_TRIES)
        if state == 1:
            self._pair_setup = PairSetup(
                identity.setup_code, identity.device_id, identity.private_key
            )
        if self._pair_setup is None:
            raise PairSetupRefusedError(TlvError.UNKNOWN)
        answer = self._pair_setup.answer(request)
        if answer.proven:
            self._driver.count_attempts(0)
        if answer.pairing is not None:
            if not self._driver.add_pairing(answer.pairing):
                raise PairSetupRefusedError(TlvError.UNKNOWN)
            self.response.pairing_changed = True
        return answer.body

    def _count_wrong_code(self) -> None:
        count = self._driver.failed_attempts + 1
        self._driver.count_attempts(count)
        _complaints.say(
            "code",
            f"{self.client_address[0]} tried a wrong setup code ({count} in a row; after "
            f"{MAX_FAILED_ATTEMPTS} pairing is shut)",
        )

    def _send_bare(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")

    def _refuse(self, status: tuple[int, str], hap_status: int) -> None:
        self.response = HAPResponse()
        self.response.status_code, self.response.reason = status
        self.send_header("Content-Type", self.JSON_RESPONSE_TYPE)
        self.end_response(to_hap_json({"status": hap_status}))


class GuardedProtocol(HAPServerProtocol):  # type: ignore[misc] # HAP-python has no types
    """One connection."""

    #: Bytes that have come of a request which is not whole yet.
    _unanswered = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin a connection; the base makes an unguarded handler for it."""
        super().connection_made(transport)
        self.handler = GuardedHandler(self.accessory_driver, self.peername)

    def data_received(self, data: bytes) -> None:
        """Take what has come; the base takes a request of any size."""
        super().data_received(data)
        self._unanswered = self._unanswered + len(data) if self.request else 0
        if self._unanswered > _MOST_BODY:
            _complaints.say(
                (self.peername[0], "size"),
                f"{self.peername[0]} sent far too large a request",
            )
            self.close()


class GuardedServer(HAPServer):  # type: ignore[misc] # HAP-python has no types
    """Listens on several addresses at once; the base knows one."""

    def __init__(self, hosts: tuple[str, ...], port: int, driver: BridgeDriver) -> None:
        super().__init__((hosts, port), driver)

    async def async_start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen on every host, on all interfaces where none is given. Raises OSError."""
        self.loop = loop
        hosts, port = self._addr_port
        self.server = await loop.create_server(
            lambda: GuardedProtocol(loop, self.connections, self.accessory_handler),
            list(hosts) or None,
            port,
        )
        self.async_cleanup_connections()


def _origin(error: Exception) -> str:
    """Which exception, and where it came from, in a few words."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    file = PurePath(trace.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {file}:{trace.tb_lineno}"
