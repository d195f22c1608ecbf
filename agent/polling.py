"""New work in, page by page.

There is no event for a new credential, so lists are all there is. One page is in memory at a time, and only what is new
or changed reaches the journal.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta

import structlog

from agent import clock
from agent.claims import Claims
from agent.content import vendor_of
from agent.credential import Credential, MalformedCredential, id_of, is_settled, read
from agent.eligibility import Action, Decision, decide
from agent.events import Event, Events
from agent.journal import Intake, JobState, Journal, Scope
from agent.service import Gone, NotAllowed, Page, Service, ServiceError, Unreachable

log = structlog.get_logger(__name__)

_FULL_PASS_EVERY = 10  # polls; where the service leaves issued ones out, only a full pass finds needs_to_be_reissued
_MOST_OF_THE_TIME = 0.1  # a long list is polled less often: at most this share of the time goes into polling
_KEPT_REMARKS = 200
_LONGEST_PAUSE = 10.0  # seconds between looks whether the service is back
_LONGEST_WISH = 60.0  # the service may ask to be left alone longer, but a desk has to see what is new
_MOST_AHEAD = timedelta(days=2)  # of this machine's clock, for a service's to be believed

_STATE = {
    Action.ENCODE: JobState.WAITING,
    Action.WAIT: JobState.WAITING,
    Action.HOLD: JobState.HELD,
    Action.SKIP: JobState.CANCELLED,
    Action.NOTHING: JobState.CANCELLED,
}


class Remarks:
    """Credentials that get no job, and why: for the desk and the summary. Bounded, newest last."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Decision, str | None]] = {}

    def note(self, acs_credential_id: str, decision: Decision, display_name: str | None = None) -> None:
        """Keep it, forgetting the oldest where there are too many."""
        self._kept.pop(acs_credential_id, None)
        self._kept[acs_credential_id] = decision, display_name
        if len(self._kept) > _KEPT_REMARKS:
            del self._kept[next(iter(self._kept))]

    def forget(self, acs_credential_id: str) -> None:
        """It has a job, or is no longer of interest."""
        self._kept.pop(acs_credential_id, None)

    def __iter__(self) -> Iterator[tuple[str, Decision]]:
        return iter([(acs_credential_id, decision) for acs_credential_id, (decision, _) in self._kept.items()])

    def display_name(self, acs_credential_id: str) -> str | None:
        """What the service calls the credential, where it is kept here and has a name."""
        return self._kept.get(acs_credential_id, (None, None))[1]


