"""The register's own rules, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from itertools import chain

import psycopg
import pytest

from agent.claims.register import Claim, NameTaken, OtherVersion, Register
from tests.rig.postgres import Postgres

pytestmark = [pytest.mark.postgres, pytest.mark.promise(4)]
Connect = Callable[..., Awaitable[Register]]
IDS = ["c1", "c2", "c3"]


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url(postgres.new_database())


@pytest.fixture
async def connect(url: str) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connect(desk: str, journal_id: str | None = None) -> Register:
            connected = Register.connected(url, desk=desk, journal_id=journal_id or f"journal of {desk}")
            return await stack.enter_async_context(connected)

        yield connect


async def row(register: Register, acs_credential_id: str = "c1") -> Claim:
    (claim,) = await register.find([acs_credential_id])
    return claim


def run_out(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE card_encoder.claims SET leased_until = now() - interval '1 s'")


async def test_one_desk_gets_it(connect: Connect) -> None:
    one, two = await connect("one"), await connect("two")
    await one.find(IDS)
    assert list(await one.grant(IDS, 2, "kept")) == ["c1", "c2"]
    assert list(await two.grant(IDS, 2, "kept")) == ["c3"]
    assert await two.grant(IDS[:2], 2, "kept") == {}
    assert [(claim.acs_credential_id, claim.desk) for claim in await one.find(IDS)] == [
        ("c1", "one"),
        ("c2", "one"),
        ("c3", "two"),
    ]


async def test_desks_that_ask_at_once_never_get_the_same(connect: Connect) -> None:
    desks = [await connect(f"desk {n}") for n in range(8)]
    ids = [f"c{n:03}" for n in range(200)]

    async def take_all(desk: Register) -> list[str]:
        mine: list[str] = []
        await desk.find(ids)
        while granted := await desk.grant([i for i in ids if i not in mine], 3, "kept"):
            mine += granted
        return mine

    taken = await asyncio.gather(*map(take_all, desks))
    assert sorted(chain(*taken)) == ids
    assert sum(bool(some) for some in taken) > 1


async def test_a_row_that_is_being_changed_is_passed_over(connect: Connect, url: str) -> None:
    one = await connect("one")
    await one.find(IDS)
    async with await psycopg.AsyncConnection.connect(url) as other:
        await other.execute("SELECT 1 FROM card_encoder.claims WHERE acs_credential_id = 'c1' FOR UPDATE")
        assert list(await one.grant(IDS, 1, "kept")) == ["c2"]


async def test_tokens_only_grow(connect: Connect, url: str) -> None:
    one, two = await connect("one"), await connect("two")
    tokens = []
    await one.find(["c1"])
    for desk in (one, two, one, two):
        tokens.append((await desk.grant(["c1"], 1, "leased"))["c1"])
        run_out(url)
    assert tokens == sorted(set(tokens))


async def test_a_lease_runs_out_and_what_is_kept_does_not(connect: Connect, url: str) -> None:
    one, two = await connect("one"), await connect("two")
    await one.find(["c1", "c2"])
    leased = (await one.grant(["c1"], 1, "leased"))["c1"]
    kept = (await one.grant(["c2"], 1, "kept"))["c2"]
    assert await two.grant(["c1", "c2"], 2, "kept") == {}
    run_out(url)
    assert list(await two.grant(["c1", "c2"], 2, "kept")) == ["c1"]
    # The one that was overtaken may not begin any more, the other one may.
    assert not await one.begin("c1", leased, "04aa")
    assert await one.begin("c2", kept, "04aa")


async def test_as_long_as_a_desk_lives_its_leases_do(connect: Connect, url: str) -> None:
    one, two = await connect("one"), await connect("two")
    await one.find(["c1"])
    await one.grant(["c1"], 1, "leased")
    run_out(url)
    await one.announce()
    assert await two.grant(["c1"], 1, "kept") == {}


@pytest.mark.parametrize("standing", ["begun", "done"])
async def test_a_card_that_may_be_out_is_nobodys_else(connect: Connect, url: str, standing: str) -> None:
    one, two = await connect("one"), await connect("two")
    await one.find(["c1"])
    token = (await one.grant(["c1"], 1, "leased"))["c1"]
    assert await one.begin("c1", token, "04aa")
    if standing == "done":
        await one.settle(await row(one), "done")
    run_out(url)
    assert await two.grant(["c1"], 1, "kept") == {}
    assert await two.begun_elsewhere("04aa", []) == ({"c1"} if standing == "begun" else set())


async def test_a_copy_of_a_journal_is_overtaken(connect: Connect) -> None:
    """Two agents with the same journal, as after a disk was copied: the token tells who got it last."""
    one = await connect("one", "the journal")
    await one.find(["c1"])
    old = (await one.grant(["c1"], 1, "leased"))["c1"]
    await one.settle(await row(one), "free")
    copy = await connect("one", "the journal")
    new = (await copy.grant(["c1"], 1, "leased"))["c1"]
    assert not await one.begin("c1", old, "04aa")
    assert await copy.begin("c1", new, "04bb")


async def test_what_is_under_way_with_an_old_token_comes_to_nothing(connect: Connect) -> None:
    """A statement that the network held up arrives after its desk has gone on over another connection."""
    one = await connect("one")
    await one.find(["c1"])
    await one.grant(["c1"], 1, "leased")
    late = await row(one)
    assert (await one.grant(["c1"], 1, "leased"))["c1"] > late.token
    assert not await one.begin("c1", late.token, "04aa")
    assert not await one.settle(late, "free")
    token = (await row(one)).token
    late = await row(one)
    assert await one.begin("c1", token, "04aa")
    assert not await one.settle(late, "free")
    assert (await row(one)).standing == "begun"


async def test_what_was_begun_stays_so_when_its_desk_takes_it_up_again(connect: Connect) -> None:
    one = await connect("one")
    await one.find(["c1"])
    assert await one.begin("c1", (await one.grant(["c1"], 1, "kept"))["c1"], "04aa")
    assert await one.grant(["c1"], 1, "leased")
    claim = await row(one)
    assert (claim.standing, claim.card_uid) == ("begun", "04aa")


@pytest.mark.parametrize("jump", ["1 day", "-1 day"])
async def test_the_clock_of_the_database_is_set(connect: Connect, url: str, jump: str) -> None:
    """A lease outlives its desk by no more than it was given, and what is kept knows no clock."""
    one, two = await connect("one"), await connect("two")
    await one.find(["c1", "c2"])
    leased = (await one.grant(["c1"], 1, "leased"))["c1"]
    await one.grant(["c2"], 1, "kept")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE card_encoder.claims SET leased_until = leased_until - %s::interval", (jump,))
    assert list(await two.grant(["c1", "c2"], 2, "kept")) == ["c1"]
    assert not await one.begin("c1", leased, "04aa")


async def test_a_card_without_a_uid_is_none_that_others_know(connect: Connect) -> None:
    """A swipe encoder doesn't see which card it writes."""
    one, two = await connect("one"), await connect("two")
    await one.find(["c1"])
    assert await one.begin("c1", (await one.grant(["c1"], 1, "leased"))["c1"], "")
    assert await two.begun_elsewhere("", []) == set()
    assert await two.begun_elsewhere("", ["c1"]) == {"c1"}
    await one.settle(await row(one), "begun", "")
    assert await two.begun_elsewhere("", []) == set()


