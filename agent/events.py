"""What happens, as it happens: for the desk page, for whoever waits for an outcome, for the metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_BACKLOG = 256


@dataclass(frozen=True)
class Event:
    """`kind` is one of: job, encoder, progress, service, claims, journal, report, outcome.

    `data` is JSON, without secrets or card content.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)


class Events:
    """In-process publish and subscribe, on one event loop. A slow reader loses the oldest events, nothing else."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Event]] = set()
        self._listeners: list[Callable[[Event], None]] = []

    def publish(self, kind: str, **data: Any) -> None:
        """Tell everybody. Call it on the event loop."""
        event = Event(kind, data)
        for listener in self._listeners:
            listener(event)
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call this for every event from now on; it returns at once and never raises."""
        self._listeners.append(listener)

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue of what happens from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_BACKLOG)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)
