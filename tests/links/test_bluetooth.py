"""The radio with a Bluetooth stack that misbehaves as the real one does."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Callable, Container
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)

from hk_bridge.errors import LinkError
from hk_bridge.links import bluetooth, scan_plan, scans
from hk_bridge.links.adapters import Adapter
from hk_bridge.links.bluetooth import BluetoothLink
from hk_bridge.links.radio_faults import FORBIDDEN
from hk_bridge.model import Advertisement, LinkState
from hk_bridge.protocols.advert import UUIDS
from hk_bridge.protocols.products import PRODUCTS
from tests.links.waiting import PATIENCE, until

A: Final = "4C:64:A8:D0:AE:65"
B: Final = "2C:34:B3:D4:A1:61"
FE95: Final = "0000fe95-0000-1000-8000-00805f9b34fb"
OTHER_UUID: Final = "0000181c-0000-1000-8000-00805f9b34fb"
CLIMATE: Final = bytes.fromhex("5020aa0101 65aed0a8644c 0d1004cc002602")

PASSIVE: Final = "listening on hci0 (passive scan)"
ACTIVE: Final = "listening on hci0 (active scan)"
ACTIVE_FOR_NOW: Final = (
    "listening on hci0 (active scan, which costs the sensors some battery; for a passive "
    f"one type: sudo {Path(__file__).parents[2]}/scripts/bluetooth-experimental install)"
)

NO_PASSIVE: Final = BleakError(
    "passive scanning on Linux requires BlueZ >= 5.56 with --experimental enabled"
)
NO_ADAPTER: Final = BleakBluetoothNotAvailableError(
    "No Bluetooth adapters found.", BleakBluetoothNotAvailableReason.NO_BLUETOOTH
)
POWERED_OFF: Final = BleakBluetoothNotAvailableError(
    "No powered Bluetooth adapters found.", BleakBluetoothNotAvailableReason.POWERED_OFF
)
NO_BLUEZ: Final = (
    "the Bluetooth service does not run. Type: sudo systemctl enable --now bluetooth"
)
NO_DBUS: Final = (
    "there is no D-Bus, by which Bluetooth is reached. Install dbus and bluez, or in a "
    "container mount /run/dbus into it"
)


def dbus_error(name: str, text: str = "") -> BleakDBusError:
    return BleakDBusError(name, [text])


class Stack:
    """What a host's Bluetooth does, and what has been asked of it.

    `made`, `started` and `stopped` say which exception each of these raises, by the mode
    of scanning: "passive" or "active". `room` is how many scans can be started at once.
    """

    def __init__(self) -> None:
        self.made: dict[str, Exception] = {}
        self.started: dict[str, Exception] = {}
        self.stopped: dict[str, Exception] = {}
        self.scanners: list[FakeScanner] = []
        self.room = 100
        self.hci0: Adapter | None = Adapter(
            "hci0",
            "00:1A:7D:DA:71:13",
            is_on=True,
            has_le=True,
            monitors=True,
            spell=1,
        )
        self._told = asyncio.Event()

    @asynccontextmanager
    async def opened(self, *, wake: bool) -> AsyncIterator[Stack]:  # noqa: ARG002 # it is
        """As the link opens it."""
        yield self

    def adapter(self, _wanted: str | None) -> Adapter:
        if self.hci0 is None:
            raise LinkError("no Bluetooth adapter")
        return self.hci0

    async def changed(self) -> None:
        await self._told.wait()
        self._told.clear()

    def change(self, adapter: Adapter | None) -> None:
        """Have another adapter, or none, and tell."""
        self.hci0 = adapter
        self._told.set()

    @property
    def modes(self) -> set[str]:
        """How is scanned now."""
        return {scanner.mode for scanner in self.scanners if scanner.scans}

    def hear(self, address: str, service_data: dict[str, bytes], rssi: int = -60) -> None:
        """Hear an advert, of which every scanner is told, whatever its patterns."""
        self.hear_raw(address, SimpleNamespace(service_data=service_data, rssi=rssi))

    def hear_raw(self, address: str, advertisement: object) -> None:
        for scanner in self.scanners:
            if scanner.scans:
                scanner.heard(SimpleNamespace(address=address), advertisement)


class FakeScanner:
    """Stands where bleak's scanner stands."""

    stack: Stack

    def __init__(
        self,
        detection_callback: Callable[..., None],
        scanning_mode: str = "active",
        **options: Any,
    ) -> None:
        self.heard = detection_callback
        self.mode = scanning_mode
        self.options = options
        self.calls: list[str] = []
        self.scans = False
        self.stack.scanners.append(self)
        if error := self.stack.made.get(scanning_mode):
            raise error

    async def start(self) -> None:
        self.calls.append("start")
        await asyncio.sleep(0)
        if error := self.stack.started.get(self.mode):
            raise error
        if self.mode == "passive" and not self.stack.room:
            raise dbus_error("org.bluez.Error.Failed", "no room for another monitor")
        self.stack.room -= 1
        self.scans = True

    async def stop(self) -> None:
        self.calls.append("stop")
        self.stack.room += 1
        self.scans = False
        await asyncio.sleep(0)
        if error := self.stack.stopped.get(self.mode):
            raise error


