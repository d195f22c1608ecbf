"""What a `Port` reads from and writes to: a file descriptor, or pyserial's RFC 2217 client, which has none."""

from __future__ import annotations

import os
import select
import socket
import termios
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

import serial

TROUBLE = (OSError, termios.error)
"""What an unplugged device makes the calls below raise. SerialException is an OSError, termios.error isn't."""

_PIECE = 65536
SLICE_S = 0.02
"""How often an RFC 2217 port, for which nothing can be waited for, is asked whether something came."""


class Wire(Protocol):
    """Each may raise any of `TROUBLE` when the device is gone."""

    def receive(self, timeout_s: float | None, wake: int | None) -> bytes:
        """What has come, waiting for it; empty when the time is over or `wake`, a descriptor, became readable."""

    def send(self, data: memoryview, timeout_s: float) -> int:
        """Hand over what goes without waiting, having waited until something does; 0 when the time is over."""

    def set_baud(self, baud: int) -> None:
        """Change the line's speed once all that was written has left."""

    def close(self) -> None:
        """Let it go."""


class Gone(OSError):
    """The far end is closed."""


class _Descriptor:
    """A non-blocking file descriptor, waited for by poll."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def receive(self, timeout_s: float | None, wake: int | None) -> bytes:
        """See `Wire.receive`."""
        ready = _wait({self._fd: select.POLLIN, wake: select.POLLIN}, timeout_s)
        if self._fd not in ready:
            return b""
        try:
            data = os.read(self._fd, _PIECE)
        except BlockingIOError:
            return b""
        if not data:
            raise Gone("the far end closed the line")
        return data

    def send(self, data: memoryview, timeout_s: float) -> int:
        """See `Wire.send`."""
        if not _wait({self._fd: select.POLLOUT}, timeout_s):
            return 0
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0


class SerialWire(_Descriptor):
    """A serial device of this machine."""

    def __init__(self, device: serial.Serial) -> None:
        super().__init__(device.fileno())
        self._device = device

    def set_baud(self, baud: int) -> None:
        """See `Wire.set_baud`."""
        self._device.flush()
        self._device.baudrate = baud

    def close(self) -> None:
        """See `Wire.close`."""
        self._device.close()


class SocketWire(_Descriptor):
    """A TCP connection that carries the bytes as they are."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        super().__init__(connection.fileno())
        self._connection = connection

    def set_baud(self, baud: int) -> None:
        """The far end has a speed of its own."""

    def close(self) -> None:
        """See `Wire.close`."""
        self._connection.close()


class Rfc2217Wire:
    """A serial port on the network with its settings (RFC 2217), by pyserial's client.

    `client` was made with `SLICE_S` as its time-out: to change that later is a negotiation over the network.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def receive(self, timeout_s: float | None, wake: int | None) -> bytes:
        """See `Wire.receive`."""
        end = None if timeout_s is None else monotonic() + timeout_s
        while True:
            if data := self._client.read(max(1, self._client.in_waiting)):
                return bytes(data)
            if (end is not None and monotonic() >= end) or _wait({wake: select.POLLIN}, 0):
                return b""

    def send(self, data: memoryview, timeout_s: float) -> int:
        """See `Wire.send`. The client gives up by itself after five seconds."""
        return int(self._client.write(data))

    def set_baud(self, baud: int) -> None:
        """See `Wire.set_baud`."""
        try:
            self._client.baudrate = baud
        except ValueError as error:
            raise Gone("the far end refuses this speed") from error

    def close(self) -> None:
        """See `Wire.close`."""
        self._client.close()


def _wait(interest: dict[int | None, int], timeout_s: float | None) -> set[int]:
    """Those of the descriptors that are ready, or in trouble; none after the time."""
    poll = select.poll()
    for fd, events in interest.items():
        if fd is not None:
            poll.register(fd, events)
    return {fd for fd, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)}


def close_quietly(wire: Wire) -> None:
    """Let it go, whatever it says: an unplugged device complains even of being closed."""
    with suppress(*TROUBLE):
        wire.close()
