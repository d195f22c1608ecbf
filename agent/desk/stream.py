"""What happens, live: server-sent events for the desk page (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from agent.events import Event, Events

HEARTBEAT_S = 20.0
T = TypeVar("T")


async def stream(events: Events, closing: asyncio.Event) -> AsyncIterator[str]:
    """Every event from now on, until the desk closes. The first, "state", tells the page to fetch the state."""
    with events.subscribe() as queue:
        yield _frame(Event("state"))
        while not closing.is_set():
            event = await until_closing(queue.get(), closing, HEARTBEAT_S)
            if event is not None:
                yield _frame(event)
            elif not closing.is_set():
                yield ": still here\n\n"  # so that a connection that died is noticed


async def until_closing(work: Awaitable[T], closing: asyncio.Event, seconds: float) -> T | None:
    """The result of `work`, or None where the desk closes or `seconds` pass first."""
    task = asyncio.ensure_future(work)
    end = asyncio.ensure_future(closing.wait())
    tasks: set[asyncio.Future[Any]] = {task, end}
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for pending in tasks:
            pending.cancel()


def _frame(event: Event) -> str:
    return f"event: {event.kind}\ndata: {json.dumps(event.data, ensure_ascii=False)}\n\n"
