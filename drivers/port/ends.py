"""The far ends of a simulated line: a pseudo terminal, or a TCP port on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import tempfile
import termios
import tty
from contextlib import suppress
from pathlib import Path
from typing import Protocol

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection, so that the host gets an error and not an orderly end."""


_SPEEDS = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit()}
"""The kernel's codes for the usual speeds."""


class End(Protocol):
    """Where the host opens its port."""

    @property
    def port(self) -> str:
        """What the host opens."""

    @property
    def plugged(self) -> bool:
        """Whether it is there to be opened."""

    @property
    def fd(self) -> int | None:
        """What leads to the host; None while there is no connection."""

    @property
    def listener(self) -> int | None:
        """What becomes readable when a host connects; None where that isn't seen."""

    @property
    def host_baud(self) -> int | None:
        """The speed that the host has set; None where that isn't seen."""

    def plug(self) -> None:
        """Be there."""

    def unplug(self) -> None:
        """Be gone: whoever has it open gets errors."""

    def accept(self) -> bool:
        """Take the connection that waits: True. False where there is one already, and the new one is turned away."""

    def read(self, size: int) -> bytes:
        """What the host wrote; empty when there is nothing, or no connection any more: then `fd` is None."""

    def write(self, data: bytearray) -> int:
        """How many of the bytes could be handed over."""

    def remove(self) -> None:
        """Leave nothing behind."""


class PtyEnd:
    """A pseudo terminal behind a symbolic link in a directory of its own."""

    listener = None

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="card-encoder-line-"))
        self._link = self._folder / "encoder"
        self.fd: int | None = None
        self._slave = -1

    @property
    def port(self) -> str:
        """See `End.port`."""
        return str(self._link)

    @property
    def plugged(self) -> bool:
        """See `End.plugged`."""
        return self.fd is not None

    @property
    def host_baud(self) -> int | None:
        """See `End.host_baud`: a pseudo terminal's two sides share their settings."""
        return _SPEEDS.get(termios.tcgetattr(self.fd)[5]) if self.fd is not None else None

    def plug(self) -> None:
        """See `End.plug`. The slave is held open: without, the master reports a hang-up until the host comes."""
        self.fd, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.fd, False)
        self._link.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        """See `End.unplug`."""
        if self.fd is not None:
            self._link.unlink()
            os.close(self.fd)
            os.close(self._slave)
            self.fd = None

    def accept(self) -> bool:
        """See `End.accept`: a pseudo terminal doesn't tell."""
        return False

    def read(self, size: int) -> bytes:
        """See `End.read`."""
        try:
            return os.read(self.fd, size) if self.fd is not None else b""
        except BlockingIOError:
            return b""

    def write(self, data: bytearray) -> int:
        """See `End.write`."""
        try:
            return os.write(self.fd, data) if self.fd is not None else 0
        except BlockingIOError:
            return 0

    def remove(self) -> None:
        """See `End.remove`."""
        shutil.rmtree(self._folder, ignore_errors=True)


class TcpEnd:
    """A TCP port on loopback that keeps its number."""

    host_baud = None

    def __init__(self) -> None:
        self._number = 0
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None

    @property
    def port(self) -> str:
        """See `End.port`."""
        return f"socket://127.0.0.1:{self._number}"

    @property
    def plugged(self) -> bool:
        """See `End.plugged`."""
        return self._listener is not None

    @property
    def fd(self) -> int | None:
        """See `End.fd`."""
        return self._connection.fileno() if self._connection else None

    @property
    def listener(self) -> int | None:
        """See `End.listener`."""
        return self._listener.fileno() if self._listener else None

    def plug(self) -> None:
        """See `End.plug`."""
        self._listener = socket.create_server(("127.0.0.1", self._number))
        self._listener.setblocking(False)
        self._number = self._listener.getsockname()[1]

    def unplug(self) -> None:
        """See `End.unplug`."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._connection is not None:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._hang_up()

    def accept(self) -> bool:
        """See `End.accept`."""
        with suppress(OSError):  # who came may be gone again
            assert self._listener is not None
            connection, _ = self._listener.accept()
            if self._connection is not None:
                connection.close()
                return False
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
            return True
        return False

    def read(self, size: int) -> bytes:
        """See `End.read`."""
        try:
            data = self._connection.recv(size) if self._connection else b""
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        return data

    def write(self, data: bytearray) -> int:
        """See `End.write`. A connection that is gone takes all: that is seen when it is read."""
        try:
            return self._connection.send(data) if self._connection else len(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)

    def remove(self) -> None:
        """See `End.remove`."""

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
