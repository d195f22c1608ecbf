"""A desk whose service is real, and lied about: what a person asks there, and what is to be true in the end."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from agent import holders, issuing, picking, polling, reporting, scanning, service, wanted
from agent.cli.failures import encoder_failure
from agent.journal import JobState
from drivers.virtual.cards import VirtualType2
from tests.agent.guests import delete
from tests.rig.agent import PATIENCE_S, Running, running_agent
from tests.rig.cards import text_on
from tests.rig.lies import ELSEWHERE, TOO_MUCH
from tests.rig.sandbox import KEY, Sandbox, running_sandbox
from tests.rig.scripted import Liar, lying

NUMBER = "164d29dc4a09b65f"
HOST = "The service"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(cards=0) as sandbox:
        yield sandbox


@pytest.fixture
def guests(sandbox: Sandbox) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {sandbox.key}"}
    with httpx.Client(base_url=sandbox.url, headers=headers, verify=False) as client:
        for credential in client.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
            delete(client, credential["acs_credential_id"])
        yield client


@pytest.fixture
async def liar(sandbox: Sandbox) -> AsyncIterator[Liar]:
    async with lying(sandbox.url) as liar:
        yield liar


@pytest.fixture(autouse=True)
def impatience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's pauses and limits, shortened: their relations stay. Time-outs only where one is to run out."""
    monkeypatch.setattr(service, "_MOST_BYTES", TOO_MUCH // 4)
    monkeypatch.setattr(service, "_EVENTS_AGAIN_S", 0.05)
    monkeypatch.setattr(service, "LONGEST_RETRY_AFTER_S", 0.3)
    monkeypatch.setattr(polling, "_LONGEST_WISH", 0.3)
    monkeypatch.setattr(polling, "_MOST_OF_THE_TIME", 0.5)
    monkeypatch.setattr(reporting, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(reporting, "_PAUSE_WITHOUT_KEY", 0.2)
    monkeypatch.setattr(picking, "_REPORT_WAIT_S", 0.05)
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and getattr(callspec.params.get("case"), "slow", False):
        no_patience(monkeypatch)


def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's time-outs run out soon."""
    monkeypatch.setattr(service, "_TIMEOUT", httpx.Timeout(0.3))
    for module, limit in (
        (service, "_LONGEST_EXCHANGE_S"),
        (service, "_LONGEST_FOR_EVENTS_S"),
        (issuing, "LONGEST_WITH_A_CARD_S"),
        (holders, "LONGEST_WITH_A_CARD_S"),
        (wanted, "LONGEST_WITH_A_CARD_S"),
        (scanning, "_LONGEST_WAIT_S"),
    ):
        monkeypatch.setattr(module, limit, 0.5)


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    """No part of the agent came to an end over it, and what is secret is in no log."""
    with capture_logs() as logs:
        yield
    assert [entry for entry in logs if entry["event"] in ("fault", "driver failed")] == []
    assert NUMBER not in str(logs)
    assert KEY not in str(logs)


@asynccontextmanager
async def desk_at(folder: Path, liar: Liar) -> AsyncIterator[Running]:
    async with running_agent(folder, liar.front.url, KEY) as desk:
        await desk.until(lambda: desk.agent.stations[0].online, "the encoder")
        yield desk


async def ask(desk: Running, acs_credential_id: str) -> tuple[int, dict[str, Any]]:
    """`card-encoder encode ID`: its exit code, and the agent's answer."""
    return await outcome(desk, "/api/encode", acs_credential_id=acs_credential_id)


async def outcome(desk: Running, path: str, **asked: str) -> tuple[int, dict[str, Any]]:
    """What comes of something asked on the control socket: the command's exit code, and the agent's answer."""
    async with desk.control() as control:
        answer = (await control.post(path, json=asked)).json()
        attempt = answer["action_attempt"]
        while attempt["status"] == "pending":
            path = f"/api/attempts/{attempt['action_attempt_id']}"
            answer = (await control.get(path, params={"wait": 20})).json()
            attempt = answer["action_attempt"]
    if attempt["status"] == "success":
        return 0, answer
    assert answer["next_step"]
    return encoder_failure(attempt["error"]["type"], "").exit_code, answer


def is_picked(desk: Running, acs_credential_id: str) -> bool:
    found = desk.agent.journal.open_job(acs_credential_id)
    return found is not None and found.picked


async def ask_and_put_down(desk: Running, acs_credential_id: str) -> tuple[int, dict[str, Any], str]:
    """The same, and a fresh card as soon as the agent waits for one, or has said no. Returns its UID, too."""
    asking = asyncio.create_task(ask(desk, acs_credential_id))
    async with asyncio.timeout(PATIENCE_S):
        while not asking.done() and not is_picked(desk, acs_credential_id):
            await asyncio.sleep(0.005)
    uid = desk.encoder.put()
    return *(await asking), uid


async def state(desk: Running) -> dict[str, Any]:
    """What `/api/state` says."""
    async with desk.control() as control:
        answer: dict[str, Any] = (await control.get("/api/state")).json()
        return answer


async def polled(desk: Running, liar: Liar, times: int = 2) -> None:
    """Let the agent look at the whole list some times more."""
    seen = len(liar.asked("request.list"))
    async with asyncio.timeout(15):
        while len(liar.asked("request.list")) < seen + times:
            await asyncio.sleep(0.01)


def card_text(desk: Running, uid: str) -> str | None:
    card = desk.encoder.card(uid)
    assert isinstance(card, VirtualType2)
    return text_on(card)


async def take(desk: Running) -> None:
    desk.encoder.take()
    await desk.until(lambda: not desk.agent.stations[0].card_here, "the card to be gone")


async def reported(desk: Running, acs_credential_id: str) -> None:
    await desk.until(
        lambda: (found := desk.agent.journal.last_job(acs_credential_id)) and found.state is JobState.REPORTED,
        "the report",
    )


def applied(guests: httpx.Client, acs_credential_id: str) -> list[str]:
    """What the service says has happened to the credential."""
    query = {"since": "2020-01-01T00:00:00Z", "acs_credential_id": acs_credential_id}
    return [event["event_type"] for event in guests.post("/events/list", json=query).json()["events"]]


def gaps(liar: Liar, operation: str) -> list[float]:
    times = [request.at for request in liar.asked(operation)]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def all_is_well(desk: Running, liar: Liar, guests: httpx.Client, acs_credential_id: str, uid: str) -> None:
    """The card holds the number, the service knows, once, and nobody went where a redirect led."""
    assert card_text(desk, uid) == NUMBER
    assert applied(guests, acs_credential_id) == ["acs_credential.issued"]
    assert desk.agent.journal.count_reports() == 0
    keys = {request.headers["idempotency-key"] for request in liar.asked("request.report")}
    bodies = {json.dumps(request.body, sort_keys=True) for request in liar.asked("request.report")}
    assert len(keys) == len(bodies) == len(desk.agent.journal.cards_of(acs_credential_id)) == 1
    assert ELSEWHERE not in {request.path for request in liar.front.requests}
