"""Every request that the agent makes, crossed with every way in which it can go wrong.

The agent is whole, the service is real, and what stands between them lies (tests/rig/lies.py). Each case says what the
person at the desk is told, what becomes of job, card and report, and that all is well by itself once the truth is told
again, or after `resume` where the contract says so.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from agent import picking
from agent.journal import JobState, OutboxState
from tests.agent.guests import create, job
from tests.agent.unseen import desk_with, drivers, guest_key, keymaking, table
from tests.rig.agent import PATIENCE_S
from tests.rig.lied_to import (
    HOST,
    NUMBER,
    all_is_well,
    applied,
    ask,
    ask_and_put_down,
    card_text,
    desk_at,
    gaps,
    guests,
    impatience,
    liar,
    no_faults,
    polled,
    reported,
    sandbox,
    state,
    take,
)
from tests.rig.lies import CASES, Case, Means
from tests.rig.sandbox import Sandbox
from tests.rig.scripted import OPERATIONS, Liar
from tests.rig.steps import all_steps, steps_of_the_services_encoders, steps_of_visionline

__all__ = ["drivers", "guests", "impatience", "liar", "no_faults", "sandbox"]

every_lie = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_request_is_lied_about() -> None:
    drivers_own = steps_of_visionline() | steps_of_the_services_encoders()  # which have tests of their own
    assert set(OPERATIONS) == {step for step in all_steps() - drivers_own if step.startswith("request.")}


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
async def test_a_report_that_is_not_acknowledged(
    case: Case, tmp_path: Path, liar: Liar, guests: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card is written: its report is kept whatever the service says, sent again as is, and applied once."""
    acs_credential_id = create(guests, NUMBER)
    liar.lie("request.report", case.lie)
    if case.means in (Means.GONE, Means.CONFLICT):
        monkeypatch.setattr(picking, "_REPORT_WAIT_S", PATIENCE_S)  # the answer ends it
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
        code, answer, uid = await ask_and_put_down(desk, acs_credential_id)
        assert card_text(desk, uid) == NUMBER
        report = await desk.until(
            lambda: (found := desk.agent.journal.report_of(1)) and found.last_answer and found, "an answer"
        )
        written, shown = desk.agent.journal.job(report.job_id), await state(desk)
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


@every_lie
@pytest.mark.usefixtures("drivers")
@pytest.mark.promise(2, 6, 7)
async def test_entrances_that_cannot_be_listed(
    case: Case, tmp_path: Path, liar: Liar, sandbox: Sandbox, guests: httpx.Client
) -> None:
    """No key is ordered for doors that are not known, and the person who asked is told why."""
    acs_credential_id = guest_key(guests, NUMBER)
    liar.lie("request.entrances", case.lie)
    encoder = table("keymaking", mode="attended", hopper=True)
    async with desk_with(tmp_path, sandbox, encoder, url=liar.front.url) as desk:
        await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
        code, answer = await ask(desk, acs_credential_id)
        error = answer["action_attempt"]["error"]
        gone = case.means is Means.GONE
        assert (code, error["type"]) == ((17, "credential_deleted") if gone else (15, "bridge_disconnected"))
        if not gone:
            assert HOST in error["message"]
            assert job(desk, acs_credential_id).state in (JobState.CLAIMED, JobState.WAITING)
        assert (keymaking(desk).asked, liar.asked("request.report")) == (0, [])
        liar.relent()
        code, _ = await ask(desk, acs_credential_id)
        assert code == 0
        await reported(desk, acs_credential_id)
        assert [order.number for order in keymaking(desk).made] == [NUMBER]
        assert applied(guests, acs_credential_id) == ["acs_credential.issued"]
