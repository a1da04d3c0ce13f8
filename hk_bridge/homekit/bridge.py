"""One HAP bridge: driver, identity and mDNS."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyhap.accessory import get_topic
from pyhap.accessory_driver import AccessoryDriver
from pyhap.const import CLIENT_PROP_PERMS, HAP_SERVER_STATUS
from pyhap.loader import get_loader

from hk_bridge.complaints import Complaints
from hk_bridge.errors import LinkError, StoreError
from hk_bridge.homekit.accessories import HouseBridge
from hk_bridge.homekit.announcement import Announcement
from hk_bridge.homekit.appearance import Appearance
from hk_bridge.homekit.database import items_of, read, refusal, write
from hk_bridge.homekit.guard import GuardedServer
from hk_bridge.homekit.identity import THE_BRIDGE, Identity, Pairing
from hk_bridge.homekit.network import Network, why_not_listening
from hk_bridge.homekit.responder import Responder
from hk_bridge.homekit.setup_turn import SetupTurn
from hk_bridge.homekit.store import Store
from hk_bridge.homekit.timed_writes import TimedWrites

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

#: Host and port; with IPv6 there are two more.
ClientAddress = tuple[str, int]

#: HAP-python wants an address beside those that are announced.
_NOWHERE: Final = "127.0.0.1"

#: Many sensors may be heard for the first time in one moment.
_CHANGES_SECONDS: Final = 1.0


class BridgeDriver(AccessoryDriver):  # type: ignore[misc] # HAP-python has no types
    """Ties one bridge to its identity in the store, to the network and to mDNS.

    Several may run in one process, each with a number of its own in the store; the
    responder is shared and belongs to the caller.
    """

    def __init__(
        self,
        store: Store,
        network: Network,
        port: int,
        responder: Responder,
        number: int = 0,
    ) -> None:
        self._store = store
        self._number = number
        self._network = network
        self.is_listening = False
        self._is_closed = False
        self._announcement = Announcement(self, responder)
        self._changing: asyncio.TimerHandle | None = None
        self._has_changed_again = False
        identity = self.identity
        self.failed_attempts = identity.failed_attempts
        self.turn = SetupTurn(identity.setup_code)
        self.timed_writes = TimedWrites()
        super().__init__(
            address=_NOWHERE,
            advertised_address=list(network.advertised),
            port=port,
            mac=identity.device_id,
            pincode=identity.setup_code.encode(),
            loop=asyncio.get_running_loop(),
            async_zeroconf_instance=responder,
            loader=get_loader(),
        )
        self.state.port = port  # the base takes another one for 0, which is any
        self.aio_stop_event = asyncio.Event()
        self.http_server = GuardedServer(self)
        self._load_state(identity)

    def take_setup_code(self) -> None:
        """Have the setup code that the store holds now; who is paired notices nothing."""
        code = self.identity.setup_code
        if code.encode() != self.state.pincode:
            self.state.pincode = code.encode()
            self.turn = SetupTurn(code)

    @property
    def identity(self) -> Identity:
        """What the store holds of this bridge."""
        return self._store.bridge(self._number)

    # -- identity ---------------------------------------------------------------------

    def _load_state(self, identity: Identity) -> None:
        """HAP-python's own state from the store; it would draw a new one at each start."""
        state = self.state
        state.setup_id = identity.setup_id
        state.config_version = identity.config_number
        state.accessories_hash = identity.database_hash
        state.private_key = Ed25519PrivateKey.from_private_bytes(identity.private_key)
        state.public_key = state.private_key.public_key()
        for pairing in identity.pairings:
            self._admit(pairing)

    def _admit(self, pairing: Pairing) -> None:
        self.state.add_paired_client(
            pairing.controller_id, pairing.public_key, bytes([pairing.admin])
        )

    def _save_state(self, shown: Mapping[str, Appearance] | None = None) -> None:
        """HAP-python's own state into the store. Raises StoreError.

        `shown` is what controllers are told from now on, None for what they were.
        """
        state = self.state
        self._store.put(
            replace(
                self.identity,
                config_number=state.config_version,
                database_hash=state.accessories_hash,
                shown=self.identity.shown if shown is None else shown,
                pairings=tuple(
                    Pairing(
                        state.uuid_to_bytes[client],
                        key,
                        bool(state.client_properties[client][CLIENT_PROP_PERMS]),
                    )
                    for client, key in state.paired_clients.items()
                ),
            ),
            self._number,
        )

    def persist(self) -> None:
        """Save; the base would write a file of its own."""
        try:
            self._save_state()
        except StoreError as error:
            _LOG.error("%s", error)

    def async_persist(self) -> None:
        """Save before the answer leaves; the base saves some time later, in a thread."""
        self.persist()

    def add_pairing(self, pairing: Pairing) -> bool:
        """Add a controller; False, and nothing changed, where that cannot be kept."""
        try:
            self._change_pairings(lambda: self._admit(pairing))
        except StoreError:
            return False
        _LOG.info("paired with controller %s", pairing.controller_id.decode())
        return True

    def unpair(self, client_uuid: UUID) -> None:
        """Remove a controller, and end its sessions.

        The base leaves it in control until it hangs up, and reports success though the
        file still has it. Raises StoreError, with nothing changed.
        """
        self._change_pairings(lambda: self.state.remove_paired_client(client_uuid))
        _LOG.info("removed controller %s", client_uuid)
        # The answer to the one who asked leaves first.
        self.loop.call_soon(self._close_sessions_of_removed)

    def connections(self) -> Counter[UUID]:
        """How many connections each controller has open."""
        return Counter(
            connection.handler.client_uuid
            for connection in self.http_server.all_connections()
            if connection.is_verified
        )

    def _close_sessions_of_removed(self) -> None:
        for connection in self.http_server.all_connections():
            handler = connection.handler
            if (
                handler.is_encrypted
                and handler.client_uuid not in self.state.paired_clients
            ):
                connection.close()

    def _change_pairings(self, change: Callable[[], None]) -> None:
        """Make a change and save it. Raises StoreError, with the change taken back."""
        state = self.state
        before = (
            dict(state.paired_clients),
            dict(state.client_properties),
            dict(state.uuid_to_bytes),
        )
        change()
        try:
            self._save_state()
        except StoreError as error:
            state.paired_clients, state.client_properties, state.uuid_to_bytes = before
            _complaints.say("pairings", f"the pairings stay as they were: {error}")
            raise

    @property
    def names(self) -> Mapping[str, str]:
        """What services have been called in Home, by ``aid.iid`` of the characteristic."""
        return self.identity.names

    def keep_name(self, topic: str, name: str) -> None:
        """Keep what somebody has called a service in Home. Raises LinkError."""
        names = {**self.identity.names, topic: name}
        try:
            self._store.put(replace(self.identity, names=names), self._number)
        except StoreError as error:
            raise LinkError(f"the name cannot be kept: {error}") from error

    def count_attempts(self, failed: int) -> None:
        """Keep how many wrong setup codes have been tried in a row.

        While this process runs they count even where the disk does not take them.
        """
        self.failed_attempts = failed
        try:
            self._store.put(replace(self.identity, failed_attempts=failed), self._number)
        except StoreError as error:
            _complaints.say("count", f"the count of wrong setup codes is not kept: {error}")

    # -- start and stop ---------------------------------------------------------------

    def add_accessory(self, accessory: HouseBridge) -> None:
        """Take the bridge accessory; the base would load its own state file here."""
        self.accessory = accessory

    async def listen(self, port: int | None = None) -> None:
        """Accept controllers, on another port if one is given.

        Raises LinkError where that cannot be had.

        The base does all of starting in one method, which also prints the setup code
        and leaves tasks behind that nobody owns.
        """
        if port is not None:
            self.state.port = port
        await self._listen_on(self._network, self.state.port)
        self.http_server.begin()
        self.is_listening = True
        self._take_note_of_database()

    async def _listen_on(self, network: Network, port: int) -> None:
        try:
            await self.http_server.listen_on(network.hosts, port)
        except OSError as error:
            raise LinkError(why_not_listening(port, error)) from error

    async def move(self, network: Network, port: int | None = None) -> None:
        """Be reached at `network` from now on, and on `port` if one is given.

        Connections that can go on do so. Raises LinkError, with nothing changed, where
        that cannot be had. The responder follows by itself.
        """
        port = self.state.port if port is None else port
        if self.is_listening:
            await self._listen_on(network, port)
        self._network = network
        place = (list(network.advertised), port)
        if place != (self.state.addresses, self.state.port):
            self.state.addresses, self.state.port = place
            await self._announcement.renew()

    @property
    def absent(self) -> tuple[str, ...]:
        """Addresses that it should listen on, and that are not there yet."""
        absent: tuple[str, ...] = self.http_server.absent
        return absent

    def database_changed(self, *, at_once: bool = False) -> None:
        """Have controllers read the accessories anew, if they have to.

        Once in a second at most, unless it has to be `at_once`. The base would do so each
        time, and once more at the next start.
        """
        if self._is_closed:
            return
        if self._changing is not None:
            if not at_once:
                self._has_changed_again = True
                return
            self._changing.cancel()
            self._has_changed_again = False
        self._changing = self.loop.call_later(_CHANGES_SECONDS, self._end_changing)
        if self._take_note_of_database():
            self.async_update_advertisement()

    def _take_note_of_database(self) -> bool:
        """Count and keep that the database is another one than controllers know, if so.

        The hash leaves out values, such as names, for which the number counts too.
        """
        before, shown = self.identity, self._shown()
        has_new_hash = self.state.set_accessories_hash(self.accessories_hash)
        if not has_new_hash and shown == before.shown:
            return False
        if not has_new_hash:
            self.state.increment_config_version()
        try:
            self._save_state(shown)
        except StoreError as error:
            _complaints.say("database", f"Home may miss a change: {error}")
        return True

    def _shown(self) -> dict[str, Appearance]:
        """What controllers are told of the accessories, by their identities."""
        accessories = self.accessory.accessories
        return {THE_BRIDGE: self.accessory.appearance} | {
            identity: accessories[aid].appearance
            for identity, aid in self.identity.aids.items()
            if aid in accessories
        }

    def _end_changing(self) -> None:
        self._changing = None
        if self._has_changed_again:
            self._has_changed_again = False
            self.database_changed()

    async def announce(self) -> None:
        """Tell the network by mDNS."""
        await self._announcement.begin()

    def async_update_advertisement(self) -> None:
        """Announce what has changed; the base would go back to its own names."""
        self._announcement.update()

    async def close(self) -> None:
        """Say goodbye and close all connections; a second time does nothing.

        The base also ends the responder, which other bridges may share.
        """
        self._is_closed = True
        if self._changing is not None:
            # What it would have told, the next start finds out.
            self._changing.cancel()
        if not self.is_listening:
            return
        self.is_listening = False
        self.aio_stop_event.set()
        self.http_server.async_stop()
        await self._announcement.end()

    @property
    def accessories_hash(self) -> str:
        """What tells this database from another; the base makes all of it for that."""
        return self.accessory.database_hash()

    # -- requests ---------------------------------------------------------------------

    def get_characteristics(self, char_ids: Sequence[str]) -> dict[str, Any]:
        """Answer GET /characteristics for ``aid.iid`` pairs; raises ValueError for others.

        The base leaves out what does not exist, and reads what cannot be read.
        """
        ids = [tuple(int(number) for number in char_id.split(".")) for char_id in char_ids]
        return {"characteristics": [read(self.accessory, aid, iid) for aid, iid in ids]}

    def set_characteristics(
        self, chars_query: Mapping[str, Any], client_addr: ClientAddress
    ) -> dict[str, Any] | None:
        """Answer PUT /characteristics; None where all of it was done.

        The base stores a value before the device has been asked, and keeps it where
        that fails; it executes a timed write that has expired.
        """
        items = items_of(chars_query)
        if self._in_time(chars_query, client_addr):
            # First, or a controller would miss what follows from its own write.
            new = self._subscribe(items, client_addr)
            results = write(self.accessory, items)
            done = [
                item
                for item, result in zip(items, results, strict=True)
                if result["status"] == HAP_SERVER_STATUS.SUCCESS
            ]
            self._notify(done, client_addr)
            for item in new:
                if item not in done:
                    self._notify([{**item, "ev": False}], client_addr)
            self._drop_echoes(done, client_addr)
        else:
            invalid = HAP_SERVER_STATUS.INVALID_VALUE_IN_REQUEST
            results = [{"aid": i["aid"], "iid": i["iid"], "status": invalid} for i in items]
        if all(result["status"] == HAP_SERVER_STATUS.SUCCESS for result in results):
            return None
        return {"characteristics": results}

    def _subscribe(
        self, items: Iterable[Mapping[str, Any]], client: ClientAddress
    ) -> list[Mapping[str, Any]]:
        """Subscribe a connection to what it asks for; returns what is new of it."""
        new = [
            item
            for item in items
            if item.get("ev") is True
            and not refusal(self.accessory, item)
            and client not in self.topics.get(get_topic(item["aid"], item["iid"]), ())
        ]
        self._notify(new, client)
        return new

    def _drop_echoes(
        self, done: Iterable[Mapping[str, Any]], client: ClientAddress
    ) -> None:
        """Tell a controller nothing of the very values that it has just set."""
        connection = self.http_server.connections.get(client)
        for item in done if connection is not None else ():
            aid, iid = item["aid"], item["iid"]
            value = self.accessory.get_characteristic(aid, iid).value
            if "value" in item and item["value"] == value:
                connection.drop_event((aid, iid))

    def _in_time(self, query: Mapping[str, Any], client_addr: ClientAddress) -> bool:
        """Whether a write is not timed, or was prepared and has not expired."""
        if "pid" not in query:
            return True
        return self.timed_writes.claim(client_addr, query["pid"], self.loop.time())
