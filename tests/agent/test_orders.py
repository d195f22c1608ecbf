"""Keys that a vendor's server makes to order: what is noted of an order, and that none is given twice by mistake."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import clock
from agent.journal import CardStanding, JobState, OutboxState
from agent.journal.rows import report_body
from drivers.content import VisionlineOrder
from tests.agent.guests import change_access, issued, job, poll, sandbox, service
from tests.agent.unseen import in_state, refused, report_of
from tests.agent.vendor import (
    asked,
    desk,
    desk_with,
    drivers,
    encoder_of,
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
from tests.rig.lied_to import applied
from tests.rig.ordering import Chip
from tests.rig.sandbox import Sandbox

__all__ = ["desk", "drivers", "impatience", "sandbox", "service"]
pytestmark = pytest.mark.usefixtures("drivers")


def orders(desk: Running) -> list[dict[str, Any]]:
    return [dict(row) for row in desk.agent.journal._database.rows("SELECT * FROM orders")]


async def torn(desk: Running, service: httpx.Client, fault: str = "torn") -> tuple[str, Chip]:
    """A credential whose card was begun and not finished; it was taken away."""
    credential, card = guest_card(service), new_chip()
    encoder_of(desk).faults.extend([fault] * 3)
    await poll(desk)
    await refused_there(desk, card)
    encoder_of(desk).faults.clear()
    await take(desk)
    assert job(desk, credential).state is JobState.WRITING
    return credential, card


# What is noted


@pytest.mark.promise(1, 3)
async def test_an_order_is_noted_before_it_goes_out_and_with_its_answer(desk: Running, service: httpx.Client) -> None:
    credential, card = guest_card(service), new_chip()
    await poll(desk)
    assert not job(desk, credential).by_order
    put(desk, card)
    await issued(desk, credential)
    (request,) = encoder_of(desk).requests
    assert isinstance(request.content, VisionlineOrder)
    assert (request.content.joining, request.noted, request.insists) == ("override", None, False)
    assert report_of(desk, credential)["card_number"] == card.uid
    assert events(desk, credential)[-5:] == ["writing", "ordering", "ordered", "verified", "reported"]
    (kept,) = orders(desk)
    assert (kept["stage"], kept["image"]) == ("answered", ""), "nobody writes it any more"
    assert card.image not in str(list(desk.agent.journal.audit()))


@pytest.mark.promise(5)
async def test_nothing_is_ordered_before_the_card_is_bound(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("carded", careless=True)) as desk:
        credential = guest_card(service)
        await poll(desk)
        failed = await refused_there(desk, new_chip())
        assert "before its card was bound" in failed["message"]
        assert (job(desk, credential).state, orders(desk), server().made) == (JobState.CLAIMED, [], [])


@pytest.mark.promise(4, 5)
async def test_a_torn_card_gets_what_was_ordered_for_it(desk: Running, service: httpx.Client) -> None:
    credential, card = await torn(desk, service)
    tries = len(encoder_of(desk).requests)
    put(desk, card)
    await issued(desk, credential)
    assert len(server().made) == 1
    noted = encoder_of(desk).requests[tries].noted
    assert noted is not None
    assert (noted.stage, noted.image) == ("answered", card.image)


@pytest.mark.promise(5)
async def test_what_was_ordered_for_a_card_is_not_put_on_another(desk: Running, service: httpx.Client) -> None:
    credential, card = await torn(desk, service)
    failed = await refused_there(desk, new_chip())
    assert f"Writing card {card.uid} was interrupted" in failed["message"]
    assert (len(server().made), job(desk, credential).state) == (1, JobState.WRITING)


@pytest.mark.parametrize("fault", ["gone", "broken"])
@pytest.mark.promise(5)
async def test_whatever_goes_wrong_after_an_order_its_card_stays_unknown(
    fault: str, desk: Running, service: httpx.Client
) -> None:
    """Also by a driver that says that the card is as it was: the order isn't."""
    credential, card = await torn(desk, service, fault)
    put(desk, card)
    await issued(desk, credential)
    assert len(server().made) == 1


# What the server won't make


