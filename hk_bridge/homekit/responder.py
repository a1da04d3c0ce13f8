"""mDNS for all bridges of the process, on the network as it is at the moment.

Source: docs/network.md. zeroconf does the speaking; what it does not do is to notice that
somebody else uses a name, and to leave an interface without saying goodbye.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Iterator
from typing import Any, Final

from zeroconf import (
    Error,
    IPVersion,
    NotRunningException,
    RecordUpdate,
    RecordUpdateListener,
    ServiceNameAlreadyRegistered,
    Zeroconf,
)
from zeroconf._dns import DNSQuestion, DNSService, DNSText  # the package exports none
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf.asyncio import AsyncZeroconf

from hk_bridge.errors import LinkError
from hk_bridge.homekit.network import BridgeServiceInfo, Network

#: The types of the records that say where a service is (RFC 2782) and what it is like.
_SRV: Final = 33
_TXT: Final = 16
_INTERNET: Final = 1

#: How long an answer is waited for before a name is taken.
_ANSWER_SECONDS: Final = 0.12

#: Flags of a question, and of an answer of one who knows (RFC 1035 §4.1.1).
_QUERY: Final = 0
_ANSWER: Final = 0x8400


class Responder:
    """Announces services, and follows the network; has what drivers use of AsyncZeroconf.

    Raises LinkError where mDNS cannot be had at all.
    """

    def __init__(self, network: Network) -> None:
        # Where it should be, and where it is.
        self._wanted = self._network = network
        self._services: dict[str, BridgeServiceInfo] = {}
        # Names that somebody is asked for, and whether somebody has them.
        self._asked: dict[str, tuple[tuple[str, int], asyncio.Event]] = {}
        # Where each name was ours: what comes back to us is no other's.
        self._places: dict[str, set[tuple[str, int]]] = {}
        # What is still being said, by the service that it is of.
        self._broadcasts: dict[asyncio.Future[object], str] = {}
        self._listener = _Listener(self)
        self._zeroconf = self._open(network)

    @property
    def absent(self) -> tuple[str, ...]:
        """Addresses that it should speak from, and cannot.

        An IPv6 address that has just come cannot be used for a moment.
        """
        senders = set()
        if self._zeroconf is not None:
            senders = {
                _plain(sender.sock_name[0])
                for sender in self._zeroconf.zeroconf.engine.senders
            }
        return tuple(a for a, _ in self._wanted.speaks if _plain(a) not in senders)

    # -- services ---------------------------------------------------------------------

    async def async_register_service(
        self, info: BridgeServiceInfo, *, asks: bool = True
    ) -> bool:
        """Announce a service, unless it `asks` and somebody else has the name: then False.

        RFC 6762 §8.1 asks three times, in most of a second, in which nobody could find the
        bridge. Here it is once: who has the name answers at once, and who does not is
        still noticed whenever he says something. Raises OSError.
        """
        if self._zeroconf is None:
            self._keep(info)
            return True
        if asks and await self._is_taken(self._zeroconf, info):
            return False
        self._keep(info)
        if self._zeroconf is not None:  # the network may have gone meanwhile
            await self._register(self._zeroconf, info)
        return True

    async def _is_taken(self, zeroconf: AsyncZeroconf, info: BridgeServiceInfo) -> bool:
        """Whether somebody has the name of a service that is not announced yet."""
        answered = asyncio.Event()
        self._asked[info.key] = _place(info), answered
        try:
            with _in_words():
                await zeroconf.zeroconf.async_wait_for_start()
            question = DNSOutgoing(_QUERY)
            question.add_question(DNSQuestion(info.name, _SRV, _INTERNET))
            zeroconf.zeroconf.async_send(question)
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await answered.wait()
        except TimeoutError:
            return False
        finally:
            del self._asked[info.key]

    async def async_update_service(self, info: BridgeServiceInfo) -> None:
        """Announce what has changed of a service. Raises OSError."""
        self._keep(info)
        if self._zeroconf is not None:
            with _in_words():
                self._own(info, await self._zeroconf.async_update_service(info))

    async def async_unregister_service(self, info: BridgeServiceInfo) -> Awaitable[object]:
        """Withdraw a service; what is returned ends when the goodbyes are said."""
        if self._services.pop(info.key, None) is None or self._zeroconf is None:
            return asyncio.sleep(0)
        self._fall_silent(info)
        return self._own(info, await self._zeroconf.async_unregister_service(info))

    def drop(self, info: BridgeServiceInfo) -> None:
        """Answer for a service no longer: its name is another's.

        A goodbye to the name would be one for the other's, too, and so would one that
        takes the place of all records of the name: only our own two are taken back.
        """
        self._services.pop(info.key, None)
        self._fall_silent(info)
        if self._zeroconf is None:
            return
        self._zeroconf.zeroconf.registry.async_remove(info)
        place, text = (info.port or 0, info.server or ""), info.text
        goodbye = DNSOutgoing(_ANSWER)
        for record in (
            DNSService(info.name, _SRV, _INTERNET, 0, info.priority, info.weight, *place),
            DNSText(info.name, _TXT, _INTERNET, 0, text),
        ):
            goodbye.add_answer_at_time(record, 0)
        self._zeroconf.zeroconf.async_send(goodbye)

    def _fall_silent(self, info: BridgeServiceInfo) -> None:
        """Say no more of what is still being said of a service."""
        for broadcasts, key in self._broadcasts.items():
            if key == info.key:
                broadcasts.cancel()

    def _keep(self, info: BridgeServiceInfo) -> None:
        self._services[info.key] = info
        self._places.setdefault(info.key, set()).add(_place(info))

    async def _register(self, zeroconf: AsyncZeroconf, info: BridgeServiceInfo) -> None:
        with _in_words(), contextlib.suppress(ServiceNameAlreadyRegistered):
            # Registered already by an update that came meanwhile, it is announced, too.
            self._own(
                info,
                await zeroconf.async_register_service(info, cooperating_responders=True),
            )

    def _own(
        self, info: BridgeServiceInfo, broadcasts: Awaitable[object]
    ) -> Awaitable[object]:
        """Keep what zeroconf still has to send until it is sent: it does not itself."""
        future = asyncio.ensure_future(broadcasts)
        self._broadcasts[future] = info.key
        future.add_done_callback(self._broadcasts.pop)
        return future

    # -- the network ------------------------------------------------------------------

    async def follow(self, network: Network) -> None:
        """Be on `network` from now on, without a goodbye to anybody.

        Raises LinkError, and stays where it is, where mDNS cannot be had there.
        """
        before, self._wanted = self._network, network
        if self._zeroconf is not None:
            if network.loopback_only and network.speaks == before.speaks:
                return
            if _can_stay(before, network):
                # Where that fails halfway, there is another way.
                with contextlib.suppress(OSError):
                    await self._zeroconf.async_update_interfaces(*_interfaces(network))
                    self._network = network
                    return
        new = self._open(network)
        if new is not None:
            await _started(new)
        old, self._zeroconf, self._network = self._zeroconf, new, network
        if new is not None:
            for info in list(self._services.values()):
                with contextlib.suppress(OSError, LinkError):
                    await self._register(new, info)
        await _close_without_goodbye(old)

    async def async_close(self) -> None:
        """End, with goodbyes for what is still announced."""
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            await zeroconf.async_close()
        for broadcasts in self._broadcasts:
            broadcasts.cancel()
        await asyncio.gather(*self._broadcasts, return_exceptions=True)

    def _open(self, network: Network) -> AsyncZeroconf | None:
        """An instance on these interfaces; None where there is nowhere to speak."""
        if not network.speaks:
            return None
        interfaces, version = _interfaces(network)
        try:
            zeroconf = AsyncZeroconf(interfaces=interfaces, ip_version=version)
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise LinkError(
                f"mDNS cannot be opened: {reason}. Where another program has port 5353 for "
                "itself, such as avahi-daemon: disallow-other-stacks=no in "
                "/etc/avahi/avahi-daemon.conf, and restart it"
            ) from error
        if network.loopback_only:
            _keep_on_loopback(zeroconf)
        zeroconf.zeroconf.async_add_listener(self._listener, None)
        return zeroconf

    # -- conflicts --------------------------------------------------------------------

    def heard(self, name: str, place: tuple[str, int]) -> None:
        """Have a service told that somebody else announces its name, at another place."""
        if place in self._places.get(name, ()):
            return
        if name in self._asked:
            own, answered = self._asked[name]
            if place != own:
                answered.set()
        info = self._services.get(name)
        if info is not None:
            info.on_conflict(is_first=_place(info) < place)


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Raise LinkError for what zeroconf says of a service."""
    try:
        yield
    except Error as error:
        raise LinkError(f"zeroconf refuses it ({type(error).__name__} {error})") from error


