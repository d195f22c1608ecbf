"""Cards that lie when a vendor's image is written on them, at a whole desk through the real pcscd: what isn't on the
card is never reported, and however it ends, nothing is ordered twice without a person's word.

Every bit and every operation: tests/drivers/tags/test_image_trouble.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from agent.journal import JobState
from agent.sandbox.visionline import Visionline
from drivers.pcsc.simulator import SimulatedCard
from tests.agent.guests import sandbox, service
from tests.rig.cards import fresh_card
from tests.rig.front_desk import Memory
from tests.rig.liar import Liar
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox
from tests.rig.visionline import MAIN_ENTRANCE, is_whole, room_card
from tests.rig.visionline_desk import VisionlineDesk, visionline, visionline_desk
from tests.test_lying_cards import GET_UID, OK, copy_of, swallowing

__all__ = ["sandbox", "service", "visionline"]

pytestmark = [pytest.mark.pcscd, pytest.mark.promise(1, 4, 5, 7)]

KIND = "Ultralight EV1"
DOORS = {"Room 101", MAIN_ENTRANCE}
WRITES = 7
"""That clear the first page and put 24 bytes on the card."""


@pytest.fixture
async def desk(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd, visionline: Visionline
) -> AsyncIterator[VisionlineDesk]:
    async with visionline_desk(tmp_path, sandbox, service, pcscd, visionline) as desk:
        yield desk


async def guest(desk: VisionlineDesk) -> str:
    """Who waits for a card."""
    return await desk.take_up(room_card(desk.service, "Room 101"))


async def refused(desk: VisionlineDesk, credential: str, card: SimulatedCard) -> None:
    """Put a card down that lies: once it was ordered, its job stays with it, and nothing is reported."""
    error = dict((await desk.outcome(card))["error"] or {})
    await desk.take()
    assert error["next_step"]
    if desk.made_for(card.memory):
        # What was ordered for the one card is refused to the other that it seems to be by now.
        assert error["type"] in ("encoding_interrupted", "credential_cannot_be_reissued")
        assert desk.job(credential).state is JobState.WRITING
    assert desk.nothing_reported(credential)


def check_issued(desk: VisionlineDesk, credential: str, memory: Memory) -> None:
    """On this card, and ordered once."""
    assert is_whole(desk.visionline, memory)
    assert desk.doors(memory) == DOORS
    assert len(desk.made_for(memory)) == 1
    assert desk.events(credential) == ["issued"]


async def test_acknowledged_and_not_written(desk: VisionlineDesk, cases: Callable[[int], None]) -> None:
    """One write, once: the card is tried again. All of them: it isn't issued, and a person takes another card."""
    for number in range(WRITES):
        credential, memory = await guest(desk), fresh_card(KIND)
        swallowing(number, number)(memory)
        await desk.issue(credential, SimulatedCard(memory))
        check_issued(desk, credential, memory)
    credential, worn, another = await guest(desk), fresh_card(KIND), fresh_card(KIND)
    swallowing(0, 1000)(worn)
    for _ in range(2):
        await refused(desk, credential, SimulatedCard(worn))
    assert len(desk.made_for(worn)) == 1
    await desk.put(SimulatedCard(another))
    operations = desk.running.agent.operations
    wish = operations.reencode(credential, reason="worn out", encoder=None, who="night", replace_card=True)
    assert (await desk.asked(wish)).error is None
    check_issued(desk, credential, another)
    assert desk.visionline.server.overrides == WRITES + 2
    cases(WRITES + 1)


async def test_another_uid_from_any_apdu_on(desk: VisionlineDesk, cases: Callable[[int], None]) -> None:
    """As two cards in the field give: the image that was made for the one is reported on no other."""
    card = SimulatedCard(fresh_card(KIND))
    credential = await guest(desk)
    await desk.issue(credential, card)
    count = len(card.apdus)
    for number in range(1, count):
        credential, liar = await guest(desk), Liar(fresh_card(KIND))

        def other(at: int, true: bytes, number: int = number, liar: Liar = liar) -> bytes:
            is_uid = liar.apdus[-1][0][1] == GET_UID
            return b"\x04\x99\x99\x99\x99\x99\x99" + OK if is_uid and at >= number else true

        liar.afterwards = other
        await refused(desk, credential, liar)
        memory = copy_of(liar.cards)
        await desk.issue(credential, SimulatedCard(memory))
        check_issued(desk, credential, memory)
    assert desk.visionline.server.overrides == count
    cases(count - 1)
