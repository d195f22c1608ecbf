"""Whatever happens in whatever order: 10,000 runs of a whole desk beside a model of the world that knows the truth."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from agent import clock, station
from agent.attempts import Attempt
from agent.config import Config, check
from agent.journal import Journal, JournalError
from drivers import steps
from drivers.errors import ActionAttemptExpired, EncoderError
from tests.rig.cards import text_on
from tests.rig.world import Desk, Guest, HandFed, Interruption, Killed, Time, WorldService

RUNS = 10_000
STEPS = 12  # beside what `opens` does: three minutes of one core for all runs

OVERWRITE = ["expired", "expired", "expired", "never", "always"]
MAY_FOLLOW = {
    "waiting": {"claimed", "held", "cancelled"},
    "claimed": {"waiting", "bound", "held", "cancelled"},
    "bound": {"claimed", "writing"},
    "writing": {"claimed", "verified", "held", "cancelled"},
    "held": {"waiting", "writing", "cancelled"},
    "verified": {"reported", "orphaned", "failed"},
    "failed": {"verified"},
}
A_DAY, AN_HOUR = timedelta(days=1), timedelta(hours=1)
PASSES = {"minutes pass": timedelta(minutes=2), "an hour passes": AN_HOUR, "a day passes": A_DAY}
OFF = {"clock right": timedelta(), "clock ahead": A_DAY, "clock behind": -A_DAY}


@dataclass
class Plastic:
    """A card as it truly is: what it says, whose credential that is, and for whom it is void by an operator's word."""

    uid: str
    memory: bytes = b""
    text: str | None = None
    holder: str | None = None
    void_for: set[str] = field(default_factory=set)
    elsewhere: bool = False
    """Another desk wrote it: this one knows only what the service says."""


