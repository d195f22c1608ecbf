"""Asking the service again and again, until it has an answer or there is no more time for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from drivers.errors import NoCredentialOnEncoder

T = TypeVar("T")

_LONGEST_LEAVE_S = 10.0
"""How long an order is still asked after, in seconds, where the agent is about to stop."""


class Patience:
    """An encoder's. `interrupted` is what `Encoder.interrupt` sets; `poll_s` is the pause between two questions."""

    def __init__(self, interrupted: threading.Event, poll_s: float) -> None:
        self._interrupted = interrupted
        self._poll_s = poll_s

    def for_a_card(self, ask: Callable[[], T | None], longest_s: float) -> T | None:
        """What `ask` tells first; None where that isn't in time. Nothing has been ordered yet.

        Raises:
            NoCredentialOnEncoder: `interrupt` was called.
        """
        deadline = monotonic() + longest_s
        while (told := ask()) is None and (left := deadline - monotonic()) > 0:
            if self._interrupted.wait(min(left, self._poll_s)):
                self._interrupted.clear()
                raise NoCredentialOnEncoder("No card was put on the encoder before something else came up.")
        return told

    def for_an_order(self, ask: Callable[[], T | None], longest_s: float) -> T | None:
        """The same where an order was given, which nothing takes back: `interrupt` only shortens the wait."""
        deadline, leaving = monotonic() + longest_s, False
        while (told := ask()) is None and (left := deadline - monotonic()) > 0:
            if leaving:
                time.sleep(min(left, self._poll_s))  # who calls once may call again and again
            elif self._interrupted.wait(min(left, self._poll_s)):
                deadline, leaving = min(deadline, monotonic() + _LONGEST_LEAVE_S), True
        return told
