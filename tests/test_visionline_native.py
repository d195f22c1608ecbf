"""What can be wrong at Visionline's own encoder, at a whole desk: each is told to the person who asked, nothing is
ordered twice and nothing lost. In the end the card is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.attempts import Attempt
from agent.sandbox.visionline import Fault, Visionline
from drivers.virtual.cards import VirtualType2
from drivers.visionline import client, native
from tests.agent.guests import sandbox, service
from tests.rig.cards import fresh_card
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox
from tests.rig.visionline import MAIN_ENTRANCE, room_card, staff_card
from tests.rig.visionline_desk import Opening, VisionlineDesk, visionline, visionline_desk

__all__ = ["sandbox", "service", "visionline"]

pytestmark = [pytest.mark.pcscd, pytest.mark.promise(1, 3, 4, 7)]

DOORS = {"Room 101", MAIN_ENTRANCE}


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE_S", 0.05)
    monkeypatch.setattr(client, "_SIGNED_PAUSE_S", 0.05)
    monkeypatch.setattr(native, "_PAUSE_S", 0.05)


@pytest.fixture
def opening(tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd, visionline: Visionline) -> Opening:
    def opening(**changes: Any) -> AbstractAsyncContextManager[VisionlineDesk]:
        return visionline_desk(tmp_path, sandbox, service, pcscd, visionline, "native", **changes)

    return opening


def card(kind: str = "Ultralight EV1") -> VirtualType2:
    made = fresh_card(kind)
    assert isinstance(made, VirtualType2)
    return made


def told(attempt: Attempt, words: str) -> None:
    """The person is told so, and what to do next."""
    assert attempt.error is not None
    assert words in str(attempt.error)
    assert attempt.error.next_step
    assert not re.search(r"\b101\b", str(attempt.error))


async def issued(desk: VisionlineDesk, credential: str, memory: VirtualType2, **how: Any) -> None:
    """It is made on this card."""
    desk.tray.put(memory)
    attempt = await desk.encode(credential, **how)
    assert attempt.error is None, attempt.error
    await desk.issued(credential)
    assert desk.doors(memory) == DOORS
    assert desk.events(credential) == ["issued"]


def nobody_came(desk: VisionlineDesk) -> Callable[[], None]:
    desk.visionline.server.patience_s = 0.0

    def mend() -> None:
        desk.visionline.server.patience_s = 20.0

    return mend


def it_is_off(desk: VisionlineDesk) -> Callable[[], None]:
    desk.tray.put(card())
    desk.tray.online = False

    def mend() -> None:
        desk.tray.online = True

    return mend


def the_server_refuses(desk: VisionlineDesk) -> Callable[[], None]:
    desk.tray.put(card())
    desk.visionline.server.fail_next("order", Fault.REFUSED, None)
    return desk.visionline.server.heal


def a_door_is_missing(desk: VisionlineDesk) -> Callable[[], None]:
    desk.tray.put(card())
    door = desk.visionline.server.doors.pop(MAIN_ENTRANCE)

    def mend() -> None:
        desk.visionline.server.doors[door.name] = door

    return mend


@pytest.mark.parametrize("spoil", [nobody_came, it_is_off, the_server_refuses, a_door_is_missing])
async def test_an_order_that_is_refused(
    opening: Opening, service: httpx.Client, spoil: Callable[[VisionlineDesk], Callable[[], None]]
) -> None:
    async with opening() as desk:
        credential = await desk.take_up(room_card(service, "Room 101"))
        mend = spoil(desk)
        told(await desk.encode(credential), "Visionline")
        assert desk.nothing_reported(credential)
        assert desk.visionline.server.cards == []
        mend()
        if str(desk.job(credential).state) == "held":
            desk.running.agent.operations.resume(desk.job(credential).job_id, who="night")
        await issued(desk, credential, card())
        assert desk.visionline.server.overrides == 1


async def test_a_key_that_opens_doors_is_written_over_by_a_persons_word_alone(
    opening: Opening, service: httpx.Client
) -> None:
    async with opening() as desk:
        server, memory = desk.visionline.server, card()
        await issued(desk, await desk.take_up(room_card(service, "Room 101")), memory)
        second = await desk.take_up(room_card(service, "Room 102"))
        told(await desk.encode(second), "Visionline")
        assert desk.doors(memory) == DOORS
        assert server.overrides == 1
        attempt = await desk.encode(second, overwrite=True)
        assert attempt.error is None, attempt.error
        assert desk.doors(memory) == {"Room 102", MAIN_ENTRANCE}
        assert server.overrides == 2


async def test_a_staff_card_does_not_fit_on_a_small_one(opening: Opening, service: httpx.Client) -> None:
    async with opening() as desk:
        credential = await desk.take_up(staff_card(service, "Room 101"))
        desk.tray.put(card())
        told(await desk.encode(credential), "Visionline")
        assert desk.visionline.server.cards == []
        await issued(desk, credential, card("NTAG213"))


async def test_an_encoder_that_the_server_does_not_have(opening: Opening, service: httpx.Client) -> None:
    async with opening(encoder="Nowhere") as desk:
        credential = await desk.take_up(room_card(service, "Room 101"))
        told(await desk.encode(credential), "Visionline")
        assert desk.visionline.server.cards == []
