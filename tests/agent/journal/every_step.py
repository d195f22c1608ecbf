"""Run in a process of its own, with tests/rig/disk.c under it: each of the journal's steps meets a disk that fails.

    python -m tests.agent.journal.every_step FOLDER FAULT CALLS

Prints, as JSON, what each step's name came to: "" where all was as it should be, else what was not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from agent import clock
from agent.journal import IllegalStep, Journal, JournalError, OutboxEntry
from drivers.encoder import OrderNote
from tests.agent.journal.desk_life import bound, claimed, sample, take_in, verified, writing
from tests.rig.disk import Disk

Act = Callable[[], object]


def _entry(journal: Journal) -> OutboxEntry:
    entry = journal.report_of(verified(journal, "c").job_id)
    assert entry is not None
    return entry


def _begin_writing(journal: Journal) -> Act:
    job, attempt = bound(journal, "c")
    return lambda: journal.begin_writing(job, attempt, card_number="n", number_is_uid=False)


def _record_verified(journal: Journal) -> Act:
    job, attempt = writing(journal, "c")
    return lambda: journal.record_verified(
        job, attempt, card_number="n", number_is_uid=False, verified_by="read_back", replaces_card_number=None
    )


def _note_order(journal: Journal) -> Act:
    job, attempt = writing(journal, "c")
    return lambda: journal.note_order(job, attempt, OrderNote("asked", {"before": []}))


def _bind_card(journal: Journal) -> Act:
    job = claimed(journal, "c")
    return lambda: journal.bind_card(job, encoder="Desk", uid="04a1", medium="NTAG213", content_digest="d")


def _ended(step: str) -> Callable[[Journal], Act]:
    def arrange(journal: Journal) -> Act:
        job, attempt = writing(journal, "c")
        return lambda: getattr(journal, step)(job, attempt, error_type="t", error="e")

    return arrange


def _claimed(act: Callable[[Journal, int], object]) -> Callable[[Journal], Act]:
    def arrange(journal: Journal) -> Act:
        job_id = claimed(journal, "c").job_id
        return lambda: act(journal, job_id)

    return arrange


def _resume(journal: Journal) -> Act:
    job = journal.hold(claimed(journal, "c").job_id, actor="me", code="held_by_person", reason="r")
    return lambda: journal.resume(job.job_id, actor="me")


def _picked(journal: Journal) -> Act:
    job = claimed(journal, "c")
    journal.pick("c", actor="me", encoder=None)
    return lambda: journal.unpick(job.job_id, back_to_waiting=True)


def _waiting(act: Callable[[Journal], object]) -> Callable[[Journal], Act]:
    def arrange(journal: Journal) -> Act:
        take_in(journal, "c")
        return lambda: act(journal)

    return arrange


def _settle_doubts(journal: Journal) -> Act:
    with journal._database.transaction("arranged") as connection:
        connection.execute("INSERT INTO doubts VALUES ('*')")
    return journal.settle_doubts


def _report(act: Callable[[Journal, OutboxEntry], object]) -> Callable[[Journal], Act]:
    def arrange(journal: Journal) -> Act:
        entry = _entry(journal)
        return lambda: act(journal, entry)

    return arrange


STEPS: dict[str, Callable[[Journal], Act]] = {
    "take_in": lambda j: lambda: j.take_in([sample("c")], seen_at=clock.now_text()),
    "claim": _waiting(lambda j: j.claim(joiners=True)),
    "record_claims": _waiting(lambda j: j.record_claims({"c": 7})),
    "unclaim": _claimed(lambda j, job_id: j.unclaim([job_id])),
    "record_word": _claimed(lambda j, job_id: j.record_word(job_id, actor="me", reason="r")),
    "set_claim": _claimed(lambda j, job_id: j.set_claim(job_id, 7)),
    "record_taken_over": _claimed(lambda j, job_id: j.record_taken_over(job_id, desk="other")),
    "pick": _claimed(lambda j, _: j.pick("c", actor="me", encoder=None)),
    "unpick": _picked,
    "bind_card": _bind_card,
    "begin_writing": _begin_writing,
    "record_verified": _record_verified,
    "note_order": _note_order,
    "record_left": _ended("record_left"),
    "record_unknown": _ended("record_unknown"),
    "record_card_refused": _claimed(
        lambda j, job_id: j.record_card_refused(j.job(job_id), encoder="Desk", uid="04", error_type="t", error="e")
    ),
    "hold": _claimed(lambda j, job_id: j.hold(job_id, actor="me", code="held_by_person", reason="r")),
    "resume": _resume,
    "cancel": _claimed(lambda j, job_id: j.cancel(job_id, actor="me", code="cancelled", reason="r")),
    "release_card": lambda j: (lambda job: lambda: j.release_card(job.job_id, actor="me", reason="r"))(
        writing(j, "c")[0]
    ),
    "expire": _claimed(lambda j, _: j.expire("9")),
    "record_deleted": _claimed(lambda j, _: j.record_deleted("c")),
    "recover": lambda j: (lambda _: j.recover)(writing(j, "c")),
    "retry_now": _report(lambda j, _: j.retry_now("9")),
    "record_refused": _report(lambda j, entry: j.record_refused(entry, "a")),
    "record_retry": _report(lambda j, entry: j.record_retry(entry, next_try_at="9", answer="a")),
    "end_report": _report(lambda j, entry: j.record_acknowledged(entry)),
    "settle_doubts": _settle_doubts,
    "try_again": lambda j: j.try_again,
}


def dump(journal: Journal) -> list[list[tuple[object, ...]]]:
    """All that is in it."""
    tables = ("jobs", "joins", "attempts", "cards", "orders", "outbox", "audit", "doubts", "identity")
    return [[tuple(row) for row in journal._database.rows(f"SELECT * FROM {table}")] for table in tables]


def judge(name: str, path: Path, disk: Disk, fault: str, calls: str) -> str:
    """What is wrong with this step on that disk."""
    if name == "migrate":
        return judge_the_first_start(path, disk, fault, calls)
    journal = Journal(path)
    act = STEPS[name](journal)
    before = dump(journal)
    disk.fail(fault, calls)
    try:
        act()
        return "it returned, though nothing reached the disk"
    except IllegalStep as error:
        return f"the fault is taken for something else: {error}"
    except JournalError as error:
        if "dmesg" not in str(error) and "df -h" not in str(error):
            return f"it doesn't say what to do: {error}"
    if journal.trouble is None or journal.damaged:
        return f"trouble: {journal.trouble}, damaged: {journal.damaged}"
    if dump(journal) != before:
        return "something was changed all the same"
    disk.heal()
    act()
    if journal.trouble is not None or journal.first_broken_audit_entry() is not None:
        return f"not well again: {journal.trouble}"
    if name != "try_again" and dump(journal) == before:
        return "the step did nothing: this test is wrong"
    after = dump(journal)
    journal.close()
    journal = Journal(path)
    same = dump(journal) == after
    journal.close()
    return "" if same else "what it did is not in the file"


def judge_the_first_start(path: Path, disk: Disk, fault: str, calls: str) -> str:
    disk.fail(fault, calls)
    try:
        Journal(path)
        return "a journal was made on a disk that fails"
    except JournalError as error:
        if "disk isn't full" not in str(error) and "dmesg" not in str(error):
            return str(error)
    disk.heal()
    journal = Journal(path)
    take_in(journal, "c")
    journal.close()
    return ""


def main() -> None:
    folder, fault, calls = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    disk = Disk(folder.parent, folder)
    names = [*STEPS, "migrate"]
    print(json.dumps({name: judge(name, folder / f"{name}.sqlite3", disk, fault, calls) for name in names}))


if __name__ == "__main__":
    main()