class _Listener(RecordUpdateListener):
    """Looks at each record that comes."""

    def __init__(self, responder: Responder) -> None:
        super().__init__()
        self._responder = responder

    def async_update_records(
        self,
        _zeroconf: Zeroconf,
        _now: float,
        records: list[RecordUpdate],
    ) -> None:
        for update in records:
            record: Any = update.new
            if record.type == _SRV and record.ttl:
                self._responder.heard(record.key, (record.server_key, record.port))


def _place(info: BridgeServiceInfo) -> tuple[str, int]:
    return (info.server or "").lower(), info.port or 0


def _plain(address: object) -> str:
    return str(address).partition("%")[0]


def _interfaces(network: Network) -> tuple[list[str | int], IPVersion]:
    """What zeroconf is to be told: addresses, or the number of an interface.

    Addresses of the link may be the same on several interfaces.
    """
    interfaces = [index if "%" in address else address for address, index in network.speaks]
    versions = {ipaddress.ip_address(address).version for address, _ in network.speaks}
    version = {frozenset({4}): IPVersion.V4Only, frozenset({6}): IPVersion.V6Only}
    return interfaces, version.get(frozenset(versions), IPVersion.All)


def _can_stay(before: Network, after: Network) -> bool:
    """Whether an instance can go from one network to the other.

    One that hears loopback alone cannot, and neither can one of which an address has come
    back on another interface: its sockets still belong to the one that is gone.
    """
    if not after.speaks or before.loopback_only or after.loopback_only:
        return False
    indexes = dict(before.speaks)
    return all(indexes.get(address, index) == index for address, index in after.speaks)


async def _started(zeroconf: AsyncZeroconf) -> None:
    try:
        await zeroconf.zeroconf.async_wait_for_start()
    except NotRunningException as error:
        await zeroconf.async_close()
        raise LinkError("mDNS does not start") from error


async def _close_without_goodbye(zeroconf: AsyncZeroconf | None) -> None:
    if zeroconf is not None:
        registry = zeroconf.zeroconf.registry
        registry.async_remove(registry.async_get_service_infos())
        await zeroconf.async_close()


def _keep_on_loopback(responder: AsyncZeroconf) -> None:
    """Have the system drop what comes from elsewhere, where it knows how (Linux).

    zeroconf hears queries on a socket that is open on all addresses, whatever the
    interfaces, and would answer one that is sent straight to this machine.
    """
    listener = responder.zeroconf.engine._listen_socket  # noqa: SLF001 # there is no other way to it
    if listener is not None and hasattr(socket, "SO_BINDTODEVICE"):
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
