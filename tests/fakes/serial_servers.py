"""Serial servers on loopback, each with a dimmer board behind it."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Self, cast

import serial.rfc2217

from tests.fakes.board_model import BoardModel
from tests.fakes.ports import LOOPBACK, free_port

ModemLine = Literal["cts", "dsr", "ri", "cd"]

#: What a server keeps of what it has not read (bytes; the system makes its own figure of
#: it): little, so that one that hangs is soon full.
_RECEIVE_BUFFER: Final = 2048

#: Closes a connection with a reset.
_WITHOUT_LINGERING: Final = struct.pack("ii", 1, 0)


class SocketServer:
    """Hands what it gets over TCP to a board, as `socket://` means it.

    It can be started again after it was killed, and has the same `url` then. `accepted` is
    how many connections there were.
    """

    scheme: ClassVar[str] = "socket"

    def __init__(self, protocol: str = "wxdm2") -> None:
        self.board = BoardModel(protocol)
        self.port = free_port()
        self.accepted = 0
        self._clients: list[_Client] = []
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()  # who has it does something, or has it all hang
        self._hangs = False
        self._ends = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """What a program opens."""
        return f"{self.scheme}://{LOOPBACK}:{self.port}"

    @property
    def clients(self) -> int:
        """How many are connected, as far as the server has noticed."""
        return len(self._clients)

    def start(self) -> None:
        """Listen; it runs in a thread of its own."""
        assert self._thread is None
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections have this from the socket that listens.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        listening.bind((LOOPBACK, self.port))
        listening.listen()
        listening.setblocking(False)
        self._wake, self._awake = os.pipe()
        self._ends.clear()
        self._thread = threading.Thread(
            target=self._serve, args=(listening,), name=self.url, daemon=True
        )
        self._thread.start()

    def kill(self, *, reset: bool = False) -> None:
        """Close the port and all connections at once.

        With `reset` the clients get a reset, as from a machine that was off meanwhile.
        """
        if self._thread is None:
            return
        self._ends.set()
        self.resume()
        self._nudge()
        self._thread.join()
        self._thread = None
        os.close(self._wake)
        os.close(self._awake)
        for client in self._clients:
            if reset:
                client.socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _WITHOUT_LINGERING
                )
            client.socket.close()
        self._clients.clear()

    def hang(self) -> None:
        """Stay connected, and read and send nothing any more.

        The system goes on accepting connections for it.
        """
        if not self._hangs:
            self._hangs = self._turn.acquire()

    def resume(self) -> None:
        """Go on, where it hung."""
        if self._hangs:
            self._hangs = False
            self._turn.release()

    def _nudge(self) -> None:
        os.write(self._awake, b"!")

    def _serve(self, listening: socket.socket) -> None:
        with listening, selectors.DefaultSelector() as selector:
            selector.register(listening, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while not self._ends.is_set():
                ready = selector.select()
                with self._turn:
                    for key, _ in [] if self._ends.is_set() else ready:
                        if key.fileobj is listening:
                            self._accept(listening, selector)
                        elif key.fileobj == self._wake:
                            os.read(self._wake, 64)
                            self._tell()
                        elif not self._serve_client(key.data):
                            selector.unregister(key.fileobj)
                            self._clients.remove(key.data)
                            key.data.socket.close()

    def _accept(self, listening: socket.socket, selector: selectors.BaseSelector) -> None:
        connection, _ = listening.accept()
        connection.setblocking(False)
        client = self._welcome(connection)
        selector.register(connection, selectors.EVENT_READ, client)
        self._clients.append(client)
        self.accepted += 1

    def _serve_client(self, client: _Client) -> bool:
        """Pass on what came; False where the client has gone."""
        try:
            data = client.socket.recv(1024)
            self.board.take(client.bytes_in(data), time.monotonic())
        except OSError:
            return False
        return bool(data)

    def _welcome(self, connection: socket.socket) -> _Client:
        return _Client(connection)

    def _tell(self) -> None:
        """Tell the clients what has changed."""


class _Client:
    """One connection: what comes is for the board."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    def bytes_in(self, data: bytes) -> bytes:
        """What of the data goes out of the serial port."""
        return data


class Rfc2217Server(SocketServer):
    """A serial port with modem lines, which clients can set and watch over the network.

    It is pyserial's own server end. `serial_port` is the port, as clients have set it.
    """

    scheme = "rfc2217"

    def __init__(self, protocol: str = "wxdm2") -> None:
        super().__init__(protocol)
        self.serial_port = SerialPort()

    def press(self, line: ModemLine) -> None:
        """Close the contact at that line, and tell the clients."""
        self._set(line, level=True)

    def release(self, line: ModemLine) -> None:
        """Open the contact at that line, and tell the clients."""
        self._set(line, level=False)

    def _set(self, line: ModemLine, *, level: bool) -> None:
        setattr(self.serial_port, line, level)
        if self._thread is not None:
            self._nudge()

    def _welcome(self, connection: socket.socket) -> _Client:
        return _Rfc2217Client(connection, self.serial_port)

    def _tell(self) -> None:
        for client in self._clients:
            cast(_Rfc2217Client, client).tell()


@dataclass
class SerialPort:
    """A serial port as pyserial's server sees one; the board hangs on it."""

    cts: bool = False
    dsr: bool = False
    ri: bool = False
    cd: bool = False
    dtr: bool = False
    rts: bool = False
    baudrate: int = 115200
    bytesize: int = 8
    parity: str = serial.PARITY_NONE
    stopbits: float = 1
    xonxoff: bool = False
    rtscts: bool = False
    break_condition: bool = False

    def reset_input_buffer(self) -> None:
        """A board says nothing: there is nothing to throw away."""

    def reset_output_buffer(self) -> None:
        """What came has gone out already."""


class _Rfc2217Client(_Client):
    """One connection: settings and modem lines are passed among the bytes."""

    def __init__(self, connection: socket.socket, port: SerialPort) -> None:
        super().__init__(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._manager = serial.rfc2217.PortManager(
            cast(serial.rfc2217.Serial, port), cast(serial.rfc2217.Serial, self)
        )

    def write(self, data: bytes) -> None:
        """Send to the client; one that has gone is noticed when it is read."""
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def bytes_in(self, data: bytes) -> bytes:
        return b"".join(self._manager.filter(data))

    def tell(self) -> None:
        """Say how the modem lines are, where one has changed."""
        self._manager.check_modem_lines()
