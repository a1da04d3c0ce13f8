"""Real bleak and a Bluetooth service that fails: frames come again, and it is said why."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from hk_bridge import supervision
from hk_bridge.links import adapters, scans
from hk_bridge.links import bluez as bluez_module
from hk_bridge.links.bluetooth import BluetoothLink
from hk_bridge.links.patterns import monitors
from hk_bridge.links.scan_plan import WantedMode
from hk_bridge.model import Advertisement
from hk_bridge.protocols.advert import UUIDS
from hk_bridge.protocols.products import PRODUCTS
from hk_bridge.supervision import Supervisor
from tests.fakes.bluez import READS_DATA, READS_UUID, FakeBluez, PrivateBus

PATIENCE: Final = 20.0
ROOM: Final = "4C:64:A8:D0:AE:65"
MODES: Final[list[WantedMode]] = ["passive", "active"]
FE95: Final = 0xFE95


def frame(counter: int) -> bytes:
    return bytes.fromhex(f"5020aa01{counter % 256:02x}65aed0a8644c0d1004cc002602")


class Ear:
    """A radio link under supervision, and what it has heard."""

    def __init__(self, bluez: FakeBluez, **how: Any) -> None:
        self.adverts: asyncio.Queue[Advertisement] = asyncio.Queue()
        self.link = BluetoothLink({ROOM}, self.adverts.put_nowait, UUIDS, PRODUCTS, **how)
        self.supervisor = Supervisor(self.link)
        self._bluez = bluez
        self._counter = 0

    @property
    def text(self) -> str:
        return self.supervisor.state.text

    async def hears(self) -> None:
        """Return once a frame that was sent just now has arrived."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._counter += 1
                wanted = frame(self._counter)
                self._bluez.advertise(ROOM, {FE95: wanted})
                try:
                    async with asyncio.timeout(0.02):
                        while (await self.adverts.get()).service_data[FE95] != wanted:
                            pass
                except TimeoutError:
                    continue
                return

    async def says(self, words: str, *, is_up: bool = False) -> None:
        """Return once the state of the link has these words."""
        await until(
            lambda: words in self.text and self.supervisor.state.is_up is is_up, self
        )


async def until(condition: Callable[[], Any], ear: Ear) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 # of no one event
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"it says: {ear.supervisor.state}") from None


@asynccontextmanager
async def listening(bluez: FakeBluez, **how: Any) -> AsyncIterator[Ear]:
    ear = Ear(bluez, **how)
    task = asyncio.create_task(ear.supervisor.run())
    try:
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _no_long_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "_FIRST_DELAY", 0.01)
    monkeypatch.setattr(supervision, "_LONGEST_DELAY", 0.05)
    monkeypatch.setattr(supervision, "_ENDING_SECONDS", 0.02)
    monkeypatch.setattr(scans, "_STOP_SECONDS", 0.3)
    monkeypatch.setattr(scans.RefusedError, "pause", 0.01)
    caplog.set_level(logging.INFO, "hk_bridge")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a person has read of trouble."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("hk_bridge")
    ]


async def told(caplog: pytest.LogCaptureFixture) -> None:
    """Return once a person has been told."""
    async with asyncio.timeout(PATIENCE):
        while not lines(caplog):  # noqa: ASYNC110 # a log sets no event
            await asyncio.sleep(0.002)


# -- where nothing is wrong ---------------------------------------------------------------


@pytest.mark.parametrize("reading", [READS_UUID, READS_DATA])
async def test_frames_come_passively_however_bluez_reads_patterns(
    bus: PrivateBus, reading: int
) -> None:
    bluez = FakeBluez(bus, reading)
    bluez.plug()
    await bluez.start()
    async with listening(bluez) as ear:
        await ear.hears()
        await ear.says("listening on hci0 (passive scan)", is_up=True)
        assert ear.supervisor.state.mode == "passive"
        assert ear.supervisor.state.adapter == "hci0"
        assert "StartDiscovery" not in bluez.calls
    await bluez.kill()


async def test_without_experimental_it_listens_actively_and_says_how_to_be_passive(
    bluez: FakeBluez,
) -> None:
    bluez.plug(has_monitors=False)
    await bluez.start()
    async with listening(bluez) as ear:
        await ear.hears()
        await ear.says("active scan", is_up=True)
        assert ear.supervisor.state.mode == "active"
        assert "scripts/bluetooth-experimental install" in ear.text
        assert "RegisterMonitor" not in bluez.calls