class Polling:
    """Keeps the journal in line with what the service has."""

    def __init__(
        self,
        service: Service,
        journal: Journal,
        events: Events,
        *,
        interval: float,
        scopes: Sequence[Scope],
        claims: Claims,
        in_hand: Collection[int] = (),
    ) -> None:
        """`interval` in seconds. `scopes` are what each encoder writes; `in_hand` are the jobs that encoders are at."""
        self._service = service
        self._journal = journal
        self._events = events
        self._interval = interval
        self._scopes = scopes
        self._claims = claims
        self._in_hand = in_hand
        self._known_before = False  # the first pass decides on everything anew: the configuration may have changed
        # From before the start: the service's clock may be behind this machine's, as where a time zone was mistaken.
        self._deleted_since = clock.to_text(clock.now() - timedelta(days=1))
        self._clock = clock.Watch()
        self._unreadable = 0
        self._known: dict[str, bytes] | None = None  # as at the beginning of the pass, where it is not too much to hold
        self._seen_pages: dict[tuple[bool, int], int] = {}  # what came before, to the byte, needs no second look
        self.remarks = Remarks()
        events.listen(self._forget_pages)
        self.service_up: bool | None = None
        self.trouble: str | None = None
        self.key_refused = False
        self.last_pass_at: str | None = None

    def _forget_pages(self, event: Event) -> None:
        # A page that has not changed may still mean something new once a job has come to an end.
        if event.kind in ("job", "outcome", "report"):
            self._seen_pages = {}

    async def run(self) -> None:
        """Poll until cancelled. Trouble with the service never ends it."""
        count = failures = 0
        while True:
            began, wish = time.monotonic(), 0.0
            try:
                await self.poll_once(full=count % _FULL_PASS_EVERY == 0)
                failures = 0
                count += 1
            except ServiceError as error:
                failures += 1
                self._service_state(error)
                if isinstance(error, Unreachable):
                    wish = min(error.retry_after or 0.0, _LONGEST_WISH)
            took = time.monotonic() - began
            pause = max(self._interval, took * (1 / _MOST_OF_THE_TIME - 1))
            if failures:
                pause = min(self._interval * 2 ** min(failures - 1, 5), max(_LONGEST_PAUSE, self._interval))
            await asyncio.sleep(max(pause, wish))

    async def poll_once(self, *, full: bool = True) -> None:
        """One pass over all that the service lists; `full` asks for issued credentials too.

        Raises:
            ServiceError: the pass came to an early end; what it saw is in the journal.
        """
        unreadable = number = 0
        if self._clock.was_set():
            self._seen_pages = {}  # what had ended by the clock's old time may not have by the new one
        seen = self._seen_pages  # another one, where these are forgotten while this pass still looks at them
        self._known = await asyncio.to_thread(self._journal.few_known_digests)
        async for page in self._service.credentials(only_unissued=not full):
            if self.service_up is None:
                self._service_state(None)
            number += 1
            if seen.get((full, number)) == page.mark:
                continue
            news, without_id = await asyncio.to_thread(self._take_in, page)
            unreadable += without_id
            if not without_id:
                seen[full, number] = page.mark
            if news:
                self._events.publish("job")
            self._claim_what_may(joiners=False)
        self._claim_what_may(joiners=True)  # not before the end of the pass: what they join may be on a later page
        self._unreadable = unreadable
        self._known_before = True
        if full:
            self._journal.settle_doubts()
        if self._journal.expire(clock.now_text(), in_hand=self._in_hand):
            self._events.publish("job")
        await self._drop_deleted()
        self._service_state(None)  # not before the whole pass: half a service would be back again and again
        first, self.last_pass_at = self.last_pass_at is None, clock.now_text()
        if first:
            self._events.publish("service", up=True)

    def _claim_what_may(self, *, joiners: bool) -> None:
        if self._claims.claim(joiners=joiners):
            self._events.publish("job")

    @property
    def unreadable(self) -> int:
        """How many entries of the last pass were so malformed that not even an id could be read."""
        return self._unreadable

    def _take_in(self, page: Page) -> tuple[int, int]:
        """Bring a page into the journal. Returns how many entries were news, and how many had no readable id."""
        unreadable = 0
        ids = [id_of(item) for item in page.items]
        known = self._known
        if known is None:
            known = self._journal.known_digests([i for i in ids if i is not None])
        intakes = []
        for acs_credential_id, item in zip(ids, page.items, strict=True):
            if acs_credential_id is None:
                unreadable += 1
                continue
            if acs_credential_id not in known and is_settled(item):
                continue
            text = _text(item)
            digest = digest_of(item, text)
            if self._known_before and known.get(acs_credential_id) == digest:
                continue
            intake = self.intake(acs_credential_id, item, text, digest)
            if intake.state is JobState.CANCELLED and acs_credential_id not in known:
                continue
            intakes.append(intake)
        self._journal.take_in(intakes, seen_at=page.asked_at)
        if unreadable and unreadable != self._unreadable:
            log.warning("credentials without a readable id", count=unreadable)
        return len(intakes), unreadable

    async def look_again(self, acs_credential_id: str) -> None:
        """Bring one credential into the journal as the service has it now.

        Raises:
            ServiceError: it can't be told.
        """
        try:
            credential = await self._service.get(acs_credential_id)
        except Gone:
            self._journal.record_deleted(acs_credential_id, in_hand=self._in_hand)
        except MalformedCredential:
            return  # the next pass says what is to become of it
        else:
            self.refresh(acs_credential_id, credential.as_sent())
        self._events.publish("job")

    def refresh(self, acs_credential_id: str, item: object, *, asked: bool = False, by_hand: bool = False) -> Intake:
        """Bring one credential, as the service has it now, into the journal.

        `asked`: a person wants it encoded although the service doesn't wait for it. `by_hand`: a person wants it,
        so that what a person cancelled before is begun again.
        """
        text = _text(item)
        intake = self.intake(acs_credential_id, item, text, digest_of(item, text), asked=asked)
        self._journal.take_in([intake], seen_at=clock.now_text(), asked_for=by_hand)
        return intake

    def intake(
        self, acs_credential_id: str, item: object, text: bytes, digest: bytes, *, asked: bool = False
    ) -> Intake:
        """What the journal is to hold of one credential, with the decision on it."""
        try:
            credential = read(item)
        except MalformedCredential as error:
            decision = Decision(Action.HOLD, "malformed", f"The service's data on it can't be read: {error.problem}.")
            self.remarks.forget(acs_credential_id)
            return Intake(
                acs_credential_id=acs_credential_id,
                state=JobState.HELD,
                ready=False,
                code=decision.code,
                reason=decision.reason,
                credential=text.decode(),
                digest=digest,
                reissue=False,
                vendor=None,
                issued=False,
                card_number=_text_under("card_number", item),
                sort_key="",
                ends_at=None,
                acs_system_id=_text_under("acs_system_id", item),
            )
        decision = self._decide(credential, asked)
        self._remark(acs_credential_id, decision, credential.display_name)
        return Intake(
            acs_credential_id=acs_credential_id,
            state=_STATE[decision.action],
            ready=decision.action is Action.ENCODE,
            code=decision.code,
            reason=decision.reason,
            credential=text.decode(),
            digest=digest,
            reissue=decision.code == "needs_to_be_reissued",
            vendor=vendor_of(credential),
            issued=credential.is_issued is True,
            card_number=credential.card_number,
            sort_key=credential.created_at or "",
            ends_at=clock.to_text(credential.ends) if credential.ends else None,
            joins=tuple(joined for joined in credential.joins if joined != acs_credential_id),
            asked=decision.code == "asked_for",
            acs_system_id=credential.acs_system_id,
            by_order=any(scope.by_order for scope in self._scopes_for(credential)),
        )

    def _decide(self, credential: Credential, asked: bool) -> Decision:
        decision = decide(credential, clock.now(), asked=asked)
        if decision.action is Action.ENCODE and not self._scopes_for(credential):
            return Decision(Action.WAIT, "no_encoder_for_it", self._why_nobody_writes(credential))
        return decision

    def _scopes_for(self, credential: Credential) -> list[Scope]:
        what = vendor_of(credential), credential.acs_system_id, credential.card_number
        return [scope for scope in self._scopes if scope.takes(*what)]

    def _why_nobody_writes(self, credential: Credential) -> str:
        vendor = vendor_of(credential)
        able = [scope for scope in self._scopes if vendor in scope.vendors]
        if not able:
            kind = "plain card numbers" if vendor is None else f"{vendor.capitalize()} card data"
            return f"No encoder configured at this desk can write {kind}."
        if any(scope.takes(vendor, credential.acs_system_id, "any") for scope in able):
            return "It has no card number, and no encoder at this desk writes cards whose UID could take its place."
        return "No encoder configured at this desk writes cards for its access system."

    def _remark(self, acs_credential_id: str, decision: Decision, display_name: str | None) -> None:
        if decision.action is Action.SKIP:
            self.remarks.note(acs_credential_id, decision, display_name)
        else:
            self.remarks.forget(acs_credential_id)

    async def _drop_deleted(self) -> None:
        latest = clock.to_text(clock.now() + _MOST_AHEAD)
        for acs_credential_id, when in await self._service.deleted_since(self._deleted_since):
            if when <= latest:
                self._deleted_since = max(self._deleted_since, when)
            if not await self._is_gone(acs_credential_id):
                continue
            if self._journal.record_deleted(acs_credential_id, in_hand=self._in_hand):
                self._events.publish("job")

    async def _is_gone(self, acs_credential_id: str) -> bool:
        """Whether something here is about this credential, and it is gone: only the credential itself tells.

        Raises:
            ServiceError: it can't be told.
        """
        if self._journal.open_job(acs_credential_id) is None and not self._journal.cards_of(acs_credential_id):
            return False
        try:
            await self._service.get(acs_credential_id)
        except Gone:
            return True
        except MalformedCredential:
            pass
        return False

    def _service_state(self, error: ServiceError | None) -> None:
        up = error is None
        self.key_refused = isinstance(error, NotAllowed)
        self.trouble = str(error) if error else None
        if up is not self.service_up:
            self.service_up = up
            if error:
                log.warning("service is down", error=str(error))
            else:
                log.info("service is up")
            self._events.publish("service", up=up)


def digest_of(item: object, text: bytes) -> bytes:
    """Tells one state of a credential from another; the time of the last sync alone makes no difference."""
    if isinstance(item, dict) and "latest_desired_state_synced_with_provider_at" in item:
        rest = {key: value for key, value in item.items() if key != "latest_desired_state_synced_with_provider_at"}
        text = _text(rest)
    return hashlib.blake2b(text, digest_size=16).digest()


def _text_under(key: str, item: object) -> str | None:
    """The text under this key in parsed JSON that may be anything."""
    value = item.get(key) if isinstance(item, dict) else None
    return value if isinstance(value, str) else None


def _text(item: object) -> bytes:
    """The credential as JSON, the same for the same content whatever its order."""
    return json.dumps(item, sort_keys=True, separators=(",", ":")).encode()
