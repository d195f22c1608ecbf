"""What is noted of an order: when it may be, how long it stands, and what goes with it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent import clock
from agent.journal import IllegalStep, Job, JobState, Journal, OutboxState
from agent.journal.schema import MIGRATIONS
from agent.journal.soundness import first_damage
from drivers.encoder import OrderNote
from tests.agent.journal.samples import bind, claimed, intake, journal, writing

__all__ = ["journal"]

ASKED = OrderNote("asked", {"order": "o1", "before": ["k0"]})
ANSWERED = OrderNote("answered", {"order": "o1", "before": ["k0"], "card_id": "k1"}, "00ff")


def begun(journal: Journal, *notes: OrderNote | None, **changes: object) -> tuple[Job, int]:
    """A job whose card was begun, and what was noted of its order."""
    job = claimed(journal, **({"vendor": "visionline"} | changes))
    attempt = writing(journal, job)
    for note in notes:
        journal.note_order(job, attempt, note)
    return journal.job(job.job_id), attempt


def verified(journal: Journal, job: Job, attempt: int, *, reported: bool = False) -> None:
    journal.record_verified(
        job,
        attempt,
        card_number="n1",
        number_is_uid=False,
        verified_by="vendor_answer",
        replaces_card_number=None,
        reported=reported,
    )


def events(journal: Journal) -> list[str]:
    return [entry["event"] for entry in journal.audit()]


def test_what_is_noted_last_stands(journal: Journal) -> None:
    job, attempt = begun(journal, ASKED)
    assert journal.order_of(job.job_id) == ASKED
    journal.note_order(job, attempt, ANSWERED)
    assert journal.order_of(job.job_id) == ANSWERED
    journal.note_order(job, attempt, None)
    assert journal.order_of(job.job_id) is None
    assert events(journal) == ["writing", "ordering", "ordered", "order_refused"]
    facts = [entry["detail"].get("order") for entry in journal.audit()]
    assert facts == [None, ASKED.facts, ANSWERED.facts, None]
    assert "00ff" not in str(list(journal.audit()))


def test_it_is_on_the_disk_when_it_returns(journal: Journal) -> None:
    job, _ = begun(journal, ANSWERED)
    with closing(sqlite3.connect(journal.path)) as other:
        ((facts, image),) = other.execute("SELECT facts, image FROM orders WHERE job_id = ?", (job.job_id,))
    assert (json.loads(facts), image) == (ANSWERED.facts, ANSWERED.image)


States = Callable[[Journal], tuple[Job, int]]


def _claimed(journal: Journal) -> tuple[Job, int]:
    job = claimed(journal)
    attempt = bind(journal, job)
    journal.record_left(job, attempt, error_type="t", error="e")
    return job, attempt


def _bound(journal: Journal) -> tuple[Job, int]:
    job = claimed(journal)
    return job, bind(journal, job)


def _held(journal: Journal) -> tuple[Job, int]:
    job, attempt = begun(journal)
    journal.hold(job.job_id, actor="me", code="held_by_person", reason="r")
    return job, attempt


def _cancelled(journal: Journal) -> tuple[Job, int]:
    job, attempt = begun(journal)
    journal.cancel(job.job_id, actor="me", code="cancelled", reason="r")
    return job, attempt


def _verified(journal: Journal) -> tuple[Job, int]:
    job, attempt = begun(journal)
    verified(journal, job, attempt)
    return job, attempt


def _overtaken(journal: Journal) -> tuple[Job, int]:
    job, attempt = begun(journal)
    bind(journal, job)
    return job, attempt


@pytest.mark.parametrize("note", [ASKED, ANSWERED, None])
@pytest.mark.parametrize("state", [_claimed, _bound, _held, _cancelled, _verified, _overtaken])
@pytest.mark.promise(5)
def test_nothing_is_noted_but_of_the_card_that_is_being_written(
    state: States, note: OrderNote | None, journal: Journal
) -> None:
    job, attempt = state(journal)
    before = journal.last_job(job.acs_credential_id), events(journal)
    with pytest.raises(IllegalStep):
        journal.note_order(job, attempt, note)
    assert journal.order_of(job.job_id) is None
    assert (journal.last_job(job.acs_credential_id), events(journal)) == before


def test_the_image_goes_with_the_verified_card_and_the_rest_stays(journal: Journal) -> None:
    job, attempt = begun(journal, ASKED, ANSWERED)
    verified(journal, job, attempt)
    assert journal.order_of(job.job_id) == OrderNote("answered", ANSWERED.facts)
    assert first_damage(journal.path) is None


@pytest.mark.promise(5)
def test_a_card_that_is_given_up_takes_its_order_with_it(journal: Journal) -> None:
    job, _ = begun(journal, ANSWERED)
    journal.release_card(job.job_id, actor="me", reason="it is lost")
    assert journal.order_of(job.job_id) is None


@pytest.mark.promise(5)
def test_where_an_order_stands_the_card_is_not_as_it_was(journal: Journal) -> None:
    """Whatever the driver says: a key may have come of the order."""
    job = claimed(journal)
    attempt = writing(journal, job)
    journal.note_order(job, attempt, ANSWERED)
    journal.record_left(job, attempt, error_type="no_credential_on_encoder", error="It was taken away.")
    left = journal.job(job.job_id)
    assert (left.state, left.code, left.reason) == (JobState.WRITING, "no_credential_on_encoder", "It was taken away.")
    assert events(journal)[-1] == "interrupted"
    last = journal.last_attempt(job.job_id)
    assert last is not None
    assert last["outcome"] == "unknown"


def test_where_it_was_refused_it_is(journal: Journal) -> None:
    job = claimed(journal)
    attempt = writing(journal, job)
    journal.note_order(job, attempt, ASKED)
    journal.note_order(job, attempt, None)
    journal.record_left(job, attempt, error_type="incompatible_card_format", error="e")
    assert journal.job(job.job_id).state is JobState.CLAIMED


@pytest.mark.parametrize(("note", "code"), [(ASKED, "order_unknown"), (ANSWERED, "encoding_interrupted")])
@pytest.mark.promise(7)
def test_an_order_without_an_answer_has_a_code_of_its_own(note: OrderNote, code: str, journal: Journal) -> None:
    job, attempt = begun(journal, note)
    journal.record_unknown(job, attempt, error_type="encoding_interrupted", error="e")
    assert journal.job(job.job_id).code == code
    bind(journal, journal.job(job.job_id))
    journal.recover()
    assert journal.job(job.job_id).code == code
    held = journal.hold(job.job_id, actor="me", code="held_by_person", reason="r")
    resumed = journal.resume(held.job_id, actor="me")
    assert resumed.state is JobState.WRITING
    assert resumed.code == (code if note is ASKED else "resumed")
    assert journal.order_of(job.job_id) == note


# What comes after


ENDS: dict[str, Callable[[Journal, Job], object]] = {
    "cancelled": lambda j, job: j.cancel(job.job_id, actor="me", code="cancelled", reason="r"),
    "expired": lambda j, job: j.expire("9999"),
    "deleted": lambda j, job: j.record_deleted(job.acs_credential_id),
}


def anew(journal: Journal, **changes: object) -> Job:
    """The credential's next job."""
    values = {"vendor": "visionline", "digest": b"2"} | changes
    journal.take_in([intake(**values)], seen_at=clock.now_text(), asked_for=True)  # type: ignore[arg-type]
    job = journal.open_job("c1")
    assert job is not None
    return job


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("note", [ASKED, ANSWERED])
@pytest.mark.promise(4, 5)
def test_an_order_may_stand_after_its_job_has_ended(end: str, note: OrderNote, journal: Journal) -> None:
    job, _ = begun(journal, note, ends_at="2026")
    ENDS[end](journal, job)
    assert journal.job(job.job_id).state is JobState.CANCELLED
    following = anew(journal)
    for _ in range(2):
        assert following.job_id != job.job_id
        assert journal.order_of(following.job_id) == OrderNote(note.stage, note.facts)
        assert journal.order_of(job.job_id) is None
        job = journal.cancel(following.job_id, actor="me", code="cancelled", reason="r")
        following = anew(journal, digest=b"3")
    journal.claim(joiners=True)
    attempt = writing(journal, journal.job(following.job_id))
    journal.note_order(following, attempt, None)
    assert journal.order_of(following.job_id) is None
    assert first_damage(journal.path) is None


