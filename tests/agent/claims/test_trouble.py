"""What may go wrong between desks and their database, and how far each trouble reaches."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest

from agent.claims import shared
from agent.journal import JobState, Scope
from tests.agent.claims.two_desks import (
    Desks,
    agreed,
    desks,
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
from tests.rig.agent import Running, running_agent
from tests.rig.postgres import Line

__all__ = ["desks", "one", "sandbox", "service", "two"]

pytestmark = [pytest.mark.postgres, pytest.mark.promise(4)]


def sql(desks: Desks, *statements: str) -> None:
    with psycopg.connect(desks.postgres.url(desks.database), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_a_database_that_only_takes_connections_is_not_up(desks: Desks, service: httpx.Client) -> None:
    async with desks.running("one") as one:
        await agreed(one)
    create(service, "1")
    sql(desks, "ALTER TABLE card_encoder.claims RENAME COLUMN wanted_by TO gone")
    async with desks.running("one") as one:
        with one.agent.events.subscribe() as queue:
            await one.until(lambda: "UndefinedColumn" in one.agent.claims.state()["trouble"], "the refusal")
            assert one.agent.claims.state()["trouble"] == "The claims database refuses (UndefinedColumn)."
            sql(desks, "ALTER TABLE card_encoder.claims RENAME COLUMN gone TO wanted_by")
            await agreed(one)
            said = []
            while not queue.empty():
                if (event := queue.get_nowait()).kind == "claims":
                    said.append(event.data["up"])
        assert said[-1] is True
        assert set(said[:-1]) == {False}


@pytest.mark.parametrize("how", ["read-only", "without the right to change"])
async def test_a_database_that_refuses_to_write(desks: Desks, service: httpx.Client, how: str) -> None:
    async with desks.running("one") as one:
        await agreed(one)
        wanted = create(service, "2")
        await state_of(one, wanted, JobState.CLAIMED)
        name = desks.database
        if how == "read-only":
            sql(desks, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            kind = "ReadOnlySqlTransaction"
        else:
            sql(
                desks, "CREATE TRIGGER no BEFORE UPDATE ON card_encoder.desks EXECUTE FUNCTION card_encoder.no()"
            ) if 0 else None
            sql(
                desks,
                "CREATE FUNCTION card_encoder.no() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE insufficient_privilege; END $$",
                "CREATE TRIGGER no BEFORE UPDATE ON card_encoder.desks EXECUTE FUNCTION card_encoder.no()",
            )
            kind = "InsufficientPrivilege"
        desks.lines["one"].cut()
        desks.lines["one"].mend()
        await one.until(lambda: kind in (one.agent.claims.state()["trouble"] or ""), "the refusal")
        # What is kept goes on.
        await swap(one)
        await state_of(one, wanted, JobState.REPORTED)
        if how == "read-only":
            with psycopg.connect(desks.postgres.url("postgres"), autocommit=True) as connection:
                connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        else:
            sql(desks, "DROP TRIGGER no ON card_encoder.desks")
        await desks.until(lambda rows: rows[wanted]["standing"] == "done")


async def test_a_desk_hands_over_while_its_service_is_silent(desks: Desks, one: Running, service: httpx.Client) -> None:
    """It is told that another desk is through with a credential, and can't ask the service about it."""
    with Line(int(desks.service.url.rpartition(":")[2])) as line:
        async with desks.running("two", service_url=f"http://127.0.0.1:{line.port}") as two:
            await agreed(two)
            ids = [create(service, f"3{n}") for n in range(6)]
            for desk in (one, two):
                await desk.until(lambda desk=desk: desk.agent.journal.kept_or_begun() == 1, "one to be kept")
                await desk.until(lambda desk=desk: all(map(desk.agent.journal.open_job, ids)), "all to be known")
            line.silence()
            for _ in ids:
                done = len(verified(one))
                await swap(one)
                await one.until(lambda done=done: len(verified(one)) > done, "a card")
                await one.until(lambda: not one.agent.journal.count_reports(), "the report")
            assert sorted(verified(one)) == sorted(ids)
            line.mend()


