"""A bell that a thread waiting for descriptors hears too."""

from __future__ import annotations

import os
import threading


class Wake:
    """A descriptor that is readable from `ring` until `heard`. Thread-safe, `close` included."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """To wait for; -1 once it is closed."""

    def ring(self) -> None:
        """Make it readable. Nothing happens once it is closed."""
        with self._lock:
            if self.fd >= 0:
                os.eventfd_write(self.fd, 1)

    def heard(self) -> bool:
        """Whether it rang since it was last asked. False once it is closed."""
        with self._lock:
            try:
                return self.fd >= 0 and os.eventfd_read(self.fd) > 0
            except BlockingIOError:
                return False

    def close(self) -> None:
        """Let the descriptor go. May be called twice."""
        with self._lock:
            if self.fd >= 0:
                os.close(self.fd)
                self.fd = -1
