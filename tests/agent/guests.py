"""A desk with a virtual encoder and a service without guests, and what happens to the credentials of those who come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import clock
from agent.journal import Job, JobState
from tests.rig.agent import Running, running_agent
from tests.rig.sandbox import Sandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(cards=0) as sandbox:
        yield sandbox


@pytest.fixture
def service(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with sandbox.client() as client:
        for credential in client.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
            delete(client, credential["acs_credential_id"])
        yield client


@pytest.fixture
async def desk(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> AsyncIterator[Running]:
    async with running_agent(tmp_path, sandbox.url, sandbox.key) as running:
        await running.until(lambda: running.agent.stations[0].online, "the encoder")
        yield running


def create(service: httpx.Client, number: str, **changes: Any) -> str:
    user = service.post("/acs/users/list", json={}).json()["acs_users"][0]
    body = {
        "access_method": "card",
        "acs_user_id": user["acs_user_id"],
        "external_type": "hid_credential",
        "card_number": number,
        "ends_at": clock.to_text(clock.now() + timedelta(days=2)),
    } | changes
    answer = service.post("/acs/credentials/create", json=body).json()
    return str(answer["acs_credential"]["acs_credential_id"])


def delete(service: httpx.Client, acs_credential_id: str) -> None:
    service.post("/acs/credentials/delete", json={"acs_credential_id": acs_credential_id})


def change_access(service: httpx.Client, acs_credential_id: str) -> None:
    service.post(
        "/acs/credentials/update",
        json={"acs_credential_id": acs_credential_id, "ends_at": clock.to_text(clock.now() + timedelta(days=3))},
    )


async def poll(desk: Running) -> None:
    await desk.agent.polling.poll_once()


def job(desk: Running, acs_credential_id: str) -> Job:
    found = desk.agent.journal.last_job(acs_credential_id)
    assert found is not None
    return found


async def issued(desk: Running, acs_credential_id: str) -> None:
    await desk.until(lambda: job(desk, acs_credential_id).state is JobState.REPORTED, "the report")


async def swap(desk: Running, uid: str | None = None) -> str:
    """Take the card away, if there is one, and put this or a new one down."""
    station = desk.agent.stations[0]
    if station.card_here:
        desk.encoder.take()
        await desk.until(lambda: not station.card_here, "the card to be gone")
    return desk.encoder.put(uid)