class Stranger:
    """An advert of which nothing may be touched."""

    @property
    def service_data(self) -> dict[str, bytes]:
        raise AssertionError("a stranger's service data was looked at")

    rssi = -60


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    fake = Stack()
    scanner = type("Scanner", (FakeScanner,), {"stack": fake})
    monkeypatch.setattr(scans, "BleakScanner", scanner)
    monkeypatch.setattr(scans.RefusedError, "pause", 0.01)
    return fake


def link_for(
    stack: Stack,
    heard: list[Advertisement] | None = None,
    wanted: Container[str] = frozenset({A}),
    **how: Any,
) -> BluetoothLink:
    adverts = [] if heard is None else heard
    return BluetoothLink(wanted, adverts.append, UUIDS, PRODUCTS, stack=stack.opened, **how)


@asynccontextmanager
async def running(link: BluetoothLink) -> AsyncIterator[str]:
    """A link that listens; how it does."""
    up: asyncio.Queue[LinkState] = asyncio.Queue()
    task = asyncio.create_task(link.run(up.put_nowait))
    try:
        async with asyncio.timeout(PATIENCE):
            state = await up.get()
        assert state.is_up
        yield state.text
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()


async def failure(link: BluetoothLink) -> str:
    """Why it cannot listen."""
    with pytest.raises(LinkError) as caught:
        async with asyncio.timeout(PATIENCE):
            await link.run(lambda _state: None)
    return str(caught.value)


# -- starting -----------------------------------------------------------------------------


async def test_it_listens_passively_where_it_can(stack: Stack) -> None:
    async with running(link_for(stack)) as how:
        assert how == PASSIVE
        assert stack.modes == {"passive"}
        for scanner in stack.scanners:
            assert list(scanner.options) == ["bluez"]
            assert set(scanner.options["bluez"]) == {"adapter", "or_patterns"}
    for scanner in stack.scanners:
        assert scanner.calls == ["start", "stop"]


@pytest.mark.parametrize("where", ["made", "started"])
async def test_it_listens_actively_where_it_cannot_passively(
    stack: Stack, where: str
) -> None:
    getattr(stack, where)["passive"] = NO_PASSIVE
    async with running(link_for(stack)) as how:
        assert how == ACTIVE
        assert [scanner.mode for scanner in stack.scanners] == ["passive", "active"]
        assert stack.scanners[1].options == {
            "bluez": {"adapter": "hci0", "filters": {"Pattern": ""}}
        }
    assert stack.scanners[1].calls == ["start", "stop"]


async def test_where_not_all_passive_scans_can_be_had_there_is_an_active_one_alone(
    stack: Stack,
) -> None:
    stack.room = 2
    heard: list[Advertisement] = []
    async with running(link_for(stack, heard)) as how:
        assert how == ACTIVE
        assert stack.modes == {"active"}
        stack.hear(A, {FE95: CLIMATE})
    assert len(heard) == 1
    assert stack.modes == set()