async def test_a_desk_that_asked_and_has_a_new_journal_since_is_in_nobodys_way(connect: Connect, url: str) -> None:
    one, two = await connect("one"), await connect("two")
    await one.find(["c1"])
    await one.grant(["c1"], 1, "kept")
    await two.ask_for(await row(two))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE card_encoder.desks SET journal_id = 'a new one' WHERE desk = 'two'")
    await one.hand_over(await row(one))
    assert (await row(one)).standing == "leased"
    run_out(url)
    assert list(await one.grant(["c1"], 1, "kept")) == ["c1"]


async def test_a_desk_that_was_renamed_goes_by_its_new_name(connect: Connect) -> None:
    await connect("zwei", "a journal")
    two, one = await connect("two", "a journal"), await connect("one")
    await one.find(["c1"])
    await one.grant(["c1"], 1, "kept")
    await two.ask_for(await row(two))
    await one.hand_over(await row(one))
    assert (await row(one)).desk == "two"


async def test_what_another_desk_has_is_asked_for_and_handed_over(connect: Connect) -> None:
    one, two = await connect("one"), await connect("two")
    await one.find(["c1"])
    await one.grant(["c1"], 1, "kept")
    await two.ask_for(await row(two))
    async with asyncio.timeout(10), aclosing(one.notices()) as notices:
        async for notice in notices:
            if notice.wanted_by is not None:
                break
    assert (notice.acs_credential_id, notice.desk, notice.wanted_by) == ("c1", "one", "journal of two")
    await one.hand_over(await row(one))
    claim = await row(two)
    assert (claim.desk, claim.standing, claim.wanted_by) == ("two", "leased", None)
    assert await two.begin("c1", claim.token, "04aa")


