"""The card leaves at every APDU of a job: before the command reaches it, in the middle of a write, before it answers.
Then it comes back, or another card comes instead. Nothing is replaced but the plastic; what the cards hold is read from
their memory by ndeflib.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.journal import CardStanding, JobState
from drivers.pcsc.simulator import PulledAway, SimulatedCard
from drivers.virtual.cards import Effect, Operation
from tests.agent.guests import create, sandbox, service
from tests.rig.cards import fresh_card, text_on
from tests.rig.front_desk import WRITE, FrontDesk, Memory, front_desk, writes
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox

__all__ = ["sandbox", "service"]

pytestmark = [pytest.mark.pcscd, pytest.mark.promise(1, 3, 4, 5)]

KINDS = ["NTAG213", "Ultralight EV1", "MIFARE Classic 1K"]


@pytest.fixture
async def desk(tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd) -> AsyncIterator[FrontDesk]:
    async with front_desk(tmp_path, sandbox, service, pcscd) as desk:
        yield desk


def before_it(memory: Memory) -> None:
    raise PulledAway


def before_the_answer(memory: Memory) -> None:
    raise PulledAway(carried_out=True)


def in_its_middle(memory: Memory) -> None:
    def half(_: Operation) -> Effect:
        memory.fault = None
        return Effect.HALF

    memory.fault = half


Way = Callable[[Memory], None]
WAYS = [before_it, in_its_middle, before_the_answer]


def leaving(memory: Memory, at: int, way: Way) -> SimulatedCard:
    """A card that leaves at this APDU, counted from 0."""

    def pull(index: int, apdu: bytes) -> bytes | None:
        if index == at:
            way(memory)
        return None

    return SimulatedCard(memory, fault=pull)


async def job_without_trouble(desk: FrontDesk, kind: str) -> tuple[list[bytes], Memory]:
    """What is sent to a card of this kind that stays, and the card."""
    card = SimulatedCard(fresh_card(kind))
    made = await desk.credential()
    await desk.issue(made, card)
    return [apdu for apdu, _ in card.apdus], card.memory


async def torn(desk: FrontDesk, acs_credential_id: str, card: SimulatedCard) -> dict[str, Any]:
    """Put a card down that leaves: the error. The job is still there, nothing is reported, no number can be read that
    isn't right.
    """
    outcome = await desk.outcome(card)
    await desk.take()
    assert not outcome["ok"]
    assert outcome["error"]["next_step"]
    job = desk.job(acs_credential_id)
    if writes(card):
        assert (outcome["error"]["type"], job.state) == ("encoding_interrupted", JobState.WRITING)
        assert job.card_uid == card.memory.uid().hex()
        known = desk.running.agent.journal.card(job.card_uid)
        assert known is not None
        assert known.standing is CardStanding.UNKNOWN
    else:
        assert (outcome["error"]["type"], job.state) == ("no_credential_on_encoder", JobState.CLAIMED)
    assert desk.nothing_reported(acs_credential_id)
    assert text_on(card.memory) in (None, desk.numbers[acs_credential_id] if writes(card) else None)
    return dict(outcome["error"])


def points(apdus: list[bytes], way: Way) -> list[int]:
    """At which APDUs a card can leave in this way."""
    return [at for at, apdu in enumerate(apdus) if apdu[1] == WRITE or way is not in_its_middle]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", KINDS)
async def test_the_card_comes_back(desk: FrontDesk, kind: str, way: Way, cases: Callable[[int], None]) -> None:
    """Repaired where needed, and issued, once."""
    apdus, first = await job_without_trouble(desk, kind)
    memories = [first]
    for at in points(apdus, way):
        memories.append(fresh_card(kind))
        made = await desk.credential()
        await torn(desk, made, leaving(memories[-1], at, way))
        await desk.issue(made, SimulatedCard(memories[-1]))
    desk.check_the_books(memories)
    cases(len(memories) - 1)


@pytest.mark.promise(6, 7)
@pytest.mark.parametrize("way", [before_it, before_the_answer], ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", KINDS)
async def test_other_cards_come_first(desk: FrontDesk, kind: str, way: Way, cases: Callable[[int], None]) -> None:
    """A blank one, one of another kind and one with a live credential: none is written while it isn't known what the
    card that left holds, and each is told to be the wrong one. Where nothing was written yet, the job is free, and only
    the live one is refused.
    """
    apdus, live = await job_without_trouble(desk, kind)
    blank, other_kind = fresh_card(kind), fresh_card(KINDS[KINDS.index(kind) - 1])
    memories = [live]
    for at in points(apdus, way):
        memories.append(fresh_card(kind))
        made = await desk.credential()
        error = await torn(desk, made, leaving(memories[-1], at, way))
        if error["type"] == "encoding_interrupted":
            for other in (blank, other_kind, live):
                error = await desk.refusal(SimulatedCard(other))
                assert error["type"] == "encoding_interrupted"
                assert f"Put card {memories[-1].uid().hex()} back" in error["next_step"]
                assert desk.job(made).state is JobState.WRITING
        else:
            error = await desk.refusal(SimulatedCard(live))
            assert error["type"] == "incompatible_card_format"
            assert desk.job(made).state is JobState.CLAIMED
        assert desk.nothing_reported(made)
        await desk.issue(made, SimulatedCard(memories[-1]))
    desk.check_the_books([*memories, blank, other_kind])
    cases(len(memories) - 1)


LEFT_OVER = [(in_its_middle, 2), (before_the_answer, 4), (before_the_answer, 8), (before_the_answer, 9)]
"""A card that nothing can be read from yet, up to one that says its number and wasn't read back."""


