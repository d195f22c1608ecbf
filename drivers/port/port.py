"""A byte stream to a device, with time-outs that hold and errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from drivers.errors import EncoderCommunicationTimeout, EncoderNotOnline
from drivers.port.wake import Wake
from drivers.port.wires import TROUBLE, Wire, close_quietly

_STUCK_S = 10.0
"""How much longer than its bytes take a write may last. Flow control is off: only a far end that hangs takes longer."""


class Silence(EncoderCommunicationTimeout):
    """The device didn't say all that it was asked for. `partial` is what it said."""

    def __init__(self, message: str, partial: bytes = b"") -> None:
        super().__init__(message)
        self.partial = partial


class Garbage(EncoderCommunicationTimeout):
    """The device talks on and on and never ends its message."""

    default_next_step = "Check that the port and its speed are the encoder's; unplug it, plug it in again and retry."


class Port:
    """A device's line. Used by one thread, except `wake`. `open_port` makes it.

    Time-outs are total for the call, on the monotonic clock, and count from when what was written before has left at
    the line's speed: a device can't answer what hasn't reached it yet.

    Every method raises `EncoderNotOnline` once the device is gone; a port that was replugged has to be opened anew.
    """

    def __init__(self, name: str, wire: Wire, baud: int) -> None:
        self.name = name
        """The device, for people: path or URL."""
        self._wire: Wire | None = wire
        self._baud = baud
        self._came = bytearray()
        self._sent_at = 0.0
        self._wake = Wake()

    def write(self, data: bytes) -> None:
        """Hand the bytes over to the line. Returns before they have left it.

        Raises:
            EncoderNotOnline: the device is gone.
            EncoderCommunicationTimeout: the line takes no more bytes.
        """
        left = memoryview(data)
        takes_s = len(data) * 10 / self._baud
        deadline = self._deadline(takes_s + _STUCK_S)
        while left:
            with self._device() as wire:
                sent = wire.send(left, max(0.0, deadline - monotonic()))
            if not sent and monotonic() >= deadline:
                raise EncoderCommunicationTimeout(f"{self.name} takes no more bytes.")
            left = left[sent:]
        self._sent_at = max(monotonic(), self._sent_at) + takes_s

    def read(self, size: int, timeout_s: float) -> bytes:
        """Exactly `size` bytes.

        Raises:
            EncoderNotOnline: the device is gone.
            Silence: fewer came within `timeout_s` seconds.
        """
        if not self._fill(lambda: len(self._came) >= size, timeout_s):
            raise self._silence()
        return self._take(size)

    def read_until(self, end: bytes, timeout_s: float, limit: int = 4096) -> bytes:
        """All up to and including `end`.

        Raises:
            EncoderNotOnline: the device is gone.
            Silence: it didn't come within `timeout_s` seconds.
            Garbage: `limit` bytes came without it. They are thrown away.
        """
        if not self._fill(lambda: end in self._came or len(self._came) >= limit, timeout_s):
            raise self._silence()
        at = self._came.find(end)
        if not 0 <= at <= limit - len(end):
            self._came.clear()
            raise Garbage(f"{self.name} sent {limit} bytes that are no message.")
        return self._take(at + len(end))

    def read_some(self, timeout_s: float | None) -> bytes:
        """Whatever is there, at least one byte; empty when the time is over or `wake` was called.

        `timeout_s` in seconds; None waits without end.

        Raises:
            EncoderNotOnline: the device is gone.
        """
        if not self._came:
            self._receive(None if timeout_s is None else self._deadline(timeout_s), self._wake.fd)
        return b"" if self._wake.heard() else self._take(len(self._came))

    def discard(self, quiet_s: float = 0.0, at_most_s: float = 1.0) -> bool:
        """Throw away what has come, until nothing came for `quiet_s`, but never for longer than `at_most_s` (seconds).

        Whether there was anything.

        Raises:
            EncoderNotOnline: the device is gone.
        """
        end = monotonic() + at_most_s
        anything, came = bool(self._came), True
        while came and monotonic() < end:
            self._came.clear()
            came = self._receive(min(end, monotonic() + quiet_s))
            anything |= came
        self._came.clear()
        return anything

    def wake(self) -> None:
        """Make the `read_some` in progress return empty, or else the next one. Thread-safe; never raises."""
        self._wake.ring()

    def set_baud(self, baud: int) -> None:
        """Change the line's speed, once all that was written has left. On a plain TCP line it is the far end's.

        Raises:
            EncoderNotOnline: the device is gone.
        """
        with self._device() as wire:
            wire.set_baud(baud)
        self._baud = baud

    def close(self) -> None:
        """Let the device go. Never raises; may be called twice."""
        if self._wire is not None:
            close_quietly(self._wire)
            self._wire = None
        self._wake.close()

    def _deadline(self, timeout_s: float) -> float:
        return max(monotonic(), self._sent_at) + timeout_s

    def _fill(self, enough: Callable[[], bool], timeout_s: float) -> bool:
        """Receive until there is enough: True. False when the time is over, however much still comes."""
        deadline = self._deadline(timeout_s)
        late = False
        while not enough() and not late:
            late = monotonic() >= deadline
            self._receive(deadline)
        return enough()

    def _receive(self, deadline: float | None, wake: int | None = None) -> bool:
        """Take what has come, waiting for it until then, or until `wake` rings; whether there was anything."""
        with self._device() as wire:
            data = wire.receive(None if deadline is None else max(0.0, deadline - monotonic()), wake)
        self._came += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        data = bytes(self._came[:size])
        del self._came[:size]
        return data

    def _silence(self) -> Silence:
        partial = self._take(len(self._came))
        what = "broke off in the middle of an answer" if partial else "doesn't answer"
        return Silence(f"{self.name} {what}.", partial)

    @contextmanager
    def _device(self) -> Iterator[Wire]:
        if self._wire is None:
            raise EncoderNotOnline(f"{self.name} is not open.")
        try:
            yield self._wire
        except TROUBLE as error:
            raise EncoderNotOnline(
                f"{self.name} was unplugged or switched off.",
                next_step="Plug the encoder in again: it is found by itself.",
            ) from error
