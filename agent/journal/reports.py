"""The steps of a report, from the outbox to its end. Each is one transaction."""

from __future__ import annotations

from agent import clock
from agent.journal.claiming import Claiming
from agent.journal.model import JobState, OutboxEntry, OutboxState
from agent.journal.rows import audit_job, end_entry, job_of, move, note


class Reports(Claiming):
    """What the service's answers do to the outbox and its jobs."""

    def retry_now(self, put_off_until: str) -> None:
        """What was put off until then, or until an earlier time, is due."""
        if not self.count_reports():
            return
        with self._database.transaction("retry_now") as connection:
            connection.execute(
                "UPDATE outbox SET next_try_at = ? WHERE state = 'pending' AND next_try_at <= ?",
                (clock.now_text(), put_off_until),
            )

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
        with self._database.transaction("record_refused") as connection:
            end_entry(connection, entry, OutboxState.REFUSED, answer)
            job = job_of(connection, entry.job_id)
            reason = f"The service refuses the report ({answer}). `card-encoder resume {job.job_id}` sends it again."
            note(connection, job, "report_refused", reason)
            audit_job(connection, "report_refused", job, answer=answer)

    def record_retry(self, entry: OutboxEntry, *, next_try_at: str, answer: str) -> None:
        """No acknowledgement this time: it is sent again then."""
        with self._database.transaction("record_retry") as connection:
            connection.execute(
                "UPDATE outbox SET tries = tries + 1, next_try_at = ?, last_answer = ?, updated_at = ? "
                "WHERE outbox_id = ?",
                (next_try_at, answer, clock.now_text(), entry.outbox_id),
            )

    def _end_report(
        self, entry: OutboxEntry, state: OutboxState, job_state: JobState, code: str, reason: str, answer: str
    ) -> None:
        with self._database.transaction("end_report") as connection:
            end_entry(connection, entry, state, answer)
            job = job_of(connection, entry.job_id)
            move(connection, job, job_state, code=code, reason=reason)
            if job_state is JobState.ORPHANED:
                connection.execute(
                    "UPDATE cards SET standing = 'void' WHERE acs_credential_id = ?", (entry.acs_credential_id,)
                )
            audit_job(connection, code, job, idempotency_key=entry.idempotency_key)
