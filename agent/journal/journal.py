"""The steps: each method is one transaction, and what it did is on the disk when it returns."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent import clock
from agent.journal.audit import append
from agent.journal.database import Database
from agent.journal.model import IllegalStep, Intake, Job, JobState, JournalError, OutboxEntry, OutboxState
from agent.journal.reading import Reading


class Journal(Reading):
    """The journal of one desk."""

    def __init__(self, path: Path) -> None:
        """Open it, making it where there is none.

        Raises:
            JournalError: it can't be opened; the message says what to do.
        """
        super().__init__(Database(path))
        self.path = path

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    # New work

    def take_in(self, intakes: Sequence[Intake], *, seen_at: str, asked_for: bool = False) -> None:
        """New or changed credentials, with what was decided on each. A job that is being written stays.

        `seen_at` is when the service was asked: what came to an end here since then is not begun again on old news.
        `asked_for` says that a person wants it, so that what a person cancelled before is begun again.
        """
        if not intakes:
            return
        with self._database.transaction() as connection:
            for intake in intakes:
                _take_in(connection, intake, seen_at, asked_for)

    def claim(self, *, joiners: bool) -> int:
        """Take up the waiting jobs whose decision is to encode, those that join others only with `joiners`.

        Returns how many.
        """
        which = "state = 'waiting' AND ready = 1"
        if not joiners:
            which += " AND NOT EXISTS (SELECT 1 FROM joins WHERE joins.job_id = jobs.job_id)"
        if not self._database.row(f"SELECT 1 FROM jobs WHERE {which} LIMIT 1"):
            return 0
        with self._database.transaction() as connection:
            return connection.execute(
                f"UPDATE jobs SET state = 'claimed', updated_at = ? WHERE {which}", (clock.now_text(),)
            ).rowcount

    def pick(
        self,
        acs_credential_id: str,
        *,
        actor: str,
        encoder: str | None,
        reason: str | None = None,
        replace_card: bool = False,
        overwrite: bool = False,
    ) -> Job:
        """A person wants this credential encoded next. Its job must be open and not held."""
        with self._database.transaction() as connection:
            job = _open(connection, acs_credential_id)
            if job.state is JobState.WAITING:
                _move(connection, job, JobState.CLAIMED)
            elif job.state not in (JobState.CLAIMED, JobState.WRITING):
                raise IllegalStep(f"Job {job.job_id} is {job.state}: it can't be encoded now.")
            (top,) = connection.execute(
                "SELECT coalesce(max(priority), 0) FROM jobs WHERE state = 'claimed'"
            ).fetchone()
            connection.execute(
                "UPDATE jobs SET picked = 1, priority = ?, wanted_encoder = ?, requested_by = ?, request_reason = ?, "
                "replace_card = ?, overwrite = ? WHERE job_id = ?",
                (top + 1, encoder, actor, reason, replace_card, overwrite, job.job_id),
            )
            append(
                connection,
                "picked",
                actor=actor,
                job_id=job.job_id,
                acs_credential_id=acs_credential_id,
                encoder=encoder,
                reason=reason,
                replace_card=replace_card,
                overwrite=overwrite,
            )
            return _job(connection, job.job_id)

    def unpick(self, job_id: int, *, back_to_waiting: bool) -> None:
        """Nobody waits for this job any more: it takes its place in the queue again, or ends if only they wanted it.

        `back_to_waiting` where jobs are only written when somebody picks them.
        """
        with self._database.transaction() as connection:
            job = _job(connection, job_id)
            if job.asked and job.state in (JobState.CLAIMED, JobState.WAITING):
                _move(
                    connection,
                    job,
                    JobState.CANCELLED,
                    code="given_up",
                    reason="Nobody put a fitting card down in time.",
                )
                _audit_job(connection, "cancelled", job, code="given_up")
                return
            if job.state is JobState.CLAIMED and back_to_waiting:
                _move(connection, job, JobState.WAITING)
            if job.state in (JobState.CLAIMED, JobState.WAITING):
                connection.execute(
                    "UPDATE jobs SET picked = 0, priority = 0, wanted_encoder = NULL, replace_card = 0, overwrite = 0 "
                    "WHERE job_id = ?",
                    (job_id,),
                )

    # On the card

    def bind_card(self, job: Job, *, encoder: str, uid: str, medium: str, content_digest: str) -> int:
        """This card is to be written for this job. Returns the attempt's number.

        A job that is already writing stays so: what its card holds is unknown until it was read back.
        """
        with self._database.transaction() as connection:
            if job.state is JobState.WRITING:
                connection.execute(
                    "UPDATE attempts SET outcome = 'unknown', ended_at = coalesce(ended_at, ?) "
                    "WHERE job_id = ? AND outcome = 'writing'",
                    (clock.now_text(), job.job_id),
                )
            else:
                _move(connection, job, JobState.BOUND)
            connection.execute("UPDATE jobs SET encoder = ?, card_uid = ? WHERE job_id = ?", (encoder, uid, job.job_id))
            attempt = connection.execute(
                "INSERT INTO attempts (job_id, encoder, card_uid, medium, content_digest, outcome, started_at) "
                "VALUES (?, ?, ?, ?, ?, 'bound', ?)",
                (job.job_id, encoder, uid, medium, content_digest, clock.now_text()),
            ).lastrowid
            assert attempt is not None
            return attempt

    def begin_writing(self, job: Job, attempt: int, *, card_number: str | None, number_is_uid: bool) -> None:
        """The next byte changes the card: from here on what it holds is unknown until it was read back."""
        with self._database.transaction() as connection:
            now_job = _job(connection, job.job_id)
            if now_job.state is not JobState.WRITING:
                _move(connection, now_job, JobState.WRITING)
            connection.execute("UPDATE attempts SET outcome = 'writing' WHERE attempt_id = ?", (attempt,))
            before = connection.execute("SELECT * FROM cards WHERE uid = ?", (now_job.card_uid,)).fetchone()
            overwritten = None
            if before and before["acs_credential_id"] != job.acs_credential_id and before["standing"] == "live":
                overwritten = before["acs_credential_id"]
            _put_card(connection, now_job, "unknown", card_number, number_is_uid)
            _audit_job(connection, "writing", now_job, overwritten_acs_credential_id=overwritten)

    def record_verified(
        self,
        job: Job,
        attempt: int,
        *,
        card_number: str,
        number_is_uid: bool,
        verified_by: str,
        replaces_card_number: str | None,
    ) -> OutboxEntry:
        """The card was read back and matches. In one transaction the job is verified and its report in the outbox."""
        now = clock.now_text()
        body = {
            "acs_credential_id": job.acs_credential_id,
            "card_number": card_number,
            "issued_at": now,
            "acs_encoder_id": None,
            "replaces_card_number": replaces_card_number,
        }
        with self._database.transaction() as connection:
            current = _job(connection, job.job_id)
            _move(
                connection, current, JobState.VERIFIED, code="verified", reason="Verified on the card; being reported."
            )
            connection.execute(
                "UPDATE attempts SET outcome = 'verified', ended_at = ? WHERE attempt_id = ?", (now, attempt)
            )
            _put_card(connection, current, "live", card_number, number_is_uid)
            if current.replace_card:
                connection.execute(
                    "UPDATE cards SET standing = 'void', updated_at = ? WHERE acs_credential_id = ? AND uid <> ?",
                    (now, current.acs_credential_id, current.card_uid),
                )
            connection.execute(
                "INSERT INTO outbox (job_id, acs_credential_id, idempotency_key, body, state, next_try_at, created_at, "
                "updated_at) VALUES (?, ?, ?, ?, 'pending', ?, ?, ?)",
                (job.job_id, job.acs_credential_id, str(uuid.uuid4()), json.dumps(body), now, now, now),
            )
            _audit_job(
                connection, "verified", current, verified_by=verified_by, replaced=replaces_card_number is not None
            )
        entry = self.report_of(job.job_id)
        assert entry is not None
        return entry

    def record_left(self, job: Job, attempt: int, *, error_type: str, error: str) -> None:
        """The attempt ended and the card is as it was, or doesn't read as finished: the job may go on any card.

        Not so where `job`, as it stood before this attempt, was `writing` already: that stays unknown.
        """
        with self._database.transaction() as connection:
            current = _job(connection, job.job_id)
            if current.state in (JobState.BOUND, JobState.WRITING) and job.state is not JobState.WRITING:
                _move(connection, current, JobState.CLAIMED, code=error_type, reason=error)
                connection.execute("DELETE FROM cards WHERE job_id = ? AND standing = 'unknown'", (job.job_id,))
            _end_attempt(connection, attempt, "left", error_type, error)
            _audit_job(connection, "not_written", current, error_type=error_type)

    def record_card_refused(self, job: Job, *, encoder: str, uid: str, error_type: str, error: str) -> None:
        """The card that came was not bound: the job stays as it was, the refusal is kept."""
        with self._database.transaction() as connection:
            _note(connection, job, error_type, error)
            append(
                connection,
                "card_refused",
                job_id=job.job_id,
                acs_credential_id=job.acs_credential_id,
                encoder=encoder,
                card_uid=uid,
                error_type=error_type,
            )

    def record_unknown(self, job: Job, attempt: int, *, error_type: str, error: str) -> None:
        """The attempt ended in the middle: the job stays `writing` until this card was read again."""
        with self._database.transaction() as connection:
            current = _job(connection, job.job_id)
            _note(connection, current, error_type, error)
            _end_attempt(connection, attempt, "unknown", error_type, error)
            _audit_job(connection, "interrupted", current, error_type=error_type)

    # What people and the service say

    def hold(self, job_id: int, *, actor: str, code: str, reason: str) -> Job:
        """Nobody encodes this job until a person resumes it."""
        with self._database.transaction() as connection:
            job = _job(connection, job_id)
            _move(connection, job, JobState.HELD, code=code, reason=reason)
            _set_held(connection, job, actor)
            _audit_job(connection, "held", job, actor=actor, code=code)
            return _job(connection, job_id)

    def resume(self, job_id: int, *, actor: str) -> Job:
        """A person lets a held job go on, and so consents to what it was held for; or has a refused report sent again."""
        now = clock.now_text()
        with self._database.transaction() as connection:
            job = _job(connection, job_id)
            if job.state is JobState.HELD:
                target = JobState.WRITING if job.held_from == JobState.WRITING else JobState.WAITING
                _move(connection, job, target, code="resumed", reason=f"Resumed by {actor}.")
                connection.execute(
                    "UPDATE jobs SET ready = 1, consent = ?, held_by = NULL, held_from = NULL WHERE job_id = ?",
                    (job.code, job_id),
                )
            elif job.state in (JobState.VERIFIED, JobState.FAILED):
                if job.state is JobState.FAILED:
                    _move(connection, job, JobState.VERIFIED, code="resumed", reason="The report is sent again.")
                connection.execute(
                    "UPDATE outbox SET state = 'pending', next_try_at = ?, updated_at = ? "
                    "WHERE job_id = ? AND state IN ('pending', 'conflict', 'refused')",
                    (now, now, job_id),
                )
            else:
                raise IllegalStep(f"Job {job_id} is {job.state}, not held: there is nothing to resume.")
            _audit_job(connection, "resumed", job, actor=actor, code=job.code)
            return _job(connection, job_id)

    def cancel(self, job_id: int, *, actor: str, code: str, reason: str) -> Job:
        """Nothing is to be encoded for this job any more."""
        with self._database.transaction() as connection:
            job = _job(connection, job_id)
            _move(connection, job, JobState.CANCELLED, code=code, reason=reason)
            _audit_job(connection, "cancelled", job, actor=actor, code=code)
            return _job(connection, job_id)

    def release_card(self, job_id: int, *, actor: str, reason: str) -> Job:
        """A person says that the card of an interrupted job won't come back: it is void, another may be written."""
        with self._database.transaction() as connection:
            job = _job(connection, job_id)
            _move(connection, job, JobState.CLAIMED, code="card_given_up", reason="Its first card was given up.")
            connection.execute(
                "UPDATE cards SET standing = 'void', updated_at = ? WHERE job_id = ?", (clock.now_text(), job_id)
            )
            _audit_job(connection, "card_given_up", job, actor=actor, reason=reason)
            return _job(connection, job_id)

    def expire(self, now: str) -> list[int]:
        """Cancel what can't be encoded any more because its validity has ended. Returns the jobs."""
        due = self._database.rows(
            "SELECT job_id FROM jobs WHERE state IN ('waiting', 'claimed', 'held') AND ends_at <= ?", now
        )
        for row in due:
            self.cancel(
                row["job_id"], actor="agent", code="expired", reason="Its validity ended before it was encoded."
            )
        return [row["job_id"] for row in due]

    def void_cards_of(self, acs_credential_id: str) -> None:
        """The credential is gone: whatever card holds it opens nothing and may be written again."""
        if not self.cards_of(acs_credential_id):
            return
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE cards SET standing = 'void', updated_at = ? WHERE acs_credential_id = ?",
                (clock.now_text(), acs_credential_id),
            )
            append(connection, "cards_voided", acs_credential_id=acs_credential_id)

    # Reports

    def record_acknowledged(self, entry: OutboxEntry) -> None:
        """The service has applied the report."""
        self._end_report(entry, OutboxState.ACKNOWLEDGED, JobState.REPORTED, "reported", "Issued.", "reported")

    def record_orphaned(self, entry: OutboxEntry, answer: str) -> None:
        """The credential is gone from the service: the card is to be taken back."""
        reason = "The credential was deleted after its card was written. Take the card back."
        self._end_report(entry, OutboxState.ORPHANED, JobState.ORPHANED, "orphaned", reason, answer)

    def record_conflict(self, entry: OutboxEntry, answer: str) -> None:
        """The service has it on another card."""
        reason = (
            "The service has this credential on another card. Take this card back, or encode it again with "
            "`card-encoder reencode ID --replace-card --reason TEXT`."
        )
        self._end_report(entry, OutboxState.CONFLICT, JobState.FAILED, "conflict", reason, answer)

    def record_refused(self, entry: OutboxEntry, answer: str) -> None:
        """The service refuses the report as such: kept and shown, sent again only when a person resumes the job."""
        with self._database.transaction() as connection:
            _end_entry(connection, entry, OutboxState.REFUSED, answer)
            job = _job(connection, entry.job_id)
            reason = f"The service refuses the report ({answer}). `card-encoder resume {job.job_id}` sends it again."
            _note(connection, job, "report_refused", reason)
            _audit_job(connection, "report_refused", job, answer=answer)

    def record_retry(self, entry: OutboxEntry, *, next_try_at: str, answer: str) -> None:
        """No acknowledgement this time: it is sent again then."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE outbox SET tries = tries + 1, next_try_at = ?, last_answer = ?, updated_at = ? WHERE outbox_id = ?",
                (next_try_at, answer, clock.now_text(), entry.outbox_id),
            )

    def _end_report(
        self, entry: OutboxEntry, state: OutboxState, job_state: JobState, code: str, reason: str, answer: str
    ) -> None:
        with self._database.transaction() as connection:
            _end_entry(connection, entry, state, answer)
            job = _job(connection, entry.job_id)
            _move(connection, job, job_state, code=code, reason=reason)
            if job_state is JobState.ORPHANED:
                connection.execute(
                    "UPDATE cards SET standing = 'void' WHERE acs_credential_id = ?", (entry.acs_credential_id,)
                )
            _audit_job(connection, code, job, idempotency_key=entry.idempotency_key)

    def recover(self, encoder: str | None = None) -> tuple[int, int]:
        """After a start (or, for one encoder, after trouble with this file): what was bound had no byte written and is
        free again; what was writing stays unknown. Returns how many of each there were.
        """
        with self._database.transaction() as connection:
            now = clock.now_text()
            connection.execute(
                "UPDATE attempts SET ended_at = ?, outcome = CASE outcome WHEN 'writing' THEN 'unknown' ELSE 'left' END "
                "WHERE outcome IN ('bound', 'writing') AND encoder = coalesce(?, encoder)",
                (now, encoder),
            )
            bound = connection.execute(
                "UPDATE jobs SET state = 'claimed', updated_at = ? WHERE state = 'bound' AND encoder = coalesce(?, encoder)",
                (now, encoder),
            ).rowcount
            unknown = [
                Job.of(row)
                for row in connection.execute(
                    "SELECT * FROM jobs WHERE state = 'writing' AND encoder = coalesce(?, encoder)", (encoder,)
                )
            ]
            for job in unknown:
                _note(connection, job, "encoding_interrupted", PUT_IT_BACK)
            return bound, len(unknown)


CANCELLED_BY_PERSON = "cancelled"
PUT_IT_BACK = "Writing its card was interrupted. Put the same card back: it will be read, and finished where needed."


def _take_in(connection: sqlite3.Connection, intake: Intake, seen_at: str, asked_for: bool) -> None:
    now = clock.now_text()
    row = connection.execute(
        "SELECT * FROM jobs WHERE acs_credential_id = ? AND state IN "
        "('waiting', 'claimed', 'bound', 'writing', 'held', 'verified')",
        (intake.acs_credential_id,),
    ).fetchone()
    if row is None:
        if intake.state is JobState.CANCELLED or not (asked_for or _is_news(connection, intake, seen_at)):
            return
        job_id = connection.execute(
            "INSERT INTO jobs (acs_credential_id, state, ready, code, reason, credential, digest, reissue, vendor, sort_key, "
            "ends_at, asked, held_by, held_from, created_at, updated_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                intake.acs_credential_id,
                intake.state,
                intake.ready,
                intake.code,
                intake.reason,
                intake.credential,
                intake.digest,
                intake.reissue,
                intake.vendor,
                intake.sort_key,
                intake.ends_at,
                intake.asked,
                *(("agent", "waiting") if intake.state is JobState.HELD else (None, None)),
                now,
                now,
            ),
        ).lastrowid
        _join(connection, job_id, intake.joins)
        return
    job = Job.of(row)
    connection.execute(
        "UPDATE jobs SET credential = ?, digest = ?, reissue = ?, vendor = ?, sort_key = ?, ends_at = ? WHERE job_id = ?",
        (
            intake.credential,
            intake.digest,
            intake.reissue,
            intake.vendor,
            intake.sort_key,
            intake.ends_at,
            job.job_id,
        ),
    )
    _join(connection, job.job_id, intake.joins)
    if job.state in (JobState.BOUND, JobState.WRITING, JobState.VERIFIED):
        return  # what is on its way to the card is decided anew at the card
    _follow(connection, job, intake)


def _is_news(connection: sqlite3.Connection, intake: Intake, seen_at: str) -> bool:
    """False where the credential's last job ended after `seen_at`, or was ended by a person and nothing has changed."""
    last = connection.execute(
        "SELECT * FROM jobs WHERE acs_credential_id = ? ORDER BY job_id DESC LIMIT 1", (intake.acs_credential_id,)
    ).fetchone()
    if last is None:
        return True
    if last["updated_at"] >= seen_at:
        return False
    rests = last["state"] == "failed" or (last["state"] == "cancelled" and last["code"] == CANCELLED_BY_PERSON)
    return not (rests and last["digest"] == intake.digest)


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
        _move(connection, job, target, code=intake.code, reason=intake.reason)
        if target is JobState.HELD:
            _set_held(connection, job, "agent")
    else:
        _note(connection, job, intake.code, intake.reason)


