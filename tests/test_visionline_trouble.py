"""What can be wrong with Visionline's server, its user, its certificate or what it makes, at a whole desk: each is told
by an error of its own with what to do, nothing is ordered twice and nothing lost. In the end the card is issued.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.journal import JobState
from agent.sandbox.visionline import Fault, Visionline, serving_visionline
from agent.sandbox.visionline.images import Spoil
from drivers.pcsc.simulator import SimulatedCard
from drivers.visionline import client
from tests.agent.guests import sandbox, service
from tests.rig.cards import fresh_card
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox
from tests.rig.visionline import MAIN_ENTRANCE, joiner, room_card, staff_card
from tests.rig.visionline_desk import Opening, VisionlineDesk, visionline, visionline_desk

__all__ = ["sandbox", "service", "visionline"]

pytestmark = [pytest.mark.pcscd, pytest.mark.promise(1, 2, 3, 7)]

DOORS = {"Room 101", MAIN_ENTRANCE}
EV1 = "Ultralight EV1"


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE_S", 0.05)
    monkeypatch.setattr(client, "_SIGNED_PAUSE_S", 0.05)


@pytest.fixture
def opening(tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd, visionline: Visionline) -> Opening:
    def opening(**changes: Any) -> AbstractAsyncContextManager[VisionlineDesk]:
        return visionline_desk(tmp_path, sandbox, service, pcscd, visionline, **changes)

    return opening


async def refused(desk: VisionlineDesk, credential: str, card: SimulatedCard, words: str) -> dict[str, Any]:
    """Put the card down, which comes to nothing for this reason: the error. The job is still there."""
    outcome = await desk.outcome(card)
    error = dict(outcome["error"] or {})
    assert words in str(error), error
    assert error["next_step"]
    assert not re.search(r"\b101\b", str(error))
    assert desk.nothing_reported(credential)
    await desk.running.until(lambda: not desk.station().job, "the end of it")
    desk.pcscd.take(desk.readers[0])
    await desk.running.until(lambda: desk.station().online and not desk.station().card_here, "the encoder")
    return error


async def issued_after_all(desk: VisionlineDesk, credential: str, card: SimulatedCard) -> None:
    """The same card comes again: it is made, once."""
    await desk.issue(credential, SimulatedCard(card.memory))
    assert desk.visionline.server.overrides == 1
    assert desk.doors(card.memory) == DOORS
    assert desk.events(credential) == ["issued"]


async def test_a_session_that_ended_is_renewed_without_ado(opening: Opening, service: httpx.Client) -> None:
    async with opening() as desk:
        credential, card = await desk.take_up(room_card(service, "Room 101")), SimulatedCard(fresh_card(EV1))
        desk.visionline.server.forget_sessions()
        desk.visionline.server.fail_next("order", Fault.SESSION_FORGOTTEN)
        await issued_after_all(desk, credential, card)


def wrong_signature(visionline: Visionline) -> Callable[[], None]:
    visionline.server.fail_next("look", Fault.WRONG_SIGNATURE, None)
    return visionline.server.heal


def wrong_signature_of_the_order(visionline: Visionline) -> Callable[[], None]:
    visionline.server.fail_next("order", Fault.WRONG_SIGNATURE, None)
    return visionline.server.heal


def clocks_apart(visionline: Visionline) -> Callable[[], None]:
    server, before = visionline.server, visionline.server.clock

    def mend() -> None:
        server.clock = before

    server.clock = lambda: datetime.now(UTC) + timedelta(hours=2)
    return mend


def another_password(visionline: Visionline) -> Callable[[], None]:
    right = visionline.password_file.read_text()

    def mend() -> None:
        visionline.password_file.write_text(right)

    visionline.password_file.write_text("of last year")
    visionline.server.forget_sessions()
    return mend


def no_answers(visionline: Visionline) -> Callable[[], None]:
    visionline.server.fail_next("any", Fault.DROPPED, None)
    return visionline.server.heal


REFUSING = [
    (another_password, "password", "encoder_not_online"),
    (wrong_signature, "signature", "encoder_not_online"),
    (wrong_signature_of_the_order, "signature", "encoder_not_online"),
    (clocks_apart, "clock", "encoder_not_online"),
    (no_answers, "no whole answer", "bridge_disconnected"),
]


@pytest.mark.parametrize(("spoil", "words", "kind"), REFUSING, ids=[case[0].__name__ for case in REFUSING])
async def test_a_server_that_does_not_take_what_is_asked(
    opening: Opening, service: httpx.Client, spoil: Callable[[Visionline], Callable[[], None]], words: str, kind: str
) -> None:
    async with opening() as desk:
        credential, card = await desk.take_up(room_card(service, "Room 101")), SimulatedCard(fresh_card(EV1))
        mend = spoil(desk.visionline)
        outcome = await desk.outcome(card)
        error = dict(outcome["error"])
        assert (error["type"], words in str(error)) == (kind, True), error
        assert error["next_step"]
        assert desk.visionline.server.cards == []
        mend()
        await desk.running.until(lambda: desk.station().online, "the encoder")
        await desk.take()
        await issued_after_all(desk, credential, card)


async def test_a_certificate_that_was_changed_is_told_nothing(opening: Opening, service: httpx.Client) -> None:
    """One of the same authority's is as good; where the very certificate is pinned, or nobody vouches, it isn't."""
    async with opening() as desk:
        credential, card = await desk.take_up(room_card(service, "Room 101")), SimulatedCard(fresh_card(EV1))
        desk.visionline.renew_certificate()
        await issued_after_all(desk, credential, card)
        second = await desk.take_up(room_card(service, "Room 102"))
        asked = len(desk.visionline.server.asked)
        desk.visionline.renew_certificate(another_authority=True)
        error = (await desk.outcome(SimulatedCard(fresh_card(EV1))))["error"]
        assert "certificate" in error["message"]
        assert len(desk.visionline.server.asked) == asked
        assert desk.job(second).state is JobState.CLAIMED


async def test_a_pinned_certificate_that_was_changed(
    opening: Opening, service: httpx.Client, visionline: Visionline
) -> None:
    async with opening(ca_file=None, fingerprint=visionline.fingerprint) as desk:
        await desk.take_up(room_card(service, "Room 101"))
        asked = len(visionline.server.asked)
        visionline.renew_certificate()
        error = (await desk.outcome(SimulatedCard(fresh_card(EV1))))["error"]
        assert error["type"] == "encoder_not_online"
        assert "fingerprint" in str(error)
        assert len(visionline.server.asked) == asked
        assert visionline.server.cards == []


async def test_a_door_that_the_server_does_not_know_is_a_persons_affair(
    opening: Opening, service: httpx.Client
) -> None:
    """The job is held, and the next credential isn't kept waiting."""
    async with opening() as desk:
        missing = desk.visionline.server.doors.pop("Room 101")
        credential = await desk.take_up(room_card(service, "Room 101"))
        card = SimulatedCard(fresh_card(EV1))
        await refused(desk, credential, card, "doesn't know one of the doors")
        assert (desk.job(credential).state, desk.job(credential).code) == (JobState.HELD, "order_does_not_fit")
        assert desk.visionline.server.cards == []
        other = await desk.take_up(room_card(service, "Room 102"))
        await desk.issue(other, SimulatedCard(fresh_card(EV1)))
        desk.visionline.server.doors["Room 101"] = missing
        desk.running.agent.operations.resume(desk.job(credential).job_id, who="night")
        await desk.issue(credential, SimulatedCard(card.memory))
        assert desk.doors(card.memory) == DOORS
        assert desk.visionline.server.overrides == 2


