"""The radio and the sensors that are heard by it: whose advert is whose."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hk_bridge.complaints import Complaints
from hk_bridge.config import BluetoothConfig
from hk_bridge.devices.sensor_state import SensorState
from hk_bridge.errors import StoreError
from hk_bridge.homekit.store import Store
from hk_bridge.identities import with_adopted
from hk_bridge.links.replay import ReplayedRadio
from hk_bridge.links.simulator import SimulatedRadio
from hk_bridge.model import EVERYONE, Advertisement, parse_address
from hk_bridge.protocols import advert
from hk_bridge.protocols.products import PRODUCTS, product_of
from hk_bridge.sensor_frames import is_climate, open_frame
from hk_bridge.sensor_station import SensorStation
from hk_bridge.status import RadioStatus
from hk_bridge.supervision import Link, Supervisor

if TYPE_CHECKING:
    from hk_bridge.links.bluetooth import BluetoothLink

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

#: What an address-less sensor has in a simulation: locally administered, so nobody's.
_SIMULATED_ADDRESS: Final = "4E:64:A8:00:00:01"

#: With a bind key of that length frames may be of 0x181A, in which nothing can be known.
_LONG_KEY: Final = 16

_STAYS: Final = (
    ", and stays it. To replace it one day and keep its place in Home, write "
    '"id": "{address}" and the new "address" into accessories.json'
)

#: Makes what plays a capture, for the addresses that are wanted, to who takes adverts.
MakeReplay = Callable[[Container[str], Callable[[Advertisement], None]], ReplayedRadio]


class SensorRadio:
    """Hands each advert to the sensor that it is of.

    A single sensor without an address adopts the first one that it can be; the store
    keeps which one that is, unless `simulate` has sensors speak that are none, or a
    `replay` takes the place of the radio.
    """

    def __init__(
        self,
        config: BluetoothConfig,
        stations: Sequence[SensorStation],
        store: Store,
        *,
        simulate: bool,
        replay: MakeReplay | None = None,
    ) -> None:
        self._config = config
        self._stations = stations
        self._sources = _sources(stations)
        self._store = store
        self._simulate = simulate
        self._replay = replay
        self._radio: BluetoothLink | ReplayedRadio | None = None
        self._by_address = _by_address(stations)
        self._supervisor = Supervisor(self._make_link())

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._supervisor.run()

    def change(self, config: BluetoothConfig, stations: Sequence[SensorStation]) -> bool:
        """Hand adverts to these from now on; False where that needs another radio."""
        needs_other = (config, _sources(stations)) != (self._config, self._sources)
        if needs_other and self._replay is None:
            return False
        self._stations, self._by_address = stations, _by_address(stations)
        if self._radio is not None:
            self._radio.wanted = self._wanted()
        return True

    def status(self, now: float) -> RadioStatus:
        """How it is with the radio; `now` is by the clock of the stations."""
        heard_at = [s.heard_at for s in self._stations if s.heard_at is not None]
        if self._radio is not None and self._radio.heard_at is not None:
            heard_at.append(self._radio.heard_at)
        return RadioStatus.of(
            self._supervisor.state,
            time.monotonic() - self._supervisor.since,
            now - max(heard_at) if heard_at else None,
            sum(station.adverts for station in self._stations),
        )

    def _make_link(self) -> Link:
        configs = [station.config for station in self._stations]
        if self._replay is None and self._simulate:
            keys = {c.address or _SIMULATED_ADDRESS: c.bind_key for c in configs}
            return SimulatedRadio(keys, self._heard)
        wanted = self._wanted()
        self._radio = (
            self._bluetooth(wanted)
            if self._replay is None
            else self._replay(wanted, self._heard)
        )
        return self._radio

    def _wanted(self) -> Container[str]:
        adopts = any(station.config.address is None for station in self._stations)
        return EVERYONE if adopts else self._by_address

    def _bluetooth(self, wanted: Container[str]) -> BluetoothLink:
        # bleak takes its time to import, and controllers need not wait for it.
        from hk_bridge.links.bluetooth import BluetoothLink  # noqa: PLC0415 # see above

        keys = [station.config.bind_key or b"" for station in self._stations]
        return BluetoothLink(
            wanted,
            self._heard,
            advert.UUIDS,
            PRODUCTS,
            addresses=self._by_address,
            by_flags=any(len(key) == _LONG_KEY for key in keys),
            mode=self._config.mode,
            adapter=self._config.adapter,
        )

    def _heard(self, advertisement: Advertisement) -> None:
        """Take one advert; the radio has let only wanted addresses through."""
        station = self._by_address.get(advertisement.address) or self._adopt(advertisement)
        if station is not None:
            station.heard(advertisement)

    def _adopt(self, advertisement: Advertisement) -> SensorStation | None:
        """The only sensor, if it has no address yet and this is one it can be."""
        waiting = [sensor for sensor in self._stations if sensor.config.address is None]
        if not waiting:
            return None
        (station,) = waiting
        address = advertisement.address
        if parse_address(address) is None:
            return None  # what macOS shows in its place is nobody's for long
        service_data, key = advertisement.service_data, station.config.bind_key
        frame = open_frame(service_data, address, key)
        if frame is None or frame.reading is None or not is_climate(frame.reading):
            return None
        if key is not None:
            closed = open_frame(service_data, address, None)
            if closed is None or closed.state is not SensorState.NEEDS_KEY:
                return None  # it is open to everybody, and so not what the key is for
        reading = frame.reading
        is_kept = not self._simulate and self._replay is None
        identity = station.identity
        try:
            if is_kept:
                bridges = self._store.bridges
                self._store.put_all(with_adopted(bridges, identity, address))
                identity = replace(station.config, address=address).identity
        except StoreError as error:
            _complaints.say(
                "adopt", f"{station.config.name} cannot adopt {address}: {error}"
            )
            return None
        station.adopt(address, identity)
        self._sources = _sources(self._stations)
        self._by_address[address] = station
        if self._radio is not None:
            self._radio.wanted = self._by_address
        _LOG.info(
            "%s is now %s, a %s%s",
            station.config.name,
            address,
            product_of(reading.format, reading.product_id).name,
            _STAYS.format(address=address) if is_kept else " for as long as this runs",
        )
        return station


def _by_address(stations: Sequence[SensorStation]) -> dict[str, SensorStation]:
    return {
        station.config.address: station
        for station in stations
        if station.config.address is not None
    }


def _sources(stations: Sequence[SensorStation]) -> frozenset[tuple[object, object]]:
    """What a scan, or a simulation, depends on."""
    return frozenset((each.config.address, each.config.bind_key) for each in stations)
