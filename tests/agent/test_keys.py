"""Keys that a vendor's own encoder makes: what is ordered, when, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from agent import clock, overview, rest
from agent.journal import JobState
from drivers.encoder import EncodeRequest, EncodeResult
from drivers.errors import IncompatibleCardFormat, NoCredentialOnEncoder, UncategorizedError
from tests.agent.guests import change_access, create, delete, issued, job, poll, sandbox, service
from tests.agent.unseen import (
    desk_with,
    doors,
    drivers,
    guest_key,
    in_state,
    keymaking,
    refused,
    report_of,
    table,
)
from tests.rig.agent import VIRTUAL, Running
from tests.rig.lied_to import applied
from tests.rig.lies import changed, says
from tests.rig.sandbox import Sandbox
from tests.rig.scripted import Spoken, error, lying
from tests.rig.unseen import PUT_A_CARD, Card

__all__ = ["drivers", "sandbox", "service"]
pytestmark = pytest.mark.usefixtures("drivers")


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "FIRST_S", 0.05)


@pytest.fixture
async def desk(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> AsyncIterator[Running]:
    async with desk_with(tmp_path, sandbox, table("keymaking")) as desk:
        yield desk


def everybody(service: httpx.Client) -> list[dict[str, Any]]:
    users: list[dict[str, Any]] = service.post("/acs/users/list", json={}).json()["acs_users"]
    return users


async def asked_for_a_card(desk: Running, acs_credential_id: str) -> None:
    at = desk.agent.stations[0]
    await desk.until(
        lambda: at.prompt == PUT_A_CARD and at.job and at.job.acs_credential_id == acs_credential_id, "the prompt"
    )


@pytest.mark.promise(1, 3)
async def test_a_key_is_ordered_as_the_service_has_it(desk: Running, service: httpx.Client) -> None:
    names = sorted(doors(service))[:2]
    ends_at = clock.to_text(clock.now() + timedelta(days=2))
    credential = guest_key(service, "1001", *reversed(names), ends_at=ends_at, starts_at="2026-01-01T12:00:00Z")
    await poll(desk)
    await asked_for_a_card(desk, credential)
    card = Card()
    keymaking(desk).bring(card)
    await issued(desk, credential)
    order = card.key
    assert order is not None
    assert (list(order.rooms), order.starts_at, order.ends_at, order.joins, order.number) == (
        names,
        clock.parse("2026-01-01T12:00:00Z"),
        clock.parse(ends_at),
        False,
        "1001",
    )
    assert report_of(desk, credential)["card_number"] == "1001"
    assert applied(service, credential) == ["acs_credential.issued"]
    verified = [entry for entry in desk.agent.journal.audit() if entry["event"] == "verified"]
    assert [entry["detail"]["verified_by"] for entry in verified] == ["vendor_answer"]
    assert desk.agent.journal._database.rows("SELECT * FROM cards") == []


async def test_what_the_desk_shows_while_a_card_is_asked_for(
    desk: Running, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "SILENT_S", 0.0)

    async def prompted() -> dict[str, Any]:
        return (await desk.event("progress")).data

    waiting = asyncio.create_task(prompted())
    await asyncio.sleep(0)
    credential = guest_key(service, "1001")
    await poll(desk)
    assert (await waiting)["prompt"] == PUT_A_CARD
    assert (await waiting)["acs_credential_id"] == credential
    shown = desk.agent.operations.state()["encoders"][0]
    assert (shown["prompt"], shown["waits"], shown["asks_for_cards"], shown["card_here"]) == (
        PUT_A_CARD,
        True,
        True,
        False,
    )
    assert not shown["silent"]  # it waits for a person, however long that takes


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"allowed_acs_entrance_ids": []}, "no entrance"), ({"ends_at": None}, "no end of validity")],
)
async def test_an_order_that_is_not_complete_is_held(
    desk: Running, service: httpx.Client, changes: dict[str, Any], complaint: str
) -> None:
    credential, other = guest_key(service, "1001", **changes), guest_key(service, "1002")
    await poll(desk)
    await in_state(desk, credential, JobState.HELD)
    held = job(desk, credential)
    assert held.code == "order_incomplete"
    assert complaint in held.reason
    keymaking(desk).bring(Card())
    await issued(desk, other)
    if "ends_at" in changes:
        change_access(service, credential)
        await poll(desk)
        keymaking(desk).bring(Card())
        await issued(desk, credential)


async def test_doors_that_names_do_not_tell_apart_are_held_and_hold_up_nobody(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    credential, other = guest_key(service, "1001"), guest_key(service, "1002")

    def alike(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [door | {"display_name": "Spa"} for door in known]

    async with lying(sandbox.url) as liar, desk_with(tmp_path, sandbox, table("keymaking"), url=liar.front.url) as desk:
        liar.lie("request.entrances", changed("acs_entrances", alike), times=1)
        keymaking(desk).bring(Card())
        await poll(desk)
        await issued(desk, other)
        assert (job(desk, credential).state, job(desk, credential).code) == (JobState.HELD, "order_incomplete")
        assert "same name" in job(desk, credential).reason
        desk.agent.operations.resume(job(desk, credential).job_id, who="me")
        keymaking(desk).bring(Card())
        await issued(desk, credential)


async def test_without_the_service_nothing_is_ordered(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> None:
    credential, card = guest_key(service, "1001"), Card()
    async with lying(sandbox.url) as liar, desk_with(tmp_path, sandbox, table("keymaking"), url=liar.front.url) as desk:
        liar.lie("request.entrances", says((503, b"")))
        failed = await refused(desk)
        assert failed["type"] == "bridge_disconnected"
        assert (keymaking(desk).asked, job(desk, credential).state) == (0, JobState.CLAIMED)
        liar.relent()
        keymaking(desk).bring(card)
        await issued(desk, credential)
        assert len(keymaking(desk).made) == 1


async def test_it_goes_on_as_soon_as_the_service_is_back(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "FIRST_S", 1000.0)
    credential = guest_key(service, "1001")
    async with lying(sandbox.url) as liar, desk_with(tmp_path, sandbox, table("keymaking"), url=liar.front.url) as desk:
        await poll(desk)
        await asked_for_a_card(desk, credential)
        for operation in ("request.list", "request.get", "request.entrances"):
            liar.lie(operation, says((503, b"")))
        await desk.until(lambda: desk.agent.polling.service_up is False, "the outage")
        keymaking(desk).faults.append("refused")
        await refused(desk, lambda: keymaking(desk).bring(Card()))
        liar.relent()
        keymaking(desk).bring(Card())
        await issued(desk, credential)


async def test_doors_that_change_before_the_card_comes_are_ordered_anew(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    first, last = sorted(doors(service))[:2]
    credential = guest_key(service, "1001", first, last)
    async with lying(sandbox.url) as liar, desk_with(tmp_path, sandbox, table("keymaking"), url=liar.front.url) as desk:
        liar.lie("request.entrances", changed("acs_entrances", lambda known: known[:1]), times=1)
        await poll(desk)
        await asked_for_a_card(desk, credential)
        keymaking(desk).bring(Card(), 2)
        await issued(desk, credential)
        assert [order.rooms for order in keymaking(desk).made] == [(first, last)]


async def test_the_doors_of_before_do_where_the_service_went_away_meanwhile(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    credential = guest_key(service, "1001")
    async with lying(sandbox.url) as liar, desk_with(tmp_path, sandbox, table("keymaking"), url=liar.front.url) as desk:
        await poll(desk)
        await asked_for_a_card(desk, credential)
        liar.lie("request.entrances", says((503, b"")))
        liar.lie("request.get", says((503, b"")))
        keymaking(desk).bring(Card())
        await issued(desk, credential)


@pytest.mark.parametrize("what", ["hold", "cancel", "delete", "expire"])
async def test_a_job_that_an_encoder_waits_with_may_be_taken_away(
    desk: Running, service: httpx.Client, what: str
) -> None:
    first, second = guest_key(service, "1001"), guest_key(service, "1002")
    await poll(desk)
    await asked_for_a_card(desk, first)
    job_id = job(desk, first).job_id
    match what:
        case "hold":
            desk.agent.operations.hold(job_id, who="me")
        case "cancel":
            desk.agent.operations.cancel(job_id, who="me")
        case "delete":
            delete(service, first)
            await poll(desk)
        case "expire":
            past = clock.to_text(clock.now() - timedelta(days=1))
            sandbox_change = {**job(desk, first).credential, "ends_at": past}
            desk.agent.polling.refresh(first, sandbox_change)
            desk.agent.events.publish("job")
    await asked_for_a_card(desk, second)
    keymaking(desk).bring(Card())
    await issued(desk, second)
    assert [order.number for order in keymaking(desk).made] == ["1002"]
    assert desk.agent.journal.report_of(job_id) is None


async def test_a_job_that_is_taken_away_while_its_doors_are_listed_is_not_ordered(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    first, second = guest_key(service, "1001"), guest_key(service, "1002")
    go_on = asyncio.Event()

    async def slow(_request: object, truth: Callable[[], Awaitable[Spoken]]) -> Spoken:
        await go_on.wait()
        return await truth()

    async with lying(sandbox.url) as liar, desk_with(tmp_path, sandbox, table("keymaking"), url=liar.front.url) as desk:
        liar.lie("request.entrances", slow, times=1)
        async with asyncio.timeout(15):
            while not liar.asked("request.entrances"):
                await asyncio.sleep(0.005)
        desk.agent.operations.hold(job(desk, first).job_id, who="me")
        go_on.set()
        await asked_for_a_card(desk, second)
        assert keymaking(desk).asked == 1


async def test_a_person_goes_ahead_of_what_the_encoder_waits_with(desk: Running, service: httpx.Client) -> None:
    first, second = guest_key(service, "1001"), guest_key(service, "1002")
    await poll(desk)
    await asked_for_a_card(desk, first)
    attempt = desk.agent.operations.encode(second, encoder=None, who="me")
    await asked_for_a_card(desk, second)
    scan = desk.agent.operations.scan(encoder=None)
    await desk.until(lambda: "read" in desk.agent.stations[0].prompt, "the other prompt")
    keymaking(desk).bring(Card())
    await scan.over.wait()
    assert scan.error is None
    await asked_for_a_card(desk, second)
    keymaking(desk).bring(Card())
    await attempt.over.wait()
    assert attempt.error is None
    await asked_for_a_card(desk, first)


@pytest.mark.parametrize("call", ["_call_back", "stop"])
async def test_a_call_is_heard_that_comes_just_before_the_driver_begins(
    desk: Running, service: httpx.Client, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    station, over = desk.agent.stations[0], asyncio.Event()
    encode, loop = station.encoder.encode, asyncio.get_running_loop()

    def called(request: EncodeRequest) -> EncodeResult:
        getattr(station, call)()
        try:
            return encode(request)
        finally:
            loop.call_soon_threadsafe(over.set)

    monkeypatch.setattr(station.encoder, "encode", called)
    guest_key(service, "1001")
    await poll(desk)
    async with asyncio.timeout(15):
        await over.wait()


async def test_a_wish_for_the_very_job_that_the_encoder_waits_with(desk: Running, service: httpx.Client) -> None:
    """What is asked for in addition counts for the card that comes next."""
    credential, card = guest_key(service, "1001"), Card(foreign=True)
    await poll(desk)
    await asked_for_a_card(desk, credential)
    attempt = desk.agent.operations.encode(credential, encoder=None, who="me", overwrite=True)
    await desk.until(lambda: (at := desk.agent.stations[0]).job and at.job.picked and at.prompt, "the new wish")
    keymaking(desk).bring(card)
    await attempt.over.wait()
    assert attempt.error is None
    assert card.key is not None


async def test_an_agent_stops_while_a_card_is_asked_for(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    with capture_logs() as logs:
        async with desk_with(tmp_path, sandbox, table("keymaking", patience_s=120)) as desk:
            credential = guest_key(service, "1001")
            await poll(desk)
            await asked_for_a_card(desk, credential)
    assert "stopped" in [entry["event"] for entry in logs]
    assert not [entry for entry in logs if entry["event"].startswith("left behind")]


async def test_where_nobody_comes_it_is_asked_for_again_and_nothing_piles_up(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("keymaking", patience_s=0.02)) as desk:
        credential = guest_key(service, "1001")
        await poll(desk)
        await desk.until(lambda: keymaking(desk).asked >= 3, "it to be asked for again")
        assert desk.agent.stations[0].last_outcome is None
        assert not [entry for entry in desk.agent.journal.audit() if entry["event"] in ("writing", "not_written")]
        keymaking(desk).script = keymaking(desk).script.model_copy(update={"patience_s": 30.0})
        keymaking(desk).bring(Card())
        await issued(desk, credential)


async def test_an_order_that_was_given_in_vain_is_given_again_later_and_later(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "FIRST_S", 1000.0)
    async with desk_with(tmp_path, sandbox, table("keymaking", pause_s=0.01)) as desk:
        credential = guest_key(service, "1001")
        keymaking(desk).faults.extend(["gone"] * 9)
        keymaking(desk).bring(Card(), 9)
        await poll(desk)
        await desk.until(lambda: keymaking(desk).asked == 1 and not desk.agent.stations[0].job, "the order")
        for _ in range(20):
            await poll(desk)
            desk.agent.events.publish("job")
        assert (keymaking(desk).asked, job(desk, credential).state) == (1, JobState.CLAIMED)
        attempt = desk.agent.operations.encode(credential, encoder=None, who="me")  # a person needn't wait
        await attempt.over.wait()
        assert isinstance(attempt.error, NoCredentialOnEncoder)
        assert keymaking(desk).asked == 2


@pytest.mark.promise(5)
async def test_a_key_whose_fate_is_unknown_is_looked_at_before_another_is_ordered(
    desk: Running, service: httpx.Client
) -> None:
    credential, card = guest_key(service, "1001"), Card()
    await poll(desk)
    keymaking(desk).faults.append("lost")
    failed = await refused(desk, lambda: keymaking(desk).bring(card))
    assert failed["type"] == "encoding_interrupted"
    assert (job(desk, credential).state, job(desk, credential).card_uid) == (JobState.WRITING, "")
    keymaking(desk).bring(card)
    await issued(desk, credential)
    assert len(keymaking(desk).made) == 1
    assert len(desk.agent.journal._database.rows("SELECT 1 FROM outbox")) == 1


@pytest.mark.promise(5, 6)
async def test_where_keys_cannot_be_read_only_a_person_has_a_lost_one_ordered_again(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    """Not even an agent that was started anew meanwhile."""
    options = table("keymaking", reads=False, mode="attended")
    async with desk_with(tmp_path, sandbox, options) as desk:
        credential = guest_key(service, "1001")
        await poll(desk)
        keymaking(desk).faults.append("lost")
        keymaking(desk).bring(Card())
        await refused(desk, lambda: desk.agent.operations.encode(credential, encoder=None, who="me"))
    async with desk_with(tmp_path, sandbox, options) as desk:
        failed = await refused(desk)
        assert failed["type"] == "incompatible_card_format"
        assert f"encode {credential} --overwrite" in failed["next_step"]
        assert (keymaking(desk).made, job(desk, credential).state) == ([], JobState.WRITING)
        attempt = desk.agent.operations.encode(credential, encoder=None, who="me", overwrite=True)
        keymaking(desk).bring(Card())
        await attempt.over.wait()
        assert attempt.error is None
        assert len(keymaking(desk).made) == 1


@pytest.mark.promise(5, 6)
async def test_a_persons_word_counts_for_one_order(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> None:
    """Where that one gets lost too, nothing is ordered before they say so again."""
    async with desk_with(tmp_path, sandbox, table("keymaking", reads=False, mode="attended", pause_s=0.01)) as desk:
        credential = guest_key(service, "1001")
        await poll(desk)
        keymaking(desk).faults.extend(["lost"] * 9)
        keymaking(desk).bring(Card(), 9)
        await refused(desk, lambda: desk.agent.operations.encode(credential, encoder=None, who="me"))
        for orders in (2, 3):
            attempt = desk.agent.operations.encode(credential, encoder=None, who="me", overwrite=True)
            await attempt.over.wait()
            assert not job(desk, credential).overwrite
            failed = await refused(desk)
            assert failed["type"] == "incompatible_card_format"
            assert len(keymaking(desk).made) == orders


@pytest.mark.promise(5)
async def test_an_encoder_that_writes_over_anything_orders_no_lost_key_again_by_itself(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    options = table("keymaking", reads=False, overwrite="always", mode="attended")
    async with desk_with(tmp_path, sandbox, options) as desk:
        credential = guest_key(service, "1001")
        keymaking(desk).faults.append("lost")
        keymaking(desk).bring(Card(), 2)
        failed = await refused(desk, lambda: desk.agent.operations.encode(credential, encoder=None, who="me"))
        assert failed["type"] == "encoding_interrupted"
        failed = await refused(desk)
        assert failed["type"] == "incompatible_card_format"
        assert len(keymaking(desk).made) == 1


async def test_a_wish_whose_card_is_the_wrong_one_is_not_tried_on_and_on(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "FIRST_S", 1000.0)
    async with desk_with(tmp_path, sandbox, table("keymaking", pause_s=0.01)) as desk:
        credential, card = guest_key(service, "1001"), Card()
        keymaking(desk).faults.append("lost")
        await poll(desk)
        await asked_for_a_card(desk, credential)
        attempt = desk.agent.operations.encode(credential, encoder=None, who="me")
        await desk.until(lambda: (at := desk.agent.stations[0]).job and at.job.picked and at.prompt, "the wish")
        keymaking(desk).bring(card)
        await attempt.over.wait()
        assert job(desk, credential).state is JobState.WRITING
        asked = keymaking(desk).asked
        keymaking(desk).bring(Card(foreign=True), 99)
        for _ in range(20):
            await poll(desk)
            desk.agent.events.publish("job")
        assert keymaking(desk).asked == asked
        attempt = desk.agent.operations.encode(credential, encoder=None, who="me")  # a person needn't wait
        await attempt.over.wait()
        assert isinstance(attempt.error, IncompatibleCardFormat)
        assert keymaking(desk).asked == asked + 1


@pytest.mark.promise(4, 6)
async def test_somebodys_key_does_not_become_somebody_elses(desk: Running, service: httpx.Client) -> None:
    """Not even where both have the same doors for the same time, so that nothing would have to be written."""
    times = {"starts_at": "2026-01-01T12:00:00Z", "ends_at": clock.to_text(clock.now() + timedelta(days=2))}
    first, card = guest_key(service, "1001", **times), Card()
    await poll(desk)
    keymaking(desk).bring(card)
    await issued(desk, first)
    second = guest_key(service, "1002", **times)
    await poll(desk)
    failed = await refused(desk, lambda: keymaking(desk).bring(card))
    assert failed["type"] == "incompatible_card_format"
    assert job(desk, second).state is JobState.CLAIMED
    keymaking(desk).bring(Card())
    await issued(desk, second)


@pytest.mark.promise(4)
async def test_somebody_elses_key_takes_no_keys_place(desk: Running, service: httpx.Client) -> None:
    times = {"starts_at": "2026-01-01T12:00:00Z", "ends_at": clock.to_text(clock.now() + timedelta(days=2))}
    first, second = guest_key(service, "1001", **times), guest_key(service, "1002", **times)
    cards = Card(), Card()
    await poll(desk)
    for credential, card in zip((first, second), cards, strict=True):
        keymaking(desk).bring(card)
        await issued(desk, credential)
    attempt = desk.agent.operations.reencode(second, reason="lost", encoder=None, who="me", replace_card=True)
    keymaking(desk).bring(cards[0])
    await attempt.over.wait()
    assert isinstance(attempt.error, IncompatibleCardFormat)
    assert len(desk.agent.journal._database.rows("SELECT 1 FROM outbox")) == 2


@pytest.mark.parametrize(("tells", "replaced"), [("", False), ("serial-{n}", True)])
@pytest.mark.promise(3, 4)
async def test_a_reissue_goes_on_any_card(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client, tells: str, replaced: bool
) -> None:
    """The vendor's system voids the key before: the service is told which number it takes the place of."""
    async with desk_with(tmp_path, sandbox, table("keymaking", tells=tells)) as desk:
        credential = guest_key(service, "1001")
        await poll(desk)
        keymaking(desk).bring(Card())
        await issued(desk, credential)
        before = report_of(desk, credential)
        change_access(service, credential)
        await poll(desk)
        assert job(desk, credential).by_order
        keymaking(desk).bring(Card())
        await issued(desk, credential)
        body = report_of(desk, credential)
        assert body["card_number"] == ("serial-2" if replaced else "1001")
        assert body["replaces_card_number"] == (before["card_number"] if replaced else None)
        assert applied(service, credential) == ["acs_credential.issued", "acs_credential.reissued"]


