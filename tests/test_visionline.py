"""Visionline cards from end to end: an override, who joins it and a staff's card, both ways, through the real pcscd.

Nothing is replaced but the plastic and the vendor's server, whose stand-in checks signatures for real, makes images,
voids cards on an override and is the lock in the end. What holds there was never tried on a licensed server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from agent.sandbox.visionline import Visionline, serving_visionline
from tests.agent.guests import sandbox, service
from tests.rig.cards import fresh_card
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox
from tests.rig.visionline import MAIN_ENTRANCE, Way, joiner, room_card, staff_card
from tests.rig.visionline_desk import VisionlineDesk, visionline_desk

__all__ = ["sandbox", "service"]

pytestmark = pytest.mark.pcscd

WAYS: list[Way] = ["image", "native"]
DOORS = {"Room 101", MAIN_ENTRANCE}


@pytest.fixture
def visionline() -> Iterator[Visionline]:
    with serving_visionline() as visionline:
        yield visionline


class Opening(Protocol):
    def __call__(self, way: Way = "image", **changes: Any) -> AbstractAsyncContextManager[VisionlineDesk]: ...


@pytest.fixture
def opening(tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd, visionline: Visionline) -> Opening:
    def opening(way: Way = "image", **changes: Any) -> AbstractAsyncContextManager[VisionlineDesk]:
        return visionline_desk(tmp_path, sandbox, service, pcscd, visionline, way, **changes)

    return opening


@pytest.fixture
async def desk(opening: Opening) -> AsyncIterator[VisionlineDesk]:
    async with opening() as desk:
        yield desk


NUMBERS = [("image", "uid", ""), ("image", "uid_suffix", "ff"), ("image", "server", "ff"), ("native", "uid", "ff")]
"""How a card's number is reported, and what it has behind the UID: natively only the server knows it."""


@pytest.mark.promise(1, 3, 4)
@pytest.mark.parametrize(("way", "card_number", "suffix"), NUMBERS)
async def test_an_override_who_joins_it_and_a_staff_card(
    way: Way, card_number: str, suffix: str, opening: Opening, service: httpx.Client, visionline: Visionline
) -> None:
    async with opening(way, card_number=card_number) as desk:
        kinds = ("Ultralight EV1", "Ultralight EV1", "NTAG213", "NTAG216")
        before, first, joins, staffs = (fresh_card(kind) for kind in kinds)

        async def make(credential: str, memory: Any) -> None:
            await desk.make(credential, memory)
            desk.check_made(credential, memory, memory.uid().hex() + suffix)

        # The guests before.
        await make(await desk.take_up(room_card(service, "Room 101")), before)
        assert desk.doors(before) == DOORS
        assert visionline.server.overrides == 1

        # Who joins waits for the first card of the stay, though somebody asks for it.
        override = await desk.take_up(room_card(service, "Room 101"))
        joining = await desk.take_up(joiner(service, "Room 101", override))
        refused = await desk.encode(joining)
        assert "joins a credential" in str(refused.error)
        assert visionline.server.overrides == 1
        assert desk.doors(before) == DOORS
        await make(override, first)
        assert desk.doors(first) == DOORS
        assert desk.doors(before) == set()
        assert visionline.server.overrides == 2

        await make(joining, joins)
        assert desk.doors(joins) == desk.doors(first) == DOORS

        staff = await desk.take_up(staff_card(service, "Room 101"))
        await make(staff, staffs)
        assert desk.doors(staffs) == desk.doors(joins) == desk.doors(first) == DOORS
        assert [card.made for card in visionline.server.cards] == ["override", "override", "join", "staff"]
        verified = [entry["verified_by"] for c in (override, joining, staff) for entry in desk.audited("verified", c)]
        assert verified == ["read_back" if way == "image" else "vendor_answer"] * 3
