"""When each byte of a slow line arrives."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_FIFO = 16
"""Bytes that are handed over at once, short of a message's end: the depth of a UART's buffer (16550)."""
_ROUNDING = 1e-6


@dataclass
class _Message:
    data: bytes
    start: float
    per_byte: float
    passed: int = 0

    def arrival(self, count: int) -> float:
        return self.start + min(count, len(self.data)) * self.per_byte


class Pace:
    """One direction of a line. Each byte has a time at which it is due, so that no delay adds to the next one."""

    def __init__(self) -> None:
        self._messages: deque[_Message] = deque()
        self._free_at = 0.0
        self.arrived_at = 0.0
        """When the last byte that `due` handed over was due, however late that was."""

    def put(self, data: bytes, now: float, baud: int | None) -> None:
        """Something is said; it passes once the line is free, ten bits a byte, or at once without `baud`."""
        message = _Message(data, max(now, self._free_at), 10 / baud if baud else 0.0)
        self._messages.append(message)
        self._free_at = message.arrival(len(data))

    def clear(self) -> None:
        """What is on its way is lost."""
        self._messages.clear()
        self._free_at = 0.0

    def due(self, now: float) -> bytes:
        """What has arrived by now and was not handed over yet."""
        arrived = b""
        while self._messages:
            head = self._messages[0]
            count = len(head.data)
            if now < head.arrival(count):
                passed = int((now - head.start) / head.per_byte + _ROUNDING) if head.per_byte else 0
                count = max(head.passed, passed)
            arrived += head.data[head.passed : count]
            if count > head.passed:
                self.arrived_at = head.arrival(count)
            head.passed = count
            if count < len(head.data):
                break
            self._messages.popleft()
        return arrived

    @property
    def next(self) -> float | None:
        """When to ask `due` again; None while nothing is on its way."""
        return self._messages[0].arrival(self._messages[0].passed + _FIFO) if self._messages else None
