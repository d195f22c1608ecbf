"""The card leaves at every APDU of a Visionline card, before and after its image is ordered, and comes back: the same
image goes on the same card, and nothing is ordered twice. Other cards that come first are told to be the wrong ones.

As in tests/test_torn_cards.py, with the sandbox server, which says what a card opens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.journal import CardStanding, JobState
from agent.sandbox.visionline import Visionline
from drivers.pcsc.simulator import SimulatedCard
from tests.agent.guests import sandbox, service
from tests.rig.cards import fresh_card
from tests.rig.front_desk import Memory
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox
from tests.rig.visionline import MAIN_ENTRANCE, is_whole, memory_of, room_card, staff_card
from tests.rig.visionline_desk import VisionlineDesk, visionline, visionline_desk
from tests.test_torn_cards import WAYS, Way, before_it, before_the_answer, in_its_middle, leaving, points

__all__ = ["sandbox", "service", "visionline"]

pytestmark = [pytest.mark.pcscd, pytest.mark.promise(1, 3, 4, 5)]

DOORS = {"Room 101", MAIN_ENTRANCE}


@pytest.fixture
async def desk(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd, visionline: Visionline
) -> AsyncIterator[VisionlineDesk]:
    async with visionline_desk(tmp_path, sandbox, service, pcscd, visionline) as desk:
        yield desk


async def without_trouble(desk: VisionlineDesk, card: SimulatedCard, credential: str) -> list[bytes]:
    """What is sent to a card that stays."""
    await desk.issue(await desk.take_up(credential), card)
    return [apdu for apdu, _ in card.apdus]


async def torn(desk: VisionlineDesk, credential: str, card: SimulatedCard) -> dict[str, Any]:
    """Put a card down that leaves: the error. It opens nothing, and nothing is reported.

    Once it was ordered, the job stays with the card, be it that nothing was written yet.
    """
    outcome = await desk.outcome(card)
    await desk.take()
    error = dict(outcome["error"])
    assert error["next_step"]
    job = desk.job(credential)
    if desk.made_for(card.memory):
        assert (error["type"], job.state) == ("encoding_interrupted", JobState.WRITING)
        assert job.card_uid == card.memory.uid().hex()
        known = desk.running.agent.journal.card(job.card_uid)
        assert known is not None
        assert known.standing is CardStanding.UNKNOWN
    else:
        assert (error["type"], job.state) == ("no_credential_on_encoder", JobState.CLAIMED)
    assert desk.nothing_reported(credential)
    return error


KINDS = [("Ultralight EV1", room_card), ("NTAG213", staff_card)]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(("kind", "create"), KINDS)
async def test_the_card_comes_back(
    desk: VisionlineDesk,
    service: httpx.Client,
    kind: str,
    create: Callable[[httpx.Client, str], str],
    way: Way,
    cases: Callable[[int], None],
) -> None:
    """It gets the image that was made for it, whole, and is issued, once."""
    apdus = await without_trouble(desk, SimulatedCard(fresh_card(kind)), create(service, "Room 101"))
    where = points(apdus, way)
    whole_after = max(points(apdus, in_its_middle))
    where = where if kind == "Ultralight EV1" else where[::5]
    for at in where:
        memory = fresh_card(kind)
        credential = await desk.take_up(create(service, "Room 101"))
        before = len(desk.visionline.server.cards)
        await torn(desk, credential, leaving(memory, at, way))
        assert at >= whole_after or not desk.doors(memory)
        await desk.issue(credential, SimulatedCard(memory))
        assert len(desk.visionline.server.cards) == before + 1, "ordered twice"
        assert is_whole(desk.visionline, memory)
        assert desk.doors(memory) == DOORS
        assert desk.told(credential)["card_number"] == memory.uid().hex()
        assert desk.events(credential) == ["issued"]
        assert len(desk.audited("ordered", credential)) == len(desk.audited("verified", credential)) == 1
    assert desk.running.agent.journal.first_broken_audit_entry() is None
    cases(len(where))


async def last_read_before_the_order(desk: VisionlineDesk, service: httpx.Client) -> tuple[int, Memory]:
    """How many APDUs there are before the first one that writes; and the card, whose credential is live."""
    memory = fresh_card("Ultralight EV1")
    apdus = await without_trouble(desk, SimulatedCard(memory), room_card(service, "Room 102"))
    return points(apdus, in_its_middle)[0], memory


@pytest.mark.promise(6, 7)
@pytest.mark.parametrize(("way", "after"), [(before_it, 0), (in_its_middle, 2), (before_the_answer, 5)])
async def test_other_cards_come_first(desk: VisionlineDesk, service: httpx.Client, way: Way, after: int) -> None:
    """None of them is written, and nothing is ordered for them, while it isn't known what became of the first."""
    first_write, live = await last_read_before_the_order(desk, service)
    memory = fresh_card("Ultralight EV1")
    credential = await desk.take_up(room_card(service, "Room 101"))
    await torn(desk, credential, leaving(memory, first_write + after, way))
    made = len(desk.visionline.server.cards)
    for other in (fresh_card("Ultralight EV1"), fresh_card("NTAG213"), live):
        error = await desk.refusal(SimulatedCard(other))
        assert error["type"] == "credential_cannot_be_reissued"
        assert f"Put card {memory.uid().hex()} back" in error["next_step"]
    assert len(desk.visionline.server.cards) == made
    await desk.issue(credential, SimulatedCard(memory))
    assert desk.doors(memory) == DOORS
    assert desk.visionline.server.overrides == 2


@pytest.mark.promise(6)
async def test_a_torn_card_that_does_not_come_back_is_given_up_by_a_person(
    desk: VisionlineDesk, service: httpx.Client
) -> None:
    """Another card takes its place, which is one order more, by their word; the torn one opens nothing."""
    first_write, _ = await last_read_before_the_order(desk, service)
    memory, another = fresh_card("Ultralight EV1"), fresh_card("Ultralight EV1")
    credential = await desk.take_up(room_card(service, "Room 101"))
    await torn(desk, credential, leaving(memory, first_write + 6, before_the_answer))
    assert desk.visionline.server.overrides == 2
    await desk.put(SimulatedCard(another))
    operations = desk.running.agent.operations
    attempt = await desk.asked(
        operations.reencode(credential, reason="lost", encoder=None, who="night", replace_card=True)
    )
    assert attempt.error is None, attempt.error
    await desk.issued(credential)
    assert desk.visionline.server.overrides == 3
    assert desk.doors(another) == DOORS
    assert desk.doors(memory) == set()
    assert memory_of(another) != memory_of(memory)
    assert "lost" in [entry["detail"].get("reason") for entry in desk.running.agent.journal.audit()]
