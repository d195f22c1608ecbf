"""The whole agent in the test's own event loop: its parts can be looked at, and its events waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx

from agent.config import check
from agent.daemon import Agent
from agent.events import Event
from agent.journal import Job
from drivers.virtual.driver import VirtualEncoder

VIRTUAL = {"name": "Desk", "driver": "virtual", "options": {"feed": "manual"}}
PATIENCE_S = 15.0
T = TypeVar("T")


@dataclass(frozen=True)
class Running:
    """An agent that is up, with its files in `folder`."""

    agent: Agent
    folder: Path

    @property
    def url(self) -> str:
        return self.agent.desk.url

    @property
    def token(self) -> str:
        return (self.folder / "desk-token").read_text().strip()

    @property
    def encoder(self) -> VirtualEncoder:
        """The first encoder."""
        return cast(VirtualEncoder, self.agent.stations[0].encoder)

    def control(self) -> httpx.AsyncClient:
        """A client on the control socket."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.folder / "control.sock"), verify=False)  # no TLS here
        return httpx.AsyncClient(transport=transport, base_url="http://agent", timeout=60)

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A client on the loopback port, with the token unless `headers` say otherwise."""
        headers.setdefault("authorization", f"Bearer {self.token}")
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, verify=False)

    async def link(self) -> str:
        """A fresh one-time link to the page."""
        async with self.control() as control:
            return str((await control.post("/api/link")).json()["url"])

    async def until(self, condition: Callable[[], T], what: str) -> T:
        """Wait until something is true, looking again after every event: its first true value."""
        with self.agent.events.subscribe() as queue:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while not (value := condition()):
                        await queue.get()
            except TimeoutError:
                raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}") from None
        return value

    async def event(self, kind: str, begin: Callable[[], Any] = lambda: None) -> Event:
        """The next event of this kind after `begin`."""
        with self.agent.events.subscribe() as queue:
            begin()
            async with asyncio.timeout(PATIENCE_S):
                while (event := await queue.get()).kind != kind:
                    pass
        return event

    def job(self, display_name: str) -> Job | None:
        """The newest job of the credential with this name."""
        journal = self.agent.journal
        jobs = [job for job in journal.queue() + journal.recent() if job.credential.get("display_name") == display_name]
        return max(jobs, key=lambda job: job.job_id, default=None)


@asynccontextmanager
async def running_agent(
    folder: Path,
    service_url: str,
    key: str,
    *,
    encoders: Sequence[dict[str, Any]] = (VIRTUAL,),
    claims: dict[str, Any] | None = None,
    kind: str = "bridge",
) -> AsyncIterator[Running]:
    """Run an agent against this service until the block ends. `encoders` are `[[encoder]]` tables, `claims` its own.

    `kind` is what the service is.
    """
    (folder / "api-key").write_text(key)
    config = check(
        {
            "service": {
                "endpoint": service_url,
                "api_key_file": str(folder / "api-key"),
                "poll_interval_s": 0.05,
                "kind": kind,
            },
            "journal": {"path": str(folder / "journal.sqlite3")},
            "desk": {"listen": "127.0.0.1:0", "socket": str(folder / "control.sock")},
            "encoder": list(encoders),
            "claims": claims or {},
        }
    )
    agent = Agent(config)
    up = asyncio.Event()

    async def started() -> None:
        up.set()

    run = asyncio.create_task(agent.run(started=started))
    waiting = asyncio.create_task(up.wait())
    await asyncio.wait([run, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if up.is_set():
            yield Running(agent, folder)
    finally:
        agent.stop()
        await run
