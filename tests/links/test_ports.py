"""What is said of serial ports: names that stay, and why one cannot be used."""

from __future__ import annotations

import errno
import os
import socket
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import serial

from hk_bridge.links.ports import is_same, reason, stable_name
from tests.fakes.serial_ports import CH340, FTDI, failure, plug_in, pseudo_terminal, wrapped

LOOPBACK: Final = "127.0.0.1"

#: Longer than anything here takes.
PATIENCE: Final = 20.0


# -- names that stay ----------------------------------------------------------------------


def test_an_adapter_has_a_name_that_stays(devices: Path) -> None:
    first = plug_in(devices, "ttyUSB0", FTDI, "pci-0000:00:14.0-usb-0:1:1.0-port0")
    other = plug_in(devices, "ttyACM0", CH340, "pci-0000:00:14.0-usb-0:2:1.0-port0")
    assert stable_name(first, devices) == str(devices / "serial/by-id" / FTDI)
    assert stable_name(other, devices) == str(devices / "serial/by-id" / CH340)


def test_a_port_that_has_no_name_by_id_is_named_by_its_socket(devices: Path) -> None:
    first = plug_in(devices, "ttyUSB0", by_path="platform-usb-0:1.2:1.0-port0")
    assert stable_name(first, devices) == str(
        devices / "serial/by-path/platform-usb-0:1.2:1.0-port0"
    )


def test_of_two_names_for_one_socket_the_first_is_taken(devices: Path) -> None:
    port = plug_in(devices, "ttyUSB0", by_path="pci-0000:00:14.0-usbv2-0:1:1.0-port0")
    plug_in(devices, "ttyUSB0", by_path="pci-0000:00:14.0-usb-0:1:1.0-port0")
    assert stable_name(port, devices) == str(
        devices / "serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0"
    )


def test_adapters_that_share_a_name_by_id_are_named_by_their_sockets(
    devices: Path,
) -> None:
    paths = [f"pci-0000:00:14.0-usb-0:{number}:1.0-port0" for number in range(2)]
    ports = [
        plug_in(devices, "ttyUSB0", None, paths[0]),
        plug_in(devices, "ttyUSB1", CH340, paths[1]),
    ]
    assert [stable_name(port, devices) for port in ports] == [
        str(devices / "serial/by-path" / path) for path in paths
    ]


def test_a_port_of_the_mainboard_takes_no_name_from_an_adapter(devices: Path) -> None:
    plug_in(devices, "ttyS0", by_path="pci-0000:04:00.0-port0")
    port = plug_in(devices, "ttyUSB0", FTDI, "pci-0000:00:14.0-usb-0:1:1.0-port0")
    assert stable_name(port, devices) == str(devices / "serial/by-id" / FTDI)


def test_what_stays_already_or_is_no_device_has_no_other_name(
    devices: Path, tmp_path: Path
) -> None:
    port = Path(plug_in(devices, "ttyUSB0", FTDI))
    (devices / "dimmer").symlink_to(port)
    (tmp_path / "port").symlink_to(port)
    for name in (
        devices / "serial/by-id" / FTDI,
        devices / "dimmer",
        devices / "ttyUSB1",
        tmp_path / "port",
        "ttyUSB0",
        "socket://localhost:7000",
        f"spy://{port}",
        "loop://",
        "",
    ):
        assert stable_name(str(name), devices) is None


def test_without_udev_no_port_has_a_name_that_stays(devices: Path) -> None:
    assert stable_name(plug_in(devices, "ttyUSB0"), devices) is None
    assert stable_name("/dev/hk-bridge-has-no-such-port") is None


def test_a_port_is_the_same_by_each_of_its_names(devices: Path, tmp_path: Path) -> None:
    port = plug_in(devices, "ttyUSB0", FTDI, "pci-0000:00:14.0-usb-0:1:1.0-port0")
    other = plug_in(devices, "ttyUSB1", CH340)
    (tmp_path / "port").symlink_to(port)
    for name in (
        port,
        f"{devices}/serial/by-id/{FTDI}",
        f"{devices}/serial/../ttyUSB0",
        f"{tmp_path}/port",
        f"spy://{port}?all",
        f"ALT://{port}?class=PosixPollSerial",
    ):
        assert is_same(port, name)
        assert is_same(name, port)
        assert not is_same(other, name)
        assert not is_same(name, "socket://localhost:7000")


