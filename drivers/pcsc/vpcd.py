"""The wire to vpcd, vsmartcard's virtual reader in pcscd: a card that connects is in, one that closes is out.

Protocol (vsmartcard's vpcd): u16 big-endian length and payload; the one-byte payloads 0, 1, 2 and 4 mean power off,
power on, reset and "tell your ATR"; all others are APDUs. Only APDUs and the ATR are answered.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

from drivers.pcsc.simulator import PulledAway, SimulatedCard

DEFAULT_PORT = 0x8C7B
"""Where Debian's vpcd listens: its first reader; the second one is a port higher."""

_POWER_ON, _RESET, _ATR = b"\x01", b"\x02", b"\x04"
_RETRY_S = 0.1


class VirtualSlot:
    """One virtual reader, into which cards are put and from which they are taken.

    A card stays in when pcscd restarts: it connects again. `delay_s` is how long each APDU takes, as on a real reader.
    """

    def __init__(self, port: int = DEFAULT_PORT, host: str = "127.0.0.1", *, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self._address = (host, port)
        self._out = threading.Event()
        self._session: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def put(self, card: SimulatedCard) -> None:
        """Put a card in, after taking out the one that is there. pcscd sees it within 400 ms, its polling interval."""
        self.take()
        self._out = out = threading.Event()
        self._session = threading.Thread(target=self._stay, args=(card, out), name="virtual card", daemon=True)
        self._session.start()

    def take(self) -> None:
        """Take the card out, in mid-APDU if need be. Does nothing where none is in."""
        self._out.set()
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        if self._session is not None and self._session is not threading.current_thread():
            self._session.join()
            self._session = None

    def _stay(self, card: SimulatedCard, out: threading.Event) -> None:
        while not out.is_set():
            try:
                connection = socket.create_connection(self._address, timeout=2)
            except OSError:
                out.wait(_RETRY_S)
                continue
            connection.settimeout(None)
            with self._lock:
                self._socket = connection
                if out.is_set():
                    connection.close()
            try:
                self._serve(connection, card, out)
            except PulledAway:
                out.set()
            except OSError:
                out.wait(_RETRY_S)
            finally:
                with self._lock:
                    self._socket = None
                connection.close()

    def _serve(self, connection: socket.socket, card: SimulatedCard, out: threading.Event) -> None:
        while True:
            payload = self._receive(connection)
            if payload in (_POWER_ON, _RESET):
                card.activate()
            elif payload == _ATR:
                self._send(connection, card.atr)
            elif len(payload) > 1:
                answer = card.answer(payload)
                if self.delay_s:
                    out.wait(self.delay_s)
                self._send(connection, answer)

    @staticmethod
    def _receive(connection: socket.socket) -> bytes:
        return VirtualSlot._exactly(connection, struct.unpack("!H", VirtualSlot._exactly(connection, 2))[0])

    @staticmethod
    def _exactly(connection: socket.socket, length: int) -> bytes:
        data = b""
        while len(data) < length:
            # vpcd sends length and payload apart: without an immediate ACK Nagle holds the second one back for 40 ms.
            # Linux forgets the option, so it is set before every receive.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            chunk = connection.recv(length - len(data))
            if not chunk:
                raise ConnectionResetError("pcscd closed the virtual reader")
            data += chunk
        return data

    @staticmethod
    def _send(connection: socket.socket, payload: bytes) -> None:
        connection.sendall(struct.pack("!H", len(payload)) + payload)
