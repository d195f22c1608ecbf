"""The outbox, until the service has acknowledged every entry of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from datetime import timedelta

import structlog

from agent import clock
from agent.credential import NEEDS_TO_BE_REISSUED, WAITING_TO_BE_ISSUED, Credential, MalformedCredential
from agent.events import Event, Events
from agent.journal import Journal, JournalError, OutboxEntry
from agent.service import LONGEST_RETRY_AFTER_S, Gone, NotAllowed, Refused, Service, ServiceError, Unreachable

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_PAUSE_WITHOUT_KEY = 60.0
_FIRST_GAP = 0.1
_LONGEST_GAP = 2.0


class Reporting:
    """Sends what is due, in order, one at a time, for as long as it takes."""

    def __init__(self, service: Service, journal: Journal, events: Events) -> None:
        self._service = service
        self._journal = journal
        self._events = events
        self._due_now = asyncio.Event()
        self._clock = clock.Watch()
        # Each report has its own time to be tried again. These two are for all of them, as time.monotonic() has it:
        # hundreds that wait must not make up for the pauses of each.
        self._pause_until = 0.0
        self._wish_until = 0.0
        self._in_vain = 0
        self.key_refused = False
        events.listen(self._follow)

    def _follow(self, event: Event) -> None:
        """What was put off because the service was away is due when it is back; what it asked to put off is not."""
        if event.kind == "service" and event.data["up"]:
            self._pause_until, self._in_vain = 0.0, 0
            with contextlib.suppress(JournalError):
                self._journal.retry_now(clock.to_text(clock.now() + timedelta(seconds=_LONGEST_PAUSE)))
            self._due_now.set()

    def report_soon(self) -> None:
        """There is something new in the outbox."""
        self._due_now.set()

    async def run(self) -> None:
        """Report until cancelled. Sleeps until the next entry falls due."""
        while True:
            self._due_now.clear()
            if self._clock.was_set():
                self._journal.retry_now("9999")  # the times of the next tries are another clock's
            quiet = max(self._pause_until, self._wish_until) - time.monotonic()
            entry = self._due() if quiet <= 0 else None
            if entry is not None:
                await self.send(entry)
                continue
            with contextlib.suppress(TimeoutError):
                # Not wait_for: until Python 3.12 that loses a cancellation which comes together with the event.
                async with asyncio.timeout(quiet if quiet > 0 else self._until_next()):
                    await self._due_now.wait()

    def _due(self) -> OutboxEntry | None:
        now = clock.now()
        horizon = now + timedelta(seconds=LONGEST_RETRY_AFTER_S + _LONGEST_PAUSE)
        return self._journal.due_report(clock.to_text(now), clock.to_text(horizon))

    def _until_next(self) -> float | None:
        at = self._journal.next_report_at()
        # Bounded: where the clock was set back meanwhile, the journal knows what is due all the same.
        return None if at is None else min(max((clock.parse(at) - clock.now()).total_seconds(), 0.01), _LONGEST_PAUSE)

    async def send(self, entry: OutboxEntry) -> None:
        """One try for one entry; its outcome is in the journal when this returns."""
        try:
            credential = await self._service.report(entry.body, entry.idempotency_key)
            self.key_refused = False
            if is_acknowledged(credential, entry.acs_credential_id):
                self._in_vain = 0
                self._journal.record_acknowledged(entry)
                log.info("issued", job_id=entry.job_id, acs_credential_id=entry.acs_credential_id)
            else:
                self._retry(entry, Unreachable("The service took the report, but the credential still waits."))
        except NotAllowed as error:
            self.key_refused = True
            self._retry(entry, error, pause=_PAUSE_WITHOUT_KEY)
        except Gone as error:
            self._orphan(entry, error)
        except Refused as error:
            if error.status == 409:
                self._journal.record_conflict(entry, str(error))
                log.warning("conflict: issued on another card", job_id=entry.job_id)
            elif error.status == 404:
                await self._not_found(entry, error)
            else:
                self._refuse(entry, error)
        except ServiceError as error:
            self._retry(entry, error, pause=(isinstance(error, Unreachable) and error.retry_after) or 0.0)
        self._events.publish("report", job_id=entry.job_id, acs_credential_id=entry.acs_credential_id)

    def _refuse(self, entry: OutboxEntry, error: Refused) -> None:
        self._journal.record_refused(entry, str(error))
        log.error("report refused", job_id=entry.job_id, error=str(error))

    def _orphan(self, entry: OutboxEntry, error: Refused) -> None:
        self._journal.record_orphaned(entry, str(error))
        log.warning("orphaned: take the card back", job_id=entry.job_id)

    async def _not_found(self, entry: OutboxEntry, error: Refused) -> None:
        """A 404 that doesn't say what is missing may be the report's path: only the credential itself tells."""
        try:
            await self._service.get(entry.acs_credential_id)
        except Gone:
            self._orphan(entry, error)
            return
        except (Unreachable, NotAllowed):
            self._retry(entry, error)
            return
        except (Refused, MalformedCredential):
            pass
        self._refuse(entry, error)

    def _retry(self, entry: OutboxEntry, error: ServiceError, pause: float = 0.0) -> None:
        backoff = min(_FIRST_PAUSE * 2 ** min(entry.tries, 10), _LONGEST_PAUSE)
        backoff *= random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        # What the service asks for only ever makes it longer: a Retry-After of 0 is no leave to hammer.
        next_try = clock.now() + timedelta(seconds=max(backoff, pause))
        self._journal.record_retry(entry, next_try_at=clock.to_text(next_try), answer=str(error))
        log.warning("report not acknowledged", job_id=entry.job_id, tries=entry.tries + 1, error=str(error))
        gap = min(_FIRST_GAP * 2**self._in_vain, _LONGEST_GAP)
        self._in_vain = min(self._in_vain + 1, 10)
        if isinstance(error, NotAllowed):
            gap = pause
        elif pause:
            self._wish_until = time.monotonic() + pause
        self._pause_until = time.monotonic() + gap


def is_acknowledged(credential: Credential, acs_credential_id: str) -> bool:
    """Whether the answer says that the report was applied: issued, and none of the two warnings left."""
    left = credential.warning_codes & {WAITING_TO_BE_ISSUED, NEEDS_TO_BE_REISSUED}
    return credential.acs_credential_id == acs_credential_id and credential.is_issued is True and not left
