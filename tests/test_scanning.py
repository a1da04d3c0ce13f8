"""Listening for a while: to simulated sensors, on links that fail, and with real bleak."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from hk_bridge.config import BluetoothConfig, Config, SensorConfig
from hk_bridge.discovery import Discovery, Key
from hk_bridge.errors import LinkError
from hk_bridge.model import LinkState
from hk_bridge.scanning import known_sensors, listen, make_link
from tests.fakes.bluez import READS_DATA, FakeBluez, PrivateBus
from tests.fakes.sensors import atc1441, pvvx

PATIENCE: Final = 20.0
#: Far longer than any of these tests takes: what ends earlier has ended for its reason.
LONG: Final = 1000.0
ROOM: Final = "4C:64:A8:D0:AE:65"
KEY: Final = bytes(range(16))
CLIMATE: Final = bytes.fromhex("5020aa010765aed0a8644c0d1004cc008a01")
UP: Final = LinkState(is_up=True, text="listening")
DOWN: Final = LinkState(is_up=False, text="the adapter is off")

Report = Callable[[LinkState], None]


class ScriptedLink:
    """A link that does what it is told, and then listens for ever."""

    name = "radio"

    def __init__(self, *steps: LinkState | LinkError | Callable[[], None]) -> None:
        self._steps = steps
        self.is_listening = asyncio.Event()
        self.has_let_go = False

    async def run(self, report: Report) -> None:
        try:
            for step in self._steps:
                if isinstance(step, LinkError):
                    raise step
                if isinstance(step, LinkState):
                    report(step)
                else:
                    step()
            self.is_listening.set()
            await asyncio.Event().wait()
        finally:
            self.has_let_go = True


def nothing(_over: float, _how: str) -> None:
    pass


def interrupt() -> None:
    """What Ctrl-C is to a process."""
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def _sigint_is_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


# -- until when it listens ----------------------------------------------------------------


async def test_it_listens_for_as_long_as_it_is_told() -> None:
    link = ScriptedLink(UP)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with asyncio.timeout(PATIENCE):
        await listen(link, 0.3, nothing)
    assert loop.time() - begun >= 0.3
    assert link.has_let_go


async def test_it_tells_how_much_is_over_and_how_it_listens() -> None:
    ticks: list[tuple[float, str]] = []

    def tick(over: float, how: str) -> None:
        ticks.append((over, how))
        if len(ticks) == 3:
            interrupt()

    await listen(ScriptedLink(UP), LONG, tick)
    assert [how for _, how in ticks] == ["starting", "listening", "listening"]
    overs = [over for over, _ in ticks]
    assert overs == sorted(overs)
    assert 0.2 <= overs[2] - overs[1] <= PATIENCE


async def test_ctrl_c_is_enough_and_no_error() -> None:
    link = ScriptedLink(UP, interrupt)
    async with asyncio.timeout(PATIENCE):
        await listen(link, LONG, nothing)
    assert link.has_let_go


async def test_a_system_that_ends_it_is_no_error() -> None:
    link = ScriptedLink(UP, lambda: os.kill(os.getpid(), signal.SIGTERM))
    async with asyncio.timeout(PATIENCE):
        await listen(link, LONG, nothing)
    assert link.has_let_go
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_without_a_limit_it_listens_until_there_is_enough() -> None:
    enough = asyncio.Event()
    link = ScriptedLink(UP, enough.set)
    async with asyncio.timeout(PATIENCE):
        await listen(link, None, nothing, enough)
    assert link.has_let_go


def test_a_second_ctrl_c_does_not_wait_for_the_radio() -> None:
    class Reluctant:
        """A link that takes its time to let go."""

        name = "radio"

        async def run(self, report: Report) -> None:
            report(UP)
            interrupt()
            try:
                await asyncio.Event().wait()
            finally:
                interrupt()
                await asyncio.sleep(LONG)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(listen(Reluctant(), LONG, nothing))


async def test_once_it_is_over_ctrl_c_is_what_it_always_is() -> None:
    await listen(ScriptedLink(UP), 0.01, nothing)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    "steps",
    [
        [DOWN],
        [UP, DOWN],
        [LinkError(DOWN.text)],
        [UP, LinkError(DOWN.text)],
    ],
)
async def test_a_radio_that_cannot_be_used_any_more_is_an_error(
    steps: list[LinkState | LinkError],
) -> None:
    link = ScriptedLink(*steps)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LinkError, match="the adapter is off"):
            await listen(link, LONG, nothing)
    assert link.has_let_go


async def test_whoever_gives_up_on_it_leaves_no_task_behind() -> None:
    link = ScriptedLink(UP)
    before = asyncio.all_tasks()
    task = asyncio.create_task(listen(link, LONG, nothing))
    await link.is_listening.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert link.has_let_go
    assert asyncio.all_tasks() == before


# -- the simulated radio ------------------------------------------------------------------


def house(*sensors: SensorConfig, bluetooth: BluetoothConfig | None = None) -> Config:
    return Config(sensors=sensors, bluetooth=bluetooth or BluetoothConfig())


def test_known_are_the_sensors_that_have_an_address() -> None:
    assert known_sensors(None) == {}
    assert known_sensors(house(SensorConfig("Only"))) == {}
    sensors = known_sensors(house(SensorConfig("A", address=ROOM, bind_key=bytes(16))))
    assert (sensors[ROOM].name, sensors[ROOM].bind_key) == ("A", bytes(16))


async def test_a_simulated_search_finds_those_of_the_file_and_two_more() -> None:
    config = house(SensorConfig("A", address=ROOM, bind_key=bytes(range(16))))
    discovery = Discovery(known_sensors(config))
    await listen(make_link(config, discovery, simulate=True), 0.01, nothing)
    new, secret, known = discovery.found
    assert (new.key, new.configured_as) == (Key.NO, None)
    assert (secret.key, secret.configured_as) == (Key.YES, None)
    assert (known.key, known.configured_as) == (Key.GIVEN, "A")
    assert (
        new.values.keys() == known.values.keys() == {"temperature", "humidity", "battery"}
    )
    assert secret.values == {}


# -- real bleak ---------------------------------------------------------------------------


@asynccontextmanager
async def broadcasting(
    bluez: FakeBluez, uuid: int = 0xFE95, data: bytes = CLIMATE, flags: int | None = None
) -> AsyncIterator[None]:
    """A sensor that speaks a hundred times a second."""

    async def speak() -> None:
        while True:
            bluez.advertise(ROOM, {uuid: data}, flags=flags)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(speak())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def until_found(discovery: Discovery, then: Callable[[], None]) -> Callable[..., None]:
    """A tick that does something once a sensor has been found."""

    def tick(_over: float, _how: str) -> None:
        if discovery.found:
            then()

    return tick


@pytest.mark.parametrize("mode", ["passive", "active"])
async def test_it_listens_as_the_file_says(bluez: FakeBluez, mode: str) -> None:
    bluez.plug("hci0")
    bluez.plug("hci1")
    await bluez.start()
    settings = BluetoothConfig(mode=mode, adapter="hci1")  # type: ignore[arg-type] # one of them
    link = make_link(house(bluetooth=settings), Discovery({}), simulate=False)
    scanned: list[tuple[str, str]] = []

    def tick(_over: float, how: str) -> None:
        if how.startswith("listening"):
            scanned.append((how, bluez.is_scanned))
            interrupt()

    async with asyncio.timeout(PATIENCE):
        await listen(link, LONG, tick)
    assert scanned == [(f"listening on hci1 ({mode} scan)", mode)]
    assert bluez.is_scanned == ""


async def test_it_hears_sensors_that_nobody_has_configured(bluez: FakeBluez) -> None:
    bluez.plug()
    await bluez.start()
    discovery = Discovery({})
    link = make_link(None, discovery, simulate=False)
    async with asyncio.timeout(PATIENCE), broadcasting(bluez):
        await listen(link, LONG, until_found(discovery, interrupt))
    (found,) = discovery.found
    assert (found.address, found.rssi) == (ROOM, -60)
    assert found.values == {"temperature": 20.4, "humidity": 39.4}


async def test_no_dbus_is_an_error_at_once(bus: PrivateBus) -> None:
    bus.stop()
    link = make_link(None, Discovery({}), simulate=False)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LinkError, match="there is no D-Bus"):
            await listen(link, LONG, nothing)


async def test_no_bluetooth_service_is_an_error_at_once(bluez: FakeBluez) -> None:
    link = make_link(None, Discovery({}), simulate=False)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LinkError, match="sudo systemctl enable --now bluetooth"):
            await listen(link, LONG, nothing)


async def test_an_adapter_that_is_off_is_an_error_at_once(bluez: FakeBluez) -> None:
    bluez.plug(powered=False)
    await bluez.start()
    link = make_link(None, Discovery({}), simulate=False)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LinkError, match="hci0 is switched off"):
            await listen(link, LONG, nothing)


async def test_what_was_found_before_the_adapter_was_lost_is_kept(bluez: FakeBluez) -> None:
    bluez.plug()
    await bluez.start()
    discovery = Discovery({})
    link = make_link(None, discovery, simulate=False)
    lose = until_found(discovery, lambda: bluez.power(on=False))
    async with asyncio.timeout(PATIENCE), broadcasting(bluez):
        with pytest.raises(LinkError, match="is switched off"):
            await listen(link, LONG, lose)
    assert [found.address for found in discovery.found] == [ROOM]


async def test_what_was_found_before_the_bus_was_lost_is_kept(
    bus: PrivateBus, bluez: FakeBluez
) -> None:
    bluez.plug()
    await bluez.start()
    discovery = Discovery({})
    link = make_link(None, discovery, simulate=False)
    async with asyncio.timeout(PATIENCE), broadcasting(bluez):
        with pytest.raises(LinkError, match="there is no D-Bus"):
            await listen(link, LONG, until_found(discovery, bus.stop))
    assert [found.address for found in discovery.found] == [ROOM]


@pytest.mark.parametrize(
    ("configured", "frame", "flags"),
    [
        pytest.param((), pvvx(ROOM, 20, 50, 90, key=KEY), 0x06, id="by its flags"),
        pytest.param(
            (SensorConfig("Room", ROOM),),
            atc1441(ROOM, 20, 50, 90),
            None,
            id="by its maker",
        ),
    ],
)
async def test_a_passive_scan_finds_a_sensor_that_no_product_id_tells(
    bus: PrivateBus, configured: tuple[SensorConfig, ...], frame: bytes, flags: int | None
) -> None:
    bluez = FakeBluez(bus, READS_DATA)
    bluez.plug()
    await bluez.start()
    config = Config(bluetooth=BluetoothConfig(mode="passive"), sensors=configured)
    discovery = Discovery(known_sensors(config))
    link = make_link(config, discovery, simulate=False)
    found = asyncio.Event()
    async with asyncio.timeout(PATIENCE), broadcasting(bluez, 0x181A, frame, flags):
        await listen(link, LONG, until_found(discovery, found.set), found)
    await bluez.kill()
    assert [each.address for each in discovery.found] == [ROOM]
