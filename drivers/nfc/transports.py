"""nfcpy's transports, with waits that end."""

from __future__ import annotations

import errno
import os
import termios
from time import monotonic
from typing import Any

import nfc.clf.transport

from drivers.nfc import codec

_WRITE_S = 1.0
"""How long the line may take no bytes."""


class Patience:
    """How long nfcpy may take over one thing, and over one frame at least a fifth of that.

    nfcpy itself gives the chip 100 ms to acknowledge, which a machine under load may need to hear of it.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self.start()

    def start(self) -> None:
        """Something begins."""
        self._until = monotonic() + self._timeout_s

    def frame_ms(self, timeout_ms: int) -> int:
        """How long to wait for a frame for which nfcpy would wait so long.

        Raises:
            OSError: the time is over. It is no time-out, after which nfcpy would try again.
        """
        if monotonic() > self._until:
            raise OSError(errno.EIO, "the reader keeps talking and doesn't come to an end")
        return max(timeout_ms, int(self._timeout_s * 200))


class GuardedTty(nfc.clf.transport.TTY):  # type: ignore[misc]  # nfcpy has no types
    """A serial port, for this process alone."""

    def __init__(self, path: str, patience: Patience) -> None:
        self.patience = patience
        super().__init__(path)

    def open(self, port: str, baudrate: int = codec.BAUD) -> None:
        """Open it, or open it anew at another speed."""
        super().open(port, baudrate)
        self.tty.exclusive = True
        self.tty.write_timeout = _WRITE_S

    def read(self, timeout: int) -> Any:
        """A frame; `timeout` is in milliseconds."""
        return super().read(self.patience.frame_ms(timeout))

    def is_there(self) -> bool:
        """Whether it is still plugged in."""
        try:
            termios.tcgetattr(self.tty.fileno())
        except (OSError, termios.error, AttributeError, TypeError, ValueError):
            return False
        return os.path.exists(self.tty.port)

    def let_go(self) -> None:
        """Close the port even where it is unplugged: `close` would stumble over emptying its buffer first."""
        if self.tty is not None:
            self.tty.close()


class GuardedUsb(nfc.clf.transport.USB):  # type: ignore[misc]
    """A USB device. Never tried: there was none to try it on."""

    def __init__(self, bus: int, address: int, patience: Patience) -> None:
        self.patience = patience
        super().__init__(bus, address)

    def read(self, timeout: int = 0) -> Any:
        """A frame; `timeout` is in milliseconds, and libusb takes 0 for without end."""
        return super().read(self.patience.frame_ms(timeout))

    def write(self, frame: bytes, timeout: int = 0) -> None:
        """Send a frame; nfcpy itself would wait without end."""
        super().write(frame, timeout or int(_WRITE_S * 1000))

    def is_there(self) -> bool:
        """As far as this can tell: libusb says itself when it isn't (ENODEV)."""
        return True

    def let_go(self) -> None:
        """Close it."""
        self.close()
