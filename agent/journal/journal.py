"""The steps: each method is one transaction, and what it did is on the disk when it returns."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from agent import clock
from agent.journal.audit import append
from agent.journal.database import Database
from agent.journal.intake import EVERY_CREDENTIAL, NO_ANSWER, ORDER_STANDS, ORDER_UNKNOWN, PUT_IT_BACK, take_in
from agent.journal.model import IllegalStep, Intake, Job, JobState
from agent.journal.orders import Orders
from agent.journal.reading import TO_TAKE_BACK
from agent.journal.rows import (
    audit_job,
    end_attempt,
    job_of,
    move,
    note,
    open_job_of,
    put_card,
    report_body,
    set_held,
    the_attempt,
    verified_digest,
)
from agent.journal.setting_aside import notes


class Journal(Orders):
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

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at present, and what to do; None where all is well."""
        return self._database.trouble

    @property
    def damaged(self) -> bool:
        """Whether the file was found to be damaged: nothing is written any more."""
        return self._database.damaged

    def on_trouble(self, callback: Callable[[], None]) -> None:
        """Have this called when `trouble` came up: in whatever thread that is, and within the step that failed."""
        self._database.on_trouble = callback

    @property
    def notes(self) -> list[Path]:
        """The notes on journals that were set aside, as long as nobody has taken them away."""
        return notes(self.path)

    def try_again(self) -> None:
        """After trouble: see whether something can be written again.

        Raises:
            JournalError: it can't.
        """
        with self._database.transaction("try_again") as connection:
            # An update that changes nothing isn't written.
            connection.execute("INSERT INTO doubts VALUES ('')")
            connection.execute("DELETE FROM doubts WHERE acs_credential_id = ''")

    # New work

    def take_in(self, intakes: Sequence[Intake], *, seen_at: str, asked_for: bool = False) -> None:
        """New or changed credentials, with what was decided on each. A job that is being written stays.

        `seen_at` is when the service was asked: what came to an end here since then is not begun again on old news.
        `asked_for` says that a person wants it, so that what a person cancelled before is begun again.
        """
        if not intakes:
            return
        with self._database.transaction("take_in") as connection:
            for intake in intakes:
                take_in(connection, intake, seen_at, asked_for)

    def settle_doubts(self) -> None:
        """All that waits at the service was taken in: what it lists later came after an earlier journal was lost."""
        if self._database.row("SELECT 1 FROM doubts WHERE acs_credential_id = ?", EVERY_CREDENTIAL):
            with self._database.transaction("settle_doubts") as connection:
                connection.execute("DELETE FROM doubts WHERE acs_credential_id = ?", (EVERY_CREDENTIAL,))

    def pick(
        self,
        acs_credential_id: str,
        *,
        actor: str,
        encoder: str | None,
        reason: str | None = None,
        replace_card: bool = False,
        overwrite: bool = False,
        claim_token: int | None = None,
    ) -> Job:
        """A person wants this credential encoded next. Its job must be open and not held.

        `claim_token` is that of a claim which was leased for this, where desks share a system and it had none.
        """
        with self._database.transaction("pick") as connection:
            job = open_job_of(connection, acs_credential_id)
            if job.state is JobState.WAITING:
                move(connection, job, JobState.CLAIMED)
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
            if replace_card and job.state is not JobState.WRITING:  # what was ordered before was for another card
                connection.execute("DELETE FROM orders WHERE job_id = ?", (job.job_id,))
            if claim_token is not None:
                connection.execute(
                    "UPDATE jobs SET claim_token = ?, claim_kept = 0 WHERE job_id = ?", (claim_token, job.job_id)
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
            return job_of(connection, job.job_id)

    def unpick(self, job_id: int, *, back_to_waiting: bool) -> None:
        """Nobody waits for this job any more: it takes its place in the queue again, or ends if only they wanted it.

        `back_to_waiting` where jobs are only written when somebody picks them.
        """
        with self._database.transaction("unpick") as connection:
            job = job_of(connection, job_id)
            if job.asked and job.state in (JobState.CLAIMED, JobState.WAITING):
                move(
                    connection,
                    job,
                    JobState.CANCELLED,
                    code="given_up",
                    reason="Nobody put a fitting card down in time.",
                )
                audit_job(connection, "cancelled", job, code="given_up")
                return
            if job.state is JobState.WRITING:  # how it is to be done stays as it was said
                connection.execute("UPDATE jobs SET picked = 0, priority = 0 WHERE job_id = ?", (job_id,))
                return
            if job.state is JobState.CLAIMED and back_to_waiting:
                move(connection, job, JobState.WAITING)
            if job.state in (JobState.CLAIMED, JobState.WAITING):
                connection.execute(
                    "UPDATE jobs SET picked = 0, priority = 0, wanted_encoder = NULL, replace_card = 0, overwrite = 0 "
                    "WHERE job_id = ?",
                    (job_id,),
                )
                if job.picked:
                    audit_job(connection, "unpicked", job)

    # On the card

    def bind_card(
        self, job: Job, *, encoder: str, uid: str, medium: str, content_digest: str, started_at: str | None = None
    ) -> int:
        """This card is to be written for this job. Returns the attempt's number.

        A job that is already writing stays so: what its card holds is unknown until it was read back. `uid` is empty
        where the card has none: then nothing tells later which card it was, and none is remembered. `started_at` is
        when the attempt began, where that is not now.
        """
        with self._database.transaction("bind_card") as connection:
            current = job_of(connection, job.job_id)
            if current.state is not job.state:
                raise IllegalStep(f"Job {job.job_id} has gone on meanwhile.")
            if job.state is JobState.WRITING:
                connection.execute(
                    "UPDATE attempts SET outcome = 'unknown', ended_at = coalesce(ended_at, ?) "
                    "WHERE job_id = ? AND outcome = 'writing'",
                    (clock.now_text(), job.job_id),
                )
            else:
                move(connection, job, JobState.BOUND)
            connection.execute("UPDATE jobs SET encoder = ?, card_uid = ? WHERE job_id = ?", (encoder, uid, job.job_id))
            attempt = connection.execute(
                "INSERT INTO attempts (job_id, encoder, card_uid, medium, content_digest, outcome, started_at, issued) "
                "VALUES (?, ?, ?, ?, ?, 'bound', ?, ?)",
                (job.job_id, encoder, uid, medium, content_digest, started_at or clock.now_text(), current.issued),
            ).lastrowid
            assert attempt is not None
            return attempt

    def begin_writing(
        self, job: Job, attempt: int, *, card_number: str | None, number_is_uid: bool, once: bool = False
    ) -> None:
        """The next byte changes the card: from here on what it holds is unknown until it was read back.

        `once`: a person's word that what the card holds may be lost counts for this time alone.
        """
        with self._database.transaction("begin_writing") as connection:
            the_attempt(connection, attempt)
            now_job = job_of(connection, job.job_id)
            if now_job.state is not JobState.WRITING:
                move(connection, now_job, JobState.WRITING)
            if once:
                connection.execute("UPDATE jobs SET overwrite = 0 WHERE job_id = ?", (job.job_id,))
            before = connection.execute("SELECT * FROM cards WHERE uid = ?", (now_job.card_uid,)).fetchone()
            connection.execute(
                "UPDATE attempts SET outcome = 'writing', card_before = ? WHERE attempt_id = ?",
                (json.dumps(tuple(before)) if before else None, attempt),
            )
            overwritten = None
            if before and before["acs_credential_id"] != job.acs_credential_id and before["standing"] == "live":
                overwritten = before["acs_credential_id"]
            put_card(connection, now_job, "unknown", card_number, number_is_uid)
            audit_job(connection, "writing", now_job, overwritten_acs_credential_id=overwritten)

    def record_verified(
        self,
        job: Job,
        attempt: int,
        *,
        card_number: str,
        number_is_uid: bool,
        verified_by: str,
        replaces_card_number: str | None,
        reported: bool = False,
    ) -> None:
        """The card was read back and matches. In one transaction the job is verified and its report in the outbox.

        `reported`: the service had it encoded itself. The report is kept all the same, as one that was acknowledged.
        """
        now, key = clock.now_text(), str(uuid.uuid4())
        body = report_body(job.acs_credential_id, card_number, now, replaces_card_number)
        with self._database.transaction("record_verified") as connection:
            digest = verified_digest(the_attempt(connection, attempt)["content_digest"], card_number)
            current = job_of(connection, job.job_id)
            if current.state is not JobState.WRITING:
                raise IllegalStep(f"Job {job.job_id} is {current.state}: nothing was being written.")
            move(
                connection, current, JobState.VERIFIED, code="verified", reason="Verified on the card; being reported."
            )
            connection.execute(
                "UPDATE attempts SET outcome = 'verified', content_digest = ?, ended_at = ? WHERE attempt_id = ?",
                (digest, now, attempt),
            )
            put_card(connection, current, "live", card_number, number_is_uid)
            if current.replace_card:
                connection.execute(
                    "UPDATE cards SET standing = 'void', updated_at = ? WHERE acs_credential_id = ? AND uid <> ?",
                    (now, current.acs_credential_id, current.card_uid),
                )
            connection.execute(
                "INSERT INTO outbox (job_id, acs_credential_id, idempotency_key, body, state, next_try_at, created_at, "
                "updated_at) VALUES (?, ?, ?, ?, 'pending', ?, ?, ?)",
                (job.job_id, job.acs_credential_id, key, json.dumps(body), now, now, now),
            )
            replaced = replaces_card_number is not None
            audit_job(connection, "verified", current, verified_by=verified_by, replaced=replaced, idempotency_key=key)
            if reported:
                connection.execute(
                    "UPDATE outbox SET state = 'acknowledged', last_answer = 'encoded by the service' "
                    "WHERE idempotency_key = ?",
                    (key,),
                )
                move(connection, job_of(connection, job.job_id), JobState.REPORTED, code="reported", reason="Issued.")
                audit_job(connection, "reported", current, idempotency_key=key)

    def record_left(self, job: Job, attempt: int, *, error_type: str, error: str) -> None:
        """The attempt ended and the card is as it was, or doesn't read as finished: the job may go on any card.

        Not so where `job`, as it stood before this attempt, was `writing` already: that stays unknown. So does what an
        order was given for that was not taken back.
        """
        with self._database.transaction("record_left") as connection:
            current = job_of(connection, job.job_id)
            fresh = job.state is not JobState.WRITING
            if current.state is JobState.WRITING and fresh and _order_stage(connection, job.job_id) is not None:
                self._stays_unknown(connection, current, attempt, error_type, error)
                return
            if current.state in (JobState.BOUND, JobState.WRITING) and fresh:
                move(connection, current, JobState.CLAIMED, code=error_type, reason=error)
                if current.state is JobState.WRITING:
                    self._remember_the_card_as_before(connection, current, attempt)
            end_attempt(connection, attempt, "left", error_type, error)
            audit_job(connection, "not_written", current, error_type=error_type, error=error)

    @staticmethod
    def _remember_the_card_as_before(connection: sqlite3.Connection, job: Job, attempt: int) -> None:
        connection.execute("DELETE FROM cards WHERE uid = ? AND standing = 'unknown'", (job.card_uid,))
        row = connection.execute("SELECT card_before FROM attempts WHERE attempt_id = ?", (attempt,)).fetchone()
        if row["card_before"]:
            values = json.loads(row["card_before"])
            connection.execute(f"INSERT INTO cards VALUES ({','.join('?' * len(values))})", values)

    def record_card_refused(self, job: Job, *, encoder: str, uid: str, error_type: str, error: str) -> None:
        """The card that came was not bound: the job stays as it was, the refusal is kept."""
        with self._database.transaction("record_card_refused") as connection:
            note(connection, job, error_type, error)
            append(
                connection,
                "card_refused",
                job_id=job.job_id,
                acs_credential_id=job.acs_credential_id,
                encoder=encoder,
                card_uid=uid,
                error_type=error_type,
                error=error,
            )

    def record_unknown(
        self, job: Job, attempt: int, *, error_type: str, error: str, trying_again_helps: bool = True
    ) -> None:
        """The attempt ended in the middle: the job stays `writing` until this card was read again.

        Unless `trying_again_helps`, what came of its order won't do, whatever card is brought: a person decides.
        """
        with self._database.transaction("record_unknown") as connection:
            current = job_of(connection, job.job_id)
            self._stays_unknown(connection, current, attempt, error_type, error, trying_again_helps=trying_again_helps)

    @staticmethod
    def _stays_unknown(
        connection: sqlite3.Connection,
        job: Job,
        attempt: int,
        error_type: str,
        error: str,
        *,
        trying_again_helps: bool = True,
    ) -> None:
        stage = _order_stage(connection, job.job_id)
        code = ORDER_UNKNOWN if stage == "asked" else error_type
        if stage == "answered" and not trying_again_helps:
            code = ORDER_STANDS
        note(connection, job, code, error)
        end_attempt(connection, attempt, "unknown", error_type, error)
        audit_job(connection, "interrupted", job, error_type=error_type, error=error)

    # What people and the service say

    def hold(self, job_id: int, *, actor: str, code: str, reason: str) -> Job:
        """Nobody encodes this job until a person resumes it."""
        with self._database.transaction("hold") as connection:
            job = job_of(connection, job_id)
            move(connection, job, JobState.HELD, code=code, reason=reason)
            set_held(connection, job, actor)
            audit_job(connection, "held", job, actor=actor, code=code)
            return job_of(connection, job_id)

    def resume(self, job_id: int, *, actor: str) -> Job:
        """A person lets a held job go on, consenting to what it was held for; or has a refused report sent again."""
        now = clock.now_text()
        with self._database.transaction("resume") as connection:
            job = job_of(connection, job_id)
            if job.state is JobState.HELD:
                target = JobState.WRITING if job.held_from == JobState.WRITING else JobState.WAITING
                move(connection, job, target, code="resumed", reason=f"Resumed by {actor}.")
                if target is JobState.WRITING and _order_stage(connection, job_id) == "asked":
                    note(connection, job, ORDER_UNKNOWN, NO_ANSWER)
                connection.execute(
                    "UPDATE jobs SET ready = 1, consent = ?, held_by = NULL, held_from = NULL WHERE job_id = ?",
                    (job.code, job_id),
                )
            elif job.state in (JobState.VERIFIED, JobState.FAILED):
                if job.state is JobState.FAILED:
                    move(connection, job, JobState.VERIFIED, code="resumed", reason="The report is sent again.")
                    connection.execute("UPDATE jobs SET seen_to_by = NULL WHERE job_id = ?", (job_id,))
                connection.execute(
                    "UPDATE outbox SET state = 'pending', next_try_at = ?, updated_at = ? "
                    "WHERE job_id = ? AND state IN ('pending', 'conflict', 'refused')",
                    (now, now, job_id),
                )
            else:
                raise IllegalStep(f"Job {job_id} is {job.state}, not held: there is nothing to resume.")
            audit_job(connection, "resumed", job, actor=actor, code=job.code)
            return job_of(connection, job_id)

    def cancel(self, job_id: int, *, actor: str, code: str, reason: str) -> Job:
        """Nothing is to be encoded for this job any more; or, where it ended with a card out, that was seen to."""
        with self._database.transaction("cancel") as connection:
            job = job_of(connection, job_id)
            if connection.execute(f"SELECT 1 FROM jobs WHERE job_id = ? AND {TO_TAKE_BACK}", (job_id,)).fetchone():
                connection.execute("UPDATE jobs SET seen_to_by = ? WHERE job_id = ?", (actor, job_id))
                audit_job(connection, "seen_to", job, actor=actor, code=job.code)
            else:
                move(connection, job, JobState.CANCELLED, code=code, reason=reason)
                audit_job(connection, "cancelled", job, actor=actor, code=code)
            return job_of(connection, job_id)

    def release_card(self, job_id: int, *, actor: str, reason: str) -> Job:
        """A person says that the card of an interrupted job won't come back: it is void, another may be written.

        One without a UID is forgotten: it can't be known again.
        """
        with self._database.transaction("release_card") as connection:
            job = job_of(connection, job_id)
            move(connection, job, JobState.CLAIMED, code="card_given_up", reason="Its first card was given up.")
            connection.execute(
                "UPDATE cards SET standing = 'void', updated_at = ? WHERE job_id = ?", (clock.now_text(), job_id)
            )
            connection.execute("UPDATE jobs SET card_uid = NULLIF(card_uid, '') WHERE job_id = ?", (job_id,))
            connection.execute("DELETE FROM orders WHERE job_id = ?", (job_id,))  # it was for that card
            audit_job(connection, "card_given_up", job, actor=actor, reason=reason)
            return job_of(connection, job_id)

    def expire(self, now: str, *, in_hand: Collection[int] = ()) -> list[int]:
        """Cancel what can't be encoded any more because its validity has ended, 500 at a time. Returns the jobs.

        A card that was begun stays unknown: where only the clock was wrong, the credential goes on no other one.
        `in_hand` are jobs that encoders are at: those are decided at the card.
        """
        marks = ",".join("?" * len(in_hand))
        due = f"state IN ('waiting', 'claimed', 'writing', 'held') AND ends_at <= ? AND job_id NOT IN ({marks})"
        if not self._database.row(f"SELECT 1 FROM jobs WHERE {due} LIMIT 1", now, *in_hand):
            return []
        reason = "Its validity ended before it was encoded."
        with self._database.transaction("expire") as connection:
            jobs = [
                Job.of(row) for row in connection.execute(f"SELECT * FROM jobs WHERE {due} LIMIT 500", (now, *in_hand))
            ]
            for job in jobs:
                move(connection, job, JobState.CANCELLED, code="expired", reason=reason)
                audit_job(connection, "cancelled", job, code="expired")
        return [job.job_id for job in jobs]

    def record_deleted(self, acs_credential_id: str, *, in_hand: Collection[int] = ()) -> bool:
        """The credential is gone: nothing is to be encoded, and whatever card holds it may be written again.

        A job in `in_hand` is at an encoder, and is decided there. Returns whether a job was cancelled.
        """
        job = self.open_job(acs_credential_id)
        stays = job is None or job.job_id in in_hand or job.state in (JobState.BOUND, JobState.VERIFIED)
        if stays and not self.cards_of(acs_credential_id):
            return False
        with self._database.transaction("record_deleted") as connection:
            if job is not None and not stays:
                reason = "It was deleted at the service."
                move(connection, job, JobState.CANCELLED, code="credential_deleted", reason=reason)
                audit_job(connection, "cancelled", job, code="credential_deleted")
            connection.execute(
                "UPDATE cards SET standing = 'void', updated_at = ? WHERE acs_credential_id = ?",
                (clock.now_text(), acs_credential_id),
            )
            append(connection, "cards_voided", acs_credential_id=acs_credential_id)
            return not stays

    def forget_picks(self, *, back_to_waiting: bool) -> None:
        """After a start nobody waits any more for what was picked, or only asked for, before: see `unpick`."""
        wanted = "(state = 'claimed' AND picked = 1) OR (state IN ('waiting', 'claimed') AND asked = 1)"
        for row in self._database.rows(f"SELECT job_id FROM jobs WHERE {wanted}"):
            self.unpick(row["job_id"], back_to_waiting=back_to_waiting)

    def recover(self, encoder: str | None = None) -> tuple[int, int]:
        """After a start (or, for one encoder, after trouble with this file): what was bound had no byte written and is
        free again; what was writing stays unknown. Returns how many of each there were.
        """
        with self._database.transaction("recover") as connection:
            now = clock.now_text()
            for row in connection.execute(
                "SELECT * FROM jobs WHERE state = 'writing' AND encoder = coalesce(?, encoder) AND EXISTS "
                "(SELECT 1 FROM attempts WHERE attempts.job_id = jobs.job_id AND outcome = 'writing')",
                (encoder,),
            ).fetchall():
                audit_job(connection, "interrupted", Job.of(row), error_type="encoding_interrupted", error=PUT_IT_BACK)
            connection.execute(
                "UPDATE attempts SET ended_at = ?, "
                "outcome = CASE outcome WHEN 'writing' THEN 'unknown' ELSE 'left' END "
                "WHERE outcome IN ('bound', 'writing') AND encoder = coalesce(?, encoder)",
                (now, encoder),
            )
            bound = connection.execute(
                "UPDATE jobs SET state = 'claimed', updated_at = ? "
                "WHERE state = 'bound' AND encoder = coalesce(?, encoder)",
                (now, encoder),
            ).rowcount
            unknown = [
                Job.of(row)
                for row in connection.execute(
                    "SELECT * FROM jobs WHERE state = 'writing' AND encoder = coalesce(?, encoder)", (encoder,)
                )
            ]
            for job in unknown:
                if _order_stage(connection, job.job_id) == "asked":
                    note(connection, job, ORDER_UNKNOWN, NO_ANSWER)
                elif job.code != ORDER_STANDS:
                    note(connection, job, "encoding_interrupted", PUT_IT_BACK)
            return bound, len(unknown)


def _order_stage(connection: sqlite3.Connection, job_id: int) -> str | None:
    """How far the job's order has come, as far as it is known; None where there is none."""
    row = connection.execute("SELECT stage FROM orders WHERE job_id = ?", (job_id,)).fetchone()
    return row and str(row["stage"])
