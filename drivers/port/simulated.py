"""A line with a simulated device at its end: a pseudo terminal, or a TCP port on loopback.

    with Line.pty(Simulator(), baud=9600) as line:
        encoder = SomeEncoder("Desk", SomeOptions(port=line.port))

The line has one thread; it calls the device from there. A pseudo terminal has no parity and no RTS, DTR or CTS.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Protocol, Self

from drivers.port.ends import End, PtyEnd, TcpEnd
from drivers.port.pace import Pace
from drivers.port.wake import Wake

_PIECE = 65536


class Device(Protocol):
    """A simulator: bytes in, bytes out."""

    def connected(self, send: Callable[[bytes], None]) -> None:
        """The line is there, or there again: plugged in, or a TCP connection came. `send` says something to the host.

        `send` may be called from any thread at any time; once the line is gone it does nothing.
        """

    def received(self, data: bytes) -> None:
        """The host's bytes as they come, in pieces of any size. Called in the line's thread."""


def _as_it_is(data: bytes) -> bytes:
    return data


class Line:
    """See the module. `pty` and `tcp` make it, plugged in.

    `baud` is the speed of both directions at ten bits a byte; None is as fast as it goes. It may be changed.
    """

    def __init__(self, device: Device, end: End, *, baud: int | None = None) -> None:
        self.baud = baud
        self.mangle: Callable[[bytes], bytes] = _as_it_is
        """What becomes of what the device says, one `send` at a time. May be replaced at any time. Called in the
        line's thread; empty is silence."""
        self.traffic: list[tuple[str, bytes]] = []
        """("host", bytes) and ("device", bytes) as they went onto the line, in order. What one side says before the
        other says something is one entry."""
        self._device = device
        self._end = end
        self._to_device, self._to_host = Pace(), Pace()
        self._arrived = bytearray()
        """What came to the host's end and didn't fit in there yet."""
        self._said: deque[tuple[int, bytes]] = deque()
        self._orders: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._turn = 0
        """Counts connections: what was said into an older one is lost."""
        self._closing = False
        self._failure: BaseException | None = None
        self._wake = Wake()
        self._plug()
        self._thread = threading.Thread(target=self._work, name="simulated line", daemon=True)
        self._thread.start()

    @classmethod
    def pty(cls, device: Device, *, baud: int | None = None) -> Self:
        """A pseudo terminal behind a symbolic link that stays the same when it is unplugged and plugged in again."""
        return cls(device, PtyEnd(), baud=baud)

    @classmethod
    def tcp(cls, device: Device, *, baud: int | None = None) -> Self:
        """A TCP port on loopback, for one connection at a time."""
        return cls(device, TcpEnd(), baud=baud)

    @property
    def port(self) -> str:
        """What goes into `PortOptions.port`."""
        return self._end.port

    @property
    def host_baud(self) -> int | None:
        """The speed that the host has set; None where that isn't seen, as on TCP."""
        return self._end.host_baud

    def unplug(self) -> None:
        """The port goes away: who has it open gets errors, and nobody can open it. Bytes on their way are lost."""
        self._order(self._unplug)

    def plug(self) -> None:
        """The port is back under its name, and the device is told that it is connected."""
        self._order(self._plug)

    def reset(self) -> None:
        """The device loses its power for a moment and nobody tells the host, as behind a USB bridge."""
        self._order(self._restart)

    def noise(self, data: bytes) -> None:
        """Have the host see these bytes, which the device didn't say."""
        self._order(lambda: self._speak(data, monotonic()))

    def close(self) -> None:
        """End it. May be called twice.

        Raises:
            BaseException: what the device or `mangle` raised in the line's thread, which ended the line then.
        """
        if not self._closing:
            self._closing = True
            self._wake.ring()
            self._thread.join()
            self._wake.close()
            self._end.remove()
            if self._failure is not None:
                raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _order(self, order: Callable[[], None]) -> None:
        """Have the line's thread do it, and wait until it is done."""
        if threading.current_thread() is self._thread:
            order()
            return
        done = threading.Event()
        self._orders.append((order, done))
        self._wake.ring()
        while not done.wait(0.1):
            if not self._thread.is_alive():
                raise RuntimeError("the line has ended") from self._failure

    def _plug(self) -> None:
        if not self._end.plugged:
            self._end.plug()
            if self._end.fd is not None:
                self._connect()

    def _unplug(self) -> None:
        self._end.unplug()
        self._disconnect()

    def _restart(self) -> None:
        self._disconnect()
        if self._end.fd is not None:
            self._connect()

    def _connect(self) -> None:
        turn = self._turn
        self._device.connected(lambda data: self._say(turn, data))

    def _disconnect(self) -> None:
        self._turn += 1
        self._to_device.clear()
        self._to_host.clear()
        self._arrived.clear()

    def _say(self, turn: int, data: bytes) -> None:
        self._said.append((turn, bytes(data)))
        self._wake.ring()

    def _work(self) -> None:
        try:
            while not self._closing:
                self._step()
        except BaseException as error:  # noqa: BLE001 - handed to whoever closes the line
            self._failure = error
        finally:
            self._end.unplug()

    def _step(self) -> None:
        obeyed = []
        while self._orders:
            order, done = self._orders.popleft()
            order()
            obeyed.append(done)
        self._take_what_was_said(monotonic())
        if data := self._to_device.due(monotonic()):
            self._device.received(data)
            # A simulator is as quick as its device: how late this thread is, and how long it thinks, doesn't count.
            self._take_what_was_said(self._to_device.arrived_at)
        self._arrived += self._to_host.due(monotonic())
        if self._arrived:
            del self._arrived[: self._end.write(self._arrived)]
        for done in obeyed:
            done.set()
        self._wait()

    def _take_what_was_said(self, at: float) -> None:
        while self._said:
            turn, said = self._said.popleft()
            if turn == self._turn:
                data = self.mangle(said)
                if data and turn == self._turn:  # `mangle` may have unplugged the line
                    self._speak(data, at)

    def _speak(self, data: bytes, at: float) -> None:
        self._note("device", data)
        self._to_host.put(data, at, self.baud)

    def _wait(self) -> None:
        """Until something comes, or the next byte is due on either side."""
        fd, listener = self._end.fd, self._end.listener
        readers = [each for each in (self._wake.fd, fd, listener) if each is not None]
        writers = [fd] if self._arrived and fd is not None else []
        times = [at for at in (self._to_device.next, self._to_host.next) if at is not None]
        timeout_s = max(0.0, min(times) - monotonic()) if times else None
        # select, because poll counts in milliseconds, in one of which eleven bytes pass at 115200 baud.
        ready, _, _ = select.select(readers, writers, [], timeout_s)
        self._wake.heard()
        if fd is not None and fd in ready:
            self._listen_to_host()
        if listener is not None and listener in ready and self._end.accept():
            self._connect()

    def _listen_to_host(self) -> None:
        data = self._end.read(_PIECE)
        if data:
            self._note("host", data)
            self._to_device.put(data, monotonic(), self.baud)
        elif self._end.fd is None:
            self._disconnect()

    def _note(self, who: str, data: bytes) -> None:
        if self.traffic and self.traffic[-1][0] == who:
            data = self.traffic.pop()[1] + data
        self.traffic.append((who, data))
