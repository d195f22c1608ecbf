"""Two desks, one system: whole agents in this process, a real PostgreSQL, each desk with a line that can be cut."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from agent.journal import JobState
from drivers.virtual.tray import State
from tests.agent.claims.two_desks import (
    Desks,
    agreed,
    desks,
    issued_events,
    one,
    outcome,
    sandbox,
    service,
    state_of,
    two,
    verified,
    whose,
)
from tests.agent.guests import create, job, poll, swap
from tests.rig.agent import VIRTUAL, Running, running_agent
from tests.rig.sandbox import Sandbox

__all__ = ["desks", "one", "sandbox", "service", "two"]

pytestmark = [pytest.mark.postgres, pytest.mark.promise(4)]


async def test_each_desk_keeps_one_ready_and_leaves_the_rest(
    desks: Desks, one: Running, two: Running, service: httpx.Client
) -> None:
    ids = [create(service, f"10{n}") for n in range(3)]
    for desk in (one, two):
        await desk.until(lambda desk=desk: len(desk.agent.journal.claimed_or_begun()) == 1, "a claim")
    await asyncio.gather(poll(one), poll(two))
    held = [desk.agent.journal.claimed_or_begun()[0].acs_credential_id for desk in (one, two)]
    assert sorted(held) == sorted(ids[:2])
    rows = desks.rows()
    assert [rows[i]["standing"] for i in held] == ["kept", "kept"]
    queue = {job["acs_credential_id"]: job for job in one.agent.operations.state()["queue"]}
    assert queue[held[1]]["reason"] == "two has it in hand."
    assert queue[held[1]]["code"] == "at_another_desk"
    assert queue[ids[2]]["code"] == "waiting_to_be_issued"
    assert one.agent.operations.state()["claims"] == {"shared": True, "up": True, "trouble": None, "held": 1}


async def test_cards_at_both_desks_are_issued_once_each(
    desks: Desks, one: Running, two: Running, service: httpx.Client
) -> None:
    ids = [create(service, f"20{n}") for n in range(6)]

    async def clerk(desk: Running) -> None:
        for _ in range(3):
            done = sum(entry["event"] == "verified" for entry in desk.agent.journal.audit())
            await swap(desk)
            await desk.until(
                lambda done=done: sum(e["event"] == "verified" for e in desk.agent.journal.audit()) > done, "a card"
            )

    await asyncio.gather(clerk(one), clerk(two))
    assert sorted(verified(one, two)) == sorted(ids)
    for desk in (one, two):
        await desk.until(lambda desk=desk: not desk.agent.journal.count_reports(), "the reports")
    for acs_credential_id in ids:
        assert issued_events(service, acs_credential_id) == ["acs_credential.issued"]
    await desks.until(lambda rows: {row["standing"] for row in rows.values()} == {"done"})


async def test_a_guest_who_comes_to_the_other_desk(one: Running, two: Running, service: httpx.Client) -> None:
    """What a desk only keeps ready is handed over to the one where somebody stands."""
    wanted = create(service, "300")
    holder, other = await whose(wanted, one, two)
    await poll(other)
    await swap(other)
    answer = await outcome(other, wanted)
    assert answer is None
    assert verified(other) == [wanted]
    await swap(holder)
    await poll(holder)
    assert verified(holder) == []
    assert job(holder, wanted).state in (JobState.WAITING, JobState.CANCELLED)


async def test_a_desk_without_its_database_says_so_and_goes_on_with_what_it_holds(
    desks: Desks, one: Running, service: httpx.Client
) -> None:
    first, second = create(service, "401"), create(service, "402")
    await state_of(one, first, JobState.CLAIMED)
    desks.lines["one"].cut()
    await one.until(lambda: not one.agent.claims.state()["up"], "the database to be missed")
    state = one.agent.operations.state()["claims"]
    assert (state["up"], state["held"]) == (False, 1)
    assert state["trouble"].startswith("The claims database can't be reached")
    async with one.client() as client:
        assert "card_encoder_claims_up 0.0" in (await client.get("/metrics")).text
    await swap(one)
    await state_of(one, first, JobState.REPORTED)
    # The second one may be another desk's: it waits, and a person who asks for it is told why.
    await poll(one)
    assert job(one, second).state is JobState.WAITING
    await swap(one)
    answer = await outcome(one, second)
    assert answer
    assert answer.type == "bridge_disconnected"
    assert "Whether another desk has this credential can't be told" in answer.message
    assert desks.rows()[first]["standing"] == "kept"
    desks.lines["one"].mend()
    await state_of(one, second, JobState.REPORTED)
    assert verified(one) == [first, second]
    await desks.until(lambda rows: rows[first]["standing"] == "done")


async def test_what_is_kept_is_not_taken_while_its_desk_is_cut_off(
    desks: Desks, one: Running, service: httpx.Client
) -> None:
    wanted = create(service, "500")
    await state_of(one, wanted, JobState.CLAIMED)
    desks.lines["one"].cut()
    async with desks.running("two") as two:
        await agreed(two)
        await poll(two)
        await swap(two)
        answer = await outcome(two, wanted)
        assert answer
        assert answer.type == "uncategorized_error"
        assert answer.message.startswith("one has it in hand")
        await swap(one)
        await state_of(one, wanted, JobState.REPORTED)
        assert verified(one, two) == [wanted]


async def test_a_person_may_overrule_a_database_that_is_away(desks: Desks, one: Running, service: httpx.Client) -> None:
    create(service, "601")
    wanted = create(service, "602")
    await state_of(one, wanted, JobState.WAITING)
    desks.lines["one"].cut()
    await one.until(lambda: not one.agent.claims.state()["up"], "the database to be missed")
    await one.until(lambda: one.agent.polling.service_up, "the service")
    asked = asyncio.create_task(outcome(one, wanted, reason="the database is down", replace_card=True))
    await state_of(one, wanted, JobState.CLAIMED)
    await swap(one)
    answer = await asked
    assert answer is None
    assert verified(one) == [wanted]
    picked = [entry for entry in one.agent.journal.audit() if entry["event"] == "picked"]
    assert picked[0]["detail"]["reason"] == "the database is down"


async def test_a_card_that_one_desk_left_torn_is_not_blank_at_another(
    desks: Desks, one: Running, two: Running, service: httpx.Client
) -> None:
    first = create(service, "701")
    holder, other = await whose(first, one, two)
    holder.encoder.fail_next("torn")
    uid = await swap(holder)
    await state_of(holder, first, JobState.WRITING)
    second = create(service, "702")
    await state_of(other, second, JobState.CLAIMED)
    # The same plastic, carried to the other desk.
    other.encoder._tray._cards[uid] = holder.encoder._tray.card(uid)
    other.encoder._tray._states[uid] = State.TORN
    await swap(other, uid)
    await other.until(lambda: other.agent.stations[0].last_outcome, "the outcome")
    error = other.agent.stations[0].last_outcome["error"]
    assert (error["type"], verified(other)) == ("incompatible_card_format", [])
    await swap(holder, uid)
    await state_of(holder, first, JobState.REPORTED)


async def test_what_another_desk_began_is_finished_there_or_taken_over_by_a_person(
    desks: Desks, one: Running, service: httpx.Client
) -> None:
    wanted = create(service, "801")
    await state_of(one, wanted, JobState.CLAIMED)
    one.encoder.fail_next("torn")
    uid = await swap(one)
    await state_of(one, wanted, JobState.WRITING)
    async with desks.running("two") as two:
        await agreed(two)
        await poll(two)
        await swap(two)
        answer = await outcome(two, wanted)
        assert answer
        assert answer.type == "credential_cannot_be_reissued"
        assert answer.message.startswith("one has begun to write its card.")
        assert "--replace-card" in answer.next_step
        await swap(two)
        answer = await outcome(two, wanted, reason="that desk burnt down", replace_card=True)
        assert answer is None
        await one.until(
            lambda: "taken_over" in [job.code for job in one.agent.journal.recent()], "what was begun to end"
        )
        card = one.agent.journal.card(uid)
        assert card is not None
        assert card.standing == "void"
        assert verified(one, two) == [wanted]
    assert issued_events(service, wanted) == ["acs_credential.issued"]


async def test_a_desk_that_was_alone_gives_back_what_it_had_claimed(
    desks: Desks, sandbox: Sandbox, service: httpx.Client
) -> None:
    ids = [create(service, f"90{n}") for n in range(3)]
    folder = desks.folder / "one"
    folder.mkdir()
    async with running_agent(folder, sandbox.url, sandbox.key, encoders=[VIRTUAL]) as alone:
        await alone.until(lambda: len(alone.agent.journal.claimed_or_begun()) == 3, "all of them")
    async with desks.running("one") as shared:
        await agreed(shared)
        await shared.until(lambda: len(shared.agent.journal.claimed_or_begun()) == 1, "one to be kept")
        assert job(shared, ids[0]).claim_kept


async def test_two_desks_of_one_name_do_not_both_encode(desks: Desks, one: Running, service: httpx.Client) -> None:
    desks.lines["twin"] = desks.lines["two"]
    async with desks.running("twin", desk="one") as twin:
        await twin.until(lambda: "Another agent is called 'one'" in (twin.agent.claims.state()["trouble"] or ""), "why")
        wanted = create(service, "990")
        await poll(twin)
        assert job(twin, wanted).state is JobState.WAITING


async def test_a_line_that_goes_silent_while_a_card_lies_there(
    desks: Desks, one: Running, service: httpx.Client
) -> None:
    wanted = create(service, "995")
    await state_of(one, wanted, JobState.CLAIMED)
    desks.lines["one"].silence()
    await swap(one)
    await state_of(one, wanted, JobState.REPORTED)
    assert not one.agent.claims.state()["up"]
    desks.lines["one"].mend()
    await desks.until(lambda rows: rows[wanted]["standing"] == "done")


async def test_a_desk_stops_though_its_database_is_silent(desks: Desks, service: httpx.Client) -> None:
    async with desks.running("one") as one:
        await agreed(one)
        create(service, "997")
        desks.lines["one"].silence()
        one.agent.claims.claim(joiners=True)
        stopping = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopping < 30
