"""Illegal steps are impossible: the database refuses them, whatever the code does."""

import hashlib
import sqlite3
import tempfile
from itertools import product
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent import clock
from agent.journal import OPEN_STATES, IllegalStep, Job, JobState, Journal, JournalError, Scope
from agent.journal.schema import MIGRATIONS, TRANSITIONS
from drivers.encoder import OrderNote
from tests.agent.journal.samples import intake


@pytest.mark.parametrize(("before", "after"), list(product(JobState, JobState)))
@pytest.mark.promise(1, 5)
def test_the_database_keeps_the_order(before: JobState, after: JobState) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(MIGRATIONS[0])
    connection.executescript("DROP TRIGGER only_legal_starts")
    connection.execute(
        "INSERT INTO jobs (acs_credential_id, state, ready, code, reason, credential, digest, reissue, issued,"
        " sort_key, created_at, updated_at) VALUES ('c', ?, 1, '', '', '{}', '', 0, 0, '', '', '')",
        (before,),
    )
    if after in TRANSITIONS[before]:
        connection.execute("UPDATE jobs SET state = ?", (after,))
    else:
        with pytest.raises(sqlite3.IntegrityError, match="illegal step"):
            connection.execute("UPDATE jobs SET state = ?", (after,))


def test_every_state_can_be_reached_and_every_open_one_left() -> None:
    reached, edge = set(), {"waiting", "held"}
    while edge:
        reached |= edge
        edge = {after for state in edge for after in TRANSITIONS[state]} - reached
    assert reached == set(JobState)
    assert all(TRANSITIONS[state] for state in OPEN_STATES)


def test_jobs_begin_at_the_beginning() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(MIGRATIONS[0])
    with pytest.raises(sqlite3.IntegrityError, match="illegal step"):
        connection.execute(
            "INSERT INTO jobs (acs_credential_id, state, ready, code, reason, credential, digest, reissue, issued,"
            " sort_key, created_at, updated_at) VALUES ('c', 'verified', 1, '', '', '{}', '', 0, 0, '', '', '')"
        )


DIGEST = hashlib.sha256(b"n").hexdigest()
"""Of the number that the cards are to hold."""


