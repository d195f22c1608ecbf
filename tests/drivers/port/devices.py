"""Devices for the ends of lines in tests."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Echo:
    """Says what it is told, and counts how often it was connected."""

    def __init__(self) -> None:
        self.connections = 0
        self.here = threading.Event()

    def connected(self, send: Callable[[bytes], None]) -> None:
        self.send = send
        self.connections += 1
        self.here.set()

    def received(self, data: bytes) -> None:
        self.send(data)


class Mute(Echo):
    """Never says anything by itself; keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = b""
        self.moved = threading.Condition()

    def received(self, data: bytes) -> None:
        with self.moved:
            self.heard += data
            self.moved.notify_all()

    def wait_for(self, size: int) -> bytes:
        with self.moved:
            assert self.moved.wait_for(lambda: len(self.heard) >= size, 20)
            return self.heard


class Talking(Mute):
    """From `start` to `stop` it says `data` every `pause_s` seconds."""

    def __init__(self, data: bytes, pause_s: float) -> None:
        super().__init__()
        self._data, self._pause_s = data, pause_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _talk(self) -> None:
        while not self._over.wait(self._pause_s):
            self.send(self._data)
