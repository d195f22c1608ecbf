"""A thread for calls that may never return.

PC/SC has no time-outs: a hung reader blocks a transmit, another process's transaction even a connect, both for as
long as they like. So the calls run on a thread of their own and the encoder's thread waits only so long for each.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class NoAnswer(Exception):
    """The call is still running: the lane is stuck and of no more use."""


class Lane:
    """Runs one call at a time, in order. Its thread sleeps without waking while there is none."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()
        self.stuck = False
        self._finished = False

    @property
    def alive(self) -> bool:
        """Whether its thread still runs: after `finish`, whether the stuck call has not come back yet."""
        return self._thread.is_alive()

    def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """What `function` returns or raises, within `timeout_s`.

        Raises:
            NoAnswer: it took longer, or an earlier call did.
        """
        if self.stuck:
            raise NoAnswer
        self._calls.put(function)
        try:
            value, error = self._answers.get(timeout=timeout_s)
        except Empty:
            self.stuck = True
            raise NoAnswer from None
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]  # the queue carries answers of every kind, one at a time

    def finish(self, last: Callable[[], None]) -> None:
        """Have `last` called after whatever runs now, then let the thread end. Does not wait for it.

        Once is enough: a second `last` is never called.
        """
        if self._finished:
            return
        self._finished = True
        self._calls.put(last)
        self._calls.put(None)

    def _work(self) -> None:
        while (function := self._calls.get()) is not None:
            try:
                answer: tuple[Any, BaseException | None] = (function(), None)
            except BaseException as error:  # noqa: BLE001 - handed to the caller whatever it is
                answer = (None, error)
            self._answers.put(answer)
