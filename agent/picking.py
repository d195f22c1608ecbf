"""A person picks a credential: it goes ahead of the others in the queue, and the person gets the outcome."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from agent.advice import named, next_step
from agent.attempts import Attempt
from agent.claims import Claims
from agent.credential import NEEDS_TO_BE_REISSUED, WAITING_TO_BE_ISSUED, MalformedCredential
from agent.events import Event, Events
from agent.journal import Intake, Job, JobState, Journal, JournalError
from agent.polling import Polling
from agent.service import Gone, NotAllowed, Service, ServiceError
from agent.station import Station
from agent.stations import Stations
from drivers.errors import (
    CATALOGUE,
    ActionAttemptExpired,
    BridgeDisconnected,
    CredentialCannotBeReissued,
    CredentialDeleted,
    EncoderError,
    NoCredentialOnEncoder,
    UncategorizedError,
)

CARD_WAIT_S = 30.0
_REPORT_WAIT_S = 3.0
_ENCODE_LIMIT_S = 60.0
_MOST_JOBS = 100
KEY_REFUSED = "The service doesn't take the API key: put a valid one in its place, then run `card-encoder doctor`."


@dataclass(frozen=True)
class Wish:
    """What a person asks for.

    `encoder` is an encoder's name or id, None for any. `who` goes into the audit trail. `reason` is there where an
    issued credential is to be encoded again, `replace_card` where another card replaces its first one. `overwrite` is
    the person's word that whatever the card holds may be lost.
    """

    acs_credential_id: str
    encoder: str | None
    who: str
    reason: str | None = None
    replace_card: bool = False
    overwrite: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it is fulfilled by what may be under way already: it says nothing on how that is done."""
        return self.reason is None and not self.overwrite


