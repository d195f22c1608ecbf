"""Bad ends that a lost or damaged journal brings about."""

from __future__ import annotations

from agent.journal import JobState
from tests.agent.cli.bad_ends.desk import BadEnd, Desk
from tests.agent.cli.bad_ends.service import reported
from tests.agent.cli.bad_ends.words import ITS_JOB, ONE_HELD


async def journal_gone(desk: Desk) -> str:
    made = await desk.credential()
    await desk.end()
    (desk.folder / "journal.sqlite3").unlink()
    await desk.start()
    await desk.stands(made, JobState.HELD)
    return made


async def report_lost(desk: Desk) -> str:
    made = await reported((503, b""), JobState.VERIFIED)(desk)
    journal = desk.running.agent.journal
    for table, column in (("outbox", "body"), ("attempts", "content_digest")):
        (row,) = map(dict, journal._database.rows(f"SELECT * FROM {table}"))
        row[column] = str(row[column]).replace('"card_number": "', '"card_number": "1') if table == "outbox" else "0"
        marks = ", ".join("?" * len(row))
        journal._database.rows(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", *row.values())
    await desk.end()
    await desk.start()
    await desk.stands(made, JobState.HELD, "report_lost")
    return made


CASES: list[BadEnd] = [
    BadEnd(
        "the journal is gone",
        journal_gone,
        queue=(
            "A damaged journal was set aside. Read {folder}/journal.sqlite3.damaged-",
            "The journal was damaged: a card may have been made for it",
            "Next: Put the card that was made for it on the encoder, or, if there is none, a new one; then "
            "`card-encoder resume {job}`.",
        ),
        status=("A damaged journal was set aside. Read {folder}/journal.sqlite3.damaged-", ONE_HELD),
        audit=(
            "The journal was damaged or gone: it is gone.",
            "Held for a person: a card may have been made for it of which only a lost journal knew. " + ITS_JOB,
        ),
        ends_in=("held", "journal_lost", "journal_set_aside"),
    ),
    BadEnd(
        "a report lost with a damaged journal",
        report_lost,
        queue=(
            "Its card was written, and the report on it was lost",
            "Next: Get card {uid} back; with it at hand: `card-encoder resume {job}`.",
        ),
        status=(ONE_HELD, "A damaged journal was set aside."),
        audit=("The journal was damaged or gone: a report was changed",),
        ends_in=("held", "report_lost", "journal_set_aside"),
    ),
]
