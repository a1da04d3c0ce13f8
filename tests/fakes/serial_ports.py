"""Serial ports as udev shows them, and errors as pyserial raises them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import serial

#: Two adapters by their names in /dev/serial/by-id; the second has no serial number.
FTDI: Final = "usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"
CH340: Final = "usb-1a86_USB_Serial-if00-port0"


def plug_in(
    devices: Path, name: str, by_id: str | None = None, by_path: str | None = None
) -> str:
    """A device as udev shows it; its path."""
    device = devices / name
    device.touch()
    for kind, link in (("by-id", by_id), ("by-path", by_path)):
        if link is not None:
            directory = devices / "serial" / kind
            directory.mkdir(parents=True, exist_ok=True)
            (directory / link).symlink_to(Path("../..") / name)
    return str(device)


@contextmanager
def pseudo_terminal() -> Iterator[str]:
    """A serial line of which nobody reads the other end; its path."""
    master, line = os.openpty()
    try:
        yield os.ttyname(line)
    finally:
        os.close(line)
        os.close(master)


def failure(port: str, **settings: Any) -> Exception:
    """What pyserial says when it cannot open a port."""
    with pytest.raises(Exception, match=r".") as caught:
        serial.serial_for_url(port, **settings)
    return caught.value


def wrapped(inner: Exception, text: str = "write failed: {}") -> serial.SerialException:
    """An error as pyserial wraps it: in words."""
    try:
        try:
            raise inner
        except type(inner) as error:
            raise serial.SerialException(text.format(error))  # noqa: B904 # it does not
    except serial.SerialException as error:
        return error
