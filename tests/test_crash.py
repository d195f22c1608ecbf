"""kill -9 at every step that the agent takes: nothing is lost, nothing applied twice, no card holds two credentials.

Each story is told once undisturbed, which lists the points that it passes: both ends of each step. Then it is told once
more for each of these, with the agent ended by kill -9 right there and started again, as systemd does. Nobody does
anything about it, except where the story says that a person who got no answer asks again. After each death, and at the
end, service, cards and journal are judged (tests/rig/story.py).
"""

from __future__ import annotations

import contextlib
import resource
import sqlite3
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from agent import clock
from drivers.pcsc.simulator import PulledAway, SimulatedCard
from tests.rig.cards import text_on
from tests.rig.killing import THE_WAY, Proof, Scenario, stage
from tests.rig.pcscd import Pcscd
from tests.rig.steps import all_steps, steps_of_agreeing, steps_of_the_services_encoders, steps_of_visionline
from tests.rig.stopping import Point
from tests.rig.story import REPORT, Desk, KeyDesk, Stage

__all__ = ["stage"]

pytestmark = [pytest.mark.pcscd, pytest.mark.timeout(900)]

MID_WRITE = Point("card.exchange", "after", 8)
NUMBER = "164d29dc4a09b65f"


# The stories. `watch` is where the part begins that the agent is to die in.


def a_blank_card(desk: Desk, stop: Point | None) -> None:
    """First start; a credential waits; a blank NTAG213 comes."""
    one_card(desk, stop, "NTAG213")
    twice = {Point(name, "after", 2) for name in ("request.list", "request.events")}
    desk.until(lambda: desk.deaths or twice <= set(desk.steps()), "polling to go on")


def a_mifare_classic(desk: Desk, stop: Point | None) -> None:
    """The same with a MIFARE Classic 1K."""
    one_card(desk, stop, "MIFARE Classic 1K")


def one_card(desk: Desk, stop: Point | None, kind: str) -> None:
    credential = desk.credential(NUMBER)
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "claimed", "the claim")
    desk.put(desk.card(kind))
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def killed_in_mid_write_before(desk: Desk, stop: Point | None) -> None:
    """Killed in the middle of writing, the agent starts again, and is killed once more while it puts that right."""
    credential = desk.credential(NUMBER)
    desk.start(MID_WRITE)
    desk.until_up()
    card = desk.put(desk.card())
    desk.die()
    assert text_on(card.memory) is None
    desk.watch(stop)
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def killed_with_a_card_bound_before(desk: Desk, stop: Point | None) -> None:
    """Killed when it had bound the card and written nothing, the agent is killed once more on starting."""
    credential = desk.credential(NUMBER)
    desk.start(Point("commit.bind_card", "after", 1))
    desk.until_up()
    desk.put(desk.card())
    desk.die()
    desk.watch(stop)
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def a_card_to_be_reissued(desk: Desk, stop: Point | None) -> None:
    """An issued credential's access changes, and its own card comes again.

    An agent that dies before it has begun with the card can't know that it was taken away in between: it asks for that.
    """
    desk.start()
    credential, card = desk.issued(NUMBER)
    desk.watch(stop)
    desk.ends_in(credential, timedelta(days=3))
    desk.until(lambda: "just written" in desk.refusal(), "the card to be refused as long as it lies there")

    def reissued() -> bool:
        return desk.at_the_service(credential)["warnings"] == []

    desk.put(card)
    desk.until(lambda: reissued() or "just written" in desk.refusal(), "the card to be taken, or refused")
    if not reissued():
        desk.put(card)
    desk.until(reissued, "the credential to be reissued")
    desk.reported(credential)
    assert desk.events(credential) == ["issued", "reissued"]


def a_card_to_be_replaced(desk: Desk, stop: Point | None) -> None:
    """A person has an issued credential encoded on another card; where nobody answers and it isn't done, again."""
    desk.start()
    credential, first = desk.issued(number=None)
    desk.watch(stop)
    desk.until_up()
    second = desk.put(desk.card())
    uid = second.memory.uid().hex()

    def under_way() -> bool:
        job = desk.job(credential)
        return job["card_uid"] == uid and job["state"] in ("writing", "verified", "reported")

    desk.ask(
        "/api/reencode", acs_credential_id=credential, reason="lost", replace_card=True, who="night", unless=under_way
    )
    desk.reported(credential)
    assert desk.at_the_service(credential)["card_number"] == uid == text_on(second.memory)
    assert text_on(first.memory) == first.memory.uid().hex()
    assert desk.events(credential) == ["issued", "reissued"]