class Picking:
    """Turns wishes into jobs, and jobs' outcomes into the attempts' results."""

    def __init__(
        self,
        journal: Journal,
        service: Service,
        polling: Polling,
        claims: Claims,
        stations: Stations,
        events: Events,
        start: Callable[[Attempt, Coroutine[Any, Any, None]], None],
    ) -> None:
        """`start` runs work for an attempt, and fails the attempt with whatever error ends the work."""
        self._journal = journal
        self._service = service
        self._polling = polling
        self._claims = claims
        self._stations = stations
        self._events = events
        self._start = start
        self._waiting: dict[int, list[Attempt]] = {}
        events.listen(self._follow)

    async def encode(self, attempt: Attempt, wish: Wish) -> None:
        """Until the attempt is over.

        Raises:
            EncoderError: why it came to nothing.
        """
        station = self._stations.find(wish.encoder)
        chosen = list(self._stations) if station is None else [station]
        await self._until_its_turn(wish)
        given_up = self._give_up_the_interrupted_card(wish)
        intake = await self._latest(wish)
        if not given_up:
            await self._until_its_turn(wish)  # an encoder may have begun it by itself meanwhile
        job = self._journal.open_job(wish.acs_credential_id)
        if job is None:
            raise _no_job(wish, intake)
        problem = self._problem(job, chosen)
        if problem is not None:
            raise problem
        if not self._is_under_way(job):
            async with self._claims.taking(
                job, replace_card=wish.replace_card, who=wish.who, reason=wish.reason
            ) as token:
                if not given_up:
                    await self._until_its_turn(wish)
                job = self._picked(wish, job, chosen, token)
            self._stations.reconsider(job.job_id)
        attempt.job_id = job.job_id
        self._waiting.setdefault(job.job_id, []).append(attempt)
        self._events.publish("job", job_id=job.job_id)
        try:
            await self._outcome(attempt, job, station)
        finally:
            self._waiting[job.job_id].remove(attempt)
            if not self._waiting[job.job_id]:
                del self._waiting[job.job_id]
                self._unpick(job)

    def _is_under_way(self, job: Job) -> bool:
        return job.state is JobState.BOUND or self._stations.is_busy_with(job)

    def _picked(self, wish: Wish, job: Job, chosen: Sequence[Station], token: int | None) -> Job:
        """The job, ahead of the others; or as it is where an encoder has begun it by itself since it was looked at."""
        job = self._journal.job(job.job_id)
        if wish.is_plain and self._is_under_way(job):
            return job
        if (problem := self._problem(job, chosen)) is not None:
            raise problem
        return self._journal.pick(
            wish.acs_credential_id,
            actor=wish.who,
            encoder=chosen[0].name if wish.encoder is not None else None,
            reason=wish.reason,
            replace_card=wish.replace_card,
            overwrite=wish.overwrite,
            claim_token=token,
        )

    async def _until_its_turn(self, wish: Wish) -> None:
        """What is under way for this credential can serve a plain wish, but not one that changes how it is done."""
        if wish.is_plain:
            return
        with self._events.subscribe() as queue:
            while (job := self._journal.open_job(wish.acs_credential_id)) and self._stations.is_busy_with(job):
                await queue.get()

    def _give_up_the_interrupted_card(self, wish: Wish) -> bool:
        """Whether there was one: whichever card is written next is the one that was asked for then."""
        job = self._journal.open_job(wish.acs_credential_id)
        if not (wish.replace_card and wish.reason and job and job.state is JobState.WRITING):
            return False
        self._stations.refuse_while_busy(job)
        self._journal.release_card(job.job_id, actor=wish.who, reason=wish.reason)
        return True

    async def _latest(self, wish: Wish) -> Intake | None:
        """Bring the credential into the journal as it is now; None where only the journal knows it."""
        try:
            credential = await self._service.get(wish.acs_credential_id)
        except Gone:
            self._journal.record_deleted(wish.acs_credential_id, in_hand=self._stations.in_hand())
            self._events.publish("job")
            raise CredentialDeleted("The service has no such credential.") from None
        except MalformedCredential as error:
            raise UncategorizedError(
                f"The service's data on this credential can't be read: {error.problem}.",
                next_step="Tell whoever runs the credential service.",
            ) from error
        except NotAllowed as error:
            raise BridgeDisconnected(str(error), next_step=KEY_REFUSED) from error
        except ServiceError as error:
            if self._journal.open_job(wish.acs_credential_id) is None:
                raise BridgeDisconnected(str(error)) from error
            return None
        return self._polling.refresh(
            wish.acs_credential_id, credential.as_sent(), asked=wish.reason is not None, by_hand=True
        )

    def _problem(self, job: Job, chosen: Sequence[Station]) -> EncoderError | None:
        """Why the job can't be encoded now on any of the encoders that were chosen, for the person who asked."""
        if job.state is JobState.HELD:
            return UncategorizedError(
                f"It is held: {job.reason}", next_step=f"When that is settled: `card-encoder resume {job.job_id}`."
            )
        if job.state is JobState.VERIFIED:
            return CredentialCannotBeReissued(
                "Its card was written a moment ago, and the report is on its way.",
                next_step="See `card-encoder queue`, then try again.",
            )
        if not any(_takes(station, job) for station in chosen):
            return self._no_encoder(job, chosen)
        if job.state is JobState.WAITING and not job.ready:
            return UncategorizedError(f"It has to wait. {job.reason}", next_step="It is encoded when that is over.")
        if self._journal.joins_pending(job):
            return UncategorizedError(
                "It joins a credential that is not on its card yet.", next_step="Encode that one first."
            )
        return None

    def _no_encoder(self, job: Job, chosen: Sequence[Station]) -> EncoderError:
        able = [station.name for station in self._stations if _takes(station, job)]
        if able:
            return UncategorizedError(
                f"Encoder '{chosen[0].name}' doesn't write this credential: it isn't for its access system, or not for "
                "this kind of card.",
                next_step=f"Encode it on '{able[0]}'.",
            )
        if any(job.vendor in station.scope.vendors for station in self._stations):
            return UncategorizedError(
                "No encoder at this desk writes this credential: none is for its access system, or it has no number "
                "where cards without a UID need one.",
                next_step="Encode it at another desk, or set acs_system_ids of an encoder here.",
            )
        return UncategorizedError(
            "No encoder at this desk can write this kind of card.",
            next_step="The README says which drivers write which cards.",
        )

    async def _outcome(self, attempt: Attempt, job: Job, station: Station | None) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(attempt.over.wait(), CARD_WAIT_S)
        while self._stations.is_busy_with(job) and not attempt.over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(attempt.over.wait(), _ENCODE_LIMIT_S)
        if attempt.over.is_set():
            return
        state = self._journal.job(job.job_id)
        if state.state is JobState.CANCELLED:
            raise UncategorizedError(f"It was cancelled: {state.reason}", next_step="Nothing is to be encoded.")
        looked_at = [station] if station else list(self._stations)
        self._stations.find(station.name if station else None)  # it may have gone away meanwhile
        torn = {other.encoder: other for other in self._journal.in_state(JobState.WRITING, _MOST_JOBS)}
        if all(torn.get(s.name, job).job_id != job.job_id for s in looked_at):
            name = looked_at[0].name
            raise ActionAttemptExpired(
                f"Encoder '{name}' waits for another credential's card, whose writing was interrupted.",
                next_step=next_step(torn[name]),
            )
        if any(s.card_here and s.spent is not None for s in looked_at):
            raise ActionAttemptExpired(
                "The card on the encoder was written or read before, and was not taken away.",
                next_step="Take it away, put the next card down and ask again.",
            )
        if not any(s.card_here for s in looked_at):
            raise NoCredentialOnEncoder(f"No card came to the encoder within {CARD_WAIT_S:.0f} seconds.")
        raise ActionAttemptExpired("It was not encoded in time.")

    def _unpick(self, job: Job) -> None:
        """The person is answered: what wasn't written goes back to its place."""
        self._stations.nobody_waits(job.job_id)
        with contextlib.suppress(JournalError):
            self._journal.unpick(job.job_id, back_to_waiting=self._claims.back_to_waiting)
            self._events.publish("job", job_id=job.job_id)

    def _follow(self, event: Event) -> None:
        if event.kind == "outcome":
            for attempt in self._waiting.get(event.data["job_id"], ()):
                if error := event.data["error"]:
                    attempt.fail(CATALOGUE[error["type"]](error["message"], next_step=error["next_step"]))
                else:
                    self._start(attempt, self._acknowledged(attempt, event.data["job_id"]))
        elif event.kind in ("job", "report"):
            self._stations.wake()

    async def _acknowledged(self, attempt: Attempt, job_id: int) -> None:
        """The card is right. Wait a little for the service's word, so that its answer can be passed on."""
        with self._events.subscribe() as queue, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REPORT_WAIT_S):
                while self._journal.job(job_id).state is JobState.VERIFIED:
                    await queue.get()
        job = self._journal.job(job_id)
        report = self._journal.report_of(job_id)
        if job.state in (JobState.ORPHANED, JobState.FAILED):
            raise (
                CredentialDeleted(job.reason)
                if job.state is JobState.ORPHANED
                else CredentialCannotBeReissued(job.reason)
            )
        body = report.body if report else {}
        warnings = [
            warning
            for warning in job.credential.get("warnings", [])
            if warning.get("warning_code") not in (WAITING_TO_BE_ISSUED, NEEDS_TO_BE_REISSUED)
        ]
        issued = {"is_issued": True, "issued_at": body.get("issued_at"), "card_number": body.get("card_number")}
        attempt.succeed(
            {**job.credential, **issued, "warnings": warnings},
            job_id=job_id,
            card_uid=job.card_uid,
            encoder=job.encoder,
            verified_by=self._verified_by(job),
            reported=job.state is JobState.REPORTED,
        )

    def _verified_by(self, job: Job) -> str | None:
        """Who vouches for the card."""
        return next((s.encoder.capabilities.verified_by for s in self._stations if s.name == job.encoder), None)


def _takes(station: Station, job: Job) -> bool:
    return station.scope.takes(job.vendor, job.acs_system_id, job.card_number)


def _no_job(wish: Wish, intake: Intake | None) -> EncoderError:
    code, reason = (intake.code, intake.reason) if intake else ("", "There is no job for this credential.")
    if code == "being_deleted":
        return CredentialDeleted(reason)
    if code == "not_waiting" and wish.reason is None:
        return CredentialCannotBeReissued(
            "It is issued already.",
            next_step=named("To write it again: `card-encoder reencode ID --reason TEXT`.", wish.acs_credential_id),
        )
    return CredentialCannotBeReissued(reason, next_step="Nothing is to be encoded.")