@pytest.mark.promise(6)
@pytest.mark.parametrize(("way", "at"), LEFT_OVER)
async def test_a_torn_card_is_not_free_for_another_credential(desk: FrontDesk, way: Way, at: int) -> None:
    """Others wait, and a person wants one of them on this very card: what was begun on it is finished first."""
    memory = fresh_card("NTAG213")
    mine = await desk.credential()
    await torn(desk, mine, leaving(memory, at, way))
    others = [await desk.credential(), await desk.credential()]
    wish = desk.running.agent.operations.encode(others[1], encoder=None, who="somebody")
    await desk.issue(mine, SimulatedCard(memory))
    assert [desk.job(made).state for made in others] == [JobState.CLAIMED, JobState.CLAIMED]
    more = [fresh_card("NTAG213"), fresh_card("NTAG213")]
    await desk.issue(others[1], SimulatedCard(more[0]))
    await wish.over.wait()
    assert wish.error is None
    await desk.issue(others[0], SimulatedCard(more[1]))
    desk.check_the_books([memory, *more])


@pytest.mark.promise(6)
@pytest.mark.parametrize(("way", "at"), LEFT_OVER)
async def test_nor_is_it_on_the_other_encoder(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd, way: Way, at: int
) -> None:
    """There a person wants somebody else on it, which is refused. Put down again it is finished, on either encoder."""
    async with front_desk(tmp_path, sandbox, service, pcscd, encoders=2) as desk:
        memory, more = fresh_card("NTAG213"), fresh_card("NTAG213")
        mine = await desk.credential()
        await torn(desk, mine, leaving(memory, at, way))
        left = bytes(memory.memory)
        other = await desk.credential()
        wish = desk.running.agent.operations.encode(other, encoder="Desk 1", who="somebody")
        await desk.running.until(lambda: wish.job_id, "the wish to be taken up")
        error = await desk.refusal(SimulatedCard(memory), at=1)
        assert error["type"] == "incompatible_card_format"
        assert error["message"] == "Writing another credential on this card was interrupted."
        await wish.over.wait()
        assert wish.error is not None
        assert bytes(memory.memory) == left
        assert [desk.job(made).state for made in (mine, other)] == [JobState.WRITING, JobState.CLAIMED]
        await desk.issue(mine, SimulatedCard(memory), at=1)
        await desk.issue(other, SimulatedCard(more))
        desk.check_the_books([memory, more])


@pytest.mark.promise(6)
@pytest.mark.parametrize(("way", "at"), LEFT_OVER[1:])
async def test_a_card_that_comes_back_with_somebody_elses_number(
    desk: FrontDesk, way: Way, at: int, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd, tmp_path: Path
) -> None:
    """A desk that shares no claims with this one can't know what was begun here: what reads as blank is a blank card
    there, and so is a number that the service doesn't call issued. What that desk has written since is seen here and
    stays, and the interrupted credential goes on another card by a person's word.
    """
    memory, more = fresh_card("NTAG213"), fresh_card("NTAG213")
    mine = await desk.credential()
    await torn(desk, mine, leaving(memory, at, way))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with front_desk(elsewhere, sandbox, service, pcscd, mode="attended") as second:
        other = create(service, "elsewhere-000001")
        wish = second.running.agent.operations.encode(other, encoder=None, who="somebody")
        await second.put(SimulatedCard(memory))
        await wish.over.wait()
        assert wish.error is None
    assert text_on(memory) == "elsewhere-000001"
    error = await desk.refusal(SimulatedCard(memory))
    assert (error["type"], error["message"]) == ("incompatible_card_format", "The card holds a live credential.")
    assert desk.job(mine).state is JobState.WRITING
    assert desk.nothing_reported(mine)
    wish = desk.running.agent.operations.reencode(
        mine, reason="its card is another guest's", encoder=None, who="somebody", replace_card=True
    )
    await desk.running.until(lambda: wish.job_id, "the wish to be taken up")
    await desk.issue(mine, SimulatedCard(more))
    assert text_on(memory) == "elsewhere-000001"
    reasons = [entry["detail"].get("reason") for entry in desk.running.agent.journal.audit()]
    assert "its card is another guest's" in reasons
