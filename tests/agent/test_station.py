"""Which job goes on which card: on the virtual encoder, against the sandbox service."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import httpx
import pytest
from structlog.testing import capture_logs

from agent.choice import Spent
from agent.journal import JobState
from agent.sandbox.app import create_app
from drivers.virtual.driver import VirtualEncoder
from tests.agent.guests import change_access, create, delete, desk, issued, job, poll, sandbox, service, swap
from tests.rig.agent import VIRTUAL, Running, running_agent
from tests.rig.gate import Gate
from tests.rig.sandbox import Sandbox, serving

__all__ = ["desk", "sandbox", "service"]


async def test_oldest_first(desk: Running, service: httpx.Client) -> None:
    first, second = create(service, "1"), create(service, "2")
    await poll(desk)
    await swap(desk)
    await issued(desk, first)
    assert job(desk, second).state is JobState.CLAIMED
    await swap(desk)
    await issued(desk, second)


async def test_an_encoder_that_was_never_there_is_logged_once(tmp_path: Path, sandbox: Sandbox) -> None:
    nowhere = {"name": "Desk", "driver": "twn4", "options": {"port": str(tmp_path / "port")}}
    with capture_logs() as logs:
        async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[nowhere]) as running:
            station = running.agent.stations[0]
            first = await running.until(lambda: station.trouble, "the trouble")
            station.look_for_the_device()
            await running.until(lambda: station.trouble is not first, "another look")
    (said,) = [log for log in logs if log["event"] == "encoder is offline"]
    assert (said["log_level"], said["error"]) == ("warning", first.message)


@pytest.mark.promise(6)
async def test_the_same_card_is_not_written_twice_in_a_row(desk: Running, service: httpx.Client) -> None:
    first = create(service, "1")
    await poll(desk)
    await swap(desk)
    await issued(desk, first)
    second = create(service, "2")
    await poll(desk)
    station = desk.agent.stations[0]
    assert station.spent is Spent.WRITTEN
    desk.agent.operations.scan(encoder=None)
    await desk.until(lambda: not station._scans, "the scan")
    assert job(desk, second).state is JobState.CLAIMED


@pytest.mark.promise(4)
async def test_a_changed_credential_does_not_hold_up_the_others(desk: Running, service: httpx.Client) -> None:
    """It has to go on its own card: a new card is for the next guest, though that one came later."""
    first = create(service, "1")
    await poll(desk)
    own_card = await swap(desk)
    await issued(desk, first)
    change_access(service, first)
    await poll(desk)
    second = create(service, "2")
    await poll(desk)
    await swap(desk)
    await issued(desk, second)
    assert job(desk, first).state is JobState.CLAIMED
    await swap(desk, own_card)
    await issued(desk, first)
    assert job(desk, first).card_uid == own_card


async def test_a_card_that_is_someones_gets_what_is_its_own(desk: Running, service: httpx.Client) -> None:
    first = create(service, "1")
    await poll(desk)
    own_card = await swap(desk)
    await issued(desk, first)
    second = create(service, "2")
    await poll(desk)
    change_access(service, first)
    await poll(desk)
    # The second one is older in the queue; the card is the first one's.
    await swap(desk, own_card)
    await issued(desk, first)
    assert job(desk, second).state is JobState.CLAIMED


async def test_a_blank_card_waits_for_a_job_that_fits(desk: Running, service: httpx.Client) -> None:
    first = create(service, "1")
    await poll(desk)
    await swap(desk)
    await issued(desk, first)
    change_access(service, first)
    await poll(desk)
    await swap(desk)
    station = desk.agent.stations[0]
    await desk.until(lambda: bool(station.last_outcome and station.last_outcome["error"]), "the refusal")
    assert station.last_outcome is not None
    assert station.last_outcome["error"]["type"] == "credential_cannot_be_reissued"
    assert station.spent is None
    second = create(service, "2")
    await poll(desk)
    await issued(desk, second)


@pytest.mark.promise(4, 6)
async def test_a_card_whose_report_is_on_its_way_is_someones(
    tmp_path: Path, service: httpx.Client, sandbox: Sandbox
) -> None:
    """The service still says that it isn't issued: the desk knows better."""
    gate = Gate()
    with serving(gate.wrap(create_app(sandbox.store, sandbox.key))) as url:
        async with running_agent(tmp_path, url, sandbox.key) as desk:
            first = create(service, "1")
            await poll(desk)
            card = await swap(desk)
            await desk.until(lambda: job(desk, first).state is JobState.VERIFIED, "the card to be written")
            second = create(service, "2")
            await poll(desk)
            await swap(desk, card)
            station = desk.agent.stations[0]
            await desk.until(lambda: station.spent is Spent.REFUSED, "the refusal")
            assert station.last_outcome is not None
            assert station.last_outcome["error"]["type"] == "incompatible_card_format"
            assert job(desk, second).state is JobState.CLAIMED
            gate.is_open.set()
            await issued(desk, first)


