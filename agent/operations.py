"""What people can ask of the running agent. The desk page, the encoder API and the command line all come through here.

There is one way to encode: these put jobs into the journal's queue, ahead of the others, and wait for their outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from agent import clock
from agent.attempts import Attempt, Attempts
from agent.credential import NEEDS_TO_BE_REISSUED, WAITING_TO_BE_ISSUED, MalformedCredential
from agent.events import Event, Events
from agent.journal import CANCELLED_BY_PERSON, Intake, Job, JobState, Journal, JournalError
from agent.polling import Polling
from agent.reporting import Reporting
from agent.scanning import compare
from agent.service import Gone, Service, ServiceError
from agent.station import Station
from drivers.encoder import Stage
from drivers.errors import (
    CATALOGUE,
    ActionAttemptExpired,
    BridgeDisconnected,
    CredentialCannotBeReissued,
    CredentialDeleted,
    EncoderError,
    EncoderNotOnline,
    NoCredentialOnEncoder,
    UncategorizedError,
)

CARD_WAIT_S = 30.0
SCAN_WAIT_S = 10.0
_REPORT_WAIT_S = 3.0
_ENCODE_LIMIT_S = 60.0


class Operations:
    """The agent's front door."""

    def __init__(
        self,
        *,
        desk: str,
        journal: Journal,
        service: Service,
        polling: Polling,
        reporting: Reporting,
        stations: Sequence[Station],
        events: Events,
    ) -> None:
        self.journal = journal
        self.events = events
        self.stations = tuple(stations)
        self.polling = polling
        self.reporting = reporting
        self.attempts = Attempts()
        self._desk = desk
        self._service = service
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, list[Attempt]] = {}
        events.listen(self._follow)

    # Encoding

    def encode(self, acs_credential_id: str, *, encoder: str | None, who: str, overwrite: bool = False) -> Attempt:
        """Encode this credential next. Returns at once; the attempt tells the outcome.

        `encoder` is an encoder's name, None for any. `who` goes into the audit trail. `overwrite` is the person's word
        that whatever the card holds may be lost.
        """
        attempt = self.attempts.begin("ENCODE_CREDENTIAL")
        self._start(attempt, self._encode(attempt, acs_credential_id, encoder, who, None, False, overwrite))
        return attempt

    def reencode(
        self,
        acs_credential_id: str,
        *,
        reason: str,
        encoder: str | None,
        who: str,
        replace_card: bool = False,
        overwrite: bool = False,
    ) -> Attempt:
        """Encode an issued credential again: on its own card, or with `replace_card` on another one."""
        attempt = self.attempts.begin("ENCODE_CREDENTIAL")
        self._start(attempt, self._encode(attempt, acs_credential_id, encoder, who, reason, replace_card, overwrite))
        return attempt

    async def _encode(
        self,
        attempt: Attempt,
        acs_credential_id: str,
        encoder: str | None,
        who: str,
        reason: str | None,
        replace_card: bool,
        overwrite: bool,
    ) -> None:
        station = self._station(encoder)
        interrupted = self.journal.open_job(acs_credential_id)
        if replace_card and reason and interrupted and interrupted.state is JobState.WRITING:
            self._refuse_while_busy(interrupted)
            self.journal.release_card(interrupted.job_id, actor=who, reason=reason)
        intake = await self._latest(acs_credential_id, asked=reason is not None)
        job = self.journal.open_job(acs_credential_id)
        problem = self._problem(job, intake, reason is not None)
        if job is None or problem is not None:
            raise problem or UncategorizedError("There is no job for this credential.")
        if job.state is not JobState.BOUND and not self._is_busy_with(job):
            job = self.journal.pick(
                acs_credential_id,
                actor=who,
                encoder=station.name if station else None,
                reason=reason,
                replace_card=replace_card,
                overwrite=overwrite,
            )
        attempt.job_id = job.job_id
        self._waiting.setdefault(job.job_id, []).append(attempt)
        self.events.publish("job", job_id=job.job_id)
        try:
            await self._outcome(attempt, job, station)
        finally:
            self._waiting[job.job_id].remove(attempt)
            if not self._waiting[job.job_id]:
                del self._waiting[job.job_id]
                self._unpick(job)

    def _station(self, encoder: str | None) -> Station | None:
        """The encoder with this name, or None for any.

        Raises:
            EncoderNotOnline: there is no such encoder, or none that works.
        """
        chosen = [station for station in self.stations if encoder in (None, station.name, self.encoder_id(station))]
        if not chosen:
            names = ", ".join(f"'{station.name}'" for station in self.stations) or "none"
            raise EncoderNotOnline(
                f"There is no encoder '{encoder}' here." if encoder else "No encoder is configured.",
                next_step=f"Configured here: {names}.",
            )
        if not any(station.online for station in chosen):
            raise chosen[0].trouble or EncoderNotOnline(f"Encoder '{chosen[0].name}' is still being opened.")
        return chosen[0] if encoder is not None else None

    async def _latest(self, acs_credential_id: str, *, asked: bool) -> Intake | None:
        """Bring the credential into the journal as it is now; None where only the journal knows it."""
        try:
            credential = await self._service.get(acs_credential_id)
        except Gone:
            job = self.journal.open_job(acs_credential_id)
            if job and job.state in (JobState.WAITING, JobState.CLAIMED, JobState.HELD):
                self.journal.cancel(
                    job.job_id, actor="agent", code="credential_deleted", reason="It was deleted at the service."
                )
            raise CredentialDeleted("The service has no such credential.") from None
        except MalformedCredential as error:
            raise UncategorizedError(
                f"The service's data on this credential can't be read: {error.problem}.",
                next_step="Tell whoever runs the credential service.",
            ) from error
        except ServiceError as error:
            if self.journal.open_job(acs_credential_id) is None:
                raise BridgeDisconnected(str(error)) from error
            return None
        return self.polling.refresh(acs_credential_id, credential.as_sent(), asked=asked, by_hand=True)

    def _problem(self, job: Job | None, intake: Intake | None, asked: bool) -> EncoderError | None:
        """Why this can't be encoded now, for the person who asked."""
        if job is None:
            code, reason = (intake.code, intake.reason) if intake else ("", "")
            if code == "being_deleted":
                return CredentialDeleted(reason)
            if code == "not_waiting" and not asked:
                return CredentialCannotBeReissued(
                    "It is issued already.", next_step="To write it again: `card-encoder reencode ID --reason TEXT`."
                )
            return CredentialCannotBeReissued(reason, next_step="Nothing is to be encoded.")
        if job.state is JobState.HELD:
            return UncategorizedError(
                f"It is held: {job.reason}", next_step=f"When that is settled: `card-encoder resume {job.job_id}`."
            )
        if job.state is JobState.VERIFIED:
            return CredentialCannotBeReissued(
                "Its card was written a moment ago, and the report is on its way.",
                next_step="See `card-encoder queue`, then try again.",
            )
        if job.state is JobState.WAITING and not job.ready:
            return UncategorizedError(f"It has to wait. {job.reason}", next_step="It is encoded when that is over.")
        if self.journal.joins_pending(job):
            return UncategorizedError(
                "It joins a credential that is not on its card yet.", next_step="Encode that one first."
            )
        if not any(job.vendor in station.vendors for station in self.stations):
            return UncategorizedError(
                "No encoder at this desk can write this kind of card.", next_step="See the README."
            )
        return None

    def _is_busy_with(self, job: Job) -> bool:
        return any(station.job and station.job.job_id == job.job_id for station in self.stations)

    def _refuse_while_busy(self, job: Job) -> None:
        if self._is_busy_with(job):
            raise UncategorizedError("It is being written this very moment.", next_step="Wait for the outcome.")

    async def _outcome(self, attempt: Attempt, job: Job, station: Station | None) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(attempt.over.wait(), CARD_WAIT_S)
        while self._is_busy_with(job) and not attempt.over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(attempt.over.wait(), _ENCODE_LIMIT_S)
        if attempt.over.is_set():
            return
        state = self.journal.job(job.job_id)
        if state.state is JobState.CANCELLED:
            raise UncategorizedError(f"It was cancelled: {state.reason}", next_step="Nothing is to be encoded.")
        looked_at = [station] if station else self.stations
        if any(s.card_here and s.spent is not None for s in looked_at):
            raise ActionAttemptExpired(
                "The card on the encoder was written or read before, and was not taken away.",
                next_step="Take it away, put the next card down and ask again.",
            )
        if not any(s.card_here for s in looked_at):
            raise NoCredentialOnEncoder(f"No card was put on the encoder within {CARD_WAIT_S:.0f} seconds.")
        raise ActionAttemptExpired("It was not encoded in time.")

    def _unpick(self, job: Job) -> None:
        """The person is answered: what wasn't written goes back to its place."""
        back = all(station.config.mode == "attended" for station in self.stations)
        with contextlib.suppress(JournalError):
            self.journal.unpick(job.job_id, back_to_waiting=back)
            self.events.publish("job", job_id=job.job_id)

    def _follow(self, event: Event) -> None:
        if event.kind == "outcome":
            for attempt in self._waiting.get(event.data["job_id"], ()):
                if error := event.data["error"]:
                    attempt.fail(CATALOGUE[error["type"]](error["message"], next_step=error["next_step"]))
                else:
                    self._start(attempt, self._acknowledged(attempt, event.data["job_id"]))
        elif event.kind in ("job", "report"):
            for station in self.stations:
                station.wake()

    async def _acknowledged(self, attempt: Attempt, job_id: int) -> None:
        """The card is right. Wait a little for the service's word, so that its answer can be passed on."""
        with self.events.subscribe() as queue, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REPORT_WAIT_S):
                while self.journal.job(job_id).state is JobState.VERIFIED:
                    await queue.get()
        job = self.journal.job(job_id)
        report = self.journal.report_of(job_id)
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
            reported=job.state is JobState.REPORTED,
        )

    # Scanning

    def scan(self, *, encoder: str | None) -> Attempt:
        """Read the card on the encoder, or the next one that comes, and compare it with the service."""
        attempt = self.attempts.begin("SCAN_CREDENTIAL")
        self._start(attempt, self._scan(attempt, encoder))
        return attempt

    async def _scan(self, attempt: Attempt, encoder: str | None) -> None:
        station = self._station(encoder) or next(station for station in self.stations if station.online)
        future = station.scan()
        try:
            found = await asyncio.wait_for(future, SCAN_WAIT_S)
        except TimeoutError:
            if station.card_here:
                raise ActionAttemptExpired("The encoder was busy with another card.") from None
            raise NoCredentialOnEncoder("No card lies on the encoder.") from None
        try:
            result, detail = await compare(found, self.journal, self._service)
        except ServiceError as error:
            raise BridgeDisconnected(f"The card was read, but can't be compared. {error}") from error
        attempt.succeed(result, encoder=station.name, **detail)

    # Jobs

    def cancel(self, job_id: int, *, who: str) -> Job:
        """Don't encode this job.

        Raises:
            JournalError: there is no such job, or it is past that.
        """
        self._refuse_while_busy(self.journal.job(job_id))
        job = self.journal.cancel(job_id, actor=who, code=CANCELLED_BY_PERSON, reason=f"Cancelled by {who}.")
        self.events.publish("job", job_id=job_id)
        return job

    def hold(self, job_id: int, *, who: str) -> Job:
        """Don't encode this job until it is resumed.

        Raises:
            JournalError: there is no such job, or it is past that.
        """
        self._refuse_while_busy(self.journal.job(job_id))
        job = self.journal.hold(job_id, actor=who, code="held_by_person", reason=f"Held by {who}.")
        self.events.publish("job", job_id=job_id)
        return job

    def resume(self, job_id: int, *, who: str) -> Job:
        """Let a held job go on, consenting to what it was held for; or send a refused report again.

        Raises:
            JournalError: there is no such job, or nothing to resume.
        """
        self.journal.resume(job_id, actor=who)
        if any(station.config.mode == "auto" for station in self.stations):
            self.journal.claim(joiners=True)
        self.reporting.report_soon()
        self.events.publish("job", job_id=job_id)
        return self.journal.job(job_id)

    def encoder_id(self, station: Station) -> str:
        """The `acs_encoder_id` of one of this desk's encoders: the same as long as desk and name are."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"card-encoder:{self._desk}:{station.name}"))

    # The state

    def state(self, *, jobs: int = 100) -> dict[str, Any]:
        """All that the desk page and `status` show. Holds guests' data as far as the service's display names do."""
        return {
            "desk": self._desk,
            "at": clock.now_text(),
            "ready": any(station.online for station in self.stations),
            "service": {
                "up": self.polling.service_up,
                "trouble": self.polling.trouble,
                "key_refused": self.polling.key_refused or self.reporting.key_refused,
                "last_pass_at": self.polling.last_pass_at,
                "unreadable_credentials": self.polling.unreadable,
            },
            "encoders": [self.encoder_state(station) for station in self.stations],
            "jobs": {str(state): count for state, count in self.journal.count_by_state().items()},
            "queue": [job_json(job) for job in self.journal.queue(jobs)],
            "recent": [job_json(job) for job in self.journal.recent(min(jobs, 50))],
            "skipped": [
                {
                    "acs_credential_id": acs_credential_id,
                    "display_name": self.polling.remarks.display_name(acs_credential_id),
                    "code": decision.code,
                    "reason": decision.reason,
                }
                for acs_credential_id, decision in self.polling.remarks
            ],
            "reports": {
                "unfinished": self.journal.count_reports(),
                "entries": [
                    {
                        "job_id": entry.job_id,
                        "acs_credential_id": entry.acs_credential_id,
                        "state": str(entry.state),
                        "tries": entry.tries,
                        "next_try_at": entry.next_try_at,
                        "last_answer": entry.last_answer,
                    }
                    for entry in self.journal.unfinished_reports(50)
                ],
            },
        }

    def encoder_state(self, station: Station) -> dict[str, Any]:
        """One encoder, for people and machines."""
        progress = station.progress
        return {
            "acs_encoder_id": self.encoder_id(station),
            "name": station.name,
            "driver": station.config.driver,
            "mode": station.config.mode,
            "overwrite": station.config.overwrite,
            "online": station.online,
            "device": station.encoder.device,
            "trouble": station.trouble
            and {
                "type": station.trouble.type,
                "message": str(station.trouble),
                "next_step": station.trouble.next_step,
            },
            "card_here": station.card_here,
            "take_the_card_away": station.spent is not None,
            "spent": station.spent and str(station.spent),
            "job_id": station.job.job_id if station.job else None,
            "progress": progress
            and {"stage": str(progress.stage), "done": progress.done, "total": progress.total, "of": list(Stage)},
            "last_outcome": station.last_outcome,
        }

    def audit(self, since: str | None = None) -> Iterator[dict[str, Any]]:
        """The audit trail in order."""
        return self.journal.audit(since)

    def _start(self, attempt: Attempt, work: Any) -> None:
        async def run() -> None:
            try:
                await work
            except EncoderError as error:
                attempt.fail(error)
            except JournalError as error:
                attempt.fail(UncategorizedError(str(error), next_step="See `card-encoder queue`."))
            except Exception as error:  # a bug must not leave somebody waiting
                attempt.fail(UncategorizedError(f"The agent failed ({type(error).__name__})."))
                raise

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def job_json(job: Job) -> dict[str, Any]:
    """A job as people and machines see it: no card number, no guest but what the display name says."""
    credential = job.credential if isinstance(job.credential, dict) else {}
    return {
        "job_id": job.job_id,
        "acs_credential_id": job.acs_credential_id,
        "display_name": credential.get("display_name"),
        "external_type": credential.get("external_type"),
        "state": str(job.state),
        "ready": job.ready,
        "code": job.code,
        "reason": job.reason,
        "reissue": job.reissue,
        "picked": job.picked,
        "encoder": job.encoder or job.wanted_encoder,
        "card_uid": job.card_uid,
        "starts_at": credential.get("starts_at"),
        "ends_at": job.ends_at,
        "held_by": job.held_by,
        "requested_by": job.requested_by,
        "request_reason": job.request_reason,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
    }