async def test_a_key_that_needs_a_larger_card_is_not_ordered_for_a_small_one(
    opening: Opening, service: httpx.Client
) -> None:
    async with opening() as desk:
        credential = await desk.take_up(staff_card(service, "Room 101"))
        error = await desk.refusal(SimulatedCard(fresh_card(EV1)))
        assert error["type"] == "incompatible_card_format"
        assert desk.job(credential).state is JobState.CLAIMED
        assert "order" not in [asked.step for asked in desk.visionline.server.asked]
        larger = fresh_card("NTAG213")
        await desk.issue(credential, SimulatedCard(larger))
        assert desk.doors(larger) == DOORS


async def test_an_image_that_is_longer_than_the_card(opening: Opening, service: httpx.Client) -> None:
    """Known when it is made: the card stays as it was, and a larger one needs another order, by a person's word."""
    async with opening() as desk:
        desk.visionline.server.image_lengths["rfid48"] = 96
        credential, card = await desk.take_up(room_card(service, "Room 101")), SimulatedCard(fresh_card(EV1))
        before = bytes(card.memory.memory)
        for _ in range(2):
            error = await refused(desk, credential, SimulatedCard(card.memory), "has 96 bytes, and the card has room")
            assert "--replace-card" in error["next_step"]
        assert bytes(card.memory.memory) == before
        assert desk.visionline.server.overrides == 1
        larger = fresh_card("NTAG213")
        await desk.put(SimulatedCard(larger))
        operations = desk.running.agent.operations
        wish = operations.reencode(credential, reason="too small", encoder=None, who="night", replace_card=True)
        assert (await desk.asked(wish)).error is None
        assert desk.visionline.server.overrides == 2
        assert desk.doors(larger) == DOORS