@pytest.fixture
def no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found out by looking again after a while."""
    monkeypatch.setattr(shared, "_HEARTBEAT_S", 600.0)


async def test_what_is_handed_over_is_taken_at_once(
    no_heartbeat: None, desks: Desks, one: Running, service: httpx.Client
) -> None:
    wanted = create(service, "40")
    await state_of(one, wanted, JobState.CLAIMED)
    looks = 0

    def asked_and_still(rows: dict[str, dict[str, Any]]) -> bool:
        nonlocal looks
        still = rows[wanted]["wanted_by"] and not claims._wake.is_set() and not claims._lock.locked()
        looks = looks + 1 if still else 0
        return looks > 10

    with Line(int(desks.service.url.rpartition(":")[2])) as line:
        async with desks.running("two", service_url=f"http://127.0.0.1:{line.port}") as two:
            await agreed(two)
            await state_of(two, wanted, JobState.WAITING)
            line.silence()  # polling wakes it too
            claims = two.agent.claims
            assert isinstance(claims, shared.SharedClaims)
            async with one.agent.claims._lock:  # it can't answer yet
                await swap(two)
                await desks.until(asked_and_still)
            await state_of(two, wanted, JobState.CLAIMED, JobState.BOUND, JobState.VERIFIED)
            line.mend()


async def test_what_lies_ready_at_a_desk_that_closes_is_free(desks: Desks, service: httpx.Client) -> None:
    async with desks.running("one") as one:
        await agreed(one)
        wanted = create(service, "60")
        await state_of(one, wanted, JobState.CLAIMED)
    row = desks.rows()[wanted]
    assert (row["standing"], row["journal_id"]) == ("free", None)
    async with desks.running("two") as two:
        await agreed(two)
        await poll(two)
        await swap(two)
        await state_of(two, wanted, JobState.REPORTED)


async def test_a_desk_that_closes_without_its_database_keeps_what_it_has(desks: Desks, service: httpx.Client) -> None:
    async with desks.running("one") as one:
        await agreed(one)
        wanted = create(service, "70")
        await state_of(one, wanted, JobState.CLAIMED)
        desks.lines["one"].cut()
        await one.until(lambda: not one.agent.claims.state()["up"], "the database to be missed")
    assert desks.rows()[wanted]["standing"] == "kept"
    async with desks.running("one") as one:
        await swap(one)
        await state_of(one, wanted, JobState.REPORTED)


async def test_what_is_issued_on_a_card_that_nobody_knows_is_one_desks(
    desks: Desks, one: Running, two: Running, service: httpx.Client
) -> None:
    """It needs to be reissued, and no number tells which card it is on: any would do, at any desk."""
    wanted = create(service, "85")
    await whose(wanted, one, two)
    for desk in (one, two):
        await desk.until(lambda desk=desk: desk.agent.journal.open_job(wanted), "it")
        changed = job(desk, wanted).credential | {
            "is_issued": True,
            "card_number": None,
            "warnings": [{"warning_code": "needs_to_be_reissued", "message": "", "created_at": "2026-01-01T00:00:00Z"}],
        }
        desk.agent.journal.hold(job(desk, wanted).job_id, actor="cli:me", code="wait", reason="")
        desk.agent.polling.refresh(wanted, changed)
        assert job(desk, wanted).issued
    for desk in (one, two):
        desk.agent.operations.resume(job(desk, wanted).job_id, who="cli:me")
    await whose(wanted, one, two)
    assert [job(desk, wanted).state for desk in (one, two)].count(JobState.CLAIMED) == 1


async def test_two_people_who_ask_for_the_same(desks: Desks, one: Running, service: httpx.Client) -> None:
    create(service, "80")
    wanted = create(service, "81")
    await state_of(one, wanted, JobState.WAITING)
    await poll(one)
    asked = [asyncio.create_task(outcome(one, wanted)) for _ in range(4)]
    await state_of(one, wanted, JobState.CLAIMED)
    await swap(one)
    assert await asyncio.gather(*asked) == [None] * 4
    assert verified(one) == [wanted]


async def test_a_desk_that_was_alone_and_had_thousands(desks: Desks, service: httpx.Client) -> None:
    """They are given back in one step, not one by one while the agent hangs."""
    folder = desks.folder / "one"
    folder.mkdir()
    wanted = create(service, "90")
    async with running_agent(folder, desks.service.url, desks.service.key) as alone:
        await state_of(alone, wanted, JobState.CLAIMED)
        template = job(alone, wanted)
        with alone.agent.journal._database.transaction("take_in") as connection:
            connection.execute(
                "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 3000) "
                "INSERT INTO jobs (acs_credential_id, state, ready, code, reason, credential, digest, reissue, issued, "
                "sort_key, created_at, updated_at) "
                "SELECT 'more ' || value, 'waiting', 1, '', '', '{}', x'', 0, 0, ?, '', '' FROM n",
                (template.created_at,),
            )
        assert alone.agent.journal.claim(joiners=True) == 3000
    async with desks.running("one") as shared_desk:
        await agreed(shared_desk)
        assert shared_desk.agent.journal.kept_or_begun() <= 1


ODD = {
    "a zero": "a\0b",
    "long": "x" * 9000,
    "SQL": "'; DROP TABLE card_encoder.claims; --",
    "a mark": "%s",
    "far away": "ß🦊\n",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_an_odd_id_is_in_nobodys_way(desks: Desks, one: Running, service: httpx.Client, odd: str) -> None:
    first, second = create(service, "95"), create(service, "96")
    await state_of(one, first, JobState.CLAIMED)
    like = job(one, first).credential
    one.agent.polling.refresh(odd, like | {"acs_credential_id": odd, "created_at": "2099-01-01T00:00:00Z"})
    for wanted in (first, second):
        await state_of(one, wanted, JobState.CLAIMED)
        await swap(one)
        await state_of(one, wanted, JobState.REPORTED)
    assert one.agent.claims.state()["up"]


async def test_a_joiner_waits_for_the_end_of_the_list(desks: Desks, one: Running, service: httpx.Client) -> None:
    """What it joins may be on a later page, which a first look at the list doesn't show."""
    first = create(service, "97")
    await state_of(one, first, JobState.CLAIMED)
    like = job(one, first).credential
    joins = {"visionline_metadata": {"joiner_acs_credential_ids": ["later"]}}
    journal = one.agent.journal
    one.agent.polling.refresh("joiner", like | joins | {"acs_credential_id": "joiner"})
    assert "joiner" not in journal.claimable(20, scopes=[Scope()], joiners=False)
    assert "joiner" in journal.claimable(20, scopes=[Scope()], joiners=True)
    one.agent.polling.refresh("later", like | {"acs_credential_id": "later"})
    assert "joiner" not in journal.claimable(20, scopes=[Scope()], joiners=True)
