import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from agent import clock
from agent.journal import CardStanding, IllegalStep, JobState, Journal, JournalError, OutboxState, Scope
from agent.journal.schema import MIGRATIONS
from agent.journal.soundness import first_damage
from drivers.encoder import CardState, FoundCard
from tests.agent.journal.samples import SEEN, bind, claimed, intake, journal, next_job, verified, writing

__all__ = ["journal"]


def test_one_job_for_a_credential_however_often_it_is_seen(journal: Journal) -> None:
    for _ in range(3):
        journal.take_in([intake("c1"), intake("c2")], seen_at=SEEN)
    assert [job.acs_credential_id for job in journal.queue()] == ["c1", "c2"]


def test_oldest_first(journal: Journal) -> None:
    journal.take_in([intake("new", sort_key="2026-11-22"), intake("old", sort_key="2026-11-01")], seen_at=SEEN)
    assert next_job(journal) is None
    assert journal.claim(joiners=True) == 2
    job = next_job(journal)
    assert job is not None
    assert job.acs_credential_id == "old"


def test_picked_comes_first(journal: Journal) -> None:
    claimed(journal, "old", sort_key="1")
    claimed(journal, "new", sort_key="2")
    journal.pick("new", actor="me", encoder=None)
    job = next_job(journal)
    assert job is not None
    assert (job.acs_credential_id, job.picked) == ("new", True)
    journal.unpick(job.job_id, back_to_waiting=False)
    job = next_job(journal)
    assert job is not None
    assert job.acs_credential_id == "old"


def test_picked_for_another_encoder_is_not_this_ones(journal: Journal) -> None:
    claimed(journal, "c1")
    journal.pick("c1", actor="me", encoder="Other desk")
    assert next_job(journal) is None
    assert next_job(journal, "Other desk") is not None


def test_joiners_come_after_what_they_join(journal: Journal) -> None:
    journal.take_in([intake("joiner", sort_key="1", joins=("joined",))], seen_at=SEEN)
    assert journal.claim(joiners=False) == 0
    joined = claimed(journal, "joined", sort_key="2")
    joiner = journal.open_job("joiner")
    assert joiner is not None
    assert joiner.state is JobState.CLAIMED
    assert journal.joins_pending(joiner)
    first = next_job(journal)
    assert first is not None
    assert first.acs_credential_id == "joined"
    journal.hold(joined.job_id, actor="me", code="x", reason="y")
    assert next_job(journal) is None
    journal.resume(joined.job_id, actor="me")
    journal.claim(joiners=True)
    verified(journal, journal.job(joined.job_id))
    second = next_job(journal)
    assert second is not None
    assert second.acs_credential_id == "joiner"


def test_only_the_vendors_that_the_encoder_serves(journal: Journal) -> None:
    claimed(journal, "c1", vendor="visionline")
    assert next_job(journal) is None
    assert next_job(journal, vendors=(None, "visionline")) is not None
    assert next_job(journal, vendors=("visionline",)) is not None


@pytest.mark.promise(1)
def test_the_way_of_one_job(journal: Journal) -> None:
    job = claimed(journal)
    attempt = bind(journal, job)
    assert journal.job(job.job_id).state is JobState.BOUND
    assert journal.card("04a1") is None
    journal.begin_writing(job, attempt, card_number="n1", number_is_uid=False)
    assert journal.job(job.job_id).state is JobState.WRITING
    card = journal.card("04a1")
    assert card is not None
    assert card.standing is CardStanding.UNKNOWN
    journal.record_verified(
        job, attempt, card_number="n1", number_is_uid=False, verified_by="read_back", replaces_card_number=None
    )
    entry = journal.report_of(job.job_id)
    assert entry is not None
    assert journal.job(job.job_id).state is JobState.VERIFIED
    assert entry.body["acs_credential_id"] == "c1"
    assert set(entry.body) == {
        "acs_credential_id",
        "card_number",
        "issued_at",
        "acs_encoder_id",
        "replaces_card_number",
    }
    assert journal.due_report(clock.now_text()) == entry
    journal.record_acknowledged(entry)
    assert journal.job(job.job_id).state is JobState.REPORTED
    assert journal.due_report(clock.now_text()) is None
    assert journal.last_verified_uid("Desk") == "04a1"
    assert [e["event"] for e in journal.audit()] == ["writing", "verified", "reported"]


