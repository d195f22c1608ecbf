"""What people can ask of the running agent. The desk page, the encoder API and the command line all come through here.

There is one way to encode: these put jobs into the journal's queue, ahead of the others, and wait for their outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

from agent import attention, clock, overview
from agent.attempts import Attempt, Attempts
from agent.claims import Claims
from agent.events import Events
from agent.journal import CANCELLED_BY_PERSON, Job, Journal, JournalError
from agent.picking import KEY_REFUSED, Picking, Wish
from agent.polling import Polling
from agent.reporting import Reporting
from agent.scanning import compare
from agent.service import NotAllowed, Service, ServiceError
from agent.stations import Stations
from drivers.errors import (
    ActionAttemptExpired,
    BridgeDisconnected,
    EncoderError,
    NoCredentialOnEncoder,
    UncategorizedError,
)

SCAN_WAIT_S = 10.0
SWIPE_WAIT_S = 60.0
"""The same where the card doesn't lie there, but has to be brought when the encoder asks for it."""


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
        claims: Claims,
        stations: Stations,
        events: Events,
    ) -> None:
        self.journal = journal
        self.events = events
        self.stations = stations
        self.polling = polling
        self.reporting = reporting
        self.attempts = Attempts()
        self._desk = desk
        self.claims = claims
        self._service = service
        self._picking = Picking(journal, service, polling, claims, stations, events, self._start)
        self._tasks: set[asyncio.Task[None]] = set()

    def encode(self, acs_credential_id: str, *, encoder: str | None, who: str, overwrite: bool = False) -> Attempt:
        """Encode this credential next. Returns at once; the attempt tells the outcome. See `Wish`."""
        return self._encode(Wish(acs_credential_id, encoder, who, overwrite=overwrite))

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
        """Encode an issued credential again: on its own card, or with `replace_card` on another one. See `Wish`."""
        return self._encode(Wish(acs_credential_id, encoder, who, reason, replace_card, overwrite))

    def _encode(self, wish: Wish) -> Attempt:
        attempt = self.attempts.begin("ENCODE_CREDENTIAL")
        self._start(attempt, self._picking.encode(attempt, wish))
        return attempt

    def scan(self, *, encoder: str | None) -> Attempt:
        """Read the card on the encoder, or the next one that comes, and compare it with the service."""
        attempt = self.attempts.begin("SCAN_CREDENTIAL")
        self._start(attempt, self._scan(attempt, encoder))
        return attempt

    async def _scan(self, attempt: Attempt, encoder: str | None) -> None:
        station = self.stations.find(encoder) or next(station for station in self.stations if station.online)
        future = station.scan()
        try:
            found = await asyncio.wait_for(future, SCAN_WAIT_S if station.sees_cards else SWIPE_WAIT_S)
        except TimeoutError:
            if station.card_here or station.job is not None:
                raise ActionAttemptExpired("The encoder was busy with another card.") from None
            raise NoCredentialOnEncoder("No card lies on the encoder.") from None
        try:
            result, detail = await compare(found, self.journal, self._service)
        except NotAllowed as error:
            raise BridgeDisconnected(
                f"The card was read, but can't be compared. {error}", next_step=KEY_REFUSED
            ) from error
        except ServiceError as error:
            raise BridgeDisconnected(f"The card was read, but can't be compared. {error}") from error
        attempt.succeed(result, encoder=station.name, **detail)

    def cancel(self, job_id: int, *, who: str) -> Job:
        """Don't encode this job; or, where it ended with a card out, say that this card has been seen to.

        Raises:
            JournalError: there is no such job, or it is past that.
        """
        self.stations.refuse_while_busy(self.journal.job(job_id))
        job = self.journal.cancel(job_id, actor=who, code=CANCELLED_BY_PERSON, reason=f"Cancelled by {who}.")
        self.events.publish("job", job_id=job_id)
        return job

    def hold(self, job_id: int, *, who: str) -> Job:
        """Don't encode this job until it is resumed.

        Raises:
            JournalError: there is no such job, or it is past that.
        """
        self.stations.refuse_while_busy(self.journal.job(job_id))
        job = self.journal.hold(job_id, actor=who, code="held_by_person", reason=f"Held by {who}.")
        self.events.publish("job", job_id=job_id)
        return job

    def resume(self, job_id: int, *, who: str) -> Job:
        """Let a held job go on, consenting to what it was held for; or send a refused report again.

        Raises:
            JournalError: there is no such job, or nothing to resume.
        """
        self.journal.resume(job_id, actor=who)
        self.claims.claim(joiners=True)
        self.reporting.report_soon()
        self.events.publish("job", job_id=job_id)
        return self.journal.job(job_id)

    def state(self, *, jobs: int = 100) -> dict[str, Any]:
        """All that the desk page and `status` show, with `jobs` of the queue at most.

        Holds guests' data as far as the service's display names do.
        """
        return {
            "desk": self._desk,
            "at": clock.now_text(),
            "ready": self.journal.trouble is None and any(station.online for station in self.stations),
            "journal": {"trouble": self.journal.trouble, "set_aside": [str(note) for note in self.journal.notes]},
            "service": overview.service_json(self.polling, key_refused=self.reporting.key_refused),
            "claims": self.claims.state(),
            "encoders": [
                overview.encoder_json(station, self.stations.encoder_id(station)) for station in self.stations
            ],
            "skipped": overview.skipped_json(self.polling),
            **overview.journal_json(self.journal, self.claims, jobs, self.stations.in_hand()),
            "to_see_to": attention.to_see_to(
                self.journal, self.polling, self.claims, self.stations, key_refused=self.reporting.key_refused
            ),
        }

    def audit(self, since: str | None = None) -> Iterator[dict[str, Any]]:
        """The audit trail in order."""
        return self.journal.audit(since)

    def _start(self, attempt: Attempt, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await work
            except EncoderError as error:
                attempt.fail(error)
            except JournalError as error:
                doctor = "Nothing is lost. When that is mended, ask again; `card-encoder doctor` tells whether it is."
                next_step = doctor if self.journal.trouble else "See `card-encoder queue`."
                attempt.fail(UncategorizedError(str(error), next_step=next_step))
            except Exception as error:  # a bug must not leave somebody waiting
                attempt.fail(UncategorizedError(f"The agent failed ({type(error).__name__})."))
                raise

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
