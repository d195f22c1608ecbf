"""The steps of an order to a vendor's system: what is known of it is on the disk before it goes out, and after.

As long as a job's card is not verified, what is noted keeps the order from being given twice. Neither does it end with
the job: where that was cancelled, the credential's next one begins with what is known (see `intake`).
"""

from __future__ import annotations

import json

from agent import clock
from agent.journal.model import IllegalStep, Job, JobState
from agent.journal.reports import Reports
from agent.journal.rows import audit_job, job_of, number_digest, order_digest, the_attempt
from drivers.encoder import OrderNote


class Orders(Reports):
    """What is noted of orders."""

    def note_order(self, job: Job, attempt: int, note: OrderNote | None) -> None:
        """This is what is known of the job's order now; None: there is none any more, it was not carried out.

        Raises:
            IllegalStep: the job's card isn't being written, or another one is by now.
        """
        with self._database.transaction("note_order") as connection:
            the_attempt(connection, attempt)
            current = job_of(connection, job.job_id)
            if current.state is not JobState.WRITING:
                raise IllegalStep(f"Job {job.job_id} is {current.state}: nothing may be ordered for it.")
            if note is None:
                connection.execute("DELETE FROM orders WHERE job_id = ?", (job.job_id,))
                audit_job(connection, "order_refused", current)
                return
            facts, image_digest = json.dumps(dict(note.facts)), number_digest(note.image)
            connection.execute(
                "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job.job_id,
                    job.acs_credential_id,
                    note.stage,
                    facts,
                    note.image,
                    image_digest,
                    order_digest(job.acs_credential_id, note.stage, facts, image_digest),
                    clock.now_text(),
                ),
            )
            if note.stage == "asked":
                audit_job(connection, "ordering", current, order=dict(note.facts))
            else:
                audit_job(connection, "ordered", current, order=dict(note.facts))

    def order_of(self, job_id: int) -> OrderNote | None:
        """What was noted of the job's order, or, before it gave one, of one that may stand since an earlier job."""
        row = self._database.row("SELECT * FROM orders WHERE job_id = ?", job_id)
        return None if row is None else OrderNote(row["stage"], json.loads(row["facts"]), row["image"])