class AnyOrder(RuleBasedStateMachine):
    """Steps in any order, legal or not: what isn't refused keeps the promises."""

    ids = st.sampled_from(["c1", "c2", "c3"])
    uids = st.sampled_from(["04a1", "04a2", ""])

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.journal = Journal(Path(self.folder.name) / "j")
        self.attempts: dict[int, int] = {}
        self.reports = 0
        self.chosen: Job | None = None
        self.standing: dict[str, int] = {}
        """The order that may stand of each credential: the last that was given, and neither refused nor given up."""
        self.numbers = 0

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()

    @rule(i=ids, ready=st.booleans(), state=st.sampled_from([JobState.WAITING, JobState.HELD, JobState.CANCELLED]))
    def take_in(self, i: str, ready: bool, state: JobState) -> None:
        self.journal.take_in([intake(i, ready=ready, state=state)], seen_at=clock.now_text())

    @rule()
    def claim(self) -> None:
        self.journal.claim(joiners=True)

    @rule(i=ids, step=st.sampled_from(["hold", "resume", "cancel", "pick", "unpick", "give_up"]))
    def person(self, i: str, step: str) -> None:
        job = self.journal.last_job(i)
        if job is None:
            return
        try:
            match step:
                case "hold":
                    self.journal.hold(job.job_id, actor="me", code="held_by_person", reason="r")
                case "resume":
                    self.journal.resume(job.job_id, actor="me")
                case "cancel":
                    self.journal.cancel(job.job_id, actor="me", code="cancelled", reason="r")
                case "pick":
                    self.journal.pick(i, actor="me", encoder=None)
                case "unpick":
                    self.journal.unpick(job.job_id, back_to_waiting=True)
                case "give_up":
                    self.journal.release_card(job.job_id, actor="me", reason="r")
                    self.standing.pop(i, None)
        except JournalError:
            assert self.journal.last_job(i) == job  # a step that was refused changed nothing

    @rule(
        uid=uids,
        write=st.booleans(),
        end=st.sampled_from(["verified", "reported", "left", "unknown", "killed"]),
        late=st.booleans(),
        order=st.sampled_from(["", "asked", "answered", "refused"]),
    )
    def encode(self, uid: str, write: bool, end: str, late: bool, order: str) -> None:
        """`late`: the job was chosen some steps ago. `order`: how far one comes that is given for it."""
        chosen, self.chosen = self.chosen, self.journal.next_job("Desk", Scope(), picked_only=False)
        job = chosen if late else self.chosen
        if job is None or (job.state is JobState.WRITING and job.card_uid != uid):
            return
        before = self.journal.job(job.job_id)
        try:
            attempt = self.journal.bind_card(job, encoder="Desk", uid=uid, medium="m", content_digest=DIGEST)
        except JournalError:
            assert before.state is not job.state
            assert self.journal.job(job.job_id) == before
            return
        if write or end in ("verified", "reported", "unknown"):
            self.journal.begin_writing(job, attempt, card_number="n", number_is_uid=False)
            self.give(order, job, attempt)
        elif order and before.state is not JobState.WRITING:
            with pytest.raises(IllegalStep):
                self.give(order, job, attempt)
        if end == "left" and job.acs_credential_id in self.standing and self.journal.job(job.job_id).state == "writing":
            end = "stays"
        match end:
            case "verified" | "reported":
                self.reports += 1
                self.standing.pop(job.acs_credential_id, None)
                self.journal.record_verified(
                    job,
                    attempt,
                    card_number="n",
                    number_is_uid=False,
                    verified_by="read_back",
                    replaces_card_number=None,
                    reported=end == "reported",
                )
            case "left":
                self.journal.record_left(job, attempt, error_type="t", error="e")
            case "stays":
                self.journal.record_left(job, attempt, error_type="t", error="e")
                assert self.journal.job(job.job_id).state is JobState.WRITING
            case "unknown":
                self.journal.record_unknown(job, attempt, error_type="t", error="e")
            case "killed":
                self.journal.recover()

    def give(self, order: str, job: Job, attempt: int) -> None:
        """Note it as a driver does: before it goes out, and with its answer."""
        if not order:
            return
        self.numbers += 1
        facts = {"order": self.numbers}
        self.journal.note_order(job, attempt, OrderNote("asked", facts))
        self.standing[job.acs_credential_id] = self.numbers
        if order == "answered":
            self.journal.note_order(job, attempt, OrderNote("answered", facts, "00"))
        elif order == "refused":
            self.journal.note_order(job, attempt, None)
            del self.standing[job.acs_credential_id]

    @precondition(lambda self: self.journal.due_report(clock.now_text()) is not None)
    @rule(end=st.sampled_from(["acknowledged", "orphaned", "conflict", "refused"]))
    def report(self, end: str) -> None:
        entry = self.journal.due_report(clock.now_text())
        assert entry is not None
        if end == "acknowledged":
            self.journal.record_acknowledged(entry)
        elif end == "orphaned":
            self.journal.record_orphaned(entry, "404")
        elif end == "conflict":
            self.journal.record_conflict(entry, "409")
        else:
            self.journal.record_refused(entry, "400")

    @invariant()
    def every_verified_write_has_its_report(self) -> None:
        rows = self.journal._database.rows("SELECT job_id FROM outbox")
        assert len(rows) == self.reports
        unreported = self.journal._database.rows(
            "SELECT 1 FROM jobs WHERE state = 'verified' AND job_id NOT IN (SELECT job_id FROM outbox)"
        )
        assert not unreported

    @invariant()
    def an_order_stands_until_it_is_settled(self) -> None:
        for i, number in self.standing.items():
            job = self.journal.last_job(i)
            assert job is not None
            note = self.journal.order_of(job.job_id)
            assert note is not None, f"{i}, {job.state}"
            assert note.facts["order"] == number
        for i in {"c1", "c2", "c3"} - self.standing.keys():
            job = self.journal.open_job(i)
            if job is not None and job.state in (JobState.WAITING, JobState.CLAIMED, JobState.WRITING):
                assert self.journal.order_of(job.job_id) is None, f"{i}, {job.state}"

    @invariant()
    def a_card_without_a_uid_is_no_card_that_is_known(self) -> None:
        assert self.journal.card("") is None

    @invariant()
    def one_open_job_for_a_credential(self) -> None:
        ids = [job.acs_credential_id for job in self.journal.queue()]
        assert len(ids) == len(set(ids))

    @invariant()
    def nothing_stays_bound(self) -> None:
        assert self.journal.count_by_state()[JobState.BOUND] == 0

    @invariant()
    def the_audit_trail_holds(self) -> None:
        assert self.journal.first_broken_audit_entry() is None


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