async def test_no_filter_drops_adverts_that_carry_service_data_alone(stack: Stack) -> None:
    stack.started["passive"] = NO_PASSIVE
    async with running(link_for(stack)):
        for scanner in stack.scanners:
            assert "service_uuids" not in scanner.options


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NO_ADAPTER, "no Bluetooth adapter. Plug one in"),
        (
            POWERED_OFF,
            "Bluetooth is switched off. Switch it on in the settings of the system",
        ),
        (
            BleakBluetoothNotAvailableError(
                "Not now.", BleakBluetoothNotAvailableReason.UNKNOWN
            ),
            "Not now.",
        ),
        (dbus_error("org.freedesktop.DBus.Error.ServiceUnknown", "no org.bluez"), NO_BLUEZ),
        (dbus_error("org.freedesktop.DBus.Error.NameHasNoOwner"), NO_BLUEZ),
        (dbus_error("org.freedesktop.DBus.Error.Spawn.ChildExited"), NO_BLUEZ),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), NO_DBUS),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), NO_DBUS),
        (EOFError(), NO_DBUS),
        (
            BleakError("adapter 'hci0' not found"),
            "Bluetooth fails: adapter 'hci0' not found",
        ),
        (
            dbus_error("org.bluez.Error.NotReady", "Resource Not Ready"),
            "the Bluetooth adapter is switched off. Type: bluetoothctl power on",
        ),
        (
            dbus_error("org.bluez.Error.Failed", "No more room"),
            "Bluetooth fails: [org.bluez.Error.Failed] No more room",
        ),
        (
            dbus_error("org.freedesktop.DBus.Error.AccessDenied"),
            FORBIDDEN,
        ),
    ],
    ids=str,
)
async def test_each_fault_at_the_start_is_said_with_what_to_do(
    stack: Stack, error: Exception, said: str
) -> None:
    stack.started = {"passive": error, "active": error}
    assert await failure(link_for(stack)) == said


@pytest.mark.parametrize("error", [NO_ADAPTER, POWERED_OFF, FileNotFoundError()])
async def test_where_there_is_no_radio_an_active_scan_is_not_tried(
    stack: Stack, error: Exception
) -> None:
    stack.started["passive"] = error
    await failure(link_for(stack))
    assert [scanner.mode for scanner in stack.scanners] == ["passive"]


async def test_the_fault_of_the_active_scan_is_the_one_that_is_said(stack: Stack) -> None:
    stack.started = {"passive": NO_PASSIVE, "active": POWERED_OFF}
    assert await failure(link_for(stack)) == (
        "Bluetooth is switched off. Switch it on in the settings of the system"
    )


async def test_after_a_failure_it_starts_with_a_fresh_scanner(stack: Stack) -> None:
    link = link_for(stack)
    stack.started["passive"] = POWERED_OFF
    await failure(link)
    stack.started.clear()
    async with running(link) as how:
        assert how == PASSIVE
    used = len(stack.scanners)
    async with running(link):
        assert len(stack.scanners) > used
    assert stack.scanners[0].calls == ["start"]
    for scanner in stack.scanners[1:]:
        assert scanner.calls == ["start", "stop"]


# -- stopping -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        BleakError("not scanning"),
        dbus_error("org.bluez.Error.Failed", "No discovery started"),
        dbus_error("org.bluez.Error.DoesNotExist", "Does Not Exist"),
        OSError(errno.EBADF, "Bad file descriptor"),
        EOFError(),
        AssertionError(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("mode", ["passive", "active"])
async def test_whatever_stopping_raises_is_survived(
    stack: Stack, mode: str, error: Exception
) -> None:
    if mode == "active":
        stack.started["passive"] = NO_PASSIVE
    stack.stopped[mode] = error
    async with running(link_for(stack)):
        pass
    used = [scanner for scanner in stack.scanners if scanner.mode == mode]
    assert used
    for scanner in used:
        assert scanner.calls == ["start", "stop"]


async def test_a_failure_of_what_hangs_on_it_stops_the_scan(stack: Stack) -> None:
    def report(state: LinkState) -> None:
        raise LinkError(state.text)

    with pytest.raises(LinkError, match="passive"):
        await link_for(stack).run(report)
    assert stack.scanners
    for scanner in stack.scanners:
        assert scanner.calls == ["start", "stop"]


# -- silence ------------------------------------------------------------------------------


@pytest.fixture
def _short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_plan, "FIRST_SILENCE", 0.01)
    monkeypatch.setattr(scan_plan, "LONGEST_SILENCE", 0.02)
    monkeypatch.setattr(scan_plan, "PROBE_SECONDS", 0.02)


@pytest.mark.usefixtures("_short_silence")
@pytest.mark.parametrize("mode", ["passive", "active"])
@pytest.mark.parametrize("error", [None, dbus_error("org.bluez.Error.DoesNotExist")])
async def test_a_scan_that_has_gone_silent_is_replaced_by_a_fresh_one(
    stack: Stack, mode: str, error: Exception | None
) -> None:
    """As when a controller hangs with everything in place."""
    if error is not None:
        stack.stopped[mode] = error
    states: list[LinkState] = []
    heard: list[Advertisement] = []
    link = link_for(stack, heard, mode=mode)
    task = asyncio.create_task(link.run(states.append))
    await until(lambda: stack.scanners)
    first = stack.scanners[0]
    await until(lambda: first.calls == ["start", "stop"])
    await until(lambda: len([s for s in stack.scanners if s.calls]) > 20)
    await until(lambda: stack.modes)
    stack.hear(A, {FE95: CLIMATE})
    assert len(heard) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len({(state.text, state.mode) for state in states}) == 1
    assert stack.modes == set()