@pytest.mark.promise(3)
async def test_a_key_without_any_number_gets_one_that_stays_its_own(desk: Running, service: httpx.Client) -> None:
    first, second = guest_key(service, None), guest_key(service, None)
    await poll(desk)
    for credential in (first, second):
        keymaking(desk).bring(Card())
        await issued(desk, credential)
    numbers = [report_of(desk, credential)["card_number"] for credential in (first, second)]
    assert len(set(numbers)) == 2
    assert all(number.startswith("key-") for number in numbers)
    change_access(service, first)
    await poll(desk)
    keymaking(desk).bring(Card())
    await issued(desk, first)
    assert report_of(desk, first)["card_number"] == numbers[0]


async def test_what_the_vendor_says_of_the_order_itself_holds_up_nobody(desk: Running, service: httpx.Client) -> None:
    """Though it is said only when the order is given."""
    credential, other = guest_key(service, "1001"), guest_key(service, "1002")
    keymaking(desk).faults.append("unfit there")
    await poll(desk)
    keymaking(desk).bring(Card(), 2)
    await issued(desk, other)
    assert (job(desk, credential).state, job(desk, credential).code) == (JobState.HELD, "order_does_not_fit")
    desk.agent.operations.resume(job(desk, credential).job_id, who="me")
    keymaking(desk).bring(Card())
    await issued(desk, credential)


