"""What changes while a vendor's server makes a card, and what a key that only a person can settle leaves to others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.advice import next_step
from agent.journal import ORDER_STANDS, ORDER_UNKNOWN, JobState
from drivers.content import Order
from tests.agent.guests import change_access, delete, issued, job, poll, sandbox, service
from tests.agent.vendor import (
    asked,
    desk,
    desk_with,
    drivers,
    events,
    guest_card,
    impatience,
    new_chip,
    put,
    refused_there,
    server,
    table,
    take,
)
from tests.rig.agent import Running
from tests.rig.ordering import Made
from tests.rig.sandbox import Sandbox

__all__ = ["desk", "drivers", "impatience", "sandbox", "service"]
pytestmark = pytest.mark.usefixtures("drivers")


def while_it_is_made(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Once: the next order takes so long that this happens meanwhile."""
    make = server().order

    def order(order: Order, serial: str) -> Made:
        monkeypatch.setattr(server(), "order", make)
        made = make(order, serial)
        happens()
        return made

    monkeypatch.setattr(server(), "order", order)


@pytest.mark.promise(1, 7)
async def test_what_was_changed_meanwhile_is_not_written(
    monkeypatch: pytest.MonkeyPatch, desk: Running, service: httpx.Client
) -> None:
    credential, card = guest_card(service), new_chip()
    while_it_is_made(monkeypatch, lambda: change_access(service, credential))
    await poll(desk)
    failed = await refused_there(desk, card)
    assert (failed["type"], card.image) == ("encoding_interrupted", "")
    assert f"card-encoder encode {credential} --overwrite" in failed["next_step"]
    assert (job(desk, credential).state, job(desk, credential).code) == (JobState.WRITING, ORDER_STANDS)
    assert "reported" not in events(desk, credential)
    await take(desk)
    put(desk, card)
    attempt = await asked(desk, credential, overwrite=True)
    assert attempt.error is None
    await issued(desk, credential)
    assert len(server().made) == 2
    assert card.image


@pytest.mark.promise(1, 7)
async def test_what_was_deleted_meanwhile_is_not_written(
    monkeypatch: pytest.MonkeyPatch, desk: Running, service: httpx.Client
) -> None:
    credential, card = guest_card(service), new_chip()
    while_it_is_made(monkeypatch, lambda: delete(service, credential))
    await poll(desk)
    failed = await refused_there(desk, card)
    assert "deleted" in failed["message"]
    assert card.image == ""
    assert (job(desk, credential).state, job(desk, credential).code) == (JobState.CANCELLED, "credential_deleted")


async def test_a_service_that_is_away_meanwhile_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, desk: Running, service: httpx.Client
) -> None:
    credential, card = guest_card(service), new_chip()

    def goes_away() -> None:
        monkeypatch.setattr(desk.agent.service._http, "base_url", httpx.URL("http://127.0.0.1:1"))

    while_it_is_made(monkeypatch, goes_away)
    await poll(desk)
    put(desk, card)
    await desk.until(lambda: job(desk, credential).state is JobState.VERIFIED, "the card")
    assert card.image


@pytest.mark.promise(5, 7)
async def test_a_card_that_cannot_be_finished_says_so_after_a_restart_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("carded")) as desk:
        credential, card = guest_card(service), new_chip()
        while_it_is_made(monkeypatch, lambda: change_access(service, credential))
        await poll(desk)
        await refused_there(desk, card)
        reason = job(desk, credential).reason
        assert job(desk, credential).code == ORDER_STANDS
    async with desk_with(tmp_path, sandbox, table("carded")) as desk:
        found = job(desk, credential)
        assert (found.code, found.reason) == (ORDER_STANDS, reason)
        step = next_step(found)
        assert f"encode {credential} --overwrite" in step
        assert "finished where needed" not in step


@pytest.mark.promise(5)
async def test_a_key_of_unknown_fate_holds_up_nobody_who_asks_for_another(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("native", recalls=False)) as desk:
        first, second = guest_card(service), guest_card(service)
        await poll(desk)
        server().faults.append("unanswered")
        assert (await asked(desk, first)).error is not None
        assert (job(desk, first).state, job(desk, first).code) == (JobState.WRITING, ORDER_UNKNOWN)
        attempt = await asked(desk, second)
        assert attempt.error is None
        assert attempt.detail["verified_by"] == "vendor_answer"
        await issued(desk, second)
        assert job(desk, first).state is JobState.WRITING
        assert (await asked(desk, first, overwrite=True)).error is None
        await issued(desk, first)
        assert len(server().made) == 3


async def test_a_card_that_was_made_anew_elsewhere_is_no_match(desk: Running, service: httpx.Client) -> None:
    credential, card = guest_card(service), new_chip()
    await poll(desk)
    put(desk, card)
    await issued(desk, credential)

    async def scanned() -> dict[str, Any]:
        attempt = desk.agent.operations.scan(encoder=None)
        await attempt.over.wait()
        assert attempt.error is None
        return attempt.detail

    assert (await scanned())["match"]
    server().put(server().made[0].order, card.uid)
    told = await scanned()
    assert not told["match"]
    assert "another card" in told["message"]