@pytest.mark.usefixtures("_short_silence")
async def test_where_passive_scans_are_deaf_an_active_one_stands_in(stack: Stack) -> None:
    """As with a BlueZ that reads patterns in a way that nobody has met yet."""
    heard: list[Advertisement] = []
    task = asyncio.create_task(link_for(stack, heard).run(lambda _state: None))
    await until(lambda: stack.modes == {"active"})
    stack.hear(A, {FE95: CLIMATE})
    assert len(heard) == 1
    # A sensor that is heard keeps the stand-in, which began with a scan of its own.
    await until(lambda: [s.mode for s in stack.scanners][-2:] == ["active", "active"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.usefixtures("_short_silence")
async def test_a_radio_that_is_gone_when_the_scan_is_replaced_is_said(
    stack: Stack,
) -> None:
    task = asyncio.create_task(link_for(stack).run(lambda _state: None))
    await until(lambda: stack.scanners)
    stack.started["passive"] = stack.started["active"] = NO_ADAPTER
    with pytest.raises(LinkError, match="no Bluetooth adapter"):
        async with asyncio.timeout(PATIENCE):
            await task
    assert stack.modes == set()


async def test_strangers_keep_a_scan_going(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_plan, "FIRST_SILENCE", 2.0)
    async with running(link_for(stack)):
        scanners = len(stack.scanners)
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            stack.hear(B, {})
            await asyncio.sleep(0.01)
        assert len(stack.scanners) == scanners


async def test_an_active_scan_is_begun_anew_before_the_kernel_ends_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = {"passive": float("inf"), "active": 0.02}
    monkeypatch.setattr(bluetooth, "_PIECE_SECONDS", pieces)
    heard: list[Advertisement] = []
    async with running(link_for(stack, heard, mode="active")) as how:
        assert how == ACTIVE
        await until(lambda: len(stack.scanners) > 5)
        await until(lambda: stack.modes)
        stack.hear(A, {FE95: CLIMATE})
        assert len(heard) == 1
        assert sum(scanner.scans for scanner in stack.scanners) == 1
    assert stack.modes == set()


async def test_no_scan_is_left_behind_whenever_the_end_comes(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Between one piece and the next a scan is just being ended, or begun.
    pieces = {"passive": float("inf"), "active": 0.0001}
    monkeypatch.setattr(bluetooth, "_PIECE_SECONDS", pieces)
    for turns in range(200):
        async with running(link_for(stack, mode="active")):
            begun = len(stack.scanners)
            await until(lambda: len(stack.scanners) > begun)  # noqa: B023 # awaited at once
            for _ in range(turns % 20):
                await asyncio.sleep(0)
        assert stack.modes == set()


# -- the adapter --------------------------------------------------------------------------


async def test_an_adapter_that_was_away_is_scanned_anew(stack: Stack) -> None:
    hci0 = stack.hci0
    assert hci0 is not None
    async with running(link_for(stack)):
        first = stack.scanners[0]
        stack.change(None)
        await until(lambda: not stack.modes)
        assert first.calls == ["start", "stop"]
        stack.change(replace(hci0, spell=2))
        await until(lambda: stack.modes)
        assert stack.scanners[0].calls == ["start", "stop"]


async def test_monitors_that_come_late_are_used_at_once(stack: Stack) -> None:
    hci0 = stack.hci0
    assert hci0 is not None
    stack.hci0 = replace(hci0, monitors=False)
    async with running(link_for(stack)) as how:
        assert how == ACTIVE_FOR_NOW
        stack.change(hci0)
        await until(lambda: stack.modes == {"passive"})


# -- hidden addresses ---------------------------------------------------------------------

SHOWN: Final = "8C5F1D6A-3A0B-4C5E-9B9E-0D8E3C2A7F11"
WITHOUT_MAC: Final = bytes.fromhex("4020aa0102 0d1004cc002602")


async def test_where_addresses_are_hidden_the_mac_in_the_frame_counts(
    stack: Stack,
) -> None:
    heard: list[Advertisement] = []
    async with running(link_for(stack, heard, hides_addresses=True)):
        stack.hear(SHOWN, {FE95: WITHOUT_MAC})
        assert heard == []
        stack.hear(SHOWN, {FE95: CLIMATE})
        stack.hear(SHOWN, {FE95: WITHOUT_MAC})
        stack.hear(SHOWN.lower(), {FE95: WITHOUT_MAC})
        stack.hear(SHOWN, {FE95: b"\x10"})
    assert [(advert.address, advert.service_data[0xFE95]) for advert in heard] == [
        (A, CLIMATE),
        (A, WITHOUT_MAC),
        (A, b"\x10"),
    ]


async def test_an_address_that_is_shown_is_not_looked_for_in_frames(stack: Stack) -> None:
    heard: list[Advertisement] = []
    async with running(link_for(stack, heard, hides_addresses=False)):
        stack.hear(B, {FE95: CLIMATE})
    assert heard == []


# -- adverts ------------------------------------------------------------------------------


async def test_an_advert_of_a_sensor_is_passed_on(stack: Stack) -> None:
    heard: list[Advertisement] = []
    async with running(link_for(stack, heard)):
        before = time.monotonic()
        stack.hear(A, {FE95: CLIMATE}, rssi=-71)
        (advert,) = heard
        assert (advert.address, advert.service_data) == (A, {0xFE95: CLIMATE})
        assert advert.rssi == -71
        assert before <= advert.at <= time.monotonic()


async def test_a_stranger_costs_no_more_than_a_look_at_its_address(stack: Stack) -> None:
    heard: list[Advertisement] = []
    async with running(link_for(stack, heard)):
        stack.hear_raw(B, Stranger())
        assert heard == []
        with pytest.raises(AssertionError, match="a stranger's"):  # the trap does work
            stack.hear_raw(A, Stranger())


async def test_only_service_data_that_has_a_decoder_is_passed_on(stack: Stack) -> None:
    heard: list[Advertisement] = []
    async with running(link_for(stack, heard)):
        stack.hear(A, {})
        stack.hear(A, {OTHER_UUID: b"\x01"})
        assert heard == []
        stack.hear(A, {OTHER_UUID: b"\x01", FE95: CLIMATE})
        stack.hear(A, {FE95: b""})
    assert [advert.service_data for advert in heard] == [{0xFE95: CLIMATE}, {0xFE95: b""}]


async def test_who_is_wanted_may_change_while_it_listens(stack: Stack) -> None:
    heard: list[Advertisement] = []
    link = link_for(stack, heard, wanted={A})
    async with running(link):
        stack.hear(B, {FE95: CLIMATE})
        link.wanted = {B}
        stack.hear(B, {FE95: CLIMATE})
        stack.hear(A, {FE95: CLIMATE})
    assert [advert.address for advert in heard] == [B]


# -- patterns -----------------------------------------------------------------------------


async def test_the_patterns_of_the_scan_have_every_product(stack: Stack) -> None:
    async with running(link_for(stack)):
        scans = [scanner.options["bluez"]["or_patterns"] for scanner in stack.scanners]
        found = [pattern for each in scans for pattern in each]
    # With an eighth pattern in one scan, bluetoothd aborts.
    assert max(map(len, scans)) <= 7
    assert {(start, int(kind), data.hex()) for start, kind, data in found} >= {
        (0, 0x16, "95fe"),
        (2, 0x16, "aa01"),  # LYWSDCGQ
        (2, 0x16, "5b05"),  # LYWSD03MMC
        (2, 0x16, "4703"),  # CGG1
        (2, 0x16, "8703"),  # MHO-C401
        (2, 0x16, "6f06"),  # CGDK2
        (2, 0x16, "5b04"),  # LYWSD02
        (0, 0x16, "1a18"),
        (0, 0x16, "a4c138"),  # ATC1441
        (3, 0x16, "38c1a4"),  # pvvx
        (0, 0x16, "d2fc"),
        (0, 0x16, "41"),  # BTHome, encrypted
    }
    products = {data[::-1].hex() for start, _, data in found if start == 2}
    assert products == {f"{product_id:04x}" for product_id in PRODUCTS}


async def test_the_patterns_of_the_scan_have_the_addresses_and_flags_that_are_given(
    stack: Stack,
) -> None:
    link = link_for(stack, addresses=["7E:11:22:33:44:55"], by_flags=True)
    async with running(link):
        scans = [scanner.options["bluez"]["or_patterns"] for scanner in stack.scanners]
        found = {
            (start, int(kind), data.hex()) for each in scans for start, kind, data in each
        }
    assert {(0, 0x16, "7e1122"), (3, 0x16, "22117e"), (0, 0x01, "06")} < found
