"""Cards without a UID, at an encoder that doesn't see them: which job goes on which, and what is known of it later."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from agent.journal import JobState, JournalError
from agent.sandbox.app import create_app
from drivers.errors import UncategorizedError
from tests.agent.guests import change_access, create, issued, job, poll, sandbox, service, swap
from tests.agent.unseen import desk_with, drivers, in_state, refused, report_of, swiped, table
from tests.rig.agent import VIRTUAL, Running
from tests.rig.gate import Gate
from tests.rig.sandbox import Sandbox, serving
from tests.rig.unseen import SWIPE_TO_WRITE, Card

__all__ = ["drivers", "sandbox", "service"]
pytestmark = pytest.mark.usefixtures("drivers")

A_WRITE = 3
"""Swipes: to look at the card, to write it, to verify it."""


def remembered(desk: Running) -> list[object]:
    return desk.agent.journal._database.rows("SELECT * FROM cards")


@pytest.mark.promise(1, 3)
async def test_each_stripe_is_written_and_reported_once(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("swiped")) as desk:
        for number in ("1001", "1002", "1003"):
            credential, stripe = create(service, number), Card()
            await poll(desk)
            swiped(desk).bring(stripe, A_WRITE)
            await issued(desk, credential)
            assert stripe.text == report_of(desk, credential)["card_number"] == number
        assert remembered(desk) == []
        assert desk.agent.journal.count_reports() == 0
        shown = desk.agent.operations.state()["encoders"][0]
        assert (shown["card_here"], shown["take_the_card_away"], shown["asks_for_cards"]) == (False, False, False)


@pytest.mark.promise(4)
async def test_a_reissue_goes_on_the_stripe_that_holds_the_number(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("swiped")) as desk:
        first, stripe, blank = create(service, "1001"), Card(), Card()
        await poll(desk)
        swiped(desk).bring(stripe, A_WRITE)
        await issued(desk, first)
        change_access(service, first)
        await poll(desk)
        error = await refused(desk, lambda: swiped(desk).bring(blank))
        assert (error["type"], blank.text) == ("credential_cannot_be_reissued", None)
        swiped(desk).bring(stripe)  # it holds the number already: one swipe is enough
        await issued(desk, first)
        attempt = desk.agent.operations.reencode(first, reason="lost", encoder=None, who="me", replace_card=True)
        await desk.until(lambda: attempt.job_id, "the job")
        swiped(desk).bring(blank, A_WRITE)
        await attempt.over.wait()
        assert (attempt.error, blank.text) == (None, "1001")


@pytest.mark.promise(5)
async def test_an_interrupted_stripe_is_read_and_finished_before_any_other(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("swiped")) as desk:
        living, own = create(service, "1001"), Card()
        await poll(desk)
        swiped(desk).bring(own, A_WRITE)
        await issued(desk, living)
        torn, stripe = create(service, "1002"), Card()
        await poll(desk)
        swiped(desk).faults.append("torn")
        error = await refused(desk, lambda: swiped(desk).bring(stripe, 2))
        assert error["type"] == "encoding_interrupted"
        assert (job(desk, torn).state, job(desk, torn).card_uid) == (JobState.WRITING, "")
        other = create(service, "1003")
        await poll(desk)
        error = await refused(desk, lambda: swiped(desk).bring(own))
        assert (error["type"], own.text) == ("incompatible_card_format", "1001")
        assert f"reencode {torn} --replace-card" in error["next_step"]
        assert job(desk, torn).state is JobState.WRITING
        swiped(desk).bring(stripe, A_WRITE)
        await issued(desk, torn)
        assert stripe.text == "1002"
        swiped(desk).bring(Card(), A_WRITE)
        await issued(desk, other)
        assert remembered(desk) == []


@pytest.mark.promise(1, 5)
async def test_a_stripe_that_was_not_verified_and_is_right_is_not_written_again(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("swiped")) as desk:
        credential, stripe = create(service, "1001"), Card()
        await poll(desk)
        swiped(desk).faults.append("unread")
        await refused(desk, lambda: swiped(desk).bring(stripe, A_WRITE))
        await in_state(desk, credential, JobState.WRITING)
        swiped(desk).bring(stripe)
        await issued(desk, credential)
        assert len(desk.agent.journal._database.rows("SELECT 1 FROM outbox")) == 1


@pytest.mark.promise(4, 6)
async def test_a_stripe_whose_report_is_on_its_way_is_someones(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    gate = Gate()
    with serving(gate.wrap(create_app(sandbox.store, sandbox.key))) as url:
        async with desk_with(tmp_path, sandbox, table("swiped"), url=url) as desk:
            first, stripe = create(service, "1001"), Card()
            await poll(desk)
            swiped(desk).bring(stripe, A_WRITE)
            await in_state(desk, first, JobState.VERIFIED)
            create(service, "1002")
            await poll(desk)
            error = await refused(desk, lambda: swiped(desk).bring(stripe))
            assert (error["type"], stripe.text) == ("incompatible_card_format", "1001")
            gate.is_open.set()
            await issued(desk, first)


@pytest.mark.promise(6)
async def test_what_cannot_be_read_is_written_over_at_a_persons_word(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("swiped")) as desk:
        credential, stripe = create(service, "1001"), Card(foreign=True)
        await poll(desk)
        error = await refused(desk, lambda: swiped(desk).bring(stripe))
        assert (error["type"], stripe.foreign) == ("incompatible_card_format", True)
        attempt = desk.agent.operations.encode(credential, encoder=None, who="me", overwrite=True)
        await desk.until(lambda: attempt.job_id, "the job")
        swiped(desk).bring(stripe, A_WRITE)
        await attempt.over.wait()
        assert (attempt.error, stripe.text) == (None, "1001")


@pytest.mark.promise(4)
async def test_a_credential_on_a_chip_does_not_get_a_stripe_too(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, VIRTUAL, table("swiped", "Stripes")) as desk:
        credential, stripe = create(service, "1001"), Card()
        await poll(desk)
        await swap(desk)
        await issued(desk, credential)
        change_access(service, credential)
        await poll(desk)
        error = await refused(desk, lambda: swiped(desk, 1).bring(stripe), at=1)
        assert (error["type"], stripe.text) == ("credential_cannot_be_reissued", None)


async def test_a_credential_without_a_number_is_for_encoders_whose_cards_have_one(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    """A stripe has no UID to take the number's place."""
    credential = create(service, None)  # type: ignore[arg-type]
    async with desk_with(tmp_path, sandbox, table("swiped")) as desk:
        await poll(desk)
        assert (job(desk, credential).state, job(desk, credential).code) == (JobState.WAITING, "no_encoder_for_it")
        assert "no card number" in job(desk, credential).reason
    async with desk_with(tmp_path, sandbox, table("swiped"), VIRTUAL | {"name": "Chips"}) as desk:
        await poll(desk)
        attempt = desk.agent.operations.encode(credential, encoder="Desk", who="me")
        await attempt.over.wait()
        assert isinstance(attempt.error, UncategorizedError)
        assert "'Chips'" in attempt.error.next_step
        desk.agent.stations[1].encoder.put()  # type: ignore[attr-defined]
        await issued(desk, credential)