def somebodys_card(desk: Desk, stop: Point | None) -> None:
    """A person picks a credential, and puts somebody's live card down; then a blank one comes."""
    desk.start()
    living, card = desk.issued("31337")
    desk.issued("4711")
    credential = desk.credential(NUMBER)
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "claimed", "the claim")
    desk.take()
    desk.ask("/api/encode", acs_credential_id=credential, unless=lambda: desk.job(credential)["picked"])
    desk.put(card)
    desk.until(lambda: "live credential" in desk.refusal(), "the card to be refused")
    desk.until(lambda: not desk.job(credential)["picked"], "the job to be back in its place")
    assert text_on(card.memory) == "31337"
    desk.put(desk.card())
    desk.reported(credential)
    assert desk.events(living) == desk.events(credential) == ["issued"]


def killed_with_a_job_picked_before(desk: Desk, stop: Point | None) -> None:
    """Killed when a person had picked a job that no card came for, the agent is killed once more on starting."""
    credential = desk.credential(NUMBER)
    desk.start(Point("commit.pick", "after", 1))
    desk.until(lambda: desk.state(credential) == "claimed", "the claim")
    with contextlib.suppress(httpx.TransportError):
        desk.daemon.ask("/api/encode", acs_credential_id=credential)
    desk.die()
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "claimed", "the job")
    desk.until(lambda: not desk.job(credential)["picked"], "the job to be back in its place")
    desk.put(desk.card())
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def a_card_pulled_away(desk: Desk, stop: Point | None) -> None:
    """The card is taken away in mid-write; another one is put down, then the first one again."""
    credential, card = torn_card(desk, stop)
    other = desk.put(desk.card())
    desk.until(lambda: "another card" in desk.refusal(), "the other card to be refused")
    assert text_on(other.memory) is None
    desk.put(card)
    desk.reported(credential)
    assert text_on(card.memory) == NUMBER
    assert desk.events(credential) == ["issued"]


def torn_card(desk: Desk, stop: Point | None) -> tuple[str, SimulatedCard]:
    def pull(index: int, apdu: bytes) -> None:
        if index == 6:
            raise PulledAway

    credential = desk.credential(NUMBER)
    card = desk.card(fault=pull)
    desk.watch(stop)
    desk.until_up()
    desk.put(card)
    desk.until(lambda: len(card.apdus) > 6 and desk.job(credential)["code"] == "encoding_interrupted", "the tear")
    assert text_on(card.memory) is None
    return credential, card


def a_torn_card_given_up(desk: Desk, stop: Point | None) -> None:
    """The card is taken away in mid-write and doesn't come back: a person says so, and another one is written."""
    credential, torn = torn_card(desk, stop)
    card = desk.put(desk.card())
    desk.ask(
        "/api/reencode",
        acs_credential_id=credential,
        reason="lost",
        replace_card=True,
        unless=lambda: (
            (job := desk.job(credential))["state"] != "writing" or job["card_uid"] == card.memory.uid().hex()
        ),
    )
    desk.reported(credential)
    assert (text_on(torn.memory), text_on(card.memory)) == (None, NUMBER)
    assert desk.events(credential) == ["issued"]


def held_resumed_cancelled(desk: Desk, stop: Point | None) -> None:
    """A person holds a job and lets it go on, and cancels another one."""
    credential, other = desk.credential(NUMBER), desk.credential("31337")
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == desk.state(other) == "claimed", "the claims")
    desk.ask("/api/cancel", acs_credential_id=other, unless=lambda: desk.state(other) == "cancelled")
    desk.ask("/api/hold", acs_credential_id=credential, unless=lambda: desk.state(credential) == "held")
    desk.ask("/api/resume", acs_credential_id=credential, unless=lambda: desk.state(credential) != "held")
    desk.put(desk.card())
    desk.reported(credential)
    assert (desk.events(credential), desk.events(other)) == (["issued"], [])
    desk.expected.jobs = {other: "cancelled"}


