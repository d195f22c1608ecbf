"""The claims of all desks, in PostgreSQL: one row to a credential, one holder to a row. All SQL is here.

A claim's standing:

free    nobody's.
leased  somebody picked it there; anybody's again when the lease runs out, unless it was begun in time.
kept    that desk's for as long as it takes: it goes on with it also while it can't reach this database. Only that desk,
        or a person's word at another one, ends it.
begun   a card may hold it. Neither time nor another desk ends this, since what a card holds is known only where it is.
done    the service has acknowledged it.

Each grant has a token, higher than all before it. A desk begins to write only with the token that is in the row: one
that was away for too long, or came back from a copy of its disk, finds that it has been overtaken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import psycopg
from psycopg.rows import dict_row

from agent.claims.schema import CHANNEL, SCHEMA, VERSION
from drivers.steps import step

Standing = Literal["free", "leased", "kept", "begun", "done"]
Connection = psycopg.AsyncConnection[dict[str, Any]]

T = TypeVar("T")

LEASE_S = 60.0
_SILENT_AFTER_S = 60.0
"""A desk that was not heard of for longer than this may have been replaced: its name is free for another journal."""


class NameTaken(Exception):
    """Another agent, with another journal, goes by this desk's name."""


class OtherVersion(Exception):
    """The database was prepared by a newer version of the agent."""


@dataclass(frozen=True)
class Claim:
    """One row. `journal_id` and `desk` are the holder's, None where it is free."""

    acs_credential_id: str
    journal_id: str | None
    desk: str | None
    token: int
    standing: Standing
    card_uid: str | None
    wanted_by: str | None
    expired: bool
    """A lease that ran out."""

    @property
    def is_open(self) -> bool:
        """Whether any desk may take it."""
        return self.standing == "free" or self.expired


@dataclass(frozen=True)
class Notice:
    """What has become of a row, told by the database as it happens."""

    acs_credential_id: str
    journal_id: str | None
    desk: str | None
    standing: Standing
    wanted_by: str | None


_LEASE = f"now() + make_interval(secs => {LEASE_S})"
# One that ends later than any can was given by a clock that was ahead, and would outlive its desk.
_RAN_OUT = f"(standing = 'leased' AND leased_until NOT BETWEEN now() AND now() + make_interval(secs => {2 * LEASE_S}))"
_COLUMNS = f"acs_credential_id, journal_id, desk, token, standing, card_uid, wanted_by, {_RAN_OUT} AS expired"


