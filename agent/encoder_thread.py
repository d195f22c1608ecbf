"""The one thread in which an encoder's driver is called.

A driver may hang in it for good, as one does whose reader's daemon is frozen. So it is no thread that the interpreter
waits for at its end, as those of concurrent.futures are.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class EncoderThread:
    """Runs calls one after the other. It starts with the first, and ends after `end`."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises. Where this is cancelled, the call goes on, and nobody hears of it."""
        if self._thread.ident is None:
            self._thread.start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((call, future))
        return await future

    def end(self) -> None:
        """Let it end after the call in progress."""
        self._calls.put(None)

    def _work(self) -> None:
        while (job := self._calls.get()) is not None:
            call, future = job
            value, error = None, None
            try:
                value = call()
            except BaseException as caught:  # noqa: BLE001 - handed to whoever waits, whatever it is
                error = caught
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                future.get_loop().call_soon_threadsafe(_settle, future, value, error)


def _settle(future: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