async def test_a_refusal_of_the_vendor_leaves_the_job_as_it_was(desk: Running, service: httpx.Client) -> None:
    credential = guest_key(service, "1001")
    await poll(desk)
    keymaking(desk).faults.append("refused")
    failed = await refused(desk, lambda: keymaking(desk).bring(Card()))
    assert failed["type"] == "incompatible_card_format"
    keymaking(desk).bring(Card())
    await issued(desk, credential)
    assert len(keymaking(desk).made) == 1


async def test_an_order_that_the_vendor_cannot_carry_out_is_held(desk: Running, service: httpx.Client) -> None:
    first, second = guest_key(service, "1001"), guest_key(service, "1002")
    keymaking(desk).faults.append("unfit")
    await poll(desk)
    await in_state(desk, first, JobState.HELD)
    assert job(desk, first).code == "order_does_not_fit"
    keymaking(desk).bring(Card())
    await issued(desk, second)


async def test_a_credential_that_is_gone_says_so(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> None:
    credential = guest_key(service, "1001")
    async with lying(sandbox.url) as liar, desk_with(tmp_path, sandbox, table("keymaking"), url=liar.front.url) as desk:
        liar.lie("request.entrances", says((404, error("acs_credential_not_found"))), times=1)
        failed = await refused(desk)
        assert failed["type"] == "credential_deleted"
        assert desk.agent.journal._database.rows("SELECT 1 FROM jobs WHERE state = 'cancelled'")
        keymaking(desk).bring(Card())
        await issued(desk, credential)  # the list has it all the same


async def test_an_encoder_that_is_unplugged_comes_back(desk: Running, service: httpx.Client) -> None:
    credential = guest_key(service, "1001")
    await poll(desk)
    await asked_for_a_card(desk, credential)
    keymaking(desk).unplug()
    await desk.until(lambda: not desk.agent.stations[0].online, "the trouble")
    keymaking(desk).bring(Card())
    await issued(desk, credential)


@pytest.mark.promise(4)
async def test_a_desk_with_both_kinds_keeps_the_systems_apart(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    users = everybody(service)
    ours = users[0]["acs_system_id"]
    other = next(user for user in users if user["acs_system_id"] != ours)
    numbers = VIRTUAL | {"name": "Numbers", "acs_system_ids": [other["acs_system_id"]]}
    async with desk_with(tmp_path, sandbox, table("keymaking", "Keys", acs_system_ids=[ours]), numbers) as desk:
        key = guest_key(service, "1001")
        card = create(service, "1002", acs_user_id=other["acs_user_id"])
        await poll(desk)
        assert (job(desk, key).by_order, job(desk, card).by_order) == (True, False)
        uid = desk.agent.stations[1].encoder.put()  # type: ignore[attr-defined]
        await issued(desk, card)
        assert job(desk, card).card_uid == uid
        assert job(desk, key).state is JobState.CLAIMED
        wrong = desk.agent.operations.encode(key, encoder="Numbers", who="me")
        await wrong.over.wait()
        assert isinstance(wrong.error, UncategorizedError)
        assert "access system" in wrong.error.message
        assert "'Keys'" in wrong.error.next_step
        keymaking(desk).bring(Card())
        await issued(desk, key)
