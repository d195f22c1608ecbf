"""Every request that the agent makes, crossed with every way in which it can go wrong.

The agent is whole, the service is real, and what stands between them lies (tests/rig/lies.py). Each case says what the
person at the desk is told, what becomes of job, card and report, and that all is well by itself once the truth is told
again, or after `resume` where the contract says so.
"""

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

from agent import issuing, picking, polling, reporting, service
from agent.cli.failures import encoder_failure
from agent.journal import JobState, OutboxState
from drivers.virtual.cards import VirtualType2
from tests.agent.guests import create, delete, job
from tests.rig.agent import PATIENCE_S, Running, running_agent
from tests.rig.cards import text_on
from tests.rig.lies import CASES, ELSEWHERE, TOO_MUCH, Case, Means
from tests.rig.sandbox import KEY, Sandbox, running_sandbox
from tests.rig.scripted import OPERATIONS, Liar, lying
from tests.rig.steps import all_steps

NUMBER = "164d29dc4a09b65f"
HOST = "The service"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(cards=0) as sandbox:
        yield sandbox


@pytest.fixture
def guests(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with sandbox.client() as client:
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
    if callspec is not None and callspec.params["case"].slow:
        monkeypatch.setattr(service, "_TIMEOUT", httpx.Timeout(0.3))
        for module, limit in (
            (service, "_LONGEST_EXCHANGE_S"),
            (service, "_LONGEST_FOR_EVENTS_S"),
            (issuing, "_LONGEST_WAIT_S"),
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


every_lie = pytest.mark.parametrize("case", CASES, ids=str)


async def ask(desk: Running, acs_credential_id: str) -> tuple[int, dict[str, Any]]:
    """`card-encoder encode ID`: its exit code, and the agent's answer."""
    async with desk.control() as control:
        answer = (await control.post("/api/encode", json={"acs_credential_id": acs_credential_id})).json()
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


def test_every_request_is_lied_about() -> None:
    assert set(OPERATIONS) == {step for step in all_steps() if step.startswith("request.")}


@every_lie
@pytest.mark.promise(2, 7)
async def test_a_list_that_lies(case: Case, tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    """Nothing is known, nothing is written, and the desk says why."""
    acs_credential_id = create(guests, NUMBER)
    liar.lie("request.list", case.lie)
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.polling.service_up is False, "the trouble to be seen")
        uid = desk.encoder.put()
        await desk.until(lambda: desk.agent.stations[0].card_here, "the card")
        shown = await state(desk)
        assert shown["service"]["up"] is False
        assert shown["service"]["trouble"].startswith(HOST)
        assert shown["service"]["key_refused"] is (case.means is Means.KEY)
        assert shown["queue"] == shown["recent"] == []
        assert card_text(desk, uid) is None
        liar.relent()
        await reported(desk, acs_credential_id)
        await desk.until(lambda: desk.agent.polling.service_up, "the service to be back")
        assert all(gap >= case.wish for gap in gaps(liar, "request.list")[:1])
        shown = await state(desk)
        assert (shown["service"]["up"], shown["service"]["trouble"], shown["service"]["key_refused"]) == (
            True,
            None,
            False,
        )
        all_is_well(desk, liar, guests, acs_credential_id, uid)


@every_lie
@pytest.mark.promise(2, 5, 7)
async def test_a_credential_that_cannot_be_fetched(
    case: Case, tmp_path: Path, liar: Liar, guests: httpx.Client
) -> None:
    """The service is away: what was claimed goes on. It won't say, or says that it is gone: nothing is written."""
    acs_credential_id = create(guests, NUMBER)
    liar.lie("request.get", case.lie)
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
        code, answer, uid = await ask_and_put_down(desk, acs_credential_id)
        error = answer["action_attempt"]["error"]
        if case.means is Means.AWAY:
            assert code == 0
            await reported(desk, acs_credential_id)
            liar.relent()
        elif case.means is Means.GONE:
            assert (code, error["type"]) == (17, "credential_deleted")
            liar.relent()
            # The list has it all the same: only the credential itself said that it was gone, and says so no longer.
            await reported(desk, acs_credential_id)
        else:
            assert (code, error["type"]) == (15, "bridge_disconnected")
            assert "The service answered" in error["message"]
            await desk.until(lambda: desk.agent.stations[0].spent, "the card to be refused")
            assert job(desk, acs_credential_id).state is JobState.CLAIMED
            assert job(desk, acs_credential_id).code == "bridge_disconnected"
            assert card_text(desk, uid) is None
            assert liar.asked("request.report") == []
            asked = len(liar.asked("request.get"))
            await polled(desk, liar)
            assert len(liar.asked("request.get")) == asked  # one try a card, not one a moment
            liar.relent()
            await take(desk)
            desk.encoder.put(uid)
            await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)


@every_lie
@pytest.mark.promise(2, 3, 7)
async def test_a_report_that_is_not_acknowledged(case: Case, tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    """The card is written: its report is kept whatever the service says, sent again as is, and applied once."""
    acs_credential_id = create(guests, NUMBER)
    liar.lie("request.report", case.lie)
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
        code, answer, uid = await ask_and_put_down(desk, acs_credential_id)
        assert card_text(desk, uid) == NUMBER
        report = await desk.until(
            lambda: (found := desk.agent.journal.report_of(1)) and found.last_answer and found, "an answer"
        )
        written, shown = job(desk, acs_credential_id), await state(desk)
        if case.means in (Means.AWAY, Means.KEY):
            assert (code, answer["detail"]["reported"]) == (0, False)
            assert (report.state, written.state, written.code) == (OutboxState.PENDING, JobState.VERIFIED, "verified")
            assert shown["service"]["key_refused"] is (case.means is Means.KEY)
            assert shown["reports"]["entries"][0]["last_answer"].startswith(HOST)
            await desk.until(lambda: len(liar.asked("request.report")) >= 2, "another try")
            assert gaps(liar, "request.report")[0] >= max(case.wish, 0.025)
            liar.relent()
            await reported(desk, acs_credential_id)
            assert (await state(desk))["service"]["key_refused"] is False
        elif case.means in (Means.NO, Means.CONFLICT):
            conflict = case.means is Means.CONFLICT
            assert (code, report.state, written.state, written.code) == (
                (12, OutboxState.CONFLICT, JobState.FAILED, "conflict")
                if conflict
                else (0, OutboxState.REFUSED, JobState.VERIFIED, "report_refused")
            )
            assert ("reencode" if conflict else f"resume {written.job_id}") in written.reason
            assert shown["reports"]["unfinished"] == 1
            liar.relent()
            await polled(desk, liar)
            assert len(liar.asked("request.report")) == 1  # kept, shown, not hammered
            async with desk.control() as control:
                assert (await control.post("/api/resume", json={"job_id": written.job_id})).json()["ok"]
            await reported(desk, acs_credential_id)
        else:
            assert (code, report.state, written.state) == (17, OutboxState.ORPHANED, JobState.ORPHANED)
            assert "Take the card back" in written.reason
            assert desk.agent.journal.cards_of(acs_credential_id) == []
            liar.relent()
            # It is there again: that takes another write, with a report of its own.
            liar.front.requests.clear()
            await take(desk)
            desk.encoder.put(uid)
            await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)


@every_lie
@pytest.mark.promise(2)
async def test_events_that_lie(case: Case, tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    """Nothing rests on them: it is issued all the same, and the service counts as there."""
    acs_credential_id = create(guests, NUMBER)
    liar.lie("request.events", case.lie)
    async with desk_at(tmp_path, liar) as desk:
        uid = desk.encoder.put()
        await reported(desk, acs_credential_id)
        await desk.until(lambda: desk.agent.polling.last_pass_at, "a whole pass")
        await desk.until(lambda: liar.asked("request.events"), "the lie")
        shown = await state(desk)
        assert (shown["service"]["up"], shown["service"]["trouble"]) == (True, None)
        all_is_well(desk, liar, guests, acs_credential_id, uid)