@pytest.mark.parametrize("port", ["socket://localhost:7000", "loop://", "/no/port", "a\0b"])
def test_what_is_no_device_is_the_same_by_its_one_name(port: str) -> None:
    assert is_same(port, port)
    assert not is_same(port, f"{port}1")
    assert not is_same(f"{port}1", "/dev/null")
    assert stable_name(f"/dev/{port}") is None


# -- devices ------------------------------------------------------------------------------


def test_a_missing_port_that_is_spied_on_is_said_too(devices: Path) -> None:
    port = f"spy://{devices}/ttyUSB0?all"
    assert reason(port, failure(port), devices).startswith("is not there. ")


def test_a_missing_file_for_what_is_spied_is_not_the_port(devices: Path) -> None:
    port = f"spy://{plug_in(devices, 'ttyUSB0')}?file={devices}/no/log"
    said = reason(port, failure(port), devices)
    assert said.startswith("cannot be used: ")
    assert f"{devices}/no/log" in said


def test_a_file_and_a_folder_are_no_serial_ports(devices: Path) -> None:
    other = plug_in(devices, "ttyUSB0", FTDI)
    (devices / "file").touch()
    for port, said in (
        (devices / "file", "is no serial port. "),
        (devices, "is a folder, "),
    ):
        assert reason(str(port), failure(str(port)), devices).startswith(said)
        assert reason(str(port), failure(str(port)), devices).endswith(FTDI)
    assert reason(other, failure(other), devices).startswith("is no serial port. ")


def test_a_port_whose_other_end_is_gone_was_unplugged() -> None:
    master, line = os.openpty()
    with serial.Serial(os.ttyname(line), timeout=0) as port:
        os.close(line)
        os.close(master)
        with pytest.raises(OSError, match="Input/output") as looking:
            _ = port.in_waiting
        with pytest.raises(serial.SerialException) as reading:
            port.read(1)
        with pytest.raises(serial.SerialException) as writing:
            port.write(b"1")
    for caught in (looking, reading, writing):
        assert reason("/dev/pts/1", caught.value) == "was unplugged"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENODEV, errno.ENXIO])
@pytest.mark.parametrize("kind", [OSError, termios.error])
def test_an_unplugged_port_is_said_however_the_error_is_wrapped(
    number: int, kind: type[Exception]
) -> None:
    inner = kind(number, os.strerror(number))
    again = wrapped(wrapped(inner))
    raised = serial.SerialException("lost")
    raised.__cause__ = inner
    for error in (inner, wrapped(inner), again, raised, serial.SerialException(number, "")):
        assert reason("/dev/ttyUSB0", error) == "was unplugged"


def test_a_port_that_takes_nothing_any_more_is_said() -> None:
    with (
        pseudo_terminal() as name,
        serial.Serial(name, write_timeout=0.01) as port,
        pytest.raises(serial.SerialTimeoutException) as caught,
    ):
        port.write(bytes(1_000_000))
    assert reason(name, caught.value) == (
        "takes no bytes any more. Pull its plug at the computer, and plug it in again"
    )
    assert reason("socket://a:1", caught.value) == (
        "takes no bytes any more. Does the server hang?"
    )


# -- servers ------------------------------------------------------------------------------


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(PATIENCE)
        yield server, f"{LOOPBACK}:{server.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_a_server_that_is_not_there_is_said_with_its_place(scheme: str) -> None:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))  # bound, and does not listen
        number = probe.getsockname()[1]
        url = f"{scheme}://{LOOPBACK}:{number}"
        assert reason(url, failure(url)) == (
            f"cannot be reached: nothing listens at {LOOPBACK}, TCP port {number}. Does "
            "the serial server run there?"
        )


def hung_up(url: str) -> str:
    number = url.rpartition(":")[2]
    return (
        f"was hung up by the server at {LOOPBACK}, TCP port {number}. Many serve one "
        "client at a time: is there another?"
    )


@pytest.mark.parametrize("by_reset", [False, True])
def test_a_server_that_hangs_up_is_said(by_reset: bool) -> None:
    with listening() as (server, place):
        url = f"socket://{place}"
        with serial.serial_for_url(url, timeout=PATIENCE) as port:
            client, _ = server.accept()
            if by_reset:
                client.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            client.close()
            with pytest.raises(serial.SerialException) as caught:
                port.read(1)
    assert reason(url, caught.value) == hung_up(url)