def _join(connection: sqlite3.Connection, job_id: int | None, joins: Sequence[str]) -> None:
    connection.execute("DELETE FROM joins WHERE job_id = ?", (job_id,))
    connection.executemany("INSERT OR IGNORE INTO joins VALUES (?, ?)", [(job_id, joined) for joined in joins])


def _job(connection: sqlite3.Connection, job_id: int) -> Job:
    row = connection.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise JournalError(f"There is no job {job_id}. `card-encoder queue` lists them.")
    return Job.of(row)


def _open(connection: sqlite3.Connection, acs_credential_id: str) -> Job:
    row = connection.execute(
        "SELECT * FROM jobs WHERE acs_credential_id = ? AND state IN "
        "('waiting', 'claimed', 'bound', 'writing', 'held', 'verified')",
        (acs_credential_id,),
    ).fetchone()
    if row is None:
        raise JournalError(f"Credential {acs_credential_id} has no open job.")
    return Job.of(row)


def _move(
    connection: sqlite3.Connection, job: Job, state: JobState, *, code: str | None = None, reason: str | None = None
) -> None:
    connection.execute(
        "UPDATE jobs SET state = ?, code = coalesce(?, code), reason = coalesce(?, reason), updated_at = ? WHERE job_id = ?",
        (state, code, reason, clock.now_text(), job.job_id),
    )


