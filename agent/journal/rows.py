"""Single changes of rows, of which the steps are made. Each is part of somebody's transaction."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any

from agent import clock
from agent.journal.audit import append
from agent.journal.model import IllegalStep, Job, JobState, JournalError, OutboxEntry, OutboxState
from agent.journal.schema import OPEN


def job_of(connection: sqlite3.Connection, job_id: int) -> Job:
    """The job with this number.

    Raises:
        JournalError: there is none.
    """
    row = connection.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise JournalError(f"There is no job {job_id}. `card-encoder queue` lists them.")
    return Job.of(row)


def open_job_of(connection: sqlite3.Connection, acs_credential_id: str) -> Job:
    """The credential's open job.

    Raises:
        JournalError: it has none.
    """
    row = connection.execute(
        f"SELECT * FROM jobs WHERE acs_credential_id = ? AND state IN {OPEN}",
        (acs_credential_id,),
    ).fetchone()
    if row is None:
        raise JournalError(f"Credential {acs_credential_id} has no open job.")
    return Job.of(row)


def move(
    connection: sqlite3.Connection, job: Job, state: JobState, *, code: str | None = None, reason: str | None = None
) -> None:
    """Into another state. `code` and `reason` stay where they are None.

    Raises:
        IllegalStep: it is in that state already; what isn't a step at all is refused by the database.
    """
    if job.state is state:
        raise IllegalStep(f"Job {job.job_id} is {state} already.")
    connection.execute(
        "UPDATE jobs SET state = ?, code = coalesce(?, code), reason = coalesce(?, reason), updated_at = ? "
        "WHERE job_id = ?",
        (state, code, reason, clock.now_text(), job.job_id),
    )
    if state in (JobState.WAITING, JobState.CLAIMED):  # how it was to be done, only who asked for it has said
        connection.execute(
            "UPDATE jobs SET replace_card = replace_card AND picked, overwrite = overwrite AND picked WHERE job_id = ?",
            (job.job_id,),
        )
    if state is JobState.WAITING:
        connection.execute("UPDATE jobs SET claim_token = NULL, claim_kept = 0 WHERE job_id = ?", (job.job_id,))


def note(connection: sqlite3.Connection, job: Job, code: str, reason: str) -> None:
    """Why the job stands where it stands, for machines and for people."""
    connection.execute(
        "UPDATE jobs SET code = ?, reason = ?, updated_at = ? WHERE job_id = ?",
        (code, reason, clock.now_text(), job.job_id),
    )


def set_held(connection: sqlite3.Connection, job: Job, by: str) -> None:
    """Who holds the job, and from which state it came. `job` is as it stood before."""
    connection.execute("UPDATE jobs SET held_by = ?, held_from = ? WHERE job_id = ?", (by, job.state, job.job_id))


def the_attempt(connection: sqlite3.Connection, attempt: int) -> sqlite3.Row:
    """The attempt with this number, as long as no other has begun for its job since.

    Raises:
        IllegalStep: another one has.
    """
    row: sqlite3.Row = connection.execute("SELECT * FROM attempts WHERE attempt_id = ?", (attempt,)).fetchone()
    newest = connection.execute("SELECT max(attempt_id) FROM attempts WHERE job_id = ?", (row["job_id"],)).fetchone()
    if newest[0] != attempt:
        raise IllegalStep(f"Another card was begun for job {row['job_id']} meanwhile.")
    return row


def put_card(
    connection: sqlite3.Connection, job: Job, standing: str, card_number: str | None, number_is_uid: bool
) -> None:
    """What the journal now thinks of the job's card. One without a UID is not remembered: the next one looks alike."""
    if not job.card_uid:
        return
    connection.execute(
        "INSERT OR REPLACE INTO cards VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.card_uid,
            job.acs_credential_id,
            job.job_id,
            standing,
            card_number,
            number_is_uid,
            job.ends_at,
            clock.now_text(),
        ),
    )


def number_digest(card_number: str) -> str:
    """What stands for a card number where the number itself is nobody's business."""
    return hashlib.sha256(card_number.encode()).hexdigest()


def verified_digest(content_digest: str, card_number: str) -> str:
    """The digest of a content that was verified, which tells the number that is reported for it.

    That of a card number does so already; behind any other the number's own is put.
    """
    number = number_digest(card_number)
    return content_digest if content_digest == number else f"{content_digest}:{number}"


def tells(content_digest: object, card_number: object) -> bool:
    """Whether the digest of a content that was verified tells this number: see `verified_digest`."""
    if not isinstance(content_digest, str) or not isinstance(card_number, str):
        return False
    return content_digest.rpartition(":")[2] == number_digest(card_number)


def order_digest(acs_credential_id: object, stage: object, facts: object, image_digest: object) -> str:
    """Of what is known of an order, as it stands in its row."""
    return number_digest(json.dumps([acs_credential_id, stage, facts, image_digest], default=repr))


def report_body(
    acs_credential_id: str, card_number: str, issued_at: str, replaces_card_number: str | None
) -> dict[str, Any]:
    """What is reported to the service (CONTRACT, section 5)."""
    return {
        "acs_credential_id": acs_credential_id,
        "card_number": card_number,
        "issued_at": issued_at,
        "acs_encoder_id": None,
        "replaces_card_number": replaces_card_number,
    }


def end_attempt(connection: sqlite3.Connection, attempt: int, outcome: str, error_type: str, error: str) -> None:
    """How an attempt ended."""
    connection.execute(
        "UPDATE attempts SET outcome = ?, error_type = ?, error = ?, ended_at = ? WHERE attempt_id = ?",
        (outcome, error_type, error, clock.now_text(), attempt),
    )


def end_entry(connection: sqlite3.Connection, entry: OutboxEntry, state: OutboxState, answer: str) -> None:
    """How a report ended, and what the service said."""
    connection.execute(
        "UPDATE outbox SET state = ?, tries = tries + 1, last_answer = ?, updated_at = ? WHERE outbox_id = ?",
        (state, answer, clock.now_text(), entry.outbox_id),
    )


def audit_job(connection: sqlite3.Connection, event: str, job: Job, *, actor: str = "agent", **detail: Any) -> None:
    """An entry in the audit trail about a job."""
    append(
        connection,
        event,
        actor=actor,
        job_id=job.job_id,
        acs_credential_id=job.acs_credential_id,
        encoder=job.encoder,
        card_uid=job.card_uid,
        **detail,
    )