async def test_nonsense_on_the_channel_makes_no_desk_deaf(connect: Connect, url: str) -> None:
    one = await connect("one")
    await one.find(["c1"])
    with psycopg.connect(url, autocommit=True) as connection:
        for nonsense in ("", "{", "[]", '{"a": 1}'):
            connection.execute(f"NOTIFY card_encoder, '{nonsense}'")
    await one.grant(["c1"], 1, "kept")
    async with asyncio.timeout(10), aclosing(one.notices()) as notices:
        assert (await anext(notices)).acs_credential_id == "c1"


async def test_a_database_user_with_few_rights(connect: Connect, postgres: Postgres, url: str) -> None:
    """Whoever runs the database has made the tables, and lets the desks do no more than they have to."""
    await connect("one")
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (
            "DROP ROLE IF EXISTS clerk",
            "CREATE ROLE clerk LOGIN",
            "REVOKE CREATE, TEMPORARY ON DATABASE " + url.rpartition("/")[2] + " FROM PUBLIC",
            "GRANT USAGE ON SCHEMA card_encoder TO clerk",
            "GRANT SELECT ON card_encoder.version TO clerk",
            "GRANT USAGE ON card_encoder.tokens TO clerk",
            "GRANT SELECT, INSERT, UPDATE ON card_encoder.claims, card_encoder.desks TO clerk",
        ):
            connection.execute(statement)
    async with Register.connected(url.replace("desks@", "clerk@"), desk="two", journal_id="journal of two") as two:
        await two.find(["c1"])
        assert await two.begin("c1", (await two.grant(["c1"], 1, "kept"))["c1"], "04aa")
        await two.settle(await row(two), "done")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP OWNED BY clerk")
        connection.execute("DROP ROLE clerk")


async def test_what_was_begun_is_not_to_be_asked_for(connect: Connect) -> None:
    one, two = await connect("one"), await connect("two")
    await one.find(["c1"])
    token = (await one.grant(["c1"], 1, "kept"))["c1"]
    await one.begin("c1", token, "04aa")
    await two.ask_for(await row(two))
    await one.hand_over(await row(one))
    assert (await row(two)).desk == "one"


async def test_a_person_takes_over_what_was_begun(connect: Connect) -> None:
    one, two = await connect("one"), await connect("two")
    await one.find(["c1"])
    token = (await one.grant(["c1"], 1, "kept"))["c1"]
    await one.begin("c1", token, "04aa")
    assert await two.take_over("c1") > token
    assert not await one.begin("c1", token, "04aa")
    await one.settle(Claim("c1", "journal of one", "one", token, "begun", None, None, False), "done")
    assert ((await row(one)).desk, (await row(one)).standing) == ("two", "leased")


async def test_two_desks_of_one_name(connect: Connect, url: str) -> None:
    await connect("one", "a journal")
    with pytest.raises(NameTaken):
        await connect("one", "another journal")
    await connect("one", "a journal")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE card_encoder.desks SET seen_at = now() - interval '2 min'")
    await connect("one", "another journal")


async def test_a_database_of_another_version(connect: Connect, url: str) -> None:
    await connect("one")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE card_encoder.version SET number = 99")
    with pytest.raises(OtherVersion):
        await connect("two")


async def test_desks_that_prepare_an_empty_database_at_once(connect: Connect) -> None:
    assert len(await asyncio.gather(*(connect(f"desk {n}") for n in range(6)))) == 6