class AnyOrder(RuleBasedStateMachine):
    """Each rule is an event; `check` runs after every one, and `teardown` lets the dust settle."""

    folder: Path
    configs: dict[str, Config]
    loop: asyncio.AbstractEventLoop
    guests = st.integers(0, 3)
    cards = st.integers(0, 3)
    trouble = st.sampled_from(
        [None, None, None, None, "kill", "kill", "pull", "pull", "swap", "torn", "swallowed_write", "locked", "offline"]
    )

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self.clock = patch.object(clock, "now", self.time.at_the_desk)
        self.clock.start()
        self.path = self.folder / "journal.sqlite3"
        for left in self.folder.glob("journal.sqlite3*"):
            left.unlink()
        shutil.copyfile(self.folder / "empty.sqlite3", self.path)
        self.service = WorldService()
        self.encoder = HandFed()
        self.attempts: list[Attempt] = []
        self.plastic: dict[str, Plastic] = {}
        self.outbox: dict[int, tuple[str, str]] = {}
        self.unknown: dict[int, str] = {}
        """The jobs whose card may or may not be written, and that card."""
        self.last_audit = 0
        self.touched: set[str] = set()
        """Cards that lay on the encoder during this step."""
        self.persons: set[str] = set()
        """Credentials that a person decided something about during this step."""
        self.finished: tuple[str, int] | None = None
        self.number = 0

    @initialize(overwrite=st.sampled_from(OVERWRITE))
    def opens(self, overwrite: Any) -> None:
        self.overwrite = overwrite
        self.desk = Desk(self.configs[self.overwrite], self.service, self.encoder)
        self.new_guest(has_number=True, days=2)
        self.new_guest(has_number=False, days=None)
        self.poll()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.the_dust_settles()
        finally:
            self.run(self.desk.end())
            self.clock.stop()

    # The service

    @rule(has_number=st.booleans(), days=st.sampled_from([None, 1 / 24, 2]))
    def new_guest(self, has_number: bool, days: float | None) -> None:
        if len(self.service.guests) >= 4:
            return
        self.number += 1
        name = f"c{self.number}"
        self.service.guests[name] = Guest(
            name,
            f"{1000 + self.number}" if has_number else None,
            clock.to_text(self.time.now),
            None if days is None else self.time.now + timedelta(days=days),
        )

    @rule(
        which=guests,
        what=st.sampled_from(
            [
                "reissue",
                "reissue",
                "prolong",
                "errors",
                "no errors",
                "unsynced",
                "synced",
                "number",
                "delete",
                "elsewhere",
            ]
        ),
        seen=st.booleans(),
    )
    def the_service_changes(self, which: int, what: str, seen: bool) -> None:
        if not self.guest(which).deleted:
            self.change(self.guest(which), what)
        if seen:
            self.poll()

    def change(self, guest: Guest, what: str) -> None:
        match what:
            case "reissue":
                guest.reissue = guest.is_issued
            case "prolong" if guest.ends:
                guest.ends = max(guest.ends, self.time.now) + A_DAY
                guest.reissue = guest.is_issued
            case "errors" | "no errors":
                guest.has_errors = what == "errors"
            case "unsynced" | "synced":
                guest.synced = what == "synced"
            case "number" if not guest.is_issued:
                self.number += 1
                guest.card_number = f"{1000 + self.number}"
            case "delete":
                guest.deleted = True
                self.service.events.append((guest.acs_credential_id, clock.to_text(self.time.now)))
            case "elsewhere":
                self.issued_elsewhere(guest)

    def issued_elsewhere(self, guest: Guest) -> None:
        """Another desk puts it on a card of its own; if it was on one before, an operator there said so."""
        if self.encoder.lying is not None:
            return
        self.number += 1
        guest.card_number, guest.is_issued, guest.reissue = f"{1000 + self.number}", True, False
        for card in self.plastic.values():
            if card.holder == guest.acs_credential_id:
                card.void_for.add(guest.acs_credential_id)
        uid = self.encoder.write_elsewhere(guest.card_number)
        self.work()
        memory = bytes(self.encoder.card(uid).memory)
        self.plastic[uid] = Plastic(uid, memory, guest.card_number, guest.acs_credential_id, elsewhere=True)

    # The agent's own doings

    @rule(full=st.booleans(), kill=st.one_of(st.none(), st.none(), st.integers(0, 9)))
    def poll(self, full: bool = True, kill: int | None = None) -> None:
        self.perform(lambda: self.desk.poll(full=full), "kill" if kill is not None else None, kill or 0)

    @rule(
        mood=st.sampled_from(["fine", "fine", "fine", "answer lost", "overloaded", "picky", "locked"]),
        kill=st.one_of(st.none(), st.none(), st.integers(0, 9)),
    )
    def report(self, mood: str = "fine", kill: int | None = None) -> None:
        self.service.mood = mood
        self.perform(lambda: self.desk.report(), "kill" if kill is not None else None, kill or 0)

    # Cards

    @rule(what=trouble, after=st.integers(0, 45), stays=st.booleans())
    def a_fresh_card(self, what: str | None, after: int, stays: bool) -> None:
        self.a_card(None, what, after, stays)

    @rule(which=cards, what=trouble, after=st.integers(0, 45), stays=st.booleans())
    def a_known_card(self, which: int, what: str | None, after: int, stays: bool) -> None:
        known = list(self.plastic)
        self.a_card(known[which % len(known)] if known else None, what, after, stays)

    @rule(which=guests, what=trouble, after=st.integers(0, 45), stays=st.booleans())
    def the_own_card(self, which: int, what: str | None, after: int, stays: bool) -> None:
        name = self.guest(which).acs_credential_id
        rows = self.rows("SELECT uid FROM cards WHERE acs_credential_id = ? AND standing <> 'void'", name)
        self.a_card(rows[0]["uid"] if rows else None, what, after, stays)

    def a_card(self, uid: str | None, what: str | None, after: int, stays: bool) -> None:
        self.put(uid)
        self.work(what, after)
        if not stays:
            self.encoder.take()
            self.work()

    def put(self, uid: str | None) -> None:
        """A card that is there already, or a new one."""
        if uid is not None and uid == self.encoder.lying:
            return
        self.encoder.put(uid, None if uid else ["NTAG213", "Ultralight"][len(self.plastic) % 2])

    # People

    @rule(
        which=guests,
        what=st.sampled_from(
            ["hold", "resume", "resume", "cancel", "encode", "encode", "overwrite", "reencode", "replace", "replace"]
        ),
    )
    def somebody(self, which: int, what: str) -> None:
        name, operations = self.guest(which).acs_credential_id, self.desk.operations
        self.persons.add(name)
        job = self.desk.journal.last_job(name)

        async def act() -> None:
            try:
                match what:
                    case "hold" if job:
                        operations.hold(job.job_id, who="me")
                    case "resume" if job:
                        operations.resume(job.job_id, who="me")
                    case "cancel" if job:
                        operations.cancel(job.job_id, who="me")
                    case "encode":
                        self.attempts.append(operations.encode(name, encoder=None, who="me"))
                    case "overwrite":
                        self.attempts.append(operations.encode(name, encoder=None, who="me", overwrite=True))
                    case "reencode" | "replace":
                        replace = what == "replace"
                        self.attempts.append(
                            operations.reencode(name, reason="lost", encoder=None, who="me", replace_card=replace)
                        )
            except (JournalError, EncoderError):
                assert self.desk.journal.last_job(name) == job  # a step that was refused changed nothing
            await self.desk.settle()

        self.run(act())
        self.work()

    # And else

    @rule(
        what=st.sampled_from(["killed", "card goes", "nobody waits", "service away", "service back", *PASSES, *OFF]),
    )
    def meanwhile(self, what: str) -> None:
        match what:
            case "killed":
                self.restart()
            case "card goes":
                self.encoder.take()
            case "nobody waits":
                for attempt in self.attempts:
                    attempt.fail(ActionAttemptExpired("Time is up."))
                self.attempts.clear()
                self.run(self.desk.settle())
            case "service away" | "service back":
                self.service.away = what == "service away"
            case _ if what in PASSES:
                self.time.now += PASSES[what]
            case _:
                self.time.off = OFF[what]
        self.work()

    # How a step is carried out

    def guest(self, which: int) -> Guest:
        names = list(self.service.guests)
        return self.service.guests[names[which % len(names)]]

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)

    def work(self, what: str | None = None, after: int = 0) -> None:
        """The station goes on until it would wait, in spite of what happens meanwhile."""
        self.encoder.tries = 0
        if self.encoder.lying:
            self.touched.add(self.encoder.lying)
        if what in ("torn", "swallowed_write", "locked", "offline"):
            self.encoder.fail_next(what)
            what = None
        self.perform(lambda: self.desk.work(), what, after)
        self.encoder.be_steady()
        if self.encoder.lying:
            self.touched.add(self.encoder.lying)

    def perform(self, act: Callable[[], Coroutine[Any, Any, None]], what: str | None, after: int) -> None:
        if what is None:
            self.run(act())
            return
        other = next((uid for uid in self.plastic if uid != self.encoder.lying), None)
        interruption = Interruption(what, after, self.encoder, other)
        steps.observe(interruption)
        try:
            self.run(act())
            killed = False
        except Killed:
            killed = True
        finally:
            steps.observe()
        if killed or (what == "kill" and interruption.happened):
            self.restart()
            self.work()

    def restart(self) -> None:
        """kill -9, and a new process on the same files."""
        self.judge_moves()
        unknown = dict(self.unknown)
        self.run(self.desk.end())
        self.attempts.clear()
        self.desk = Desk(self.configs[self.overwrite], self.service, self.encoder)
        self.judge_moves()
        assert self.unknown == unknown
        assert self.desk.journal.first_broken_audit_entry() is None

    def rows(self, sql: str, *values: object) -> list[Any]:
        return self.desk.journal._database.rows(sql, *values)

    # The promises

    @invariant()
    def check(self) -> None:
        if not hasattr(self, "desk"):
            return
        self.judge_moves()
        self.judge_audit()
        self.judge_cards()
        self.judge_reports()
        jobs = self.rows(
            "SELECT acs_credential_id FROM jobs WHERE state IN ('waiting', 'claimed', 'bound', 'writing', 'held', "
            "'verified')"
        )
        assert not self.rows("SELECT 1 FROM jobs WHERE state = 'bound'")
        assert len(jobs) == len({job[0] for job in jobs}), "two open jobs for one credential"
        self.touched.clear()
        self.persons.clear()
        if self.encoder.lying:
            self.touched.add(self.encoder.lying)

    def judge_moves(self) -> None:
        """Legal steps only; what is unknown is read, or a person, the service or the end of its validity decides."""
        begun = set()
        for job, name, uid, before, after in self.desk.moves():
            assert after in MAY_FOLLOW[before], f"{before} -> {after}"
            match before, after:
                case _, "writing":
                    begun.add(job)
                case "writing", "verified":
                    assert uid in self.touched
                case "writing", "claimed":
                    assert job in begun or name in self.persons, "what was unknown before is taken for unwritten"
                case "writing", "held":
                    assert name in self.persons
            if before == "writing":
                self.unknown.pop(job, None)
        for job, uid in self.rows("SELECT job_id, card_uid FROM jobs WHERE state = 'writing'"):
            assert self.unknown.setdefault(job, uid) == uid, "the card that has to come back is another one now"

    def judge_audit(self) -> None:
        """An operator who gives a card up makes it void."""
        for row in self.rows("SELECT * FROM audit WHERE seq > ?", self.last_audit):
            self.last_audit = row["seq"]
            if row["event"] == "card_given_up":
                assert json.loads(row["detail"])["reason"]
                for card in self.plastic.values():
                    if card.uid == row["card_uid"]:
                        card.void_for.add(row["acs_credential_id"])

    def judge_cards(self) -> None:
        """What changed on plastic: nobody's live card, and no second card, without an operator's word."""
        for lying in self.encoder.tray():
            self.plastic.setdefault(lying["uid"], Plastic(lying["uid"]))
        for card in self.plastic.values():
            memory = bytes(self.encoder.card(card.uid).memory)
            if memory != card.memory or card.uid in self.touched:
                card.memory = memory
                self.judge_card(card, text_on(self.encoder.card(card.uid)))

    def judge_card(self, card: Plastic, text: str | None) -> None:
        writes = self.rows(
            "SELECT jobs.*, attempts.outcome FROM attempts JOIN jobs USING (job_id) WHERE attempts.card_uid = ? "
            "ORDER BY attempt_id DESC LIMIT 1",
            card.uid,
        )
        # Two credentials whose number is the card's UID look alike on it.
        if not writes or (text == card.text and writes[0]["outcome"] != "verified"):
            return
        name = writes[0]["acs_credential_id"]
        if (text, name) == (card.text, card.holder):
            return
        if card.holder not in (None, name) and self.is_live(card):
            assert self.overwrite == "always" or self.said(writes[0], "overwrite"), "a live card was overwritten"
        card.text, card.holder = text, name if text else None
        if text is not None:
            card.void_for.discard(name)
            others = [other for other in self.plastic.values() if other is not card and self.is_on(name, other)]
            if self.service.away and others and all(other.elsewhere for other in others):
                card.void_for.add(name)  # nobody could tell this desk: the service will, and it has to be taken back
                return
            assert not others or self.said(writes[0], "replace_card"), "a credential is on two cards"
            for other in others:
                other.void_for.add(name)

    def is_on(self, name: str, card: Plastic) -> bool:
        return card.holder == name and name not in card.void_for and not self.is_over(self.service.guests[name])

    def is_over(self, guest: Guest) -> bool:
        return guest.deleted or (guest.ends is not None and guest.ends <= max(clock.now(), self.time.now))

    def is_live(self, card: Plastic) -> bool:
        """Whether somebody's door opens with it, or will once the report is there."""
        assert card.holder is not None
        guest = self.service.guests[card.holder]
        if not self.is_on(card.holder, card):
            return False
        pending = self.rows(
            "SELECT 1 FROM outbox JOIN jobs USING (job_id) WHERE outbox.acs_credential_id = ? "
            "AND outbox.state = 'pending' AND jobs.card_uid = ?",
            card.holder,
            card.uid,
        )
        return bool(pending) or (guest.is_issued and guest.card_number == card.text)

    def said(self, job: Any, what: str) -> bool:
        """Whether an operator said so, and it is in the audit trail, with the reason where another card replaces."""
        details = [
            json.loads(row["detail"])
            for row in self.rows("SELECT detail FROM audit WHERE event = 'picked' AND job_id = ?", job["job_id"])
        ]
        return any(detail[what] and (what != "replace_card" or detail["reason"]) for detail in details)

    def judge_reports(self) -> None:
        """Each verified write has its one report, which is what the card says and never changes."""
        rows = self.rows("SELECT outbox_id, job_id, idempotency_key, body FROM outbox ORDER BY outbox_id")
        now = {row["outbox_id"]: (row["idempotency_key"], row["body"]) for row in rows}
        assert self.outbox.items() <= now.items(), "the outbox has lost something"
        (verified,) = self.rows("SELECT count(*) FROM attempts WHERE outcome = 'verified'")[0]
        assert verified == len(now) == len({key for key, _ in now.values()})
        for row in rows:
            if row["outbox_id"] in self.outbox:
                continue
            body = json.loads(row["body"])
            (uid,) = self.rows(
                "SELECT card_uid FROM attempts WHERE job_id = ? AND outcome = 'verified'", row["job_id"]
            )[0]
            assert uid in self.touched
            card = self.plastic[uid]
            assert (card.text, card.holder) == (body["card_number"], body["acs_credential_id"])
            assert (uid, self.encoder.turn) != self.finished, "written twice without having been taken away"
            self.finished = uid, self.encoder.turn
        self.outbox = now
        reported = {key: json.loads(body) for key, body in now.values()}
        for key, (body, _) in self.service.applied.items():
            assert reported[key] == body

    def the_dust_settles(self) -> None:
        """The service is well, the clock right, and nobody interferes: what was verified is known to the service."""
        self.time.off, self.service.away = timedelta(), False
        self.encoder.take()
        self.work()
        for _ in range(3):
            self.time.now += 2 * AN_HOUR
            self.report()
        self.the_torn_cards_come_back()
        self.report()
        self.check()
        for row in self.rows("SELECT * FROM outbox"):
            guest = self.service.guests[row["acs_credential_id"]]
            applied = row["idempotency_key"] in self.service.applied
            match row["state"]:
                case "acknowledged":
                    assert applied
                case "orphaned":
                    assert guest.deleted
                case "conflict":
                    assert not applied
                    assert guest.card_number != json.loads(row["body"])["card_number"]
                case "refused":
                    assert not applied
                case state:
                    raise AssertionError(f"a report is still {state}")

    def the_torn_cards_come_back(self) -> None:
        """Each is read, and finished where its credential still waits for it and nobody else's is still on the card.

        Not where another desk has issued it on another card since.
        """
        for job, uid in list(self.unknown.items()):
            card = self.plastic[uid]
            guest = self.service.guests[self.desk.journal.job(job).acs_credential_id]
            waits = (not guest.is_issued or guest.reissue) and guest.synced and not guest.has_errors
            others = card.holder not in (None, guest.acs_credential_id) and self.is_live(card)
            self.encoder.put(uid)
            self.work()
            self.check()
            another = any(p.elsewhere and p.holder == guest.acs_credential_id for p in self.plastic.values())
            excused = not waits or others or another or self.is_over(guest)
            assert job not in self.unknown or excused, "its own card did not help"