@pytest.mark.parametrize("spoil", [spoil for spoil in Spoil if spoil is not Spoil.TOO_LONG])
async def test_an_answer_without_an_image_that_can_be_written(
    opening: Opening, service: httpx.Client, spoil: Spoil
) -> None:
    """The order was carried out: the server is asked for the image again, and else a person decides."""
    async with opening() as desk:
        desk.visionline.server.spoil = spoil
        credential, card = await desk.take_up(room_card(service, "Room 101")), SimulatedCard(fresh_card(EV1))
        before = bytes(card.memory.memory)
        error = await refused(desk, credential, card, "--overwrite")
        assert error["type"] == "encoding_interrupted"
        await refused(desk, credential, SimulatedCard(card.memory), "--overwrite")
        assert bytes(card.memory.memory) == before
        assert desk.visionline.server.overrides == 1
        desk.visionline.server.spoil = None
        await desk.put(SimulatedCard(card.memory))
        await desk.running.until(lambda: desk.station().last_outcome, "an outcome")
        if desk.job(credential).state is JobState.WRITING:
            assert (await desk.encode(credential, overwrite=True)).error is None
        await desk.issued(credential)
        assert desk.visionline.server.overrides <= 2
        assert desk.doors(card.memory) == DOORS


async def test_who_joins_an_override_waits_until_its_fate_is_known(opening: Opening, service: httpx.Client) -> None:
    """Nobody can join a stay whose first card may not be there, and nobody's card is ordered in between."""
    async with opening() as desk:
        server = desk.visionline.server
        server.gives_image_again = False
        server.fail_next("order", Fault.CARRIED_OUT_NO_ANSWER)
        credential, card = await desk.take_up(room_card(service, "Room 101")), SimulatedCard(fresh_card(EV1))
        joining = await desk.take_up(joiner(service, "Room 101", credential))
        await refused(desk, credential, card, "--overwrite")
        await desk.refusal(SimulatedCard(fresh_card(EV1)))
        assert "joins a credential" in str((await desk.encode(joining)).error)
        assert [made.made for made in server.cards] == ["override"]
        await desk.put(SimulatedCard(card.memory))
        assert (await desk.encode(credential, overwrite=True)).error is None
        await desk.issued(credential)
        await desk.take()
        joined = fresh_card(EV1)
        await desk.issue(joining, SimulatedCard(joined))
        assert [made.made for made in server.cards] == ["override", "override", "join"]
        assert desk.doors(card.memory) == desk.doors(joined) == DOORS


@contextmanager
def restartable(folder: Path) -> Iterator[Callable[[], Visionline]]:
    """A server that is stopped and started again at its port, with what it has kept."""
    with ExitStack() as running:
        port = 0

        def start() -> Visionline:
            nonlocal port
            running.close()
            started = running.enter_context(serving_visionline(port=port, folder=folder))
            port = int(started.url.rpartition(":")[2])
            return started

        yield start


@pytest.mark.parametrize("fault", [Fault.CARRIED_OUT_SILENT, Fault.NO_ANSWER])
async def test_a_server_that_stops_amid_an_order(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd, fault: Fault
) -> None:
    """It comes back, with the card or without it: the same card is finished, and ordered once."""
    with restartable(tmp_path / "visionline") as start:
        visionline = await asyncio.to_thread(start)
        async with visionline_desk(tmp_path, sandbox, service, pcscd, visionline) as desk:
            credential, card = await desk.take_up(room_card(service, "Room 101")), SimulatedCard(fresh_card(EV1))
            incident = visionline.server.fail_next("order", fault)
            await desk.put(card)
            assert await asyncio.to_thread(incident.struck.wait, 20)
            if fault is Fault.CARRIED_OUT_SILENT:
                assert await asyncio.to_thread(incident.carried_out.wait, 20)
            desk.visionline = await asyncio.to_thread(start)
            await desk.running.until(lambda: desk.station().last_outcome, "an outcome")
            assert desk.visionline.server.overrides <= 1
            if desk.job(credential).state is not JobState.REPORTED:
                await desk.running.until(lambda: desk.station().online, "the encoder")
                await desk.take()
                await desk.put(SimulatedCard(card.memory))
                await desk.running.until(lambda: desk.station().last_outcome, "an outcome")
                if desk.job(credential).state is JobState.WRITING:
                    assert desk.visionline.server.overrides == 0  # a card that shows is finished without a question
                    assert (await desk.encode(credential, overwrite=True)).error is None
            await desk.issued(credential)
            assert desk.visionline.server.overrides == 1
            assert desk.doors(card.memory) == DOORS
            assert desk.events(credential) == ["issued"]