class Register:
    """A desk's connection to the register.

    Every method is one transaction, and raises psycopg.Error where the database can't be reached. None is ever
    cancelled: psycopg would have to ask the server for that and to wait for its answer. They go through `within`.
    """

    def __init__(self, work: Connection, ear: Connection, *, desk: str, journal_id: str) -> None:
        """`ear` does nothing but listen."""
        self._work = work
        self._ear = ear
        self._desk = desk
        self._me = journal_id
        self._at_work: set[asyncio.Task[Any]] = set()

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str, *, desk: str, journal_id: str) -> AsyncIterator[Register]:
        """Connect, prepare the database where it is new, and announce this desk.

        Raises:
            psycopg.Error: it can't be reached, or refuses.
            NameTaken, OtherVersion: see there.
        """
        work = await _connect(url)
        try:
            ear = await _connect(url)
        except BaseException:
            await work.close()
            raise
        register = cls(work, ear, desk=desk, journal_id=journal_id)
        try:
            await register.within(register._begin())
            yield register
        finally:
            register.hang_up()
            await asyncio.gather(*register._at_work, return_exceptions=True)
            await work.close()
            await ear.close()

    async def within(self, work: Coroutine[Any, Any, T], seconds: float = 10.0) -> T:
        """Have one of the methods done, or give the connection up.

        Raises:
            TimeoutError: it took too long; whether it was done is not known.
        """
        task = asyncio.create_task(work)
        self._at_work.add(task)
        task.add_done_callback(self._end)
        try:
            await asyncio.wait({task}, timeout=seconds)
            if not task.done():
                raise TimeoutError
            return task.result()
        finally:
            if not task.done():
                self.hang_up()

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._at_work.discard(task)
        task.cancelled() or task.exception()  # seen, whether or not anybody waits for it still

    def hang_up(self) -> None:
        """End both connections without a word: whatever is under way on them ends at once, with an error."""
        for connection in (self._work, self._ear):
            with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    async def _begin(self) -> None:
        await _prepare(self._work)
        await self.announce()
        await self._ear.execute(f"LISTEN {CHANNEL}")

    async def announce(self) -> None:
        """This desk is alive. Its leases are as good as new.

        Raises:
            NameTaken: another one of this name is.
        """
        with step("claim.announce"):
            async with self._work.transaction():
                row = await self._row(
                    "INSERT INTO card_encoder.desks AS d (desk, journal_id, seen_at) VALUES (%s, %s, now()) "
                    "ON CONFLICT (desk) DO UPDATE SET journal_id = EXCLUDED.journal_id, seen_at = now() "
                    f"WHERE d.journal_id = EXCLUDED.journal_id OR d.seen_at < now() - interval '{_SILENT_AFTER_S} s' "
                    "RETURNING desk",
                    self._desk,
                    self._me,
                )
                if row is None:
                    raise NameTaken(self._desk)
                await self._work.execute(
                    f"UPDATE card_encoder.claims SET leased_until = {_LEASE} WHERE journal_id = %s "
                    "AND standing = 'leased'",
                    (self._me,),
                )

    async def held(self) -> list[Claim]:
        """All claims that some desk holds and that are not done."""
        with step("claim.held"):
            return await self._claims(
                f"SELECT {_COLUMNS} FROM card_encoder.claims WHERE standing IN ('leased', 'kept', 'begun')"
            )

    async def find(self, acs_credential_ids: Sequence[str]) -> list[Claim]:
        """The rows of these credentials, which are made where there are none."""
        with step("claim.find"):
            async with self._work.transaction():
                # Sorted: desks that make the same rows in another order would wait for each other in a circle.
                await self._work.execute(
                    "INSERT INTO card_encoder.claims (acs_credential_id) SELECT unnest(%s::text[]) ORDER BY 1 "
                    "ON CONFLICT DO NOTHING",
                    (list(acs_credential_ids),),
                )
                return await self._claims(
                    f"SELECT {_COLUMNS} FROM card_encoder.claims JOIN unnest(%s::text[]) WITH ORDINALITY "
                    "AS wanted(id, place) ON id = acs_credential_id ORDER BY place",
                    list(acs_credential_ids),
                )

    async def grant(
        self, acs_credential_ids: Sequence[str], limit: int, standing: Literal["leased", "kept"]
    ) -> dict[str, int]:
        """Make this desk's the first of these that may be: credential and token, `limit` at most.

        What is this desk's already gets a new token, which overtakes whatever is under way with the old one; begun, it
        stays so. What another desk has done isn't to be had: its card is out. A row that another desk is changing at
        this moment is passed over.
        """
        with step("claim.grant"):
            rows = await self._claims(
                "WITH chosen AS (SELECT c.acs_credential_id AS id FROM card_encoder.claims AS c "
                "JOIN unnest(%s::text[]) WITH ORDINALITY AS wanted(id, place) ON wanted.id = c.acs_credential_id "
                f"WHERE standing = 'free' OR {_RAN_OUT} OR journal_id = %s "
                "ORDER BY place LIMIT %s FOR UPDATE OF c SKIP LOCKED) "
                f"UPDATE card_encoder.claims SET journal_id = %s, desk = %s, leased_until = {_LEASE}, "
                "standing = CASE standing WHEN 'begun' THEN 'begun' ELSE %s END, "
                "card_uid = CASE standing WHEN 'begun' THEN card_uid END, "
                "token = nextval('card_encoder.tokens'), wanted_by = NULL, changed_at = now() "
                f"FROM chosen WHERE acs_credential_id = id RETURNING {_COLUMNS}",
                list(acs_credential_ids),
                self._me,
                limit,
                self._me,
                self._desk,
                standing,
            )
        return {row.acs_credential_id: row.token for row in rows}

    async def ask_for(self, claim: Claim) -> None:
        """Tell the desk that holds it that a person here wants it."""
        with step("claim.ask_for"):
            await self._work.execute(
                "UPDATE card_encoder.claims SET wanted_by = %s WHERE acs_credential_id = %s AND token = %s "
                "AND standing IN ('leased', 'kept')",
                (self._me, claim.acs_credential_id, claim.token),
            )

    async def hand_over(self, claim: Claim) -> None:
        """Give it to the desk that asked for it."""
        with step("claim.hand_over"):
            await self._work.execute(
                "UPDATE card_encoder.claims SET journal_id = wanted_by, standing = 'leased', wanted_by = NULL, "
                "desk = coalesce((SELECT desk FROM card_encoder.desks WHERE journal_id = wanted_by "
                "ORDER BY seen_at DESC LIMIT 1), 'another desk'), "
                f"token = nextval('card_encoder.tokens'), leased_until = {_LEASE}, changed_at = now() "
                "WHERE acs_credential_id = %s AND token = %s AND wanted_by IS NOT NULL",
                (claim.acs_credential_id, claim.token),
            )

    async def take_over(self, acs_credential_id: str) -> int:
        """Make it this desk's, whoever has it: a person has said so. Returns the token."""
        with step("claim.take_over"):
            row = await self._row(
                "INSERT INTO card_encoder.claims AS c (acs_credential_id, journal_id, desk, token, standing, "
                f"leased_until) VALUES (%s, %s, %s, nextval('card_encoder.tokens'), 'leased', {_LEASE}) "
                "ON CONFLICT (acs_credential_id) DO UPDATE SET journal_id = EXCLUDED.journal_id, desk = EXCLUDED.desk, "
                "token = EXCLUDED.token, standing = 'leased', leased_until = EXCLUDED.leased_until, card_uid = NULL, "
                "wanted_by = NULL, changed_at = now() RETURNING token",
                acs_credential_id,
                self._me,
                self._desk,
            )
        assert row is not None
        return int(row["token"])

    async def begin(self, acs_credential_id: str, token: int, card_uid: str) -> bool:
        """A card is about to hold it. False where this token has been overtaken."""
        with step("claim.begin"):
            row = await self._row(
                "UPDATE card_encoder.claims SET standing = 'begun', card_uid = NULLIF(%s, ''), wanted_by = NULL, "
                "changed_at = now() WHERE acs_credential_id = %s AND journal_id = %s AND token = %s "
                "AND standing IN ('leased', 'kept', 'begun') RETURNING token",
                card_uid,
                acs_credential_id,
                self._me,
                token,
            )
        return row is not None

    async def settle(self, claim: Claim, standing: Standing, card_uid: str | None = None) -> bool:
        """Bring the row of a claim that is this desk's into line with the journal. False where it has changed since."""
        with step("claim.settle"):
            freed = ", journal_id = NULL, desk = NULL" if standing == "free" else ""
            row = await self._row(
                f"UPDATE card_encoder.claims SET standing = %s, card_uid = NULLIF(%s, ''), leased_until = {_LEASE}, "
                f"changed_at = now(){freed} WHERE acs_credential_id = %s AND journal_id = %s AND token = %s "
                "AND standing = %s RETURNING token",
                standing,
                card_uid,
                claim.acs_credential_id,
                self._me,
                claim.token,
                claim.standing,
            )
        return row is not None

    async def begun_elsewhere(self, card_uid: str, acs_credential_ids: Collection[str]) -> set[str]:
        """The credentials that other desks have begun on this card, and those of these that they have begun.

        A card without a UID is none that another desk knows.
        """
        with step("claim.begun_elsewhere"):
            rows = await self._claims(
                f"SELECT {_COLUMNS} FROM card_encoder.claims WHERE standing = 'begun' AND journal_id <> %s "
                "AND (card_uid = %s OR acs_credential_id = ANY(%s))",
                self._me,
                card_uid,
                list(acs_credential_ids),
            )
        return {row.acs_credential_id for row in rows}

    async def notices(self) -> AsyncGenerator[Notice, None]:
        """What becomes of rows, from now on, until the connection is lost: then psycopg.Error."""
        async for notice in self._ear.notifies():
            with contextlib.suppress(ValueError, TypeError):  # anybody who may connect can say anything there
                yield Notice(**json.loads(notice.payload))

    async def _row(self, sql: str, *values: object) -> dict[str, Any] | None:
        return await (await self._work.execute(sql, values)).fetchone()

    async def _claims(self, sql: str, *values: object) -> list[Claim]:
        return [Claim(**row) for row in await (await self._work.execute(sql, values)).fetchall()]


async def _connect(url: str) -> Connection:
    return await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        row_factory=dict_row,
        application_name="card-encoder",
        connect_timeout=5,
        # A cable that was pulled says nothing: this is how it is found out.
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=10_000,
        options="-c statement_timeout=5000 -c lock_timeout=3000",
    )


async def _prepare(work: Connection) -> None:
    """Make tables where there are none. Whoever runs the database may have made them before: then nothing is made."""
    with step("claim.prepare"):
        async with work.transaction():
            await work.execute("SELECT pg_advisory_xact_lock(hashtext('card_encoder'))")
            found = await (await work.execute("SELECT to_regclass('card_encoder.version') AS there")).fetchone()
            if found is None or found["there"] is None:
                await work.execute(SCHEMA)
            row = await (await work.execute("SELECT number FROM card_encoder.version")).fetchone()
            if row is None or row["number"] != VERSION:
                raise OtherVersion
