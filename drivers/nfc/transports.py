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
    """Until when nfcpy may go on reading, on the monotonic clock."""

    until = 0.0

    def check(self) -> None:
        """Raise OSError when the time is over: not a time-out, at which nfcpy would try again."""
        if monotonic() > self.until:
            raise OSError(errno.EIO, "the reader keeps talking and doesn't come to an end")


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
        self.patience.check()
        return super().read(timeout)

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
        self.patience.check()
        return super().read(max(timeout, 1))

    def write(self, frame: bytes, timeout: int = 0) -> None:
        """Send a frame; nfcpy itself would wait without end."""
        super().write(frame, timeout or int(_WRITE_S * 1000))

    def is_there(self) -> bool:
        """As far as this can tell: libusb says itself when it isn't (ENODEV)."""
        return True

    def let_go(self) -> None:
        """Close it."""
        self.close()