@pytest.mark.promise(5)
def test_an_interrupted_job_stays_with_its_card(journal: Journal) -> None:
    job = claimed(journal)
    claimed(journal, "c2", sort_key="0")
    attempt = writing(journal, job)
    journal.record_unknown(job, attempt, error_type="encoding_interrupted", error="e")
    again = next_job(journal)
    assert again is not None
    assert (again.acs_credential_id, again.state, again.card_uid) == ("c1", JobState.WRITING, "04a1")
    attempt = bind(journal, again)
    assert journal.job(job.job_id).state is JobState.WRITING
    # Trouble before the first byte of the second try doesn't make the first one's outcome known.
    journal.record_left(again, attempt, error_type="no_credential_on_encoder", error="e")
    assert journal.job(job.job_id).state is JobState.WRITING


def test_the_card_written_last_is_not_there_any_more_once_another_one_was_begun(journal: Journal) -> None:
    verified(journal, claimed(journal), "04a1")
    assert journal.last_verified_uid("Desk") == "04a1"
    bind(journal, claimed(journal, "c2"), "04b2")
    assert journal.last_verified_uid("Desk") is None
    journal.recover()
    assert journal.last_verified_uid("Desk") is None


def test_left_invalid_frees_the_job(journal: Journal) -> None:
    job = claimed(journal)
    attempt = writing(journal, job)
    journal.record_left(job, attempt, error_type="incompatible_card_format", error="locked")
    assert journal.job(job.job_id).state is JobState.CLAIMED
    assert journal.card("04a1") is None


@pytest.mark.promise(4)
def test_two_encoders_cannot_take_the_same_job(journal: Journal) -> None:
    job = claimed(journal)
    attempt = bind(journal, job, "04a1")
    with pytest.raises(IllegalStep, match="gone on"):
        journal.bind_card(job, encoder="Other", uid="04a2", medium="m", content_digest="d")
    journal.begin_writing(job, attempt, card_number="n1", number_is_uid=False)
    assert journal.job(job.job_id).card_uid == "04a1"
    assert next_job(journal, "Other") is not None  # as long as nobody says that it is in somebody's hand
    in_hand = {"in_hand": {job.job_id}, "picked_only": False}
    assert journal.next_job("Other", Scope(), **in_hand) is None  # type: ignore[arg-type]
    assert journal.next_job("Other", Scope(), picked_only=False, others=["Desk"]) is None


@pytest.mark.promise(1)
def test_only_the_newest_attempt_counts(journal: Journal) -> None:
    job = claimed(journal)
    first = writing(journal, job)
    second = bind(journal, journal.job(job.job_id))
    with pytest.raises(IllegalStep, match="meanwhile"):
        journal.begin_writing(job, first, card_number="n1", number_is_uid=False)
    with pytest.raises(IllegalStep, match="meanwhile"):
        journal.record_verified(
            job, first, card_number="n1", number_is_uid=False, verified_by="read_back", replaces_card_number=None
        )
    journal.begin_writing(job, second, card_number="n1", number_is_uid=False)


def test_a_card_that_was_left_is_known_as_before(journal: Journal) -> None:
    verified(journal, claimed(journal), "04a1")
    before = journal.card("04a1")
    job = claimed(journal, "c2")
    attempt = writing(journal, job, "04a1")
    journal.record_left(job, attempt, error_type="no_credential_on_encoder", error="e")
    assert journal.card("04a1") == before


