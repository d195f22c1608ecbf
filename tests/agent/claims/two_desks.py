"""Two desks of one system, as whole agents in this process, each with a line to a real PostgreSQL that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from agent.journal import JobState
from drivers.errors import EncoderError
from tests.agent.guests import sandbox, service
from tests.rig.agent import VIRTUAL, Running, running_agent
from tests.rig.postgres import Line, Postgres
from tests.rig.sandbox import Sandbox

__all__ = ["sandbox", "service"]


@dataclass
class Desks:
    """The desks, their lines to the database, and a look into it."""

    folder: Path
    postgres: Postgres
    database: str
    service: Sandbox
    lines: dict[str, Line]

    def running(
        self, name: str, encoder: dict[str, Any] = VIRTUAL, *, service_url: str | None = None, **claims: Any
    ) -> Any:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        url = self.postgres.url(self.database, self.lines[name].port)
        return running_agent(
            folder,
            service_url or self.service.url,
            self.service.key,
            encoders=[encoder],
            claims={"url": url, "desk": name, **claims},
        )

    def rows(self) -> dict[str, dict[str, Any]]:
        with psycopg.connect(self.postgres.url(self.database), row_factory=dict_row) as connection:
            found = connection.execute("SELECT * FROM card_encoder.claims").fetchall()
        return {row["acs_credential_id"]: row for row in found}

    async def until(self, condition: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
        """Look into the database until it is so: no event of an agent tells."""
        async with asyncio.timeout(30):
            while not condition(self.rows()):
                await asyncio.sleep(0.05)


@pytest.fixture
def desks(tmp_path: Path, postgres: Postgres, sandbox: Sandbox, service: httpx.Client) -> Iterator[Desks]:
    with ExitStack() as stack:
        lines = {name: stack.enter_context(Line(postgres.port)) for name in ("one", "two")}
        yield Desks(tmp_path, postgres, postgres.new_database(), sandbox, lines)


@pytest.fixture
async def one(desks: Desks) -> AsyncIterator[Running]:
    async with desks.running("one") as running:
        await agreed(running)
        yield running


@pytest.fixture
async def two(desks: Desks, one: Running) -> AsyncIterator[Running]:
    async with desks.running("two") as running:
        await agreed(running)
        yield running


async def agreed(desk: Running) -> None:
    await desk.until(lambda: desk.agent.stations[0].online and desk.agent.claims.state()["up"], "desk and database")


async def state_of(desk: Running, acs_credential_id: str, *states: JobState) -> None:
    await desk.until(
        lambda: (found := desk.agent.journal.last_job(acs_credential_id)) and found.state in states,
        f"{acs_credential_id} to be {states}",
    )


async def whose(acs_credential_id: str, one: Running, two: Running) -> tuple[Running, Running]:
    """The desk that has this credential ready, as soon as one has it, and the other one."""
    waiting = [asyncio.create_task(state_of(desk, acs_credential_id, JobState.CLAIMED)) for desk in (one, two)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return (one, two) if waiting[0].done() else (two, one)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def outcome(desk: Running, acs_credential_id: str, **wish: Any) -> EncoderError | None:
    """Why a person who asks for a credential at this desk doesn't get it; None where they do."""
    ask = desk.agent.operations.reencode if "reason" in wish else desk.agent.operations.encode
    attempt = ask(acs_credential_id, encoder=None, who="cli:me", **wish)
    await asyncio.wait_for(attempt.over.wait(), 60)
    return attempt.error


def verified(*desks: Running) -> list[str]:
    """The credentials that were written, one entry to a verified card."""
    return [
        entry["acs_credential_id"]
        for desk in desks
        for entry in desk.agent.journal.audit()
        if entry["event"] == "verified"
    ]


def issued_events(service: httpx.Client, acs_credential_id: str) -> list[str]:
    found = service.post("/events/list", json={"since": "2020-01-01T00:00:00Z"}).json()["events"]
    return [
        e["event_type"]
        for e in found
        if e.get("acs_credential_id") == acs_credential_id and "issued" in e["event_type"]
    ]
