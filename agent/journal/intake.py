"""How a listed credential becomes a job, or changes one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from agent import clock
from agent.journal.model import Intake, Job, JobState
from agent.journal.rows import audit_job, job_of, move, note, set_held
from agent.journal.schema import OPEN

CANCELLED_BY_PERSON = "cancelled"
"""The code of a job that a person cancelled: it isn't begun again as long as the credential stays the same."""

PUT_IT_BACK = "Writing its card was interrupted. Put the same card back: it will be read, and finished where needed."

ORDER_UNKNOWN = "order_unknown"
"""The code of a job whose order went out, and of which no answer came."""

ORDER_STANDS = "order_stands"
"""The code of a job whose order was answered, and whose card can't be finished with that: a person decides."""

NO_ANSWER = "Its key was ordered, and no answer came: whether it was made is not known."

EVERY_CREDENTIAL = "*"
"""Stands for all credentials in the table of doubts, until the service was asked which there are."""

JOURNAL_LOST = "journal_lost"
"""The code of a job that is held because of a doubt."""


def take_in(connection: sqlite3.Connection, intake: Intake, seen_at: str, asked_for: bool) -> None:
    """Make the credential's job, or bring it into line. See `Journal.take_in`."""
    now = clock.now_text()
    content = (
        intake.credential,
        intake.digest,
        intake.reissue,
        intake.vendor,
        intake.issued,
        intake.card_number,
        intake.sort_key,
        intake.ends_at,
        intake.acs_system_id,
        intake.by_order,
    )
    row = connection.execute(
        f"SELECT * FROM jobs WHERE acs_credential_id = ? AND state IN {OPEN}",
        (intake.acs_credential_id,),
    ).fetchone()
    if row is None:
        if intake.state is JobState.CANCELLED or not (asked_for or _is_news(connection, intake, seen_at)):
            return
        intake, held_by = _held_where_in_doubt(connection, intake)
        job_id = connection.execute(
            "INSERT INTO jobs (acs_credential_id, state, ready, code, reason, credential, digest, reissue, vendor, "
            "issued, card_number, sort_key, ends_at, acs_system_id, by_order, asked, held_by, held_from, created_at, "
            "updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                intake.acs_credential_id,
                intake.state,
                intake.ready,
                intake.code,
                intake.reason,
                *content,
                intake.asked,
                *((held_by, "waiting") if intake.state is JobState.HELD else (None, None)),
                now,
                now,
            ),
        ).lastrowid
        _join(connection, job_id, intake.joins)
        _pass_on_the_order(connection, job_id, intake)
        if intake.state is JobState.HELD and job_id is not None:
            audit_job(connection, "held", job_of(connection, job_id), code=intake.code)
        return
    job = Job.of(row)
    connection.execute(
        "UPDATE jobs SET credential = ?, digest = ?, reissue = ?, vendor = ?, issued = ?, "
        "card_number = ?, sort_key = ?, ends_at = ?, acs_system_id = ?, by_order = ? WHERE job_id = ?",
        (*content, job.job_id),
    )
    _join(connection, job.job_id, intake.joins)
    if job.state in (JobState.BOUND, JobState.WRITING, JobState.VERIFIED):
        return  # what is on its way to the card is decided anew at the card
    _follow(connection, job, intake)


def _pass_on_the_order(connection: sqlite3.Connection, job_id: int | None, intake: Intake) -> None:
    """What was noted of an order stands as long as no card came of it, though the job that gave it was cancelled.

    Not where the credential came on a card, or from one, since: that order is nothing to build upon any more.
    """
    connection.execute(
        "UPDATE orders SET job_id = ? WHERE job_id = (SELECT job_id FROM jobs WHERE acs_credential_id = ? "
        "AND job_id < ? ORDER BY job_id DESC LIMIT 1) "
        "AND EXISTS (SELECT 1 FROM jobs WHERE jobs.job_id = orders.job_id AND state = 'cancelled') "
        "AND ? = (SELECT attempts.issued FROM attempts JOIN jobs USING (job_id) WHERE acs_credential_id = ? "
        "ORDER BY attempt_id DESC LIMIT 1)",
        (job_id, intake.acs_credential_id, job_id, intake.issued, intake.acs_credential_id),
    )