def configured(journal: Path, overwrite: str) -> Config:
    return check(
        {
            "service": {"endpoint": "http://127.0.0.1:9"},
            "journal": {"path": str(journal)},
            "encoder": [{"name": "Desk", "driver": "virtual", "overwrite": overwrite}],
        }
    )


@contextmanager
def a_folder_in_memory() -> Iterator[Path]:
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.mark.promise(1, 2, 3, 4, 5, 6)
@pytest.mark.timeout(1800)
def test_any_order_of_events_keeps_the_promises(
    quiet: None, monkeypatch: pytest.MonkeyPatch, cases: Callable[[int], None]
) -> None:
    monkeypatch.setattr(station, "_PAUSE_AFTER_A_RACE", 0)
    runs = 0

    class Counted(AnyOrder):
        def teardown(self) -> None:
            nonlocal runs
            runs += 1
            super().teardown()

    with a_folder_in_memory() as folder, asyncio.Runner() as runner:
        Counted.folder, Counted.loop = folder, runner.get_loop()
        Counted.configs = {overwrite: configured(folder / "journal.sqlite3", overwrite) for overwrite in OVERWRITE}
        Journal(folder / "empty.sqlite3").close()
        run_state_machine_as_test(
            Counted,
            settings=settings(
                max_examples=RUNS,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    cases(runs)