async def test_a_mode_that_was_asked_for_is_kept(bluez: FakeBluez) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode="active") as ear:
        await ear.hears()
        await ear.says("active scan", is_up=True)
        assert ear.supervisor.state.mode == "active"
        assert ear.text == "listening on hci0 (active scan)"


async def test_where_only_a_passive_scan_is_wanted_there_is_no_other(
    bluez: FakeBluez, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = bluez.plug(has_monitors=False)
    await bluez.start()
    async with listening(bluez, mode="passive") as ear:
        await ear.says("a passive scan needs bluetoothd --experimental")
        await told(caplog)
        await bluez.kill()
        adapter.has_monitors = True
        await bluez.start()
        await ear.hears()
        assert "StartDiscovery" not in bluez.calls
    (line,) = lines(caplog)
    assert "scripts/bluetooth-experimental install" in line


async def test_two_listen_side_by_side(bluez: FakeBluez) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez) as one, listening(bluez, mode="active") as other:
        await one.says("listening", is_up=True)
        await other.says("listening", is_up=True)
        await one.hears()
        await other.hears()
    assert bluez.adapters["hci0"].monitors == {}
    assert bluez.adapters["hci0"].sessions == set()


async def test_what_the_service_only_remembers_is_not_heard(bluez: FakeBluez) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez) as ear:
        await ear.hears()
        before = ear.link.heard_at
        bluez.advertise(ROOM, {FE95: frame(77)}, rssi=None)
        await ear.hears()
        assert ear.link.heard_at != before
        while not ear.adverts.empty():
            assert ear.adverts.get_nowait().service_data != {FE95: frame(77)}


async def test_a_controller_that_tells_no_signal_strength_is_heard_all_the_same(
    bluez: FakeBluez,
) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez) as ear:
        await bluez.until(lambda: bluez.is_scanned)
        bluez.advertise(ROOM, {FE95: frame(77)}, rssi=None)
        async with asyncio.timeout(PATIENCE):
            advert = await ear.adverts.get()
        assert (advert.rssi, advert.service_data) == (None, {FE95: frame(77)})


async def test_a_sensor_with_another_firmware_is_not_read_from_what_it_once_said(
    bluez: FakeBluez,
) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez) as ear:
        await ear.hears()
        while not ear.adverts.empty():
            ear.adverts.get_nowait()
        for number in range(2):
            # The service hands over both.
            bluez.advertise(ROOM, {0xFCD2: bytes([0x40, 0x00, number])})
            async with asyncio.timeout(PATIENCE):
                advert = await ear.adverts.get()
            assert advert.service_data == {0xFCD2: bytes([0x40, 0x00, number])}