@pytest.mark.promise(4)
async def test_two_encoders_and_one_credential(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> None:
    """A blank card lies on each: only one of them may be written."""
    encoders = [VIRTUAL, VIRTUAL | {"name": "Second"}]
    async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=encoders) as desk:
        stations = desk.agent.stations
        for number in range(10):
            for station in stations:
                cast(VirtualEncoder, station.encoder).put()
            await desk.until(lambda: all(s.card_here and s.spent is None for s in stations), "the cards")
            first = create(service, f"100{number}")
            await poll(desk)
            await issued(desk, first)
            await desk.until(lambda: not any(s.job for s in stations), "both to be done")
            assert sorted(str(s.spent) for s in stations) == ["None", "written"]
            attempts = desk.agent.journal._database.rows(
                "SELECT outcome FROM attempts WHERE job_id = ?", job(desk, first).job_id
            )
            assert [row["outcome"] for row in attempts] == ["verified"]
            for station in stations:
                cast(VirtualEncoder, station.encoder).take()
            await desk.until(lambda: not any(s.card_here for s in stations), "the cards to be gone")


@pytest.mark.promise(4)
async def test_a_replaced_card_that_turns_up_again_starts_no_loop(desk: Running, service: httpx.Client) -> None:
    first = create(service, "1")
    await poll(desk)
    old = await swap(desk)
    await issued(desk, first)
    attempt = desk.agent.operations.reencode(first, reason="lost", encoder=None, who="me", replace_card=True)
    await desk.until(lambda: attempt.job_id, "the job")
    await swap(desk)
    await attempt.over.wait()
    assert attempt.error is None
    change_access(service, first)
    await poll(desk)
    second = create(service, "2")
    await poll(desk)
    await swap(desk, old)
    await issued(desk, second)
    tries = desk.agent.journal._database.rows("SELECT 1 FROM attempts WHERE job_id = ?", job(desk, first).job_id)
    assert len(tries) <= 2


async def test_a_number_that_fits_no_card_holds_up_nobody(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    encoder = VIRTUAL | {"overwrite": "always", "options": {"feed": "manual", "layout": "wiegand"}}
    async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[encoder]) as desk:
        wrong, right = create(service, "no number at all"), create(service, "12-345")
        await poll(desk)
        await swap(desk)
        await issued(desk, right)
        assert (job(desk, wrong).state, job(desk, wrong).code) == (JobState.HELD, "number_does_not_fit")


async def test_what_was_known_of_a_card_goes_with_the_encoder(desk: Running, service: httpx.Client) -> None:
    """An encoder that was away may come back with another card on it."""
    first = create(service, "1")
    await poll(desk)
    own_card = await swap(desk)
    await issued(desk, first)
    change_access(service, first)
    await poll(desk)
    await swap(desk)
    station = desk.agent.stations[0]
    await desk.until(lambda: station.choice._found is not None and not station.job, "the blank card to be looked at")
    desk.encoder.fail_next("offline")
    await desk.agent.operations.scan(encoder=None).over.wait()
    await desk.until(lambda: station.online and station.card_here, "the encoder to be back")
    await swap(desk, own_card)
    await issued(desk, first)


