"""Visionline cards from end to end: an override, who joins it and a staff's card, both ways, through the real pcscd.

Nothing is replaced but the plastic and the vendor's server, whose stand-in checks signatures for real, makes images,
voids cards on an override and is the lock in the end. What holds there was never tried on a licensed server.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from agent.sandbox.visionline import Visionline, sessions
from drivers.pcsc.simulator import SimulatedCard
from drivers.visionline import native
from tests.agent.guests import change_access, sandbox, service
from tests.rig.cards import fresh_card
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox
from tests.rig.visionline import MAIN_ENTRANCE, NATIVE, Way, joiner, room_card, staff_card
from tests.rig.visionline_desk import VisionlineDesk, visionline, visionline_desk

__all__ = ["sandbox", "service", "visionline"]

pytestmark = pytest.mark.pcscd

WAYS: list[Way] = ["image", "native"]
DOORS = {"Room 101", MAIN_ENTRANCE}


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_PAUSE_S", 0.05)


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


FLAGS = ["cancelled", "discarded", "overwritten", "overridden", "pending_auto_update"]


async def test_a_scan_says_what_the_server_has_of_a_card(
    desk: VisionlineDesk, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agreement, and each way of not agreeing, in Seam's words and in a sentence."""
    memory = fresh_card("Ultralight EV1")
    await desk.make(await desk.take_up(room_card(service, "Room 101")), memory)
    await desk.put(SimulatedCard(memory))
    scanned = await desk.scan()
    assert scanned.detail["match"], scanned.detail
    assert scanned.result is not None
    assert scanned.result["warnings"] == []
    on_card = scanned.result["acs_credential_on_encoder"]
    assert on_card["card_number"] == scanned.result["acs_credential_on_seam"]["card_number"] == memory.uid().hex()
    (card,) = desk.made_for(memory)
    for flag in FLAGS:
        desk.visionline.server.mark(card.number, **{flag: True})
        await differs(desk, flag)
        desk.visionline.server.mark(card.number, **{flag: False})
    assert (await desk.scan()).detail["match"]
    monkeypatch.setattr(sessions, "MOST_SKEW", timedelta(days=9))
    desk.visionline.server.clock = lambda: datetime.now(UTC) + timedelta(days=3)
    await differs(desk, "expired", "validity has ended")


async def differs(desk: VisionlineDesk, flag: str, words: str = "") -> None:
    """A scan says so."""
    scanned = await desk.scan()
    assert not scanned.detail["match"]
    assert (words or flag.replace("pending_auto_update", "changes")) in scanned.detail["message"]
    assert scanned.result is not None
    told = scanned.result["acs_credential_on_encoder"]["visionline_metadata"]
    assert [name for name in (*FLAGS, "expired") if told[name]] == [flag]
    assert [w["warning_code"] for w in scanned.result["warnings"]] == ["acs_credential_on_encoder_out_of_sync"]


@pytest.mark.promise(4, 6)
async def test_a_reissue_locks_nobody_out(desk: VisionlineDesk, service: httpx.Client) -> None:
    """Its access changes, and its own card is made anew: without an override, so that who joined it isn't voided."""
    memory, joined = fresh_card("Ultralight EV1"), fresh_card("Ultralight EV1")
    credential = await desk.take_up(room_card(service, "Room 101"))
    await desk.make(credential, memory)
    await desk.make(await desk.take_up(joiner(service, "Room 101", credential)), joined)
    change_access(service, credential)
    await desk.take_up(credential)
    await desk.make(credential, memory)
    assert desk.events(credential) == ["issued", "reissued"]
    assert desk.doors(memory) == desk.doors(joined) == DOORS
    assert [card.overwritten for card in desk.made_for(memory)] == [True, False]
    assert desk.visionline.server.overrides == 1


@pytest.mark.promise(4, 6)
async def test_another_card_voids_the_first_by_a_persons_word(desk: VisionlineDesk, service: httpx.Client) -> None:
    first, second = fresh_card("Ultralight EV1"), fresh_card("Ultralight EV1")
    credential = await desk.take_up(room_card(service, "Room 101"))
    await desk.make(credential, first)
    await desk.put(SimulatedCard(second))
    refused = await desk.encode(credential)
    assert refused.error is not None
    assert refused.error.type == "credential_cannot_be_reissued"
    assert desk.visionline.server.overrides == 1
    operations = desk.running.agent.operations
    replaced = await desk.asked(
        operations.reencode(credential, reason="lost", encoder=None, who="night", replace_card=True)
    )
    assert replaced.error is None, replaced.error
    await desk.issued(credential)
    assert desk.visionline.server.overrides == 2
    assert (desk.doors(first), desk.doors(second)) == (set(), DOORS)
    assert desk.told(credential)["card_number"] == second.uid().hex()


@pytest.mark.promise(4, 6)
async def test_somebodys_live_card_is_not_made_another_ones(desk: VisionlineDesk, service: httpx.Client) -> None:
    """One that the server has as a key and this desk knows nothing of, too: nothing is ordered for it."""
    mine, strangers = fresh_card("Ultralight EV1"), fresh_card("Ultralight EV1")
    await desk.make(await desk.take_up(room_card(service, "Room 101")), mine)
    server = desk.visionline.server
    server.encoders[NATIVE].put(strangers)  # type: ignore[arg-type]
    made_elsewhere(desk, "Room 103")
    credential = await desk.take_up(room_card(service, "Room 102"))
    made = len(server.cards)
    for memory in (mine, strangers):
        error = await desk.refusal(SimulatedCard(memory))
        assert error["type"] == "incompatible_card_format"
        assert desk.doors(memory)
    assert len(server.cards) == made
    await desk.make(credential, fresh_card("Ultralight EV1"))


def made_elsewhere(desk: VisionlineDesk, room: str) -> None:
    """The server's own staff have a card made on its encoder."""
    now = datetime.now(UTC)
    body = {
        "startTime": desk.visionline.server.times.text(now),
        "expireTime": desk.visionline.server.times.text(now + timedelta(days=1)),
        "format": "rfid48",
        "doorOperations": [{"doors": [room], "operation": "guest"}],
    }
    query = {"action": "encode", "encoder": NATIVE, "override": "true", "overwriteValidCard": "true"}
    desk.visionline.server.order(query, json.dumps(body).encode())