@pytest.mark.parametrize(
    "error",
    [
        wrapped(BrokenPipeError(errno.EPIPE, "Broken pipe")),
        wrapped(ConnectionAbortedError(errno.ECONNABORTED, "aborted")),
        serial.SerialException("connection failed (reader thread died)"),
    ],
)
def test_a_server_that_is_gone_when_it_is_written_to_hung_up(error: Exception) -> None:
    url = f"rfc2217://{LOOPBACK}:7000"
    assert reason(url, error) == hung_up(url)


def test_a_server_that_does_not_speak_rfc_2217_is_to_be_tried_plain() -> None:
    with listening() as (_, place):
        url = f"rfc2217://{place}?timeout=0.01"
        assert reason(url, failure(url)) == (
            "does not answer as RFC 2217 wants it. Does the server hang? If it speaks "
            f"plain TCP alone, use socket://{place}"
        )


OTHER_SETTINGS: Final = (
    "refuses the baud rate, or 8 data bits without parity. Set them at the server, and "
    "try socket://[::1]:7000"
)
NO_ANSWER: Final = (
    "does not answer at ::1, TCP port 7000. Is it switched on, and is the address right?"
)
NO_WAY: Final = (
    "cannot be reached: there is no way to ::1. Is it switched on, and is this computer "
    "in its network?"
)
FORBIDDEN: Final = (
    "cannot be reached: this computer forbids connections to ::1, TCP port 7000, by a "
    "firewall or in the unit of the service"
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            serial.SerialException("timeout while waiting for option 'purge'"),
            "does not speak all of RFC 2217. Try socket://[::1]:7000",
        ),
        (
            serial.SerialException("Remote does not accept parameter change (RFC2217): []"),
            OTHER_SETTINGS,
        ),
        (ValueError("remote rejected value for option 'baudrate'"), OTHER_SETTINGS),
        (
            wrapped(TimeoutError("timed out"), "connection failed (socket error): {}"),
            "takes no bytes any more. Does the server hang?",
        ),
        (wrapped(TimeoutError("timed out")), NO_ANSWER),
        (wrapped(TimeoutError(errno.ETIMEDOUT, "Connection timed out")), NO_ANSWER),
        (wrapped(OSError(errno.EHOSTUNREACH, "No route to host")), NO_WAY),
        (wrapped(OSError(errno.ENETUNREACH, "Network is unreachable")), NO_WAY),
        (wrapped(PermissionError(errno.EACCES, "Permission denied")), FORBIDDEN),
        (wrapped(PermissionError(errno.EPERM, "Operation not permitted")), FORBIDDEN),
    ],
)
def test_what_happens_to_servers_is_said(error: Exception, said: str) -> None:
    assert reason("rfc2217://[::1]:7000?poll_modem", error) == said


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_a_host_that_nobody_knows_is_said(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    url = "socket://attic.lan:7000"
    assert reason(url, failure(url)) == (
        "cannot be reached: attic.lan is not known. Is the name right, and is the "
        "network up?"
    )


# -- the rest -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://host:1",
        "://",
        "socket://",
        "socket://localhost",
        "socket://localhost:99999",
        "socket://[::1",
        "socket://a..b:1",
        "socket://localhost:1?logging=loud",
        "rfc2217://localhost",
        "alt://port?class=Nothing",
        "hwgrep://(",
        "loop://?nothing=1",
    ],
)
def test_an_invalid_url_is_said_with_valid_ones(url: str) -> None:
    assert reason(url, failure(url)) == (
        "is no port: a device such as /dev/ttyUSB0 is, or a URL such as "
        "socket://host:7000 or rfc2217://host:7000"
    )


@pytest.mark.parametrize(
    ("port", "error"),
    [
        ("/dev/ttyUSB0", serial.SerialException("no such luck")),
        ("/dev/ttyUSB0", OSError(errno.ENOSPC, "No space left on device")),
        ("/dev/ttyUSB0", ValueError("Failed to set custom baud rate (250000)")),
        ("/dev/ttyUSB0", KeyError(errno.EIO)),
        ("socket://localhost:1", serial.SerialException("no such luck")),
        ("socket://localhost:1", OSError(errno.ENOENT, "No such file or directory")),
        ("hwgrep://USB", serial.SerialException("no ports found matching regexp 'USB'")),
    ],
)
def test_what_is_not_known_keeps_its_words(port: str, error: Exception) -> None:
    assert reason(port, error) == f"cannot be used: {error}"