async def test_an_order_that_the_server_cannot_carry_out_is_held_and_holds_up_nobody(
    desk: Running, service: httpx.Client
) -> None:
    credential = guest_card(service)
    server().faults.append("unfit")
    await poll(desk)
    put(desk, new_chip())
    await in_state(desk, credential, JobState.HELD)
    held = job(desk, credential)
    assert (held.code, orders(desk)) == ("order_does_not_fit", [])
    assert events(desk, credential)[-4:] == ["ordering", "order_refused", "not_written", "held"]
    other = guest_card(service)
    await poll(desk)
    await take(desk)
    put(desk, new_chip())
    await issued(desk, other)
    desk.agent.operations.resume(held.job_id, who="me")
    await take(desk)
    put(desk, new_chip())
    await issued(desk, credential)


async def test_an_order_that_was_refused_may_be_given_for_another_card(desk: Running, service: httpx.Client) -> None:
    credential = guest_card(service)
    server().faults.append("refused")
    await poll(desk)
    failed = await refused_there(desk, new_chip())
    assert failed["type"] == "incompatible_card_format"
    assert (job(desk, credential).state, orders(desk)) == (JobState.CLAIMED, [])
    await take(desk)
    put(desk, new_chip())
    await issued(desk, credential)


# No answer


Way = Callable[[Running, str], Awaitable[None]]


async def again(desk: Running, credential: str) -> None:
    await asked(desk, credential)


async def held_and_let_go(desk: Running, credential: str) -> None:
    held = desk.agent.operations.hold(job(desk, credential).job_id, who="me")
    desk.agent.operations.resume(held.job_id, who="me")
    await asked(desk, credential)


async def cancelled_and_begun_anew(desk: Running, credential: str) -> None:
    desk.agent.operations.cancel(job(desk, credential).job_id, who="me")
    await asked(desk, credential)


async def expired_and_prolonged(desk: Running, credential: str) -> None:
    desk.agent.journal.expire("9999")
    assert job(desk, credential).code == "expired"
    await asked(desk, credential)