async def test_while_a_stripe_is_to_be_written_its_prompt_is_shown_and_nobody_takes_the_job_away(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("swiped", patience_s=0.3)) as desk:
        station, operations = desk.agent.stations[0], desk.agent.operations
        credential = create(service, "1001")
        await poll(desk)
        swiped(desk).bring(Card())
        await desk.until(lambda: station.prompt == SWIPE_TO_WRITE, "the prompt")
        shown = operations.state()["encoders"][0]
        assert (shown["prompt"], shown["waits"], shown["silent"]) == (SWIPE_TO_WRITE, False, False)
        with pytest.raises(UncategorizedError, match="written this very moment"):
            operations.hold(job(desk, credential).job_id, who="me")
        await in_state(desk, credential, JobState.CLAIMED)  # nobody swiped: nothing was written
        await desk.until(lambda: station.job is None, "the encoder to give up")
        operations.hold(job(desk, credential).job_id, who="me")
        assert job(desk, credential).state is JobState.HELD


async def test_a_scan_takes_the_next_stripe_and_writes_nothing(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("swiped")) as desk:
        credential, stripe = create(service, "1001"), Card(text="9999")
        await poll(desk)
        attempt = desk.agent.operations.scan(encoder=None)
        await desk.until(lambda: desk.agent.stations[0].prompt, "the prompt")
        swiped(desk).bring(stripe)
        await attempt.over.wait()
        assert attempt.error is None
        assert (attempt.detail["card_uid"], attempt.detail["card_number"]) == ("", "9999")
        assert (stripe.text, job(desk, credential).state) == ("9999", JobState.CLAIMED)
        swiped(desk).bring(Card(), A_WRITE)
        await issued(desk, credential)


async def test_an_agent_stops_while_it_waits_for_a_swipe(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    create(service, "1001")
    with capture_logs() as logs:
        async with desk_with(tmp_path, sandbox, table("swiped")) as desk:
            await poll(desk)
    assert "stopped" in [entry["event"] for entry in logs]
    assert not [entry for entry in logs if entry["event"].startswith("left behind")]


async def test_a_stripe_that_was_begun_and_whose_time_is_over_is_to_be_taken_back(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("swiped")) as desk:
        journal = desk.agent.journal
        credential = create(service, "1001")
        await poll(desk)
        swiped(desk).faults.append("torn")
        await refused(desk, lambda: swiped(desk).bring(Card(), 2))
        assert journal.may_be_on_a_card(credential)
        assert journal.expire("9999") == [job(desk, credential).job_id]
        (out,) = journal.to_take_back("")
        assert out.acs_credential_id == credential
        journal.cancel(out.job_id, actor="me", code="cancelled", reason="r")
        assert journal.to_take_back("") == []
        assert not journal.may_be_on_a_card(credential)


@pytest.mark.promise(4, 6)
async def test_the_journal_never_takes_a_card_without_uid_for_a_known_one(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("swiped")) as desk:
        with pytest.raises(JournalError), desk.agent.journal._database.transaction("by_mistake") as connection:
            connection.execute("INSERT INTO cards VALUES ('', 'c', 1, 'live', '1', 0, NULL, '')")
        assert desk.agent.journal.card("") is None
