"""A story (tests/rig/story.py) of a desk that shares its system with another one, through a real PostgreSQL.

The other desk is played by the test, by the agent's own register. The judge sees in addition that register and journal
agree, and that no credential is on a card at both desks.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from agent import clock
from agent.claims.register import Claim, Register
from tests.rig.cards import text_on
from tests.rig.postgres import Line, Postgres
from tests.rig.story import Desk, Stage

HERE, THERE = "here", "there"
CARD_THERE = "04d00d00d00d00"
Row = dict[str, Any]


class Database:
    """The desks' database, and the line that leads the desk of the story to it."""

    def __init__(self, postgres: Postgres, line: Line) -> None:
        self._name = postgres.new_database()
        self.url, self.url_here = postgres.url(self._name), postgres.url(self._name, line.port)
        self.line = line

    def empty(self) -> None:
        """As it was made, and within reach."""
        self.line.mend()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("DROP SCHEMA IF EXISTS card_encoder CASCADE")


class OtherDesk:
    """The other one: it does what the test says, and no more."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def rows(self) -> dict[str, Row]:
        """All that the register holds, by credential."""
        if self._connection.execute("SELECT to_regclass('card_encoder.claims') AS there").fetchone() == {"there": None}:
            return {}
        found = self._connection.execute("SELECT * FROM card_encoder.claims").fetchall()
        return {row["acs_credential_id"]: row for row in found}

    def row(self, acs_credential_id: str) -> Row:
        """That credential's, as one that nobody has where there is none."""
        return self.rows().get(acs_credential_id, {"desk": None, "standing": "free", "wanted_by": None})

    def _do(self, acs_credential_id: str, what: Callable[[Register, Claim], Awaitable[object]]) -> None:
        async def doing() -> None:
            connected = Register.connected(self._url, desk=THERE, journal_id="the journal there")
            async with connected as register:
                (claim,) = await register.find([acs_credential_id])
                await what(register, claim)

        asyncio.run(doing())

    def keep(self, acs_credential_id: str) -> None:
        """Take it up for the next card."""
        self._do(acs_credential_id, lambda register, _: register.grant([acs_credential_id], 1, "kept"))

    def hand_over(self, acs_credential_id: str) -> None:
        """Give it away where it is wanted."""
        row = self.row(acs_credential_id)
        if row["desk"] == THERE and row["wanted_by"] is not None:
            self._do(acs_credential_id, lambda register, claim: register.hand_over(claim))

    def get(self, acs_credential_id: str) -> bool:
        """A person there picks it: ask for it as long as the desk here has it. Whether it is theirs now."""
        row = self.row(acs_credential_id)
        if row["desk"] == HERE and row["wanted_by"] is None:
            self._do(acs_credential_id, lambda register, claim: register.ask_for(claim))
        elif row["standing"] == "free":
            self._do(acs_credential_id, lambda register, _: register.grant([acs_credential_id], 1, "leased"))
        return row["desk"] == THERE

    def take_over(self, acs_credential_id: str) -> None:
        """A person there says that it is theirs, whoever has it."""
        self._do(acs_credential_id, lambda register, _: register.take_over(acs_credential_id))

    def begin(self, acs_credential_id: str) -> None:
        """A card there is about to hold it."""
        self._do(acs_credential_id, lambda register, claim: register.begin(acs_credential_id, claim.token, CARD_THERE))

    def done(self, acs_credential_id: str) -> None:
        """The service has acknowledged it."""
        self._do(acs_credential_id, lambda register, claim: register.settle(claim, "done"))


