"""Calls into drivers that may never come back: a frozen daemon, a device that says nothing, somebody else's mistake."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class NoReturn(Exception):
    """The call has not come back in time. It is left to itself, in its own thread."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises.

    Raises:
        NoReturn: it takes longer.
    """
    outcomes: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def work() -> None:
        try:
            outcomes.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits, whatever it is
            outcomes.put((None, error))

    threading.Thread(target=work, name="discovery", daemon=True).start()
    try:
        value, error = outcomes.get(timeout=seconds)
    except Empty:
        raise NoReturn(f"it has not come back for {seconds:g} seconds") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # None only where the call returned it