# -- every fault, in both modes -----------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
async def test_no_dbus(
    bus: PrivateBus, mode: WantedMode, caplog: pytest.LogCaptureFixture
) -> None:
    bus.stop()
    bluez = FakeBluez(bus)
    bluez.plug()
    async with listening(bluez, mode=mode) as ear:
        await ear.says("there is no D-Bus")
        bus.start()
        await bluez.start()
        await ear.hears()
    await bluez.kill()
    assert len([line for line in lines(caplog) if "no D-Bus" in line]) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_bluetoothd_absent(
    bluez: FakeBluez, mode: WantedMode, caplog: pytest.LogCaptureFixture
) -> None:
    bluez.plug()
    async with listening(bluez, mode=mode) as ear:
        await ear.says("sudo systemctl enable --now bluetooth")
        await bluez.start()
        await ear.hears()
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_no_adapter(
    bluez: FakeBluez, mode: WantedMode, caplog: pytest.LogCaptureFixture
) -> None:
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        await ear.says("no Bluetooth adapter")
        bluez.plug()
        await ear.hears()
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wanted", ["hci1", "00:1A:7D:DA:71:01"])
async def test_a_named_adapter_absent(
    bluez: FakeBluez, mode: WantedMode, wanted: str, caplog: pytest.LogCaptureFixture
) -> None:
    bluez.plug("hci0")
    await bluez.start()
    async with listening(bluez, mode=mode, adapter=wanted) as ear:
        await ear.says(f"the Bluetooth adapter {wanted} is not there, but hci0")
        assert bluez.is_scanned == ""
        bluez.plug("hci1")
        await ear.says("listening on hci1", is_up=True)
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("adapter", [None, "hci0"])
@pytest.mark.parametrize("mode", MODES)
async def test_powered_off_at_the_start(
    bluez: FakeBluez,
    mode: WantedMode,
    adapter: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bluez.plug(powered=False)
    await bluez.start()
    async with listening(bluez, mode=mode, adapter=adapter) as ear:
        await ear.says("hci0 is switched off. Type: bluetoothctl power on")
        assert "RegisterMonitor" not in bluez.calls
        bluez.power(on=True)
        await ear.hears()
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_powered_off_and_on(
    bluez: FakeBluez, mode: WantedMode, caplog: pytest.LogCaptureFixture
) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        await ear.hears()
        bluez.power(on=False)
        await ear.says("is switched off")
        await told(caplog)
        bluez.power(on=True)
        await ear.hears()
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_powered_off_and_on_before_anybody_has_looked(
    bluez: FakeBluez, mode: WantedMode
) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        await ear.hears()
        bluez.power(on=False)
        bluez.power(on=True)
        await ear.hears()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", ["terminate", "kill"])
async def test_bluetoothd_restarted(
    bluez: FakeBluez, mode: WantedMode, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        await ear.hears()
        await getattr(bluez, end)()
        await ear.says("the Bluetooth service does not run")
        await told(caplog)
        await bluez.start()
        await ear.hears()
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_bluetoothd_restarted_before_anybody_has_looked(
    bluez: FakeBluez, mode: WantedMode
) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        for _ in range(5):
            await ear.hears()
            await bluez.kill()
            await bluez.start()
        await ear.hears()


@pytest.mark.parametrize("mode", MODES)
async def test_the_adapter_comes_some_time_after_bluetoothd(
    bluez: FakeBluez, mode: WantedMode
) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        await ear.hears()
        await bluez.kill()
        bluez.adapters.clear()
        await bluez.start()
        await ear.says("no Bluetooth adapter")
        bluez.plug(powered=False)
        await ear.says("is switched off")
        bluez.power(on=True)
        await ear.hears()


@pytest.mark.parametrize("mode", MODES)
async def test_unplugged_and_replugged(
    bluez: FakeBluez, mode: WantedMode, caplog: pytest.LogCaptureFixture
) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        await ear.hears()
        bluez.unplug()
        await ear.says("no Bluetooth adapter")
        await told(caplog)
        bluez.plug()
        await ear.hears()
        bluez.unplug()
        bluez.plug()  # before anybody has looked
        await ear.hears()
    assert len(lines(caplog)) == 1


async def test_another_adapter_takes_over(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    bluez.plug("hci1")
    await bluez.start()
    async with listening(bluez) as ear:
        await ear.hears()
        bluez.unplug("hci0")
        await ear.says("listening on hci1", is_up=True)
        bluez.power(on=False, name="hci1")
        await ear.says("hci1 is switched off. Type: bluetoothctl power on")


@pytest.mark.parametrize("mode", MODES)
async def test_dbus_restarted(
    bus: PrivateBus, mode: WantedMode, caplog: pytest.LogCaptureFixture
) -> None:
    bluez = FakeBluez(bus)
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        await ear.hears()
        bus.stop()
        await ear.says("there is no D-Bus")
        await told(caplog)
        await bluez.kill()
        bus.start()
        await ear.says("the Bluetooth service does not run")
        await bluez.start()
        await ear.hears()
    await bluez.kill()
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_bluetoothd_that_does_not_answer(
    bluez: FakeBluez, mode: WantedMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluez_module, "_ANSWER_SECONDS", 0.3)
    bluez.plug()
    await bluez.start()
    bluez.hang()
    async with listening(bluez, mode=mode) as ear:
        await ear.says("does not answer. Type: sudo systemctl restart bluetooth")
        bluez.go_on()
        await ear.hears()


@pytest.mark.parametrize("mode", MODES)
async def test_a_start_that_takes_too_long_leaves_nothing_in_the_way_of_the_next(
    bluez: FakeBluez, mode: WantedMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BlueZ lets nobody begin a second scan, and does not know that one was given up."""
    monkeypatch.setattr(scans, "_START_SECONDS", 0.2)
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        await ear.says("listening", is_up=True)
        bluez.hang()
        bluez.power(on=False)
        bluez.power(on=True)
        await ear.says("does not answer")
        bluez.go_on()
        await ear.hears()
        await ear.says("listening on hci0", is_up=True)
        wanted = len(monitors(UUIDS.values(), PRODUCTS)) if mode == "passive" else 0
        assert len(bluez.adapters["hci0"].monitors) == wanted
    assert bluez.adapters["hci0"].monitors == {}
    assert bluez.adapters["hci0"].sessions == set()


@pytest.mark.parametrize("mode", MODES)
async def test_power_that_comes_right_behind_an_answer_is_not_missed(
    bluez: FakeBluez, mode: WantedMode
) -> None:
    """As whenever bluetoothd starts: an adapter is there first, and on a moment later."""
    bluez.plug(powered=False)

    def power_on() -> None:
        bluez.power(on=True)

    bluez.right_behind = power_on
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        await ear.hears()
        bluez.adapters["hci0"].powered = False
        await bluez.kill()
        await bluez.start()
        await ear.hears()


@pytest.mark.parametrize("mode", MODES)
async def test_blocked_by_rfkill(
    bluez: FakeBluez,
    mode: WantedMode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(adapters, "_RFKILL", tmp_path)
    switch = tmp_path / "rfkill0"
    switch.mkdir()
    for name, content in (("name", "hci0"), ("soft", "0"), ("hard", "0")):
        (switch / name).write_text(content)
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode=mode) as ear:
        await ear.hears()
        (switch / "soft").write_text("1")
        bluez.power(on=False)
        await ear.says("hci0 is blocked. Type: sudo rfkill unblock bluetooth")
        await told(caplog)
        (switch / "soft").write_text("0")
        bluez.power(on=True)
        await ear.hears()
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_a_scan_that_is_refused_is_tried_again(
    bluez: FakeBluez, mode: WantedMode, caplog: pytest.LogCaptureFixture
) -> None:
    bluez.plug()
    await bluez.start()
    for call in ("RegisterMonitor", "StartDiscovery"):
        bluez.refusals[call] = "org.bluez.Error.Failed"
    async with listening(bluez, mode=mode) as ear:
        await ear.says("Bluetooth fails: [org.bluez.Error.Failed]")
        count = bluez.calls.count
        call = "RegisterMonitor" if mode == "passive" else "StartDiscovery"
        await bluez.until(lambda: count(call) > 5)
        bluez.refusals.clear()
        await ear.hears()
    assert len(lines(caplog)) == 1


async def test_a_kernel_that_still_scans_for_a_daemon_that_was_killed_is_waited_for(
    bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scans.BusyError, "pause", 0.01)
    bluez.plug()
    await bluez.start()
    bluez.refusals["StartDiscovery"] = "org.bluez.Error.InProgress"
    async with listening(bluez, mode="active") as ear:
        await bluez.until(lambda: bluez.calls.count("StartDiscovery") > 5)
        bluez.refusals.clear()
        await ear.hears()
    assert lines(caplog) == []


async def test_a_user_who_may_not_use_bluetooth(bluez: FakeBluez) -> None:
    bluez.plug()
    await bluez.start()
    denied = "org.freedesktop.DBus.Error.AccessDenied"
    bluez.refusals["GetManagedObjects"] = denied
    async with listening(bluez) as ear:
        await ear.says("sudo usermod -aG bluetooth $USER")
        bluez.refusals.clear()
        await ear.hears()


async def test_an_adapter_without_le_is_not_one_to_listen_with(bluez: FakeBluez) -> None:
    bluez.plug("hci0", roles=())
    await bluez.start()
    async with listening(bluez) as ear:
        await ear.says("has no Bluetooth LE")
        bluez.plug("hci1")
        await ear.says("listening on hci1", is_up=True)


async def test_a_flapping_adapter_is_no_flood_in_the_log(
    bluez: FakeBluez, caplog: pytest.LogCaptureFixture
) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez) as ear:
        await ear.hears()
        for _ in range(30):
            bluez.power(on=False)
            await ear.says("is switched off")
            bluez.power(on=True)
            await ear.says("listening on hci0", is_up=True)
        await ear.hears()
    assert len(caplog.messages) <= 3


async def test_a_flood_of_strangers_is_passed_over(bluez: FakeBluez) -> None:
    bluez.plug()
    await bluez.start()
    async with listening(bluez, mode="active") as ear:
        await ear.hears()
        for number in range(5000):
            bluez.advertise(f"0A:00:00:00:{number >> 8:02X}:{number & 255:02X}", {})
            if number % 10 == 0:
                await asyncio.sleep(0)
        await ear.hears()
        assert ear.link.passed_on < 1000


async def test_ending_leaves_nothing_behind(bluez: FakeBluez) -> None:
    bluez.plug()
    await bluez.start()
    before = asyncio.all_tasks()
    async with listening(bluez) as ear:
        await ear.says("listening", is_up=True)
    assert bluez.adapters["hci0"].monitors == {}
    await until(lambda: len(asyncio.all_tasks() - before) <= 1, ear)  # bleak watches on
