"""kill -9 at every step in which desks agree: register and journal agree again, and no credential is on two cards.

As in tests/test_crash.py, with another desk at the same PostgreSQL (tests/rig/shared_story.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from drivers.pcsc.simulator import PulledAway, SimulatedCard
from tests.rig.cards import text_on
from tests.rig.killing import Proof, Scenario, stage
from tests.rig.pcscd import Pcscd
from tests.rig.postgres import Line, Postgres
from tests.rig.shared_story import HERE, THERE, Database, SharedDesk
from tests.rig.steps import steps_of_agreeing
from tests.rig.stopping import Point
from tests.rig.story import Stage

__all__ = ["stage"]

pytestmark = [pytest.mark.pcscd, pytest.mark.postgres, pytest.mark.timeout(900)]

NUMBER = "164d29dc4a09b65f"


def a_blank_card_at_a_shared_desk(desk: SharedDesk, stop: Point | None) -> None:
    """First start at an empty database; a credential waits; a blank card comes."""
    credential = desk.credential(NUMBER)
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "claimed", "the claim")
    desk.put(desk.card())
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def killed_when_it_was_verified_before(desk: SharedDesk, stop: Point | None) -> None:
    """Killed when the card was right and nothing reported, the agent is killed once more when the register learns."""
    credential = desk.credential(NUMBER)
    desk.start(Point("commit.record_verified", "after", 1))
    desk.until_up()
    desk.put(desk.card())
    desk.die()
    desk.watch(stop)
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def kept_here_and_wanted_there(desk: SharedDesk, stop: Point | None) -> None:
    """What is kept here for the next card, a person at the other desk picks; they ask again where nobody answers."""
    credential = desk.credential(NUMBER)
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "claimed", "the claim")
    desk.until(lambda: desk.there.get(credential), "the claim to be handed over")
    desk.issued_there(credential, NUMBER)
    desk.until(lambda: desk.state(credential) == "cancelled", "the desk to learn of it")
    assert desk.events(credential) == ["issued"]
    desk.expected.jobs = {credential: "cancelled"}


def kept_there_and_picked_here(desk: SharedDesk, stop: Point | None) -> None:
    """What the other desk keeps for its next card, a person here picks."""
    credential = desk.credential(NUMBER)
    desk.there.keep(credential)
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "waiting", "the job")

    def handed_over() -> bool:
        desk.there.hand_over(credential)
        return desk.state(credential) == "claimed"

    desk.ask("/api/encode", acs_credential_id=credential, unless=handed_over)
    desk.put(desk.card())
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def kept_there_while_a_card_waits_here(desk: SharedDesk, stop: Point | None) -> None:
    """The other desk keeps the only credential, and a card lies here."""
    credential = desk.credential(NUMBER)
    desk.there.keep(credential)
    desk.watch(stop)
    desk.until_up()
    desk.put(desk.card())

    def handed_over() -> bool:
        desk.there.hand_over(credential)
        return desk.there.row(credential)["desk"] == HERE

    desk.until(handed_over, "the claim to be asked for, and handed over")
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def begun_there_and_taken_over_here(desk: SharedDesk, stop: Point | None) -> None:
    """The other desk has begun a card and is gone for good: a person here has another one made, and says why.

    They ask again only where that changed nothing: what goes on by itself after that goes on at their word.
    """
    credential = desk.credential(NUMBER)
    desk.there.keep(credential)
    desk.there.begin(credential)
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "waiting", "the job")
    desk.put(desk.card())
    desk.ask(
        "/api/reencode",
        acs_credential_id=credential,
        reason="it burnt down",
        replace_card=True,
        unless=lambda: desk.there.row(credential)["desk"] != THERE,
    )
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]
    assert "it burnt down" in desk.reasons(credential)


def begun_here_and_taken_over_there(desk: SharedDesk, stop: Point | None) -> None:
    """A card was pulled away here in mid-write; a person at the other desk has another one made; then it comes back."""
    credential, card = desk.credential(NUMBER), torn(desk)
    desk.start()
    desk.until_up()
    desk.put(card)
    desk.until(lambda: interrupted(desk, credential), "the tear")
    desk.watch(stop)
    desk.until(lambda: interrupted(desk, credential), "the job")
    desk.there.take_over(credential)
    desk.there.begin(credential)
    void_here(desk, credential)
    desk.put(card)
    desk.until(lambda: desk.encoder()["card_here"], "the card")
    desk.issued_there(credential, NUMBER)
    desk.until(lambda: desk.state(credential) == "cancelled", "the desk to see it issued")
    not_finished_here(desk, credential, card)


def killed_in_mid_write_and_taken_over_before(desk: SharedDesk, stop: Point | None) -> None:
    """Killed in mid-write, the agent starts again with the card before it, which another one has replaced meanwhile.

    It doesn't take a database that is slow to answer for one that is away.
    """
    credential = desk.credential(NUMBER)
    desk.start(Point("card.exchange", "after", 8))
    desk.until_up()
    card = desk.put(desk.card())
    desk.die()
    desk.there.take_over(credential)
    desk.there.begin(credential)
    desk.line.silence()
    desk.watch(stop)
    desk.until(lambda: desk.encoder()["card_here"], "the card to be seen")
    desk.line.mend()
    void_here(desk, credential)
    desk.issued_there(credential, NUMBER)
    desk.until(lambda: desk.state(credential) == "cancelled", "the desk to see it issued")
    not_finished_here(desk, credential, card)


def void_here(desk: SharedDesk, credential: str) -> None:
    """An agent that starts anew after that has it wait again, as all that the other desk has in hand."""
    desk.until(
        lambda: "taken_over" in [job["code"] for job in desk.daemon.state()["recent"]], "the desk to learn of it"
    )


def not_finished_here(desk: SharedDesk, credential: str, card: SimulatedCard) -> None:
    assert text_on(card.memory) is None
    assert desk.events(credential) == ["issued"]
    desk.expected.jobs = {credential: "cancelled"}


def overruled_while_the_database_is_away(desk: SharedDesk, stop: Point | None) -> None:
    """The database can't be reached, and a person has a card made all the same; before it is right, the database is
    back."""
    credential, card = desk.credential(NUMBER), torn(desk)
    desk.line.cut()
    desk.watch(stop)
    desk.until(lambda: desk.state(credential) == "waiting", "the job")
    desk.put(card)
    desk.ask(
        "/api/reencode",
        acs_credential_id=credential,
        reason="the database is down",
        replace_card=True,
        unless=lambda: interrupted(desk, credential),
    )
    desk.line.mend()
    desk.until(lambda: desk.there.row(credential)["standing"] == "begun", "the register to learn of it")
    desk.put(card)
    desk.reported(credential)
    assert desk.events(credential) == ["issued"]


def torn(desk: SharedDesk) -> SimulatedCard:
    """A card that is pulled away in mid-write, the first time that it is put down."""

    def pull(index: int, apdu: bytes) -> None:
        if index == 6:
            raise PulledAway

    return desk.card(fault=pull)


def interrupted(desk: SharedDesk, credential: str) -> bool:
    job = desk.job(credential)
    return (job["state"], job["code"]) == ("writing", "encoding_interrupted")


SCENARIOS = [
    Scenario(
        a_blank_card_at_a_shared_desk,
        (
            *("prepare", "announce", "held", "find", "grant", "record_claims", "begun_elsewhere", "begin"),
            *("exchange", "begin_writing", "record_verified"),
        ),
    ),
    Scenario(killed_when_it_was_verified_before, ("settle",)),
    Scenario(kept_here_and_wanted_there, ("unclaim", "hand_over")),
    Scenario(kept_there_and_picked_here, ("ask_for", "find", "grant", "pick", "begin")),
    Scenario(kept_there_while_a_card_waits_here, ("ask_for", "settle", "record_claims")),
    Scenario(begun_there_and_taken_over_here, ("record_word", "take_over", "pick", "begin")),
    Scenario(begun_here_and_taken_over_there, ("find", "record_taken_over")),
    Scenario(killed_in_mid_write_and_taken_over_before, ("begin", "record_taken_over")),
    Scenario(overruled_while_the_database_is_away, ("find", "take_over", "begin", "set_claim", "settle")),
]


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory, stage: Stage, _postgres_session: Postgres) -> Iterator[Proof]:
    with Line(_postgres_session.port) as line:
        database = Database(_postgres_session, line)
        yield Proof(tmp_path_factory.mktemp("crash"), lambda folder: SharedDesk(folder, stage, database))


@pytest.mark.promise(1, 2, 3, 4, 5)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_killed_at_every_step_of_agreeing(
    scenario: Scenario, proof: Proof, pcscd: Pcscd, postgres: Postgres, cases: Callable[[int], None]
) -> None:
    kills = proof.of(scenario)
    assert kills
    cases(kills.total())


def test_every_step_of_agreeing_has_a_case(
    proof: Proof, pcscd: Pcscd, postgres: Postgres, record_property: Callable[[str, object], None]
) -> None:
    kills: Counter[str] = Counter()
    for scenario in SCENARIOS:
        kills += proof.of(scenario)
    record_property("killed", proof.covered())
    missing = steps_of_agreeing() - kills.keys()
    assert not missing, f"no story kills the agent at {sorted(missing)}"
