"""What people ask for, and what they get: on the virtual encoder, against the sandbox service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from agent import picking
from agent.attempts import Attempt
from agent.journal import IllegalStep, Job, JobState
from drivers.errors import EncoderNotOnline
from tests.agent.guests import create, desk, issued, job, poll, sandbox, service, swap
from tests.rig.agent import VIRTUAL, Running, running_agent
from tests.rig.sandbox import Sandbox

__all__ = ["desk", "sandbox", "service"]


@pytest.fixture
async def attended(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> AsyncIterator[Running]:
    async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[VIRTUAL | {"mode": "attended"}]) as running:
        await running.until(lambda: running.agent.stations[0].online, "the encoder")
        yield running


async def over(attempt: Attempt) -> Attempt:
    await attempt.over.wait()
    return attempt


async def failure(attempt: Attempt) -> tuple[str, str]:
    """The type and the next step."""
    await attempt.over.wait()
    assert attempt.error is not None
    return attempt.error.type, attempt.error.next_step


def encode(desk: Running, acs_credential_id: str, **how: bool) -> Attempt:
    return desk.agent.operations.encode(acs_credential_id, encoder=None, who="me", **how)


def reencode(desk: Running, acs_credential_id: str, **how: bool) -> Attempt:
    return desk.agent.operations.reencode(acs_credential_id, reason="because", encoder=None, who="me", **how)


async def test_picked_comes_first(desk: Running, service: httpx.Client) -> None:
    older, newer = create(service, "1"), create(service, "2")
    await poll(desk)
    attempt = encode(desk, newer)
    await desk.until(lambda: attempt.job_id, "the job")
    await swap(desk)
    await over(attempt)
    assert attempt.as_json()["status"] == "success"
    assert attempt.result is not None
    assert (attempt.result["acs_credential_id"], attempt.result["is_issued"]) == (newer, True)
    assert attempt.result["warnings"] == []
    assert attempt.detail["reported"] is True
    assert job(desk, older).state is JobState.CLAIMED


async def test_an_attended_desk_writes_what_is_picked_and_nothing_else(
    attended: Running, service: httpx.Client
) -> None:
    first, second = create(service, "1"), create(service, "2")
    await poll(attended)
    await swap(attended)
    attempt = encode(attended, second)
    await over(attempt)
    assert attempt.error is None
    assert job(attended, second).state is JobState.REPORTED
    await swap(attended)
    attempt = attended.agent.operations.scan(encoder=None)
    await over(attempt)
    assert job(attended, first).state is JobState.WAITING


async def test_what_an_encoder_begins_by_itself_meanwhile_serves_the_person_too(
    desk: Running, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = create(service, "1")
    issuing, let_go = desk.agent.stations[0].issuing, asyncio.Event()
    latest = issuing.latest

    async def latest_after_all(job: Job) -> object:
        await let_go.wait()
        return await latest(job)

    @asynccontextmanager
    async def taking(*_: object, **__: object) -> AsyncIterator[None]:
        await desk.until(lambda: desk.agent.stations[0].job, "the encoder to begin by itself")
        yield

    monkeypatch.setattr(issuing, "latest", latest_after_all)
    monkeypatch.setattr(desk.agent.claims, "taking", taking)
    desk.encoder.put()
    attempt = encode(desk, wanted)
    await desk.until(lambda: attempt.job_id or attempt.error, "the person's wish to be taken")
    let_go.set()
    assert (await over(attempt)).error is None
    assert job(desk, wanted).requested_by is None


async def test_no_card_in_time(attended: Running, service: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picking, "CARD_WAIT_S", 0.05)
    first = create(service, "1")
    assert (await failure(encode(attended, first)))[0] == "no_credential_on_encoder"
    assert job(attended, first).state is JobState.WAITING
    assert not job(attended, first).picked


async def test_an_encoder_that_goes_away_while_a_card_is_awaited(
    attended: Running, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picking, "CARD_WAIT_S", 0.5)

    def gone() -> None:
        raise EncoderNotOnline("It was unplugged.")

    attempt = encode(attended, create(service, "1"))
    await attended.until(lambda: attempt.job_id, "the job")
    monkeypatch.setattr(attended.encoder, "open", gone)
    attended.encoder.fail_next("offline")
    assert await failure(attempt) == ("encoder_not_online", EncoderNotOnline.default_next_step)


async def test_an_encoder_that_waits_for_an_interrupted_card_says_so(
    attended: Running, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = create(service, "1"), create(service, "2")
    await poll(attended)
    attended.encoder.fail_next("torn")
    torn = await swap(attended)
    assert (await failure(encode(attended, first)))[0] == "encoding_interrupted"
    await swap(attended)
    monkeypatch.setattr(picking, "CARD_WAIT_S", 0.05)
    kind, next_step = await failure(encode(attended, second))
    assert kind == "action_attempt_expired"
    assert f"Put card {torn} back" in next_step
    assert f"reencode {first} --replace-card" in next_step


@pytest.mark.promise(6)
async def test_a_card_that_was_not_taken_away(
    desk: Running, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = create(service, "1"), create(service, "2")
    await poll(desk)
    await swap(desk)
    await issued(desk, first)
    monkeypatch.setattr(picking, "CARD_WAIT_S", 0.05)
    kind, next_step = await failure(encode(desk, second))
    assert kind == "action_attempt_expired"
    assert "Take it away" in next_step
    assert job(desk, second).state is JobState.CLAIMED


async def test_what_cannot_be_encoded(desk: Running, service: httpx.Client) -> None:
    unknown = "11111111-1111-4111-8111-111111111111"
    assert (await failure(encode(desk, unknown)))[0] == "credential_deleted"
    first = create(service, "1")
    await poll(desk)
    await swap(desk)
    await issued(desk, first)
    kind, next_step = await failure(encode(desk, first))
    assert kind == "credential_cannot_be_reissued"
    assert "reencode" in next_step
    code = create(service, "2", access_method="code", card_number=None, external_type=None, code="1234")
    assert (await failure(encode(desk, code)))[0] == "credential_cannot_be_reissued"
    attempt = desk.agent.operations.encode(first, encoder="Nowhere", who="me")
    kind, next_step = await failure(attempt)
    assert kind == "encoder_not_online"
    assert "'Desk'" in next_step


async def test_hold_resume_cancel(desk: Running, service: httpx.Client) -> None:
    first = create(service, "1")
    await poll(desk)
    operations = desk.agent.operations
    operations.hold(job(desk, first).job_id, who="me")
    kind, next_step = await failure(encode(desk, first))
    assert (kind, "resume" in next_step) == ("uncategorized_error", True)
    await poll(desk)
    assert job(desk, first).state is JobState.HELD
    operations.resume(job(desk, first).job_id, who="me")
    assert job(desk, first).state is JobState.CLAIMED
    operations.cancel(job(desk, first).job_id, who="me")
    await poll(desk)
    assert job(desk, first).state is JobState.CANCELLED
    with pytest.raises(IllegalStep, match="cancelled already"):
        operations.cancel(job(desk, first).job_id, who="me")
    # A person who asks for it again gets it.
    attempt = encode(desk, first)
    await desk.until(lambda: attempt.job_id, "the job")
    await swap(desk)
    await over(attempt)
    assert job(desk, first).state is JobState.REPORTED


async def test_reencode_on_its_own_card(desk: Running, service: httpx.Client) -> None:
    first = create(service, "1")
    await poll(desk)
    own_card = await swap(desk)
    await issued(desk, first)
    attempt = reencode(desk, first)
    await desk.until(lambda: attempt.job_id, "the job")
    await poll(desk)
    await swap(desk, own_card)
    await over(attempt)
    assert attempt.error is None
    report = desk.agent.journal.report_of(job(desk, first).job_id)
    assert report is not None
    assert report.body["replaces_card_number"] is None


async def test_reencode_that_nobody_brings_a_card_for_leaves_nothing_behind(
    desk: Running, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = create(service, "1")
    await poll(desk)
    await swap(desk)
    await issued(desk, first)
    desk.encoder.take()
    await desk.until(lambda: not desk.agent.stations[0].card_here, "the card to be gone")
    monkeypatch.setattr(picking, "CARD_WAIT_S", 0.05)
    assert (await failure(reencode(desk, first)))[0] == "no_credential_on_encoder"
    assert job(desk, first).state is JobState.CANCELLED
    assert desk.agent.journal.open_job(first) is None


async def test_the_person_may_give_up_a_torn_card(desk: Running, service: httpx.Client) -> None:
    """The card broke in the middle: another one takes its place, when a person says so and why."""
    first = create(service, "1")
    await poll(desk)
    desk.encoder.fail_next("torn")
    torn = await swap(desk)
    await desk.until(lambda: job(desk, first).code == "encoding_interrupted", "the interruption")
    await swap(desk)
    outcome = await desk.until(lambda: desk.agent.stations[0].last_outcome, "the refusal")
    assert outcome["error"]["type"] == "encoding_interrupted"
    assert job(desk, first).state is JobState.WRITING
    attempt = reencode(desk, first, replace_card=True)
    await over(attempt)
    assert attempt.error is None
    assert job(desk, first).card_uid != torn
    card = desk.agent.journal.card(torn)
    assert card is not None
    assert str(card.standing) == "void"


async def test_scan(desk: Running, service: httpx.Client) -> None:
    first = create(service, "1")
    await poll(desk)
    own_card = await swap(desk)
    await issued(desk, first)
    attempt = await over(desk.agent.operations.scan(encoder=None))
    assert attempt.result is not None
    assert attempt.detail["match"] is True
    assert attempt.result["acs_credential_on_seam"]["acs_credential_id"] == first
    await swap(desk, own_card)
    again = await over(desk.agent.operations.scan(encoder="Desk"))
    assert again.detail["match"] is True
    await swap(desk)
    blank = await over(desk.agent.operations.scan(encoder=None))
    assert blank.result is not None
    assert blank.result["acs_credential_on_encoder"] is None
    assert blank.detail["match"] is False


@pytest.mark.promise(6)
async def test_a_card_that_was_only_scanned_is_not_written(desk: Running, service: httpx.Client) -> None:
    await swap(desk)
    await over(desk.agent.operations.scan(encoder=None))
    first = create(service, "1")
    await poll(desk)
    again = await over(desk.agent.operations.scan(encoder=None))
    assert again.detail["card_state"] == "blank"
    assert job(desk, first).state is JobState.CLAIMED
    attempt = await over(encode(desk, first))
    assert attempt.error is None


def test_attempts_are_forgotten_in_the_end() -> None:
    from agent.attempts import Attempts

    attempts = Attempts()
    first = attempts.begin("SCAN_CREDENTIAL")
    for _ in range(1000):
        attempts.begin("SCAN_CREDENTIAL")
    assert attempts.get(first.action_attempt_id) is None
    assert len(attempts.list()) == 1000
    newest = attempts.list()[0]
    newest.succeed({"a": 1})
    newest.fail(picking.UncategorizedError("late"))
    assert newest.status == "success"