class SharedDesk(Desk):
    """The stage with two desks."""

    def __init__(self, folder: Path, stage: Stage, database: Database) -> None:
        database.empty()
        self.line = database.line
        self.there = OtherDesk(database.url)
        super().__init__(folder, stage, tables=f'[claims]\nurl = "{database.url_here}"\ndesk = "{HERE}"')

    def close(self) -> None:
        """End it all."""
        super().close()
        self.there.close()

    def reported(self, acs_credential_id: str) -> None:
        """Wait until its job has come to the good end, and the register knows it."""
        super().reported(acs_credential_id)
        self.until(lambda: self.there.row(acs_credential_id)["standing"] == "done", "the register to learn of it")

    def issued_there(self, acs_credential_id: str, number: str) -> None:
        """The other desk, which has it, puts it on a card there, and reports that."""
        self.there.begin(acs_credential_id)
        self.expected.elsewhere[acs_credential_id] = number
        self.report_from_elsewhere(
            {"acs_credential_id": acs_credential_id, "card_number": number, "issued_at": clock.now_text()}
        )
        self.there.done(acs_credential_id)

    def reasons(self, acs_credential_id: str) -> list[str]:
        """What people at this desk have given as reasons, by its audit trail."""
        entries = self._in_the_journal(f"SELECT detail FROM audit WHERE acs_credential_id = '{acs_credential_id}'")
        return [reason for entry in entries if (reason := json.loads(entry["detail"]).get("reason"))]

    def judge(self) -> None:
        """What holds at every moment."""
        super().judge()
        rows = self.there.rows()
        for job in self._jobs_with_a_token():
            row = rows.get(job["acs_credential_id"])
            assert row, "a claim that the register never gave"
            assert row["token"] >= job["claim_token"], "a claim that the register never gave"
            if row["token"] > job["claim_token"]:
                assert row["desk"] != HERE or job["state"] == "reported", "a claim that the journal doesn't know of"
                # Without its database the desk would go on with that: only what a card may hold is ever taken from it.
                assert not (job["state"] == "claimed" and job["claim_kept"]), "kept here, and another desk's"
            else:
                assert row["desk"] == HERE
                assert row["standing"] in _register_says(job), f"{job['state']} here, and {row['standing']} there"
        texts = Counter(text_on(card.memory) for card in self.cards)
        for credential in self._credentials():
            acs_credential_id = credential["acs_credential_id"]
            here, there = texts[credential["card_number"]], acs_credential_id in self.expected.elsewhere
            assert here + there <= 1, "on two cards"
            if here:
                row = rows[acs_credential_id]
                assert (row["desk"], row["standing"] in ("begun", "done")) == (HERE, True), "on a card, and not claimed"

    def judge_the_end(self) -> None:
        """What holds when the story is over, and the agents have nothing more to do."""
        super().judge_the_end()
        rows = self.there.rows()
        assert {row["standing"] for row in rows.values()} <= {"free", "done"}, "somebody waits for ever"
        tokens = {job["acs_credential_id"]: job["claim_token"] for job in self._jobs_with_a_token()}
        for credential in self._credentials():
            acs_credential_id, row = credential["acs_credential_id"], rows[credential["acs_credential_id"]]
            if acs_credential_id in self.expected.elsewhere:
                assert (row["desk"], row["standing"]) == (THERE, "done")
            elif credential["is_issued"]:
                assert (row["desk"], row["standing"]) == (HERE, "done")
                assert row["token"] == tokens[acs_credential_id], "the journal doesn't know its claim"
            else:
                assert row["standing"] == "free"

    def _jobs_with_a_token(self) -> list[sqlite3.Row]:
        return self._in_the_journal(
            "SELECT acs_credential_id, state, claim_token, claim_kept FROM jobs "
            "WHERE claim_token IS NOT NULL AND state <> 'cancelled'"
        )

    def _in_the_journal(self, sql: str) -> list[sqlite3.Row]:
        # Read-only, so that what the agent left in the journal's WAL stays there for the next one to find.
        with closing(sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)) as file:
            file.row_factory = sqlite3.Row
            return file.execute(sql).fetchall()


def _register_says(job: sqlite3.Row) -> tuple[str, ...]:
    """What the register may say of a job that is this desk's, while both have the same token."""
    match job["state"]:
        case "claimed" | "bound":
            return ("kept", "begun") if job["claim_kept"] else ("leased", "begun")
        case "reported":
            return ("begun", "done")
        case _:
            return ("begun",)