async def test_what_was_deleted_at_the_last_moment_is_not_written(desk: Running, service: httpx.Client) -> None:
    first, second = create(service, "1"), create(service, "2")
    await poll(desk)
    delete(service, first)
    await swap(desk)
    await issued(desk, second)
    assert (job(desk, first).state, job(desk, first).code) == (JobState.CANCELLED, "credential_deleted")


async def test_a_number_that_changes_at_the_last_moment_is_the_new_one(
    desk: Running, service: httpx.Client, sandbox: Sandbox
) -> None:
    """The service is asked again just before the first byte."""
    first = create(service, "1")
    await poll(desk)
    stale = {**job(desk, first).credential, "card_number": "7777"}
    desk.agent.polling.refresh(first, stale)
    await swap(desk)
    await issued(desk, first)
    report = desk.agent.journal.report_of(job(desk, first).job_id)
    assert report is not None
    assert report.body["card_number"] == "1"


async def test_an_encoder_that_goes_away_and_comes_back(desk: Running, service: httpx.Client) -> None:
    first = create(service, "1")
    desk.encoder.fail_next("offline")
    await poll(desk)
    await swap(desk)
    await issued(desk, first)
    assert desk.agent.stations[0].online


@pytest.mark.parametrize("fault", ["torn", "swallowed_write"])
@pytest.mark.promise(1, 5)
async def test_trouble_on_the_way_to_issued(desk: Running, service: httpx.Client, fault: str) -> None:
    first = create(service, "1")
    desk.encoder.fail_next(fault)
    await poll(desk)
    uid = await swap(desk)
    station = desk.agent.stations[0]
    await desk.until(
        lambda: job(desk, first).state is JobState.REPORTED or station.last_outcome is not None, "an outcome"
    )
    if job(desk, first).state is not JobState.REPORTED:
        await swap(desk, uid)
        await issued(desk, first)
    assert job(desk, first).card_uid == uid


async def test_a_locked_card_is_refused_and_the_next_one_taken(desk: Running, service: httpx.Client) -> None:
    first = create(service, "1")
    desk.encoder.fail_next("locked")
    await poll(desk)
    await swap(desk)
    station = desk.agent.stations[0]
    await desk.until(lambda: station.spent is Spent.REFUSED, "the refusal")
    assert station.last_outcome is not None
    assert station.last_outcome["error"]["type"] == "incompatible_card_format"
    await swap(desk)
    await issued(desk, first)


@pytest.mark.promise(5, 7)
async def test_a_card_that_was_begun_and_can_not_be_finished_says_the_way_out(
    desk: Running, service: httpx.Client
) -> None:
    """Another card would not be taken for this job: so the advice is not to take one."""
    credential = create(service, "1")
    await poll(desk)
    desk.encoder.fail_next("torn")
    uid = await swap(desk)
    await desk.until(lambda: job(desk, credential).state is JobState.WRITING, "the tear")
    await desk.until(lambda: not desk.agent.stations[0].card_here, "the card to be gone")
    desk.encoder.fail_next("locked")
    desk.encoder.put(uid)
    outcome = await desk.until(
        lambda: (o := desk.agent.stations[0].last_outcome) and o["error"]["type"] != "encoding_interrupted" and o,
        "the card to be refused",
    )
    assert outcome["error"]["type"] == "incompatible_card_format"
    assert f"reencode {credential} --replace-card" in outcome["error"]["next_step"]
    assert "Take another card" not in outcome["error"]["next_step"]
    assert job(desk, credential).state is JobState.WRITING
    await swap(desk, uid)
    await issued(desk, credential)
