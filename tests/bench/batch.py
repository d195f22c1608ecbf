"""1,000 cards in a row on the virtual encoder, which feeds itself: what the agent itself takes for a card."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import perf_counter
from typing import Any

from agent.events import Event
from tests.bench import desk

CARDS = 1000


def run(folder: Path) -> dict[str, Any]:
    """batch_cards_per_minute."""
    with desk.service(folder, cards=CARDS) as url:
        times = asyncio.run(_run(folder, url))
    first, last = _rate(times[:101]), _rate(times[-101:])
    return {
        "batch_cards_per_minute": round(_rate(times)),
        "details": {
            "first_hundred_per_minute": round(first),
            "last_hundred_per_minute": round(last),
            "cards": CARDS,
            "how": "virtual encoder that feeds itself without a pause; service on loopback, reports included.",
        },
    }


def _rate(times: list[float]) -> float:
    return 60 * (len(times) - 1) / (times[-1] - times[0])


async def _run(folder: Path, url: str) -> list[float]:
    times: list[float] = []
    over = asyncio.Event()

    def listen(event: Event) -> None:
        if event.kind == "outcome" and event.data["ok"]:
            times.append(perf_counter())
            if len(times) == CARDS:
                over.set()

    options = {"feed": "self", "stack": ["NTAG213"], "cards": CARDS + 10, "pace_ms": 0}
    async with desk.agent(folder, url, {"driver": "virtual", "options": options}, poll_interval_s=0.5) as agent:
        agent.events.listen(listen)
        await asyncio.wait_for(over.wait(), 600)
    return times