@pytest.mark.promise(5)
def test_an_interrupted_job_of_an_encoder_that_is_no_more(journal: Journal) -> None:
    job = claimed(journal)
    writing(journal, job)
    renamed = journal.next_job("Renamed", Scope(), picked_only=False, others=["Second"])
    assert renamed is not None
    assert renamed.job_id == job.job_id


def test_an_interrupted_job_ends_with_its_credential(journal: Journal) -> None:
    deleted, expired = claimed(journal, "c1"), claimed(journal, "c2", ends_at="2026-11-23T00:00:00.000000Z")
    writing(journal, deleted, "04a1")
    writing(journal, expired, "04a2")
    assert not journal.record_deleted("c1", in_hand=[deleted.job_id])
    assert journal.record_deleted("c1")
    assert journal.expire("2026-11-24", in_hand=[expired.job_id]) == []
    assert journal.expire("2026-11-24") == [expired.job_id]
    cards = [journal.card("04a1"), journal.card("04a2")]
    assert [card and card.standing for card in cards] == [CardStanding.VOID, CardStanding.UNKNOWN]


@pytest.mark.promise(4, 5)
def test_a_clock_that_was_ahead_does_not_free_a_credential_for_another_card(journal: Journal) -> None:
    """What was begun is cancelled by the wrong time; when it waits again, its card is still the one it was begun on."""
    job = claimed(journal, ends_at="2026-11-23T00:00:00.000000Z")
    writing(journal, job, "04a1")
    journal.expire("2027-11-23")
    claimed(journal, ends_at="2026-11-23T00:00:00.000000Z")
    assert [(card.uid, card.standing) for card in journal.cards_of("c1")] == [("04a1", CardStanding.UNKNOWN)]


