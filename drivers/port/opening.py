"""Opening a port by the name that the configuration gives it."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from time import monotonic, sleep

import serial

from drivers.errors import EncoderNotOnline
from drivers.port.finding import GENERIC_BRIDGES, serial_ports, with_usb_numbers
from drivers.port.holders import holders
from drivers.port.options import Network, Path, Usb, parse
from drivers.port.port import Port
from drivers.port.wires import SLICE_S, TROUBLE, Rfc2217Wire, SerialWire, SocketWire, Wire

_SETTLING_S = 1.0
_AGAIN_S = 0.05
_CONNECT_S = 5.0
_NOT_YET = (errno.ENOENT, errno.EACCES, errno.ENXIO, errno.ENODEV)
"""Seen right after plugging in, until udev has named the device and set its owner (nfc-tools/libnfc#286,
libusb/hidapi#217)."""
_HELD = (errno.EAGAIN, errno.EBUSY)


def open_port(port: str, *, baud: int, usb: frozenset[tuple[int, int]] = frozenset()) -> Port:
    """Open the port for this process alone, 8 data bits, no parity, 1 stop bit, no flow control.

    `port` is as in `PortOptions`; where it is empty, the one device that bears one of `usb`, the driver's own pairs of
    VID and PID. What had come before is thrown away.

    Raises:
        EncoderNotOnline: it isn't there, several fit, another process holds it, or it may not be opened.
        ValueError: the name isn't one that `PortOptions` accepts.
    """
    if usb & GENERIC_BRIDGES:
        raise ValueError("the numbers of a generic bridge say nothing of what hangs on it")
    if not port:
        if not usb:
            raise EncoderNotOnline(
                "No port is configured for this encoder.",
                next_step="Name it as the encoder's option `port`; `card-encoder discover` lists what is plugged in.",
            )
        return _local(_the_one(usb, None), baud)
    match parse(port):
        case Path(path):
            return _local(path, baud)
        case Usb(vid, pid, serial_number):
            return _local(_the_one(frozenset({(vid, pid)}), serial_number), baud)
        case Network() as address:
            return Port(port, _connected(address, port, baud), baud)


def _the_one(numbers: frozenset[tuple[int, int]], serial_number: str | None) -> str:
    wanted = " or ".join(str(Usb(vid, pid, serial_number)) for vid, pid in sorted(numbers))
    fitting = with_usb_numbers(serial_ports(), numbers, serial_number)
    if not fitting:
        raise EncoderNotOnline(f"No serial device {wanted} is plugged in.")
    if len(fitting) > 1:
        paths = [port.path for port in fitting]
        raise EncoderNotOnline(
            f"{len(fitting)} serial devices fit {wanted}: {', '.join(paths)}.",
            next_step="Set the encoder's option `port` to one of these paths.",
            ports=paths,
        )
    return fitting[0].path


def _local(path: str, baud: int) -> Port:
    end = monotonic() + _SETTLING_S
    while True:
        try:
            return Port(path, SerialWire(serial.Serial(path, baud, timeout=0, exclusive=True)), baud)
        except TROUBLE as error:
            code = getattr(error, "errno", None)
            if code not in _NOT_YET or monotonic() >= end:
                raise _refused(path, code) from error
        except (ValueError, OverflowError) as error:  # pyserial's, where the device or the kernel refuses the speed
            raise EncoderNotOnline(
                f"{path} can't be set to {baud} baud.", next_step="Check the encoder's option `baud`."
            ) from error
        sleep(_AGAIN_S)  # udev is at work: nothing says when it is done, short of a monitor for this one second


def _refused(path: str, code: int | None) -> EncoderNotOnline:
    if code in (errno.EACCES, errno.EPERM):
        return EncoderNotOnline(
            f"This user may not open {path}.",
            next_step="Add the agent's user to the group that owns the device, most often "
            "`sudo usermod -aG dialout USER`, or install udev/93-card-encoder.rules; then start the agent again.",
        )
    if code in _HELD:
        by = ", ".join(holders(path)) or "another program, or another encoder of this configuration"
        return EncoderNotOnline(
            f"{path} is held by {by}.", next_step="Close the other program: the port is tried again by itself."
        )
    if code in _NOT_YET:
        return EncoderNotOnline(f"There is no device {path}.")
    return EncoderNotOnline(
        f"{path} can't be opened as a serial port.", next_step="Check the encoder's option `port`.", errno=code
    )


def _connected(address: Network, name: str, baud: int) -> Wire:
    try:
        if address.scheme == "rfc2217":
            return Rfc2217Wire(serial.serial_for_url(name, baud, timeout=SLICE_S))
        connection = socket.create_connection((address.host, address.port), timeout=_CONNECT_S)
    except (*TROUBLE, ValueError) as error:  # ValueError: the far end refuses a setting
        raise EncoderNotOnline(
            f"{name} can't be reached ({error}).",
            next_step="Check the network and that the encoder is switched on; it is tried again by itself.",
        ) from error
    _watched(connection)
    return SocketWire(connection)


def _watched(connection: socket.socket) -> None:
    """Small messages leave at once, and a far end that is switched off is noticed within half a minute."""
    settings = (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 25_000),
    )
    with suppress(OSError):  # gone again already: the first read says so
        for level, option, value in settings:
            connection.setsockopt(level, option, value)
