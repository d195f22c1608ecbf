"""Waiting for news from pcscd: without polling, and without losing an interrupt.

Not pyscard's CardMonitor: it compares (reader, ATR) pairs, so that a swap of two cards of one kind goes unseen, which
would write the next guest's key on this guest's card. pcscd's event counter tells them apart.
"""

from __future__ import annotations

import threading

from drivers.pcsc.winscard import CANCELLED, FOREVER, Context, PcscError, ReaderState


class Watcher:
    """A context of its own for waiting, so that a slow card exchange elsewhere never delays it.

    `interrupted` is set from other threads before `wake`; the wait that sees it clears it and returns None.
    """

    def __init__(self, interrupted: threading.Event) -> None:
        self._interrupted = interrupted
        self._context: Context | None = None
        self._turn = threading.Condition()
        self._waiting = False

    def open(self) -> Context:
        """The context, established where there is none.

        Raises:
            PcscError: pcscd isn't there.
        """
        if self._context is None:
            self._context = Context()
        return self._context

    def close(self) -> None:
        """Release the context; may be called twice."""
        if self._context is not None:
            self._context.release()
            self._context = None

    def detach(self) -> Context | None:
        """Have somebody else release the context, where there is one; the next `open` makes another."""
        context, self._context = self._context, None
        return context

    def state(self, reader: str) -> ReaderState:
        """The reader's state now.

        Raises:
            PcscError: the reader or pcscd is gone.
        """
        return self.open().state(reader)

    def wait(self, known: dict[str, int], timeout_ms: int = FOREVER) -> dict[str, ReaderState] | None:
        """Block until a state differs from the known one: the states. None after an interrupt.

        Raises:
            PcscError: TIMEOUT, or the reader or pcscd is gone.
        """
        context = self.open()
        with self._turn:
            self._waiting = True
        try:
            while not self._interrupted.is_set():
                try:
                    return context.wait(known, timeout_ms)
                except PcscError as error:
                    if error.code != CANCELLED:
                        raise
            self._interrupted.clear()
            return None
        finally:
            with self._turn:
                self._waiting = False
                self._turn.notify_all()

    def wake(self) -> None:
        """Make the wait in progress look at `interrupted` now. Thread-safe; takes a millisecond.

        pcscd forgets a cancellation that comes before the wait has reached it. So it is repeated until the waiting
        thread has left: a loop of a few rounds, run only while somebody interrupts.
        """
        pause = 0.001
        with self._turn:
            while self._waiting and self._interrupted.is_set() and self._context is not None:
                self._context.cancel()
                self._turn.wait(pause)
                pause = min(pause * 2, 0.1)
