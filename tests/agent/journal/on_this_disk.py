"""Run in a process of its own, with tests/rig/disk.c under it: step by step through a journal's life, written down.

    python -m tests.agent.journal.on_this_disk JOURNAL [ORDERS END]

After each step that returned, a note with the journal's state goes into DISK_RECORD, between the calls that are there.
Where a step fails, END says what then: "go on" has the disk mended and takes the step again, "die" ends the process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from agent import clock
from agent.journal import IllegalStep, Job, Journal, JournalError
from drivers import steps
from tests.agent.journal.desk_life import digest, report, sample, uid

Step = Callable[[Journal], object]


def job(journal: Journal, name: str) -> Job:
    found = journal.last_job(name)
    assert found is not None
    return found


def attempt(journal: Journal, name: str) -> int:
    found = journal.last_attempt(job(journal, name).job_id)
    assert found is not None
    return int(found["attempt_id"])


def bind(journal: Journal, name: str) -> object:
    return journal.bind_card(
        job(journal, name), encoder="Desk", uid=uid(name), medium="NTAG213", content_digest=digest(name)
    )


def begin(journal: Journal, name: str) -> object:
    number = f"number of {name}"
    return journal.begin_writing(job(journal, name), attempt(journal, name), card_number=number, number_is_uid=False)


def verify(journal: Journal, name: str) -> object:
    return journal.record_verified(
        job(journal, name),
        attempt(journal, name),
        card_number=f"number of {name}",
        number_is_uid=False,
        verified_by="read_back",
        replaces_card_number=None,
    )


def one_after_the_other() -> Iterator[Step]:
    """Single transactions; each may be taken again where it failed."""
    for name in ("a", "b", "c", "d"):
        yield lambda j, n=name: j.take_in([sample(n)], seen_at=clock.now_text())
        yield lambda j: j.claim(joiners=True)
        yield lambda j, n=name: bind(j, n)
        yield lambda j, n=name: begin(j, n)
        if name == "b":
            yield lambda j, n=name: j.record_unknown(job(j, n), attempt(j, n), error_type="t", error="e")
            continue
        yield lambda j, n=name: verify(j, n)
        if name != "c":
            yield lambda j, n=name: report(j, job(j, n))
    yield lambda j: j.hold(job(j, "b").job_id, actor="me", code="held_by_person", reason="r")


def state_of(journal: Journal) -> dict[str, object]:
    """All that the steps are for."""
    return {
        "jobs": {row["acs_credential_id"]: row["state"] for row in journal._database.rows("SELECT * FROM jobs")},
        "cards": {row["uid"]: row["standing"] for row in journal._database.rows("SELECT * FROM cards")},
        "reports": {row["idempotency_key"]: row["state"] for row in journal._database.rows("SELECT * FROM outbox")},
        "audit": [row["hash"] for row in journal._database.rows("SELECT hash FROM audit ORDER BY seq")],
        "id": journal.journal_id,
    }


def note(state: object) -> None:
    data = json.dumps(state).encode()
    with open(os.environ["DISK_RECORD"], "ab") as record:
        record.write(f"note step 0 {len(data)} 0\n".encode() + data)


def main() -> None:
    path, end = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    journal = Journal(path)
    # Often, so that a life as short as this one has checkpoints in it.
    journal._database._connection.execute("PRAGMA wal_autocheckpoint = 12")
    note(state_of(journal))
    for number, step in enumerate(one_after_the_other()):
        while True:
            try:
                step(journal)
            except IllegalStep:
                pass  # taken before the process died
            except JournalError:
                if end == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                Path(os.environ["DISK_ORDERS"]).unlink()
                continue
            break
        note(state_of(journal))
        if number == 8:
            journal.close()
            journal = Journal(path)
    journal.close()


if __name__ == "__main__":
    steps.observe()
    main()