WAYS = {
    "again": again,
    "held": held_and_let_go,
    "cancelled": cancelled_and_begun_anew,
    "expired": expired_and_prolonged,
}
LOST = {"unheard": 0, "unanswered": 1}
"""What becomes of an order without an answer, and how many keys are made by it."""


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("driver", ["carded", "native"])
@pytest.mark.promise(4, 5)
async def test_a_lost_answer_never_leads_to_a_second_override(
    driver: str, fault: str, way: str, restart: bool, tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    """Whatever people do to the job, the driver gets to know what was noted, and finds out what became of it."""
    options = table(driver, mode="attended")
    credential, card = guest_card(service), new_chip()
    async with desk_with(tmp_path, sandbox, options) as desk:
        await poll(desk)
        if driver == "carded":
            put(desk, card)
        server().faults.append(fault)
        attempt = await asked(desk, credential)
        assert attempt.error is not None
        assert attempt.error.type == "encoding_interrupted"
        assert (job(desk, credential).code, server().overrides) == ("order_unknown", LOST[fault])
        asked_for = encoder_of(desk).requests[-1].content
        if not restart:
            await goes_on(desk, driver, card, way, credential, asked_for)
            return
    async with desk_with(tmp_path, sandbox, options) as desk:
        await poll(desk)
        await goes_on(desk, driver, card, way, credential, asked_for)


async def goes_on(desk: Running, driver: str, card: Chip, way: str, credential: str, content: object) -> None:
    if driver == "carded":
        await take(desk)
        put(desk, card)
    await WAYS[way](desk, credential)
    last = encoder_of(desk).requests[-1]
    assert last.noted is not None
    assert last.noted.stage == "asked"
    assert last.content == content, "it would be another order"
    await issued(desk, credential)
    assert server().overrides == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("driver", ["carded", "native"])
@pytest.mark.promise(4, 5, 7)
async def test_where_nothing_tells_a_person_decides_and_their_word_counts_once(
    driver: str, way: str, tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table(driver, mode="attended", recalls=False)) as desk:
        credential = guest_card(service)
        await poll(desk)
        if driver == "carded":
            put(desk, new_chip())
        server().faults.append("unanswered")
        await asked(desk, credential)
        for _ in range(2):
            await WAYS[way](desk, credential)
            assert server().overrides == 1
        shown = desk.agent.operations.state()["queue"][0]
        if shown["state"] == "writing":
            assert f"`card-encoder encode {credential}`" in shown["next_step"]
            assert "--overwrite" in shown["next_step"]
        server().faults.append("unanswered")
        await asked(desk, credential, overwrite=True)
        assert encoder_of(desk).requests[-1].insists
        assert (server().overrides, job(desk, credential).overwrite) == (2, False)
        await asked(desk, credential)
        assert server().overrides == 2
        await asked(desk, credential, overwrite=True)
        await issued(desk, credential)
        assert server().overrides == 3


@pytest.mark.promise(6)
async def test_where_no_card_is_seen_nothing_begun_goes_on_without_somebody_there(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("native")) as desk:
        credential, other = guest_card(service), guest_card(service)
        await poll(desk)
        server().faults.append("unheard")
        await asked(desk, credential)
        await rests(desk)
        assert (await asked(desk, other)).error is None  # there is no card that it would have to wait for
        await rests(desk)
        tried = [request.content for request in encoder_of(desk).requests]
        assert len(tried) == 2
        assert tried[0] != tried[1]
        assert job(desk, credential).state is JobState.WRITING
        assert (await asked(desk, credential)).error is None
        assert server().overrides == 2


async def rests(desk: Running) -> None:
    """The encoder has looked for work some times."""
    station, looks = desk.agent.stations[0], 0
    before = station.choice.next_job

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal looks
        looks += 1
        desk.agent.events.publish("looked")
        return before(*args, **kwargs)

    station.choice.next_job = counted  # type: ignore[method-assign]
    await desk.until(lambda: looks > 5, "it to look for work")
    station.choice.next_job = before  # type: ignore[method-assign]


@pytest.mark.promise(4, 5)
async def test_what_changes_after_it_was_ordered_is_known_to_be_another_order(
    desk: Running, service: httpx.Client
) -> None:
    credential, card = await torn(desk, service)
    change_access(service, credential)
    await poll(desk)
    failed = await refused_there(desk, card)
    assert failed["message"] == "Something else was ordered before."
    assert server().overrides == 1
    await asked(desk, credential, overwrite=True)
    await issued(desk, credential)
    assert server().overrides == 2


@pytest.mark.promise(4, 5)
async def test_a_card_that_is_given_up_takes_its_order_with_it(desk: Running, service: httpx.Client) -> None:
    """Somebody said so, with a reason: the next card is ordered anew, and voids the first."""
    credential, card = await torn(desk, service)
    put(desk, new_chip())
    attempt = await asked(desk, credential, reason="the card is lost", replace_card=True)
    assert attempt.error is None
    await issued(desk, credential)
    last = encoder_of(desk).requests[-1]
    assert (last.noted, last.insists, server().overrides) == (None, False, 2)
    first = desk.agent.journal.card(card.uid)
    assert first is not None
    assert first.standing is CardStanding.VOID


# Whose card it is


@pytest.mark.promise(6)
async def test_a_card_that_the_vendor_knows_as_a_live_key_is_not_overwritten_by_itself(
    desk: Running, service: httpx.Client
) -> None:
    credential, card = guest_card(service), new_chip()
    theirs = server().put(encoder_order(), card.uid)
    await poll(desk)
    failed = await refused_there(desk, card)
    assert "a key that opens doors now" in failed["message"]
    assert (job(desk, credential).state, len(server().made)) == (JobState.CLAIMED, 1)
    theirs.void = True
    await take(desk)
    put(desk, card)
    await issued(desk, credential)


def encoder_order() -> VisionlineOrder:
    now = clock.now()
    return VisionlineOrder(("somebody's",), (), now, now, "guest", "override", "rfid48")


@pytest.mark.promise(6)
async def test_unless_a_person_says_so(desk: Running, service: httpx.Client) -> None:
    credential, card = guest_card(service), new_chip()
    server().put(encoder_order(), card.uid)
    await poll(desk)
    await refused_there(desk, card)
    assert (await asked(desk, credential, overwrite=True)).error is None
    await issued(desk, credential)


async def made_again(desk: Running, service: httpx.Client) -> tuple[str, Chip]:
    """A credential that is issued, its access changed, and its card, which was taken away."""
    credential, card = guest_card(service), new_chip()
    await poll(desk)
    put(desk, card)
    await issued(desk, credential)
    await take(desk)
    change_access(service, credential)
    await poll(desk)
    await in_state(desk, credential, JobState.CLAIMED)
    return credential, card


@pytest.mark.promise(4)
async def test_a_card_is_made_again_on_itself_alone_and_locks_nobody_out(desk: Running, service: httpx.Client) -> None:
    credential, card = await made_again(desk, service)
    failed = await refused_there(desk, new_chip())
    assert failed["type"] == "credential_cannot_be_reissued"
    await take(desk)
    put(desk, card)
    await issued(desk, credential)
    assert [made.order.joining for made in server().made if isinstance(made.order, VisionlineOrder)] == [
        "override",
        "auto",
    ]
    assert report_of(desk, credential)["replaces_card_number"] is None


@pytest.mark.promise(6)
async def test_a_torn_card_that_another_key_is_on_by_now_is_not_finished(desk: Running, service: httpx.Client) -> None:
    """Its driver may know it as its own: the key that counts is another."""
    credential, card = await torn(desk, service)
    encoder_of(desk).script.__dict__["trusts"] = True
    server().put(encoder_order(), card.uid)
    failed = await refused_there(desk, card)
    assert "not for this credential" in failed["message"]
    assert (job(desk, credential).state, server().overrides) == (JobState.WRITING, 2)
    await asked(desk, credential, overwrite=True)
    await issued(desk, credential)


@pytest.mark.promise(6)
async def test_a_card_that_was_made_anew_elsewhere_is_its_own_no_more(desk: Running, service: httpx.Client) -> None:
    """By the vendor's own encoder, say: nothing on the card tells, and its number is the same."""
    credential, card = await made_again(desk, service)
    server().put(encoder_order(), card.uid)
    failed = await refused_there(desk, card)
    assert "not for this credential" in failed["message"]
    assert (await asked(desk, credential, overwrite=True)).error is None
    await issued(desk, credential)


async def test_a_card_that_the_server_numbers_anew_is_no_second_card(desk: Running, service: httpx.Client) -> None:
    """Else the service would refuse the report: it has the credential on a card with another number."""
    credential, card = await made_again(desk, service)
    encoder_of(desk).script.__dict__["number"] = "{uid}ff"
    put(desk, card)
    await issued(desk, credential)
    body = report_of(desk, credential)
    assert (body["card_number"], body["replaces_card_number"]) == (f"{card.uid}ff", card.uid)


@pytest.mark.parametrize(("number", "told"), [("{uid}", None), ("server-{n}", "server-k1")])
async def test_the_number_that_is_reported_is_the_drivers(
    number: str, told: str | None, tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("carded", number=number)) as desk:
        credential, card = guest_card(service, "4711"), new_chip()
        await poll(desk)
        put(desk, card)
        await issued(desk, credential)
        assert report_of(desk, credential)["card_number"] == (told or card.uid)


@pytest.mark.promise(4)
async def test_a_replaced_card_is_voided_by_an_override(desk: Running, service: httpx.Client) -> None:
    credential, card = await made_again(desk, service)
    put(desk, other := new_chip())
    attempt = await asked(desk, credential, reason="lost", replace_card=True)
    assert attempt.error is None
    await issued(desk, credential)
    body = report_of(desk, credential)
    assert (body["card_number"], body["replaces_card_number"]) == (other.uid, card.uid)
    assert server().overrides == 2


# Who joins whom


@pytest.mark.promise(4)
async def test_joiners_wait_for_their_override(desk: Running, service: httpx.Client) -> None:
    override, first, second = guest_card(service), new_chip(), new_chip()
    joiner = guest_card(service, visionline_metadata={"joiner_acs_credential_ids": [override]})
    server().faults.append("unanswered")
    await poll(desk)
    await refused_there(desk, first)
    await take(desk)
    failed = await refused_there(desk, second)  # it is not for the joiner yet: what was begun comes first
    assert f"Writing card {first.uid} was interrupted" in failed["message"]
    attempt = await asked(desk, joiner)
    assert "joins a credential that is not on its card yet" in str(attempt.error)
    await take(desk)
    put(desk, first)
    await issued(desk, override)
    await take(desk)
    put(desk, second)
    await issued(desk, joiner)
    assert [made.order.joining for made in server().made if isinstance(made.order, VisionlineOrder)] == [
        "override",
        "join",
    ]


# What the service encodes itself


@pytest.mark.promise(3)
async def test_what_the_service_has_encoded_is_not_reported_to_it_again(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("native", takes="service", number="n1"), kind="seam") as desk:
        credential = guest_card(service)
        original = server().order

        def order(*args: Any) -> Any:
            body = report_body(credential, "n1", clock.now_text(), None)
            service.post("/acs/credentials/report_issued", json=body, headers={"Idempotency-Key": str(uuid.uuid4())})
            return original(*args)

        server().order = order  # type: ignore[method-assign]
        await poll(desk)
        await issued(desk, credential)
        report = desk.agent.journal.report_of(job(desk, credential).job_id)
        assert report is not None
        assert (report.state, report.tries) == (OutboxState.ACKNOWLEDGED, 0)
        assert (job(desk, credential).by_order, desk.agent.journal.count_reports()) == (True, 0)
        assert events(desk, credential)[-2:] == ["verified", "reported"]
        await poll(desk)
        assert applied(service, credential) == ["acs_credential.issued"]


@pytest.mark.promise(4, 5)
async def test_a_lost_answer_of_the_service_is_no_second_order(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    options = table("native", takes="service", number="n1", mode="attended")
    async with desk_with(tmp_path, sandbox, options, kind="seam") as desk:
        credential = guest_card(service)
        await poll(desk)
        server().faults.append("unanswered")
        await asked(desk, credential)
        await asked(desk, credential)
        await issued(desk, credential)
        assert len(server().made) == 1


# A job that begins with an order of an earlier one


async def begun_anew(desk: Running, service: httpx.Client) -> tuple[str, Chip]:
    """A credential whose card was torn, its job cancelled, and whose access was changed after that."""
    credential, card = await torn(desk, service)
    desk.agent.operations.cancel(job(desk, credential).job_id, who="me")
    change_access(service, credential)
    await poll(desk)
    await in_state(desk, credential, JobState.CLAIMED)
    return credential, card


@pytest.mark.promise(4, 5, 7)
async def test_what_may_have_been_made_before_is_for_a_person_and_holds_up_nobody(
    desk: Running, service: httpx.Client
) -> None:
    credential, _ = await begun_anew(desk, service)
    other = guest_card(service)
    await poll(desk)
    put(desk, new_chip())
    await issued(desk, other)
    (shown,) = desk.agent.operations.state()["queue"]
    assert (shown["code"], shown["state"]) == ("order_unknown", "claimed")
    assert "ordered once before" in shown["reason"]
    assert f"`card-encoder encode {credential}`" in shown["next_step"]
    await take(desk)
    put(desk, new_chip())
    assert (await asked(desk, credential)).error is not None
    assert len(server().made) == 2


@pytest.mark.promise(4)
async def test_it_goes_on_its_card_when_that_comes_back(desk: Running, service: httpx.Client) -> None:
    credential, card = await begun_anew(desk, service)
    put(desk, card)
    attempt = await asked(desk, credential, overwrite=True)
    assert attempt.error is None
    noted = encoder_of(desk).requests[-1].noted
    assert noted is not None
    assert (noted.stage, noted.image) == ("answered", "")
    await issued(desk, credential)


@pytest.mark.promise(4)
async def test_or_on_another_one_by_somebodys_word(desk: Running, service: httpx.Client) -> None:
    credential, _ = await begun_anew(desk, service)
    put(desk, new_chip())
    attempt = await asked(desk, credential, reason="it is in the river", replace_card=True)
    assert attempt.error is None
    assert encoder_of(desk).requests[-1].noted is None
    await issued(desk, credential)


# A key of which nothing can be found out


@pytest.mark.promise(5)
async def test_a_noted_order_is_not_given_again_though_its_job_is_a_new_one(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("native", recalls=False)) as desk:
        credential = guest_card(service)
        await poll(desk)
        server().faults.append("unanswered")
        await asked(desk, credential)
        desk.agent.operations.cancel(job(desk, credential).job_id, who="me")
        failed = await refused(desk, lambda: desk.agent.operations.encode(credential, encoder=None, who="me"))
        assert "whether it was made is not known" in failed["message"]
        assert f"encode {credential} --overwrite" in failed["next_step"]
        assert (job(desk, credential).state, server().overrides) == (JobState.CLAIMED, 1)
