from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from time import monotonic

import httpx

from agent.desk import stream as streams
from agent.events import Events
from tests.rig.agent import Running


async def frames(response: httpx.Response) -> AsyncIterator[tuple[str, object]]:
    kind = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


async def test_events_come_as_they_happen(bare: Running) -> None:
    async with bare.client() as client, client.stream("GET", "/api/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        incoming = frames(response)
        assert await anext(incoming) == ("state", {})
        bare.agent.events.publish("job", job_id=7)
        bare.agent.events.publish("report", note="a\nb: c")
        assert [await anext(incoming), await anext(incoming)] == [
            ("job", {"job_id": 7}),
            ("report", {"note": "a\nb: c"}),
        ]


async def test_open_streams_and_long_polls_do_not_delay_the_end(bare: Running) -> None:
    attempt = bare.agent.operations.attempts.begin("SCAN_CREDENTIAL")
    async with bare.client() as client, client.stream("GET", "/api/events") as response:
        incoming = frames(response)
        assert await anext(incoming) == ("state", {})
        poll = asyncio.create_task(client.get(f"/api/attempts/{attempt.action_attempt_id}?wait=60"))
        await asyncio.wait([poll], timeout=0.05)
        began = monotonic()
        await bare.agent.desk.stop()
        assert (await poll).json()["action_attempt"]["status"] == "pending"
        assert [frame async for frame in incoming] == []
        assert monotonic() - began < 1.0


async def test_a_reader_who_left_is_forgotten(bare: Running) -> None:
    async with bare.client() as client, client.stream("GET", "/api/events") as response:
        await anext(frames(response))
        assert len(bare.agent.events._queues) == 1
    async with asyncio.timeout(5):
        while bare.agent.events._queues:
            await asyncio.sleep(0.01)


async def test_silence_is_broken_by_comments(monkeypatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.01)
    closing = asyncio.Event()
    incoming = streams.stream(Events(), closing)
    assert (await anext(incoming)).startswith("event: state")
    assert (await anext(incoming)).startswith(":")
    closing.set()
    assert [frame async for frame in incoming] == []
