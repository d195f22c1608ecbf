"""What can be asked of the journal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from agent.journal import audit
from agent.journal.database import Database
from agent.journal.intake import JOURNAL_LOST
from agent.journal.model import Card, CardStanding, Job, JobState, OutboxEntry, OutboxState
from agent.journal.rows import job_of
from agent.journal.schema import CARD_IS_OUT, ENDED, OPEN, QUEUE

# A joiner comes after what it joins: as long as that is known here and not on its card, the joiner is passed over.
JOINS_ARE_DONE = """NOT EXISTS (
    SELECT 1 FROM joins JOIN jobs AS joined ON joined.acs_credential_id = joins.joined_id
    WHERE joins.job_id = jobs.job_id AND (
        joined.state IN ('waiting', 'claimed', 'bound', 'writing', 'held')
        OR (joined.state = 'cancelled' AND joined.code IN ('cancelled', 'expired') AND joined.job_id =
            (SELECT max(job_id) FROM jobs AS newest WHERE newest.acs_credential_id = joins.joined_id))))"""


# A card without a UID was begun, and was neither finished nor left as it was: nothing tells which one that is.
BEGUN_ON_ONE_OF_MANY = """(card_uid = '' AND (SELECT outcome FROM attempts WHERE attempts.job_id = jobs.job_id
    ORDER BY attempt_id DESC LIMIT 1) IN ('writing', 'unknown'))"""

# That card, unless it has been written for another credential since, which it can only have been at hand.
TO_TAKE_BACK = f"""{CARD_IS_OUT} AND (
    EXISTS (SELECT 1 FROM cards WHERE cards.uid = jobs.card_uid AND cards.job_id = jobs.job_id)
    OR (card_uid = '' AND state <> 'cancelled') OR {BEGUN_ON_ONE_OF_MANY})"""

_MOST_VALUES = 500  # in one query; SQLite takes some 30,000
_FEW = 5000
# With an open job, or one that a person ended: the newest says how the credential was last seen.
_KNOWN = f"""SELECT acs_credential_id, digest FROM jobs
    WHERE (state IN {OPEN} OR state = 'failed' OR (state = 'cancelled' AND code = 'cancelled'))"""


class Reading:
    """The journal's questions; `Journal` adds the steps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def job(self, job_id: int) -> Job:
        """The job with this number.

        Raises:
            JournalError: there is none.
        """
        with self._database.looking() as connection:
            return job_of(connection, job_id)

    def open_job(self, acs_credential_id: str) -> Job | None:
        """The credential's open job, of which there is one at most."""
        row = self._database.row(
            f"SELECT * FROM jobs WHERE acs_credential_id = ? AND state IN {OPEN}", acs_credential_id
        )
        return Job.of(row) if row else None

    def last_job(self, acs_credential_id: str) -> Job | None:
        """The credential's newest job, open or not."""
        row = self._database.row(
            "SELECT * FROM jobs WHERE acs_credential_id = ? ORDER BY job_id DESC LIMIT 1", acs_credential_id
        )
        return Job.of(row) if row else None

    def known_digests(self, acs_credential_ids: Sequence[str]) -> dict[str, bytes]:
        """For each of these credentials that has an open job, or one that a person ended, its digest as last seen."""
        found: dict[str, bytes] = {}
        for start in range(0, len(acs_credential_ids), _MOST_VALUES):
            some = acs_credential_ids[start : start + _MOST_VALUES]
            marks = ",".join("?" * len(some))
            rows = self._database.rows(f"{_KNOWN} AND acs_credential_id IN ({marks}) ORDER BY job_id", *some)
            found |= {row["acs_credential_id"]: row["digest"] for row in rows}
        return found

    def few_known_digests(self) -> dict[str, bytes] | None:
        """The same for all credentials, where these are few enough to be held at once; else None."""
        rows = self._database.rows(f"{_KNOWN} ORDER BY job_id LIMIT {_FEW + 1}")
        return None if len(rows) > _FEW else {row["acs_credential_id"]: row["digest"] for row in rows}

    def joins_pending(self, job: Job) -> bool:
        """Whether the job still waits for a credential that it joins."""
        row = self._database.row(f"SELECT {JOINS_ARE_DONE} AS done FROM jobs WHERE job_id = ?", job.job_id)
        return row is not None and not row["done"]

    def queue(self, limit: int = 200) -> list[Job]:
        """The open jobs, what comes next first."""
        found: list[Job] = []
        for state in QUEUE:
            found += self.in_state(JobState(state), limit - len(found))
        return found

    def in_state(self, state: JobState, limit: int) -> list[Job]:
        """The jobs that stand there, what comes next first."""
        rows = self._database.rows(
            "SELECT * FROM jobs WHERE state = ? ORDER BY priority DESC, sort_key, job_id LIMIT ?", state, limit
        )
        return [Job.of(row) for row in rows]

    def to_take_back(self, valid_after: str, limit: int = 1000) -> list[Job]:
        """The jobs that ended although a card was made or begun for them, the newest first.

        Each until a person has seen to its card, or until both its end and that of its validity are before then.
        """
        rows = self._database.rows(
            f"SELECT * FROM jobs INDEXED BY jobs_whose_card_is_out WHERE {TO_TAKE_BACK} "
            "AND max(coalesce(ends_at, '9999'), updated_at) > ? ORDER BY updated_at DESC, job_id DESC LIMIT ?",
            valid_after,
            limit,
        )
        return [Job.of(row) for row in rows]

    def recent(self, limit: int = 50) -> list[Job]:
        """The jobs that came to an end last."""
        rows = self._database.rows(
            f"SELECT * FROM jobs WHERE state IN {ENDED} ORDER BY updated_at DESC, job_id DESC LIMIT ?", limit
        )
        return [Job.of(row) for row in rows]

    def count_by_state(self) -> dict[JobState, int]:
        """How many jobs stand where; every state is there."""
        found = {
            row["state"]: row["n"] for row in self._database.rows("SELECT state, count(*) AS n FROM jobs GROUP BY 1")
        }
        return {state: found.get(state, 0) for state in JobState}

    def card(self, uid: str) -> Card | None:
        """What the journal knows of the card with this UID (lower-case hex): nothing where it has none."""
        row = self._database.row("SELECT * FROM cards WHERE uid = ?", uid)
        return _card(row) if row else None

    def number_is_uid(self, acs_credential_id: str, card_number: str | None) -> bool:
        """Whether this number of the credential is the UID of a card that was written for it."""
        row = self._database.row(
            "SELECT 1 FROM cards WHERE acs_credential_id = ? AND number_is_uid = 1 AND card_number = ? COLLATE NOCASE",
            acs_credential_id,
            card_number,
        )
        return card_number is None or row is not None

    def cards_of(self, acs_credential_id: str) -> list[Card]:
        """The cards that hold this credential, or may."""
        rows = self._database.rows(
            "SELECT * FROM cards WHERE acs_credential_id = ? AND standing <> 'void'", acs_credential_id
        )
        return [_card(row) for row in rows]

    def may_have_a_card(self, acs_credential_id: str) -> bool:
        """Whether a card may have been made for it of which only a journal that was lost knew."""
        row = self._database.row(
            f"SELECT 1 FROM jobs WHERE acs_credential_id = ? AND state IN {OPEN} AND ? IN (code, consent)",
            acs_credential_id,
            JOURNAL_LOST,
        )
        return row is not None

    def is_being_issued(self, acs_credential_id: str) -> bool:
        """Whether a card of this desk holds it, or may, of which the service doesn't know yet."""
        job = self.open_job(acs_credential_id)
        if job is None:
            return False
        return job.state in (JobState.WRITING, JobState.VERIFIED) or job.held_from == JobState.WRITING

    def begun_before_issue(self, job_id: int, uid: str) -> bool:
        """Whether this card was begun for the job when the service had the credential on no card yet."""
        row = self._database.row(
            "SELECT issued FROM attempts WHERE job_id = ? AND card_uid = ? ORDER BY attempt_id LIMIT 1", job_id, uid
        )
        return row is not None and not row["issued"]

    def last_attempt(self, job_id: int) -> dict[str, Any] | None:
        """The job's newest attempt, for people and for the doctor."""
        row = self._database.row("SELECT * FROM attempts WHERE job_id = ? ORDER BY attempt_id DESC LIMIT 1", job_id)
        return dict(row) if row else None

    def last_begun_at(self, acs_credential_id: str) -> str | None:
        """When the newest attempt at the credential began, whichever of its jobs that was for."""
        row = self._database.row(
            "SELECT started_at FROM attempts JOIN jobs USING (job_id) WHERE acs_credential_id = ? "
            "ORDER BY attempt_id DESC LIMIT 1",
            acs_credential_id,
        )
        return row["started_at"] if row else None

    def last_verified_uid(self, encoder: str) -> str | None:
        """The card that this encoder wrote last, unless it began with one since: then that card has been taken away.

        Empty where that card has no UID.
        """
        row = self._database.row(
            "SELECT card_uid, outcome FROM attempts WHERE encoder = ? ORDER BY attempt_id DESC LIMIT 1", encoder
        )
        return row["card_uid"] if row and row["outcome"] == "verified" else None

    def due_report(self, now: str, horizon: str = "9999") -> OutboxEntry | None:
        """The report that has been due for longest.

        None is ever put off beyond the `horizon`: one that is was put off by a clock that was wrong, and is due.
        """
        row = self._database.row(
            "SELECT * FROM outbox WHERE state = 'pending' AND (next_try_at <= ? OR next_try_at > ?) "
            "ORDER BY next_try_at, outbox_id LIMIT 1",
            now,
            horizon,
        )
        return _entry(row) if row else None

    def next_report_at(self) -> str | None:
        """When the next pending report falls due."""
        row = self._database.row("SELECT min(next_try_at) AS at FROM outbox WHERE state = 'pending'")
        return row["at"] if row else None

    def unfinished_reports(self, limit: int = 200) -> list[OutboxEntry]:
        """Reports that the service has not acknowledged: pending, refused, in conflict."""
        rows = self._database.rows(
            "SELECT * FROM outbox WHERE state IN ('pending', 'conflict', 'refused') ORDER BY outbox_id LIMIT ?", limit
        )
        return [_entry(row) for row in rows]

    def refused_reports(self, limit: int = 1000) -> list[Job]:
        """The jobs whose report the service refuses."""
        rows = self._database.rows(
            "SELECT jobs.* FROM outbox JOIN jobs USING (job_id) WHERE outbox.state = 'refused' "
            "AND outbox.state IN ('pending', 'conflict', 'refused') ORDER BY outbox_id LIMIT ?",  # as the index has it
            limit,
        )
        return [Job.of(row) for row in rows]

    def count_reports(self) -> int:
        """How many reports the service has not acknowledged."""
        row = self._database.row("SELECT count(*) AS n FROM outbox WHERE state IN ('pending', 'conflict', 'refused')")
        return int(row["n"]) if row else 0

    def report_of(self, job_id: int) -> OutboxEntry | None:
        """The job's report, once it is verified."""
        row = self._database.row("SELECT * FROM outbox WHERE job_id = ? ORDER BY outbox_id DESC LIMIT 1", job_id)
        return _entry(row) if row else None

    def audit(self, since: str | None = None) -> Iterator[dict[str, Any]]:
        """The audit trail in order, from a time on."""
        return audit.read(self._database, since)

    def first_broken_audit_entry(self) -> int | None:
        """The first entry of the audit trail that was tampered with, if any."""
        return audit.first_broken(audit.read(self._database))


def _card(row: sqlite3.Row) -> Card:
    return Card(
        uid=row["uid"],
        acs_credential_id=row["acs_credential_id"],
        job_id=row["job_id"],
        standing=CardStanding(row["standing"]),
        card_number=row["card_number"],
        number_is_uid=bool(row["number_is_uid"]),
        ends_at=row["ends_at"],
        updated_at=row["updated_at"],
    )


def _entry(row: sqlite3.Row) -> OutboxEntry:
    return OutboxEntry(
        outbox_id=row["outbox_id"],
        job_id=row["job_id"],
        acs_credential_id=row["acs_credential_id"],
        idempotency_key=row["idempotency_key"],
        body=json.loads(row["body"]),
        state=OutboxState(row["state"]),
        tries=row["tries"],
        next_try_at=row["next_try_at"],
        last_answer=row["last_answer"],
        created_at=row["created_at"],
    )
