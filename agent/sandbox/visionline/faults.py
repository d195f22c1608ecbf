"""Failing on demand: what is to go wrong with a coming request, and where that has got to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

STEPS = {
    "session": ("session",),
    "logout": ("logout",),
    "doors": ("doors",),
    "find": ("find",),
    "card": ("card",),
    "order": ("order",),
    "look": ("doors", "find", "card"),
    "any": ("session", "logout", "doors", "find", "card", "order"),
}
"""What may be told to fail: kinds of request, and names for several of them."""


class Fault(StrEnum):
    """What goes wrong. Requests that aren't signed right are refused for that, and meet no fault."""

    REFUSED = "refused"
    """409 with an error body; nothing is done."""
    SERVER_ERROR = "server error"
    """500 with an error body; nothing is done."""
    UNAVAILABLE = "unavailable"
    """503 without a body; nothing is done."""
    SESSION_FORGOTTEN = "session forgotten"
    """All sessions are forgotten, so this one is refused."""
    WRONG_SIGNATURE = "wrong signature"
    """Refused as if it were signed wrong."""
    WRONG_DATE = "wrong date"
    """Refused as if its date were too far off."""
    DROPPED = "dropped"
    """The connection is dropped; nothing is done."""
    NO_ANSWER = "no answer"
    """Nothing is done, and nothing is answered until the client gives up."""
    CARRIED_OUT_NO_ANSWER = "carried out, no answer"
    """It is carried out; then the connection is dropped."""
    CARRIED_OUT_SILENT = "carried out, silent"
    """It is carried out, and nothing is answered until the client gives up."""
    CARRIED_OUT_SERVER_ERROR = "carried out, server error"
    """It is carried out; then comes a 500 all the same."""
    HALF_ANSWER = "half an answer"
    """It is carried out; the connection is dropped amid the answer."""
    NOT_JSON = "not JSON"
    """It is carried out; the answer has the right status and is a page for people."""
    HELD_BEFORE = "held before"
    """It waits for `Incident.release`, whether the client stays or not; then all is as usual."""
    HELD_ANSWER = "held answer"
    """It is carried out; the answer waits for `Incident.release`."""
    LATE = "late"
    """The connection is dropped at once; it is carried out after `Incident.release`."""


class Incident:
    """One fault that was asked for."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.struck = threading.Event()
        """A request has met it."""
        self.carried_out = threading.Event()
        """What the request asked for was done, or refused for reasons of its own."""
        self._lock = threading.Lock()
        self._released: bool | None = None
        self._waking: list[Callable[[], object]] = []

    def release(self) -> None:
        """Let go what is held, now and from now on."""
        self._end(released=True)

    def abandon(self) -> None:
        """What is held is never carried out and never answered."""
        self._end(released=False)

    async def is_released(self, gone: Awaitable[None] | None = None) -> bool:
        """Wait until it is released, or else until it is abandoned or `gone` is over."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(ended.set)

        with self._lock:
            if self._released is not None:
                ended.set()
            self._waking.append(wake)
        waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(ended.wait())]
        if gone is not None:
            waiting.append(asyncio.ensure_future(gone))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            with self._lock:
                self._waking.remove(wake)
            for task in waiting:
                task.cancel()
        return self._released is True

    def _end(self, *, released: bool) -> None:
        with self._lock:
            if self._released is None:
                self._released = released
            for wake in self._waking:
                wake()


class Faults:
    """The faults to come. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._coming: list[tuple[tuple[str, ...], Incident, int | None]] = []
        self._all: list[Incident] = []

    def add(self, step: str, fault: Fault, times: int | None = 1) -> Incident:
        """Have the next requests of this step fail, so many `times`; None: until `clear`.

        Raises:
            KeyError: there is no such step; see `STEPS`.
        """
        incident = Incident(fault)
        with self._lock:
            self._coming.append((STEPS[step], incident, times))
            self._all.append(incident)
        return incident

    def strike(self, step: str) -> Incident | None:
        """The fault that a request of this step meets."""
        with self._lock:
            for place, (steps, incident, times) in enumerate(self._coming):
                if step in steps:
                    if times == 1:
                        del self._coming[place]
                    elif times is not None:
                        self._coming[place] = (steps, incident, times - 1)
                    incident.struck.set()
                    return incident
        return None

    def clear(self) -> None:
        """Nothing fails any more, and all that is held is let go."""
        for incident in self._forget():
            incident.release()

    def close(self) -> None:
        """Nothing fails any more, and what is held is abandoned."""
        for incident in self._forget():
            incident.abandon()

    def _forget(self) -> list[Incident]:
        with self._lock:
            self._coming.clear()
            met, self._all = self._all, []
        return met
