"""Claims of desks that share a system.

What this desk has in hand is in its journal; the register in PostgreSQL follows it, so that the others know. Only two
things go the other way, and wait for the register's word: a job becomes this desk's, and its writing begins.

Without the register nothing new is taken up, and what is this desk's already goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
import structlog

from agent.claims.claims import Claims
from agent.claims.register import Claim, NameTaken, Notice, OtherVersion, Register, Standing
from agent.events import Event, Events
from agent.journal import Job, JobState, Journal, JournalError, Scope
from agent.service import ServiceError
from drivers.errors import BridgeDisconnected, CredentialCannotBeReissued, EncoderError, UncategorizedError

log = structlog.get_logger(__name__)
T = TypeVar("T")

_HEARTBEAT_S = 10.0
_PATIENCE_S = 4.0
"""How long a person, or a card on the encoder, waits for the database."""
_HAND_OVER_S = 3.0
_LONGEST_PAUSE_S = 10.0
_LAST_WORD_S = 2.0
_LOOKAHEAD = 20
"""Credentials asked about at once, for each that is wanted: other desks may have the oldest ones."""

_STANDING: dict[JobState, Standing] = {
    JobState.BOUND: "begun",
    JobState.WRITING: "begun",
    JobState.VERIFIED: "begun",
    JobState.REPORTED: "done",
    JobState.FAILED: "done",
    JobState.ORPHANED: "done",
}


@dataclass(frozen=True)
class _Taking:
    """A person here is about to get a credential. `changed`: something has become of the row; `over`: they got it."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class SharedClaims(Claims):
    """This desk among others."""

    def __init__(
        self,
        url: str,
        journal: Journal,
        events: Events,
        *,
        desk: str,
        ahead: int,
        scopes: Collection[Scope],
        in_hand: Collection[int],
        card_waits: Callable[[], bool],
        look_again: Callable[[str], Awaitable[None]],
    ) -> None:
        """`ahead` is how many credentials are kept ready for cards that come, 0 where people pick each one.

        `scopes` are what this desk's encoders write. `in_hand` are the jobs that encoders are at. `card_waits`
        tells whether a card lies here for which there is no job. `look_again` brings a credential into the journal as
        the service has it now, or raises ServiceError.
        """
        self._url = url
        self._journal = journal
        self._events = events
        self._desk = desk
        self._me = journal.journal_id
        self._ahead = ahead
        self._scopes = scopes
        self._in_hand = in_hand
        self._card_waits = card_waits
        self._look_again = look_again
        self._register: Register | None = None
        self._trouble: str | None = "The claims database was not reached yet."
        self._tried = asyncio.Event()
        """Whether the database was looked for since the start: before that, it isn't away."""
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._complete = False
        """Whether the service's whole list was seen: before that, what is oldest isn't known."""
        self._joiners = False
        """Whether all is known that anything may join, which it isn't in the middle of the list."""
        self._elsewhere: dict[str, str] = {}
        """Credentials that other desks have in hand, and which desk that is."""
        self._done: dict[str, str] = {}
        """Credentials that wait here and are done at another desk."""
        self._asked: set[str] = set()
        """Credentials that other desks keep, and were asked for since a card waits here."""
        self._taking: dict[str, _Taking] = {}
        """Credentials that a person here is about to get."""
        self._stale: asyncio.Queue[str] = asyncio.Queue()
        """Credentials that another desk is through with: the service is to be asked about them again."""
        events.listen(self._follow)

    # What others ask

    @property
    def back_to_waiting(self) -> bool:
        """See `Claims.back_to_waiting`."""
        return True

    def claim(self, *, joiners: bool) -> bool:
        """See `Claims.claim`. Others are taken up by `run`, one at a time, as encoders get through them."""
        if joiners and not (self._complete and self._joiners):
            self._complete = True
            self._wake.set()
        self._joiners = joiners
        # A card that comes back to be written again is its own claim: it is only at one desk.
        return bool(self._ahead) and bool(self._journal.claim(joiners=joiners, only_issued=True))

    @asynccontextmanager
    async def taking(self, job: Job, *, replace_card: bool, who: str, reason: str | None) -> AsyncIterator[int | None]:
        """See `Claims.taking`."""
        while others := self._taking.get(job.acs_credential_id):
            await others.over.wait()  # a new token overtakes the one that they are about to get
            job = self._journal.job(job.job_id)
        if not (job.needs_a_claim or replace_card) or job.claim_token is not None:
            yield None
            return
        if replace_card:
            # What was taken over is free again where the agent dies before the job is picked.
            self._journal.record_word(job.job_id, actor=who, reason=reason)
        taking = self._taking[job.acs_credential_id] = _Taking()
        try:
            yield await self._token_for(job.acs_credential_id, replace_card, taking.changed)
        finally:
            del self._taking[job.acs_credential_id]
            taking.over.set()
            self._wake.set()

    async def _token_for(self, acs_credential_id: str, replace_card: bool, changed: asyncio.Event) -> int | None:
        if replace_card:
            try:
                return await self._ask(lambda register: register.take_over(acs_credential_id))
            except BridgeDisconnected:
                log.warning("taken over without the claims database", acs_credential_id=acs_credential_id)
                return None  # a person's word, given with a reason: the register learns of it when it is back
        claim = await self._find(acs_credential_id)
        if claim.journal_id != self._me and claim.standing in ("leased", "kept") and not claim.expired:
            await self._ask(lambda register: register.ask_for(claim))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HAND_OVER_S):
                    await changed.wait()
        token, is_ours = await self._ask(lambda register: self._lease(register, acs_credential_id))
        if is_ours:
            return token
        raise _held_by(await self._find(acs_credential_id))

    async def _lease(self, register: Register, acs_credential_id: str) -> tuple[int | None, bool]:
        """The token, where there is a new one, and whether the credential is this desk's."""
        job = self._journal.open_job(acs_credential_id)
        if job is not None and job.claim_token is not None:
            return None, True  # taken up by itself meanwhile: an encoder may be at it with that token
        token = (await register.grant([acs_credential_id], 1, "leased")).get(acs_credential_id)
        return token, token is not None

    async def _find(self, acs_credential_id: str) -> Claim:
        (claim,) = await self._ask(lambda register: register.find([acs_credential_id]))
        return claim

    async def begin(self, job: Job, card_uid: str) -> None:
        """See `Claims.begin`."""
        if not job.needs_a_claim:
            return
        token = job.claim_token
        if token is None:
            # By a person's word while the register was away; or begun by a journal that knew of no other desk.
            if job.replace_card or job.state is JobState.WRITING:
                return
            raise BridgeDisconnected(f"It is not agreed yet that this desk encodes it. {self._trouble or ''}".strip())
        try:
            if await self._ask(lambda register: register.begin(job.acs_credential_id, token, card_uid)):
                return
        except BridgeDisconnected:
            if job.claim_kept or job.replace_card or job.state is JobState.WRITING:
                return
            raise
        self._wake.set()
        raise CredentialCannotBeReissued(
            "Another desk has taken this credential over.", next_step="`card-encoder queue` there says how it stands."
        )

    async def begun_elsewhere(self, card_uid: str, acs_credential_ids: Collection[str]) -> set[str] | None:
        """See `Claims.begun_elsewhere`."""
        try:
            return await self._ask(lambda register: register.begun_elsewhere(card_uid, acs_credential_ids))
        except BridgeDisconnected:
            return None

    def why_not_here(self, acs_credential_id: str) -> str | None:
        """See `Claims.why_not_here`."""
        if desk := self._elsewhere.get(acs_credential_id):
            return f"{desk} has it in hand."
        if desk := self._done.get(acs_credential_id):
            return f"{desk} has made its card, though the service still lists it as waiting."
        return None

    def state(self) -> dict[str, Any]:
        """See `Claims.state`."""
        held = [job for job in self._journal.claimed_or_begun() if job.needs_a_claim]
        return {"shared": True, "up": self._register is not None, "trouble": self._trouble, "held": len(held)}

    async def _ask(self, ask: Callable[[Register], Coroutine[Any, Any, T]]) -> T:
        """Have the register do something for somebody who waits.

        Raises:
            BridgeDisconnected: it can't be reached; whether it was done is then not known.
        """
        register = self._register
        try:
            # Whoever holds the lock has no more than that to wait for either.
            async with asyncio.timeout(_PATIENCE_S):
                await self._tried.wait()
                await self._lock.acquire()
            try:
                if (register := self._register) is not None:
                    return await register.within(ask(register), _PATIENCE_S)
            finally:
                self._lock.release()
        except (psycopg.Error, TimeoutError) as error:
            self._lost(register, _why(error))
        raise BridgeDisconnected(
            f"Whether another desk has this credential can't be told. {self._trouble or ''}",
            next_step="It is encoded when the database is back. If it can't wait: `card-encoder reencode ID "
            "--replace-card --reason TEXT`, when you know that no other desk makes this card.",
        )

    # What goes on by itself

    async def run(self) -> None:
        """See `Claims.run`. Connects again, for as long as it takes, when the database goes away."""
        failures = 0
        while True:
            try:
                async with Register.connected(self._url, desk=self._desk, journal_id=self._me) as register:
                    await self._do(register)
                    failures = 0  # not before: one that only takes connections is not back
                    await self._keep(register)
            except NameTaken:
                self._set_state(
                    None,
                    f"Another agent is called '{self._desk}' at the claims database: give each desk a name of its own "
                    "in [claims] desk. Where this desk has a new journal, its name is free again after a minute.",
                )
            except OtherVersion:
                self._set_state(None, "The claims database was prepared by another version of the agent.")
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._set_state(None, _why(error))
            pause = min(2.0 ** min(failures, 6) / 4, _LONGEST_PAUSE_S)
            failures += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    async def _keep(self, register: Register) -> None:
        """Until the connection is lost."""
        tasks = [asyncio.create_task(self._listen(register)), asyncio.create_task(self._learn())]
        try:
            self._set_state(register, None)
            while self._register is register:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_HEARTBEAT_S):  # wait_for can lose a cancellation (until Python 3.12)
                        await self._wake.wait()
                if self._register is register:
                    await self._do(register)
        except asyncio.CancelledError:
            await self._give_back(register)
            raise
        finally:
            if self._register is register:
                self._register, self._trouble = None, f"{_AWAY}."
            register.hang_up()
            tasks[1].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(self, register: Register) -> None:
        self._wake.clear()
        async with self._lock:
            doing = asyncio.create_task(register.within(self._once(register), _PATIENCE_S))
            try:
                await asyncio.shield(doing)
            except asyncio.CancelledError:
                await asyncio.gather(
                    doing, return_exceptions=True
                )  # cut off in the middle, the connection would be good for nothing more
                raise
        self._done = {i: desk for i, desk in self._done.items() if self._journal.open_job(i) is not None}

    async def _once(self, register: Register) -> None:
        await register.announce()
        await self._agree(register)
        await self._take_up(register)

    async def _give_back(self, register: Register) -> None:
        """The agent stops: what only lies ready here is free for other desks, as long as this one is not there."""
        with contextlib.suppress(JournalError, psycopg.Error, TimeoutError):
            self._journal.unclaim(
                [
                    job.job_id
                    for job in self._journal.claimed_or_begun()
                    if job.state is JobState.CLAIMED and job.claim_token and job.job_id not in self._in_hand
                ]
            )
            await register.within(self._agree(register), _LAST_WORD_S)

    async def _listen(self, register: Register) -> None:
        with contextlib.suppress(psycopg.Error):
            async for notice in register.notices():
                self._hear(notice)
        self._lost(register, f"{_AWAY}.")

    def _hear(self, notice: Notice) -> None:
        acs_credential_id = notice.acs_credential_id
        if notice.journal_id != self._me and notice.standing in ("leased", "kept", "begun"):
            self._elsewhere[acs_credential_id] = notice.desk or "another desk"
        else:
            self._elsewhere.pop(acs_credential_id, None)
        if notice.standing == "done" and notice.journal_id != self._me:
            self._note_done(acs_credential_id, notice.desk)
        if acs_credential_id in self._asked and self._me not in (notice.journal_id, notice.wanted_by):
            self._asked.discard(acs_credential_id)  # it has gone another way
        if taking := self._taking.get(acs_credential_id):
            if notice.journal_id == self._me or notice.standing == "free":
                taking.changed.set()
        elif notice.journal_id != self._me or notice.wanted_by is not None or acs_credential_id in self._asked:
            self._wake.set()

    def _follow(self, event: Event) -> None:
        if event.kind in ("job", "outcome", "report") or (event.kind == "encoder" and self._card_waits()):
            self._wake.set()

    async def _agree(self, register: Register) -> None:
        """Bring the register into line with the journal, and where a person has overruled the journal, that one."""
        rows = await register.held()
        self._elsewhere = {
            row.acs_credential_id: row.desk or "another desk"
            for row in rows
            if row.journal_id != self._me and not row.expired
        }
        mine = {row.acs_credential_id: row for row in rows if row.journal_id == self._me}
        jobs = {
            job.acs_credential_id: job
            for job in self._journal.claimed_or_begun()
            if job.needs_a_claim or job.claim_token is not None
        }
        for acs_credential_id, claim in mine.items():
            if acs_credential_id not in self._taking:
                await self._settle(register, claim)
        lost = [job for i, job in jobs.items() if i not in self._taking and not _is_held(job, mine)]
        # Those at an encoder are decided at the card, by `begin`. The others may be many: all that a desk had, alone.
        lost = [job for job in lost if job.job_id not in self._in_hand and job.state is not JobState.BOUND]
        if not_begun := [job.job_id for job in lost if job.state is JobState.CLAIMED]:
            self._journal.unclaim(not_begun)
            self._events.publish("job")
        for job in lost:
            if job.state is not JobState.CLAIMED:
                await self._begun_without_a_claim(register, job)

    async def _settle(self, register: Register, claim: Claim) -> None:
        last = self._journal.last_job(claim.acs_credential_id)
        if last is None:
            return  # an earlier journal had it, and knew whether a card was begun: this one will be told to doubt
        standing = self._standing(claim, last)
        if last.claim_token is None and last.state in (JobState.WRITING, JobState.VERIFIED):
            self._journal.set_claim(last.job_id, claim.token)  # `_begun_without_a_claim`, had it come that far
        asked = claim.acs_credential_id in self._asked
        self._asked.discard(claim.acs_credential_id)
        to_keep = asked and standing == "free" and last.state is JobState.WAITING
        if to_keep and self._journal.kept_or_begun() < self._ahead and await register.settle(claim, "kept"):
            # In the register first: what only the journal thinks is kept could run out as a lease does.
            self._journal.record_claims({claim.acs_credential_id: claim.token})
            self._events.publish("job")
            return
        if standing == "kept" and claim.wanted_by and last.job_id not in self._in_hand and not last.picked:
            self._journal.unclaim([last.job_id])
            await register.hand_over(claim)
            self._events.publish("job", job_id=last.job_id)
            return
        if standing != claim.standing:
            await register.settle(claim, standing, last.card_uid if standing == "begun" else None)

    def _standing(self, claim: Claim, last: Job) -> Standing:
        """What the journal says of a claim that is this desk's. `last` is the credential's newest job."""
        if last.state in _STANDING:
            return _STANDING[last.state]
        if self._journal.may_be_on_a_card(claim.acs_credential_id):
            return "begun"  # though its job was cancelled, or held: on any other card it would be there twice
        if last.state is JobState.CLAIMED and last.claim_token == claim.token:
            return "kept" if last.claim_kept else "leased"
        return "free"

    async def _begun_without_a_claim(self, register: Register, job: Job) -> None:
        """The journal has it as this desk's, the register hasn't."""
        (claim,) = await register.find([job.acs_credential_id])
        if claim.journal_id in (None, self._me) or claim.expired:
            # Begun at a person's word while the register was away, or by a journal from before there was one.
            token = await register.take_over(job.acs_credential_id)
            await register.begin(job.acs_credential_id, token, job.card_uid or "")
            self._journal.set_claim(job.job_id, token)
        elif job.state is JobState.VERIFIED:
            return  # its report tells the service, which knows which card came first
        else:
            self._journal.record_taken_over(job.job_id, desk=claim.desk or "another desk")
        self._events.publish("job", job_id=job.job_id)

    async def _take_up(self, register: Register) -> None:
        """Take up as many as are kept ready."""
        if not self._ahead or not self._complete:
            return
        # An encoder that has begun a card is through with that one first, however long it takes to come back.
        wanted = self._ahead - self._journal.kept_or_begun()
        if wanted <= 0:
            return
        candidates = await self._waiting(wanted * _LOOKAHEAD, without={*self._elsewhere, *self._done, *self._taking})
        if candidates:
            for row in await register.find(candidates):
                if row.standing == "done" and row.journal_id != self._me:
                    self._note_done(row.acs_credential_id, row.desk)
            granted = self._journal.record_claims(await register.grant(candidates, wanted, "kept"))
            if granted:
                self._events.publish("job")
                return
        if self._card_waits():
            await self._ask_another_desk(register)

    async def _waiting(self, limit: int, *, without: Collection[str] = ()) -> list[str]:
        # In a thread: where thousands wait and none may be encoded, all of them are looked at.
        return await asyncio.to_thread(
            self._journal.claimable, limit, scopes=self._scopes, joiners=self._joiners, without=without
        )

    async def _ask_another_desk(self, register: Register) -> None:
        """A card lies here, and what waits is kept ready at other desks, where perhaps none does."""
        mine = await self._waiting(len(self._elsewhere) + 1)
        theirs = [acs_credential_id for acs_credential_id in mine if acs_credential_id in self._elsewhere]
        for claim in await register.find(theirs) if theirs else []:
            if claim.standing == "kept" and claim.wanted_by is None:
                self._asked.add(claim.acs_credential_id)
                await register.ask_for(claim)
                return

    def _note_done(self, acs_credential_id: str, desk: str | None) -> None:
        if acs_credential_id not in self._done:
            self._stale.put_nowait(acs_credential_id)
        self._done[acs_credential_id] = desk or "Another desk"

    async def _learn(self) -> None:
        """Have the journal learn of what other desks are through with, however long the service takes to tell."""
        while True:
            acs_credential_id = await self._stale.get()
            with contextlib.suppress(ServiceError, JournalError):  # the next pass over the service's list tells too
                job = self._journal.open_job(acs_credential_id)
                if job is not None and job.state is JobState.WAITING:
                    await self._look_again(acs_credential_id)

    def _lost(self, register: Register | None, trouble: str) -> None:
        """The connection is of no use any more: `run` makes a new one."""
        if register is not None and self._register is register:
            self._set_state(None, trouble)
            self._wake.set()

    def _set_state(self, register: Register | None, trouble: str | None) -> None:
        was_up, before = self._register is not None, self._trouble
        self._register, self._trouble = register, trouble
        self._tried.set()
        if trouble is not None and was_up:
            log.warning("claims database is down", error=trouble)
        elif register is not None:
            log.info("claims database is up")
        if trouble != before or was_up is not (register is not None):
            self._events.publish("claims", up=register is not None)


_AWAY = "The claims database can't be reached"


def _why(error: Exception) -> str:
    # No more than the kind: what a driver says of a connection may hold its password.
    refuses = isinstance(error, psycopg.Error) and error.sqlstate is not None
    return f"{'The claims database refuses' if refuses else _AWAY} ({type(error).__name__})."


def _is_held(job: Job, mine: Mapping[str, Claim]) -> bool:
    claim = mine.get(job.acs_credential_id)
    return claim is not None and (claim.token == job.claim_token or job.state is not JobState.CLAIMED)


def _held_by(claim: Claim) -> EncoderError:
    desk = claim.desk or "Another desk"
    if claim.standing == "done":
        return CredentialCannotBeReissued(f"{desk} has made its card.")
    if claim.standing == "begun":
        return CredentialCannotBeReissued(
            f"{desk} has begun to write its card.",
            next_step="It is finished there. If that desk is gone for good: `card-encoder reencode "
            f"{claim.acs_credential_id} --replace-card --reason TEXT` makes another card.",
        )
    return UncategorizedError(
        f"{desk} has it in hand and does not answer.",
        next_step="Encode it there. If that desk is gone for good: `card-encoder reencode "
        f"{claim.acs_credential_id} --replace-card --reason TEXT`.",
    )