def a_report_refused(desk: Desk, stop: Point | None) -> None:
    """The service refuses the report until a person has set that right, and has it sent again."""
    credential = desk.credential(NUMBER)
    desk.service.answer = lambda path: 400 if path == REPORT else None
    desk.watch(stop)
    desk.until_up()
    desk.put(desk.card())
    desk.until(lambda: desk.outbox() == ["refused"], "the refusal")
    desk.service.answer = lambda path: None
    desk.ask("/api/resume", acs_credential_id=credential, unless=lambda: "refused" not in desk.outbox())
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def a_service_away(desk: Desk, stop: Point | None) -> None:
    """The service goes away as the report comes, and is back later."""
    credential = desk.credential(NUMBER)
    away = False

    def answer(path: str) -> int | None:
        nonlocal away
        away = away or path == REPORT
        return 503 if away else None

    desk.service.answer = answer
    desk.watch(stop)
    desk.until_up()
    desk.put(desk.card())
    desk.until(lambda: desk.service_is_up() is False and desk.tries() > 0, "the outage to be seen")
    desk.service.answer = lambda path: 503 if path == REPORT else None
    desk.until(desk.service_is_up, "the service to be seen")
    desk.service.answer = lambda path: None
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def a_conflict(desk: Desk, stop: Point | None) -> None:
    """When the report comes, the service has the credential on a card of another desk."""
    credential = desk.credential(NUMBER)
    elsewhere = {"acs_credential_id": credential, "card_number": "31337", "issued_at": clock.now_text()}
    desk.expected.elsewhere = {credential: "31337"}

    def answer(path: str) -> None:
        if path == REPORT:
            desk.service.answer = lambda path: None
            desk.report_from_elsewhere(elsewhere)

    desk.service.answer = answer
    desk.watch(stop)
    desk.until_up()
    desk.put(desk.card())
    desk.until(lambda: desk.state(credential) == "failed", "the conflict")
    assert desk.events(credential) == ["issued"]
    desk.expected.jobs, desk.expected.outbox = {credential: "failed"}, "conflict"


def a_credential_deleted_too_late(desk: Desk, stop: Point | None) -> None:
    """The credential is deleted after its card was written, before the report comes."""
    credential = desk.credential(NUMBER)

    def answer(path: str) -> None:
        if path == REPORT:
            desk.service.answer = lambda path: None
            desk.delete(credential)

    desk.service.answer = answer
    desk.watch(stop)
    desk.until_up()
    desk.put(desk.card())
    desk.until(lambda: desk.state(credential) == "orphaned", "the job to be orphaned")
    desk.expected.jobs, desk.expected.outbox = {credential: "orphaned"}, "orphaned"


def a_credential_deleted(desk: Desk, stop: Point | None) -> None:
    """The credential is deleted while it waits; where the agent was dead meanwhile, it learns so at the card."""
    credential = desk.credential(NUMBER)
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "claimed", "the claim")
    desk.delete(credential)
    desk.until(lambda: desk.state(credential) == "cancelled" or desk.deaths, "the deletion to be seen")
    card = desk.put(desk.card())
    desk.until(lambda: desk.state(credential) == "cancelled", "the deletion to be seen")
    assert text_on(card.memory) is None
    desk.expected.jobs = {credential: "cancelled"}


def a_credential_expired(desk: Desk, stop: Point | None) -> None:
    """The credential's time is over before a card comes."""
    credential = desk.credential(NUMBER)
    desk.watch(stop)
    span = timedelta(seconds=1)
    while "journal.expire" not in [point.name for point in desk.steps()]:
        # Where the agent learns too late of an end so near, it has nothing to watch for: again, with more time.
        desk.ends_in(credential, timedelta(days=1))
        desk.until(lambda: desk.state(credential) == "claimed", "the claim")
        desk.ends_in(credential, span)
        desk.until(lambda: desk.state(credential) == "cancelled", "the end of its time")
        span *= 2
    card = desk.put(desk.card())
    assert text_on(card.memory) is None
    desk.expected.jobs = {credential: "cancelled"}


