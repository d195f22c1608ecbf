"""The desk where a bad end comes about, and what a bad end is."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.attempts import Attempt
from agent.cli.app import call
from agent.journal import Job, JobState
from tests.agent.guests import create, delete
from tests.rig.agent import VIRTUAL, Running, running_agent
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import KEY, Sandbox
from tests.rig.scripted import Answer, Liar, Lie, Request, Spoken, lying

SECRET = "5ec2e7"
"""In every card number of these tests: it must be in none of their output."""


@dataclass
class Desk:
    """A desk that a lied-to service and clumsy hands bring to a bad end."""

    folder: Path
    liar: Liar
    guests: httpx.Client
    monkeypatch: pytest.MonkeyPatch
    pcscd: Pcscd | None
    later: AsyncExitStack
    """Ends what a case has begun, before the desk ends."""
    encoder_table: dict[str, Any]
    running: Running = field(init=False)
    up: AsyncExitStack = field(default_factory=AsyncExitStack)
    made: int = 0
    uid: str = ""
    """The card that it is about."""

    async def start(self) -> None:
        """Start the agent, on whatever files there are."""
        self.up = AsyncExitStack()
        running = running_agent(self.folder, self.liar.front.url, KEY, encoders=[self.encoder_table])
        self.running = await self.up.enter_async_context(running)
        station = self.running.agent.stations[0]
        await self.running.until(lambda: station.online or station.trouble, "the encoder")

    async def end(self) -> None:
        await self.up.aclose()

    async def credential(self, state: JobState = JobState.CLAIMED, **changes: Any) -> str:
        """A new credential whose job has come that far."""
        self.made += 1
        made = create(self.guests, f"{SECRET}-{self.made:04}", **changes)
        await self.stands(made, state)
        return made

    def find(self, acs_credential_id: str) -> Job | None:
        return self.running.agent.journal.last_job(acs_credential_id)

    def job(self, acs_credential_id: str) -> Job:
        job = self.find(acs_credential_id)
        assert job is not None
        return job

    async def stands(self, acs_credential_id: str, state: JobState, code: str | None = None) -> None:
        await self.running.until(
            lambda: (job := self.find(acs_credential_id)) and job.state is state and code in (None, job.code),
            f"{acs_credential_id} to be {state}",
        )

    async def comes(self, condition: Callable[[], Any]) -> None:
        """Wait for something that no event tells of."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    async def put(self, uid: str | None = None) -> None:
        """Put this or a new card down, and wait until the encoder is through with it."""
        station = self.running.agent.stations[0]
        station.last_outcome = None
        self.uid = self.running.encoder.put(uid or self.running.encoder._tray.new("NTAG213"))
        await self.running.until(lambda: station.last_outcome and station.job is None, "an outcome")

    async def take(self) -> None:
        self.running.encoder.take()
        await self.running.until(lambda: not self.running.agent.stations[0].card_here, "the card to be gone")

    async def issued(self, **changes: Any) -> str:
        """A credential on its card, which was taken away."""
        made = await self.credential(**changes)
        await self.put()
        await self.stands(made, JobState.REPORTED)
        await self.take()
        return made

    async def torn(self, **changes: Any) -> str:
        """A credential whose card was pulled away in the middle."""
        made = await self.credential(**changes)
        self.running.encoder.fail_next("torn")
        await self.put()
        await self.stands(made, JobState.WRITING)
        return made

    async def over(self, attempt: Attempt) -> None:
        await asyncio.wait_for(attempt.over.wait(), 30)

    def lie_about(self, **lies: Any) -> None:
        """From now on the service's list has every credential so."""
        self.liar.lie("request.list", listing(lambda found: [credential | lies for credential in found]))

    def facts(self, about: str | None) -> dict[str, Any]:
        """What the words of a case stand for."""
        facts: dict[str, Any] = {"uid": self.uid, "folder": self.folder}
        if about is not None:
            job = self.job(about)
            facts |= {"id": about, "job": job.job_id, "name": job.credential.get("display_name", about)}
        return facts

    async def command(self, *args: str) -> str:
        """What `card-encoder ARGS` prints, as plain text, on both streams."""
        return await command(self.folder, self.liar.front.url, *args)


async def command(folder: Path, service_url: str, *args: str) -> str:
    """What `card-encoder ARGS` prints, as plain text, on both streams, about the agent in this folder."""
    config = folder / "config.toml"
    config.write_text(
        f'[service]\nendpoint = "{service_url}"\n[journal]\npath = "{folder}/journal.sqlite3"\n'
        f'[desk]\nsocket = "{folder}/control.sock"\n'
    )
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        await asyncio.to_thread(call, [*args, "--config", str(config)])
    return out.getvalue()


def listing(change: Callable[[list[Any]], list[Any]]) -> Lie:
    """The service's list, with other things on it."""

    async def lie(_: Request, truth: Callable[[], Awaitable[Spoken]]) -> Answer:
        status, body = (await truth())[:2]
        answer = json.loads(body)
        if status == 200:
            answer["acs_credentials"] = change(answer["acs_credentials"])
        return status, answer

    return lie


@dataclass(frozen=True)
class BadEnd:
    """`come` brings it about and returns the credential it is about, if any.

    `queue`, `status` and `audit` are what these have to say, next step included, where {id}, {name}, {job}, {uid} and
    {folder} stand for the credential, its job and the card. `ends_in` are the states, codes and events that the journal
    has of it.
    """

    name: str
    come: Callable[[Desk], Awaitable[str | None]]
    queue: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    audit: tuple[str, ...] = ()
    ends_in: tuple[str, ...] = ()
    encoder: dict[str, Any] = field(default_factory=lambda: VIRTUAL)

    def __str__(self) -> str:
        return self.name


@asynccontextmanager
async def desk_for(
    case: BadEnd, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, pcscd: Pcscd | None
) -> AsyncIterator[Desk]:
    """A desk at a service without guests."""
    with sandbox.client() as guests:
        for credential in guests.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
            delete(guests, credential["acs_credential_id"])
        async with lying(sandbox.url) as liar, AsyncExitStack() as later:
            desk = Desk(folder, liar, guests, monkeypatch, pcscd, later, case.encoder)
            desk.encoder_table = {
                **case.encoder,
                "options": {
                    key: value.format(folder=folder) if isinstance(value, str) else value
                    for key, value in case.encoder.get("options", {}).items()
                },
            }
            later.push_async_callback(desk.end)
            await desk.start()
            yield desk


async def nothing(desk: Desk) -> None:
    """The way to a bad end that is there from the start."""
    await desk.running.until(lambda: desk.running.agent.polling.last_pass_at, "the first pass")


def seen(desk: Desk) -> Iterator[str]:
    """All states, codes and events that are in the journal."""
    for query in (
        "SELECT state FROM jobs UNION SELECT code FROM jobs",
        "SELECT state FROM outbox",
        "SELECT event FROM audit",
    ):
        yield from (row[0] for row in desk.running.agent.journal._database.rows(query))