@pytest.mark.promise(4)
def test_an_order_that_came_to_a_card_is_not_the_next_jobs(journal: Journal) -> None:
    job, attempt = begun(journal, ANSWERED)
    verified(journal, job, attempt, reported=True)
    assert journal.order_of(anew(journal, issued=True, digest=b"2").job_id) is None
    assert journal.order_of(job.job_id) is not None


def test_nor_is_one_whose_credential_came_on_another_card_since(journal: Journal) -> None:
    job, _ = begun(journal, ASKED)
    journal.cancel(job.job_id, actor="me", code="cancelled", reason="r")
    assert journal.order_of(anew(journal, issued=True).job_id) is None


def test_nor_is_one_that_another_desk_took_over(journal: Journal) -> None:
    job, _ = begun(journal, ASKED)
    journal.record_taken_over(job.job_id, desk="another")
    assert journal.order_of(anew(journal).job_id) is None


@pytest.mark.promise(3)
def test_what_the_service_had_encoded_is_kept_as_a_report_that_was_acknowledged(journal: Journal) -> None:
    job, attempt = begun(journal, ANSWERED)
    verified(journal, job, attempt, reported=True)
    report = journal.report_of(job.job_id)
    assert report is not None
    assert (report.state, report.tries) == (OutboxState.ACKNOWLEDGED, 0)
    assert (journal.job(job.job_id).state, journal.count_reports()) == (JobState.REPORTED, 0)
    assert journal.due_report("9999") is None
    assert events(journal)[-2:] == ["verified", "reported"]
    assert first_damage(journal.path) is None


# Earlier versions


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_journal_of_any_earlier_version_takes_orders(version: int, tmp_path: Path) -> None:
    path = tmp_path / "j"
    with closing(sqlite3.connect(path)) as connection:
        for number, script in enumerate(MIGRATIONS[:version], start=1):
            connection.executescript(script)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(
            "INSERT INTO jobs (acs_credential_id, state, ready, code, reason, credential, digest, reissue, issued, "
            "card_number, sort_key, created_at, updated_at) VALUES ('c1', 'waiting', 1, 'waiting_to_be_issued', '', "
            """'{"acs_credential_id": "c1", "card_number": "n1"}', '', 0, 0, 'n1', '', '', '')"""
        )
        connection.commit()
    journal = Journal(path)
    journal.claim(joiners=True)
    job = journal.open_job("c1")
    assert job is not None
    attempt = writing(journal, job)
    journal.note_order(job, attempt, ANSWERED)
    verified(journal, job, attempt)
    journal.close()
    assert first_damage(path, whole_trail=True) is None
    again = Journal(path)
    assert again.order_of(job.job_id) == OrderNote("answered", ANSWERED.facts)
    again.close()