def a_full_disk(desk: Desk, stop: Point | None) -> None:
    """The journal can't grow as the card comes; later it can."""
    credential = desk.credential(NUMBER)
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "claimed", "the claim")
    no_longer_than(desk, desk.journal.with_name(desk.journal.name + "-wal").stat().st_size)
    card = desk.put(desk.card())
    desk.until(lambda: desk.deaths or desk.daemon.state()["journal"]["trouble"], "the trouble to be seen")
    assert text_on(card.memory) is None or desk.deaths
    if not desk.deaths:
        no_longer_than(desk, resource.RLIM_INFINITY)
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def no_longer_than(desk: Desk, size: int) -> None:
    """What its files may be, in bytes; where it dies meanwhile, the next agent has no limit."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(desk.daemon.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def a_damaged_journal(desk: Desk, stop: Point | None) -> None:
    """The journal is damaged while the agent is away: it is set aside, and a person is asked about what waited."""

    def damage() -> None:
        with contextlib.closing(sqlite3.connect(desk.journal)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with desk.journal.open("r+b") as file:
            file.seek(4096)
            file.write(bytes(4096))

    without_its_journal(desk, stop, damage)


def a_lost_journal(desk: Desk, stop: Point | None) -> None:
    """The journal is lost while the agent is away: likewise."""
    without_its_journal(desk, stop, desk.journal.unlink)


def without_its_journal(desk: Desk, stop: Point | None, lose: Callable[[], None]) -> None:
    credential = desk.credential(NUMBER)
    desk.start()
    desk.until(lambda: desk.state(credential) == "claimed", "the claim")
    desk.daemon.kill()
    lose()
    desk.watch(stop)
    desk.until(lambda: desk.state(credential), "the job")
    desk.ask(
        "/api/resume", acs_credential_id=credential, unless=lambda: desk.state(credential) in ("waiting", "claimed")
    )
    desk.put(desk.card())
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def a_key_of_a_vendors_encoder(desk: KeyDesk, stop: Point | None) -> None:
    """First start; a credential waits, and a vendor's own encoder is told what key to make for it."""
    credential = desk.guest_key(NUMBER)
    desk.watch(stop)
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


KEYS = Scenario(a_key_of_a_vendors_encoder, ("entrances", *THE_WAY))

SCENARIOS = [
    Scenario(a_blank_card),
    Scenario(a_mifare_classic, THE_WAY),
    Scenario(killed_in_mid_write_before, ("recover", *THE_WAY)),
    Scenario(killed_with_a_card_bound_before, ("recover",)),
    Scenario(a_card_to_be_reissued, THE_WAY),
    Scenario(a_card_to_be_replaced, ("pick", "unpick", *THE_WAY)),
    Scenario(somebodys_card, ("record_left", "pick", "unpick")),
    Scenario(killed_with_a_job_picked_before, ("unpick",)),
    Scenario(a_card_pulled_away, ("record_unknown", "record_card_refused")),
    Scenario(a_torn_card_given_up, ("release_card",)),
    Scenario(held_resumed_cancelled, ("hold", "resume", "cancel")),
    Scenario(a_report_refused, ("record_refused", "resume")),
    Scenario(a_service_away, ("record_retry", "retry_now")),
    Scenario(a_conflict, ("end_report",)),
    Scenario(a_credential_deleted_too_late, ("end_report",)),
    Scenario(a_credential_deleted, ("record_deleted",)),
    Scenario(a_credential_expired, ("expire",)),
    Scenario(a_full_disk, ("try_again",)),
    Scenario(a_damaged_journal, ("set_aside",)),
    Scenario(a_lost_journal, ("set_aside", "settle_doubts")),
]


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory, stage: Stage) -> Proof:
    return Proof(tmp_path_factory.mktemp("crash"), lambda folder: Desk(folder, stage))


@pytest.fixture(scope="module")
def key_proof(tmp_path_factory: pytest.TempPathFactory, stage: Stage) -> Proof:
    return Proof(tmp_path_factory.mktemp("keys"), lambda folder: KeyDesk(folder, stage))


@pytest.mark.promise(1, 2, 3, 4, 5)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_killed_at_every_step(scenario: Scenario, proof: Proof, pcscd: Pcscd, cases: Callable[[int], None]) -> None:
    kills = proof.of(scenario)
    assert kills
    cases(kills.total())


@pytest.mark.promise(1, 2, 3, 4, 5)
def test_killed_at_every_step_of_a_key(key_proof: Proof, pcscd: Pcscd, cases: Callable[[int], None]) -> None:
    """What the vendor's encoder has made by then, nobody can undo: the next one voids it."""
    kills = key_proof.of(KEYS)
    assert kills
    cases(kills.total())


def test_every_step_has_a_case(
    proof: Proof, key_proof: Proof, pcscd: Pcscd, record_property: Callable[[str, object], None]
) -> None:
    """Those of desks that share a system, and of orders to somebody else's, are in tests/test_crash_*.py, which see to
    that themselves.
    """
    kills = key_proof.of(KEYS)
    for scenario in SCENARIOS:
        kills += proof.of(scenario)
    record_property("killed", proof.covered() | key_proof.covered())
    elsewhere = steps_of_agreeing() | steps_of_visionline() | steps_of_the_services_encoders()
    missing = all_steps() - elsewhere - kills.keys()
    assert not missing, f"no story kills the agent at {sorted(missing)}"
