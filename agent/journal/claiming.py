"""Which jobs are this desk's to encode: the steps of taking up, and of giving back."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from agent import clock
from agent.journal.choosing import WRITTEN_HERE, Choosing, within
from agent.journal.intake import JOURNAL_LOST
from agent.journal.model import Job, JobState, Scope
from agent.journal.reading import BEGUN_ON_ONE_OF_MANY, JOINS_ARE_DONE
from agent.journal.rows import audit_job, job_of, move

_ON_A_KNOWN_CARD = "(issued = 1 AND card_number <> '' AND by_order = 0)"
# What PostgreSQL can't hold, or not in a notice, must not keep the others from being told.
_CAN_BE_TOLD = "length(CAST(acs_credential_id AS BLOB)) <= 1000 AND instr(acs_credential_id, char(0)) = 0"
_JOINS_NOTHING = "NOT EXISTS (SELECT 1 FROM joins WHERE joins.job_id = jobs.job_id)"


class Claiming(Choosing):
    """Waiting jobs become claimed ones, and the other way round."""

    @property
    def journal_id(self) -> str:
        """By which desks that share a system know this one, whatever it is called."""
        row = self._database.row("SELECT journal_id FROM identity")
        assert row is not None
        return str(row["journal_id"])

    def claim(self, *, joiners: bool, only_issued: bool = False) -> int:
        """Take up the waiting jobs whose decision is to encode, those that join others only with `joiners`.

        With `only_issued` no more than those that are on a card whose number is known: they go on that one again.
        Returns how many.
        """
        which = "state = 'waiting' AND ready = 1"
        if not joiners:
            which += f" AND {_JOINS_NOTHING}"
        if only_issued:
            which += f" AND {_ON_A_KNOWN_CARD}"
        if not self._database.row(f"SELECT 1 FROM jobs WHERE {which} LIMIT 1"):
            return 0
        with self._database.transaction("claim") as connection:
            return connection.execute(
                f"UPDATE jobs SET state = 'claimed', updated_at = ? WHERE {which}", (clock.now_text(),)
            ).rowcount

    def claimable(
        self,
        limit: int,
        *,
        scopes: Collection[Scope],
        joiners: bool,
        without: Collection[str] = (),
    ) -> list[str]:
        """The credentials that may be encoded now, and on any card, the oldest first, `limit` at most.

        `scopes` are what this desk's encoders can write; `without` are left out. What joins others is among them only
        with `joiners`.
        """
        conditions = [within(scope) for scope in scopes]
        rows = self._database.rows(
            "SELECT acs_credential_id FROM jobs INDEXED BY jobs_in_order "
            f"WHERE state = 'waiting' AND ready = 1 AND {_ON_A_KNOWN_CARD} IS NOT TRUE AND {_CAN_BE_TOLD} "
            f"AND ({' OR '.join(fits for fits, _ in conditions) or '0'}) "
            f"AND acs_credential_id NOT IN ({','.join('?' * len(without))}) AND {JOINS_ARE_DONE} "
            f"AND {'1' if joiners else _JOINS_NOTHING} ORDER BY priority DESC, sort_key, job_id LIMIT ?",
            *(*(value for _, values in conditions for value in values), *without, limit),
        )
        return [row["acs_credential_id"] for row in rows]

    def kept_or_begun(self) -> int:
        """How many encoders are taken: by a card that was begun, or by a job that is kept for whichever card comes.

        What goes on a card of this desk that was begun before takes none: only that card can come for it.
        """
        row = self._database.row(
            "SELECT count(*) AS n FROM jobs WHERE state IN ('bound', 'writing') OR (state = 'claimed' "
            f"AND claim_kept = 1 AND picked = 0 AND NOT {WRITTEN_HERE})"
        )
        return int(row["n"]) if row else 0

    def may_be_on_a_card(self, acs_credential_id: str) -> bool:
        """Whether a card of this desk holds it, or may: one that this journal knows, or one that a lost one knew."""
        row = self._database.row(
            "SELECT 1 FROM cards WHERE acs_credential_id = ? AND standing <> 'void' UNION ALL "
            "SELECT 1 FROM jobs WHERE acs_credential_id = ? "
            f"AND (held_by = 'journal' OR consent = ? OR (seen_to_by IS NULL AND {BEGUN_ON_ONE_OF_MANY})) LIMIT 1",
            acs_credential_id,
            acs_credential_id,
            JOURNAL_LOST,
        )
        return row is not None

    def claimed_or_begun(self) -> list[Job]:
        """The jobs that are this desk's, from taken up to reported."""
        rows = self._database.rows(
            "SELECT * FROM jobs WHERE state IN ('claimed', 'bound', 'writing', 'verified') "
            "OR (state = 'held' AND held_from = 'writing') ORDER BY job_id"
        )
        return [Job.of(row) for row in rows]

    def record_claims(self, tokens: Mapping[str, int]) -> int:
        """These credentials are this desk's for as long as it takes, each with its token. Returns how many still wait.

        Those of them that no longer do are to be given back.
        """
        if not tokens:
            return 0
        with self._database.transaction("record_claims") as connection:
            return sum(
                connection.execute(
                    "UPDATE jobs SET state = 'claimed', claim_token = ?, claim_kept = 1, updated_at = ? "
                    "WHERE acs_credential_id = ? AND state = 'waiting' AND ready = 1",
                    (token, clock.now_text(), acs_credential_id),
                ).rowcount
                for acs_credential_id, token in tokens.items()
            )

    def unclaim(self, job_ids: Collection[int]) -> None:
        """They aren't this desk's any more, or never were; no byte has been written. They wait like all others."""
        if not job_ids:
            return
        with self._database.transaction("unclaim") as connection:
            connection.execute(
                "UPDATE jobs SET state = 'waiting', claim_token = NULL, claim_kept = 0, picked = 0, priority = 0, "
                "wanted_encoder = NULL, replace_card = 0, overwrite = 0, updated_at = ? "
                "WHERE job_id IN (SELECT value FROM json_each(?)) AND state = 'claimed'",
                (clock.now_text(), json.dumps(list(job_ids))),
            )

    def record_word(self, job_id: int, *, actor: str, reason: str | None) -> None:
        """A person wants another card for it, whichever desk has it in hand."""
        with self._database.transaction("record_word") as connection:
            audit_job(connection, "overruled", job_of(connection, job_id), actor=actor, reason=reason)

    def set_claim(self, job_id: int, token: int) -> None:
        """The claim on what was begun here, entered after the fact."""
        with self._database.transaction("set_claim") as connection:
            connection.execute("UPDATE jobs SET claim_token = ?, claim_kept = 1 WHERE job_id = ?", (token, job_id))

    def record_taken_over(self, job_id: int, *, desk: str) -> None:
        """A person at another desk has had it put on another card: what was begun here is void."""
        with self._database.transaction("record_taken_over") as connection:
            job = job_of(connection, job_id)
            reason = f"Another card was made at {desk}, at somebody's word. If there is one from here, take it back."
            move(connection, job, JobState.CANCELLED, code="taken_over", reason=reason)
            connection.execute(
                "UPDATE cards SET standing = 'void', updated_at = ? WHERE job_id = ?", (clock.now_text(), job_id)
            )
            connection.execute("DELETE FROM orders WHERE job_id = ?", (job_id,))  # another one was given there
            audit_job(connection, "taken_over", job, desk=desk)