def _is_news(connection: sqlite3.Connection, intake: Intake, seen_at: str) -> bool:
    """False where the credential's last job ended after `seen_at`, or was ended by a person and nothing has changed."""
    last = connection.execute(
        "SELECT * FROM jobs WHERE acs_credential_id = ? ORDER BY job_id DESC LIMIT 1", (intake.acs_credential_id,)
    ).fetchone()
    if last is None:
        return True
    if seen_at <= last["updated_at"] <= clock.now_text():  # else the clock was set back since: that tells nothing
        return False
    rests = last["state"] == "failed" or (last["state"] == "cancelled" and last["code"] == CANCELLED_BY_PERSON)
    return not (rests and last["digest"] == intake.digest)


def _held_where_in_doubt(connection: sqlite3.Connection, intake: Intake) -> tuple[Intake, str]:
    """The intake, held for a person where a card may have been made for it that this journal doesn't know of.

    One that is issued goes on the card that the service knows, and so on none that it might have besides.
    """
    doubt = connection.execute(
        "SELECT 1 FROM doubts WHERE acs_credential_id = ? OR (acs_credential_id = ? "
        "AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.acs_credential_id = ? AND code <> 'journal_set_aside'))",
        (intake.acs_credential_id, EVERY_CREDENTIAL, intake.acs_credential_id),
    ).fetchone()
    if doubt is None or intake.issued or intake.state is JobState.CANCELLED:
        return intake, "agent"
    connection.execute("DELETE FROM doubts WHERE acs_credential_id = ?", (intake.acs_credential_id,))
    vendors_own = (
        ""
        if intake.vendor is None and not intake.by_order
        else " See at the vendor's system, too, whether its key was made: another order voids that one."
    )
    reason = (
        "The journal was damaged: a card may have been made for it of which nobody knows. If there is such a card, put "
        "that one on the encoder, else a new one, and let it go on: `card-encoder resume "
        f"{intake.acs_credential_id}`. What a card holds, `card-encoder scan` tells.{vendors_own}"
    )
    return replace(intake, state=JobState.HELD, ready=False, code=JOURNAL_LOST, reason=reason), "journal"


def _follow(connection: sqlite3.Connection, job: Job, intake: Intake) -> None:
    """Bring a job that nobody is writing into line with a new decision."""
    if job.asked and intake.code == "not_waiting":
        return  # of course: that is why a person had to ask
    by_person = job.state is JobState.HELD and (job.held_by != "agent" or job.held_from == JobState.WRITING)
    if by_person and intake.state is not JobState.CANCELLED:
        return  # only a person lets it go
    target = intake.state
    if target is JobState.HELD and job.consent == intake.code:
        target, intake_ready = JobState.WAITING, True
    else:
        intake_ready = intake.ready
    if job.state is JobState.CLAIMED and target is JobState.WAITING and intake_ready:
        target = JobState.CLAIMED
    if job.state is JobState.CLAIMED and target is JobState.CLAIMED:
        connection.execute("UPDATE jobs SET ready = 1 WHERE job_id = ?", (job.job_id,))
        return
    connection.execute("UPDATE jobs SET ready = ? WHERE job_id = ?", (intake_ready, job.job_id))
    if target is not job.state:
        move(connection, job, target, code=intake.code, reason=intake.reason)
        connection.execute("UPDATE jobs SET held_by = NULL, held_from = NULL WHERE job_id = ?", (job.job_id,))
        if target is JobState.HELD:
            set_held(connection, job, "agent")
            audit_job(connection, "held", job, code=intake.code)
        elif target is JobState.CANCELLED:
            audit_job(connection, "cancelled", job, code=intake.code)
    else:
        note(connection, job, intake.code, intake.reason)


def _join(connection: sqlite3.Connection, job_id: int | None, joins: Sequence[str]) -> None:
    connection.execute("DELETE FROM joins WHERE job_id = ?", (job_id,))
    connection.executemany("INSERT OR IGNORE INTO joins VALUES (?, ?)", [(job_id, joined) for joined in joins])