@pytest.mark.promise(2, 5)
def test_recovery(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    journal = Journal(path)
    bound, mid, done = (claimed(journal, name) for name in ("bound", "mid", "done"))
    bind(journal, bound, "04a1")
    writing(journal, mid, "04a2")
    verified(journal, done, "04a3")
    # No close: as after kill -9.
    again = Journal(path)
    assert again.recover() == (1, 1)
    assert again.job(bound.job_id).state is JobState.CLAIMED
    assert again.job(mid.job_id).state is JobState.WRITING
    assert "same card" in again.job(mid.job_id).reason
    assert again.count_reports() == 1


def test_a_card_that_is_given_up(journal: Journal) -> None:
    job = claimed(journal)
    journal.record_unknown(job, writing(journal, job), error_type="encoding_interrupted", error="e")
    journal.release_card(job.job_id, actor="me", reason="broken")
    card = journal.card("04a1")
    assert card is not None
    assert card.standing is CardStanding.VOID
    assert journal.job(job.job_id).state is JobState.CLAIMED
    assert journal.cards_of("c1") == []


@pytest.mark.promise(4)
@pytest.mark.parametrize("end", ["given up", "left"])
def test_a_wish_ends_with_who_made_it(end: str, journal: Journal) -> None:
    """Whoever asked for another card may be gone when the one that was begun comes to nothing."""
    claimed(journal)
    job = journal.pick("c1", actor="me", encoder=None, replace_card=True, overwrite=True, reason="r")
    attempt = writing(journal, job)
    with journal._database.transaction("arranged") as connection:
        connection.execute("UPDATE jobs SET picked = 0")
    if end == "given up":
        journal.release_card(job.job_id, actor="me", reason="r")
    else:
        journal.record_left(job, attempt, error_type="t", error="e")
    left = journal.job(job.job_id)
    assert (left.state, left.replace_card, left.overwrite) == (JobState.CLAIMED, False, False)
    assert first_damage(journal.path) is None


def test_replacing_voids_the_first_card(journal: Journal) -> None:
    verified(journal, claimed(journal), "04a1")
    entry = journal.due_report(clock.now_text())
    assert entry is not None
    journal.record_acknowledged(entry)
    claimed(journal, digest=b"2")
    job = journal.pick("c1", actor="me", encoder=None, reason="lost", replace_card=True)
    verified(journal, job, "04a2")
    first, second = journal.card("04a1"), journal.card("04a2")
    assert first is not None
    assert second is not None
    assert (first.standing, second.standing) == (CardStanding.VOID, CardStanding.LIVE)


@pytest.mark.parametrize("end", ["acknowledged", "orphaned", "conflict", "refused", "retry"])
@pytest.mark.promise(2)
def test_reports_are_never_dropped(journal: Journal, end: str) -> None:
    job = claimed(journal)
    verified(journal, job)
    entry = journal.due_report(clock.now_text())
    assert entry is not None
    later = clock.to_text(clock.now() + timedelta(minutes=1))
    match end:
        case "acknowledged":
            journal.record_acknowledged(entry)
        case "orphaned":
            journal.record_orphaned(entry, "404")
        case "conflict":
            journal.record_conflict(entry, "409")
        case "refused":
            journal.record_refused(entry, "400")
        case "retry":
            journal.record_retry(entry, next_try_at=later, answer="503")
    kept = journal.report_of(job.job_id)
    assert kept is not None
    assert (kept.body, kept.idempotency_key) == (entry.body, entry.idempotency_key)
    assert journal.due_report(clock.now_text()) is None
    open_ends = {"conflict": JobState.FAILED, "refused": JobState.VERIFIED, "retry": JobState.VERIFIED}
    if end in open_ends:
        assert journal.job(job.job_id).state is open_ends[end]
        assert journal.count_reports() == 1
        journal.resume(job.job_id, actor="me")
        due = journal.due_report(clock.now_text())
        assert due is not None
        assert (due.idempotency_key, due.state) == (entry.idempotency_key, OutboxState.PENDING)
    else:
        assert journal.count_reports() == 0


def test_no_old_news(journal: Journal) -> None:
    """A page that was asked for before the report was acknowledged must not begin the job again."""
    before = clock.now_text()
    verified(journal, claimed(journal))
    entry = journal.due_report(clock.now_text())
    assert entry is not None
    journal.record_acknowledged(entry)
    journal.take_in([intake()], seen_at=before)
    assert journal.open_job("c1") is None
    journal.take_in([intake()], seen_at=clock.now_text())
    assert journal.open_job("c1") is not None


def test_what_a_person_cancelled_stays_cancelled_until_it_changes(journal: Journal) -> None:
    job = claimed(journal)
    journal.cancel(job.job_id, actor="me", code="cancelled", reason="r")
    journal.take_in([intake()], seen_at=clock.now_text())
    assert journal.open_job("c1") is None
    assert journal.known_digests(["c1", "c2"]) == {"c1": b"1"}
    journal.take_in([intake(digest=b"2")], seen_at=clock.now_text())
    assert journal.open_job("c1") is not None


def test_a_person_who_asks_begins_it_again(journal: Journal) -> None:
    job = claimed(journal)
    journal.cancel(job.job_id, actor="me", code="cancelled", reason="r")
    journal.take_in([intake()], seen_at=clock.now_text(), asked_for=True)
    assert journal.open_job("c1") is not None


def test_holds_follow_the_service_but_not_a_persons(journal: Journal) -> None:
    held = intake(state=JobState.HELD, ready=False, code="errors", digest=b"2")
    journal.take_in([held], seen_at=SEEN)
    journal.take_in([intake()], seen_at=SEEN)
    assert journal.claim(joiners=True) == 1
    job = claimed(journal)
    journal.hold(job.job_id, actor="me", code="held_by_person", reason="r")
    journal.take_in([intake(digest=b"3")], seen_at=SEEN)
    assert journal.job(job.job_id).state is JobState.HELD
    journal.take_in([intake(state=JobState.CANCELLED, code="being_deleted")], seen_at=SEEN)
    assert journal.job(job.job_id).state is JobState.CANCELLED


def test_consent_covers_the_same_reason_only(journal: Journal) -> None:
    held = intake(state=JobState.HELD, ready=False, code="errors", digest=b"2")
    journal.take_in([held], seen_at=SEEN)
    job = journal.open_job("c1")
    assert job is not None
    journal.resume(job.job_id, actor="me")
    journal.take_in([held], seen_at=SEEN)
    assert journal.claim(joiners=True) == 1
    journal.take_in([intake(state=JobState.HELD, ready=False, code="visionline_invalid", digest=b"3")], seen_at=SEEN)
    assert journal.job(job.job_id).state is JobState.HELD


def test_what_is_being_written_stays_whatever_the_service_says(journal: Journal) -> None:
    job = claimed(journal)
    writing(journal, job)
    journal.take_in([intake(state=JobState.CANCELLED, code="not_waiting", digest=b"2")], seen_at=SEEN)
    assert journal.job(job.job_id).state is JobState.WRITING


def test_a_job_that_only_a_person_wanted(journal: Journal) -> None:
    job = claimed(journal, asked=True)
    journal.take_in([intake(state=JobState.CANCELLED, code="not_waiting", digest=b"2")], seen_at=SEEN)
    assert journal.job(job.job_id).state is JobState.CLAIMED
    journal.unpick(job.job_id, back_to_waiting=False)
    assert journal.job(job.job_id).state is JobState.CANCELLED


@pytest.mark.promise(5)
def test_holding_twice_does_not_forget_that_the_card_is_unknown(journal: Journal) -> None:
    job = claimed(journal)
    writing(journal, job)
    journal.hold(job.job_id, actor="me", code="held_by_person", reason="r")
    with pytest.raises(IllegalStep, match="already"):
        journal.hold(job.job_id, actor="me", code="held_by_person", reason="r")
    assert journal.resume(job.job_id, actor="me").state is JobState.WRITING


def test_expiry(journal: Journal) -> None:
    job = claimed(journal, ends_at="2026-11-23T00:00:00.000000Z")
    claimed(journal, "c2", ends_at="2099-01-01T00:00:00.000000Z")
    assert journal.expire("2026-11-23T00:00:00.000000Z") == [job.job_id]
    assert journal.job(job.job_id).code == "expired"


def test_picks_do_not_survive_a_restart(journal: Journal) -> None:
    """Whoever picked it has gone: the next card must not be written on their behalf."""
    for name in ("plain", "asked"):
        claimed(journal, name, asked=name == "asked")
        journal.pick(name, actor="me", encoder=None, overwrite=True, replace_card=True)
    # Killed between the wish and the pick.
    journal.take_in([intake("only asked", asked=True)], seen_at=clock.now_text())
    journal.forget_picks(back_to_waiting=True)
    only_asked = journal.last_job("only asked")
    assert only_asked is not None
    assert only_asked.state is JobState.CANCELLED
    plain, asked = journal.last_job("plain"), journal.last_job("asked")
    assert plain is not None
    assert asked is not None
    assert (plain.state, plain.picked, plain.overwrite) == (JobState.WAITING, False, False)
    assert asked.state is JobState.CANCELLED


def test_a_card_number_that_is_a_uid(journal: Journal) -> None:
    assert journal.number_is_uid("c1", None)
    assert not journal.number_is_uid("c1", "04a1")
    job = claimed(journal)
    attempt = bind(journal, job)
    journal.begin_writing(job, attempt, card_number="04a1", number_is_uid=True)
    assert journal.number_is_uid("c1", "04a1")


def test_the_journal_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    Journal(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="Check that the folder exists"):
        Journal(tmp_path / "nowhere" / "journal.sqlite3")
    (tmp_path / "text").write_text("this is not a database, and long enough to be seen as none" * 20)
    with pytest.raises(JournalError, match="not a database"):
        Journal(tmp_path / "text")


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    Journal(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="newer version"):
        Journal(path)


def test_unknown_jobs(journal: Journal) -> None:
    with pytest.raises(JournalError, match="no job 7"):
        journal.job(7)
    with pytest.raises(JournalError, match="no job 7"):
        journal.cancel(7, actor="me", code="c", reason="r")
    with pytest.raises(IllegalStep, match="nothing to resume"):
        journal.resume(claimed(journal).job_id, actor="me")


@pytest.mark.promise(4)
def test_tampering_with_the_audit_trail_shows(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    journal = Journal(path)
    verified(journal, claimed(journal))
    assert journal.first_broken_audit_entry() is None
    with sqlite3.connect(path) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="kept"):
            connection.execute("UPDATE audit SET actor = 'nobody'")
        with pytest.raises(sqlite3.IntegrityError, match="kept"):
            connection.execute("DELETE FROM audit")
        connection.execute("DROP TRIGGER audit_is")
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    assert journal.first_broken_audit_entry() == 2
    assert [entry["seq"] for entry in journal.audit(since="2020")] == [1, 2]
    assert list(journal.audit(since="2999")) == []


@pytest.mark.promise(8)
def test_no_card_number_in_the_audit_trail(journal: Journal) -> None:
    verified(journal, claimed(journal), number="4242-secret")
    assert "4242-secret" not in json.dumps(list(journal.audit()))


def test_each_encoder_has_its_systems(journal: Journal) -> None:
    claimed(journal, "c1", acs_system_id="east")
    claimed(journal, "c2", acs_system_id="west")
    claimed(journal, "c3")

    def chosen(*systems: str) -> str | None:
        job = journal.next_job("Desk", Scope(acs_system_ids=systems), picked_only=False)
        return job and job.acs_credential_id

    assert [chosen(), chosen("west"), chosen("north", "west"), chosen("north")] == ["c1", "c2", "c2", None]
    journal.pick("c3", actor="me", encoder=None)
    assert [chosen(), chosen("west")] == ["c3", "c2"]  # what is of no system fits where all are taken


def test_what_is_claimable_is_what_some_encoder_writes(journal: Journal) -> None:
    journal.take_in(
        [
            intake("c1", acs_system_id="east"),
            intake("c2", acs_system_id="west", card_number=None),
            intake("c3", vendor="visionline"),
        ],
        seen_at=SEEN,
    )

    def claimable(*scopes: Scope) -> list[str]:
        return journal.claimable(9, scopes=scopes, joiners=True)

    assert claimable() == []
    assert claimable(Scope(acs_system_ids=("east",))) == ["c1"]
    assert claimable(Scope(("visionline",)), Scope(acs_system_ids=("west",))) == ["c2", "c3"]
    assert claimable(Scope(numberless=False)) == ["c1"]


@pytest.mark.parametrize("scope", [Scope(), Scope(("visionline", None), ("east",)), Scope(numberless=False), Scope(())])
def test_a_scope_says_in_python_what_it_says_in_sql(journal: Journal, scope: Scope) -> None:
    cases = [
        (vendor, system, number)
        for vendor in (None, "visionline", "other")
        for system in (None, "east", "west")
        for number in (None, "1")
    ]
    for n, (vendor, system, number) in enumerate(cases):
        changes = {"vendor": vendor, "acs_system_id": system, "card_number": number}
        journal.take_in([intake(f"c{n:02}", **changes)], seen_at=SEEN)
    said = [f"c{n:02}" for n, case in enumerate(cases) if scope.takes(*case)]
    assert journal.claimable(99, scopes=[scope], joiners=True) == said


def test_what_was_begun_for_one_system_is_not_finished_by_an_encoder_for_another(journal: Journal) -> None:
    writing(journal, claimed(journal, acs_system_id="east"), uid="")
    assert journal.next_job("Renamed", Scope(acs_system_ids=("west",)), picked_only=False) is None
    assert journal.next_job("Renamed", Scope(acs_system_ids=("east",)), picked_only=False) is not None
    assert journal.next_job("Desk", Scope(acs_system_ids=("west",)), picked_only=False) is not None


@pytest.mark.promise(4)
def test_cards_without_a_uid_are_not_remembered(journal: Journal) -> None:
    job = claimed(journal, "c1")
    verified(journal, job, uid="")
    assert journal._database.rows("SELECT * FROM cards") == []
    assert journal.cards_of("c1") == []
    assert journal.is_being_issued("c1")
    entry = journal.report_of(job.job_id)
    assert entry is not None
    journal.record_acknowledged(entry)
    assert not journal.is_being_issued("c1")
    assert journal.last_verified_uid("Desk") == ""


@pytest.mark.promise(5)
def test_an_interrupted_card_without_a_uid_is_nobody_elses_to_finish(journal: Journal) -> None:
    """That another encoder has one without a UID too doesn't make it this one."""
    job = claimed(journal, "c1")
    writing(journal, job, uid="")
    found = FoundCard("", "stripe", CardState.BLANK)
    other = journal.next_job("Other", Scope(), picked_only=False, others=["Desk"], card=found)
    assert other is None
    own = journal.next_job("Desk", Scope(), picked_only=False, others=["Other"], card=found)
    assert own is not None
    assert own.job_id == job.job_id
    released = journal.release_card(job.job_id, actor="me", reason="lost")
    assert (released.state, released.card_uid) == (JobState.CLAIMED, None)
    assert not journal.may_be_on_a_card("c1")


def test_a_card_without_a_uid_that_was_left_is_as_if_never_touched(journal: Journal) -> None:
    job = claimed(journal, "c1")
    attempt = writing(journal, job, uid="")
    assert journal.may_be_on_a_card("c1")
    journal.record_left(job, attempt, error_type="no_credential_on_encoder", error="e")
    assert not journal.may_be_on_a_card("c1")
    journal.cancel(job.job_id, actor="agent", code="expired", reason="r")
    assert journal.to_take_back("") == []


def test_a_key_may_be_made_on_any_card_and_by_one_desk(journal: Journal) -> None:
    """The vendor's system voids the one before: so it needs a claim, and isn't kept for the card of before."""
    journal.take_in([intake("c1", issued=True, by_order=True), intake("c2", issued=True)], seen_at=SEEN)
    jobs = {job.acs_credential_id: job for job in journal.queue()}
    assert (jobs["c1"].needs_a_claim, jobs["c2"].needs_a_claim) == (True, False)
    assert journal.claimable(9, scopes=[Scope()], joiners=True) == ["c1"]
    assert journal.claim(joiners=True, only_issued=True) == 1
    journal.claim(joiners=True)
    blank = FoundCard("04ff", "key", CardState.BLANK)
    chosen = journal.next_job("Desk", Scope(), picked_only=False, card=blank)
    assert chosen is not None
    assert chosen.acs_credential_id == "c1"


def test_a_journal_of_the_version_before_learns_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j"
    with closing(sqlite3.connect(path)) as connection:
        for number, script in enumerate(MIGRATIONS[:5], start=1):
            connection.executescript(script)
            connection.execute(f"PRAGMA user_version = {number}")
        values = "'waiting', 1, 'waiting_to_be_issued', '', ?, '', 0, 0, NULL, '', '', ''"
        columns = "acs_credential_id, state, ready, code, reason, credential, digest, reissue, issued, card_number"
        for name, credential in {
            "c1": {"acs_credential_id": "c1", "acs_system_id": "east"},
            "c2": {"acs_credential_id": "c2"},
            "c3": {"acs_credential_id": "c3", "acs_system_id": 5, "card_number": "7", "ends_at": "never"},
        }.items():
            connection.execute(
                f"INSERT INTO jobs ({columns}, sort_key, created_at, updated_at) VALUES ('{name}', {values})",
                (json.dumps(credential),),
            )
        connection.commit()
    journal = Journal(path)
    assert {job.acs_credential_id: job.acs_system_id for job in journal.queue()} == {
        "c1": "east",
        "c2": None,
        "c3": None,
    }
    assert not any(job.by_order for job in journal.queue())
    journal.close()
    assert first_damage(path) is None