def _note(connection: sqlite3.Connection, job: Job, code: str, reason: str) -> None:
    connection.execute(
        "UPDATE jobs SET code = ?, reason = ?, updated_at = ? WHERE job_id = ?",
        (code, reason, clock.now_text(), job.job_id),
    )


def _set_held(connection: sqlite3.Connection, job: Job, by: str) -> None:
    connection.execute("UPDATE jobs SET held_by = ?, held_from = ? WHERE job_id = ?", (by, job.state, job.job_id))


def _put_card(
    connection: sqlite3.Connection, job: Job, standing: str, card_number: str | None, number_is_uid: bool
) -> None:
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


def _end_attempt(connection: sqlite3.Connection, attempt: int, outcome: str, error_type: str, error: str) -> None:
    connection.execute(
        "UPDATE attempts SET outcome = ?, error_type = ?, error = ?, ended_at = ? WHERE attempt_id = ?",
        (outcome, error_type, error, clock.now_text(), attempt),
    )


def _end_entry(connection: sqlite3.Connection, entry: OutboxEntry, state: OutboxState, answer: str) -> None:
    connection.execute(
        "UPDATE outbox SET state = ?, tries = tries + 1, last_answer = ?, updated_at = ? WHERE outbox_id = ?",
        (state, answer, clock.now_text(), entry.outbox_id),
    )


def _audit_job(connection: sqlite3.Connection, event: str, job: Job, *, actor: str = "agent", **detail: Any) -> None:
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
