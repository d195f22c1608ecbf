"""A whole agent in this process, against a sandbox service, for measuring."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from agent import clock, config
from agent.daemon import Agent
from tests.rig.sandbox import KEY

COMMAND = Path(sys.executable).with_name("card-encoder")


@contextmanager
def service(folder: Path, *, cards: int) -> Iterator[str]:
    """The sandbox service in a process of its own, so that its work isn't counted as the agent's. Yields its URL."""
    command = [COMMAND, "sandbox", "--service-only", "--port", "0", "--cards", str(cards)]
    process = subprocess.Popen([*command, "--db", folder / "service.sqlite3"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "http://" in line)
        yield line[line.index("http://") :].split()[0]
    finally:
        process.terminate()
        process.wait()


def empty(url: str) -> None:
    """Delete all credentials of the sample hotel."""
    with client(url) as http:
        for credential in http.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
            http.post("/acs/credentials/delete", json={"acs_credential_id": credential["acs_credential_id"]})


def client(url: str) -> httpx.Client:
    """A client of the sandbox."""
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"})


def create(http: httpx.Client, number: str) -> str:
    """A waiting card credential with this number. Returns its id."""
    users = http.post("/acs/users/list", json={}).json()["acs_users"]
    body = {
        "access_method": "card",
        "acs_user_id": users[0]["acs_user_id"],
        "external_type": "hid_credential",
        "card_number": number,
        "ends_at": clock.to_text(clock.now() + timedelta(days=2)),
    }
    answer = http.post("/acs/credentials/create", json=body)
    created: dict[str, Any] = answer.json()
    return str(created["acs_credential"]["acs_credential_id"])


@asynccontextmanager
async def agent(folder: Path, url: str, encoder: dict[str, Any], *, poll_interval_s: float) -> AsyncIterator[Agent]:
    """The agent, running in this event loop."""
    os.environ["CARD_ENCODER_API_KEY"] = KEY
    running = Agent(
        config.check(
            {
                "service": {"endpoint": url, "poll_interval_s": poll_interval_s},
                "journal": {"path": folder / "journal.sqlite3"},
                "desk": {"listen": "127.0.0.1:0", "socket": folder / "control.sock"},
                "encoder": [{"name": "Desk", **encoder}],
            }
        )
    )
    started = asyncio.Event()

    async def up() -> None:
        started.set()

    task = asyncio.create_task(running.run(started=up))
    await started.wait()
    try:
        yield running
    finally:
        running.stop()
        await task
