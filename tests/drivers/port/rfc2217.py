"""A serial device server as RFC 2217 describes it, with pyserial's own protocol engine, before a local port."""

from __future__ import annotations

import select
import socket
import threading
from typing import Any, Self

import serial
from serial import rfc2217


class _Pty(serial.Serial):
    """A pseudo terminal has no RTS, DTR or CTS, and no parity."""

    cts = dsr = ri = cd = False

    def _update_rts_state(self) -> None: ...

    def _update_dtr_state(self) -> None: ...


class _Connection:
    def __init__(self, connection: socket.socket) -> None:
        self.write = connection.sendall


class Rfc2217Server:
    """Serves one connection at a time. `speeds` are those that clients have set."""

    def __init__(self, device: str) -> None:
        self._device = device
        self.speeds: list[int] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="RFC 2217 server", daemon=True)

    @property
    def port(self) -> str:
        return f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()
        self._thread.join(20)
        self._listener.close()
        self._stopped.close()

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._stopped], [], [])
            if self._stopped in ready:
                return
            connection, _ = self._listener.accept()
            with connection:
                try:
                    with _Pty(self._device, timeout=0) as device:
                        self._pass_on(connection, device)
                except OSError:  # either end is gone: so is the connection
                    continue

    def _pass_on(self, connection: socket.socket, device: Any) -> None:
        manager = rfc2217.PortManager(device, _Connection(connection))
        while True:
            ready, _, _ = select.select([connection, device.fd, self._stopped], [], [])
            if self._stopped in ready:
                return
            if device.fd in ready:
                connection.sendall(b"".join(manager.escape(device.read(4096))))
            if connection in ready:
                data = connection.recv(4096)
                if not data:
                    return
                device.write(b"".join(manager.filter(data)))
                if device.baudrate not in self.speeds[-1:]:
                    self.speeds.append(device.baudrate)
